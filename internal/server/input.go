package server

import (
	"io"
	"sync"
)

// readBytes is how much one read takes from a client.
const readBytes = 4 << 10

// readBuffers lends buffers to connections while they hold something. An idle
// connection has none where it is read by its descriptor, and one under TLS.
var readBuffers = sync.Pool{New: func() any {
	b := make([]byte, readBytes)
	return &b
}}

// An input reads a connection's bytes.
type input struct {
	conn   *conn
	data   []byte  // not used yet, part of buffer
	buffer *[]byte // lent, or nil

	attempt  func(fd uintptr) bool // read, as raw connections call it
	kept     int                   // bytes at the buffer's start that a read must leave
	mayLeave bool                  // nothing is half read
	leave    bool                  // a read that would wait ends with errNothingYet
	stay     bool                  // the connection cannot rest
	n        int
	err      error
}

func (in *input) init(c *conn, early []byte) {
	in.conn = c
	in.data = early
	in.attempt = in.read
}

// fillOrLeave is fill for when nothing is half read: then a connection that
// is not active may rest, and the error is errNothingYet.
func (in *input) fillOrLeave() error {
	in.mayLeave = len(in.data) == 0 && !in.stay && in.conn.server.poller != nil
	in.leave = in.mayLeave && !in.conn.active.Load()
	err := in.fill()
	in.mayLeave, in.leave = false, false
	return err
}

// fill waits for more and adds it to data. What data held before moves; it is
// the beginning of a header or a control frame, far less than a buffer.
func (in *input) fill() error {
	in.keep()
	var err error
	if in.conn.raw == nil || !canReadRaw {
		in.borrow()
		if in.n, err = in.conn.net.Read((*in.buffer)[in.kept:]); in.n > 0 {
			err = nil // if it lasts, the next read says it again
		}
	} else {
		err = in.readRaw()
	}
	if err == nil && in.n == 0 {
		err = io.EOF
	}
	if err != nil {
		in.giveBack()
		return err
	}
	in.data = (*in.buffer)[:in.kept+in.n]
	in.conn.see()
	return nil
}

// keep moves the bytes not used yet to the front of the buffer, or gives the
// buffer back.
func (in *input) keep() {
	in.kept = len(in.data)
	if in.kept == 0 {
		in.giveBack()
		return
	}
	in.borrow() // data may have come with the handshake
	copy(*in.buffer, in.data)
}

func (in *input) borrow() {
	if in.buffer == nil {
		in.buffer = readBuffers.Get().(*[]byte)
	}
}

func (in *input) giveBack() {
	if in.buffer != nil {
		readBuffers.Put(in.buffer)
	}
	in.buffer, in.data = nil, nil
}

// discard reads and forgets whatever comes.
func (in *input) discard() error {
	for {
		in.data = nil
		if err := in.fillOrLeave(); err != nil {
			return err
		}
	}
}
