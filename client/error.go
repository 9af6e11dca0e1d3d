package client

import (
	"errors"
	"fmt"
	"strings"

	"pgws/internal/protocol"
)

// A Code is the kind of an error.
type Code string

// The codes of pgws.v1.
const (
	BadRequest   = Code(protocol.BadRequest)
	Unauthorized = Code(protocol.Unauthorized) // the token is missing, bad or expired
	Forbidden    = Code(protocol.Forbidden)    // the token does not grant the channel or the mode
	TooLarge     = Code(protocol.TooLarge)     // for a notification of PostgreSQL
	RateLimited  = Code(protocol.RateLimited)
	Unavailable  = Code(protocol.Unavailable) // PostgreSQL is away, or the connection was lost
	Internal     = Code(protocol.Internal)
)

// An Error is the server's answer to what it did not do, or stands for an answer that did not come.
type Error struct {
	Code Code
	// Message is for people.
	Message string
	// Uncertain tells that a message may have been sent all the same. Without it nothing was.
	Uncertain bool

	cause error
}

// Error returns the code and the message.
func (e *Error) Error() string {
	text := string(e.Code)
	if e.Message != "" {
		text += ": " + e.Message
	}
	if e.cause != nil {
		text += ": " + e.cause.Error()
	}
	if e.Uncertain {
		text += " (the message may have been sent)"
	}
	return text
}

// Unwrap returns what has kept the answer from coming.
func (e *Error) Unwrap() error { return e.cause }

// isRefusal reports whether a new connection would be refused like the last.
func isRefusal(err error) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && (e.Code == Unauthorized || e.Code == Forbidden)
}

// A closing is the server's word at the end of a connection.
type closing struct {
	code   int
	reason string
}

func (c *closing) Error() string { return fmt.Sprintf("closed by the server: %d %s", c.code, c.reason) }

// asRefusal makes an *Error of a closing that refuses a token.
func (c *closing) asRefusal() error {
	reason := strings.TrimPrefix(c.reason, "Error: ")
	switch c.code {
	case protocol.CloseUnauthorized, protocol.CloseExpired:
		return &Error{Code: Unauthorized, Message: reason}
	case protocol.CloseForbidden:
		return &Error{Code: Forbidden, Message: reason}
	}
	return c
}
