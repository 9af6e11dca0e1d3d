package bench

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Receive and send take from a socket what it has, and give it what it takes. Neither waits, so Go's scheduler is not
// told of them, which would cost some 5 % of each.

func receive(fd int, buffer []byte) (int, error) {
	return transfer(unix.SYS_RECVFROM, fd, buffer, unix.MSG_DONTWAIT)
}

func send(fd int, data []byte) (int, error) {
	return transfer(unix.SYS_SENDTO, fd, data, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
}

// transfer makes the call. Bytes must not be empty.
func transfer(call uintptr, fd int, bytes []byte, flags uintptr) (int, error) {
	n, _, errno := syscall.RawSyscall6(call, uintptr(fd),
		uintptr(unsafe.Pointer(unsafe.SliceData(bytes))), uintptr(len(bytes)), flags, 0, 0) //nolint:gosec // What a system call takes.
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}
