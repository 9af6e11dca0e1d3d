package page_test

import (
	"encoding/base64"
	"encoding/json"
	"net"
	"slices"
	"sync"

	"github.com/gobwas/ws"

	"pgws/internal/protocol"
)

// session is a connection of the relay.
type session struct {
	conn   net.Conn
	claims map[string]any // Its reader's own.

	mu       sync.Mutex // Held while writing, so that frames are whole.
	channels []string   // Those open.
	closing  bool       // A close frame has been sent: the last word.
}

func claimsOf(token string) (claims map[string]any) {
	data, err := base64.RawURLEncoding.DecodeString(token)
	if err == nil {
		err = json.Unmarshal(data, &claims)
	}
	if err != nil {
		panic(err) // The relay has made it.
	}
	return claims
}

// open opens channels. Nothing of theirs comes before the answer.
func (s *session) open(channels []string, answer *protocol.Answer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.channels = append(s.channels, channels...)
	s.write(protocol.JSON(answer))
}

func (s *session) leave(channels []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.channels = slices.DeleteFunc(s.channels, func(name string) bool { return slices.Contains(channels, name) })
}

func (s *session) reply(answer *protocol.Answer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.write(protocol.JSON(answer))
}

// deliver sends a frame if its channel is open.
func (s *session) deliver(channel string, frame []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if slices.Contains(s.channels, channel) {
		s.write(frame)
	}
}

func (s *session) write(text []byte) {
	if !s.closing {
		_ = ws.WriteFrame(s.conn, ws.NewTextFrame(text)) // The session's reader sees a broken connection.
	}
}

func (s *session) end(code ws.StatusCode, reason string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_ = ws.WriteFrame(s.conn, ws.NewCloseFrame(ws.NewCloseFrameBody(code, reason))) // The same.
	s.closing = true
}

func (s *session) Read(p []byte) (int, error) { return s.conn.Read(p) }

// Write is for the answers to pings and closes.
func (s *session) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing {
		return 0, net.ErrClosed
	}
	return s.conn.Write(p)
}
