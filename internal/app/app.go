// Package app is the composition root: it builds every room of the house from
// the settings, starts all, and stops all in the right order. It is the only
// importer of every room.
package app

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"

	"pgws/internal/auth"
	"pgws/internal/config"
	"pgws/internal/hub"
	"pgws/internal/metrics"
	"pgws/internal/page"
	"pgws/internal/postgres"
	"pgws/internal/server"
)

// Options say what to build.
type Options struct {
	Config  *config.Config
	Version string
	Log     *slog.Logger
	// Embedded leaves the public listener out: the host program routes requests
	// to Middleware.
	Embedded bool
	// Psql is a line for the shell, shown on the demo page. Empty: no demo page.
	Psql string
}

// App is a server that is built and not yet running.
type App struct {
	Options
	observer *metrics.Observer
	keys     *auth.Keys
	hub      *hub.Hub
	listener *postgres.Listener
	notifier *postgres.Notifier
	recorder *postgres.Recorder // nil without a procedure
	server   *server.Server
	public   net.Listener // nil when embedded
	admin    net.Listener // nil without an address
	started  chan struct{}
}

// New builds all and binds the listeners' ports; Run starts all.
func New(ctx context.Context, o Options) (*App, error) {
	a := &App{Options: o, observer: metrics.New(o.Version), started: make(chan struct{})}
	var err error
	if a.keys, err = ParseKeys(o.Config); err != nil {
		return nil, err
	}
	if err := a.buildMessages(); err != nil {
		return nil, err
	}
	if err := a.bind(ctx); err != nil {
		return nil, errors.Join(err, a.unbind())
	}
	return a, nil
}

// buildMessages builds what a message passes on its way.
func (a *App) buildMessages() error {
	c := a.Config
	uri, err := postgres.ParseURI(c.DatabaseURI)
	if err != nil {
		return fmt.Errorf("PGWS_DB_URI: %w", err)
	}
	a.hub = hub.New(hub.Options{MaxLag: int64(c.MaxLagBytes), Interval: c.WriteInterval, History: c.HistoryBytes, Observer: a.observer})
	if c.Recorder != "" {
		a.recorder = postgres.NewRecorder(postgres.RecorderOptions{
			Config:     uri.ConnConfig,
			Procedure:  c.Recorder,
			Channel:    c.ListenChannel,
			QueueBytes: c.QueueBytes,
			Log:        a.Log,
		})
	}
	a.notifier = postgres.NewNotifier(postgres.NotifierOptions{
		Config:      uri,
		Connections: c.PoolSize,
		Channel:     c.ListenChannel,
		QueueBytes:  c.QueueBytes,
		Observer:    a.observer,
		Log:         a.Log,
	})
	a.listener = postgres.NewListener(postgres.ListenerOptions{
		Config:        uri.ConnConfig,
		Channel:       c.ListenChannel,
		Retries:       c.Retries,
		CheckInterval: c.CheckInterval,
		Sink:          a.hub,
		Notifier:      a.notifier,
		Recorder:      a.recorder,
		Observer:      a.observer,
		Log:           a.Log,
	})
	a.server = server.New(server.Options{
		Hub:              a.hub,
		Publisher:        a.notifier,
		Keys:             a.keys,
		MetaChannel:      c.MetaChannel,
		MaxMessageBytes:  c.MaxMessageBytes,
		WriteTimeout:     c.WriteTimeout,
		NoTokenInPath:    !c.TokenInPath,
		TokenCookie:      c.TokenCookie,
		AllowedOrigins:   c.AllowedOrigins,
		MessageRate:      c.MessageRate,
		CompressMinBytes: c.CompressMinBytes,
		Observer:         a.observer,
		Log:              a.Log,
	})
	return nil
}

// bind opens the ports.
func (a *App) bind(ctx context.Context) (err error) {
	c := a.Config
	if c.AdminAddress != "" {
		if a.admin, err = new(net.ListenConfig).Listen(ctx, "tcp", c.AdminAddress); err != nil {
			return fmt.Errorf("PGWS_ADMIN_ADDR: %w", err)
		}
	}
	if a.Embedded {
		return nil
	}
	if c.RootPath != "" {
		if info, err := os.Stat(c.RootPath); err != nil || !info.IsDir() {
			return fmt.Errorf("PGWS_ROOT_PATH: %s is no folder", c.RootPath)
		}
	}
	var certificate *server.Certificate
	if c.CertificateFile != "" {
		if certificate, err = server.LoadCertificate(c.CertificateFile, c.KeyFile, a.Log); err != nil {
			return fmt.Errorf("PGWS_CERTIFICATE_FILE, PGWS_KEY_FILE: %w", err)
		}
	}
	if a.public, err = server.Listen(ctx, c.Host, c.Port); err != nil {
		return fmt.Errorf("PGWS_HOST, PGWS_PORT: %w", err)
	}
	if certificate != nil {
		a.public = tls.NewListener(a.public, certificate.TLS())
	}
	return nil
}

// unbind closes the ports that are open.
func (a *App) unbind() error {
	var errs []error
	for _, listener := range []net.Listener{a.admin, a.public} {
		if listener == nil {
			continue
		}
		if err := listener.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// Addr is the public listener's address, with the port that was taken.
func (a *App) Addr() net.Addr { return a.public.Addr() }

// AdminAddr is the admin listener's address; nil without one.
func (a *App) AdminAddr() net.Addr {
	if a.admin == nil {
		return nil
	}
	return a.admin.Addr()
}

// Started is closed when Run has started everything: LISTEN is proven and
// connections are accepted.
func (a *App) Started() <-chan struct{} { return a.started }

// Sign makes a token of claims, a JSON object, with the configured key.
func (a *App) Sign(claims []byte) (string, error) { return a.keys.Sign(claims) }

// Middleware takes websocket requests and leaves all others to next.
func (a *App) Middleware(next http.Handler) http.Handler { return a.server.Middleware(next) }

// Handler takes the requests of every transport and leaves all others to next.
func (a *App) Handler(next http.Handler) http.Handler { return a.server.Handler(next) }

// handler answers the public listener's requests.
func (a *App) handler() http.Handler {
	switch c := a.Config; {
	case c.RootPath != "":
		return a.Handler(server.Files(c.RootPath))
	case a.Psql != "":
		demo := page.Demo(page.DemoOptions{
			ListenChannel: c.ListenChannel,
			MetaChannel:   c.MetaChannel,
			Sign:          a.Sign,
			Psql:          a.Psql,
			Version:       a.Version,
		})
		others := a.Handler(demo)
		return a.Middleware(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.HasPrefix(r.URL.Path, page.DemoPrefix) { // It has a POST of its own.
				demo.ServeHTTP(w, r)
				return
			}
			others.ServeHTTP(w, r)
		}))
	}
	return a.Handler(page.Status(page.StatusOptions{Version: a.Version, Ready: a.Ready}))
}

// Ready returns what keeps the server from delivering messages, nil when
// nothing does.
func (a *App) Ready() error {
	select {
	case <-a.started:
	default:
		return errors.New("starting")
	}
	switch {
	case !a.server.Open():
		return errors.New("stopping")
	case !a.listener.Up():
		return errors.New("the listener has no connection to PostgreSQL")
	case a.notifier.Full():
		return errors.New("the send queue is full")
	}
	return nil
}

// Run starts all, serves until ctx is done, which is no error, and stops all.
func (a *App) Run(ctx context.Context) (err error) {
	defer func() { err = errors.Join(err, a.unbind()) }() // what was not reached is bound still
	if err := a.keys.Load(ctx); err != nil {
		if ctx.Err() != nil {
			return nil
		}
		setting := "PGWS_JWT_SECRET"
		if errors.Is(err, auth.ErrFallback) {
			setting = "PGWS_JWT_SECRET_FALLBACK"
		}
		return fmt.Errorf("%s: %w", setting, err)
	}
	if a.admin != nil {
		a.Log.Info("admin listener", "address", a.admin.Addr())
	}
	return supervise(ctx, a.services(), func() { close(a.started) })
}

// services returns what Run starts; each is started after, and stopped
// before, those above it.
func (a *App) services() []service {
	var services []service
	if a.admin != nil {
		admin := server.Admin(a.Ready, a.observer.Handler())
		services = append(services, service{name: "admin listener", run: a.serve(a.admin, admin)})
	}
	services = append(services,
		service{name: "hub", run: a.hub.Run})
	if a.recorder != nil {
		services = append(services, service{name: "PGWS_RECORDER", run: a.record})
	}
	services = append(services,
		service{name: "listener", run: a.listener.Run, started: a.listener.Listening()},
		service{name: "notifier", run: a.notifier.Run, started: a.notifier.Ready()},
		service{name: "keys", run: func(ctx context.Context) error { return a.keys.Run(ctx, a.Log) }},
		service{name: "sessions", run: a.server.Run, started: a.server.Running()})
	if a.public != nil {
		services = append(services,
			service{name: "memory", run: a.trim}, // a host program sees to its own
			service{name: "public listener", run: a.serve(a.public, a.handler())})
	}
	return services
}

// record records what the listener hears; so it ends after the listener, and
// begins when there is something to hear.
func (a *App) record(ctx context.Context) error {
	select {
	case <-a.listener.Listening():
		return a.recorder.Run(ctx)
	case <-ctx.Done():
		return nil
	}
}

// serve returns a service that answers HTTP on a listener.
func (a *App) serve(listener net.Listener, handler http.Handler) func(context.Context) error {
	return func(ctx context.Context) error { return server.Serve(ctx, listener, handler, a.Log) }
}
