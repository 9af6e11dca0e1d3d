package chart

import "math"

// place is where a value stands, on a scale where equal steps have equal room. It may be infinite, or no number.
func (s Scale) place(v float64) float64 {
	switch s {
	case Log:
		if v <= 0 {
			return math.NaN()
		}
		return math.Log10(v)
	case Quantile:
		return -math.Log10(1 - v)
	}
	return v
}

// How many marks an axis has at most.
const (
	mostLinear = 6
	mostLog    = 10
)

// A span is the part of an axis that a chart shows, and where on it there are marks.
type span struct {
	scale     Scale
	low, high float64
	ticks     []float64
}

// spanOf spans values that have places. Widened, it reaches to the marks next to the outermost values.
func spanOf(scale Scale, values []float64, widened bool) span {
	s := span{scale: scale, low: values[0], high: values[0]}
	for _, v := range values {
		s.low, s.high = min(s.low, v), max(s.high, v)
	}
	switch scale {
	case Linear:
		s.low = min(s.low, 0)
		s.high = max(s.high, 0)
		s.linear(widened)
	case Log:
		s.logarithmic(widened)
	case Quantile:
		s.quantiles()
	}
	return s
}

// linear sets marks at multiples of 1, 2 or 5.
func (s *span) linear(widened bool) {
	if s.low == s.high {
		s.high = 1
	}
	step := niceAbove((s.high - s.low) / mostLinear)
	if widened {
		s.low, s.high = math.Floor(s.low/step)*step, math.Ceil(s.high/step)*step
	}
	// A little more than the end, lest a mark there is lost by rounding.
	for i := math.Ceil(s.low / step); i*step <= s.high+step/1e6; i++ {
		s.ticks = append(s.ticks, i*step)
	}
}

// logarithmic sets marks at 1, 2, 5, 10 and so on or, where these are too many, at powers of ten.
func (s *span) logarithmic(widened bool) {
	if widened {
		s.low, s.high = niceBelow(s.low), niceAbove(s.high)
	}
	if s.low == s.high {
		s.low, s.high = s.low/2, s.high*2
	}
	const little = 1e-9
	for v := niceAbove(s.low * (1 - little)); v <= s.high*(1+little); v = niceAbove(v * (1 + little)) {
		s.ticks = append(s.ticks, v)
	}
	if len(s.ticks) <= mostLog {
		return
	}
	var powers []float64
	for _, v := range s.ticks {
		if v < 1.5*powerBelow(v*(1+little)) {
			powers = append(powers, v)
		}
	}
	s.ticks = powers
}

// quantiles sets marks at the half, and at each further nine.
func (s *span) quantiles() {
	if s.low == s.high {
		s.low, s.high = 0, max(s.high, 0.5)
	}
	nine := 0.1
	for _, v := range []float64{0, 0.5} {
		if v >= s.low && v <= s.high {
			s.ticks = append(s.ticks, v)
		}
	}
	for ; 1-nine <= s.high+nine/1e6; nine /= 10 {
		if 1-nine >= s.low {
			s.ticks = append(s.ticks, 1-nine)
		}
	}
}

// part returns where between the ends a value stands: 0 is the low end.
func (s *span) part(v float64) float64 {
	low, high := s.scale.place(s.low), s.scale.place(s.high)
	return (s.scale.place(v) - low) / (high - low)
}

// niceAbove returns the least of 1, 2 and 5 times a power of ten that is not below v, which is above 0.
func niceAbove(v float64) float64 {
	power := powerBelow(v)
	for _, digit := range []float64{1, 2, 5} {
		if digit*power >= v {
			return digit * power
		}
	}
	return 10 * power
}

// niceBelow returns the greatest of them that is not above v.
func niceBelow(v float64) float64 {
	power := powerBelow(v)
	for _, digit := range []float64{5, 2} {
		if digit*power <= v {
			return digit * power
		}
	}
	return power
}

// powerBelow returns the greatest power of ten that is not above v. A logarithm alone is not exact: that of 1000 is less
// than 3.
func powerBelow(v float64) float64 {
	exponent := math.Floor(math.Log10(v))
	if next := math.Pow(10, exponent+1); next <= v {
		return next
	}
	return math.Pow(10, exponent)
}
