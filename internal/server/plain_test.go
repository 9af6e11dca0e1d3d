package server

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"
)

// aToken looks like one.
const aToken = "eyJhbGciOiJub25lIn0.e30.c2ln"

func TestRoute(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		path      string
		elsewhere string // a token
		late      bool
		forbidden bool // tokens in the path are
		want      call
		err       error
	}{
		"both":                       {path: "/chat/t.o.k", want: call{patternBoth, "chat", "t.o.k"}},
		"token alone":                {path: "/t.o.k", want: call{patternSingle, "", "t.o.k"}},
		"trailing slash":             {path: "/t.o.k/", want: call{patternSingle, "", "t.o.k"}},
		"more elements":              {path: "/chat/t.o.k/more/and/more", want: call{patternBoth, "chat", "t.o.k"}},
		"query":                      {path: "/chat/t.o.k?x=/y", want: call{patternBoth, "chat", "t.o.k"}},
		"escapes":                    {path: "/a%2Fb%20c%C3%BC/t.o.k", want: call{patternBoth, "a/b cü", "t.o.k"}},
		"plus is plus":               {path: "/a+b/t.o.k", want: call{patternBoth, "a+b", "t.o.k"}},
		"unescaped UTF-8":            {path: "/ü/t.o.k", want: call{patternBoth, "ü", "t.o.k"}},
		"channel is empty":           {path: "//t.o.k", want: call{patternBoth, "", "t.o.k"}},
		"root":                       {path: "/", want: call{patternNone, "", ""}},
		"path first":                 {path: "/chat/one", elsewhere: "two", want: call{patternBoth, "chat", "one"}},
		"elsewhere, root":            {path: "/", elsewhere: "two", want: call{patternNone, "", "two"}},
		"elsewhere, channel":         {path: "/chat", elsewhere: "two", want: call{patternSingle, "chat", "two"}},
		"elsewhere, token-like":      {path: "/" + aToken, elsewhere: "two", err: errAmbiguous},
		"late, channel":              {path: "/chat", late: true, want: call{patternSingle, "chat", ""}},
		"late, dotted channel":       {path: "/a.b.c", late: true, want: call{patternSingle, "a.b.c", ""}},
		"late, token":                {path: "/" + aToken, late: true, want: call{patternSingle, "", aToken}},
		"forbidden, both":            {path: "/chat/" + aToken, forbidden: true, err: errTokenInPath},
		"forbidden, both, elsewhere": {path: "/chat/" + aToken, elsewhere: "two", forbidden: true, err: errTokenInPath},
		"forbidden, token":           {path: "/" + aToken, forbidden: true, err: errTokenInPath},
		"forbidden, two elements":    {path: "/a/b", elsewhere: "two", forbidden: true, err: errTwoElements},
		"forbidden, channel":         {path: "/chat", elsewhere: "two", forbidden: true, want: call{patternSingle, "chat", "two"}},
		"forbidden, no token":        {path: "/chat", forbidden: true, want: call{patternSingle, "chat", ""}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			u, err := url.ParseRequestURI(test.path)
			if err != nil {
				t.Fatal(err)
			}
			path, err := readPath(u)
			if err != nil {
				t.Fatal(err)
			}
			s := &Server{Options: Options{NoTokenInPath: test.forbidden}}
			got, err := s.route(path, test.elsewhere, test.late)
			if !errors.Is(err, test.err) || err == nil && got != test.want {
				t.Errorf("got %+v, %v", got, err)
			}
		})
	}
}

func TestFiles(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	for name, content := range map[string]string{"index.html": "front", "app.js": "code", "sub/index.html": "sub", "bare/data.txt": "data"} {
		report(t, os.MkdirAll(filepath.Dir(filepath.Join(root, name)), 0o755))
		report(t, os.WriteFile(filepath.Join(root, name), []byte(content), 0o600))
	}
	report(t, os.WriteFile(filepath.Join(filepath.Dir(root), "outside"), []byte("secret"), 0o600))
	tests := map[string]struct {
		method, path string
		status       int
		body         string
	}{
		"front":          {"GET", "/", 200, "front"},
		"file":           {"GET", "/app.js", 200, "code"},
		"folder":         {"GET", "/sub/", 200, "sub"},
		"no list":        {"GET", "/bare/", 404, ""},
		"in it":          {"GET", "/bare/data.txt", 200, "data"},
		"missing":        {"GET", "/nothing", 404, ""},
		"outside":        {"GET", "/../outside", 404, ""},
		"escaped":        {"GET", "/%2e%2e/outside", 404, ""},
		"zero byte":      {"GET", "/app.js%00", 404, ""},
		"post":           {"POST", "/app.js", 405, ""},
		"head":           {"HEAD", "/app.js", 200, ""},
		"channel, token": {"GET", "/chat/t.o.k", 404, ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			recorded := httptest.NewRecorder()
			Files(root).ServeHTTP(recorded, httptest.NewRequestWithContext(t.Context(), test.method, test.path, nil))
			if recorded.Code != test.status || test.body != "" && recorded.Body.String() != test.body {
				t.Errorf("got %d %q", recorded.Code, recorded.Body)
			}
		})
	}
}

func TestListen(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		host    string
		v4, v6  bool // where a client gets through
		refused bool
	}{
		"any":             {host: "*", v4: true, v6: true},
		"any, IPv4":       {host: "*4", v4: true},
		"IPv4 only":       {host: "!4", v4: true},
		"any, IPv6":       {host: "*6", v4: true, v6: true},
		"IPv6 only":       {host: "!6", v6: true},
		"address":         {host: "127.0.0.1", v4: true},
		"any by address":  {host: "0.0.0.0", v4: true},
		"IPv6 address":    {host: "::1", v6: true},
		"name":            {host: "localhost", v4: true},
		"somebody else's": {host: "192.0.2.1", refused: true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if test.refused {
				listener, err := Listen(t.Context(), test.host, 0)
				if err == nil {
					t.Error("listens", listener.Close())
				}
				return
			}
			v4, v6 := listens(t, test.host)
			for tries := 0; tries < 3 && (v4 != test.v4 || v6 != test.v6); tries++ {
				v4, v6 = listens(t, test.host) // Somebody else may have had the port of the other IP.
			}
			if v4 != test.v4 || v6 != test.v6 {
				t.Errorf("reached by IPv4 %v, by IPv6 %v", v4, v6)
			}
		})
	}
}

// listens reports by which IP somebody reaches a host's port.
func listens(t *testing.T, host string) (v4, v6 bool) {
	t.Helper()
	listener, err := Listen(t.Context(), host, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { report(t, listener.Close()) }()
	_, port, err := net.SplitHostPort(listener.Addr().String())
	report(t, err)
	return reaches("127.0.0.1", port), reaches("::1", port)
}

func reaches(host, port string) bool {
	conn, err := net.Dial("tcp", net.JoinHostPort(host, port))
	if err != nil {
		return false
	}
	return conn.Close() == nil
}

func TestAdmin(t *testing.T) {
	t.Parallel()
	amiss := errors.New("the listener has no connection to PostgreSQL")
	metrics := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "figures") })
	tests := map[string]struct {
		ready        error
		method, path string
		status       int
		body         string
	}{
		"live":       {nil, "GET", "/live", 200, "live\n"},
		"ready":      {nil, "GET", "/ready", 200, "ready\n"},
		"not ready":  {amiss, "GET", "/ready", 503, amiss.Error() + "\n"},
		"still live": {amiss, "GET", "/live", 200, "live\n"},
		"metrics":    {nil, "GET", "/metrics", 200, "figures"},
		"other":      {nil, "GET", "/", 404, "404 page not found\n"},
		"post":       {nil, "POST", "/live", 405, "Method Not Allowed\n"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			recorded := httptest.NewRecorder()
			handler := Admin(func() error { return test.ready }, metrics)
			handler.ServeHTTP(recorded, httptest.NewRequestWithContext(t.Context(), test.method, test.path, nil))
			if recorded.Code != test.status || recorded.Body.String() != test.body {
				t.Errorf("got %d %q", recorded.Code, recorded.Body)
			}
		})
	}
}

// writeCertificate makes a certificate for 127.0.0.1 with a serial number.
func writeCertificate(t *testing.T, dir string, serial int64) (certFile, keyFile string, pool *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	encodedKey, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	certFile, keyFile = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	certificatePEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate})
	report(t, os.WriteFile(keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: encodedKey}), 0o600))
	report(t, os.WriteFile(certFile, certificatePEM, 0o600))
	pool = x509.NewCertPool()
	pool.AppendCertsFromPEM(certificatePEM)
	return certFile, keyFile, pool
}

// TestTLS opens a session over TLS, where frames cannot pass by the
// connection, and then has the certificate change.
func TestTLS(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	dir := t.TempDir()
	certFile, keyFile, pool := writeCertificate(t, dir, 1)
	certificate, err := LoadCertificate(certFile, keyFile, r.Log)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := Listen(t.Context(), "127.0.0.1", 0)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		ended <- Serve(ctx, tls.NewListener(listener, certificate.TLS()), r.Middleware(http.NotFoundHandler()), slog.New(slog.DiscardHandler))
	}()
	defer func() { stop(); report(t, <-ended) }()
	dialer := ws.Dialer{TLSConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}}
	address := "wss://" + listener.Addr().String() + "/c/" + r.token(t, map[string]any{"mode": "rw"})
	conn, _, _, err := dialer.Dial(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	report(t, ws.WriteFrame(conn, ws.MaskFrame(ws.NewTextFrame([]byte("up")))))
	if m := <-r.messages; string(m.Text) != "up" {
		t.Errorf("got %q", m.Text)
	}
	down := strings.Repeat("down", 2000)
	for range 100 {
		r.Hub.Append("c", down, nil)
	}
	r.Hub.Flush()
	for range 100 {
		if f, err := ws.ReadFrame(conn); err != nil || string(f.Payload) != down {
			t.Fatalf("got %d bytes: %v", len(f.Payload), err)
		}
	}

	_, _, pool = writeCertificate(t, dir, 2)
	certificate.mu.Lock()
	certificate.checked = time.Time{} // a second has gone by
	certificate.mu.Unlock()
	dialer.TLSConfig = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	again, _, _, err := dialer.Dial(t.Context(), address)
	if err != nil {
		t.Fatalf("with the new certificate: %v", err)
	}
	report(t, again.Close())

	report(t, os.WriteFile(certFile, []byte("rubbish"), 0o600))
	certificate.mu.Lock()
	certificate.checked = time.Time{}
	certificate.mu.Unlock()
	if c := certificate.current(); c.Leaf.SerialNumber.Int64() != 2 {
		t.Errorf("an unreadable certificate took the place of number %v", c.Leaf.SerialNumber)
	}
}
