package suite

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strconv"
	"strings"

	"pgws/internal/bench/chart"
)

// notesFolder holds what people have written about the figures: headline.md, and a file for each chart, by its name.
const notesFolder = "notes"

// quoted are the percentiles in the table of a chart of percentiles.
var quoted = []string{"p50", "p90", "p99", "p99.9", "longest"}

// markdown writes the page. A note is put in if there is one.
func (r *Results) markdown(notes fs.FS) ([]byte, error) {
	var out strings.Builder
	if err := r.introduction(&out); err != nil {
		return nil, err
	}
	if err := note(&out, notes, headline); err != nil {
		return nil, err
	}
	out.WriteString("\n## Charts\n\nBelow each chart stands what twice as much of one does to the other: 1.00 × is no change, " +
		"2.00 × is growing straight.\nEach point is one run.\n")
	for _, f := range figures {
		c := f.draw(r)
		if len(c.Series) == 0 {
			continue
		}
		fmt.Fprintf(&out, "\n### %s\n\n%s\n\n![%s](%s.svg)\n\n", f.title, f.how, f.title, f.file)
		facts := f.facts(c)
		for _, fact := range facts {
			fmt.Fprintf(&out, "- %s\n", fact)
		}
		if len(facts) > 0 {
			out.WriteString("\n")
		}
		f.table(&out, r, c)
		if err := note(&out, notes, f.file); err != nil {
			return nil, err
		}
	}
	return []byte(out.String()), nil
}

// introduction writes all that stands above the charts.
func (r *Results) introduction(out *strings.Builder) error {
	m := r.About.Machine
	fmt.Fprintf(out, "# Benchmarks\n\n%s, measured on %s. `%s` makes this page again, with the charts and `%s`;\n"+
		"notes in `%s/` stay. Generated: edit the notes, not the page.\n",
		r.About.Server, r.About.Date, r.About.Command, resultsFile, notesFolder)
	if r.About.Planned > 0 {
		fmt.Fprintf(out, "\n**The suite was interrupted after %d of %d runs.**\n", len(r.Runs), r.About.Planned)
	}
	if r.About.Quick {
		out.WriteString("\n**A quick run: everything is so small that the figures mean nothing.**\n")
	}
	r.list(out, "Failed", func(run Run) string { return run.Error })
	r.list(out, "Left out", func(run Run) string { return run.LeftOut })
	out.WriteString("\n## Machine\n\nThe clients run on it and, unless an address above says otherwise, the server and PostgreSQL beside them.\n\n| | |\n|---|---|\n")
	for _, line := range [][2]string{
		{"CPU", strings.TrimSpace(m.CPU + ", " + strconv.Itoa(m.Cores) + " cores")},
		{"Memory", fmt.Sprintf("%.1f GiB", float64(m.Memory)/(1<<30))},
		{"System", m.OS + ", kernel " + m.Kernel},
		{"Congestion control", m.Congestion},
		{"Open files", strconv.Itoa(m.OpenFiles)},
		{"PostgreSQL", m.PostgreSQL},
		{"Go", m.Go},
	} {
		fmt.Fprintf(out, "| %s | %s |\n", line[0], line[1])
	}
	out.WriteString("\n## In short\n\nThe median of several runs, with the least and the most. The floor is what this machine asks for " +
		"prepared frames and\n`send`, without a server. More deliveries than the floor's are no wonder: a server that is behind " +
		"sends many by one write.\n\n")
	return r.table(out)
}

// list writes the runs about which there is something to tell.
func (r *Results) list(out *strings.Builder, title string, tell func(Run) string) {
	empty := true
	for _, run := range r.Runs {
		if text := tell(run); text != "" {
			if empty {
				fmt.Fprintf(out, "\n## %s\n\n", title)
				empty = false
			}
			fmt.Fprintf(out, "- %s: `%s`\n", run.Name, strings.ReplaceAll(text, "`", "'"))
		}
	}
}

// note puts a note in, below an empty line.
func note(out *strings.Builder, notes fs.FS, name string) error {
	text, err := fs.ReadFile(notes, name+".md")
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("suite: notes: %w", err)
	}
	fmt.Fprintf(out, "\n%s\n", strings.TrimSpace(string(text)))
	return nil
}

// table writes a chart's points, or the quoted percentiles of its runs.
func (f *figure) table(out *strings.Builder, r *Results, c chart.Chart) {
	if f.curves {
		fmt.Fprintf(out, "| | %s |\n|---|%s\n", strings.Join(quoted, " | "), strings.Repeat("--:|", len(quoted)))
		for _, s := range c.Series {
			fmt.Fprintf(out, "| %s |", s.Name)
			for _, percentile := range quoted {
				out.WriteString(" " + cell(r.values(f.group, s.Name, f.y.figure+", "+percentile)) + " |")
			}
			out.WriteString("\n")
		}
		return
	}
	rows := map[float64][]string{}
	names := make([]string, len(c.Series))
	for i, s := range c.Series {
		names[i] = s.Name
		for _, p := range s.Points {
			if rows[p.X] == nil {
				rows[p.X] = slices.Repeat([]string{"–"}, len(c.Series))
			}
			rows[p.X][i] = chart.Format(p.Y, c.Y.Unit)
		}
	}
	fmt.Fprintf(out, "| %s | %s |\n|--:|%s\n", f.x.label, strings.Join(names, " | "), strings.Repeat("--:|", len(names)))
	for _, x := range slices.SortedFunc(maps.Keys(rows), cmp.Compare[float64]) {
		fmt.Fprintf(out, "| %s | %s |\n", grouped(int(x)), strings.Join(rows[x], " | "))
	}
}

// cell writes the median, or a dash when there is nothing.
func cell(sorted []float64, unit string) string {
	if len(sorted) == 0 {
		return "–"
	}
	return chart.Format(median(sorted), unit)
}
