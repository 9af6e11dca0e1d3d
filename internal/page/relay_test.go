package page_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"

	"pgws/internal/page"
	"pgws/internal/protocol"
)

const (
	listenChannel = "postgres-websockets-listener"
	metaChannel   = "server-events"
	// forbiddenChannel is the one that the relay does not grant.
	forbiddenChannel = "forbidden"
)

// relay stands in for the server and its database, to fail on demand: it speaks pgws.v1 by websocket, minds
// no token, keeps nothing, and shows the demo page. Its tokens are the claims in base64, unsigned.
type relay struct {
	*httptest.Server
	deaf    atomic.Bool                     // Refuses websockets, as a server does that is away.
	forgets atomic.Bool                     // Cannot resume.
	receipt atomic.Pointer[protocol.Answer] // Answers publications in place of a receipt; they get lost.

	count    atomic.Int64 // Of what was notified: the position.
	mu       sync.Mutex
	sessions map[*session]bool
	wg       sync.WaitGroup
}

// newRelay starts a relay with the demo page.
func newRelay(t *testing.T) *relay {
	t.Helper()
	r := &relay{sessions: make(map[*session]bool)}
	demo := page.Demo(demoOptions())
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if !strings.EqualFold(req.Header.Get("Upgrade"), "websocket") {
			demo.ServeHTTP(w, req)
			return
		}
		r.serve(t, w, req)
	}))
	t.Cleanup(func() {
		r.deaf.Store(true)
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

func (r *relay) serve(t *testing.T, w http.ResponseWriter, req *http.Request) {
	if r.deaf.Load() {
		http.Error(w, "Error: away", http.StatusServiceUnavailable)
		return
	}
	r.wg.Add(1)
	defer r.wg.Done()
	conn, _, _, err := ws.HTTPUpgrader{Protocol: func(name string) bool { return name == protocol.V1 }}.Upgrade(req, w)
	if err != nil {
		return
	}
	defer conn.Close()
	s := &session{conn: conn}
	r.mu.Lock()
	r.sessions[s] = true
	r.mu.Unlock()
	defer func() {
		r.mu.Lock()
		delete(r.sessions, s)
		r.mu.Unlock()
	}()
	for {
		frame, err := wsutil.ReadClientText(s)
		if err != nil {
			return
		}
		request, err := protocol.ParseRequest(frame)
		if err != nil {
			t.Errorf("the client sent %s: %v", frame, err)
			return
		}
		r.answer(s, request)
	}
}

// answer carries out a request. It grants everything but one channel.
func (r *relay) answer(s *session, request *protocol.Request) {
	answer := &protocol.Answer{ID: request.ID, Op: protocol.OpOK}
	switch request.Op {
	case protocol.OpAuth:
		s.claims = claimsOf(request.Token)
		r.message("ConnectionOpen", metaChannel, "", s.claims)
	case protocol.OpSubscribe:
		if slices.Contains(request.Channels, forbiddenChannel) {
			answer.Op, answer.Code, answer.Message = protocol.OpError, protocol.Forbidden, "not for you"
			break
		}
		if request.Since != "" {
			resumed := !r.forgets.Load()
			answer.Resumed = &resumed
		}
		answer.Channels = &request.Channels
		answer.Position = strconv.FormatInt(r.count.Load(), 10)
		s.open(request.Channels, answer)
		return
	case protocol.OpUnsubscribe:
		s.leave(request.Channels)
	case protocol.OpPublish:
		if planned := r.receipt.Load(); planned != nil {
			*answer = *planned
			answer.ID = request.ID
			break
		}
		var text string
		if err := json.Unmarshal([]byte(request.Payload), &text); err != nil {
			panic(err) // The page sends text.
		}
		r.message("WebsocketMessage", *request.Channel, text, s.claims)
	}
	s.reply(answer)
}

// message notifies as the server does for a session with these claims.
func (r *relay) message(event, channel, payload string, claims map[string]any) {
	stamped := map[string]any{"message_delivered_at": protocol.Stamp(time.Now().UnixMicro())}
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
	position := strconv.AppendInt(nil, r.count.Add(1), 10)
	frame := protocol.AppendMessage(nil, object.Channel, position, payload)
	for _, s := range r.all() {
		s.deliver(object.Channel, frame)
	}
}

// gap tells every session that it may have missed messages of a channel.
func (r *relay) gap(channel string) {
	for _, s := range r.all() {
		s.deliver(channel, protocol.AppendGap(nil, channel, []byte("gap-1")))
	}
}

// expiring tells every session that its token ends.
func (r *relay) expiring(seconds int) {
	for _, s := range r.all() {
		s.reply(&protocol.Answer{Op: protocol.OpExpiring, In: seconds})
	}
}

// end closes every session by a close frame; the browser closes the connection in answer.
func (r *relay) end(code ws.StatusCode, reason string) {
	for _, s := range r.all() {
		s.end(code, reason)
	}
}

func (r *relay) all() []*session {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Collect(maps.Keys(r.sessions))
}
