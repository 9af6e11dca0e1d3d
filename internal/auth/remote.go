package auth

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

// How a remote JWK set is fetched.
const (
	fetchTimeout   = 10 * time.Second
	refreshEvery   = 10 * time.Minute
	refetchAtLeast = 10 * time.Second // between two fetches that unknown kids ask for
	maxSetBytes    = 1 << 20
)

// A remote is the address of a JWK set and the time of its last fetch.
type remote struct {
	url    string
	client *http.Client

	mu      sync.Mutex // held during a fetch: who comes meanwhile waits for its result
	fetched time.Time
}

// parseRemote returns nil for a secret that is no address. http is taken for
// this machine only: who can change the keys on their way can be anybody.
func parseRemote(secret string) (*remote, error) {
	if !strings.HasPrefix(secret, "https://") && !strings.HasPrefix(secret, "http://") {
		return nil, nil
	}
	u, err := url.Parse(secret)
	if err != nil || u.Hostname() == "" {
		return nil, errors.New("not a valid address of a JWK set")
	}
	if u.Scheme == "http" && !isLoopback(u.Hostname()) {
		return nil, errors.New("the address of a JWK set must begin with https:// (http:// only for this machine)")
	}
	return &remote{url: secret, client: &http.Client{Timeout: fetchTimeout}}, nil
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// Load fetches a remote set for the first time; other keys are there already.
func (k *Keys) Load(ctx context.Context) error {
	if k.remote == nil {
		return nil
	}
	k.remote.mu.Lock()
	defer k.remote.mu.Unlock()
	return k.fetch(ctx)
}

// Run keeps a remote set fresh until ctx is done. While its server is down or
// lies, the last good set stays.
func (k *Keys) Run(ctx context.Context, log *slog.Logger) error {
	if k.remote == nil {
		<-ctx.Done()
		return nil
	}
	ticker := time.NewTicker(refreshEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
			if err := k.Load(ctx); err != nil {
				log.Warn("the JWK set could not be refreshed; the last one stays", "error", err)
			}
		}
	}
}

// refetch looks for a key that is not in set and returns the set that is
// current then. It is rate limited, since anybody can make up a kid.
func (k *Keys) refetch(ctx context.Context, set *[]key) *[]key {
	k.remote.mu.Lock()
	defer k.remote.mu.Unlock()
	if k.set.Load() == set && time.Since(k.remote.fetched) >= refetchAtLeast {
		// A server that fails leaves the set as it is; Run reports it.
		_ = k.fetch(ctx)
	}
	return k.set.Load()
}

func (k *Keys) fetch(ctx context.Context) error {
	k.remote.fetched = time.Now()
	document, err := k.remote.get(ctx)
	if err != nil {
		return fmt.Errorf("auth: fetch the JWK set: %w", err)
	}
	set, err := parseSet(document)
	if err != nil {
		return fmt.Errorf("auth: fetch the JWK set: %w", err)
	}
	for i := range set {
		set[i].sign = nil
	}
	k.set.Store(&set)
	return nil
}

func (r *remote) get(ctx context.Context) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, r.url, nil)
	if err != nil {
		return nil, errors.New("not a valid address")
	}
	response, err := r.client.Do(request)
	if err != nil {
		var whole *url.Error // quotes the address, which may hold a secret
		if errors.As(err, &whole) {
			err = whole.Err
		}
		return nil, err
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("its server answers %s", response.Status)
	}
	document, err := io.ReadAll(io.LimitReader(response.Body, maxSetBytes))
	if err != nil {
		return nil, fmt.Errorf("read: %w", err)
	}
	return document, nil
}
