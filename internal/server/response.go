package server

import (
	"errors"
	"net"
	"net/http"
	"os"
	"sync"
	"time"
)

// A response is the answer to a request as a connection: for an event stream that has
// no socket of its own, as in HTTP/2 (RFC 9113, section 5) or behind a handler that
// does not lend it. Nothing is read from it.
type response struct {
	net.Conn // nil: the methods that a conn of ours does not call

	writer  http.ResponseWriter
	control *http.ResponseController
	remote  remote
	gone    <-chan struct{} // closed when the client has left

	end   sync.Once
	ended chan struct{} // closed when the handler may return

	mu       sync.Mutex // of writing; what has ended is not touched any more
	over     bool
	deadline time.Time
}

// newResponse begins the answer. The handler has to wait for ended.
func newResponse(w http.ResponseWriter, r *http.Request) (*response, error) {
	c := &response{
		writer: w, control: http.NewResponseController(w), remote: remote(r.RemoteAddr),
		gone: r.Context().Done(), ended: make(chan struct{}),
	}
	// The server's own time-outs are for answers that end.
	if err := c.control.SetReadDeadline(time.Time{}); err != nil {
		return nil, err
	}
	if err := c.SetWriteDeadline(time.Time{}); err != nil {
		return nil, err
	}
	if err := c.control.Flush(); errors.Is(err, http.ErrNotSupported) {
		return nil, err
	} // After any other error the first write fails, too.
	return c, nil
}

// Read waits for the end: a client has said all.
func (c *response) Read([]byte) (int, error) {
	select {
	case <-c.gone:
		c.mu.Lock()
		stalled := c.stalled()
		c.mu.Unlock()
		if stalled { // A write fails, which ends it and says why.
			<-c.ended
		}
	case <-c.ended:
	}
	return 0, net.ErrClosed
}

// stalled reports whether a write lasts, or has lasted, too long. It is called with the
// lock held.
func (c *response) stalled() bool { return !c.deadline.IsZero() && !time.Now().Before(c.deadline) }

// Write writes and flushes.
func (c *response) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.over {
		return 0, net.ErrClosed
	}
	n, err := c.writer.Write(p)
	if err == nil {
		err = c.control.Flush()
	}
	if err != nil && c.stalled() {
		err = os.ErrDeadlineExceeded // HTTP/2 says only that the stream is closed.
	}
	return n, err
}

// SetWriteDeadline bounds the writes that follow. It fails when the last one was too
// late: HTTP/2 may have ended the stream in the same moment.
func (c *response) SetWriteDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.over {
		return net.ErrClosed
	}
	if c.stalled() {
		return os.ErrDeadlineExceeded
	}
	c.deadline = t
	return c.control.SetWriteDeadline(t)
}

// Close ends the answer, and a write that is under way.
func (c *response) Close() error {
	c.end.Do(func() {
		if !c.mu.TryLock() {
			// It fails where the client is gone, and then the write does, too.
			_ = c.control.SetWriteDeadline(time.Unix(1, 0))
			c.mu.Lock()
		}
		c.over = true
		c.mu.Unlock()
		close(c.ended)
	})
	return nil
}

// RemoteAddr is the client's.
func (c *response) RemoteAddr() net.Addr { return c.remote }

// A remote address as a request has it.
type remote string

func (a remote) Network() string { return "tcp" }
func (a remote) String() string  { return string(a) }
