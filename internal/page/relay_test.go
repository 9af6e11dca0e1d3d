package page_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"

	"pgws/internal/page"
)

const (
	listenChannel = "postgres-websockets-listener"
	metaChannel   = "server-events"
)

// relay stands in for the server and its database: it speaks the classic protocol, keeps all in memory and shows the
// demo page. Its tokens are the claims in base64, unsigned.
type relay struct {
	*httptest.Server
	deaf     atomic.Bool // Refuses websockets, as a server does that is away.
	mu       sync.Mutex
	sessions map[*session]bool
	wg       sync.WaitGroup
}

type session struct {
	channels []string
	claims   map[string]any
	conn     net.Conn
	mu       sync.Mutex // Held while writing, so that frames are whole.
	closing  bool       // A close frame has been sent: the last word.
}

// newRelay starts a relay that shows pages for everything that is no websocket; nil: the demo page.
func newRelay(t *testing.T, pages http.Handler) *relay {
	t.Helper()
	r := &relay{sessions: make(map[*session]bool)}
	if pages == nil {
		pages = page.Demo(demoOptions())
	}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if !strings.EqualFold(req.Header.Get("Upgrade"), "websocket") {
			pages.ServeHTTP(w, req)
			return
		}
		r.serve(w, req)
	}))
	t.Cleanup(func() {
		r.Close()
		r.end(1001, "")
		r.wg.Wait()
	})
	return r
}

func demoOptions() page.DemoOptions {
	return page.DemoOptions{
		ListenChannel: listenChannel,
		MetaChannel:   metaChannel,
		Psql:          "psql 'host=/tmp/pgws-dev port=5432 dbname=postgres user=postgres'",
		Version:       "1.0.0",
		Sign:          sign,
	}
}

func sign(claims []byte) (string, error) {
	if strings.Contains(string(claims), "unsignable") {
		return "", errors.New("this claim has the wrong type")
	}
	return base64.RawURLEncoding.EncodeToString(claims), nil
}

func (r *relay) serve(w http.ResponseWriter, req *http.Request) {
	s, refusal := newSession(req.URL)
	if r.deaf.Load() {
		refusal = "Error: away"
	}
	if refusal != "" {
		http.Error(w, refusal, http.StatusUnauthorized)
		return
	}
	r.wg.Add(1)
	defer r.wg.Done()
	conn, _, _, err := ws.UpgradeHTTP(req, w)
	if err != nil {
		return
	}
	defer conn.Close()
	s.conn = conn
	r.mu.Lock()
	r.sessions[s] = true
	r.mu.Unlock()
	defer func() {
		r.mu.Lock()
		delete(r.sessions, s)
		r.mu.Unlock()
	}()
	r.message("ConnectionOpen", metaChannel, strings.Join(s.channels, ","), s.claims)
	for {
		text, err := wsutil.ReadClientText(s)
		if err != nil {
			return
		}
		for _, channel := range s.channels {
			r.message("WebsocketMessage", channel, string(text), s.claims)
		}
	}
}

// newSession reads the path of a websocket: /CHANNEL/TOKEN or /TOKEN.
func newSession(u *url.URL) (s *session, refusal string) {
	parts := strings.Split(strings.TrimPrefix(u.EscapedPath(), "/"), "/")
	data, err := base64.RawURLEncoding.DecodeString(parts[len(parts)-1])
	if err != nil {
		return nil, "Error: " + err.Error()
	}
	var bound struct {
		Mode     string
		Exp      float64
		Channel  string
		Channels []string
	}
	s = &session{}
	if err := errors.Join(json.Unmarshal(data, &bound), json.Unmarshal(data, &s.claims)); err != nil {
		return nil, "Error: " + err.Error()
	}
	for _, channel := range append([]string{bound.Channel}, bound.Channels...) {
		if channel != "" && !slices.Contains(s.channels, channel) {
			s.channels = append(s.channels, channel)
		}
	}
	// A minute of leeway, so that a test of a token that is about to expire need not hurry.
	if bound.Exp != 0 && bound.Exp < float64(time.Now().Add(-time.Minute).Unix()) {
		return nil, "Token expired"
	}
	if !slices.Contains([]string{"r", "w", "rw"}, bound.Mode) {
		return nil, "Missing mode"
	}
	if len(parts) == 2 {
		channel, err := url.PathUnescape(parts[0])
		if err != nil || len(s.channels) > 0 && !slices.Contains(s.channels, channel) {
			return nil, "No allowed channels"
		}
		s.channels = []string{channel}
	}
	return s, ""
}

// message notifies as the server does for a session with these claims.
func (r *relay) message(event, channel, payload string, claims map[string]any) {
	stamped := map[string]any{"message_delivered_at": float64(time.Now().UnixNano()) / 1e9}
	maps.Copy(stamped, claims)
	data, err := json.Marshal(map[string]any{"event": event, "channel": channel, "payload": payload, "claims": stamped})
	if err != nil {
		panic(err) // The values came out of JSON.
	}
	r.notify(string(data))
}

// notify delivers a NOTIFY of SQL, whatever its payload is.
func (r *relay) notify(payload string) {
	var object struct{ Channel string }
	if json.Unmarshal([]byte(payload), &object) != nil || object.Channel == "" {
		object.Channel = listenChannel
	}
	frame := ws.MustCompileFrame(ws.NewTextFrame([]byte(payload)))
	for _, s := range r.all() {
		if slices.Contains(s.channels, object.Channel) {
			_, _ = s.Write(frame) // The session's reader sees a broken connection.
		}
	}
}

// end closes every session by a close frame; the browser closes the connection in answer.
func (r *relay) end(code ws.StatusCode, reason string) {
	frame := ws.MustCompileFrame(ws.NewCloseFrame(ws.NewCloseFrameBody(code, reason)))
	for _, s := range r.all() {
		s.mu.Lock()
		_, _ = s.conn.Write(frame) // The same.
		s.closing = true
		s.mu.Unlock()
	}
}

func (r *relay) all() []*session {
	r.mu.Lock()
	defer r.mu.Unlock()
	var all []*session
	for s := range r.sessions {
		all = append(all, s)
	}
	return all
}

func (s *session) Read(p []byte) (int, error) { return s.conn.Read(p) }

func (s *session) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing {
		return 0, net.ErrClosed
	}
	return s.conn.Write(p)
}
