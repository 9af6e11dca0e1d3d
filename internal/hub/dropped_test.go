package hub

import (
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
)

// TestResumeOfQuietChannels comes back after much was dropped, of others.
func TestResumeOfQuietChannels(t *testing.T) {
	t.Parallel()
	const most = 16 << 10
	h := start(t, Options{History: most})
	publish(h, "quiet", "1")
	left := at(h, 0)
	flood := func(channels int) {
		for start := h.history.start; h.history.start < start+1000; {
			publish(h, "busy "+strconv.Itoa(int(h.position)%channels), "x")
		}
	}
	flood(2)
	expect := func(channels []string, since Position, resumed bool, want ...string) {
		t.Helper()
		r := newRecorder()
		s := begin(h, r)
		s.Subscribe(Subscription{Channels: channels, Since: since, Answer: answer})
		first := r.texts(t, 1)[0]
		if !strings.HasSuffix(first, " "+strconv.FormatBool(resumed)) {
			t.Fatalf("%s since %v: %s", channels, since, first)
		}
		r.expect(t, append([]string{first}, want...)...)
		s.Detach()
	}
	expect([]string{"quiet", "quieter"}, left, true)
	expect([]string{"quiet", "busy 1"}, left, false)
	publish(h, "quiet", "2", "3")
	expect([]string{"quiet", "quieter"}, left, true, "2", "3")
	flood(2)
	expect([]string{"quiet"}, left, false)
	expect([]string{"quieter"}, left, true)
	flood(3 * most / bytesPerDropped) // Too many to know them all.
	expect([]string{"quieter"}, left, false)
	left = at(h, 0)
	h.Gap()
	expect([]string{"quieter"}, left, false)
	for i := range 2000 { // Whatever is known of others meanwhile.
		publish(h, "busy "+strconv.Itoa(i%100), "x")
		if !h.history.dropped.has("quieter", left.offset) {
			t.Fatalf("the gap is forgotten after %d", i)
		}
	}
}

// TestDropped drops publications of many channels: what was dropped is known, and little else
// seems to be, as long as it was among the newest channels.
func TestDropped(t *testing.T) {
	t.Parallel()
	const most, offsets = 50, 10_000
	random := rand.New(rand.NewPCG(1, 2))
	for _, channels := range []int{1, most, most + 2, 20 * most} {
		h := New(Options{Observer: new(counts)})
		d := &h.history.dropped
		last := make(map[string]uint64)
		for offset := range uint64(offsets) {
			name := strconv.Itoa(random.IntN(channels))
			d.add([]byte(name), offset)
			last[name] = offset
			d.bound(most, offset)
			if n := len(d.newer) + len(d.older); n > 2*most+2 {
				t.Fatalf("%d channels are known", n)
			}
			name = strconv.Itoa(random.IntN(channels))
			since := offset - min(offset, random.Uint64N(3*most))
			lost, told := last[name] > since, d.has(name, since)
			known := channels <= most || offset-since < most
			if lost && !told || told && !lost && known {
				t.Fatalf("%d channels, of %s since %d at %d: lost %v, told %v", channels, name, since, offset, lost, told)
			}
		}
	}
}
