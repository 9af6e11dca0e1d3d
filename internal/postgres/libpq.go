package postgres

import (
	"context"
	"crypto/tls"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// hostTimeout is how long each host of a connection string may take to answer,
// unless connect_timeout says otherwise.
const hostTimeout = 5 * time.Second

// The keywords of libpq that the driver does not know and would hand to the
// server, which refuses them (PostgreSQL's docs, "Parameter Key Words").
var (
	// ignored make no difference to what connections are for here.
	ignored = []string{
		"keepalives", "keepalives_idle", "keepalives_interval", "keepalives_count", "tcp_user_timeout",
		"gssencmode", "gsslib", "gssdelegation", "sslcompression", "requiressl", "load_balance_hosts",
	}
	// refused would be a hole if they were ignored.
	refused = []string{"sslcrl", "sslcrldir", "requirepeer"}
)

// adapt makes the driver's reading of a connection string libpq's.
func adapt(config *pgconn.Config) error {
	parameters := config.RuntimeParams
	for _, name := range refused {
		if parameters[name] != "" {
			return fmt.Errorf("%s is not supported", name)
		}
	}
	take := func(name string) string {
		value := parameters[name]
		delete(parameters, name)
		return value
	}
	for _, name := range slices.Concat(ignored, refused) {
		take(name)
	}
	if name := take("fallback_application_name"); parameters["application_name"] == "" && name != "" {
		parameters["application_name"] = name
	}
	if address := take("hostaddr"); address != "" {
		config.LookupFunc = func(context.Context, string) ([]string, error) { return []string{address}, nil }
	}
	if config.ConnectTimeout == 0 {
		config.ConnectTimeout = hostTimeout
	}
	return limitTLS(config, take("ssl_min_protocol_version"), take("ssl_max_protocol_version"))
}

// limitTLS sets the versions of TLS for all hosts.
func limitTLS(config *pgconn.Config, least, most string) error {
	versions := map[string]uint16{"": 0, "TLSv1": tls.VersionTLS10, "TLSv1.1": tls.VersionTLS11, "TLSv1.2": tls.VersionTLS12, "TLSv1.3": tls.VersionTLS13}
	settings := []*tls.Config{config.TLSConfig}
	for _, fallback := range config.Fallbacks {
		settings = append(settings, fallback.TLSConfig)
	}
	for _, version := range []string{least, most} {
		if _, ok := versions[version]; !ok {
			return fmt.Errorf("%q is no version of TLS", version)
		}
	}
	for _, setting := range settings {
		if setting == nil {
			continue
		}
		if least != "" {
			setting.MinVersion = versions[least]
		}
		if most != "" {
			setting.MaxVersion = versions[most]
		}
	}
	return nil
}

// connectTimeout is how long connecting may take: each host has its time.
func connectTimeout(config *pgconn.Config) time.Duration {
	return config.ConnectTimeout*time.Duration(1+len(config.Fallbacks)) + hostTimeout
}
