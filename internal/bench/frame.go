package bench

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/gobwas/ws"
)

// maxFrameBytes is more than any notification needs. A longer frame is an error, so that one read buffer is enough.
const maxFrameBytes = 64 << 10

var (
	errMasked     = errors.New("a server's frame must not be masked")
	errReserved   = errors.New("a frame with reserved bits")
	errFragmented = errors.New("a message in fragments, which this client does not read")
	errFrameSize  = fmt.Errorf("a frame of more than %d bytes", maxFrameBytes)
	errControl    = errors.New("a control frame that is too long")
)

// parseFrame reads the frame at the beginning of what a server has sent (RFC 6455, section 5.2). The payload is part of
// data. n is the frame's length, 0 when it has not come whole.
func parseFrame(data []byte) (op ws.OpCode, payload []byte, n int, err error) {
	if len(data) < 2 {
		return 0, nil, 0, nil
	}
	op = ws.OpCode(data[0] & 0x0F)
	switch {
	case data[0]&0x70 != 0:
		return 0, nil, 0, errReserved
	case data[0]&0x80 == 0 || op == ws.OpContinuation:
		return 0, nil, 0, errFragmented
	case data[1]&0x80 != 0:
		return 0, nil, 0, errMasked
	}
	header, length := 2, uint64(data[1])
	if op.IsControl() && length > ws.MaxControlFramePayloadSize {
		return 0, nil, 0, errControl
	}
	switch length {
	case 126:
		if header = 4; len(data) < header {
			return 0, nil, 0, nil
		}
		length = uint64(binary.BigEndian.Uint16(data[2:]))
	case 127:
		if header = 10; len(data) < header {
			return 0, nil, 0, nil
		}
		length = binary.BigEndian.Uint64(data[2:])
	}
	if length > maxFrameBytes {
		return 0, nil, 0, errFrameSize
	}
	n = header + int(length)
	if len(data) < n {
		return 0, nil, 0, nil
	}
	return op, data[header:n], n, nil
}

// mask is the same for all frames: what it guards against, proxies that mistake a payload for a request, is not here.
var mask = [4]byte{0x6B, 0x1E, 0xA7, 0x95}

// appendFrame appends a client's frame of up to 65,535 bytes.
func appendFrame(dst []byte, op ws.OpCode, payload []byte) []byte {
	dst = append(dst, 0x80|byte(op))
	if len(payload) < 126 {
		dst = append(dst, 0x80|byte(len(payload)))
	} else {
		dst = binary.BigEndian.AppendUint16(append(dst, 0x80|126), uint16(len(payload)))
	}
	dst = append(dst, mask[:]...)
	dst = append(dst, payload...)
	ws.Cipher(dst[len(dst)-len(payload):], mask, 0)
	return dst
}
