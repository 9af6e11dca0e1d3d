package server

import (
	"net"
	"time"
)

// Write writes all frames and waits for it, see hub.Transport. It fails when
// that takes longer than the write time-out.
func (c *conn) Write(frames [][]byte) error {
	if err := c.net.SetWriteDeadline(time.Now().Add(c.server.WriteTimeout)); err != nil {
		return err
	}
	buffers := net.Buffers(frames)
	if _, err := buffers.WriteTo(c.net); err != nil {
		return err
	}
	return c.net.SetWriteDeadline(time.Time{})
}
