//go:build unix

package server

import (
	"errors"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// canReadRaw tells that connections are read by their descriptor, which takes
// a buffer only when there is something to read.
const canReadRaw = true

// readRaw waits for something to read. A deadline that the keeper sets only
// makes it look again whether it may leave.
func (in *input) readRaw() error {
	for {
		err := in.conn.raw.Read(in.attempt)
		if err == nil {
			return in.err
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			return err
		}
		if err := in.conn.net.SetReadDeadline(time.Time{}); err != nil {
			return err
		}
		in.leave = in.leave || in.mayLeave && !in.conn.active.Load()
	}
}

// read is called with a descriptor that may have something to read; it
// reports false when there is nothing yet.
func (in *input) read(fd uintptr) bool {
	in.borrow()
	for {
		in.n, in.err = unix.Read(int(fd), (*in.buffer)[in.kept:])
		switch {
		case errors.Is(in.err, unix.EINTR):
			continue
		case errors.Is(in.err, unix.EAGAIN):
			if in.kept == 0 {
				in.giveBack()
			}
			if in.leave {
				in.err = errNothingYet
				return true
			}
			return false
		}
		return true
	}
}

// A rawWrite is one attempt to write without waiting. It is kept in a pool,
// since its function would else be allocated for each write.
type rawWrite struct {
	frames  [][]byte
	n       int
	err     error
	attempt func(fd uintptr)
}

var rawWrites = sync.Pool{New: func() any {
	w := new(rawWrite)
	w.attempt = w.write
	return w
}}

func (w *rawWrite) write(fd uintptr) {
	for {
		if len(w.frames) == 1 {
			w.n, w.err = send(int(fd), w.frames[0])
		} else {
			w.n, w.err = unix.Writev(int(fd), w.frames)
		}
		switch {
		case errors.Is(w.err, unix.EINTR):
			continue
		case errors.Is(w.err, unix.EAGAIN):
			w.n, w.err = 0, nil
		}
		return
	}
}

// TryWrite writes what the socket takes at once, see hub.Transport. Control
// keeps the descriptor open meanwhile, as Write would, and leaves the runtime's
// poller alone, which we do not wait for. The hub calls for one write at a time.
func (c *conn) TryWrite(frames [][]byte) (int, error) {
	if c.raw == nil {
		return 0, nil
	}
	w := rawWrites.Get().(*rawWrite)
	w.frames = frames
	err := c.raw.Control(w.attempt)
	if err == nil {
		err = w.err
	}
	n := w.n
	w.frames, w.n, w.err = nil, 0, nil
	rawWrites.Put(w)
	return max(n, 0), err
}
