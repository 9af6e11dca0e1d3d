package app

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"regexp"
	"strings"
	"syscall"
	"time"

	"pgws/internal/config"
	"pgws/internal/devpg"
)

// DevOptions say how `pgws dev` runs.
type DevOptions struct {
	// Dir keeps the database; empty: it goes away at the end.
	Dir string
	// Lookup finds settings that the user has set nonetheless.
	Lookup config.Lookup
	// Program is how the user runs pgws.
	Program string
	Version string
	Log     *slog.Logger
	// Out is where the newcomer reads on.
	Out io.Writer
}

// devSettings take the place of defaults.
var devSettings = map[string]string{
	"PGWS_HOST":                    "127.0.0.1",
	"PGWS_META_CHANNEL":            "meta",
	"PGWS_CHECK_LISTENER_INTERVAL": "5000",
}

// devTokenTTL is how long the token that Dev prints is valid.
const devTokenTTL = 24 * time.Hour

// Dev serves without any configuration, on a PostgreSQL of its own, until ctx
// is done.
func Dev(ctx context.Context, o DevOptions) (err error) {
	cluster, err := devpg.Start(ctx, devpg.Options{Dir: o.Dir, Log: o.Log})
	if err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
	defer func() { err = errors.Join(err, cluster.Close()) }()
	a, err := newDev(ctx, o, cluster, "")
	if errors.Is(err, syscall.EADDRINUSE) && isUnset(o.Lookup, "PGWS_PORT") {
		a, err = newDev(ctx, o, cluster, "0") // any port is better than none
	}
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx) }()
	select {
	case <-a.Started():
		if err := welcome(o, a, cluster); err != nil {
			stop(err)
			return errors.Join(err, <-ended)
		}
	case err := <-ended:
		return err
	}
	select {
	case err := <-ended:
		return err
	case <-cluster.Done():
		stop(cluster.Err())
		return errors.Join(cluster.Err(), <-ended)
	}
}

func isUnset(lookup config.Lookup, name string) bool {
	value, _ := lookup(name)
	return value == ""
}

// newDev builds the app on the cluster. What the user has set stays, but for
// the database; port takes the place of the default one.
func newDev(ctx context.Context, o DevOptions, cluster *devpg.Cluster, port string) (*App, error) {
	secret := rand.Text() + rand.Text()
	settings, err := config.Read(func(name string) (string, bool) {
		if name == "PGWS_DB_URI" {
			return cluster.URI(), true
		}
		if !isUnset(o.Lookup, name) {
			return o.Lookup(name)
		}
		switch name {
		case "PGWS_JWT_SECRET":
			return secret, true
		case "PGWS_PORT":
			return port, true
		}
		value, ok := devSettings[name]
		return value, ok
	})
	if err != nil {
		return nil, err
	}
	return New(ctx, Options{Config: settings, Version: o.Version, Log: o.Log, Psql: cluster.Psql()})
}

// welcome prints what a newcomer needs next.
func welcome(o DevOptions, a *App, cluster *devpg.Cluster) error {
	_, port, err := net.SplitHostPort(a.Addr().String())
	if err != nil {
		return fmt.Errorf("the listener's address: %w", err)
	}
	claims, err := json.Marshal(map[string]any{"mode": "rw", "exp": time.Now().Add(devTokenTTL).Unix()})
	if err != nil {
		return fmt.Errorf("the token's claims: %w", err)
	}
	token, err := a.Sign(claims)
	if err != nil {
		return err
	}
	scheme, wsScheme := "http", "ws"
	if a.Config.CertificateFile != "" {
		scheme, wsScheme = "https", "wss"
	}
	_, err = fmt.Fprintf(o.Out, `
  pgws %[1]s is running with a PostgreSQL of its own.

  Demo page   %[2]s://localhost:%[4]s/
  Websocket   %[3]s://localhost:%[4]s/CHANNEL/TOKEN

  A token for any channel, to read and to write, for 24 hours. In another terminal:

  export PGWS_URL=%[2]s://localhost:%[4]s PGWS_TOKEN=%[5]s

  Listen      %[6]s sub chat
  Send        %[6]s pub chat hello
  By HTTP     curl -d hello -H "Authorization: Bearer $PGWS_TOKEN" $PGWS_URL/chat
  From SQL    %[7]s \
              -c "select pg_notify('%[8]s', json_build_object('channel','chat','payload','hello from SQL')::text)"

  Stop with Ctrl-C.

`, a.Version, scheme, wsScheme, port, token, shellWord(o.Program), cluster.Psql(), a.Config.ListenChannel)
	return err
}

// shellWord quotes what a shell would not take as one plain word.
func shellWord(text string) string {
	if plainWord.MatchString(text) {
		return text
	}
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}

var plainWord = regexp.MustCompile(`^[A-Za-z0-9_./+@%:,-]+$`)
