package deflate_test

import (
	"bytes"
	"compress/flate"
	"encoding/hex"
	"errors"
	"io"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"testing"

	"pgws/internal/deflate"
)

// messages are in hexadecimal digits.
var messages = map[string]struct {
	message string
	want    string
	err     error
}{
	// The examples of RFC 7692, section 7.2.3.
	"one block":                {"f248cdc9c90700", "Hello", nil},
	"no compression":           {"000500faff48656c6c6f00", "Hello", nil},
	"a final block":            {"f348cdc9c9070000", "Hello", nil},
	"two blocks":               {"f248050000 00ffffcac9c90700", "Hello", nil},
	"an empty message":         {"00", "", nil},
	"of a window that is kept": {"f20011 0000", "", deflate.ErrCorrupt},

	"an empty fixed block":           {"0200", "", nil},
	"two final blocks":               {"f348cdc9c90700f348cdc9c9070000", "HelloHello", nil},
	"a final block and another":      {"f348cdc9c90700f248cdc9c90700", "HelloHello", nil},
	"a final block without the rest": {"f348cdc9c90700", "Hello", nil},
	"a final one, no compression":    {"010500faff48656c6c6f", "Hello", nil},
	"behind a window that has ended": {"f348cdc9c90700f2001100 00", "", deflate.ErrCorrupt},

	"nothing":                        {"", "", deflate.ErrCorrupt},
	"the tail left on":               {"f248cdc9c907000000ffff", "", deflate.ErrCorrupt},
	"cut in a block":                 {"f248cdc9", "", deflate.ErrCorrupt},
	"cut in a final block":           {"f348cdc9c907", "", deflate.ErrCorrupt},
	"cut in one not compressed":      {"000a00f5ff48656c6c6f", "", deflate.ErrCorrupt},
	"cut in a length":                {"0005", "", deflate.ErrCorrupt},
	"a length unlike its complement": {"000500faf048656c6c6f00", "", deflate.ErrCorrupt},
	"a block of no type":             {"0700", "", deflate.ErrCorrupt},
	"data behind a final block":      {"f348cdc9c9070000ffffffff", "", deflate.ErrCorrupt},
	"text":                           {hex.EncodeToString([]byte("Hello")), "", deflate.ErrCorrupt},
}

func TestInflate(t *testing.T) {
	t.Parallel()
	for name, tt := range messages {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := deflate.Inflate([]byte("before "), unhex(t, tt.message), len("HelloHello"))
			if string(got) != "before "+tt.want || !errors.Is(err, tt.err) {
				t.Errorf("got %q, %v, want %q, %v", got, err, tt.want, tt.err)
			}
		})
	}
}

func TestInflateLimit(t *testing.T) {
	t.Parallel()
	for _, message := range []string{"f248cdc9c90700", "000500faff48656c6c6f00", "f24805000000ffffcac9c90700", "f348cdc9c9070000"} {
		for limit := -1; limit <= 6; limit++ {
			for _, dst := range [][]byte{nil, make([]byte, 3), make([]byte, 0, 5), make([]byte, 2, 100)} {
				got, err := deflate.Inflate(dst, unhex(t, message), limit)
				if limit < 5 && (!errors.Is(err, deflate.ErrTooLarge) || !bytes.Equal(got, dst)) {
					t.Errorf("%s, limit %d: got %q, %v, want %v", message, limit, got, err, deflate.ErrTooLarge)
				}
				if limit >= 5 && (err != nil || string(got) != string(dst)+"Hello") {
					t.Errorf("%s, limit %d: got %q, %v", message, limit, got, err)
				}
			}
		}
	}
}

// TestInflateBomb is not parallel, since it measures the process's memory.
func TestInflateBomb(t *testing.T) { //nolint:paralleltest // As said above.
	const limit = 1 << 20
	message := bomb(t, 1<<30)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	got, err := deflate.Inflate(nil, message, limit)
	runtime.ReadMemStats(&after)
	if !errors.Is(err, deflate.ErrTooLarge) || got != nil {
		t.Errorf("got %d bytes, %v, want %v", len(got), err, deflate.ErrTooLarge)
	}
	if used := after.TotalAlloc - before.TotalAlloc; used > 4*limit {
		t.Errorf("took %d bytes for a limit of %d", used, limit)
	}
}

func TestInflateConcurrently(t *testing.T) {
	t.Parallel()
	var wg sync.WaitGroup
	for worker := range uint64(8) {
		wg.Go(func() {
			var c deflate.Compressor
			r := rand.New(rand.NewPCG(worker, 1))
			for range 50 {
				payload := kinds[r.IntN(len(kinds))].make(r, 500+r.IntN(5000))
				message, _ := c.Append(nil, payload)
				if got, err := deflate.Inflate(nil, message, len(payload)); err != nil || string(got) != payload {
					t.Errorf("got %d bytes, %v, want %d", len(got), err, len(payload))
				}
				if _, err := deflate.Inflate(nil, message, len(payload)-1); !errors.Is(err, deflate.ErrTooLarge) {
					t.Errorf("got %v, want %v", err, deflate.ErrTooLarge)
				}
				if _, err := deflate.Inflate(nil, []byte("Hello"), 10); !errors.Is(err, deflate.ErrCorrupt) {
					t.Errorf("got %v, want %v", err, deflate.ErrCorrupt)
				}
			}
		})
	}
	wg.Wait()
}

// FuzzInflate compares with the standard library's reader, used in the plainest way.
func FuzzInflate(f *testing.F) {
	for _, tt := range messages {
		f.Add(unhex(f, tt.message), 5)
	}
	var c deflate.Compressor
	r := rand.New(rand.NewPCG(9, 10))
	for _, kind := range kinds {
		message, _ := c.Append(nil, kind.make(r, 2000))
		f.Add(message, 1900)
		f.Add(message, 2200)
	}
	f.Add(bomb(f, 1<<20), 1<<16)
	f.Fuzz(func(t *testing.T, message []byte, limit int) {
		limit = max(limit, -limit) & (1<<20 - 1)
		before := bytes.Clone(message)
		got, err := deflate.Inflate([]byte("x"), message, limit)
		want, wantErr := plainly(message, limit)
		if string(got) != "x"+string(want) || !errors.Is(err, wantErr) {
			t.Errorf("%x, limit %d: got %d bytes, %v, want %d, %v", message, limit, len(got)-1, err, len(want), wantErr)
		}
		if !bytes.Equal(before, message) {
			t.Error("the message has changed")
		}
	})
}

// plainly is Inflate without regard to speed and memory.
func plainly(message []byte, limit int) (out []byte, err error) {
	rest := bytes.NewReader(append(bytes.Clone(message), "\x00\x00\xff\xff\x01\x00\x00\xff\xff"...))
	for {
		part, err := io.ReadAll(io.LimitReader(flate.NewReader(rest), int64(limit-len(out)+1)))
		switch out = append(out, part...); {
		case len(out) > limit:
			return nil, deflate.ErrTooLarge
		case err != nil:
			return nil, deflate.ErrCorrupt
		case rest.Len() == 9 || rest.Len() == 0:
			return out, nil
		}
	}
}

// bomb is a message of n bytes, a multiple of 1 MiB, that are all the same.
func bomb(tb testing.TB, n int) []byte {
	tb.Helper()
	var c deflate.Compressor
	block, ok := c.Append(nil, strings.Repeat("0", 1<<20))
	if !ok {
		tb.Fatal("a megabyte of the same does not shrink")
	}
	tail := []byte("\x00\x00\xff\xff")
	return bytes.TrimSuffix(bytes.Repeat(append(block, tail...), n>>20), tail)
}

func unhex(tb testing.TB, digits string) []byte {
	tb.Helper()
	data, err := hex.DecodeString(strings.ReplaceAll(digits, " ", ""))
	if err != nil {
		tb.Fatal(err)
	}
	return data
}

func BenchmarkInflate(b *testing.B) {
	r := rand.New(rand.NewPCG(11, 12))
	for _, bb := range []struct {
		name    string
		message []byte
	}{
		{"publish", asBrowsers(b, `{"id":4,"op":"publish","channel":"a","payload":"hello hello","echo":false}`)},
		{"chat/1024", asBrowsers(b, chat(r, 1024))},
		{"chat/4096", asBrowsers(b, chat(r, 4096))},
		{"chat/7900", asBrowsers(b, chat(r, 7900))},
		// What costs the most: of the limit's bytes, and of the message's.
		{"bomb", bomb(b, 1<<30)},
		{"64 kB of empty streams", bytes.Repeat([]byte{3, 0}, 32<<10)},
	} {
		b.Run(bb.name, func(b *testing.B) {
			dst := make([]byte, 0, 1<<20+1)
			b.ReportAllocs()
			for b.Loop() {
				if out, err := deflate.Inflate(dst, bb.message, 1<<20); errors.Is(err, deflate.ErrCorrupt) {
					b.Fatal(len(out), err)
				}
			}
		})
	}
}

// asBrowsers compresses as browsers do: at zlib's default level, short messages too.
func asBrowsers(tb testing.TB, payload string) []byte {
	tb.Helper()
	var out bytes.Buffer
	w, err := flate.NewWriter(&out, 6)
	if err != nil {
		tb.Fatal(err)
	}
	if _, err = io.WriteString(w, payload); err == nil {
		err = w.Flush()
	}
	if err != nil {
		tb.Fatal(err)
	}
	return bytes.TrimSuffix(out.Bytes(), []byte("\x00\x00\xff\xff"))
}
