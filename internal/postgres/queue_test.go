package postgres

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"pgws/internal/hub"
)

func TestStamp(t *testing.T) {
	t.Parallel()
	b := newBatch(0, 0)
	m := message("x")
	for range 3 {
		b.add(m.AppendJSON([]byte{0, 0, 0, 0}, "c", false), entry{})
	}
	const now = 1_700_000_000_000_001
	if last := b.stampAll(now, now+1); last != now+4 {
		t.Errorf("the last stamp is %d", last)
	}
	for i, want := range []string{"1700000000.000003", "1700000000.000004", "1700000000.000005"} {
		element := b.element(i)
		stamp := element[len(element)-hub.StampEnd-len(hub.Stamp) : len(element)-hub.StampEnd]
		if string(stamp) != want {
			t.Errorf("stamp %q, want %q", stamp, want)
		}
	}
	if last := b.stampAll(now+1000, now+1000); last != now+1000 || string(b.element(0)[len(b.element(0))-8:len(b.element(0))-2]) != "000003" {
		t.Error("stamped twice")
	}
}

// TestQueueKeepsSendersApart takes batches while senders are busy.
func TestQueueKeepsSendersApart(t *testing.T) {
	t.Parallel()
	a, b := new(hub.Session), new(hub.Session)
	var q queue
	add := func(text string, sender *hub.Session) { q.add([]byte(text), entry{sender: sender}) }
	texts := func(taken *batch) (texts []string) {
		if taken == nil {
			return nil
		}
		for i := range taken.entries {
			texts = append(texts, string(taken.element(i)))
		}
		return texts
	}
	add("a1", a)
	add("n1", nil)
	add("b1", b)
	add("a2", a)
	busyA := []*batch{{entries: []entry{{sender: nil}, {sender: a}}}}
	steps := []struct {
		underWay []*batch
		want     []string
	}{
		{busyA, []string{"n1", "b1"}},
		{busyA, nil},
		{nil, []string{"a1", "a2"}},
		{nil, nil},
	}
	for i, step := range steps {
		if diff := cmp.Diff(step.want, texts(q.take(step.underWay))); diff != "" {
			t.Errorf("step %d: %s", i, diff)
		}
	}
	if !q.empty() {
		t.Error("the queue is not empty")
	}
}

func TestQueueBoundsBatches(t *testing.T) {
	t.Parallel()
	var q queue
	element := make([]byte, 7000)
	for range 100 {
		q.add(element, entry{})
	}
	total := 0
	for b := q.take(nil); b != nil; b = q.take(nil) {
		total += len(b.entries)
		if len(b.array) > maxBatchBytes {
			t.Errorf("a batch of %d bytes", len(b.array))
		}
	}
	if total != 100 {
		t.Errorf("%d elements came out", total)
	}
}

func TestParseURI(t *testing.T) {
	t.Parallel()
	for _, uri := range []string{
		"postgres://u:s3cret@host:port/db", "postgres://u:s3/cret@host/db", "postgres://u:s3cret@[host/db", "password=s3cret host",
		"postgres://u:s3cret@h/db?sslmode=x", "postgres://u:s3cret@h/db?sslrootcert=/does/not/exist&sslmode=verify-full",
		"postgres://u:s3%zzcret@h/db", "password='s3cret",
	} {
		t.Run(uri, func(t *testing.T) {
			t.Parallel()
			_, err := ParseURI(uri)
			if err == nil {
				t.Fatal("taken")
			}
			for _, secret := range []string{"s3", "cret"} {
				if got := fmt.Sprint(err); strings.Contains(got, secret) {
					t.Errorf("the error quotes the password: %s", got)
				}
			}
		})
	}
}

// FuzzStamp checks the text of every time.
func FuzzStamp(f *testing.F) {
	f.Add(int64(0))
	f.Add(int64(1_700_000_000_000_001))
	f.Fuzz(func(t *testing.T, micros int64) {
		micros = min(max(micros, 1e15), 1e16-1)
		dst := []byte(hub.Stamp)
		writeStamp(dst, micros)
		if want := fmt.Sprintf("%d.%06d", micros/1e6, micros%1e6); string(dst) != want {
			t.Errorf("got %s, want %s", dst, want)
		}
	})
}
