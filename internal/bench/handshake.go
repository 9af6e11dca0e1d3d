package bench

import (
	"bytes"
	"errors"
	"fmt"
)

// The key of every handshake, and how a server must answer it (RFC 6455, section 4.2.2): the same for all clients, for
// nothing here caches answers.
const (
	handshakeKey    = "cGd3cyBsb2FkIGJlbmNoIQ=="
	handshakeAccept = "0dAZBSR42bXA/gP0LSAWbYHxc3k="
)

// maxAnswerBytes is more than any server writes before the first frame.
const maxAnswerBytes = 16 << 10

// handshake is a client's request.
func handshake(host, path string) []byte {
	return []byte("GET " + path + " HTTP/1.1\r\nHost: " + host + "\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " + handshakeKey + "\r\n\r\n")
}

// parseAnswer reads a server's answer. n is its length, 0 when it has not come whole.
func parseAnswer(data []byte) (n int, err error) {
	end := bytes.Index(data, []byte("\r\n\r\n"))
	if end < 0 {
		if len(data) > maxAnswerBytes {
			return 0, errors.New("handshake: an answer without end")
		}
		return 0, nil
	}
	n = end + len("\r\n\r\n")
	if !bytes.HasPrefix(data, []byte("HTTP/1.1 101 ")) {
		status, _, _ := bytes.Cut(data, []byte("\r\n"))
		return 0, fmt.Errorf("handshake refused: %s: %s", excerpt(status), excerpt(data[n:]))
	}
	if !bytes.Contains(data[:n], []byte(handshakeAccept)) {
		return 0, errors.New("handshake: the answer is not to our key")
	}
	return n, nil
}
