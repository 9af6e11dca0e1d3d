package server

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/gobwas/ws"

	"pgws/internal/deflate"
	"pgws/internal/protocol"
)

// A closeError ends a connection with a code and a reason.
type closeError struct {
	code   ws.StatusCode
	reason string
}

func (e *closeError) Error() string { return fmt.Sprintf("close %d: %s", e.code, e.reason) }

var errNotText = &closeError{code: ws.StatusInvalidFramePayloadData, reason: "not UTF-8"}

func protocolError(reason string) error {
	return &closeError{code: ws.StatusProtocolError, reason: reason}
}

// closeReceived ends a connection that the client closes.
type closeReceived struct{ code ws.StatusCode }

func (e *closeReceived) Error() string { return fmt.Sprintf("closed by the client: %d", e.code) }

// maxCloseReason is what a control frame leaves for a reason (RFC 6455, section 5.5).
const maxCloseReason = ws.MaxControlFramePayloadSize - 2

// closeFrame builds a close frame. 1005 and 1006 stand for no code at all and
// are never sent.
func closeFrame(code ws.StatusCode, reason string) []byte {
	if code == ws.StatusNoStatusRcvd || code == ws.StatusAbnormalClosure {
		return ws.MustCompileFrame(ws.NewCloseFrame(nil))
	}
	if len(reason) > maxCloseReason {
		reason = strings.ToValidUTF8(reason[:maxCloseReason], "")
	}
	return ws.MustCompileFrame(ws.NewCloseFrame(ws.NewCloseFrameBody(code, reason)))
}

// parseClose returns a closeReceived, or a closeError for a frame that is not
// allowed (RFC 6455, section 7.4).
func parseClose(payload []byte) error {
	if len(payload) == 0 {
		return &closeReceived{code: ws.StatusNoStatusRcvd}
	}
	if len(payload) == 1 {
		return protocolError("close code cut short")
	}
	code := ws.StatusCode(binary.BigEndian.Uint16(payload))
	switch {
	case code >= 3000 && code <= 4999:
	case code >= 1000 && code <= 1014 && code != 1004 && code != 1005 && code != 1006:
	default:
		return protocolError("invalid close code")
	}
	if !utf8.Valid(payload[2:]) {
		return &closeError{code: ws.StatusInvalidFramePayloadData, reason: "close reason is not UTF-8"}
	}
	return &closeReceived{code: code}
}

// frames reads a client's frames and joins fragments to messages.
type frames struct {
	input      input
	limit      int
	state      ws.State
	compressed bool      // messages may be, as was agreed in the handshake
	discard    bool      // messages are read and forgotten: they come back empty when cut in pieces
	op         ws.OpCode // of the message under way
	packed     bool      // it is compressed
	length     int       // of its fragments so far
	message    []byte    // the fragments
}

func (f *frames) init(c *conn, early []byte) {
	f.input.init(c, early)
	f.state = ws.StateServerSide
	if f.compressed {
		f.state = f.state.Set(ws.StateExtended)
	}
	f.limit = c.limit()
}

// limit returns how long a message of the client may be. No request of pgws.v1 needs more
// than its own bound, so that more is not even inflated: compressed, it would be nearly
// free to send.
func (c *conn) limit() int {
	limit := c.server.MaxMessageBytes
	if c.dialect.answer != nil {
		limit = min(limit, protocol.MaxFrameBytes)
	}
	if c.grant.Load() == nil {
		limit = min(limit, maxTokenBytes)
	}
	return limit
}

// next returns a control frame or a whole message. The payload is valid until
// the next call. Errors are those of the connection or a closeError.
func (f *frames) next() (ws.OpCode, []byte, error) {
	for {
		h, err := f.header()
		if err != nil {
			return 0, nil, err
		}
		if h.OpCode.IsControl() {
			payload, err := f.whole(h)
			return h.OpCode, payload, err
		}
		if h.Length > int64(f.limit-f.length) {
			return 0, nil, f.tooLarge()
		}
		if h.OpCode != ws.OpContinuation {
			f.op, f.packed = h.OpCode, h.Rsv1()
			if h.Fin && h.Length <= int64(len(f.input.data)) {
				payload, err := f.whole(h)
				if err != nil {
					return 0, nil, err
				}
				return f.unpack(payload)
			}
		}
		if err := f.gather(h); err != nil {
			return 0, nil, err
		}
		if !h.Fin {
			f.state = f.state.Set(ws.StateFragmented)
			continue
		}
		f.state = f.state.Clear(ws.StateFragmented)
		message := f.message
		f.message, f.length = nil, 0
		return f.unpack(message)
	}
}

// unpack returns a message as the client meant it.
func (f *frames) unpack(message []byte) (ws.OpCode, []byte, error) {
	if !f.packed || f.discard {
		return f.op, message, nil
	}
	unpacked, err := deflate.Inflate(nil, message, f.limit)
	switch {
	case errors.Is(err, deflate.ErrTooLarge):
		return 0, nil, f.tooLarge()
	case err != nil:
		return 0, nil, &closeError{code: ws.StatusInvalidFramePayloadData, reason: "compressed data is corrupt"}
	}
	return f.op, unpacked, nil
}

func (f *frames) tooLarge() error {
	return &closeError{code: ws.StatusMessageTooBig, reason: fmt.Sprintf("message larger than %d bytes", f.limit)}
}

// checkReserved allows the first reserved bit where it says that a message is
// compressed: on its first frame (RFC 7692, section 6.1).
func checkReserved(h ws.Header) error {
	if h.Rsv == 0 || h.Rsv == ws.Rsv(true, false, false) && (h.OpCode == ws.OpText || h.OpCode == ws.OpBinary) {
		return nil
	}
	return protocolError("reserved bits are set")
}

// header reads and checks the next frame's header.
func (f *frames) header() (ws.Header, error) {
	for {
		h, n, err := parseHeader(f.input.data)
		if err != nil {
			return h, err
		}
		if n > 0 {
			f.input.data = f.input.data[n:]
			if err := ws.CheckHeader(h, f.state); err != nil {
				return h, protocolError(err.Error())
			}
			return h, checkReserved(h)
		}
		if err := f.input.fillOrLeave(); err != nil {
			return h, err
		}
	}
}

// whole returns the payload of a frame that fits the input's buffer.
func (f *frames) whole(h ws.Header) ([]byte, error) {
	n := int(h.Length)
	for len(f.input.data) < n {
		if err := f.input.fill(); err != nil {
			return nil, err
		}
	}
	payload := f.input.data[:n]
	f.input.data = f.input.data[n:]
	ws.Cipher(payload, h.Mask, 0)
	return payload, nil
}

// gather appends a frame's payload to the message as it comes: memory is
// taken for what has arrived, not for what is promised.
func (f *frames) gather(h ws.Header) error {
	for done := 0; done < int(h.Length); {
		if len(f.input.data) == 0 {
			if err := f.input.fill(); err != nil {
				return err
			}
		}
		part := f.input.data[:min(len(f.input.data), int(h.Length)-done)]
		f.input.data = f.input.data[len(part):]
		if !f.discard {
			ws.Cipher(part, h.Mask, done)
			f.message = append(f.message, part...)
		}
		done += len(part)
	}
	f.length += int(h.Length)
	return nil
}

var errLength = protocolError("payload length not in its shortest form")

// parseHeader reads a frame's header (RFC 6455, section 5.2) and returns its
// length, or 0 when it is not complete yet.
func parseHeader(data []byte) (h ws.Header, n int, err error) {
	if len(data) < 2 {
		return h, 0, nil
	}
	h.Fin = data[0]&0x80 != 0
	h.Rsv = data[0] >> 4 & 0x7
	h.OpCode = ws.OpCode(data[0] & 0xF)
	h.Masked = data[1]&0x80 != 0
	h.Length = int64(data[1] & 0x7F)
	n = 2
	switch h.Length {
	case 126:
		if n += 2; len(data) < n {
			return h, 0, nil
		}
		if h.Length = int64(binary.BigEndian.Uint16(data[2:])); h.Length < 126 {
			return h, 0, errLength
		}
	case 127:
		if n += 8; len(data) < n {
			return h, 0, nil
		}
		if h.Length = int64(binary.BigEndian.Uint64(data[2:])); h.Length <= 0xFFFF {
			return h, 0, errLength // also when the first bit is set
		}
	}
	if h.Masked {
		if n += 4; len(data) < n {
			return h, 0, nil
		}
		copy(h.Mask[:], data[n-4:])
	}
	return h, n, nil
}
