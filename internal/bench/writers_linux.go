package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// admitTimeout is how long a client may take for its handshake.
const admitTimeout = 10 * time.Second

// Writers are the other ends of an audience's connections, and as many threads as are to write to them.
type writers struct {
	fds     []int // known to no epoll: being watched would cost them a part of each write
	threads int
}

// admit opens the audience and answers it.
func admit(ctx context.Context, t *Target, a *audience, threads int) (*writers, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp4", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	a.target = &Target{Address: listener.Addr().String(), Progress: t.Progress}
	w := &writers{threads: threads}
	ended := make(chan error, 1)
	go func() { ended <- w.accept(listener, a.clients) }()
	if err := a.open(ctx); err != nil {
		return nil, errors.Join(err, listener.Close(), <-ended, w.close())
	}
	if err := <-ended; err != nil {
		return nil, errors.Join(err, a.close(), w.close())
	}
	return w, nil
}

// accept takes n connections, answers their handshakes and closes the listener. It ends when the listener is closed.
func (w *writers) accept(listener net.Listener, n int) error {
	defer listener.Close()
	for range n {
		conn, err := listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("accept: %w", err)
		}
		fd, err := answer(conn)
		if err == nil {
			w.fds = append(w.fds, fd)
		}
		if err := errors.Join(err, conn.Close()); err != nil {
			return fmt.Errorf("answer a client: %w", err)
		}
	}
	return nil
}

// answer lets a client in and returns a descriptor of the connection of which Go knows nothing.
func answer(conn net.Conn) (fd int, err error) {
	if err := conn.SetDeadline(time.Now().Add(admitTimeout)); err != nil {
		return 0, err
	}
	var request []byte
	for chunk := make([]byte, 1024); !bytes.HasSuffix(request, []byte("\r\n\r\n")); {
		n, err := conn.Read(chunk)
		if err != nil {
			return 0, err
		}
		request = append(request, chunk[:n]...)
	}
	if _, err := conn.Write([]byte("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
		"Sec-WebSocket-Accept: " + handshakeAccept + "\r\n\r\n")); err != nil {
		return 0, err
	}
	raw, err := conn.(*net.TCPConn).SyscallConn()
	if err != nil {
		return 0, err
	}
	controlErr := raw.Control(func(original uintptr) { fd, err = unix.FcntlInt(original, unix.F_DUPFD_CLOEXEC, 0) })
	return fd, errors.Join(controlErr, err)
}

// write has every piece that feed posts written to all connections, in order, and returns when all are written, with the
// CPU time that the threads have had. Each thread has a share of the connections.
func (w *writers) write(
	ctx context.Context, feed func(ctx context.Context, post func(piece []byte) error) error,
) (time.Duration, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var running sync.WaitGroup
	var spent atomic.Int64
	queues := make([]chan []byte, w.threads)
	for i := range queues {
		queues[i] = make(chan []byte, 1)
		share := w.fds[i*len(w.fds)/w.threads : (i+1)*len(w.fds)/w.threads]
		running.Go(func() {
			cpu, err := writeAll(ctx, share, queues[i])
			if err != nil {
				cancel(err)
			}
			spent.Add(int64(cpu))
		})
	}
	err := feed(ctx, func(piece []byte) error {
		for _, queue := range queues {
			select {
			case queue <- piece:
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
		return nil
	})
	for _, queue := range queues {
		close(queue)
	}
	running.Wait()
	if err == nil {
		err = context.Cause(ctx)
	}
	return time.Duration(spent.Load()), err
}

// writeAll is one thread: it writes each piece to its share of the connections, one after another.
func writeAll(ctx context.Context, share []int, pieces <-chan []byte) (spent time.Duration, err error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	before, err := threadCPU()
	if err != nil {
		return 0, err
	}
	for piece := range pieces {
		for _, fd := range share {
			if err := writeOut(ctx, fd, piece); err != nil {
				return 0, err
			}
		}
	}
	after, err := threadCPU()
	return after - before, err
}

// writeOut writes one piece. When the socket is full, it waits for it.
func writeOut(ctx context.Context, fd int, piece []byte) error {
	for {
		n, err := send(fd, piece)
		if err != nil && !errors.Is(err, unix.EAGAIN) && !errors.Is(err, unix.EINTR) {
			return fmt.Errorf("write: %w", err)
		}
		if piece = piece[n:]; len(piece) == 0 {
			return nil
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		full := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}
		if _, err := unix.Poll(full, lookEvery); err != nil && !errors.Is(err, unix.EINTR) {
			return fmt.Errorf("poll: %w", err)
		}
	}
}

func (w *writers) close() error {
	errs := make([]error, len(w.fds))
	for i, fd := range w.fds {
		errs[i] = unix.Close(fd)
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("close the connections: %w", err)
	}
	return nil
}
