package bench_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math"
	"runtime"
	"strconv"
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
func channels(clients int) bench.Measurement {
	return &bench.Channels{Channels: clients, Each: 1, Messages: messages * clients, Burst: 7}
}
func churn() bench.Measurement {
	return &bench.Churn{Clients: 2, Guests: 4, Leave: 20, Rate: 200, Time: time.Second}
}
func ingest(messagesAtOnce int) bench.Measurement {
	return &bench.Ingest{Senders: 3, Messages: messages, Write: messagesAtOnce}
}

// late tampers with the second message to guests that have come while messages were on their way: the frames before a
// message are fewer than its number tells.
func late(change tamper) tamper {
	return func(i int, f ws.Frame) []ws.Frame {
		if n, ok := measuredNumber(f); ok && i == 1 && n > i {
			return change(i, f)
		}
		return []ws.Frame{f}
	}
}

// begin tampers with the first messages to such guests, up to the n-th.
func begin(n int, change tamper) tamper {
	return func(i int, f ws.Frame) []ws.Frame {
		if number, ok := measuredNumber(f); ok && i < n && number > i {
			return change(i, f)
		}
		return []ws.Frame{f}
	}
}

// measuredNumber returns the number of a measured message.
func measuredNumber(f ws.Frame) (int, bool) {
	_, text, _ := strings.Cut(string(f.Payload), `"payload":"m000000`)
	number, _, _ := strings.Cut(strings.TrimRight(text, `"}`), ".")
	n, err := strconv.Atoi(number)
	return n, err == nil
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

// again sends a frame a second time before the next one passes.
func again(n int) tamper {
	var passed ws.Frame
	return func(i int, f ws.Frame) []ws.Frame {
		if i == n+1 {
			return []ws.Frame{passed, f}
		}
		passed = f
		return []ws.Frame{f}
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
		"fanout, one is lost":               {fanout(3), proxy{fromServer: only(at, drop)}, "where 9 was due: lost or overtaken"},
		"fanout, one is doubled":            {fanout(3), proxy{fromServer: only(at, double)}, "message 9 again, where 10 was due"},
		"fanout, the last one is doubled":   {fanout(3), proxy{fromServer: only(messages, double)}, "again"},
		"fanout, the last one, after all":   {fanout(1), proxy{fromServer: again(messages)}, "message 29 again, where 30 was due"},
		"ingest, the last one is doubled":   {ingest(5), proxy{fromClient: only(messages, double)}, "again"},
		"fanout, two have changed places":   {fanout(1), proxy{fromServer: swap(at)}, "message 10 where 9 was due"},
		"fanout, something else comes":      {fanout(3), proxy{fromServer: only(at, instead(ws.NewTextFrame([]byte("500"))))}, `not a message of this measurement: "500"`},
		"fanout, the text is changed":       {fanout(3), proxy{fromServer: only(at, change)}, "message 9 is not what was sent"},
		"fanout, the server closes":         {fanout(3), proxy{fromServer: only(at, instead(ws.NewCloseFrame(ws.NewCloseFrameBody(1013, "too slow"))))}, `closes with 1013 "too slow"`},
		"fanout, a binary frame":            {fanout(3), proxy{fromServer: only(at, instead(ws.NewBinaryFrame(nil)))}, "a frame with opcode 2"},
		"fanout, a fragment":                {fanout(3), proxy{fromServer: only(at, instead(ws.NewFrame(ws.OpText, false, nil)))}, "a message in fragments"},
		"latency, one is lost":              {&bench.Latency{Clients: 3, Rate: 500, Time: 60 * time.Millisecond}, proxy{fromServer: only(at, drop)}, "where 9 was due: lost or overtaken"},
		"channels, one is lost":             {channels(5), proxy{fromServer: only(at, drop)}, "lost or overtaken"},
		"channels, the last one is doubled": {channels(5), proxy{fromServer: only(messages, double)}, "again"},
		"churn, one is lost":                {churn(), proxy{fromServer: only(at, drop)}, "where 9 was due: lost or overtaken"},
		"churn, a guest loses one":          {churn(), proxy{fromServer: late(drop)}, "lost or overtaken"},
		"churn, a guest gets one twice":     {churn(), proxy{fromServer: late(double)}, "again, where"},
		"churn, a guest gets another text":  {churn(), proxy{fromServer: late(change)}, "is not what was sent"},
		"churn, a guest hears late":         {churn(), proxy{fromServer: begin(5, drop)}, "was sent after the guest was let in: lost"},
		"churn, a guest hears nothing":      {churn(), proxy{fromServer: begin(math.MaxInt, drop)}, "no message comes, though"},
		"churn, a guest is thrown out":      {churn(), proxy{fromServer: late(instead(ws.NewCloseFrame(nil)))}, "the server closes"},
		"slow, one of the others loses one": {&bench.Slow{Clients: 5, Deaf: 2, Messages: messages, Burst: 7}, proxy{fromServer: only(at, drop)}, "where 9 was due: lost or overtaken"},
		"ingest, one is lost":               {ingest(1), proxy{fromClient: only(at, drop)}, "lost or overtaken"},
		"ingest, one is doubled":            {ingest(5), proxy{fromClient: only(at, double)}, "again, where"},
		"ingest, the connection is closed":  {ingest(1), proxy{fromClient: only(at, instead(ws.MaskFrame(ws.NewCloseFrame(nil))))}, "ingest: client "}, // whether it hears of it in a frame, as an end or as a reset
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

// TestGoodbyeIsAnswered shows that a guest waits for the server's answer, and that a measurement waits for all guests.
func TestGoodbyeIsAnswered(t *testing.T) {
	t.Parallel()
	const clients, guests = 3, 2
	target := startServer(t)
	target.Address = proxy{fromClient: func(_ int, f ws.Frame) []ws.Frame {
		if f.Header.OpCode == ws.OpClose {
			return nil
		}
		return []ws.Frame{f}
	}}.start(t, target.Address)
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	target.Progress = runOut(cancel, "let guests in", clients+guests-1)
	measurement := &bench.Churn{Clients: clients, Guests: guests, Leave: 100, Rate: 200, Time: 200 * time.Millisecond}
	_, err := measurement.Measure(ctx, target)
	if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "4 of 5 clients are in") {
		t.Errorf("error %v", err)
	}
}

// TestDeafAreClosed shows that clients which the server does not wait for are counted, and those that read are not.
func TestDeafAreClosed(t *testing.T) {
	t.Parallel()
	target := startServer(t, "PGWS_MAX_LAG_BYTES", "1MiB")
	// More than the kernel takes for them.
	measurement := &bench.Slow{Clients: 4, Deaf: 2, Messages: 3000, Burst: 20, Bytes: 7000}
	report, err := measurement.Measure(t.Context(), target)
	if err != nil {
		t.Fatal(err)
	}
	if closed, _ := report.Value("deaf clients closed by the server"); closed != 2 {
		t.Errorf("%v closed, want 2", closed)
	}
	if got, _ := report.Value("deliveries, complete and in order"); got != 6000 {
		t.Errorf("%v deliveries, want 6000", got)
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
