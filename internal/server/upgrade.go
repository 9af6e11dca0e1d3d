package server

import (
	"bytes"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/gobwas/ws"

	"pgws/internal/auth"
	"pgws/internal/deflate"
	"pgws/internal/hub"
	"pgws/internal/protocol"
)

// How long a client of pgws.v1 may be without a token, and how much it may say
// meanwhile.
const (
	tokenWait     = 5 * time.Second
	maxTokenBytes = 16 << 10
)

// isUpgrade reports whether a request asks for a websocket (RFC 6455, section
// 4.2.1). Both headers are lists, which may stand on several lines; it leaves
// them on one, as the upgrader reads them.
func isUpgrade(r *http.Request) bool {
	if !slices.ContainsFunc(listed(r, "Upgrade"), func(protocol string) bool { return strings.EqualFold(protocol, "websocket") }) {
		return false
	}
	r.Header.Set("Upgrade", "websocket")
	r.Header.Set("Connection", strings.Join(listed(r, "Connection"), ", "))
	return true
}

// openWebsocket opens a session for a websocket request, or refuses it: in plain text,
// but for a client of pgws.v1 with a token that is refused. Browsers do not show a page
// that text, so the websocket is opened for it, and closed at once.
func (s *Server) openWebsocket(w http.ResponseWriter, r *http.Request) {
	given, err := s.credentials(r)
	v1 := given.subprotocol == protocol.V1
	var asked call
	if err == nil {
		asked, err = s.call(r, given.token, v1)
	}
	late := v1 && asked.token == ""
	if err != nil {
		if !v1 || asRefusal(err).status != http.StatusUnauthorized {
			s.refuse(w, r, asked.pattern, err)
			return
		}
	}
	var grant *auth.Grant
	if err == nil && !late {
		grant, err = s.authorize(r, asked, !v1)
	}
	if err != nil && !v1 {
		s.refuse(w, r, asked.pattern, err)
		return
	}
	s.upgrade(w, r, given.subprotocol, asked, grant, err)
}

// call reads what a request asks for. It refuses what no token could make good.
func (s *Server) call(r *http.Request, elsewhere string, late bool) (call, error) {
	p, err := readPath(r.URL)
	asked := call{pattern: p.pattern}
	if !s.Open() { // before looking at the token: keys may not be there yet
		return asked, errUnavailable
	}
	if err != nil {
		return asked, badRequest("bad_path", err.Error())
	}
	if !s.AllowedOrigins.allow(r) {
		return asked, errOrigin
	}
	if asked, err = s.route(p, elsewhere, late); err == nil && len(asked.channel) > maxNameBytes {
		err = errNameLong
	}
	return asked, err
}

// authorize returns what a call's token grants: narrowed to what the address names, or
// just on the condition that it allows that.
func (s *Server) authorize(r *http.Request, asked call, narrow bool) (*auth.Grant, error) {
	grant, err := s.Keys.Authorize(r.Context(), asked.token)
	if err != nil {
		return nil, err
	}
	if narrow {
		return grant, grant.Narrow(asked.channel)
	}
	if asked.channel != "" && !grant.Allows(asked.channel) {
		return nil, notGranted(asked.channel)
	}
	return grant, nil
}

// upgrade opens a websocket. Without a grant its token is still to come, or was
// refused.
func (s *Server) upgrade(w http.ResponseWriter, r *http.Request, subprotocol string, asked call, grant *auth.Grant, refused error) {
	if !s.enter() {
		s.refuse(w, r, asked.pattern, errUnavailable)
		return
	}
	header, compressed := s.agree(r, subprotocol)
	d := &s.dialects.classic
	if subprotocol == protocol.V1 {
		d = &s.dialects.v1
		asked.channel = strings.Clone(asked.channel) // The whole path must not live as long as the session.
	}
	c := s.newConn(d, grant, compressed)
	if grant == nil {
		c.channel, c.alarm = asked.channel, s.keeper.now()+tokenWait
	}
	// The channels are opened first: who has the answer misses nothing.
	var channels []string
	if grant != nil {
		channels = c.openFirst(asked.channel, nil)
	}
	netConn, buffered, _, err := ws.HTTPUpgrader{Timeout: closeWait, Header: header}.Upgrade(r, w)
	if err != nil {
		c.session.Detach()
		s.reading.Done()
		s.Observer.Refused("handshake")
		s.Log.Info("refused", "route", asked.pattern, "reason", "handshake", "error", err, "remote", r.RemoteAddr)
		if netConn != nil {
			s.closeNet(netConn)
		}
		return
	}
	// What the client has sent already lies in net/http's buffer, which is not ours to keep.
	early, err := buffered.Reader.Peek(buffered.Reader.Buffered())
	if err != nil {
		early = nil
	}
	if grant != nil {
		s.Log.Debug("session opened", "route", asked.pattern, "channels", len(channels), "remote", r.RemoteAddr)
	}
	c.begin(netConn, bytes.Clone(early), func() {
		if refused != nil {
			e := s.noteRefusal(asked.pattern, r.RemoteAddr, refused)
			c.close(e.closeCode(), e.message())
		} else if grant != nil {
			c.announce(channels)
		}
	})
}

// agree returns what the answer to a handshake says of what a client offers, nil for
// nothing, and whether messages may be compressed.
func (s *Server) agree(r *http.Request, subprotocol string) (header http.Header, compressed bool) {
	agreed := ""
	if s.CompressMinBytes > 0 {
		agreed, compressed = deflate.Negotiate(r.Header.Values("Sec-WebSocket-Extensions"))
	}
	if subprotocol == "" && !compressed {
		return nil, false
	}
	header = make(http.Header)
	if subprotocol != "" {
		header.Set("Sec-WebSocket-Protocol", subprotocol)
	}
	if compressed {
		header.Set("Sec-WebSocket-Extensions", agreed)
	}
	return header, compressed
}

// openFirst opens the channels that an address opens, and returns them. A client of
// pgws.v1 is told in answer to the request that brought the token, if one did.
func (c *conn) openFirst(channel string, request json.RawMessage) []string {
	grant := c.grant.Load()
	if c.dialect.answer == nil {
		if grant.Receive {
			c.session.Subscribe(hub.Subscription{Channels: grant.Channels})
		}
		return grant.Channels
	}
	channels := []string{}
	if channel != "" && grant.Receive {
		channels = append(channels, channel)
	}
	c.session.Subscribe(hub.Subscription{Channels: channels, Answer: func(at hub.Position, _ bool) []byte {
		answer := protocol.Answer{ID: request, Op: protocol.OpOK}
		if request == nil {
			answer.Op = protocol.OpReady
		}
		describe(&answer, grant, channels, at)
		return c.dialect.answer(protocol.JSON(&answer))
	}})
	return channels
}
