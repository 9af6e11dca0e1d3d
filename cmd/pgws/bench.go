package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/alecthomas/kong"

	"pgws/internal/app"
	"pgws/internal/bench"
	"pgws/internal/bench/local"
	"pgws/internal/bench/suite"
	"pgws/internal/config"
)

// benchCommand has the measurements as its commands. Their settings are the fields of package bench.
type benchCommand struct {
	All      struct{}       `cmd:"" default:"1" help:"All of these, one after another, and what counts in short. This is what bench does without a command."`
	Idle     bench.Idle     `cmd:"" help:"What a connection costs that does nothing: memory."`
	Connect  bench.Connect  `cmd:"" help:"Opening connections: handshakes a second."`
	Fanout   bench.Fanout   `cmd:"" help:"Notifications to many clients of one channel: deliveries a second."`
	Channels bench.Channels `cmd:"" help:"Notifications to many channels with few clients each."`
	Latency  bench.Latency  `cmd:"" help:"Notifications to many clients at a steady rate: how late they come."`
	Churn    bench.Churn    `cmd:"" help:"The same while clients come and go."`
	Slow     bench.Slow     `cmd:"" help:"Notifications while some clients do not read."`
	Ingest   bench.Ingest   `cmd:"" help:"Clients' messages to PostgreSQL: messages a second."`
	Floor    bench.Floor    `cmd:"" help:"What raw socket writes cost on this machine, without any server."`
	Suite    suiteCommand   `cmd:"" help:"Many of these, and a report with charts. Takes about ten minutes."`

	URL     string        `name:"url" placeholder:"URL" help:"Measure this running server, such as ws://127.0.0.1:3000. Its variables are read as it reads them: PGWS_DB_URI, PGWS_JWT_SECRET, PGWS_LISTEN_CHANNEL."`
	PID     int           `name:"pid" placeholder:"ID" help:"Its process on this machine, to measure CPU and memory."`
	Metrics string        `placeholder:"URL" help:"Its figures, such as http://127.0.0.1:3001/metrics."`
	JSON    bool          `name:"json" help:"Print each result as a line of JSON."`
	Timeout time.Duration `default:"2m" placeholder:"TIME" help:"How long one measurement may take (2m)."`
}

// Help says what stands above the commands.
func (c *benchCommand) Help() string {
	return "Without --url, this program starts itself as a server, with a PostgreSQL of its own, afresh for each measurement. " +
		"Every message is checked: a figure is printed only if all have come, each once and in order."
}

// Run measures what was chosen.
func (c *benchCommand) Run(ctx context.Context, chosen *kong.Context) error {
	if m, ok := reflect.TypeAssert[bench.Measurement](chosen.Selected().Target.Addr()); ok {
		_, err := c.measure(ctx, m)
		return err
	}
	if chosen.Selected().Name == "suite" {
		return c.Suite.run(ctx, c)
	}
	return c.all(ctx)
}

// all makes one measurement after another. One that fails does not keep the others from being made.
func (c *benchCommand) all(ctx context.Context) error {
	measurements := []bench.Measurement{
		&c.Floor, &c.Idle, &c.Connect, &c.Fanout, &c.Channels, &c.Latency, &c.Churn, &c.Slow, &c.Ingest,
	}
	if c.URL != "" && c.PID == 0 {
		fmt.Fprintln(os.Stderr, "pgws: idle is left out: it needs the server's process, --pid")
		measurements = slices.Delete(measurements, 1, 2)
	}
	var reports []*bench.Report
	var errs []error
	for _, m := range measurements {
		report, err := c.measure(ctx, m)
		if ctx.Err() != nil {
			return errors.Join(append(errs, err)...)
		}
		if err != nil {
			errs = append(errs, err)
			continue
		}
		reports = append(reports, report)
	}
	if !c.JSON {
		errs = append(errs, inShort(reports).Write(os.Stdout))
	}
	return errors.Join(errs...)
}

// inShort has the figures by which servers are compared.
func inShort(reports []*bench.Report) *bench.Report {
	short := &bench.Report{Measurement: "in short"}
	for _, wanted := range []struct{ measurement, figure string }{
		{"idle", "memory a connection, after a wait"},
		{"connect", "CPU a handshake, server"},
		{"fanout", "deliveries a second"},
		{"channels", "deliveries a second"},
		{"latency", "latency, p50"},
		{"latency", "latency, p99"},
		{"latency", "CPU a delivery, server"},
		{"churn", "latency, p99"},
		{"slow", "memory, highest"},
		{"ingest", "messages a second"},
		{"ingest", "CPU a message, server"},
		{"floor", "singles: deliveries a second"},
		{"floor", "bursts: deliveries a second"},
		{"floor", "at a rate: latency, p50"},
		{"floor", "at a rate: latency, p99"},
		{"floor", "at a rate: CPU a delivery, server"},
	} {
		for _, r := range reports {
			for _, f := range r.Figures {
				if r.Measurement == wanted.measurement && f.Name == wanted.figure {
					short.Figures = append(short.Figures, bench.Figure{Name: r.Measurement + ": " + f.Name, Value: f.Value, Unit: f.Unit})
				}
			}
		}
	}
	return short
}

// suiteCommand are the settings of the suite.
type suiteCommand struct {
	Dir   string `placeholder:"DIR" default:"docs/benchmarks" help:"Where the report goes."`
	Quick bool   `help:"Very small runs, to see that all works."`
	Draw  bool   `help:"Measure nothing: draw the report again from its results.json."`
}

func (s *suiteCommand) run(ctx context.Context, c *benchCommand) error {
	if c.JSON {
		return errors.New("the suite prints no JSON: it writes results.json beside its report")
	}
	if s.Draw {
		results, err := suite.Load(s.Dir)
		if err != nil {
			return err
		}
		return results.Write(s.Dir)
	}
	server := "pgws " + versionText()
	if c.URL != "" {
		server = c.URL
	}
	bar := newBar(os.Stderr)
	err := (&suite.Suite{
		Dir:      s.Dir,
		Timeout:  c.Timeout,
		Quick:    s.Quick,
		Server:   server,
		Command:  strings.Join(append([]string{"pgws"}, os.Args[1:]...), " "),
		Date:     time.Now(),
		Fresh:    c.target,
		Progress: func(run, runs int, name string) { bar.show(name, run-1, runs) },
	}).Run(ctx)
	bar.clear()
	if err == nil {
		fmt.Println("The report:", filepath.Join(s.Dir, "README.md"))
	}
	return err
}

// measure runs one measurement and prints what it finds.
func (c *benchCommand) measure(ctx context.Context, m bench.Measurement) (report *bench.Report, err error) {
	target, stop, err := &bench.Target{}, func() error { return nil }, error(nil)
	if _, ok := m.(*bench.Floor); !ok { // The floor has no server.
		target, stop, err = c.target(ctx)
	}
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, stop()) }()
	bar := newBar(os.Stderr)
	target.Progress = bar.show
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	report, err = m.Measure(ctx, target)
	bar.clear()
	if err != nil {
		return nil, err
	}
	if c.JSON {
		return report, json.NewEncoder(os.Stdout).Encode(report)
	}
	return report, report.Write(os.Stdout)
}

// target is the server that the flags name, or else a fresh one of our own. The function ends what was started.
func (c *benchCommand) target(ctx context.Context) (*bench.Target, func() error, error) {
	if c.URL == "" {
		return startLocal(ctx)
	}
	u, err := url.Parse(c.URL)
	if err != nil || u.Port() == "" || u.Scheme != "ws" && u.Scheme != "http" {
		return nil, nil, errors.New("--url is not of the form ws://host:port")
	}
	settings, err := config.Read(os.LookupEnv)
	if err != nil {
		return nil, nil, err
	}
	keys, err := app.ParseKeys(settings)
	if err != nil {
		return nil, nil, err
	}
	secret := keys.Secret()
	if secret == nil {
		return nil, nil, errors.New("PGWS_JWT_SECRET: no HS256 key, with which the clients' tokens are signed")
	}
	return &bench.Target{
		Address:       u.Host,
		PID:           c.PID,
		Database:      settings.DatabaseURI,
		ListenChannel: settings.ListenChannel,
		Secret:        secret,
		Claims: func(mode, channel string) map[string]any {
			return keys.Rules.Claims(mode, []string{channel})
		},
		Metrics: c.Metrics,
	}, func() error { return nil }, nil
}

// startLocal starts this very binary as a server, with a PostgreSQL.
func startLocal(ctx context.Context) (*bench.Target, func() error, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, nil, fmt.Errorf("find our own program: %w", err)
	}
	server, err := local.Start(ctx, program, os.Stderr)
	if err != nil {
		return nil, nil, err
	}
	return server.Target(), server.Stop, nil
}
