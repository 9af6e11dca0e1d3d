// Package chart draws line charts as SVG: sharp at any size, light or dark as the reader's system is, with text that
// stays text, and the same to the byte for the same figures, so that a new drawing shows in version control as a
// difference only where a figure differs. It imports nothing of pgws.
package chart

import "math"

// A Chart is what to draw. Its zero value says that there are no figures.
type Chart struct {
	Title  string
	X, Y   Axis
	Series []Series // up to five and their references stay easy to tell apart
}

// An Axis is one direction of a chart.
type Axis struct {
	Label string
	// Unit is what Format takes: values are in bytes, seconds and so on, never in kB or ms.
	Unit  string
	Scale Scale
}

// A Scale says where on its axis a value stands.
type Scale int

const (
	// Linear begins at zero.
	Linear Scale = iota
	// Log gives each factor of ten the same room. What grows straight, or as a power, is a straight line on two of them.
	Log
	// Quantile takes parts of a whole from 0 to 1, and gives each further nine the same room: 0.9, 0.99, 0.999.
	Quantile
)

// A Series is one line.
type Series struct {
	Name   string
	Points []Point // from left to right
	// Reference marks what others are compared with; it is drawn less loudly.
	Reference bool
}

// A Point is one figure. What has no place on its axis, such as 0 where the scale is Log, is left out.
type Point struct{ X, Y float64 }

// drawable returns the chart's series without points that have no place. What has no point left is no series.
func (c *Chart) drawable() []Series {
	var series []Series
	for _, s := range c.Series {
		var points []Point
		for _, p := range s.Points {
			if finite(c.X.Scale.place(p.X)) && finite(c.Y.Scale.place(p.Y)) {
				points = append(points, p)
			}
		}
		if len(points) > 0 {
			series = append(series, Series{Name: s.Name, Points: points, Reference: s.Reference})
		}
	}
	return series
}

func finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }
