package server

import (
	"net"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// unacknowledged is how long a client that answers no ping may leave what it is sent
// unacknowledged. The system itself would wait for a quarter of an hour.
const unacknowledged = time.Minute

// limitUnacknowledged has the system end a connection whose client is gone.
func limitUnacknowledged(conn net.Conn) {
	if secured, ok := conn.(interface{ NetConn() net.Conn }); ok {
		conn = secured.NetConn()
	}
	direct, ok := conn.(syscall.Conn)
	if !ok {
		return
	}
	raw, err := direct.SyscallConn()
	if err != nil {
		return
	}
	// Without it the connection ends later, nothing worse.
	_ = raw.Control(func(fd uintptr) {
		_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(unacknowledged.Milliseconds()))
	})
}
