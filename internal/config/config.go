// Package config reads the settings: environment variables called PGWS_….
//
// One table, Settings, holds each variable's name, default, meaning and
// parser; help texts and the README's table come from it. The package imports
// no other of this module.
package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"
)

// Config is what the settings say.
type Config struct {
	DatabaseURI  string
	Secret       string
	SecretBase64 bool // the fallback too
	// SecretFallback verifies tokens that Secret has not signed; empty: there is none.
	SecretFallback string
	// Audience and Issuer are what tokens must have; empty: any, or none.
	Audience string
	Issuer   string
	Leeway   time.Duration
	// ClaimMode and ClaimChannels are paths into a token's claims; empty: the usual ones.
	ClaimMode     string
	ClaimChannels string
	DefaultMode   string // empty: tokens must have one
	// RequireChannels is the strict mode: a token without channels opens none.
	RequireChannels bool
	ChannelPatterns bool
	TokenInPath     bool
	TokenCookie     string // its name; empty: none is read
	// AllowedOrigins are as browsers write them, or begin with SCHEME://*. for all
	// subdomains; none: any origin.
	AllowedOrigins []string
	Host           string
	Port           int
	ListenChannel  string
	MetaChannel    string
	RootPath       string
	Recorder       string // the name of a function or procedure
	PoolSize       int
	Retries        int
	// CheckInterval of 0: a lost listener ends the server.
	CheckInterval   time.Duration
	CertificateFile string
	KeyFile         string
	AdminAddress    string
	MaxMessageBytes int
	MessageRate     int // a second; 0: any
	QueueBytes      int
	MaxLagBytes     int
	HistoryBytes    int // 0: none is kept
	WriteTimeout    time.Duration
	// WriteInterval of 0: what there is, is written at once.
	WriteInterval time.Duration
	// CompressMinBytes of 0: nothing is compressed.
	CompressMinBytes int
	LogLevel         string
}

// Lookup finds an environment variable, as os.LookupEnv does.
type Lookup func(name string) (value string, ok bool)

// Read parses all settings. An empty variable counts as unset. The error has a
// line for every setting at fault that names it, and never quotes a secret.
func Read(lookup Lookup) (*Config, error) {
	c := new(Config)
	var faults []error
	for _, s := range Settings {
		value, _ := lookup(s.Name)
		if value == "" {
			value = s.Default
		}
		if value == "" {
			if s.Required {
				faults = append(faults, fmt.Errorf("%s is not set: %s", s.Name, s.Doc))
			}
			continue
		}
		if err := s.parse(c, value); err != nil {
			faults = append(faults, fmt.Errorf("%s: %w", s.Name, err))
		}
	}
	if (c.CertificateFile == "") != (c.KeyFile == "") {
		faults = append(faults, errors.New("PGWS_CERTIFICATE_FILE and PGWS_KEY_FILE: set both or none"))
	}
	if c.TokenCookie != "" && c.AllowedOrigins == nil {
		faults = append(faults, errors.New("PGWS_TOKEN_COOKIE: needs PGWS_ALLOWED_ORIGINS, since browsers send cookies for whichever page asks"))
	}
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	return c, nil
}

// Unknown returns the variables of an environment (NAME=value) that begin with
// PGWS_ and are no settings: most likely misspelt.
func Unknown(environment []string) []string {
	ofClients := []string{"PGWS_URL", "PGWS_TOKEN"} // pgws sub and pgws pub read these.
	var unknown []string
	for _, variable := range environment {
		name, _, _ := strings.Cut(variable, "=")
		if !strings.HasPrefix(name, "PGWS_") || slices.Contains(ofClients, name) {
			continue
		}
		if !slices.ContainsFunc(Settings, func(s Setting) bool { return s.Name == name }) {
			unknown = append(unknown, name)
		}
	}
	return unknown
}

// fromFile returns value itself or, for "@path", what the file holds. The error
// leaves the path out: it may be a secret that happens to begin with "@".
func fromFile(value string) (string, error) {
	path, ok := strings.CutPrefix(value, "@")
	if !ok {
		return value, nil
	}
	content, err := os.ReadFile(path)
	if err != nil {
		if whole, ok := errors.AsType[*fs.PathError](err); ok {
			err = whole.Err
		}
		return "", fmt.Errorf("read the file: %w", err)
	}
	return string(content), nil
}
