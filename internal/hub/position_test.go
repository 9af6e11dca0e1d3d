package hub

import (
	"math"
	"testing"
)

func TestParsePosition(t *testing.T) {
	t.Parallel()
	tests := map[string]Position{
		"a-0":                                {10, 0},
		"zz-18446744073709551615":            {35*36 + 35, math.MaxUint64},
		"3w5e11264sgsf-18446744073709551615": {math.MaxUint64, math.MaxUint64},

		"": {}, "-": {}, "a": {}, "a-": {}, "-1": {}, "a-1-2": {}, "a--1": {}, "a-+1": {}, "ä-1": {},
		"A-1": {}, "0a-1": {}, "a-01": {}, "a-18446744073709551616": {}, "3w5e11264sgsg-1": {},
	}
	for text, want := range tests {
		t.Run(text, func(t *testing.T) {
			t.Parallel()
			if got := ParsePosition(text); got != want {
				t.Errorf("read %+v, want %+v", got, want)
			}
		})
	}
}

// FuzzParsePosition reads what was written, and nothing else.
func FuzzParsePosition(f *testing.F) {
	f.Add("a-1", uint64(1), uint64(2))
	f.Add("0-0", uint64(math.MaxUint64), uint64(math.MaxUint64))
	f.Add("Zz-007", uint64(0), uint64(0))
	f.Fuzz(func(t *testing.T, text string, epoch, offset uint64) {
		p := Position{epoch, offset}
		written := string(p.Append(nil))
		if got := ParsePosition(written); got != p || len(written) > maxPositionBytes {
			t.Errorf("wrote %+v as %q, read %+v", p, written, got)
		}
		if got := ParsePosition(text); got != (Position{}) && string(got.Append(nil)) != text {
			t.Errorf("read %q as %+v", text, got)
		}
	})
}
