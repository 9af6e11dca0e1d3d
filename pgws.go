// Package pgws puts the server into a Go program of yours: what a PostgreSQL
// database NOTIFYs reaches the websockets that may hear it, whatever a
// websocket sends becomes a NOTIFY, and a JWT says who may do what.
//
//	server, err := pgws.New(pgws.Options{DatabaseURI: uri, Secret: secret})
//	…
//	go server.Run(ctx) // wait for it when ctx is done
//	http.ListenAndServe(":8080", server.Middleware(mux))
//
// Middleware answers websocket requests to /CHANNEL/TOKEN, /TOKEN and, with the token
// elsewhere, /CHANNEL and /; all others are for the handlers of the program.
// Handler answers event streams and messages by POST as well.
package pgws

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"

	"pgws/internal/app"
	"pgws/internal/config"
)

// Options configure a Server. Each stands for the variable of the stand-alone
// server that its comment names, and a zero value means that one's default.
// The environment is not read, but for libpq's own variables (PGHOST …).
type Options struct {
	// DatabaseURI is how to reach PostgreSQL (PGWS_DB_URI); required.
	DatabaseURI string
	// Secret verifies tokens (PGWS_JWT_SECRET); required.
	Secret string
	// SecretFallback is a second secret, whose tokens are good too
	// (PGWS_JWT_SECRET_FALLBACK).
	SecretFallback string
	// Audience and Issuer are what tokens must have (PGWS_JWT_AUDIENCE,
	// PGWS_JWT_ISSUER).
	Audience, Issuer string
	// Leeway is how much longer and earlier tokens are good (PGWS_JWT_LEEWAY).
	Leeway time.Duration
	// ClaimMode and ClaimChannels are where tokens have their mode and channels
	// (PGWS_CLAIM_MODE, PGWS_CLAIM_CHANNELS).
	ClaimMode, ClaimChannels string
	// DefaultMode is that of tokens without one (PGWS_DEFAULT_MODE).
	DefaultMode string
	// RequireChannels is the strict mode (PGWS_REQUIRE_CHANNELS): a token without
	// channels opens none.
	RequireChannels bool
	// ChannelPatterns allows patterns as channels of a token (PGWS_CHANNEL_PATTERNS).
	ChannelPatterns bool
	// NoTokenInPath refuses tokens in the address (PGWS_TOKEN_IN_PATH=False).
	NoTokenInPath bool
	// TokenCookie is the name of a cookie that may hold the token
	// (PGWS_TOKEN_COOKIE); it needs AllowedOrigins.
	TokenCookie string
	// AllowedOrigins are those of the pages that may connect, none means any
	// (PGWS_ALLOWED_ORIGINS).
	AllowedOrigins []string
	// ListenChannel is the database channel (PGWS_LISTEN_CHANNEL).
	ListenChannel string
	// MetaChannel is told of each connection opened (PGWS_META_CHANNEL).
	MetaChannel string
	// CheckInterval, in whole milliseconds, is how long a dead listener may go
	// unnoticed before it is replaced (PGWS_CHECK_LISTENER_INTERVAL). 0: a lost
	// listener ends Run with an error.
	CheckInterval time.Duration
	// PoolSize bounds the connections that issue NOTIFY (PGWS_POOL_SIZE).
	PoolSize int
	// Retries are the tries to connect at start (PGWS_RETRIES).
	Retries int
	// MaxMessageBytes bounds a client's message (PGWS_MAX_MESSAGE_BYTES).
	MaxMessageBytes int
	// MessageRate is how many messages a second one client may send
	// (PGWS_MESSAGE_RATE).
	MessageRate int
	// QueueBytes bounds what waits for PostgreSQL (PGWS_QUEUE_BYTES).
	QueueBytes int
	// MaxLagBytes is how far a client may fall behind (PGWS_MAX_LAG_BYTES).
	MaxLagBytes int
	// HistoryBytes is how much is kept for clients that come back
	// (PGWS_HISTORY_BYTES); 1 keeps the last message alone.
	HistoryBytes int
	// WriteTimeout is how long a write to a client may stall (PGWS_WRITE_TIMEOUT).
	WriteTimeout time.Duration
	// WriteInterval is the least time between two rounds of writing (PGWS_WRITE_INTERVAL).
	WriteInterval time.Duration
	// CompressMinBytes is the shortest message that is compressed
	// (PGWS_COMPRESS_MIN_BYTES); with 1 << 30 none is.
	CompressMinBytes int
	// AdminAddress is where /live, /ready and /metrics are served (PGWS_ADMIN_ADDR).
	AdminAddress string
	// Log is told what happens; nil means slog.Default. No token is ever logged.
	Log *slog.Logger
}

// Server is a pgws without a listener of its own.
type Server struct{ app *app.App }

// New checks the options and builds a server; Run starts it. The error names
// options at fault by their variables.
func New(o Options) (*Server, error) {
	values := o.values()
	settings, err := config.Read(func(name string) (string, bool) {
		value, ok := values[name]
		return value, ok
	})
	if err != nil {
		return nil, fmt.Errorf("pgws: %w", err)
	}
	log := o.Log
	if log == nil {
		log = slog.Default()
	}
	built, err := app.New(context.Background(), app.Options{Config: settings, Version: "embedded", Log: log, Embedded: true})
	if err != nil {
		return nil, fmt.Errorf("pgws: %w", err)
	}
	return &Server{app: built}, nil
}

// values are the options as the variables they stand for.
func (o *Options) values() map[string]string {
	values := map[string]string{
		"PGWS_DB_URI":              o.DatabaseURI,
		"PGWS_JWT_SECRET":          o.Secret,
		"PGWS_JWT_SECRET_FALLBACK": o.SecretFallback,
		"PGWS_JWT_AUDIENCE":        o.Audience,
		"PGWS_JWT_ISSUER":          o.Issuer,
		"PGWS_CLAIM_MODE":          o.ClaimMode,
		"PGWS_CLAIM_CHANNELS":      o.ClaimChannels,
		"PGWS_DEFAULT_MODE":        o.DefaultMode,
		"PGWS_TOKEN_COOKIE":        o.TokenCookie,
		"PGWS_ALLOWED_ORIGINS":     strings.Join(o.AllowedOrigins, " "),
		"PGWS_LISTEN_CHANNEL":      o.ListenChannel,
		"PGWS_META_CHANNEL":        o.MetaChannel,
		"PGWS_ADMIN_ADDR":          o.AdminAddress,
	}
	for name, number := range map[string]int{
		"PGWS_CHECK_LISTENER_INTERVAL": int(o.CheckInterval.Milliseconds()),
		"PGWS_POOL_SIZE":               o.PoolSize,
		"PGWS_RETRIES":                 o.Retries,
		"PGWS_MAX_MESSAGE_BYTES":       o.MaxMessageBytes,
		"PGWS_QUEUE_BYTES":             o.QueueBytes,
		"PGWS_MAX_LAG_BYTES":           o.MaxLagBytes,
		"PGWS_MESSAGE_RATE":            o.MessageRate,
		"PGWS_HISTORY_BYTES":           o.HistoryBytes,
		"PGWS_COMPRESS_MIN_BYTES":      o.CompressMinBytes,
	} {
		if number != 0 {
			values[name] = strconv.Itoa(number)
		}
	}
	for name, set := range map[string]bool{"PGWS_REQUIRE_CHANNELS": o.RequireChannels, "PGWS_CHANNEL_PATTERNS": o.ChannelPatterns} {
		if set {
			values[name] = "True"
		}
	}
	if o.NoTokenInPath {
		values["PGWS_TOKEN_IN_PATH"] = "False"
	}
	for name, d := range map[string]time.Duration{
		"PGWS_JWT_LEEWAY":     o.Leeway,
		"PGWS_WRITE_TIMEOUT":  o.WriteTimeout,
		"PGWS_WRITE_INTERVAL": o.WriteInterval,
	} {
		if d != 0 {
			values[name] = d.String()
		}
	}
	return values
}

// Run connects to PostgreSQL and serves until ctx is done; then it closes all
// websockets and sends what it has accepted, and returns nil. It returns an
// error when it cannot connect at start or cannot go on. It is called once.
func (s *Server) Run(ctx context.Context) error {
	if err := s.app.Run(ctx); err != nil {
		return fmt.Errorf("pgws: %w", err)
	}
	return nil
}

// Middleware takes websocket requests and leaves all others to next. Until Run
// has connected, and once it stops, websockets are refused with 503.
func (s *Server) Middleware(next http.Handler) http.Handler { return s.app.Middleware(next) }

// Handler takes the requests of every transport, event streams and messages by POST
// too, and answers 404 to all others. Event streams take the connection over, as
// websockets do.
func (s *Server) Handler() http.Handler { return s.app.Handler(http.NotFoundHandler()) }

// Started is closed when Run has connected and serves.
func (s *Server) Started() <-chan struct{} { return s.app.Started() }

// Ready returns what keeps the server from delivering messages, nil when
// nothing does: a readiness probe.
func (s *Server) Ready() error { return s.app.Ready() }
