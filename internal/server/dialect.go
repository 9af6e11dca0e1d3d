package server

import (
	"time"

	"github.com/gobwas/ws"

	"pgws/internal/hub"
	"pgws/internal/protocol"
)

// A dialect is how the server speaks on a kind of connections.
type dialect struct {
	format *hub.Format
	// packed is the format for those that have agreed on compression, or nil.
	packed *hub.Format
	// answer makes what is sent of a frame of pgws.v1; nil where that is not spoken.
	answer func(frame []byte) []byte
	// ping is sent now and then, to see that the connection lives.
	ping      []byte
	pingEvery time.Duration
	// end makes the last frame.
	end func(code ws.StatusCode, reason string) []byte
	// deaf connections are not listened to: their clients say nothing, and answer
	// neither ping nor close.
	deaf bool
}

// How connections are kept alive.
const (
	pingEvery    = 30 * time.Second
	commentEvery = 15 * time.Second
	longestQuiet = 65 * time.Second // without a byte from a client that answers pings
)

// ping is an empty ping frame.
var ping = ws.MustCompileFrame(ws.NewPingFrame(nil))

// dialects are those of a server.
type dialects struct{ classic, v1, events, eventsV1 dialect }

// newDialects returns them; a text is compressed from a length on, never for 0.
func newDialects(compressMin int) *dialects {
	websocket := dialect{ping: ping, pingEvery: pingEvery, end: closeFrame}
	stream := dialect{ping: []byte(":\n\n"), pingEvery: commentEvery, deaf: true}
	d := &dialects{classic: websocket, v1: websocket, events: stream, eventsV1: stream}

	d.classic.format = &hub.Format{Publication: func(dst []byte, p hub.Publication) []byte { return appendText(dst, p.Payload) }}
	d.v1.format = &hub.Format{
		Publication: func(dst []byte, p hub.Publication) []byte {
			return appendFramed(dst, finalText, func(dst []byte) []byte { return appendMessage(dst, p) })
		},
		Gap: func(dst []byte, p hub.Publication) []byte {
			return appendFramed(dst, finalText, func(dst []byte) []byte { return appendGap(dst, p) })
		},
	}
	d.v1.answer = func(frame []byte) []byte { return appendText(nil, frame) }
	if compressMin > 0 {
		d.classic.packed = packed(d.classic.format, compressMin, func(dst []byte, p hub.Publication) []byte { return append(dst, p.Payload...) })
		d.v1.packed = packed(d.v1.format, compressMin, appendMessage)
	}

	d.events.format = &hub.Format{Publication: appendEvent, Gap: appendGapEvent}
	d.events.end = closeEvent
	d.eventsV1.format = &hub.Format{
		Publication: appendFrameEvent,
		Gap: func(dst []byte, p hub.Publication) []byte {
			return appendData(appendID(dst, p.Position), string(appendGap(nil, p)))
		},
	}
	d.eventsV1.answer = func(frame []byte) []byte { return appendData(nil, string(frame)) }
	d.eventsV1.end = closeFrameEvent
	return d
}

// appendMessage appends a publication as a frame of pgws.v1.
func appendMessage(dst []byte, p hub.Publication) []byte {
	var position [48]byte
	return protocol.AppendMessage(dst, p.Channel, p.Position.Append(position[:0]), p.Payload)
}

// appendGap appends the frame of a gap.
func appendGap(dst []byte, p hub.Publication) []byte {
	var position [48]byte
	return protocol.AppendGap(dst, p.Channel, p.Position.Append(position[:0]))
}
