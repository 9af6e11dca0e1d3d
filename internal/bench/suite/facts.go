package suite

import (
	"fmt"
	"math"

	"pgws/internal/bench/chart"
)

// facts says in figures what a chart shows, a sentence a line: how much y grows with x, and where it bends.
func (f *figure) facts(c chart.Chart) []string {
	if f.curves {
		return nil
	}
	var facts []string
	for _, s := range c.Series {
		fact := f.doubled(s)
		if f.x.scale == chart.Linear {
			fact = f.straight(s, c.Y.Unit)
		}
		if fact != "" {
			facts = append(facts, "**"+s.Name+"**: "+fact)
		}
	}
	return facts
}

// straight fits a line.
func (f *figure) straight(s chart.Series, unit string) string {
	slope, base, ok := leastSquares(s.Points)
	if !ok {
		return ""
	}
	farthest := 0.0
	for _, p := range s.Points {
		if p.Y > 0 {
			farthest = max(farthest, math.Abs(base+slope*p.X-p.Y)/p.Y)
		}
	}
	return fmt.Sprintf("%s, and %s a %s; no point is farther than %.0f%% from that line.",
		chart.Format(base, unit), chart.Format(slope, unit), f.x.one, math.Ceil(100*farthest))
}

// doubled fits a power: a straight line where both axes are logarithmic. Where it bends, neighbours differ from that.
func (f *figure) doubled(s chart.Series) string {
	var points, logs []chart.Point
	for _, p := range s.Points {
		if p.X > 0 && p.Y > 0 {
			points = append(points, p)
			logs = append(logs, chart.Point{X: math.Log2(p.X), Y: math.Log2(p.Y)})
		}
	}
	exponent, _, ok := leastSquares(logs)
	if !ok {
		return ""
	}
	text := fmt.Sprintf("twice %s, %s", f.x.one, factor(exponent))
	if len(logs) < 3 {
		return text + "."
	}
	var least, most float64
	var leastFrom, mostFrom int
	for i := range len(logs) - 1 {
		slope, _, ok := leastSquares(logs[i : i+2])
		if ok && (i == 0 || slope < least) {
			least, leastFrom = slope, i
		}
		if ok && (i == 0 || slope > most) {
			most, mostFrom = slope, i
		}
	}
	between := func(i int) string { return grouped(int(points[i].X)) + " to " + grouped(int(points[i+1].X)) }
	return fmt.Sprintf("%s; from %s (%s) to %s (%s).", text, factor(least), between(leastFrom), factor(most), between(mostFrom))
}

// factor is what doubling x does to y.
func factor(exponent float64) string { return fmt.Sprintf("%.2f ×", math.Exp2(exponent)) }

// leastSquares fits y = slope x + base. There is none through points that stand above one another.
func leastSquares(points []chart.Point) (slope, base float64, ok bool) {
	var x, y float64 // the middle
	for _, p := range points {
		x += p.X / float64(len(points))
		y += p.Y / float64(len(points))
	}
	var square, product float64
	for _, p := range points {
		square += (p.X - x) * (p.X - x)
		product += (p.X - x) * (p.Y - y)
	}
	if square == 0 || len(points) < 2 {
		return 0, 0, false
	}
	slope = product / square
	return slope, y - slope*x, true
}
