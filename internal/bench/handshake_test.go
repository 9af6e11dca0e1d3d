package bench

import (
	"bufio"
	"bytes"
	"crypto/sha1"
	"encoding/base64"
	"net/http"
	"strings"
	"testing"
)

func TestHandshakeAccept(t *testing.T) {
	t.Parallel()
	sum := sha1.Sum([]byte(handshakeKey + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	if want := base64.StdEncoding.EncodeToString(sum[:]); handshakeAccept != want {
		t.Errorf("got %s, want %s", handshakeAccept, want)
	}
}

func TestHandshakeIsARequest(t *testing.T) {
	t.Parallel()
	r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(handshake("localhost:3000", "/chat/token"))))
	if err != nil {
		t.Fatal(err)
	}
	if r.Host != "localhost:3000" || r.URL.Path != "/chat/token" || r.Header.Get("Upgrade") != "websocket" {
		t.Errorf("host %s, path %s, header %v", r.Host, r.URL.Path, r.Header)
	}
}

func TestParseAnswer(t *testing.T) {
	t.Parallel()
	const accepted = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: " + handshakeAccept + "\r\n\r\n"
	cases := map[string]struct {
		answer string
		n      int
		fault  string
	}{
		"accepted":                  {answer: accepted, n: len(accepted)},
		"accepted, and a frame":     {answer: accepted + "\x81\x00", n: len(accepted)},
		"not whole":                 {answer: accepted[:len(accepted)-1]},
		"nothing yet":               {},
		"refused":                   {answer: "HTTP/1.1 401 Unauthorized\r\n\r\nToken expired", fault: `handshake refused: "HTTP/1.1 401 Unauthorized": "Token expired"`},
		"not for our key":           {answer: "HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: x\r\n\r\n", fault: "handshake: the answer is not to our key"},
		"an answer without an end":  {answer: strings.Repeat("x", maxAnswerBytes+1), fault: "handshake: an answer without end"},
		"no HTTP, but an empty one": {answer: "\r\n\r\n", fault: `handshake refused: "": ""`},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n, err := parseAnswer([]byte(c.answer))
			fault := ""
			if err != nil {
				fault = err.Error()
			}
			if n != c.n || fault != c.fault {
				t.Errorf("got %d, %q, want %d, %q", n, fault, c.n, c.fault)
			}
		})
	}
}
