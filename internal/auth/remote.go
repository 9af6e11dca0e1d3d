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
	refetchAtLeast = 10 * time.Second // between two fetches that unknown keys ask for
	maxSetBytes    = 1 << 20
	maxRedirects   = 5
)

// A remote is where a JWK set is fetched from. After Load only Run fetches, so
// that there is one fetch at a time and none ends with the client that asked.
type remote struct {
	url    string
	client *http.Client
	// asked carries to Run, from each token whose key is missing, a channel that
	// Run closes when the set is as new as it may be.
	asked chan chan struct{}
}

// parseRemote returns nil for a secret that is no address. http is taken for
// this machine only: who can change the keys on their way can be anybody.
func parseRemote(secret string) (*remote, error) {
	scheme, _, ok := strings.Cut(secret, "://")
	if !ok || !strings.EqualFold(scheme, "https") && !strings.EqualFold(scheme, "http") {
		return nil, nil
	}
	u, err := url.Parse(secret)
	if err != nil || u.Hostname() == "" {
		return nil, errors.New("not a valid address of a JWK set")
	}
	if u.Scheme == "http" && !isLoopback(u.Hostname()) {
		return nil, errors.New("the address of a JWK set must begin with https:// (http:// only for this machine)")
	}
	return &remote{
		url:    secret,
		client: &http.Client{Timeout: fetchTimeout, CheckRedirect: checkRedirect},
		asked:  make(chan chan struct{}),
	}, nil
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return strings.EqualFold(host, "localhost") || ip != nil && ip.IsLoopback()
}

// checkRedirect follows a few redirects, and only to https.
func checkRedirect(next *http.Request, via []*http.Request) error {
	switch {
	case next.URL.Scheme != "https":
		return errors.New("its server redirects to an address without https")
	case len(via) > maxRedirects:
		return errors.New("its server redirects too often")
	}
	return nil
}

// ErrFallback tells that an error of Load is the fallback's.
var ErrFallback = errors.New("the fallback")

// Load fetches the remote sets; other keys are there already. It is called once
// before Run.
func (k *Keys) Load(ctx context.Context) error {
	for i, s := range k.sources {
		if s.remote == nil {
			continue
		}
		err := s.load(ctx)
		switch {
		case err != nil && i > 0:
			return fmt.Errorf("auth: fetch the JWK set of %w: %w", ErrFallback, err)
		case err != nil:
			return fmt.Errorf("auth: fetch the JWK set: %w", err)
		}
	}
	return nil
}

func (s *source) load(ctx context.Context) error {
	document, err := s.remote.get(ctx)
	if err != nil {
		return err
	}
	if old := s.set.Load(); old.keys != nil && old.document == string(document) {
		return nil // and the tokens that it knows stay known
	}
	set, err := parsePublicSet(document)
	if err != nil {
		return err
	}
	s.set.Store(&keySet{keys: set, document: string(document)})
	return nil
}

// Run keeps remote sets fresh until ctx is done: it fetches each from time to time,
// and when a token's key is missing from it. Anybody can make up such a token, so
// these fetches are rate limited. While a set's server is down or lies, the last
// good set stays.
func (k *Keys) Run(ctx context.Context, log *slog.Logger) error {
	var refreshing sync.WaitGroup
	for _, s := range k.sources {
		if s.remote != nil {
			refreshing.Go(func() { s.refresh(ctx, log) })
		}
	}
	<-ctx.Done()
	refreshing.Wait()
	return nil
}

func (s *source) refresh(ctx context.Context, log *slog.Logger) {
	ticker := time.NewTicker(refreshEvery)
	defer ticker.Stop()
	fetched := time.Now() // by Load
	for {
		var asked chan struct{}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		case asked = <-s.remote.asked:
		}
		if asked == nil || time.Since(fetched) >= refetchAtLeast {
			if err := s.load(ctx); err != nil && ctx.Err() == nil {
				log.Warn("a JWK set could not be refreshed; the last one stays", "error", err)
			}
			fetched = time.Now()
		}
		if asked != nil {
			close(asked)
		}
	}
}

// refetch asks Run for a newer set, waits for it, at most as long as a fetch may
// take, and returns the set that is current then.
func (s *source) refetch(ctx context.Context) *keySet {
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	fetched := make(chan struct{})
	select {
	case s.remote.asked <- fetched:
		select {
		case <-fetched:
		case <-ctx.Done():
		}
	case <-ctx.Done():
	}
	return s.set.Load()
}

// get returns the document at the remote's address.
func (r *remote) get(ctx context.Context) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, r.url, nil)
	if err != nil {
		return nil, errors.New("not a valid address")
	}
	request.Close = true // Fetches are rare; an idle connection would cost more than it saves.
	response, err := r.client.Do(request)
	if err != nil {
		if whole, ok := errors.AsType[*url.Error](err); ok {
			err = whole.Err // The whole quotes the address, which may hold a secret.
		}
		return nil, err
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("its server answers with status %d", response.StatusCode)
	}
	document, err := io.ReadAll(io.LimitReader(response.Body, maxSetBytes+1))
	if err != nil {
		return nil, fmt.Errorf("read: %w", err)
	}
	if len(document) > maxSetBytes {
		return nil, fmt.Errorf("longer than %d bytes", maxSetBytes)
	}
	return document, nil
}
