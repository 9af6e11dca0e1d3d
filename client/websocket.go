package client

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/coder/websocket"

	"pgws/internal/protocol"
)

const (
	// connectTimeout is how long a server may take until it is ready.
	connectTimeout = 10 * time.Second
	// writeTimeout is how long the network may take no byte.
	writeTimeout = 30 * time.Second
	// closeTimeout is how long the server may take to answer a close.
	closeTimeout = 2 * time.Second
	// silence is how long nothing need be heard of a server. It pings every 30 seconds; an event stream has a comment
	// every 15.
	silence = 75 * time.Second
	// mostFrame is the longest frame that is read: the answer to a subscribe names up to 1024 channels.
	mostFrame = 16 << 20
)

var (
	errNoAnswer = errors.New("no websocket")
	errSilent   = errors.New("nothing was heard of the server")
)

// A socket is a link by websocket.
type socket struct {
	conn *websocket.Conn
	// silent ends the reading when nothing is heard for too long.
	silent *time.Timer
}

// openSocket connects and waits until the server is ready. An error that is errNoAnswer may be the word of
// something on the way.
func (c *Client) openSocket(ctx context.Context, token string) (*socket, error) {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	s := new(socket)
	conn, response, err := websocket.Dial(ctx, c.root.String(), &websocket.DialOptions{ //nolint:bodyclose // Dial does.
		HTTPClient:   c.http,
		HTTPHeader:   http.Header{"Authorization": {"Bearer " + token}},
		Subprotocols: []string{protocol.V1},
		OnPingReceived: func(context.Context, []byte) bool {
			s.heard()
			return true
		},
	})
	if err != nil {
		return nil, handshakeError(err, response)
	}
	conn.SetReadLimit(mostFrame)
	s.conn = conn
	if conn.Subprotocol() != protocol.V1 {
		_ = conn.CloseNow() // It is of no use.
		return nil, fmt.Errorf("%w: the server does not speak %s", errNoAnswer, protocol.V1)
	}
	first, err := s.read(ctx)
	if err != nil {
		_ = conn.CloseNow()
		if end, ok := errors.AsType[*closing](err); ok {
			return nil, end.asRefusal()
		}
		return nil, fmt.Errorf("%w: %w", errNoAnswer, err)
	}
	if first.Op != protocol.OpReady {
		_ = conn.CloseNow()
		return nil, fmt.Errorf("%w: the server is not ready", errNoAnswer)
	}
	if len(first.Channels) > 0 {
		_ = conn.CloseNow()
		return nil, errors.New("the URL is not the server's root: its path opens a channel")
	}
	c.expires = first.Expires
	return s, nil
}

// handshakeError says what has come of a handshake, without the URL.
func handshakeError(err error, response *http.Response) error {
	if response != nil && response.StatusCode != http.StatusSwitchingProtocols {
		return fmt.Errorf("%w: the answer is %s", errNoAnswer, response.Status)
	}
	if operation, ok := errors.AsType[*net.OpError](err); ok && operation.Op == "dial" {
		return operation.Err // Nobody is there.
	}
	return fmt.Errorf("%w: %w", errNoAnswer, withoutURL(err))
}

func (s *socket) transport() Transport { return Websocket }

func (s *socket) run(ctx context.Context, deliver func(frame) error) error {
	// Reading has a context of its own, so that there is somebody to read the answer to our close.
	reading, giveUp := context.WithCancelCause(context.WithoutCancel(ctx))
	defer giveUp(nil)
	closed := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(closed)
		timer := time.AfterFunc(closeTimeout, func() { giveUp(ctx.Err()) })
		defer timer.Stop()
		_ = s.conn.Close(websocket.StatusNormalClosure, "") // Whether it is answered or not, it is over.
	})
	s.silent = time.AfterFunc(silence, func() { giveUp(errSilent) })
	defer s.silent.Stop()
	for {
		s.heard()
		f, err := s.read(reading)
		s.silent.Stop()
		if err == nil {
			err = deliver(f)
		}
		if err == nil {
			continue
		}
		if !stop() {
			<-closed
			return ctx.Err()
		}
		_ = s.conn.CloseNow()
		return err
	}
}

// heard is called when something has come, or is awaited.
func (s *socket) heard() {
	if s.silent != nil {
		s.silent.Reset(silence)
	}
}

func (s *socket) read(ctx context.Context) (frame, error) {
	kind, text, err := s.conn.Read(ctx)
	if err != nil {
		if end, ok := errors.AsType[websocket.CloseError](err); ok {
			return frame{}, &closing{int(end.Code), end.Reason}
		}
		if cause := context.Cause(ctx); cause != nil {
			err = cause
		}
		return frame{}, fmt.Errorf("read: %w", err)
	}
	if kind != websocket.MessageText {
		return frame{}, errors.New("the server's frame is binary")
	}
	return decode(text)
}

func (s *socket) send(ctx context.Context, q question) error {
	text, err := encode(q)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	if err := s.conn.Write(ctx, websocket.MessageText, text); err != nil {
		return fmt.Errorf("write: %w", err)
	}
	return nil
}

func (s *socket) close() {}
