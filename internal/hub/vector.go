package hub

import "sync"

// What one write takes: enough to make the system call cheap, little enough
// that a stalled session keeps little alive.
const (
	maxVectorFrames = 64
	maxVectorBytes  = 128 << 10
)

// A vector is what goes into one write: pieces of runs and control frames.
type vector struct {
	pieces       [][]byte
	size         int // bytes in all
	publications int

	merging []place // the room in which a session merges its cursors
}

// vectors lends vectors to whoever writes: on a goroutine's stack or in a
// session they would cost kilobytes each.
var vectors = sync.Pool{New: func() any {
	return &vector{pieces: make([][]byte, 0, maxVectorFrames)}
}}

func (v *vector) reset() {
	clear(v.pieces)
	v.pieces, v.size, v.publications = v.pieces[:0], 0, 0
}

func (v *vector) full() bool {
	return v.size >= maxVectorBytes || len(v.pieces) == maxVectorFrames
}

func (v *vector) add(piece []byte) {
	v.pieces = append(v.pieces, piece)
	v.size += len(piece)
}

// join adds frames[from:end] and makes one piece of it and the one before
// where they touch.
func (v *vector) join(frames []byte, from, end int) {
	if n := len(v.pieces); n > 0 && from > 0 {
		last := v.pieces[n-1]
		if start := from - len(last); start >= 0 && &last[0] == &frames[start] {
			v.pieces[n-1] = frames[start:end]
			v.size += end - from
			return
		}
	}
	v.add(frames[from:end])
}

// skip drops the first n bytes, which have been written.
func (v *vector) skip(n int) {
	v.size -= n
	i := 0
	for n >= len(v.pieces[i]) {
		n -= len(v.pieces[i])
		i++
	}
	rest := copy(v.pieces, v.pieces[i:])
	clear(v.pieces[rest:])
	v.pieces = v.pieces[:rest]
	v.pieces[0] = v.pieces[0][n:]
}
