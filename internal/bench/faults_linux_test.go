package bench_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"pgws/internal/bench"
)

const (
	messages = 30
	at       = 10 // the frame that is tampered with; the first one is a hello
)

func only(n int, change tamper) tamper {
	return func(i int, f ws.Frame) []ws.Frame {
		if i == n {
			return change(i, f)
		}
		return []ws.Frame{f}
	}
}

func drop(int, ws.Frame) []ws.Frame       { return nil }
func double(_ int, f ws.Frame) []ws.Frame { return []ws.Frame{f, f} }
func instead(other ws.Frame) tamper {
	return func(int, ws.Frame) []ws.Frame { return []ws.Frame{other} }
}
func before(other ws.Frame) tamper {
	return func(_ int, f ws.Frame) []ws.Frame { return []ws.Frame{other, f} }
}
func fanout(clients int) bench.Measurement {
	return &bench.Fanout{Clients: clients, Messages: messages, Burst: 7}
}
func ingest(messagesAtOnce int) bench.Measurement {
	return &bench.Ingest{Senders: 3, Messages: messages, Write: messagesAtOnce}
}

// change alters a text behind its number.
func change(_ int, f ws.Frame) []ws.Frame {
	f.Payload = append(bytes.TrimSuffix(f.Payload, []byte(`"}`)), `!"}`...)
	f.Header.Length = int64(len(f.Payload))
	return []ws.Frame{f}
}

// swap holds one frame back until the next has passed.
func swap(n int) tamper {
	var held []ws.Frame
	return func(i int, f ws.Frame) []ws.Frame {
		if i == n {
			held = append(held, f)
			return nil
		}
		passed := append([]ws.Frame{f}, held...)
		held = nil
		return passed
	}
}

func TestFaultsAreFound(t *testing.T) {
	t.Parallel()
	target := startServer(t)
	cases := map[string]struct {
		measurement bench.Measurement
		proxy       proxy
		want        string
	}{
		"fanout, one is lost":              {fanout(3), proxy{fromServer: only(at, drop)}, "where 9 was due: lost or overtaken"},
		"fanout, one is doubled":           {fanout(3), proxy{fromServer: only(at, double)}, "message 9 again, where 10 was due"},
		"fanout, the last one is doubled":  {fanout(3), proxy{fromServer: only(messages, double)}, "again"},
		"ingest, the last one is doubled":  {ingest(5), proxy{fromClient: only(messages, double)}, "again"},
		"fanout, two have changed places":  {fanout(1), proxy{fromServer: swap(at)}, "message 10 where 9 was due"},
		"fanout, something else comes":     {fanout(3), proxy{fromServer: only(at, instead(ws.NewTextFrame([]byte("500"))))}, `not a message of this measurement: "500"`},
		"fanout, the text is changed":      {fanout(3), proxy{fromServer: only(at, change)}, "message 9 is not what was sent"},
		"fanout, the server closes":        {fanout(3), proxy{fromServer: only(at, instead(ws.NewCloseFrame(ws.NewCloseFrameBody(1013, "too slow"))))}, `closes with 1013 "too slow"`},
		"fanout, a binary frame":           {fanout(3), proxy{fromServer: only(at, instead(ws.NewBinaryFrame(nil)))}, "a frame with opcode 2"},
		"fanout, a fragment":               {fanout(3), proxy{fromServer: only(at, instead(ws.NewFrame(ws.OpText, false, nil)))}, "a message in fragments"},
		"latency, one is lost":             {&bench.Latency{Clients: 3, Rate: 500, Time: 60 * time.Millisecond}, proxy{fromServer: only(at, drop)}, "where 9 was due: lost or overtaken"},
		"ingest, one is lost":              {ingest(1), proxy{fromClient: only(at, drop)}, "lost or overtaken"},
		"ingest, one is doubled":           {ingest(5), proxy{fromClient: only(at, double)}, "again, where"},
		"ingest, the connection is closed": {ingest(1), proxy{fromClient: only(at, instead(ws.MaskFrame(ws.NewCloseFrame(nil))))}, "the server "}, // closes, or has closed
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			behind := *target
			behind.Address = c.proxy.start(t, target.Address)
			ctx, cancel := context.WithTimeout(t.Context(), timeout)
			defer cancel()
			report, err := c.measurement.Measure(ctx, &behind)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want %q; report %+v", err, c.want, report)
			}
		})
	}
}

// runOut returns a Progress that ends the time when a step goes no further: it is told the same a third time.
func runOut(cancel context.CancelCauseFunc, step string, at int) func(string, int, int) {
	rounds := 0
	return func(told string, done, _ int) {
		if told == step && done == at {
			if rounds++; rounds == 3 {
				cancel(context.DeadlineExceeded)
			}
		}
	}
}

// TestLastIsLost shows that a measurement does not end before the last message has come. Its time is up when one message
// is missing and nothing more happens.
func TestLastIsLost(t *testing.T) {
	t.Parallel()
	target := startServer(t)
	target.Address = proxy{fromServer: only(messages, drop)}.start(t, target.Address)
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	target.Progress = runOut(cancel, "deliveries", messages-1)
	_, err := fanout(1).Measure(ctx, target)
	if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "1 messages of 1 clients have not come") {
		t.Errorf("error %v", err)
	}
}

func TestFramesInPieces(t *testing.T) {
	t.Parallel()
	target := startServer(t)
	target.Address = proxy{wrap: func(w io.Writer) io.Writer { return dribble{w} }}.start(t, target.Address)
	if _, err := fanout(3).Measure(t.Context(), target); err != nil {
		t.Error(err)
	}
}

func TestPingsAreAnswered(t *testing.T) {
	t.Parallel()
	const clients = 3
	target := startServer(t)
	var pongs atomic.Int32
	target.Address = proxy{
		fromServer: only(0, before(ws.NewPingFrame([]byte("are you there?")))),
		fromClient: func(_ int, f ws.Frame) []ws.Frame {
			if f = ws.UnmaskFrame(f); f.Header.OpCode == ws.OpPong && string(f.Payload) == "are you there?" {
				pongs.Add(1)
			}
			return nil
		},
	}.start(t, target.Address)
	if _, err := fanout(clients).Measure(t.Context(), target); err != nil {
		t.Fatal(err)
	}
	// They have been written; the proxy may not have read them yet.
	for start := time.Now(); pongs.Load() < clients; runtime.Gosched() {
		if time.Since(start) > timeout {
			t.Fatalf("%d pongs to %d pings", pongs.Load(), clients)
		}
	}
}
