// Command pgws joins browsers to PostgreSQL's LISTEN and NOTIFY.
package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"
	"time"

	"github.com/alecthomas/kong"

	"pgws/internal/app"
	"pgws/internal/config"
)

// version is set by the linker; a plain `go build` falls back to the module's.
var version string

type commands struct {
	Serve   serveCommand   `cmd:"" default:"1" help:"Serve, as the PGWS_ variables say. This is what pgws does without a command."`
	Dev     devCommand     `cmd:"" help:"Serve without any configuration: a PostgreSQL of its own, a demo page, a token."`
	Token   tokenCommand   `cmd:"" help:"Print a token, signed with PGWS_JWT_SECRET."`
	Sub     subCommand     `cmd:"" help:"Print the messages of channels as they come."`
	Pub     pubCommand     `cmd:"" help:"Send a message to a channel."`
	Bench   benchCommand   `cmd:"" help:"Measure this server, or one like it: how fast, how late, how large."`
	Version versionCommand `cmd:"" help:"Print the version."`
	Help    struct{}       `cmd:"" help:"Show this, and every variable."`
}

type serveCommand struct{}

func (serveCommand) Run(ctx context.Context) error {
	settings, err := config.Read(os.LookupEnv)
	if err != nil {
		return err
	}
	log := newLog(settings.LogLevel)
	if unknown := config.Unknown(os.Environ()); len(unknown) > 0 {
		log.Warn("variables that are no settings; see pgws help", "names", strings.Join(unknown, " "))
	}
	a, err := app.New(ctx, app.Options{Config: settings, Version: versionText(), Log: log})
	if err != nil {
		return err
	}
	log.Info("starting", "version", versionText(), "address", a.Addr())
	return a.Run(ctx)
}

type devCommand struct {
	Data string `placeholder:"DIR" help:"Keep the database in this folder."`
}

func (c devCommand) Run(ctx context.Context) error {
	level := os.Getenv("PGWS_LOG_LEVEL")
	return app.Dev(ctx, app.DevOptions{
		Dir: c.Data, Lookup: os.LookupEnv, Program: os.Args[0], Version: versionText(), Log: newLog(level), Out: os.Stdout,
	})
}

type tokenCommand struct {
	Mode    string        `default:"rw" enum:"r,w,rw" help:"r receives, w sends, rw both."`
	Channel []string      `placeholder:"NAME" sep:"none" help:"Allow this channel only; may be given more than once. Without: any channel in the address."`
	TTL     time.Duration `name:"ttl" default:"1h" help:"How long it is valid; 0 for ever."`
	Claim   []string      `placeholder:"NAME=VALUE" sep:"none" help:"A further claim; the value is JSON, or else a string."`
}

func (c tokenCommand) Run() error {
	token, err := app.Token(os.LookupEnv, app.TokenOptions{Mode: c.Mode, Channels: c.Channel, TTL: c.TTL, Claims: c.Claim})
	if err != nil {
		return err
	}
	_, err = fmt.Println(token)
	return err
}

type versionCommand struct{}

func (versionCommand) Run() error {
	_, err := fmt.Println("pgws", versionText())
	return err
}

func versionText() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(devel)"
}

// newLog returns a log on standard error. An unknown level was refused before,
// or else means info.
func newLog(level string) *slog.Logger {
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err != nil {
		l = slog.LevelInfo
	}
	return slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: l}))
}

// printHelp adds the variables to kong's help of the whole command.
func printHelp(options kong.HelpOptions, ctx *kong.Context) error {
	if err := kong.DefaultHelpPrinter(options, ctx); err != nil {
		return err
	}
	if ctx.Selected() != nil && ctx.Selected().Name != "serve" {
		return nil
	}
	return config.WriteHelp(ctx.Stdout)
}

func main() {
	// The first signal stops gently; after it the default is restored, so that
	// a second one ends the process at once.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// run returns the exit status: 0, 1 for a failure, 2 for wrong arguments.
func run(ctx context.Context, arguments []string, out, errOut io.Writer) int {
	if len(arguments) > 0 && arguments[0] == "help" {
		arguments = append(arguments[1:len(arguments):len(arguments)], "--help")
	}
	helped := false
	parser := kong.Must(new(commands),
		kong.Name("pgws"),
		kong.Description("Joins browsers to PostgreSQL: what a database NOTIFYs reaches the websockets that may hear it, and back."),
		kong.Help(printHelp), kong.ConfigureHelp(kong.HelpOptions{NoExpandSubcommands: true}), kong.Writers(out, errOut), kong.Exit(func(int) { helped = true }),
		kong.BindTo(ctx, (*context.Context)(nil)))
	command, err := parser.Parse(arguments)
	if helped {
		return 0
	}
	if err != nil {
		fmt.Fprintf(errOut, "pgws: %v; see pgws help\n", err)
		return 2
	}
	if err := command.Run(); err != nil {
		fmt.Fprintf(errOut, "pgws: %v\n", err)
		return 1
	}
	return 0
}
