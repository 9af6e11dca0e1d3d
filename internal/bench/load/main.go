// Command load measures a server of pgws' contract, see package bench:
//
//	go run ./internal/bench/load fanout --clients 1000
//
// Without --url it builds pgws and starts it, as a process of its own, on a PostgreSQL of its own. With --url it
// measures a running server; the key for tokens is then read from PGWS_JWT_SECRET, a plain text for HS256.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/signal"
	"reflect"
	"syscall"
	"time"

	"github.com/alecthomas/kong" //nolint:depguard // This is a command, though not below cmd.

	"pgws/internal/bench"
)

type commands struct {
	Idle    bench.Idle    `cmd:"" help:"What a connection costs that does nothing: memory, and the CPU to open it."`
	Fanout  bench.Fanout  `cmd:"" help:"Notifications to many clients of one channel: deliveries a second."`
	Latency bench.Latency `cmd:"" help:"From NOTIFY to many clients at a steady rate: how late."`
	Ingest  bench.Ingest  `cmd:"" help:"Clients' messages to PostgreSQL: messages a second."`

	URL           string        `name:"url" placeholder:"URL" help:"Measure this running server, such as ws://127.0.0.1:3000, with the key in PGWS_JWT_SECRET."`
	PID           int           `name:"pid" help:"Its process on this machine, to measure CPU and memory."`
	DB            string        `name:"db" env:"PGWS_DB_URI" placeholder:"URI" help:"Its PostgreSQL; in the environment when there is a password."`
	ListenChannel string        `env:"PGWS_LISTEN_CHANNEL" default:"postgres-websockets-listener" help:"Its listen channel."`
	Metrics       string        `placeholder:"URL" help:"Its figures, such as http://127.0.0.1:3001/metrics."`
	JSON          bool          `name:"json" help:"Print the result as JSON."`
	Timeout       time.Duration `default:"60s" help:"How long measuring may take."`
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "load:", err)
		os.Exit(1) //nolint:forbidigo // This is a command, though not below cmd.
	}
}

// run does what the arguments say. Help is no error.
func run(ctx context.Context, arguments []string, out, errOut io.Writer) (err error) {
	var c commands
	helped := false
	parser, err := kong.New(&c, kong.Name("load"), kong.Description("Measures pgws, or a server like it, from outside."),
		kong.Writers(out, errOut), kong.Exit(func(int) { helped = true }))
	if err != nil {
		return err
	}
	chosen, err := parser.Parse(arguments)
	if helped {
		return nil
	}
	if err != nil {
		return err
	}
	measurement, ok := reflect.TypeAssert[bench.Measurement](chosen.Selected().Target.Addr())
	if !ok {
		return fmt.Errorf("%s is no measurement", chosen.Command())
	}
	target, stop, err := c.target(ctx, errOut)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stop()) }()
	shown := &progress{out: errOut, terminal: isTerminal(errOut)}
	target.Progress = shown.show
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	report, err := measurement.Measure(ctx, target)
	shown.clear()
	if err != nil {
		return err
	}
	if c.JSON {
		return json.NewEncoder(out).Encode(report)
	}
	return report.Write(out)
}

// target is the server that the flags name, or else one of our own. The function ends what was started.
func (c *commands) target(ctx context.Context, errOut io.Writer) (*bench.Target, func() error, error) {
	if c.URL == "" {
		own, err := start(ctx, errOut)
		if err != nil {
			return nil, nil, err
		}
		return own.target(), own.stop, nil
	}
	u, err := url.Parse(c.URL)
	if err != nil || u.Port() == "" || u.Scheme != "ws" && u.Scheme != "http" {
		return nil, nil, errors.New("--url is not of the form ws://host:port")
	}
	return &bench.Target{
		Address:       u.Host,
		PID:           c.PID,
		Database:      c.DB,
		ListenChannel: c.ListenChannel,
		Secret:        []byte(os.Getenv("PGWS_JWT_SECRET")),
		Metrics:       c.Metrics,
	}, func() error { return nil }, nil
}
