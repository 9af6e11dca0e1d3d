package server

import (
	"slices"
	"testing"

	"pgws/internal/deflate"
)

// pack compresses a text.
func pack(t testing.TB, text string) string {
	t.Helper()
	packed, ok := new(deflate.Compressor).Append(nil, text)
	if !ok {
		t.Fatal("does not get shorter")
	}
	return string(packed)
}

// withRsv1 marks a frame as compressed.
func withRsv1(frame []byte) []byte {
	marked := slices.Clone(frame)
	marked[0] |= 0x40
	return marked
}
