package deflate

import (
	"bytes"

	"github.com/klauspost/compress/flate"
)

// Compressor compresses messages. It is for use by one goroutine; its zero value is
// ready.
//
// It looks for repetitions with a small table that is new for each message. For what a
// notification holds that is as fast as a compressor that keeps a window, and faster
// when the processor's caches are cold. Text without repetitions, such as base64 or a
// list of UUIDs, all of this library's matchers give up; since it uses few letters,
// Huffman's code alone still saves a quarter and more.
type Compressor struct {
	payload []byte
	out     bytes.Buffer
	huffman *flate.Writer // Of HuffmanOnly, made when it is first needed.
}

// Append appends to dst the compressed form of payload. It is not ok, and dst is
// returned as it was, when that form is no shorter: send the payload as it is.
func (c *Compressor) Append(dst []byte, payload string) (message []byte, ok bool) {
	c.payload = append(c.payload[:0], payload...)
	c.out.Reset()
	if err := c.match(); err != nil {
		return dst, false
	}
	best := c.out.Bytes()
	if len(best) > len(payload)*3/4 {
		if err := c.encode(); err != nil {
			return dst, false
		}
		matched, coded := c.out.Bytes()[:len(best)], c.out.Bytes()[len(best):]
		if best = matched; len(coded) < len(matched) {
			best = coded
		}
	}
	best, ok = bytes.CutSuffix(best, []byte(tail))
	if !ok || len(best) >= len(payload) {
		return dst, false
	}
	return append(dst, best...), true
}

// match appends to c.out the payload with its repetitions left out.
func (c *Compressor) match() error {
	return flate.StatelessDeflate(&c.out, c.payload, false, nil)
}

// encode appends to c.out the payload in Huffman's code, repetitions and all.
func (c *Compressor) encode() (err error) {
	if c.huffman == nil {
		if c.huffman, err = flate.NewWriter(&c.out, flate.HuffmanOnly); err != nil {
			return err
		}
	}
	c.huffman.Reset(&c.out)
	if _, err = c.huffman.Write(c.payload); err != nil {
		return err
	}
	return c.huffman.Flush()
}
