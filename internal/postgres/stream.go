package postgres

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"time"
)

const (
	// readBytes is how much one read takes from the network: as much as the hub
	// lets a run grow, and more than any notification has.
	readBytes = 64 << 10
	// longestAnswer is the longest message that the driver takes while it listens.
	longestAnswer = 1 << 20
)

// The beginning of each message of PostgreSQL: its type, and its length without
// the type (PostgreSQL's docs, "Message Formats").
const (
	messageHeaderBytes   = 5
	notificationResponse = 'A'
	processIDBytes       = 4
)

// A stream stands between a connection and the driver. It takes the
// notifications of one channel out of what PostgreSQL sends, since the driver
// would make garbage of each; all else is the driver's. It tells when everything
// that has come was handed on and the next read may wait: that is the moment to
// flush. While its owner receives, it also limits that wait.
//
// The driver reads it in the goroutine that uses the connection, and no other.
type stream struct {
	source  io.Reader
	channel string
	hear    func(payload string)
	drained func() // before a read that may wait
	buffer  []byte
	text    string // what has come, from the first byte that is not handed on yet
	passing int    // bytes of a message that is the driver's, not handed on yet

	mu          sync.Mutex
	conn        net.Conn // while receiving: it is the driver's during queries
	idle        time.Duration
	interrupted bool
}

// newStream returns a stream that reads from source.
func newStream(source io.Reader, channel string, hear func(payload string), drained func()) *stream {
	return &stream{source: source, channel: channel, hear: hear, drained: drained, buffer: make([]byte, readBytes)}
}

// Read is for the driver.
func (s *stream) Read(p []byte) (int, error) {
	for s.passing == 0 || s.text == "" {
		whole, err := s.next()
		if err == nil && !whole {
			err = s.fill()
		}
		if err != nil {
			return 0, err
		}
	}
	n := copy(p, s.text[:min(s.passing, len(s.text))])
	s.text = s.text[n:]
	s.passing -= n
	return n, nil
}

// next hears the notification with which the text begins, or finds what is the
// driver's. It reports false when more must come first.
func (s *stream) next() (whole bool, err error) {
	if s.passing > 0 || len(s.text) < messageHeaderBytes {
		return false, nil
	}
	length := 1 + int(binary.BigEndian.Uint32([]byte(s.text[1:messageHeaderBytes])))
	if length < messageHeaderBytes {
		return false, fmt.Errorf("PostgreSQL sends a message of %d bytes", length)
	}
	if s.text[0] != notificationResponse {
		s.passing = length
		return true, nil
	}
	if length > len(s.buffer) || length < messageHeaderBytes+processIDBytes {
		return false, fmt.Errorf("PostgreSQL sends a notification of %d bytes", length)
	}
	if length > len(s.text) {
		return false, nil
	}
	name, rest, _ := strings.Cut(s.text[messageHeaderBytes+processIDBytes:length], "\x00")
	payload, _, terminated := strings.Cut(rest, "\x00")
	switch {
	case !terminated:
		return false, errors.New("PostgreSQL sends a notification without an end")
	case name != s.channel:
		s.passing = length
	default:
		s.text = s.text[length:]
		s.hear(payload)
	}
	return true, nil
}

// fill reads once from the network. All that comes with one read is one string,
// of which the payloads are parts: one allocation for a burst.
func (s *stream) fill() error {
	s.drained()
	if err := s.limitWait(); err != nil {
		return err
	}
	kept := copy(s.buffer, s.text)
	n, err := s.source.Read(s.buffer[kept:])
	s.text = string(s.buffer[:kept+n])
	if n > 0 {
		return nil // what came before an error counts; the next read has the error again
	}
	return err
}

// limitWait sets the deadline of the next read, while receiving; else deadlines
// are left to the driver, for the context of a query.
func (s *stream) limitWait() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var deadline time.Time
	switch {
	case s.conn == nil:
		return nil
	case s.interrupted:
		deadline = time.Unix(1, 0)
	case s.idle > 0:
		deadline = time.Now().Add(s.idle)
	}
	return s.conn.SetReadDeadline(deadline)
}

// receive begins to limit waits on the connection: one that is longer than idle
// fails with a time-out; 0 is no limit.
func (s *stream) receive(conn net.Conn, idle time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.conn, s.idle = conn, idle
}

// query ends that.
func (s *stream) query() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	conn := s.conn
	s.conn = nil
	if conn == nil {
		return nil
	}
	return conn.SetReadDeadline(time.Time{})
}

// interrupt ends a wait under way, and all later ones, with a time-out.
func (s *stream) interrupt() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.interrupted = true
	if s.conn != nil {
		// A connection that refuses its deadline is closed: the wait ends all the same.
		_ = s.conn.SetReadDeadline(time.Unix(1, 0))
	}
}
