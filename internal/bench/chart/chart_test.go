package chart_test

import (
	"bytes"
	"encoding/xml"
	"errors"
	"flag"
	"io"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"pgws/internal/bench/chart"
)

var update = flag.Bool("update", false, "write the golden files")

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// charts are one of each kind that there is, and what a series may do to a chart.
func charts() map[string]chart.Chart {
	clients := chart.Axis{Label: "clients", Scale: chart.Log}
	rate := chart.Axis{Label: "deliveries a second", Unit: "/s", Scale: chart.Log}
	return map[string]chart.Chart{
		"log": {
			Title: "Deliveries a second against clients", X: clients, Y: rate,
			Series: []chart.Series{
				{Name: "singles", Points: []chart.Point{{100, 1.1e6}, {1000, 6.5e6}, {5000, 3.5e6}, {10000, 3.2e6}, {18000, 3e6}}},
				{Name: "bursts of 50", Points: []chart.Point{{100, 8e6}, {1000, 2e7}, {5000, 2.2e7}, {10000, 1.9e7}, {18000, 1.7e7}}},
				{Name: "floor, 1 frame a write", Reference: true, Points: []chart.Point{{100, 2e5}, {1000, 1.6e5}, {5000, 1.2e5}, {18000, 1e5}}},
				{Name: "floor, 50 frames", Reference: true, Points: []chart.Point{{100, 5e6}, {1000, 4.5e6}, {5000, 3.4e6}, {10000, 3.1e6}}},
			},
		},
		"linear": {
			Title: "Memory against connections",
			X:     chart.Axis{Label: "connections"}, Y: chart.Axis{Label: "resident memory", Unit: "B"},
			Series: []chart.Series{
				{Name: "own channel each", Points: []chart.Point{{100, 19.6e6}, {1000, 22e6}, {5000, 33e6}, {10000, 46e6}, {18000, 67e6}}},
				{Name: "one channel", Points: []chart.Point{{100, 19.5e6}, {1000, 21.4e6}, {5000, 30e6}, {10000, 41e6}, {18000, 59e6}}},
			},
		},
		"quantile": {
			Title: "Latency, from NOTIFY to client",
			X:     chart.Axis{Label: "part of the deliveries that is not later", Scale: chart.Quantile},
			Y:     chart.Axis{Label: "latency", Unit: "s"},
			Series: []chart.Series{
				{Name: "100 clients", Points: []chart.Point{{0, 2e-4}, {.5, 6e-4}, {.9, 9e-4}, {.99, 1.4e-3}, {.999, 2e-3}, {1, 3e-3}}},
				{Name: "1,000 clients", Points: []chart.Point{{0, 1e-3}, {.5, 5e-3}, {.75, 6e-3}, {.9, 8e-3}, {.99, 11e-3}, {.999, 14e-3}, {.9999, 16e-3}}},
				{Name: "5,000 clients", Points: []chart.Point{{0, 2e-3}, {.5, 22e-3}, {.9, 36e-3}, {.99, 41e-3}, {.999, 44e-3}, {.9999, 52e-3}}},
			},
		},
		"curve": {
			Title: "More points than marks", X: chart.Axis{Label: "part", Scale: chart.Quantile}, Y: rate,
			Series: []chart.Series{{Name: "curve", Points: curve()}, {Name: "flat", Reference: true, Points: []chart.Point{{.1, 20}, {.9999, 20}}}},
		},
		"crowded": {
			Title: "Seven names, some at one height", X: clients, Y: chart.Axis{Label: "CPU a delivery", Unit: "s"},
			Series: []chart.Series{
				{Name: "one", Points: []chart.Point{{1, 1e-6}, {10, 1.1e-7}}},
				{Name: "two", Points: []chart.Point{{1, 9e-7}, {10, 1.1e-7}}},
				{Name: "three", Points: []chart.Point{{1, 8e-7}, {5, 3e-7}}},
				{Name: "four", Points: []chart.Point{{1, 7e-7}, {10, 1e-7}}},
				{Name: "five", Points: []chart.Point{{1, 6e-7}, {10, 9e-8}}},
				{Name: "six", Points: []chart.Point{{1, 5e-7}, {10, 0}}},
				{Name: "reference", Reference: true, Points: []chart.Point{{1, 4e-7}, {10, 0}}},
			},
		},
		"escaped": {
			Title: `<script>"R&D"</script>`, X: chart.Axis{Label: "a < b"}, Y: chart.Axis{Label: "b > a", Unit: "&"},
			Series: []chart.Series{{Name: "</text>", Points: []chart.Point{{1, 1}}}, {Name: "'", Points: []chart.Point{{2, 1000}}}},
		},
		"wide": {
			Title: "More powers of ten than other marks have room", X: clients, Y: chart.Axis{Label: "CPU", Unit: "s", Scale: chart.Log},
			Series: []chart.Series{{Points: []chart.Point{{1, 2e-9}, {10, 1e-3}, {100, 1e-6}, {100_000, 1000}}}},
		},
		"one quantile": {
			Title: "One quantile", X: chart.Axis{Scale: chart.Quantile}, Y: rate,
			Series: []chart.Series{{Points: []chart.Point{{0, 999}}}},
		},
		"one point":  {Title: "One point", X: clients, Y: rate, Series: []chart.Series{{Points: []chart.Point{{100, 1000}}}}},
		"all zero":   {Title: "All zero", Series: []chart.Series{{Points: []chart.Point{{0, 0}}}}},
		"no figures": {Title: "No figures", X: clients, Y: rate},
		"no place for the figures": {
			Title: "No place for the figures", X: clients, Y: rate,
			Series: []chart.Series{{Points: []chart.Point{{0, 1}, {1, 0}, {-1, 1}, {math.NaN(), 1}, {1, math.Inf(1)}}}},
		},
	}
}

func curve() []chart.Point {
	points := make([]chart.Point, 33)
	for i := range points {
		points[i] = chart.Point{X: 1 - math.Pow(10, -float64(i)/8), Y: 10 + float64(i*i)}
	}
	return points
}

func TestSVG(t *testing.T) {
	t.Parallel()
	for name, c := range charts() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := c.SVG()
			wellFormed(t, got)
			path := filepath.Join("testdata", name+".svg")
			if *update {
				if err := os.WriteFile(path, got, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), string(got)); diff != "" {
				t.Errorf("-update writes it anew (-want +got):\n%s", diff)
			}
		})
	}
}

// wellFormed checks that a picture is XML and has no number that is none.
func wellFormed(t *testing.T, svg []byte) {
	t.Helper()
	for _, bad := range []string{"NaN", "Inf"} {
		if bytes.Contains(svg, []byte(bad)) {
			t.Errorf("%s in:\n%s", bad, svg)
		}
	}
	for decoder := xml.NewDecoder(bytes.NewReader(svg)); ; {
		if _, err := decoder.Token(); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			t.Fatalf("%v:\n%s", err, svg)
		}
	}
}
