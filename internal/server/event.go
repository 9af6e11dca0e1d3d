package server

import (
	"bytes"
	"net/http"
	"strings"
	"time"

	"github.com/gobwas/ws"

	"pgws/internal/hub"
	"pgws/internal/protocol"
)

// The names of events (HTML Standard, section 9.2). Publications have none, so that
// a page gets them by onmessage.
const (
	eventReady = "ready"
	eventGap   = "gap"
	eventClose = "close"
)

// appendEvent appends a publication as an event.
func appendEvent(dst []byte, p hub.Publication) []byte {
	return appendData(appendID(dst, p.Position), p.Payload)
}

// appendFrameEvent appends a publication as an event whose data is a frame of pgws.v1.
func appendFrameEvent(dst []byte, p hub.Publication) []byte {
	return appendData(appendID(dst, p.Position), string(appendMessage(nil, p)))
}

func appendID(dst []byte, at hub.Position) []byte {
	dst = append(dst, "id: "...)
	dst = at.Append(dst)
	return append(dst, '\n')
}

// appendData appends the lines of data and ends the event. A carriage return is a line
// end in this format, too.
func appendData(dst []byte, data string) []byte {
	for {
		end := strings.IndexAny(data, "\r\n")
		if end < 0 {
			break
		}
		dst = appendLine(dst, data[:end])
		if strings.HasPrefix(data[end:], "\r\n") {
			end++
		}
		data = data[end+1:]
	}
	return append(appendLine(dst, data), '\n')
}

func appendLine(dst []byte, line string) []byte {
	dst = append(dst, "data: "...)
	dst = append(dst, line...)
	return append(dst, '\n')
}

func appendNamed(dst []byte, name string, data []byte) []byte {
	dst = append(dst, "event: "+name+"\n"...)
	return appendData(dst, string(data))
}

// appendGapEvent tells of a gap: {"op":"gap","channel":…,"position":…}.
func appendGapEvent(dst []byte, p hub.Publication) []byte {
	return appendNamed(appendID(dst, p.Position), eventGap, appendGap(nil, p))
}

func closeEvent(code ws.StatusCode, reason string) []byte {
	return appendNamed(nil, eventClose, protocol.JSON(&protocol.Close{Code: int(code), Reason: reason}))
}

func closeFrameEvent(code ws.StatusCode, reason string) []byte {
	return appendData(nil, string(protocol.JSON(&protocol.Close{Op: protocol.OpClose, Code: int(code), Reason: reason})))
}

// retry says after how many milliseconds to connect again.
const retry = "retry: 2000\n\n"

// responseHead returns the head of an answer. It has no length and ends with the
// connection, as HTTP/1.0 has it too, which many proxies speak (RFC 9112, section 6.3).
func responseHead(h http.Header) []byte {
	var head bytes.Buffer
	head.WriteString("HTTP/1.1 200 OK\r\nConnection: close\r\nDate: " + time.Now().UTC().Format(http.TimeFormat) + "\r\n")
	_ = h.Write(&head) // A buffer takes all.
	head.WriteString("\r\n")
	return head.Bytes()
}
