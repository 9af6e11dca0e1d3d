package suite

import (
	"cmp"
	"errors"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"pgws/internal/bench"
)

// invented are results as the whole plan might have: costs grow straight but for a bend or two, some runs have failed,
// and some were left out.
func invented(t *testing.T) *Results {
	t.Helper()
	r := &Results{About: About{
		Server: "pgws 1.2.3", Command: "pgws bench suite", Date: "2030-01-02",
		Machine: Machine{
			CPU: "A Processor", Cores: 2, Memory: 8 << 30, OS: "Some Linux 12", Kernel: "6.1.0", Congestion: "cubic",
			OpenFiles: 20000, Go: "go1.99 linux/amd64", PostgreSQL: "17.2",
		},
	}}
	for i, step := range plan(false) {
		run, err := step.run()
		if err != nil {
			t.Fatal(err)
		}
		switch {
		case step.files > r.About.Machine.OpenFiles:
			run.LeftOut = "it needs more files"
		case step.series == churn:
			run.Error = "bench: churn: `lost`; twice"
		default:
			run.Report = inventedReport(step, 1+float64(i*7%5)/20)
		}
		r.Runs = append(r.Runs, run)
	}
	return r
}

// inventedReport has the figures that a measurement would report, off by a factor.
func inventedReport(s step, off float64) *bench.Report {
	r := &bench.Report{}
	add := func(name string, value float64, unit string) {
		r.Figures = append(r.Figures, bench.Figure{Name: name, Value: value * off, Unit: unit})
	}
	exact := func(name string, value int, unit string) {
		r.Figures = append(r.Figures, bench.Figure{Name: name, Value: float64(value), Unit: unit})
	}
	late := func(prefix string, p50 float64) {
		for i, name := range quoted {
			add(prefix+"latency, "+name, p50*float64(i+1), "ms")
		}
		for i := range 33 {
			percent := 100 * (1 - math.Pow(10, -float64(i)/8))
			r.Percentiles = append(r.Percentiles, bench.Percentile{Percent: percent, Milliseconds: p50 / 2 * (1 + float64(i)/4)})
		}
	}
	spread := func(prefix string, clients, burst, bytes int) {
		cost := (4/float64(burst) + 0.001*float64(bytes) + float64(clients)/2e4) / 10
		add(prefix+"deliveries a second", 1e6/cost, "/s")
		add(prefix+"CPU a delivery, server", cost, "µs")
	}
	switch m := s.measurement.(type) {
	case *bench.Idle:
		exact("connections", m.Clients, "")
		each := 2300.0
		if m.OwnChannels {
			each = 2900
		}
		add("memory, after a wait", 18+each*float64(m.Clients)/(1<<20), "MiB")
		add("memory a connection, after a wait", each, "B")
		add("CPU a handshake, server", 65+float64(m.Clients)/1000, "µs")
	case *bench.Connect:
		add("CPU a handshake, server", 70, "µs")
		add("handshakes a second", 12000, "/s")
		add("time of a handshake, p99", 12, "ms")
	case *bench.Fanout:
		exact("clients", m.Clients, "")
		exact("bytes a notification", m.Bytes, "B")
		spread("", m.Clients, m.Burst, m.Bytes)
	case *bench.Latency:
		exact("clients", m.Clients, "")
		exact("notifications a second", m.Rate, "/s")
		late("", 0.006*float64(m.Clients)*(1+float64(m.Rate)/50))
		add("CPU a delivery, server", 6, "µs")
	case *bench.Ingest:
		exact("bytes a message", m.Bytes, "B")
		add("messages a second", 140e3, "/s")
		add("CPU a message, server", 4.5, "µs")
	case *bench.Channels:
		exact("channels", m.Channels, "")
		spread("", 1000, cmp.Or(50*m.Each/m.Channels, 1), 100)
		add("CPU a notification, server", 3/off, "µs")
	case *bench.Slow:
		spread("", m.Clients, 50, m.Bytes)
		add("memory, highest", 50, "MiB")
	case *bench.Floor:
		exact("clients", m.Clients, "")
		spread("singles: ", 10*m.Clients, 1, 1000)
		spread("bursts: ", 10*m.Clients, 25, 100)
		late("at a rate: ", 3)
		add("at a rate: CPU a delivery, server", 5.6, "µs")
	}
	return r
}

func TestReport(t *testing.T) {
	t.Parallel()
	golden, dir := filepath.Join("testdata", "report"), t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(golden)); err != nil {
		t.Fatal(err)
	}
	if err := invented(t).Write(dir); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"README.md", resultsFile} {
		got := read(t, dir, name)
		if *update {
			if err := os.WriteFile(filepath.Join(golden, name), []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if diff := gocmp.Diff(read(t, golden, name), got); diff != "" {
			t.Errorf("%s; -update writes it anew (-want +got):\n%s", name, diff)
		}
	}
	complete(t, dir)
}

// complete checks that a page shows all its charts, and no other.
func complete(t *testing.T, dir string) {
	t.Helper()
	page := read(t, dir, "README.md")
	for _, f := range figures {
		picture := read(t, dir, f.file+".svg")
		if !strings.Contains(page, "("+f.file+".svg)") || !strings.Contains(picture, f.title) {
			t.Errorf("%s is not as it should be:\n%s", f.file, picture)
		}
	}
	for _, link := range regexp.MustCompile(`\]\(([^)]*)\)`).FindAllStringSubmatch(page, -1) {
		read(t, dir, link[1])
	}
}

func read(t *testing.T, dir, name string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// TestReportAgain draws a report from what another has left.
func TestReportAgain(t *testing.T) {
	t.Parallel()
	first, second := t.TempDir(), t.TempDir()
	if err := invented(t).Write(first); err != nil {
		t.Fatal(err)
	}
	r, err := Load(first)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Write(second); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(first)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if diff := gocmp.Diff(read(t, first, e.Name()), read(t, second, e.Name())); diff != "" {
			t.Errorf("%s (-first +second):\n%s", e.Name(), diff)
		}
	}
}

// TestLabels draws results of other sizes than those of today's plan. Rows without runs are left out.
func TestLabels(t *testing.T) {
	t.Parallel()
	run := func(series, settings string) Run {
		return Run{Group: headline, Series: series, Settings: []byte(settings)}
	}
	r := &Results{Runs: []Run{
		run(singles, `{"Clients":777,"Messages":3333,"Burst":1}`),
		run(bursts, `{"Clients":777,"Messages":3333}`),
		run(latency, `{"Clients":55,"Rate":6,"OwnChannels":true}`),
	}}
	var out strings.Builder
	if err := r.table(&out); err != nil {
		t.Fatal(err)
	}
	want := `| what | measured | floor | to the floor |
|---|--:|--:|--:|
| 777 clients, 3,333 single NOTIFYs: deliveries | – | – |  |
| 777 clients, 3,333 NOTIFYs in bursts of ?: deliveries | – | – |  |
| 55 clients, 6 NOTIFYs a second: latency, p50 | – | – |  |
| the same: latency, p99 | – | – |  |
| the same: server CPU a delivery | – | – |  |
`
	if diff := gocmp.Diff(want, out.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if err := (&Results{Runs: []Run{run(singles, `7`)}}).table(&out); err == nil {
		t.Error("no error for settings that are none")
	}
}

func TestLoadFaults(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if _, err := Load(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no results: error %v", err)
	}
	if err := os.WriteFile(filepath.Join(dir, resultsFile), []byte(`{"runs": [{"name": 1}]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(dir); err == nil || !strings.Contains(err.Error(), resultsFile) {
		t.Errorf("other results: error %v", err)
	}
}

func TestWriteFaults(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := (&Results{}).Write(file); err == nil {
		t.Error("no error for a folder that is a file")
	}
	if err := os.MkdirAll(filepath.Join(dir, notesFolder, headline+".md"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := (&Results{}).Write(dir); err == nil || !strings.Contains(err.Error(), "notes") {
		t.Errorf("a note that is a folder: error %v", err)
	}
}
