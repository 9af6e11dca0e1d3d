package postgres

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgproto3"
)

// backendMessages returns what PostgreSQL would send.
func backendMessages(t testing.TB, messages ...pgproto3.BackendMessage) (sent []byte) {
	t.Helper()
	for _, m := range messages {
		var err error
		if sent, err = m.Encode(sent); err != nil {
			t.Fatal(err)
		}
	}
	return sent
}

func notification(channel, payload string) *pgproto3.NotificationResponse {
	return &pgproto3.NotificationResponse{PID: 1, Channel: channel, Payload: payload}
}

// readStream returns what the stream hears, and what the driver reads of it.
func readStream(sent io.Reader) (heard []string, driver []byte, err error) {
	s := newStream(sent, "c", func(payload string) { heard = append(heard, payload) }, func() {})
	driver, err = io.ReadAll(s)
	return heard, driver, err
}

// TestStream reads the same in whole and in pieces.
func TestStream(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", maxPayloadBytes)
	others := []pgproto3.BackendMessage{
		&pgproto3.ParameterStatus{Name: "A", Value: "A"}, notification("d", "not ours"), notification("", ""),
		&pgproto3.NoticeResponse{Message: strings.Repeat("A", 2*readBytes)}, &pgproto3.ReadyForQuery{TxStatus: 'I'},
	}
	want := []string{"", "one", "ü 😀", long, long, "last"}
	sent := backendMessages(t, notification("c", want[0]), others[0], others[1], notification("c", want[1]), others[2], others[3],
		notification("c", want[2]), notification("c", want[3]), notification("c", want[4]), others[4], notification("c", want[5]))
	for name, reader := range map[string]func(io.Reader) io.Reader{
		"whole":          func(r io.Reader) io.Reader { return r },
		"byte by byte":   iotest.OneByteReader,
		"halves":         iotest.HalfReader,
		"data and error": iotest.DataErrReader,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			heard, driver, err := readStream(reader(bytes.NewReader(sent)))
			if err != nil {
				t.Error(err)
			}
			if diff := cmp.Diff(want, heard); diff != "" {
				t.Error(diff)
			}
			if !bytes.Equal(driver, backendMessages(t, others...)) {
				t.Errorf("the driver reads %.200q", driver)
			}
		})
	}
}

// TestStreamRefuses has PostgreSQL send what it never does: that ends the
// connection, and takes no memory.
func TestStreamRefuses(t *testing.T) {
	t.Parallel()
	good := backendMessages(t, notification("c", "good"))
	for name, bad := range map[string]string{
		"a length below the least": "Z\x00\x00\x00\x03",
		"a long notification":      "A\x00\x01\x00\x00",
		"a longer one":             "A\xff\xff\xff\xff",
		"a short one":              "A\x00\x00\x00\x07\x00\x00\x00",
		"no end of the channel":    "A\x00\x00\x00\x0a\x00\x00\x00\x01cc",
		"no end of the payload":    "A\x00\x00\x00\x0b\x00\x00\x00\x01c\x00p",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			heard, driver, err := readStream(strings.NewReader(string(good) + bad + string(good)))
			if err == nil || len(driver) > 0 {
				t.Errorf("error %v, the driver reads %q", err, driver)
			}
			if diff := cmp.Diff([]string{"good"}, heard); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestStreamFlushes looks for a flush before each wait, and none before.
func TestStreamFlushes(t *testing.T) {
	t.Parallel()
	var happened []string
	sent := backendMessages(t, notification("c", "1"), notification("c", "2"), notification("c", "3"))
	reads := [][]byte{sent[:len(sent)-3], sent[len(sent)-3:]}
	source := readerFunc(func(p []byte) (int, error) {
		happened = append(happened, "read")
		if len(reads) == 0 {
			return 0, errors.New("the end")
		}
		n := copy(p, reads[0])
		reads = reads[1:]
		return n, nil
	})
	s := newStream(source, "c", func(payload string) { happened = append(happened, payload) }, func() { happened = append(happened, "flush") })
	if _, err := s.Read(make([]byte, 1)); err == nil || err.Error() != "the end" {
		t.Errorf("error %v", err)
	}
	want := "[flush read 1 2 flush read 3 flush read]"
	if got := fmt.Sprint(happened); got != want {
		t.Errorf("happened: %s, want %s", got, want)
	}
}

type readerFunc func(p []byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// FuzzStream compares the stream with the driver's own reading.
func FuzzStream(f *testing.F) {
	f.Add(backendMessages(f, notification("c", "x"), &pgproto3.ReadyForQuery{TxStatus: 'I'}, notification("d", "y")))
	f.Add([]byte("A\x00\x00\x00\x0a\x00\x00\x00\x01c\x00"))
	f.Fuzz(func(t *testing.T, sent []byte) {
		heard, driver, err := readStream(bytes.NewReader(sent))
		if err != nil {
			return
		}
		if pieces, _, err := readStream(iotest.OneByteReader(bytes.NewReader(sent))); err != nil || !cmp.Equal(pieces, heard) {
			t.Errorf("in pieces: %q, error %v; whole: %q", pieces, err, heard)
		}
		var want []string
		for all := pgproto3.NewFrontend(bytes.NewReader(sent), nil); ; {
			m, err := all.Receive()
			if err != nil {
				break
			}
			if n, ok := m.(*pgproto3.NotificationResponse); ok && n.Channel == "c" {
				want = append(want, n.Payload)
			}
		}
		if len(want) > len(heard) || !cmp.Equal(want, heard[:len(want)]) && len(want) > 0 {
			t.Errorf("heard %q, the driver hears %q of %q and %q", heard, want, sent, driver)
		}
	})
}
