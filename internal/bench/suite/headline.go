package suite

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"

	"pgws/internal/bench/chart"
)

// A row of the table is a figure of runs that are made several times and, where there is one, the figure of the floor to
// compare it with: the prefix that stands before the same name there. What was measured has $Clients and the like for the
// settings that the runs were made with, which are not those of today's plan when an old report is drawn again.
type row struct {
	what        string
	series      string
	figure      string
	floor       string // series
	floorPrefix string
}

// What several rows have.
const (
	steadily = "$Clients clients, $Rate NOTIFYs a second"
	single   = "$Clients clients, $Messages single NOTIFYs: deliveries"
)

// rows are the table's. "The same" is the series above.
var rows = []row{
	{"$Clients idle connections, a channel each: memory of one", idle, "memory a connection, after a wait", "", ""},
	{"$Clients handshakes, token verified: CPU of one", connect, "CPU a handshake, server", "", ""},
	{"the same: handshakes a second", connect, "handshakes a second", "", ""},
	{"the same: time of one, p99", connect, "time of a handshake, p99", "", ""},
	{single, singles, deliveries, floor, "singles: "},
	{"$Clients clients, $Messages NOTIFYs in bursts of $Burst: deliveries", bursts, deliveries, floor, "bursts: "},
	{single, many, deliveries, floorMany, "singles: "},
	{steadily + ": latency, p50", latency, "latency, p50", floor, "at a rate: "},
	{"the same: latency, p99", latency, "latency, p99", floor, "at a rate: "},
	{"the same: server CPU a delivery", latency, serverCPU, floor, "at a rate: "},
	{"$Senders senders to PostgreSQL: messages", ingest, "messages a second", "", ""},
	{"the same: server CPU a message", ingest, "CPU a message, server", "", ""},
	{"$Channels channels of one client, in turn: deliveries", channels, deliveries, "", ""},
	{"the same: server CPU a delivery", channels, serverCPU, "", ""},
	{steadily + ", others come and go: latency, p99", churn, "latency, p99", floor, "at a rate: "},
	{"$Clients clients, $Deaf of them do not read: deliveries to the others", slow, deliveries, "", ""},
	{"the same: most memory of the server", slow, "memory, highest", "", ""},
}

// table writes what the rows have measured. A row whose runs have no figure has a dash; one without runs is left out.
func (r *Results) table(out *strings.Builder) error {
	out.WriteString("| what | measured | floor | to the floor |\n|---|--:|--:|--:|\n")
	for _, row := range rows {
		what, ok, err := r.label(row)
		if err != nil {
			return err
		}
		if !ok {
			continue
		}
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
		fmt.Fprintf(out, "| %s | %s | %s | %s |\n", what, measured, floor, ratio)
	}
	return nil
}

// label says what a row has measured, by the settings of its first run: all of a series have the same. A setting that
// was not recorded is a question mark.
func (r *Results) label(row row) (what string, ok bool, err error) {
	first := slices.IndexFunc(r.Runs, func(run Run) bool { return run.Group == headline && run.Series == row.series })
	if first < 0 {
		return "", false, nil
	}
	var settings map[string]any
	if err := json.Unmarshal(r.Runs[first].Settings, &settings); err != nil {
		return "", false, fmt.Errorf("suite: settings of %s: %w", r.Runs[first].Name, err)
	}
	return os.Expand(row.what, func(name string) string {
		if n, ok := settings[name].(float64); ok {
			return grouped(int(n))
		}
		return "?"
	}), true, nil
}

// withRange writes the median of sorted values and, when there are several, how far apart they are.
func withRange(sorted []float64, unit string) string {
	text := "**" + chart.Format(median(sorted), unit) + "**"
	if len(sorted) > 1 {
		text += " (" + chart.Format(sorted[0], unit) + " to " + chart.Format(sorted[len(sorted)-1], unit) + ")"
	}
	return text
}
