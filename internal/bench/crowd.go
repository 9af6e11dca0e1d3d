package bench

import (
	"fmt"

	"github.com/gobwas/ws"
)

// openAtOnce is how many handshakes are under way at the same time, where they are not what is measured.
const openAtOnce = 128

// Hooks are what the owner of a crowd does for it. The crowd calls them from its goroutine; each may be nil.
type hooks struct {
	// admitted is told of each client that has been let in, before anything is delivered to it.
	admitted func(client int)
	// deliver takes each message that comes. The payload is valid until it returns.
	deliver func(client int, payload []byte) error
	// more returns the frames that a client is to write next, until it has none; they are valid until the next call. It is
	// called from wantWrite on.
	more func(client int) []byte
	// ended says whether the server may end a client's connection, by returning nil, which drops the client, or else an
	// error. When it is nil, none may be ended.
	ended func(client int, how *ending) error
	// round is called after each round of events, after a quiet lookEvery at the latest.
	round func() error
}

// An ending is how the server has ended a connection.
type ending struct {
	said bool // with a close frame
	text string
}

func (e *ending) Error() string { return e.text }

// closing reads a close frame.
func closing(payload []byte) *ending {
	code, reason := ws.ParseCloseFrameData(payload)
	return &ending{said: true, text: fmt.Sprintf("the server closes with %d %s", code, excerpt(reason))}
}
