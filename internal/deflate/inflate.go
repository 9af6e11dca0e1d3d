package deflate

import (
	"compress/flate"
	"errors"
	"io"
	"slices"
	"sync"
)

var (
	// ErrTooLarge is the error of a message of more bytes than the limit.
	ErrTooLarge = errors.New("deflate: message is too large")
	// ErrCorrupt is the error of a message that is not the compressed form of any. There
	// is no sum to check: what is damaged may as well become something else.
	ErrCorrupt = errors.New("deflate: message is corrupt")
)

// ending is read behind a message: the tail, and an empty block with BFINAL, so that
// the reader ends with io.EOF and not as if data were cut off.
var ending = []byte(tail + "\x01\x00\x00\xff\xff")

// Inflate appends to dst what message, the payload of all its frames, is the compressed
// form of. Beyond limit bytes it stops with ErrTooLarge; neither its memory nor its time
// grows with what else there is. In case of an error dst is returned as it was. It is
// safe for concurrent use.
//
// A message may have several blocks with BFINAL (section 7.2.1); behind each the data
// begins anew, with an empty window. It may also end with one, without the empty
// block that has to follow: some clients send that, and nothing is lost.
func Inflate(dst, message []byte, limit int) ([]byte, error) {
	f := inflaters.Get().(*inflater)
	defer inflaters.Put(f)
	f.source = source{rest: message, end: ending}
	defer func() { f.source = source{} }() // The pool keeps no message alive.
	out, err := f.appendTo(dst, limit)
	if err != nil {
		return dst, err
	}
	return out, nil
}

// inflater is a reader, which has some 40 kB, and what it reads from.
type inflater struct {
	source source
	reader io.ReadCloser // It is a flate.Resetter too.
}

// inflaters are those at rest.
var inflaters = sync.Pool{New: func() any {
	f := new(inflater)
	f.reader = flate.NewReader(&f.source)
	return f
}}

// appendTo appends what the source holds, up to one byte more than the limit.
func (f *inflater) appendTo(dst []byte, limit int) ([]byte, error) {
	start, first := len(dst), 4*len(f.source.rest) // Of text, that is mostly enough.
	if err := f.begin(); err != nil {
		return nil, err
	}
	for {
		left := limit - (len(dst) - start)
		if left < 0 {
			return nil, ErrTooLarge
		}
		if len(dst) == cap(dst) {
			dst = slices.Grow(dst, min(left, max(first, len(dst)-start))+1)
		}
		room := dst[len(dst):cap(dst)]
		n, err := f.reader.Read(room[:min(len(room)-1, left)+1])
		dst = dst[:len(dst)+n]
		switch {
		case n > 0 || err == nil: // An error comes again.
		case !errors.Is(err, io.EOF):
			return nil, ErrCorrupt
		case len(f.source.rest) == 0:
			return dst, nil
		default:
			if err := f.begin(); err != nil {
				return nil, err
			}
		}
	}
}

// begin makes the reader begin where the source stands.
func (f *inflater) begin() error {
	return f.reader.(flate.Resetter).Reset(&f.source, nil)
}

// source reads a message and then what has to stand behind it. Since it has ReadByte,
// a flate reader takes no byte behind a final block.
type source struct {
	rest []byte
	end  []byte // Is read behind rest.
}

func (s *source) ReadByte() (byte, error) {
	if !s.more() {
		return 0, io.EOF
	}
	b := s.rest[0]
	s.rest = s.rest[1:]
	return b, nil
}

func (s *source) Read(p []byte) (int, error) {
	if !s.more() {
		return 0, io.EOF
	}
	n := copy(p, s.rest)
	s.rest = s.rest[n:]
	return n, nil
}

// more tells whether there is something to read.
func (s *source) more() bool {
	if len(s.rest) == 0 {
		s.rest, s.end = s.end, nil
	}
	return len(s.rest) > 0
}
