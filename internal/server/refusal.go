package server

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	"github.com/gobwas/ws"

	"pgws/internal/auth"
	"pgws/internal/protocol"
)

// A refusal is why a request is not carried out.
type refusal struct {
	status int
	reason string // a short word for counting
	text   string // for the client
}

func (e *refusal) Error() string { return e.text }

// message is the text as it stands in an answer, which is said to be an error anyway.
func (e *refusal) message() string { return strings.TrimPrefix(e.text, "Error: ") }

func badRequest(reason, text string) *refusal {
	return &refusal{status: http.StatusBadRequest, reason: reason, text: "Error: " + text}
}

func forbidden(reason, text string) *refusal {
	return &refusal{status: http.StatusForbidden, reason: reason, text: "Error: " + text}
}

var errUnavailable = &refusal{
	status: http.StatusServiceUnavailable, reason: "unavailable", text: "Error: the server is starting or stopping",
}

// notGranted refuses a channel to a client of pgws.v1, which may have asked for several.
func notGranted(channel string) *refusal {
	return forbidden(auth.ErrNoChannels.Reason, "the token does not grant the channel "+channel)
}

// asRefusal tells how an error of ours, or of auth, is answered.
func asRefusal(err error) *refusal {
	if own, ok := errors.AsType[*refusal](err); ok {
		return own
	}
	r := &refusal{status: http.StatusUnauthorized, reason: "bad_token", text: err.Error()}
	if refused, ok := errors.AsType[*auth.Refusal](err); ok {
		r.reason = refused.Reason
		if refused.Forbidden {
			r.status = http.StatusForbidden
		}
	}
	return r
}

// answer is a refusal as a frame of pgws.v1. A request without an id has an answer without one.
func (e *refusal) answer(id json.RawMessage) *protocol.Answer {
	return &protocol.Answer{
		ID: id, Op: protocol.OpError, Code: e.code(), Message: e.message(), Uncertain: e.status == http.StatusGatewayTimeout,
	}
}

// code is the word for a refusal in pgws.v1.
func (e *refusal) code() protocol.Code {
	switch e.status {
	case http.StatusUnauthorized:
		return protocol.Unauthorized
	case http.StatusForbidden:
		return protocol.Forbidden
	case http.StatusRequestEntityTooLarge:
		return protocol.TooLarge
	case http.StatusTooManyRequests:
		return protocol.RateLimited
	case http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return protocol.Unavailable
	case http.StatusInternalServerError:
		return protocol.Internal
	}
	return protocol.BadRequest
}

// closeCode is the code with which a websocket of pgws.v1 is closed instead.
func (e *refusal) closeCode() ws.StatusCode {
	switch e.status {
	case http.StatusUnauthorized:
		return protocol.CloseUnauthorized
	case http.StatusForbidden:
		return protocol.CloseForbidden
	}
	return ws.StatusPolicyViolation
}

// retryAfter is what a client is told to wait, in seconds, when to try again is of use.
const retryAfter = "1"

// refuse answers a request that is not carried out.
func (s *Server) refuse(w http.ResponseWriter, r *http.Request, pattern string, err error) {
	e := s.noteRefusal(pattern, r.RemoteAddr, err)
	e.setHeaders(w.Header())
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(e.status)
	if _, err := w.Write([]byte(e.text)); err != nil {
		s.Log.Debug("write a refusal", "error", err)
	}
}

// noteRefusal counts and logs a request that is refused, or a connection that is closed
// for its first message. What is refused to an open connection is between the two.
func (s *Server) noteRefusal(route, remote string, err error) *refusal {
	e := asRefusal(err)
	s.Observer.Refused(e.reason)
	s.Log.Info("refused", "route", route, "status", e.status, "reason", e.reason, "remote", remote)
	return e
}

func (e *refusal) setHeaders(h http.Header) {
	switch e.status {
	case http.StatusUnauthorized:
		h.Set("WWW-Authenticate", "Bearer")
	case http.StatusServiceUnavailable, http.StatusTooManyRequests:
		h.Set("Retry-After", retryAfter)
	}
}
