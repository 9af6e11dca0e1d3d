package chart

import (
	"bytes"
	"fmt"
	"html"
	"strconv"
	"strings"
)

// The picture's measures, in pixels at its natural size.
const (
	width, height = 720, 420
	margin        = 24
	titleLine     = 36 // base lines
	labelLine     = 60
	plotTop       = 84
	plotBottom    = height - 58
	inset         = 14 // between the plot's sides and what is drawn in it
	textWidth     = 7  // of one character, at most, at 13 pixels
	lineHeight    = 20 // of names beside lines
	nameGap       = 34 // from the plot to a name, with its mark
	mostMarked    = 12 // points of a series
	tickGap       = 12 // from the plot to the marks of the Y axis
)

// A drawing is a chart on its way to SVG.
type drawing struct {
	bytes.Buffer
	x, y        span
	left, right float64 // the plot's sides
}

// SVG draws the chart.
func (c *Chart) SVG() []byte {
	series := c.drawable()
	d := &drawing{left: margin, right: width - margin}
	d.head(c)
	if len(series) == 0 {
		d.text(width/2, (plotTop+plotBottom)/2, "middle", "", "no figures")
	} else {
		d.measure(c, series)
		d.axes(c)
		for _, reference := range []bool{true, false} { // What matters most is drawn last, above the others.
			for i, s := range series {
				if s.Reference == reference {
					d.line(s, styleOf(series, i))
				}
			}
		}
		if len(series) > 1 {
			d.names(series)
		}
	}
	d.WriteString("</svg>\n")
	return d.Bytes()
}

// head writes what stands above the plot. Programs that read a picture aloud read its title and description.
func (d *drawing) head(c *Chart) {
	description := c.Y.Label + ", by " + c.X.Label
	fmt.Fprintf(d, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%[1]d" height="%[2]d" role="img">`+
		"\n<title>%s</title>\n<desc>%s</desc>\n", width, height, html.EscapeString(c.Title), html.EscapeString(description))
	fmt.Fprintf(d, "<style>\n%s</style>\n", style)
	fmt.Fprintf(d, `<rect class="paper" width="%d" height="%d" rx="8"/>`+"\n", width, height)
	d.text(margin, titleLine, "start", "title", c.Title)
	d.text(margin, labelLine, "start", "", c.Y.Label)
}

// measure decides what the axes span and how much room the plot has beside marks and names.
func (d *drawing) measure(c *Chart, series []Series) {
	var xs, ys []float64
	name := 0
	for _, s := range series {
		name = max(name, len([]rune(s.Name)))
		for _, p := range s.Points {
			xs, ys = append(xs, p.X), append(ys, p.Y)
		}
	}
	d.x, d.y = spanOf(c.X.Scale, xs, false), spanOf(c.Y.Scale, ys, true)
	mark := 0
	for _, v := range d.y.ticks {
		mark = max(mark, len([]rune(tick(c.Y, v))))
	}
	d.left += float64(mark*textWidth + tickGap)
	if len(series) > 1 {
		d.right -= float64(nameGap + name*textWidth)
	}
}

// axes draws the grid and the marks. The label of the X axis stands below, that of Y above.
func (d *drawing) axes(c *Chart) {
	for _, v := range d.y.ticks {
		_, y := d.at(Point{d.x.low, v})
		fmt.Fprintf(d, `<path class="grid" d="M%s %sH%s"/>`+"\n", px(d.left), px(y), px(d.right))
		d.text(d.left-tickGap, y+4, "end", "", tick(c.Y, v))
	}
	for _, v := range d.x.ticks {
		x, _ := d.at(Point{v, d.y.low})
		fmt.Fprintf(d, `<path class="grid" d="M%s %dV%d"/>`+"\n", px(x), plotTop, plotBottom)
		d.text(x, plotBottom+20, "middle", "", tick(c.X, v))
	}
	fmt.Fprintf(d, `<path class="axis" d="M%s %dH%s"/>`+"\n", px(d.left), plotBottom, px(d.right))
	d.text((d.left+d.right)/2, plotBottom+44, "middle", "", c.X.Label)
}

// tick writes a mark's value.
func tick(a Axis, v float64) string {
	if a.Scale == Quantile {
		return strconv.FormatFloat(100*v, 'g', 9, 64) + "%"
	}
	return Format(v, a.Unit)
}

// at is where a point stands in the picture.
func (d *drawing) at(p Point) (x, y float64) {
	left, right := d.left+inset, d.right-inset
	return left + d.x.part(p.X)*(right-left), plotBottom - d.y.part(p.Y)*(plotBottom-plotTop)
}

// line draws a series and marks its points, unless they are so many that the marks would hide the line.
func (d *drawing) line(s Series, look look) {
	fmt.Fprintf(d, `<g class="%s">`+"\n", look.class)
	var path strings.Builder
	for i, p := range s.Points {
		x, y := d.at(p)
		path.WriteByte("ML"[min(i, 1)])
		path.WriteString(px(x) + " " + px(y))
	}
	fmt.Fprintf(d, `<path class="line" d="%s"/>`+"\n", &path)
	if len(s.Points) <= mostMarked {
		for _, p := range s.Points {
			x, y := d.at(p)
			d.mark(look, x, y)
		}
	}
	d.WriteString("</g>\n")
}

func (d *drawing) mark(look look, x, y float64) {
	fmt.Fprintf(d, `<path class="mark" d="M%s %s%s"/>`+"\n", px(x), px(y), look.mark)
}

func (d *drawing) text(x, y float64, anchor, class, text string) {
	if class != "" {
		class = ` class="` + class + `"`
	}
	fmt.Fprintf(d, `<text x="%s" y="%s" text-anchor="%s"%s>%s</text>`+"\n", px(x), px(y), anchor, class,
		html.EscapeString(text))
}

// px writes a length.
func px(v float64) string {
	text := strconv.FormatFloat(v, 'f', 1, 64)
	return strings.TrimSuffix(strings.Replace(text, "-0.0", "0.0", 1), ".0")
}
