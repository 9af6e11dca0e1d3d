package suite

import (
	"fmt"
	"strings"

	"pgws/internal/bench/chart"
)

// A row of the table is a figure of runs that are made several times and, where there is one, the figure of the floor to
// compare it with: the prefix that stands before the same name there.
type row struct {
	what        string
	series      string
	figure      string
	floor       string // series
	floorPrefix string
}

// rows returns the table's rows. Their sizes are those of the plan.
func (z sizes) rows() []row {
	clients := grouped(z.clients) + " clients"
	alone := clients + ", " + grouped(z.few) + " single NOTIFYs"
	together := clients + ", " + grouped(5*z.few) + " NOTIFYs in bursts of 50"
	more := grouped(z.many) + " clients, " + grouped(z.few/5) + " single NOTIFYs"
	steady := clients + ", 20 NOTIFYs a second"
	const delivered, cost = "deliveries a second", "CPU a delivery, server"
	return []row{
		{grouped(z.idle) + " idle connections, a channel each: memory of one", idle, "memory a connection, after a wait", "", ""},
		{grouped(z.connect) + " handshakes, token verified: CPU of one", connect, "CPU a handshake, server", "", ""},
		{"the same: handshakes a second", connect, "handshakes a second", "", ""},
		{"the same: time of one, p99", connect, "time of a handshake, p99", "", ""},
		{alone + ": deliveries", singles, delivered, floor, "singles: "},
		{together + ": deliveries", bursts, delivered, floor, "bursts: "},
		{more + ": deliveries", many, delivered, floorMany, "singles: "},
		{steady + ": latency, p50", latency, "latency, p50", floor, "at a rate: "},
		{"the same: latency, p99", latency, "latency, p99", floor, "at a rate: "},
		{"the same: server CPU a delivery", latency, cost, floor, "at a rate: "},
		{grouped(senders(z)) + " senders to PostgreSQL: messages", ingest, "messages a second", "", ""},
		{"the same: server CPU a message", ingest, "CPU a message, server", "", ""},
		{grouped(z.listeners) + " channels of one client, in turn: deliveries", channels, delivered, "", ""},
		{"the same: server CPU a delivery", channels, cost, "", ""},
		{steady + ", others come and go: latency, p99", churn, "latency, p99", floor, "at a rate: "},
		{grouped(max(z.clients/2, 2)) + " clients, " + grouped(max(z.clients/50, 1)) + " of them do not read: deliveries to the others", slow, delivered, "", ""},
		{"the same: most memory of the server", slow, "memory, highest", "", ""},
	}
}

// table writes what the rows have measured. A row without a figure has a dash.
func (r *Results) table(out *strings.Builder) {
	z := full
	if r.About.Quick {
		z = quick
	}
	out.WriteString("| what | measured | floor | to the floor |\n|---|--:|--:|--:|\n")
	for _, row := range z.rows() {
		measured, floor, ratio := "–", "", ""
		values, unit := r.values(headline, row.series, row.figure)
		if len(values) > 0 {
			measured = withRange(values, unit)
		}
		if row.floor != "" {
			floor = "–"
			least, unit := r.values(headline, row.floor, row.floorPrefix+row.figure)
			if len(least) > 0 {
				floor = withRange(least, unit)
			}
			if len(least) > 0 && len(values) > 0 && median(least) > 0 {
				ratio = chart.Format(median(values)/median(least), "") + " ×"
			}
		}
		fmt.Fprintf(out, "| %s | %s | %s | %s |\n", row.what, measured, floor, ratio)
	}
}

// withRange writes the median of sorted values and, when there are several, how far apart they are.
func withRange(sorted []float64, unit string) string {
	text := "**" + chart.Format(median(sorted), unit) + "**"
	if len(sorted) > 1 {
		text += " (" + chart.Format(sorted[0], unit) + " to " + chart.Format(sorted[len(sorted)-1], unit) + ")"
	}
	return text
}
