package chart

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
)

// A look is how a series differs from the others: by its class, which has a colour, and by the shape of its marks, which
// are drawn from their middle.
type look struct{ class, mark string }

// marks are a disc, a square, a triangle, a diamond and a triangle on its head.
var marks = [...]string{
	"m-4.5 0a4.5 4.5 0 1 0 9 0a4.5 4.5 0 1 0-9 0z",
	"m-4-4h8v8h-8z",
	"m0-5.5l5 9h-10z",
	"m0-5.5l5.5 5.5l-5.5 5.5l-5.5-5.5z",
	"m0 5.5l5-9h-10z",
}

// style holds two palettes whose colours people of every kind of colour vision can tell apart, after Okabe and Ito: one
// on white paper, one on dark. The picture has its own paper, since it may stand on a page that is not as the system is.
const style = `text { font: 13px system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; fill: #59636e }
.title { font-size: 17px; font-weight: 600; fill: #1f2328 }
.name { fill: #1f2328 }
.paper { fill: #ffffff }
.grid { stroke: #e4e8ec; stroke-width: 1 }
.axis { stroke: #8c959f; stroke-width: 1 }
.line { fill: none; stroke: currentColor; stroke-width: 2.25; stroke-linejoin: round; stroke-linecap: round }
.mark { fill: currentColor; stroke: #ffffff; stroke-width: 1.5; paint-order: stroke }
.lead { fill: none; stroke: currentColor; stroke-width: 1; stroke-dasharray: 1 3; stroke-linecap: round }
.reference .line { stroke-width: 1.5; stroke-dasharray: 6 4 }
.reference { color: #7a838d }
.s0 { color: #0072b2 }
.s1 { color: #d55e00 }
.s2 { color: #00875f }
.s3 { color: #a8508f }
.s4 { color: #8a6d00 }
@media (prefers-color-scheme: dark) {
text { fill: #9ba5b0 }
.title, .name { fill: #f0f3f6 }
.paper { fill: #14191f }
.grid { stroke: #272e37 }
.axis { stroke: #5d6772 }
.mark { stroke: #14191f }
.reference { color: #8d97a2 }
.s0 { color: #58b4ee }
.s1 { color: #f58b4c }
.s2 { color: #3fc79a }
.s3 { color: #e39acb }
.s4 { color: #e6cf4a }
}
`

// styleOf is the look of the i-th series. References share a colour, so that the others keep theirs with and without them.
func styleOf(series []Series, i int) look {
	place := 0
	for _, s := range series[:i] {
		if s.Reference == series[i].Reference {
			place++
		}
	}
	place %= len(marks)
	if series[i].Reference {
		return look{class: "reference", mark: marks[len(marks)-1-place]}
	}
	return look{class: "s" + strconv.Itoa(place), mark: marks[place]}
}

// names writes each series' name to the right of its last point, with a line that leads there.
func (d *drawing) names(series []Series) {
	type place struct {
		series       int
		x, y, nameAt float64
	}
	places := make([]place, len(series))
	for i, s := range series {
		x, y := d.at(s.Points[len(s.Points)-1])
		places[i] = place{series: i, x: x, y: y}
	}
	slices.SortStableFunc(places, func(a, b place) int { return cmp.Compare(a.y, b.y) })
	wanted := make([]float64, len(places))
	for i, p := range places {
		wanted[i] = p.y
	}
	for i, y := range apart(wanted, lineHeight, plotTop, plotBottom) {
		places[i].nameAt = y
	}
	for _, p := range places {
		look := styleOf(series, p.series)
		fmt.Fprintf(d, `<g class="%s">`+"\n", look.class)
		fmt.Fprintf(d, `<path class="lead" d="M%s %sL%s %s"/>`+"\n", px(p.x+8), px(p.y), px(d.right+8), px(p.nameAt))
		d.mark(look, d.right+18, p.nameAt)
		d.WriteString("</g>\n")
		d.text(d.right+nameGap-4, p.nameAt+4.5, "start", "name", series[p.series].Name)
	}
}

// apart moves heights, which are sorted, as little as needed for a gap between each two, within low and high as long as
// there is room.
func apart(heights []float64, gap, low, high float64) []float64 {
	moved := slices.Clone(heights)
	for i := range moved {
		if i > 0 {
			low = moved[i-1] + gap
		}
		moved[i] = max(moved[i], low)
	}
	for i := len(moved) - 1; i >= 0; i-- {
		moved[i] = min(moved[i], high)
		high = moved[i] - gap
	}
	return moved
}
