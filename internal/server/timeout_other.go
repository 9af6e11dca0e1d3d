//go:build !linux

package server

import "net"

// limitUnacknowledged is for Linux: elsewhere the system decides.
func limitUnacknowledged(net.Conn) {}
