package deflate_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"pgws/internal/deflate"
)

func TestCompressor(t *testing.T) {
	t.Parallel()
	var c deflate.Compressor
	r := rand.New(rand.NewPCG(1, 2))
	for _, kind := range kinds {
		for _, n := range []int{512, 1024, 4096, 7900, 48 << 10, 200 << 10} {
			payload := kind.make(r, n)
			prefix := []byte("prefix")
			got, ok := c.Append(prefix, payload)
			message, kept := bytes.CutPrefix(got, prefix)
			if !ok || !kept || len(message) >= len(payload)*9/10 {
				t.Errorf("%s of %d bytes: %d bytes, %t, prefix %t", kind.name, len(payload), len(message), ok, kept)
				continue
			}
			if back, err := deflate.Inflate(nil, message, len(payload)); err != nil || string(back) != payload {
				t.Errorf("%s of %d bytes: %d came back, %v", kind.name, len(payload), len(back), err)
			}
		}
	}
}

// TestCompressorPrefersTheShorter has a payload of which only a repetition can be saved.
func TestCompressorPrefersTheShorter(t *testing.T) {
	t.Parallel()
	var c deflate.Compressor
	once := random(2000)
	payload := once + once[:400]
	message, ok := c.Append(nil, payload)
	if !ok || len(message) > 2100 {
		t.Errorf("got %d bytes, %t", len(message), ok)
	}
	if back, err := deflate.Inflate(nil, message, len(payload)); err != nil || string(back) != payload {
		t.Errorf("%d bytes came back, %v", len(back), err)
	}
}

func TestCompressorDoesNotShrink(t *testing.T) {
	t.Parallel()
	for name, payload := range map[string]string{
		"empty":  "",
		"a byte": "a",
		"short":  `{"channel":"a"}`,
		"random": random(4096),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var c deflate.Compressor
			if got, ok := c.Append([]byte("x"), payload); ok || string(got) != "x" {
				t.Errorf("got %d bytes, %t, want none", len(got), ok)
			}
		})
	}
}

func random(n int) string {
	data := make([]byte, n)
	for i := range data {
		data[i] = byte(rand.Uint32())
	}
	return string(data)
}

// TestCompressorKeepsNothing compresses the same payload again, with others between.
func TestCompressorKeepsNothing(t *testing.T) {
	t.Parallel()
	var c deflate.Compressor
	r := rand.New(rand.NewPCG(3, 4))
	for _, kind := range kinds {
		payload := kind.make(r, 2000)
		first, _ := c.Append(nil, payload)
		for _, other := range kinds {
			c.Append(nil, other.make(r, 5000))
		}
		if again, _ := c.Append(nil, payload); !bytes.Equal(first, again) {
			t.Errorf("%s: %d bytes, then %d others", kind.name, len(first), len(again))
		}
	}
}

func FuzzCompressor(f *testing.F) {
	r := rand.New(rand.NewPCG(5, 6))
	for _, kind := range kinds {
		f.Add(kind.make(r, 300), 3)
	}
	f.Add("", 0)
	f.Add("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", 3000)
	f.Fuzz(func(t *testing.T, payload string, times int) {
		var c deflate.Compressor
		payload = strings.Repeat(payload, 1+max(times, -times)%64) // Longer than one of the library's blocks.
		message, ok := c.Append(nil, payload)
		if !ok {
			if message != nil {
				t.Errorf("not ok, but %d bytes", len(message))
			}
			return
		}
		if len(message) >= len(payload) {
			t.Errorf("%d bytes became %d", len(payload), len(message))
		}
		if back, err := deflate.Inflate(nil, message, len(payload)); err != nil || string(back) != payload {
			t.Errorf("%d bytes came back as %d, %v", len(payload), len(back), err)
		}
	})
}

func BenchmarkCompressor(b *testing.B) {
	for _, kind := range kinds {
		for _, n := range []int{256, 512, 1024, 2048, 4096, 7900} {
			r := rand.New(rand.NewPCG(7, 8))
			payloads := make([]string, 64)
			for i := range payloads {
				payloads[i] = kind.make(r, n)
			}
			b.Run(fmt.Sprintf("%s/%d", kind.name, n), func(b *testing.B) {
				var c deflate.Compressor
				var dst []byte
				in, out, i := 0, 0, 0
				b.ReportAllocs()
				for b.Loop() {
					payload := payloads[i%len(payloads)]
					i++
					var ok bool
					if dst, ok = c.Append(dst[:0], payload); !ok {
						dst = append(dst, payload...)
					}
					in += len(payload)
					out += len(dst)
				}
				b.ReportMetric(100*float64(out)/float64(in), "%")
			})
		}
	}
}
