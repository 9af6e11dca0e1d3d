package server

import (
	"errors"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"pgws/internal/auth"
	"pgws/internal/hub"
	"pgws/internal/protocol"
)

// wantsEvents reports whether a request asks for an event stream (RFC 9110, section
// 12.5.1). Browsers' EventSource says so, and nothing else.
func wantsEvents(r *http.Request) bool {
	for _, accepted := range listed(r, "Accept") {
		kind, _, _ := strings.Cut(accepted, ";")
		if strings.EqualFold(strings.TrimSpace(kind), "text/event-stream") {
			return true
		}
	}
	return false
}

// isV1 reports whether a query asks for frames of pgws.v1.
func isV1(r *http.Request) bool { return r.URL.Query().Get(protocol.QueryProtocol) == protocol.V1 }

var (
	errNoReceiving = forbidden("mode", "the token's mode does not receive")
	errNoSending   = forbidden("mode", "the token's mode does not send")
	errNameText    = badRequest("bad_channel", "a channel is not UTF-8")
	errBothNamed   = badRequest("ambiguous", "channels in the path and in the query")
)

// openEvents answers a request with an event stream, or refuses it.
func (s *Server) openEvents(w http.ResponseWriter, r *http.Request) {
	s.share(w.Header(), r)
	asked, err := s.plainCall(r)
	var grant *auth.Grant
	if err == nil {
		grant, err = s.authorizeEvents(r, asked)
	}
	if err == nil && !s.enter() {
		err = errUnavailable
	}
	if err != nil {
		s.refuse(w, r, asked.pattern, err)
		return
	}
	netConn, head, err := s.answerEvents(w, r)
	if err != nil {
		s.reading.Done()
		s.Log.Warn("an event stream cannot be opened", "error", err)
		http.Error(w, "Error: event streams cannot be had here", http.StatusHTTPVersionNotSupported)
		return
	}
	d := &s.dialects.events
	if isV1(r) {
		d = &s.dialects.eventsV1
	}
	c := s.newConn(d, grant, false)
	since := r.Header.Get("Last-Event-ID")
	c.session.Subscribe(hub.Subscription{
		Channels: grant.Channels,
		Since:    hub.ParsePosition(since),
		Answer: func(at hub.Position, resumed bool) []byte {
			return c.welcome(head, at, since != "", resumed)
		},
	})
	s.Log.Debug("event stream opened", "route", asked.pattern, "channels", len(grant.Channels), "remote", r.RemoteAddr)
	c.begin(netConn, nil, func() { c.announce(grant.Channels) })
	if shared, ok := netConn.(*response); ok {
		<-shared.ended
	}
}

// answerEvents returns the client's connection, and what is to be sent first: the head of
// the answer, or nothing where the answer has begun.
func (s *Server) answerEvents(w http.ResponseWriter, r *http.Request) (conn net.Conn, head []byte, err error) {
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no") // nginx would keep events back
	netConn, _, err := http.NewResponseController(w).Hijack()
	if errors.Is(err, http.ErrNotSupported) {
		shared, err := newResponse(w, r)
		return shared, nil, err
	}
	if err != nil {
		return nil, nil, err
	}
	if err := netConn.SetDeadline(time.Time{}); err != nil {
		s.closeNet(netConn)
		return nil, nil, err
	}
	limitUnacknowledged(netConn)
	return netConn, responseHead(h), nil
}

// plainCall reads what a request asks for that opens no websocket.
func (s *Server) plainCall(r *http.Request) (call, error) {
	given, err := s.credentials(r)
	if err != nil {
		return call{}, err
	}
	return s.call(r, given.token, false)
}

// authorizeEvents returns a grant whose channels are those to open.
func (s *Server) authorizeEvents(r *http.Request, asked call) (*auth.Grant, error) {
	named := r.URL.Query()[protocol.QueryChannel]
	if asked.channel != "" && len(named) > 0 {
		return nil, errBothNamed
	}
	grant, err := s.authorize(r, asked, len(named) == 0)
	if err != nil {
		return nil, err
	}
	if !grant.Receive {
		return nil, errNoReceiving
	}
	if len(named) > 0 {
		named = distinct(named)
		if e := checkNames(named); e != nil {
			return nil, e
		}
		for _, name := range named {
			if !utf8.ValidString(name) {
				return nil, errNameText
			}
			if !grant.Allows(name) {
				return nil, notGranted(name)
			}
		}
		grant.Channels = named
	}
	return grant, nil
}

// welcome is the beginning of an event stream.
func (c *conn) welcome(head []byte, at hub.Position, returning, resumed bool) []byte {
	b := slices.Concat(head, []byte(retry))
	grant := c.grant.Load()
	ready := protocol.Answer{Op: protocol.OpReady}
	describe(&ready, grant, grant.Channels, at)
	if returning {
		ready.Resumed = &resumed
	}
	b = appendID(b, at) // Who is lost before the first publication goes on from here.
	if c.dialect.answer != nil {
		return append(b, c.dialect.answer(protocol.JSON(&ready))...)
	}
	b = appendNamed(b, eventReady, protocol.JSON(&ready))
	if returning && !resumed {
		for _, channel := range grant.Channels {
			b = appendGapEvent(b, hub.Publication{Channel: channel, Position: at})
		}
	}
	return b
}
