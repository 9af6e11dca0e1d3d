package chart

import (
	"math"
	"strconv"
	"strings"
)

// noBreak keeps a number and its unit on one line.
const noBreak = "\u00a0"

// prefixes are those of large numbers by thousands, and of small ones.
var (
	large = [...]string{"", "k", "M", "G", "T"}
	small = [...]string{"", "m", "µ", "n"}
)

// Format writes a value for people: with three digits that count and, if it is large, with k, M, G or T, such as 12.5 k,
// 1.2 M/s or 40 kB. Seconds can be small too: 1.25 ms. A thousand is 1000 in all units.
func Format(value float64, unit string) string {
	if value == 0 || !finite(value) {
		return strconv.FormatFloat(value, 'g', -1, 64)
	}
	prefix := ""
	// Rounding comes first, since 999.9 is 1 k.
	value = round(value)
	switch size := math.Abs(value); {
	case size >= 1000:
		steps := 0
		for ; math.Abs(value) >= 1000 && steps < len(large)-1; steps++ {
			value /= 1000
		}
		prefix = large[steps]
	case size < 1 && unit == "s":
		steps := 0
		for ; math.Abs(value) < 1 && steps < len(small)-1; steps++ {
			value *= 1000
		}
		prefix = small[steps]
	}
	return join(strconv.FormatFloat(round(value), 'f', -1, 64), prefix, unit)
}

// round keeps three digits.
func round(v float64) float64 {
	v, _ = strconv.ParseFloat(strconv.FormatFloat(v, 'g', 3, 64), 64) // The text is a number.
	return v
}

// join sets a space between a number and what follows it, except before what is not a word: 5/s, 5 k/s, 5 kB.
func join(number, prefix, unit string) string {
	if prefix == "" && (unit == "" || strings.HasPrefix(unit, "/")) {
		return number + unit
	}
	return number + noBreak + prefix + unit
}
