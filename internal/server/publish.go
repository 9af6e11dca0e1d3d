package server

import (
	"encoding/json"
	"errors"
	"net/http"
	"sync/atomic"
	"time"

	"pgws/internal/auth"
	"pgws/internal/hub"
	"pgws/internal/protocol"
)

// How long a client that wants a receipt waits.
const (
	roomWait    = 2 * time.Second  // for room in the queue to PostgreSQL
	receiptWait = 10 * time.Second // for PostgreSQL to commit
)

// errUncertain is the answer when PostgreSQL has not answered in time.
var errUncertain = &refusal{
	status: http.StatusGatewayTimeout, reason: "uncertain",
	text: "Error: PostgreSQL has not answered yet: the message may still arrive",
}

// messageOf returns the message of a publish, if the grant allows it.
func messageOf(request *protocol.Request, grant *auth.Grant) (m hub.Message, err error) {
	if request.Channel == nil {
		return m, errNoChannel
	}
	text, isJSON, err := request.Text()
	if err != nil {
		return m, badFrame(err)
	}
	if !grant.Send {
		return m, errNoSending
	}
	if !grant.Allows(*request.Channel) {
		return m, notGranted(*request.Channel)
	}
	return hub.Message{
		Event: "WebsocketMessage", Channels: []string{*request.Channel}, Text: text, JSON: isJSON, Claims: grant.Claims, Prompt: true,
	}, nil
}

// answerOnce returns a function that calls answer the first time, and sees that this
// happens within receiptWait.
func answerOnce(answer func(stamp int64, err error)) func(stamp int64, err error) {
	var answered atomic.Bool
	timer := time.AfterFunc(receiptWait, func() {
		if !answered.Swap(true) {
			answer(0, errUncertain)
		}
	})
	return func(stamp int64, err error) {
		if !answered.Swap(true) {
			timer.Stop()
			answer(stamp, err)
		}
	}
}

// receipt tells of a message that was published, or could not be.
func (s *Server) receipt(id json.RawMessage, stamp int64, err error) *protocol.Answer {
	if err == nil {
		return &protocol.Answer{ID: id, Op: protocol.OpOK, DeliveredAt: protocol.Stamp(stamp)}
	}
	return s.publishRefusal(err).answer(id)
}

// publishRefusal tells why a message could not be published. The texts are for the
// client.
func (s *Server) publishRefusal(err error) *refusal {
	switch {
	case errors.Is(err, hub.ErrTooLarge):
		return &refusal{status: http.StatusRequestEntityTooLarge, reason: "too_large", text: "Error: " + hub.ErrTooLarge.Error()}
	case errors.Is(err, hub.ErrRefused):
		return badRequest("refused_text", "the database refuses the message")
	case errors.Is(err, hub.ErrUnavailable):
		return &refusal{status: http.StatusServiceUnavailable, reason: "unavailable", text: "Error: " + hub.ErrUnavailable.Error()}
	case errors.Is(err, errUncertain):
		return errUncertain
	}
	s.Log.Error("a message could not be accepted", "error", err)
	return &refusal{status: http.StatusInternalServerError, reason: "internal", text: "Error: the message could not be accepted"}
}
