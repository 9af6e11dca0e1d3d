package server

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/gobwas/ws"
	"github.com/google/go-cmp/cmp"

	"pgws/internal/protocol"
)

func TestCredentials(t *testing.T) {
	t.Parallel()
	const authorization, subprotocol, cookie = "Authorization", "Sec-Websocket-Protocol", "Cookie"
	type header map[string][]string
	tests := map[string]struct {
		header header
		want   credentials
		err    error
	}{
		"none":                    {header{}, credentials{}, nil},
		"header":                  {header{authorization: {"Bearer t"}}, credentials{token: "t"}, nil},
		"header in capitals":      {header{authorization: {"BEARER  t "}}, credentials{token: "t"}, nil},
		"another scheme":          {header{authorization: {"Basic dDp0"}}, credentials{}, nil},
		"no scheme":               {header{authorization: {"t"}}, credentials{}, nil},
		"a scheme alone":          {header{authorization: {"Bearer"}}, credentials{}, nil},
		"a scheme that begins so": {header{authorization: {"BearerX t"}}, credentials{}, nil},
		"two headers":             {header{authorization: {"Bearer t", "Bearer u"}}, credentials{token: "t"}, nil},
		"v1":                      {header{subprotocol: {"pgws.v1"}}, credentials{subprotocol: "pgws.v1"}, nil},
		"classic":                 {header{subprotocol: {"pgws.classic"}}, credentials{subprotocol: "pgws.classic"}, nil},
		"both":                    {header{subprotocol: {"pgws.classic, pgws.v1"}}, credentials{subprotocol: "pgws.v1"}, nil},
		"both, otherwise":         {header{subprotocol: {"pgws.v1, pgws.classic"}}, credentials{subprotocol: "pgws.v1"}, nil},
		"two lines":               {header{subprotocol: {"x", "pgws.v1,y"}}, credentials{subprotocol: "pgws.v1"}, nil},
		"another":                 {header{subprotocol: {"chat"}}, credentials{}, nil},
		"in capitals":             {header{subprotocol: {"PGWS.V1"}}, credentials{}, nil},
		"bearer":                  {header{subprotocol: {"pgws.v1, pgws.bearer.t.o.k"}}, credentials{"pgws.v1", "t.o.k"}, nil},
		"bearer first":            {header{subprotocol: {" pgws.bearer.t ,\tpgws.classic"}}, credentials{"pgws.classic", "t"}, nil},
		"bearer, two lines":       {header{subprotocol: {"pgws.bearer.t", "pgws.v1"}}, credentials{"pgws.v1", "t"}, nil},
		"bearer alone":            {header{subprotocol: {"pgws.bearer.t"}}, credentials{}, errBearerAlone},
		"an empty bearer alone":   {header{subprotocol: {"pgws.bearer."}}, credentials{}, errBearerAlone},
		"bearer beside another":   {header{subprotocol: {"chat, pgws.bearer.t"}}, credentials{}, errBearerAlone},
		"two bearers":             {header{subprotocol: {"pgws.v1, pgws.bearer.t, pgws.bearer.u"}}, credentials{}, errTwoBearers},
		"an equal one":            {header{subprotocol: {"pgws.v1, pgws.bearer.t", "pgws.bearer.t"}}, credentials{}, errTwoBearers},
		"an empty one":            {header{subprotocol: {"pgws.v1, pgws.bearer., pgws.bearer.t"}}, credentials{}, errTwoBearers},
		"header before bearer":    {header{authorization: {"Bearer h"}, subprotocol: {"pgws.v1, pgws.bearer.s"}}, credentials{"pgws.v1", "h"}, nil},
		"basic before bearer":     {header{authorization: {"Basic h"}, subprotocol: {"pgws.v1, pgws.bearer.s"}}, credentials{"pgws.v1", "s"}, nil},
		"cookie":                  {header{cookie: {"a=b; tok=c; x=y"}}, credentials{token: "c"}, nil},
		"two cookies":             {header{cookie: {"tok=c; tok=d"}}, credentials{token: "c"}, nil},
		"another cookie":          {header{cookie: {"TOK=c; to=k"}}, credentials{}, nil},
		"bearer before cookie":    {header{cookie: {"tok=c"}, subprotocol: {"pgws.v1, pgws.bearer.s"}}, credentials{"pgws.v1", "s"}, nil},
		"header before cookie":    {header{cookie: {"tok=c"}, authorization: {"Bearer h"}}, credentials{token: "h"}, nil},
		"our page":                {header{cookie: {"tok=c"}, "Sec-Fetch-Site": {"same-origin"}}, credentials{token: "c"}, nil},
		"typed":                   {header{cookie: {"tok=c"}, "Sec-Fetch-Site": {"none"}}, credentials{token: "c"}, nil},
		"another site":            {header{cookie: {"tok=c"}, "Sec-Fetch-Site": {"cross-site"}}, credentials{}, nil},
		"a sister":                {header{cookie: {"tok=c"}, "Sec-Fetch-Site": {"same-site"}}, credentials{}, nil},
		"an allowed site":         {header{cookie: {"tok=c"}, "Sec-Fetch-Site": {"cross-site"}, "Origin": {"https://app.example.com"}}, credentials{token: "c"}, nil},
	}
	s := &Server{Options: Options{TokenCookie: "tok"}}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := s.credentials(&http.Request{Header: http.Header(test.header)})
			if !errors.Is(err, test.err) {
				t.Errorf("got %v, want %v", err, test.err)
			}
			if diff := cmp.Diff(test.want, got, cmp.AllowUnexported(credentials{})); err == nil && diff != "" {
				t.Error(diff)
			}
		})
	}
	if got, err := new(Server).credentials(&http.Request{Header: http.Header{"Cookie": {"tok=c; =d"}}}); err != nil || got.token != "" {
		t.Errorf("without the setting a cookie gives %q, %v", got.token, err)
	}
}

// TestPlaces has each place of a token open each transport.
func TestPlaces(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(o *Options) { o.TokenCookie, o.AllowedOrigins = "tok", Origins{"https://app.example.com"} }).serveAll(t)
	token := r.token(t, map[string]any{"mode": "rw", "channel": "a"})
	go func() {
		for range 3 {
			(<-r.messages).Done(1, nil)
		}
	}()
	for name, headers := range map[string]string{
		"header": "Authorization: Bearer " + token + "\r\n", "cookie": "Cookie: tok=" + token + "\r\n",
		"cookie of a page": "Cookie: tok=" + token + "\r\nOrigin: https://app.example.com\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, path := range []string{"/", "/a"} {
				r.upgrade(t, path, askUpgrade+headers).expectNothingClassic(t)
				r.stream(t, path, headers).event(t)
			}
			response := r.connect(t).ask(t, "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n"+headers+"\r\nx")
			if text := body(t, response); response.StatusCode != http.StatusOK {
				t.Errorf("POST: %s %s", response.Status, text)
			}
		})
	}
	for _, subprotocol := range []string{protocol.V1, protocol.Classic} {
		t.Run(subprotocol, func(t *testing.T) {
			t.Parallel()
			p := r.connect(t)
			response := p.ask(t, upgradeRequest("/a", askUpgrade+"Sec-WebSocket-Protocol: pgws.bearer."+token+", "+subprotocol+"\r\n"))
			if got := response.Header["Sec-Websocket-Protocol"]; response.StatusCode != http.StatusSwitchingProtocols || len(got) != 1 || got[0] != subprotocol {
				t.Errorf("got %s, %q", response.Status, got)
			}
			for name, values := range response.Header {
				if strings.Contains(strings.Join(values, ""), token) {
					t.Errorf("%s repeats the token", name)
				}
			}
		})
	}
}

// expectNothingClassic sees that a websocket of the classic protocol is open.
func (p *peer) expectNothingClassic(t *testing.T) {
	t.Helper()
	p.send(t, ws.NewPingFrame([]byte("?")))
	if f := p.next(t); f.Header.OpCode != ws.OpPong {
		t.Errorf("got %v %q", f.Header.OpCode, f.Payload)
	}
}

// TestRefusedWebsockets has who offers pgws.v1 be told by a close, and only of its token.
func TestRefusedWebsockets(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(o *Options) { o.AllowedOrigins, o.NoTokenInPath = Origins{"https://app.example.com"}, true }).serveAll(t)
	bearer := func(claims map[string]any) string {
		return "Sec-WebSocket-Protocol: pgws.v1, pgws.bearer." + r.token(t, claims) + "\r\n"
	}
	narrow := bearer(map[string]any{"mode": "r", "channel": "b"})
	for name, test := range map[string]struct {
		path, headers string
		code          ws.StatusCode // or that of HTTP
		reason        string
	}{
		"a bad token":   {"/a", "Sec-WebSocket-Protocol: pgws.v1, pgws.bearer.x\r\n", protocol.CloseUnauthorized, "not a JWT"},
		"an old one":    {"/a", bearer(map[string]any{"mode": "r", "exp": 1}), protocol.CloseUnauthorized, "Token expired"},
		"not for it":    {"/a", narrow, protocol.CloseForbidden, "the token does not grant the channel a"},
		"in the path":   {"/a/" + aToken, "Sec-WebSocket-Protocol: pgws.v1\r\n", protocol.CloseUnauthorized, errTokenInPath.message()},
		"classic":       {"/a", "Authorization: Bearer x\r\n", 401, "Error: not a JWT"},
		"the origin":    {"/b", narrow + "Origin: https://example.com\r\n", 403, "Error: this origin is not allowed"},
		"the address":   {"/a/b", narrow, 400, errTwoElements.Error()},
		"a bad escape":  {"/%2", narrow, 400, "400 Bad Request"},
		"two bearers":   {"/b", narrow + narrow, 400, errTwoBearers.Error()},
		"a late origin": {"/b", "Sec-WebSocket-Protocol: pgws.v1\r\nOrigin: null\r\n", 403, "Error: this origin is not allowed"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := r.connect(t)
			response := p.ask(t, upgradeRequest(test.path, askUpgrade+test.headers))
			if test.code < 1000 {
				if text := body(t, response); response.StatusCode != int(test.code) || text != test.reason {
					t.Errorf("got %s %q", response.Status, text)
				}
				return
			}
			if response.StatusCode != http.StatusSwitchingProtocols || response.Header.Get("Sec-WebSocket-Protocol") != "pgws.v1" {
				t.Fatalf("got %+v", response)
			}
			f := p.next(t) // Nothing is before it.
			if code, reason := ws.ParseCloseFrameData(f.Payload); f.Header.OpCode != ws.OpClose || code != test.code || reason != test.reason {
				t.Errorf("got %v, %d %q", f.Header.OpCode, code, reason)
			}
			p.send(t, ws.NewCloseFrame(ws.NewCloseFrameBody(test.code, "")))
			p.expectEnd(t)
		})
	}
}

// TestBeforeRun has requests come when the server is not open, or not any more.
func TestBeforeRun(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil).serveAll(t)
	path := "/a/" + r.token(t, map[string]any{"mode": "rw"})
	r.stop(nil)
	for name, request := range map[string]string{
		"classic": upgradeRequest(path, askUpgrade), "pgws.v1": upgradeRequest(path, askV1), "late": upgradeRequest("/", askV1),
		"events": "GET " + path + " HTTP/1.1\r\nHost: x\r\n" + askEvents + "\r\n", "POST": "POST " + path + " HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx",
	} {
		response := r.connect(t).ask(t, request)
		if text := body(t, response); response.StatusCode != http.StatusServiceUnavailable || response.Header.Get("Retry-After") == "" ||
			text != "Error: the server is starting or stopping" {
			t.Errorf("%s: got %+v %q", name, response, text)
		}
	}
}

// lockedBuffer is a log to look into.
type lockedBuffer struct {
	mu     sync.Mutex
	buffer bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.Write(p)
}

// TestSilence has tokens, good and bad, in every place of every transport: none stands in
// the log or an answer.
func TestSilence(t *testing.T) {
	t.Parallel()
	log := new(lockedBuffer)
	r := newRig(t, func(o *Options) {
		o.Log = slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))
		o.TokenCookie, o.AllowedOrigins, o.MessageRate = "tok", Origins{"https://app.example.com"}, 1
	}).serveAll(t)
	r.err = io.ErrUnexpectedEOF // which nobody has expected
	good := r.token(t, map[string]any{"mode": "rw", "channel": "a"})
	bad := good[:len(good)-3] + "xyz"
	for _, token := range []string{good, bad} {
		for _, at := range []struct{ path, headers string }{
			{"/a/" + token, ""}, {"/" + token, ""}, {"/b/" + token, ""}, {"/" + token, "Authorization: Bearer x\r\n"}, {"/" + token + "%zz", ""},
			{"/a", "Authorization: Bearer " + token + "\r\n"}, {"/", "Cookie: tok=" + token + "\r\n"}, {"/a/b/" + token + "?x=" + token, ""},
			{"/a", "Sec-WebSocket-Protocol: pgws.bearer." + token + "\r\n"}, {"/a", "Sec-WebSocket-Protocol: pgws.v1, pgws.bearer." + token + "\r\n"},
		} {
			for _, request := range []string{
				upgradeRequest(at.path, askUpgrade+at.headers), upgradeRequest(at.path, "Upgrade: websocket\r\n"+at.headers),
				"GET " + at.path + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + askEvents + at.headers + "\r\n",
				"POST " + at.path + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 1\r\n" + at.headers + "\r\nx",
			} {
				p := r.connect(t)
				_, err := io.WriteString(p, request)
				report(t, err)
				report(t, p.Conn.(interface{ CloseWrite() error }).CloseWrite())
				answer, err := io.ReadAll(p.in)
				if err != nil || len(answer) == 0 || bytes.Contains(answer, []byte(token)) {
					t.Errorf("%s is answered %s: %v", request, answer, err)
				}
			}
		}
		p := r.upgrade(t, "/a", askV1)
		p.say(t, `{"id":1,"op":"auth","token":"`+token+`"}`, `{"id":2,"op":"auth","token":"`+token+`x"}`, `{"id":3,"op":"`+token+`"}`)
		p.send(t, ws.NewCloseFrame(nil))
		if answer, err := io.ReadAll(p.in); err != nil || bytes.Contains(answer, []byte(token)) {
			t.Errorf("answered %q: %v", answer, err)
		}
	}
	r.stop(nil)
	log.mu.Lock()
	defer log.mu.Unlock()
	text := log.buffer.String()
	for _, token := range []string{good, bad} {
		for part := range strings.SplitSeq(token, ".") {
			if strings.Contains(text, part) {
				t.Errorf("the log has a part of a token:\n%s", text)
			}
		}
	}
	if !strings.Contains(text, "refused") || !strings.Contains(text, io.ErrUnexpectedEOF.Error()) {
		t.Error("the log has nothing at all")
	}
}
