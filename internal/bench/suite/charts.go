package suite

import (
	"cmp"
	"slices"

	"pgws/internal/bench"
	"pgws/internal/bench/chart"
)

// A figure is a chart of the report: of all runs of a group, or of their percentiles.
type figure struct {
	file  string // of the chart, without its ending, and of the notes
	title string
	how   string // what was measured
	group string
	x     axis
	y     axis // without a figure, since each line has its own
	lines []line
	// curves says that each run is a line, by its percentiles; y then names the figures that are percentiles too.
	curves bool
}

// An axis has the values of a figure that each run reports.
type axis struct {
	figure string
	label  string
	one    string // what one more, or twice as many, are of
	scale  chart.Scale
}

// A line is one series of runs.
type line struct {
	name      string
	series    string
	figure    string
	times     string // the figure is multiplied by this one, unless empty
	reference bool
}

// What several charts have.
const (
	deliveries = "deliveries a second"
	serverCPU  = "CPU a delivery, server"
	noticeSize = "bytes a notification"
	inBursts   = "bursts of 50"
	lone       = "singles"
)

var byClients = axis{"clients", "clients", "the clients", chart.Log}

// figures are the charts in the order of the report.
var figures = []*figure{
	{
		file: "throughput", title: "Throughput against clients", group: throughput,
		how: "Clients on one channel; NOTIFYs of 100 bytes as fast as they go, one or 50 in a transaction. The floor is writing " +
			"the same frames to as many sockets, with one frame a write or with 50.",
		x: byClients, y: axis{label: deliveries, scale: chart.Log},
		lines: []line{
			{name: lone, series: singles, figure: deliveries},
			{name: inBursts, series: bursts, figure: deliveries},
			{name: "floor, 1 a write", series: floor, figure: "singles: " + deliveries, reference: true},
			{name: "floor, 50 a write", series: floor, figure: "bursts: " + deliveries, reference: true},
		},
	},
	{
		file: "cpu", title: "CPU a delivery against clients", group: throughput,
		how: "The server's part in the same runs.",
		x:   byClients, y: axis{label: "server CPU a delivery", scale: chart.Log},
		lines: []line{
			{name: lone, series: singles, figure: serverCPU},
			{name: inBursts, series: bursts, figure: serverCPU},
			{name: "floor, 1 a write", series: floor, figure: "singles: " + serverCPU, reference: true},
			{name: "floor, 50 a write", series: floor, figure: "bursts: " + serverCPU, reference: true},
		},
	},
	{
		file: "steady", title: "CPU a delivery at a steady rate against clients", group: throughput,
		how: "As many NOTIFYs a second as make 20,000 deliveries, or one: every frame is a write of its own.",
		x:   byClients, y: axis{label: "server CPU a delivery"},
		lines: []line{
			{name: "steady", series: steady, figure: serverCPU},
			{name: "floor", series: floor, figure: "at a rate: " + serverCPU, reference: true},
		},
	},
	{
		file: "latency", title: "Latency percentiles", group: latency, curves: true,
		how: "From when the NOTIFY is due until a client has read it, at a steady rate, 100 bytes each.",
		x:   axis{label: "part of the deliveries that took no longer", scale: chart.Quantile},
		y:   axis{figure: "latency", label: "latency", scale: chart.Log},
	},
	{
		file: "rate", title: "Latency against rate", group: pace,
		how: "The same for one number of clients at several rates.",
		x:   axis{"notifications a second", "notifications a second", "the rate", chart.Log}, y: axis{label: "latency", scale: chart.Log},
		lines: []line{
			{name: "p50", series: pace, figure: "latency, p50"},
			{name: "p99", series: pace, figure: "latency, p99"},
			{name: "p99.9", series: pace, figure: "latency, p99.9"},
		},
	},
	{
		file: "memory", title: "Memory against connections", group: idle,
		how: "Connections that do nothing, some seconds after they were opened, each on a channel of its own or all on one. Each run " +
			"has a fresh server.",
		x: axis{"connections", "connections", "connection", chart.Linear}, y: axis{label: "resident memory of the server"},
		lines: []line{
			{name: "own channel each", series: own, figure: "memory, after a wait"},
			{name: "one channel", series: shared, figure: "memory, after a wait"},
		},
	},
	{
		file: "handshake", title: "CPU a handshake against connections", group: idle,
		how: "What it took to open them: TCP, HTTP, a token verified, and a 101.",
		x:   axis{"connections", "connections", "the connections", chart.Log}, y: axis{label: "server CPU a handshake"},
		lines: []line{
			{name: "own channel each", series: own, figure: "CPU a handshake, server"},
			{name: "one channel", series: shared, figure: "CPU a handshake, server"},
		},
	},
	{
		file: "channels", title: "CPU against channels", group: channels,
		how: "The same clients on one channel, on ten and so on, and as many deliveries each time: the more channels, the more " +
			"NOTIFYs that takes, 50 in a transaction. Where there are more channels than clients, most NOTIFYs are for nobody.",
		x: axis{"channels", "channels", "the channels", chart.Log}, y: axis{label: "server CPU", scale: chart.Log},
		lines: []line{
			{name: "a delivery", series: channels, figure: serverCPU},
			{name: "a notification", series: channels, figure: "CPU a notification, server"},
		},
	},
	{
		file: "size", title: "CPU against message size", group: size,
		how: "NOTIFYs of several lengths to clients of one channel, as fast as they go, one or 50 in a transaction.",
		x:   axis{noticeSize, "bytes a notification", "the bytes", chart.Log}, y: axis{label: "server CPU a delivery", scale: chart.Log},
		lines: []line{
			{name: lone, series: singles, figure: serverCPU},
			{name: inBursts, series: bursts, figure: serverCPU},
		},
	},
	{
		file: "volume", title: "Bytes a second against message size", group: size,
		how: "The same runs: payloads to all clients together, without what frames and TCP add.",
		x:   axis{noticeSize, "bytes a notification", "the bytes", chart.Log}, y: axis{label: "bytes delivered a second", scale: chart.Log},
		lines: []line{
			{name: lone, series: singles, figure: deliveries, times: noticeSize},
			{name: inBursts, series: bursts, figure: deliveries, times: noticeSize},
		},
	},
	{
		file: "messages", title: "Deliveries a second against message size", group: size,
		how: "The same, in messages.",
		x:   axis{noticeSize, "bytes a notification", "the bytes", chart.Log}, y: axis{label: deliveries, scale: chart.Log},
		lines: []line{
			{name: lone, series: singles, figure: deliveries},
			{name: inBursts, series: bursts, figure: deliveries},
		},
	},
	{
		file: "sent", title: "CPU of a message to PostgreSQL against its size", group: sent,
		how: "Clients send as fast as they go; PostgreSQL has the messages, and the server has heard them back.",
		x:   axis{"bytes a message", "bytes a message", "byte", chart.Linear}, y: axis{label: "server CPU a message"},
		lines: []line{{name: "a message", series: ingest, figure: "CPU a message, server"}},
	},
}

// draw makes the chart of what there are figures for.
func (f *figure) draw(r *Results) chart.Chart {
	c := chart.Chart{
		Title: f.title,
		X:     chart.Axis{Label: f.x.label, Scale: f.x.scale},
		Y:     chart.Axis{Label: f.y.label, Scale: f.y.scale},
	}
	if f.curves {
		c.Y.Unit = "s"
		for _, run := range r.Runs {
			if run.Group == f.group && run.Report != nil && len(run.Report.Percentiles) > 0 {
				c.Series = append(c.Series, chart.Series{Name: run.Series, Points: curve(run.Report.Percentiles)})
			}
		}
		return c
	}
	for _, l := range f.lines {
		points, unit := f.points(r, l)
		if len(points) > 0 {
			c.Y.Unit = unit
			c.Series = append(c.Series, chart.Series{Name: l.name, Points: points, Reference: l.reference})
		}
	}
	return c
}

func curve(percentiles []bench.Percentile) []chart.Point {
	points := make([]chart.Point, len(percentiles))
	for i, p := range percentiles {
		points[i] = chart.Point{X: p.Percent / 100, Y: p.Milliseconds / 1e3}
	}
	return points
}

// points returns those of a line, from left to right.
func (f *figure) points(r *Results, l line) (points []chart.Point, unit string) {
	for _, run := range r.Runs {
		if run.Group != f.group || run.Series != l.series {
			continue
		}
		x, _, hasX := value(run.Report, f.x.figure)
		y, u, hasY := value(run.Report, l.figure)
		if l.times != "" {
			factor, of, ok := value(run.Report, l.times)
			y, u, hasY = y*factor, of+u, hasY && ok
		}
		if hasX && hasY {
			points, unit = append(points, chart.Point{X: x, Y: y}), u
		}
	}
	slices.SortStableFunc(points, func(a, b chart.Point) int { return cmp.Compare(a.X, b.X) })
	return points, unit
}
