package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/term"

	"pgws/client"
	"pgws/internal/app"
)

// clientFlags say which server sub and pub use, and as whom.
type clientFlags struct {
	URL       string `name:"url" env:"PGWS_URL" placeholder:"URL" help:"The server (http://127.0.0.1:3000)."`
	TokenFile string `placeholder:"FILE" help:"Read the token from this file, again whenever it is about to expire."`
}

// defaultURL is that of a server on this machine.
const defaultURL = "http://127.0.0.1:3000"

// aboutTokens is in the help of both commands. A token is no flag: everybody can see a process's arguments.
const aboutTokens = "The token is that of --token-file, or of the variable PGWS_TOKEN. " +
	"Without either, one is signed with PGWS_JWT_SECRET, which grants this and nothing else."

// signedFor is how long a token is valid that is signed here. It is renewed.
const signedFor = 5 * time.Minute

// dial connects. What happens to the connection is told by notices.
func (f *clientFlags) dial(ctx context.Context, mode string, channels []string, n *notices) (*client.Client, error) {
	token := func(context.Context) (string, error) { return f.token(mode, channels) }
	if _, err := token(ctx); err != nil {
		return nil, err
	}
	address := cmp.Or(f.URL, defaultURL) // An empty variable counts as unset.
	host := ""
	if u, err := url.Parse(address); err == nil {
		host = u.Host // without what else may stand in a URL
	}
	return client.Dial(ctx, client.Options{
		URL:     address,
		Token:   token,
		OnState: func(s client.State) { n.state(host, s) },
	})
}

func (f *clientFlags) token(mode string, channels []string) (string, error) {
	if f.TokenFile != "" {
		content, err := os.ReadFile(f.TokenFile)
		if err != nil {
			return "", fmt.Errorf("--token-file: %w", err)
		}
		return strings.TrimSpace(string(content)), nil
	}
	if token := os.Getenv("PGWS_TOKEN"); token != "" {
		return token, nil
	}
	if os.Getenv("PGWS_JWT_SECRET") == "" {
		return "", errors.New("no token: set PGWS_TOKEN, or PGWS_JWT_SECRET to sign one, or give --token-file FILE")
	}
	token, err := app.Token(os.LookupEnv, app.TokenOptions{Mode: mode, Channels: channels, TTL: signedFor})
	if err != nil {
		return "", fmt.Errorf("no token: set PGWS_TOKEN, or give --token-file FILE, since none can be signed: %w", err)
	}
	return token, nil
}

// haveNames refuses a channel without a name. It is one, but what stands there is most likely an unset variable.
func haveNames(channels ...string) error {
	if slices.Contains(channels, "") {
		return errors.New("a channel has no name")
	}
	return nil
}

// notices are lines on standard error about the connection, not about messages.
type notices struct {
	out io.Writer
	dim style
	// quiet ones tell of trouble alone.
	quiet bool
}

func newNotices() *notices { return &notices{out: os.Stderr, dim: styled(os.Stderr, dim)} }

func (n *notices) say(format string, values ...any) {
	fmt.Fprintln(n.out, n.dim.of(fmt.Sprintf(format, values...)))
}

func (n *notices) state(host string, s client.State) {
	switch {
	case s.Connected && s.Err != nil:
		n.say("the token cannot be renewed: %v", s.Err)
	case s.Connected && n.quiet:
	case s.Connected:
		n.say("connected to %s by %s", host, s.Transport)
	case s.Retry > 0:
		n.quiet = false // Who hears of a loss wants to hear of its end.
		n.say("%v; trying again in %.1f s", s.Err, s.Retry.Seconds())
	}
}

// A style is a terminal's escape sequence; empty elsewhere, and where the user wants none (no-color.org).
type style string

const (
	dim   style = "\x1b[2m"
	plain style = "\x1b[0m"
)

func styled(file *os.File, s style) style {
	if !term.IsTerminal(int(file.Fd())) || os.Getenv("NO_COLOR") != "" {
		return ""
	}
	return s
}

func (s style) of(text string) string {
	if s == "" {
		return text
	}
	return string(s) + text + string(plain)
}
