package js_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	js "pgws/clients/js"
)

// A front stands before pgws, as a proxy does: it serves a page with the client, signs tokens, hands on the rest, and
// fails as a network does.
type front struct {
	url    string
	pgws   atomic.Pointer[string] // its address
	tokens atomic.Int64           // signed so far

	noWebsockets atomic.Bool // an upgrade is refused, as many a company's proxy does
	down         atomic.Bool // nothing comes through

	mu    sync.Mutex
	conns map[net.Conn]bool
}

// startFront starts one, which ends with the test. Its page has a cookie that is a token.
func startFront(t *testing.T, pgws string) *front {
	t.Helper()
	f := &front{conns: make(map[net.Conn]bool)}
	f.lead(pgws)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /page", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		http.SetCookie(w, &http.Cookie{Name: "pgws", Value: sign(`{"mode":"rw","sub":"me"}`), HttpOnly: true})
		fmt.Fprint(w, `<!doctype html><link rel="icon" href="data:,"><script type="module">
			import { PgwsError, connect } from "/pgws.js";
			Object.assign(window, { PgwsError, connect });
		</script>`)
	})
	mux.HandleFunc("GET /pgws.js", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/javascript")
		_, _ = w.Write(js.Source) // The browser is there until it has it.
	})
	mux.HandleFunc("GET /token", f.token)
	mux.Handle("/", f.proxy())
	server := httptest.NewUnstartedServer(mux)
	server.Listener = cuttable{server.Listener, f}
	server.Start()
	t.Cleanup(func() {
		f.cut()
		server.Close()
	})
	f.url = server.URL
	return f
}

// lead sends what comes from now on to a server.
func (f *front) lead(pgws string) { f.pgws.Store(&pgws) }

func (f *front) proxy() http.Handler {
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.URL.Scheme, r.Out.URL.Host = "http", *f.pgws.Load()
		},
		FlushInterval: -1,
		ErrorHandler:  func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) },
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case f.down.Load():
			w.WriteHeader(http.StatusBadGateway)
		case f.noWebsockets.Load() && r.Header.Get("Upgrade") != "":
			w.WriteHeader(http.StatusForbidden)
		default:
			proxy.ServeHTTP(w, r)
		}
	})
}

// token signs the claims of the query: mode, channels, and after how many seconds it expires.
func (f *front) token(w http.ResponseWriter, r *http.Request) {
	f.tokens.Add(1)
	query := r.URL.Query()
	life := time.Hour
	if text := query.Get("life"); text != "" {
		var err error
		if life, err = time.ParseDuration(text); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
	}
	claims := map[string]any{"mode": "rw", "sub": "me", "exp": time.Now().Add(life).Unix()}
	if query.Has("mode") {
		claims["mode"] = query.Get("mode")
	}
	if query.Has("channel") {
		claims["channels"] = query["channel"]
	}
	text, err := json.Marshal(claims)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	fmt.Fprint(w, sign(string(text)))
}

// sign makes a token by hand, so that nothing of pgws is trusted to do it.
func sign(claims string) string {
	text := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"HS256"}`)) + "." + base64.RawURLEncoding.EncodeToString([]byte(claims))
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(text))
	return text + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// publish sends a text to the channel a past the front, as another client does.
func (f *front) publish(t *testing.T, text string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+*f.pgws.Load()+"/a", strings.NewReader(text))
	check(t, err)
	request.Header.Set("Authorization", "Bearer "+sign(`{"mode":"w"}`))
	response, err := http.DefaultClient.Do(request)
	check(t, err)
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		t.Fatalf("publishing %q: %s", text, response.Status)
	}
}

// cut breaks all connections with the front.
func (f *front) cut() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for conn := range f.conns {
		_ = conn.Close() // It may have been closed already.
		delete(f.conns, conn)
	}
}

// cuttable is a listener that remembers its connections.
type cuttable struct {
	net.Listener
	front *front
}

func (l cuttable) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err == nil {
		l.front.mu.Lock()
		l.front.conns[conn] = true
		l.front.mu.Unlock()
	}
	return conn, err
}
