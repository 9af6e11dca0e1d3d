package bench_test

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"sync"
	"testing"

	"github.com/gobwas/ws"
)

// A tamper returns what takes the place of a frame; n counts the frames of one direction of one connection from 0.
type tamper func(n int, f ws.Frame) []ws.Frame

func faithful(_ int, f ws.Frame) []ws.Frame { return []ws.Frame{f} }

// A proxy stands between clients and a server and does to the frames what a bad server might do.
type proxy struct {
	fromClient, fromServer tamper
	// wrap, if set, changes how bytes are written to the client.
	wrap func(io.Writer) io.Writer
}

// start listens until the test ends and returns the proxy's address.
func (p proxy) start(t *testing.T, server string) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			running.Go(func() { p.join(t, client, server) })
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		running.Wait()
	})
	return listener.Addr().String()
}

// join passes frames on in both directions until one side has closed.
func (p proxy) join(t *testing.T, client net.Conn, address string) {
	defer client.Close()
	server, err := net.Dial("tcp", address)
	if err != nil {
		t.Errorf("proxy: %v", err)
		return
	}
	defer server.Close()
	var up sync.WaitGroup
	up.Go(func() {
		defer server.Close()
		p.pass(t, client, server, p.fromClient)
	})
	to := io.Writer(client)
	if p.wrap != nil {
		to = p.wrap(client)
	}
	p.pass(t, server, to, p.fromServer)
	_ = client.Close()
	up.Wait()
}

// pass passes the HTTP head on as it is, and then frames.
func (proxy) pass(t *testing.T, from io.Reader, to io.Writer, change tamper) {
	if change == nil {
		change = faithful
	}
	reader := bufio.NewReader(from)
	for line := []byte(nil); !bytes.Equal(line, []byte("\r\n")); {
		var err error
		if line, err = reader.ReadBytes('\n'); err != nil {
			return
		}
		if _, err = to.Write(line); err != nil {
			return
		}
	}
	for n := 0; ; n++ {
		f, err := ws.ReadFrame(reader)
		if err != nil {
			if !errors.Is(err, io.EOF) && !errors.Is(err, net.ErrClosed) && !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Logf("proxy: %v", err)
			}
			return
		}
		for _, f := range change(n, f) {
			if err := ws.WriteFrame(to, f); err != nil {
				return
			}
		}
	}
}

// A dribble writes byte by byte.
type dribble struct{ io.Writer }

func (d dribble) Write(p []byte) (n int, err error) {
	for n < len(p) && err == nil {
		var one int
		one, err = d.Writer.Write(p[n : n+1])
		n += one
	}
	return n, err
}
