package postgres

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"pgws/internal/devpg/pgtest"
	"pgws/internal/hub"
)

// receipts notes which messages their senders are told of.
type receipts struct {
	mu     sync.Mutex
	told   map[string]int
	errors []error
}

func newReceipts() *receipts { return &receipts{told: make(map[string]int)} }

// done returns what a message with a text is to call.
func (r *receipts) done(text string) func(int64, error) {
	return func(_ int64, err error) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.told[text]++
		if err != nil {
			r.errors = append(r.errors, err)
		}
	}
}

// expectOnce waits until count messages were told; none may be told twice, or of
// an error.
func (r *receipts) expectOnce(t *testing.T, count int) {
	t.Helper()
	eventually(t, "not all senders are told", func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		return len(r.told) >= count
	})
	r.mu.Lock()
	defer r.mu.Unlock()
	for text, times := range r.told {
		if times != 1 {
			t.Errorf("the sender of %q is told %d times", text, times)
		}
	}
	if len(r.errors) > 0 {
		t.Error(errors.Join(r.errors...))
	}
}

// An answer is what a sender is told.
type answer struct {
	stamp int64
	err   error
}

// asking returns a message whose sender's answers are in the channel.
func asking(text string) (hub.Message, <-chan answer) {
	m := message(text)
	answers := make(chan answer, 10)
	m.Done = func(stamp int64, err error) { answers <- answer{stamp, err} }
	return m, answers
}

func expectCommitted(t *testing.T, answers <-chan answer) answer {
	t.Helper()
	a := await(t, answers, "the receipt")
	if a.err != nil || a.stamp == 0 {
		t.Errorf("the sender is told %+v", a)
	}
	return a
}

func expectNoMore(t *testing.T, answers <-chan answer) {
	t.Helper()
	select {
	case a := <-answers:
		t.Errorf("the sender is told %+v", a)
	default:
	}
}

// TestReceipt has another session listen. When the sender is told that its message
// is committed, that session has it: PostgreSQL sends it before the answer to a
// query.
func TestReceipt(t *testing.T) {
	t.Parallel()
	uri := pgtest.Database(t)
	n, _ := notify(t, uri, nil)
	h, _ := listen(t, uri, func(o *ListenerOptions) { o.Notifier = n })
	h.awaitUp(t, true)
	witness := connect(t, uri)
	execute(t, witness, "listen \""+strings.ReplaceAll(listenChannel, `"`, `""`)+`"`)
	now, cancel := context.WithCancel(t.Context())
	cancel()
	for i := range 50 {
		m, answers := asking(fmt.Sprint(i))
		publish(t, n, m)
		a := expectCommitted(t, answers)
		execute(t, witness, "select 1")
		got, err := witness.WaitForNotification(now)
		if err != nil {
			t.Fatalf("message %d is committed, and not notified: %v", i, err)
		}
		r := decode(t, publication{payload: got.Payload})
		if r.Payload != fmt.Sprint(i) || int64(math.Round(r.Claims.At*1e6)) != a.stamp {
			t.Errorf("message %d: notified %s, told %d", i, got.Payload, a.stamp)
		}
		h.next(t)
		expectNoMore(t, answers)
	}
}

// TestReceiptSeveralChannels has one message become several notifications, in one
// transaction or in several.
func TestReceiptSeveralChannels(t *testing.T) {
	t.Parallel()
	const bad = "\xff"
	many := make([]string, 100)
	for i := range many {
		many[i] = fmt.Sprint(i)
	}
	tests := map[string]struct {
		channels []string
		text     string
		refused  bool
	}{
		"two":              {channels: []string{"a", "b"}},
		"two transactions": {channels: many, text: strings.Repeat("x", 7000)},
		"the last refused": {channels: []string{"a", "b", bad}, refused: true},
		"one refused":      {channels: []string{"a", bad, "b"}, refused: true},
		"all refused":      {channels: []string{bad, bad}, refused: true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			uri := pgtest.Database(t)
			n, _ := notify(t, uri, nil)
			h, _ := listen(t, uri, func(o *ListenerOptions) { o.Notifier = n })
			h.awaitUp(t, true)
			m, answers := asking(test.text)
			m.Channels = test.channels
			publish(t, n, m)
			a := await(t, answers, "the receipt")
			if errors.Is(a.err, hub.ErrRefused) != test.refused || test.refused != (a.stamp == 0) {
				t.Errorf("the sender is told %+v", a)
			}
			var last float64
			var channels []string // one transaction may overtake another, since there is no sender
			want := slices.DeleteFunc(slices.Sorted(slices.Values(test.channels)), func(channel string) bool { return channel == bad })
			for range want {
				r := decode(t, h.next(t))
				channels = append(channels, r.Channel)
				last = max(last, r.Claims.At)
			}
			slices.Sort(channels)
			if diff := cmp.Diff(want, channels, cmpopts.EquateEmpty()); diff != "" {
				t.Error(diff)
			}
			if !test.refused && int64(math.Round(last*1e6)) != a.stamp {
				t.Errorf("the last stamp is %f, told %d", last, a.stamp)
			}
			expectNoMore(t, answers)
		})
	}
}

// TestReceiptAnswerLost keeps PostgreSQL's answer to a commit back, and then breaks
// the connection: the listener has heard the message, so it is committed and not
// sent again.
func TestReceiptAnswerLost(t *testing.T) {
	t.Parallel()
	uri := pgtest.Database(t)
	p, proxied := proxy(t, uri)
	n, _ := notify(t, proxied, func(o *NotifierOptions) { o.Connections = 1 })
	h, _ := listen(t, uri, func(o *ListenerOptions) { o.Notifier = n })
	h.awaitUp(t, true)
	await(t, n.Ready(), "the notifier")
	loseAnswers(t, p)
	m, answers := asking("x")
	publish(t, n, m)
	h.next(t)
	expectNoMore(t, answers)
	p.Stop()
	expectCommitted(t, answers)
	if n.down.Load() {
		t.Error("PostgreSQL counts as away, and nothing will be sent that tells otherwise")
	}
	restart(t, p)
	again, answersAgain := asking("y")
	publish(t, n, again)
	expectCommitted(t, answersAgain)
	if r := decode(t, h.next(t)); r.Payload != "y" {
		t.Errorf("heard %q", r.Payload)
	}
	expectNoMore(t, answers)
}
