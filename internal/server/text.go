package server

import (
	"encoding/binary"
	"math"
	"sync"

	"pgws/internal/deflate"
	"pgws/internal/hub"
)

// The first byte of a frame that is a whole text message, compressed or not (RFC
// 6455, section 5.2; RFC 7692, section 6).
const (
	finalText       = 0x80 | 0x1
	finalPackedText = finalText | 0x40
)

// maxFrameHeader is the longest header of an unmasked frame.
const maxFrameHeader = 10

// appendHeader appends the header of an unmasked frame.
func appendHeader(dst []byte, first byte, length int) []byte {
	dst = append(dst, first)
	switch {
	case length < 126:
		return append(dst, byte(length))
	case length <= math.MaxUint16:
		return binary.BigEndian.AppendUint16(append(dst, 126), uint16(length))
	}
	return binary.BigEndian.AppendUint64(append(dst, 127), uint64(length))
}

// appendText appends text as one frame.
func appendText[Text string | []byte](dst []byte, text Text) []byte {
	return append(appendHeader(dst, finalText, len(text)), text...)
}

// appendFramed appends a frame whose payload write appends. It is moved to where the
// header ends, once its length is known.
func appendFramed(dst []byte, first byte, write func(dst []byte) []byte) []byte {
	start := len(dst)
	dst = write(append(dst, make([]byte, maxFrameHeader)...))
	payload := dst[start+maxFrameHeader:]
	header := len(appendHeader(dst[:start], first, len(payload)))
	return dst[:header+copy(dst[header:], payload)]
}

// A packer compresses.
type packer struct {
	deflate.Compressor
	text []byte
}

var packers = sync.Pool{New: func() any { return new(packer) }}

// packed returns a format that compresses the texts of another one which have a
// length at least and get shorter by it. Text appends the text of a publication.
func packed(plain *hub.Format, least int, text func(dst []byte, p hub.Publication) []byte) *hub.Format {
	return &hub.Format{
		Publication: func(dst []byte, p hub.Publication) []byte {
			c := packers.Get().(*packer)
			defer packers.Put(c)
			if c.text = text(c.text[:0], p); len(c.text) < least {
				return appendText(dst, c.text)
			}
			shorter := false
			frame := appendFramed(dst, finalPackedText, func(dst []byte) []byte {
				dst, shorter = c.Append(dst, string(c.text))
				return dst
			})
			if !shorter {
				return appendText(dst, c.text)
			}
			return frame
		},
		Gap: plain.Gap,
	}
}
