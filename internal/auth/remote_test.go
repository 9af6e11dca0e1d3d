package auth_test

import (
	"compress/gzip"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"pgws/internal/auth"
)

// A keyServer serves a JWK set by TLS, as its answer of the moment says.
type keyServer struct {
	*httptest.Server
	answer atomic.Pointer[http.HandlerFunc]
}

func newKeyServer(t *testing.T, answer http.HandlerFunc) *keyServer {
	t.Helper()
	s := new(keyServer)
	s.answer.Store(&answer)
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		(*s.answer.Load())(w, r)
	}))
	s.EnableHTTP2 = true
	s.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	s.StartTLS()
	t.Cleanup(s.Close)
	return s
}

// keys returns keys whose address is that of the server, with things in it that
// no error may show.
func (s *keyServer) keys(t *testing.T) *auth.Keys {
	t.Helper()
	keys := parseKeys(t, strings.Replace(s.URL, "https://", "https://user:hidden-password@", 1)+"/keys?key=hidden-parameter")
	keys.SetTransport(s.Client().Transport)
	return keys
}

// text answers with a document.
func text(document string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, document) }
}

// pair returns a private key's JWK and its public half.
func pair(raw any, kid string) (private, public string) {
	private = jwkOf(raw, member{"kid", kid})
	return private, publicOf(private)
}

func TestRemoteSet(t *testing.T) {
	t.Parallel()
	private, public := pair(edKey(), "a")
	octets := jwkOf(hmacKey, member{"kid", "octets"})
	server := newKeyServer(t, func(w http.ResponseWriter, r *http.Request) {
		if user, password, _ := r.BasicAuth(); r.URL.RequestURI() != "/keys?key=hidden-parameter" || user != "user" || password != "hidden-password" {
			http.Error(w, "not the address", http.StatusNotFound)
			return
		}
		text(setOf(octets, `{"kty":"XYZ"}`, `{"kty":"RSA","n":"AA","e":"AQAB"}`, x25519(""), jwkOf(rsaKey(), member{"alg", "RSA-OAEP"}), public))(w, r)
	})
	keys := server.keys(t)
	if err := keys.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	granted(t, keys, signedBy(t, private))
	// These would be signed by whoever has read the set. As there is no such key, Run would be asked for one.
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, token := range []string{
		signedBy(t, octets), hmacToken(`{"alg":"HS256","kid":"octets"}`, goodClaims, string(hmacKey)),
		hmacToken(`{"alg":"HS256"}`, goodClaims, string(hmacKey)), hmacToken(`{"alg":"HS256","kid":"a"}`, goodClaims, public),
	} {
		if _, err := authorize(ctx, keys, token, "chat"); err == nil || err.Error() != noKey {
			t.Errorf("an HMAC key that is public: %v", err)
		}
	}
}

// A private key in a remote set verifies, and is never used to sign.
func TestRemotePrivateKeyDoesNotSign(t *testing.T) {
	t.Parallel()
	private, _ := pair(edKey(), "a")
	keys := newKeyServer(t, text(private)).keys(t)
	if err := keys.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	granted(t, keys, signedBy(t, private))
	if token, err := keys.Sign([]byte(goodClaims)); err == nil {
		t.Errorf("signed %s", token)
	}
}

func TestRemoteRedirects(t *testing.T) {
	t.Parallel()
	private, public := pair(edKey(), "a")
	plain := httptest.NewServer(text(public))
	t.Cleanup(plain.Close)
	var server *keyServer
	server = newKeyServer(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/keys" {
			http.Redirect(w, r, server.URL+"/moved", http.StatusMovedPermanently)
			return
		}
		text(public)(w, r)
	})
	keys := server.keys(t)
	if err := keys.Load(t.Context()); err != nil {
		t.Fatalf("from https to https: %v", err)
	}
	granted(t, keys, signedBy(t, private))

	fromPlain := httptest.NewServer(http.RedirectHandler(plain.URL, http.StatusFound))
	t.Cleanup(fromPlain.Close)
	keys = parseKeys(t, fromPlain.URL)
	const want = "auth: fetch the JWK set: its server redirects to an address without https"
	if err := keys.Load(t.Context()); err == nil || err.Error() != want {
		t.Errorf("from http to http: got %v, want %s", err, want)
	}
}

// Whatever its server answers, the set that was fetched before stays.
func TestRemoteFaults(t *testing.T) {
	t.Parallel()
	plain := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("https was left") }))
	t.Cleanup(plain.Close)
	_, public := pair(p256Key(), "b")
	const none, neither = "the JWK set has no key for signatures", "neither a valid JWK nor a JWK set (RSA keys need 2048 bits or more)"
	tests := map[string]struct {
		answer http.HandlerFunc
		text   string // empty: any
	}{
		"HTML":              {text("<!doctype html><title>hidden-document</title>"), neither},
		"nothing":           {text(""), neither},
		"null":              {text("null"), neither},
		"a list":            {text("[" + public + "]"), neither},
		"no set":            {text(`{"error":"hidden-document"}`), neither},
		"an empty set":      {text(`{"keys":[]}`), none},
		"half a set":        {text(setOf(public)[:100]), neither},
		"HMAC keys":         {text(setOf(jwkOf(hmacKey))), none},
		"an HMAC key":       {text(jwkOf(hmacKey)), none},
		"only unknown keys": {text(setOf(`{"kty":"XYZ"}`, x25519(""))), none},
		"text":              {text(secret), neither},
		"no content":        {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }, "its server answers with status 204"},
		"status 500": {func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, public, http.StatusInternalServerError)
		}, "its server answers with status 500"},
		"too long":         {text(`{"x":"` + strings.Repeat("x", 1<<20) + `","keys":[` + public + `]}`), "longer than 1048576 bytes"},
		"too many keys":    {text(setOf(strings.Repeat(`{},`, 2000) + public)), neither},
		"endless":          {endless, "longer than 1048576 bytes"},
		"endless, zipped":  {zipped, "longer than 1048576 bytes"},
		"deep":             {text(strings.Repeat(`{"keys":[`, 100_000)), neither},
		"torn":             {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, ""},
		"leaves https":     {http.RedirectHandler(plain.URL, http.StatusFound).ServeHTTP, "its server redirects to an address without https"},
		"redirects to ftp": {http.RedirectHandler("ftp://id.example/", http.StatusFound).ServeHTTP, "its server redirects to an address without https"},
		"redirects for ever": {http.RedirectHandler("/keys?key=hidden-parameter", http.StatusFound).ServeHTTP,
			"its server redirects too often"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			private, good := pair(edKey(), "a")
			server := newKeyServer(t, tt.answer)
			keys := server.keys(t)
			fails := func() {
				t.Helper()
				err := keys.Load(t.Context())
				if err == nil {
					t.Fatal("taken")
				}
				if want := "auth: fetch the JWK set: " + tt.text; tt.text != "" && err.Error() != want {
					t.Errorf("got %q, want %q", err, want)
				}
				if strings.Contains(err.Error(), "hidden") || reveals(err.Error(), public) {
					t.Errorf("%q shows a secret", err)
				}
			}
			fails()
			works := text(good)
			server.answer.Store(&works)
			if err := keys.Load(t.Context()); err != nil {
				t.Fatal(err)
			}
			server.answer.Store(&tt.answer)
			fails()
			granted(t, keys, signedBy(t, private))
		})
	}
}

func endless(w http.ResponseWriter, _ *http.Request) {
	for line := []byte(strings.Repeat(" ", 4096)); ; {
		if _, err := w.Write(line); err != nil {
			return
		}
	}
}

func zipped(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Encoding", "gzip")
	out := gzip.NewWriter(w)
	_, _ = io.CopyN(out, zeros{}, 8<<20)
	_ = out.Close()
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

func TestRemoteIsAway(t *testing.T) {
	t.Parallel()
	private, public := pair(edKey(), "a")
	server := newKeyServer(t, text(public))
	keys := server.keys(t)
	if err := keys.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	server.Close()
	if err := keys.Load(t.Context()); err == nil || strings.Contains(err.Error(), "hidden") {
		t.Errorf("from a server that is away: %v", err)
	}
	granted(t, keys, signedBy(t, private))
}

// Whoever does not trust the server's certificate gets no keys from it.
func TestRemoteCertificate(t *testing.T) {
	t.Parallel()
	_, public := pair(edKey(), "a")
	server := newKeyServer(t, text(public))
	keys := parseKeys(t, server.URL)
	err := keys.Load(t.Context())
	if err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("got %v", err)
	}
}

func TestRemoteHangs(t *testing.T) {
	t.Parallel()
	asked, release := make(chan struct{}), make(chan struct{})
	server := newKeyServer(t, func(_ http.ResponseWriter, r *http.Request) {
		asked <- struct{}{}
		select {
		case <-r.Context().Done():
		case <-release:
		}
	})
	t.Cleanup(func() { close(release) })
	keys := server.keys(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error)
	go func() { ended <- keys.Load(ctx) }()
	<-asked
	cancel()
	if err := <-ended; err == nil || strings.Contains(err.Error(), "hidden") {
		t.Errorf("got %v", err)
	}
}

func TestKeysOfTheConfiguration(t *testing.T) {
	t.Parallel()
	keys := parseKeys(t, secret)
	if err := keys.Load(t.Context()); err != nil {
		t.Errorf("load: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- keys.Run(ctx, nil) }()
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("run: %v", err)
	}
}

// No connection, and no goroutine of one, stays between fetches.
func TestRemoteKeepsNoConnection(t *testing.T) {
	t.Parallel()
	_, public := pair(edKey(), "a")
	server := httptest.NewUnstartedServer(text(public))
	closed := make(chan struct{}, 1)
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateClosed {
			closed <- struct{}{}
		}
	}
	server.Start()
	t.Cleanup(server.Close)
	transport := new(http.Transport) // The default one loses its idle connections whenever a server of httptest closes.
	t.Cleanup(transport.CloseIdleConnections)
	keys := parseKeys(t, server.URL)
	keys.SetTransport(transport)
	if err := keys.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	select {
	case <-closed:
	case <-time.After(10 * time.Second):
		t.Error("the connection stays open")
	}
}
