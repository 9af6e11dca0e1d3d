package server

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"time"
	"unicode/utf8"

	"pgws/internal/auth"
	"pgws/internal/hub"
	"pgws/internal/protocol"
)

// postRoomWait is how long a POST waits for room in the queue: it is better told to
// try again.
const postRoomWait = 500 * time.Millisecond

var (
	errNoUTF8       = badRequest("not_utf8", "the message is not UTF-8")
	errQueryChannel = badRequest("query_channel", "the channel of a message stands in the path")
	errNotPosted    = badRequest("bad_request", "only publish and ping can be posted")
	errCutShort     = badRequest("cut_short", "the body could not be read")
	errTooLarge     = &refusal{status: http.StatusRequestEntityTooLarge, reason: "too_large", text: "Error: the message is too large"}
	errRate         = &refusal{status: http.StatusTooManyRequests, reason: "rate_limited", text: "Error: too many messages"}
)

// takePost publishes the body of a request, and answers when PostgreSQL has committed it.
func (s *Server) takePost(w http.ResponseWriter, r *http.Request) {
	s.share(w.Header(), r)
	p := post{server: s, w: w, r: r}
	asked, err := s.plainCall(r)
	p.pattern = asked.pattern
	if err == nil && r.URL.Query().Has(protocol.QueryChannel) {
		err = errQueryChannel // Else it would go to all channels of the token.
	}
	if err == nil {
		err = p.prepare(asked)
	}
	if err != nil {
		p.refuse(err)
		return
	}
	if p.v1 != nil && p.v1.Op == protocol.OpPing {
		p.write(http.StatusOK, &protocol.Answer{ID: p.v1.ID, Op: protocol.OpOK})
		return
	}
	s.Observer.MessageReceived()
	done := make(chan answered, 1)
	p.message.Done = answerOnce(func(stamp int64, err error) { done <- answered{stamp, err} })
	ctx, cancel := context.WithTimeout(r.Context(), postRoomWait)
	defer cancel()
	if err := s.Publisher.Publish(ctx, p.message); err != nil {
		p.message.Done(0, err)
	}
	select {
	case a := <-done:
		p.answer(a)
	case <-r.Context().Done():
	}
}

// answered is what the publisher says of a message.
type answered struct {
	stamp int64
	err   error
}

// A post is a request to publish one message, or a ping.
type post struct {
	server  *Server
	w       http.ResponseWriter
	r       *http.Request
	pattern string
	v1      *protocol.Request // with a frame of pgws.v1 for a body
	message hub.Message
}

// prepare reads the message, if it may be sent, or the ping.
func (p *post) prepare(asked call) error {
	s, v1 := p.server, isV1(p.r)
	grant, err := s.authorize(p.r, asked, !v1)
	if err != nil {
		return err
	}
	if !v1 { // A frame may be a ping.
		if err := s.mayPost(grant, asked.token); err != nil {
			return err
		}
	}
	body, err := p.read(v1)
	if err != nil {
		return err
	}
	if expired(grant) { // while the body came
		return auth.ErrExpired
	}
	if v1 {
		return p.prepareV1(body, asked, grant)
	}
	if !utf8.Valid(body) {
		return errNoUTF8
	}
	p.message = hub.Message{Event: "WebsocketMessage", Channels: grant.Channels, Text: body, Claims: grant.Claims, Prompt: true}
	return nil
}

func (p *post) prepareV1(body []byte, asked call, grant *auth.Grant) (err error) {
	if p.v1, err = protocol.ParseRequest(body); err != nil {
		return badFrame(err)
	}
	switch p.v1.Op {
	case protocol.OpPing:
		return nil
	case protocol.OpPublish:
	default:
		return errNotPosted
	}
	if err := p.server.mayPost(grant, asked.token); err != nil {
		return err
	}
	if p.v1.Channel == nil && asked.channel != "" {
		p.v1.Channel = &asked.channel
	}
	p.message, err = messageOf(p.v1, grant)
	return err
}

// mayPost tells why the holder of a token may not publish now, or nothing.
func (s *Server) mayPost(grant *auth.Grant, token string) error {
	switch {
	case !grant.Send:
		return errNoSending
	case !s.allow(token, time.Now()):
		return errRate
	}
	return nil
}

// read reads the body.
func (p *post) read(v1 bool) ([]byte, error) {
	limit := p.server.MaxMessageBytes
	if v1 {
		limit = min(limit, protocol.MaxFrameBytes)
	}
	body, err := io.ReadAll(http.MaxBytesReader(p.w, p.r.Body, int64(limit)))
	// Time for the answer begins now, if a host's ResponseWriter has any.
	_ = http.NewResponseController(p.w).SetWriteDeadline(time.Now().Add(writeTimeout))
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return nil, errTooLarge
	} else if err != nil {
		return nil, errCutShort
	}
	return body, nil
}

// answer writes the receipt, or why there is none.
func (p *post) answer(a answered) {
	if a.err != nil {
		if errors.Is(a.err, context.Canceled) {
			return // and so is the client
		}
		p.refuse(p.server.publishRefusal(a.err))
		return
	}
	if p.v1 != nil {
		p.write(http.StatusOK, p.server.receipt(p.v1.ID, a.stamp, nil))
		return
	}
	p.write(http.StatusOK, &protocol.Answer{Channels: &p.message.Channels, DeliveredAt: protocol.Stamp(a.stamp)})
}

func (p *post) refuse(err error) {
	if !isV1(p.r) {
		p.server.refuse(p.w, p.r, p.pattern, err)
		return
	}
	e := p.server.noteRefusal(p.pattern, p.r.RemoteAddr, err)
	e.setHeaders(p.w.Header())
	var id json.RawMessage
	if p.v1 != nil {
		id = p.v1.ID
	}
	p.write(e.status, e.answer(id))
}

func (p *post) write(status int, answer *protocol.Answer) {
	h := p.w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	p.w.WriteHeader(status)
	if _, err := p.w.Write(append(protocol.JSON(answer), '\n')); err != nil {
		p.server.Log.Debug("write a receipt", "error", err)
	}
}
