package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"reflect"
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
	All      struct{}       `cmd:"" default:"1" help:"All of these, one after another, each on a fresh server."`
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

// Run measures what was chosen.
func (c *benchCommand) Run(ctx context.Context, chosen *kong.Context) error {
	if m, ok := reflect.TypeAssert[bench.Measurement](chosen.Selected().Target.Addr()); ok {
		return c.measure(ctx, m)
	}
	if chosen.Selected().Name == "suite" {
		return c.Suite.run(ctx, c)
	}
	for _, m := range []bench.Measurement{
		&c.Floor, &c.Idle, &c.Connect, &c.Fanout, &c.Channels, &c.Latency, &c.Churn, &c.Slow, &c.Ingest,
	} {
		if err := c.measure(ctx, m); err != nil {
			return err
		}
	}
	return nil
}

// suiteCommand are the settings of the suite.
type suiteCommand struct {
	Dir   string `placeholder:"DIR" default:"docs/benchmarks" help:"Where the report goes."`
	Quick bool   `help:"Very small runs, to see that all works."`
	Draw  bool   `help:"Measure nothing: draw the report again from its results.json."`
}

func (s *suiteCommand) run(ctx context.Context, c *benchCommand) error {
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
		Quick:    s.Quick,
		Server:   server,
		Command:  "pgws bench suite",
		Date:     time.Now(),
		Fresh:    c.target,
		Progress: func(run, runs int, name string) { bar.show(name, run-1, runs) },
	}).Run(ctx)
	bar.clear()
	return err
}

// measure runs one measurement and prints what it finds.
func (c *benchCommand) measure(ctx context.Context, m bench.Measurement) (err error) {
	target, stop, err := c.target(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stop()) }()
	bar := newBar(os.Stderr)
	target.Progress = bar.show
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	report, err := m.Measure(ctx, target)
	bar.clear()
	if err != nil {
		return err
	}
	if c.JSON {
		return json.NewEncoder(os.Stdout).Encode(report)
	}
	return report.Write(os.Stdout)
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
		Metrics:       c.Metrics,
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
