package bench

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/gobwas/ws"
)

// maxTextBytes leaves room, in what PostgreSQL takes, for what a server adds to a message.
const maxTextBytes = 7500

// Ingest measures how fast clients' messages reach PostgreSQL.
type Ingest struct {
	Senders  int `default:"100" help:"Clients that send, on one channel."`
	Messages int `default:"2000" help:"Messages that each sends, as fast as they go."`
	Write    int `default:"1" help:"Messages that a client hands to its socket at once."`
	Bytes    int `default:"16" help:"Length of a message, 16 at least."`
}

// Measure measures a server. The time runs from the first message until PostgreSQL has delivered the last one to a
// session of ours that listens.
func (i *Ingest) Measure(ctx context.Context, t *Target) (*Report, error) {
	if i.Senders < 1 || i.Messages < 1 || i.Write < 1 || i.Bytes > maxTextBytes {
		return nil, fmt.Errorf("bench: ingest: senders, messages and write must be 1 or more, bytes %d or less", maxTextBytes)
	}
	report, err := i.measure(ctx, t)
	if err != nil {
		return nil, fmt.Errorf("bench: ingest: %w", err)
	}
	return report, nil
}

func (i *Ingest) measure(ctx context.Context, t *Target) (_ *Report, err error) {
	s := &senders{target: t, channel: newChannel(), count: i.Senders, write: i.Write}
	s.fill = strings.Repeat(".", max(i.Bytes-textBytes, 0))
	if s.db, err = t.connect(ctx); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.db.close()) }()
	if err := s.db.listen(ctx); err != nil {
		return nil, err
	}
	s.crowd, err = openCrowd(ctx, t, i.Senders, openAtOnce, func(client int) string { return t.path(s.channel, "w", client) })
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.crowd.close()) }()
	// The server's connection to PostgreSQL is made for the first message; this is not measured.
	if _, err := s.send(ctx, hello, 1); err != nil {
		return nil, err
	}
	report, err := i.report(ctx, s)
	if err != nil {
		return nil, err
	}
	// A message that comes twice, the second time after all others, is found among these.
	_, err = s.send(ctx, hello, 1)
	return report, err
}

func (i *Ingest) report(ctx context.Context, s *senders) (*Report, error) {
	batches, err := s.target.batches(ctx)
	if err != nil {
		return nil, err
	}
	before, err := s.target.usage()
	if err != nil {
		return nil, err
	}
	took, err := s.send(ctx, measured, i.Messages)
	if err != nil {
		return nil, err
	}
	count := i.Senders * i.Messages
	r := &Report{Measurement: "ingest"}
	r.add("senders", float64(i.Senders), "")
	r.add("bytes a message", float64(max(i.Bytes, textBytes)), "B")
	r.add("messages handed to a socket at once", float64(i.Write), "")
	r.add("messages, complete and in order", float64(count), "")
	r.addTime("time to the last notification", took)
	r.add("messages a second", float64(count)/took.Seconds(), "/s")
	if err := r.addUsage(s.target, before, count, "message", took); err != nil {
		return nil, err
	}
	after, err := s.target.batches(ctx)
	if err != nil {
		return nil, err
	}
	if n := after - batches; n > 0 {
		r.add("transactions", n, "")
		r.add("messages a transaction", float64(count)/n, "")
	}
	return r, nil
}

// The senders are clients that send on one channel, and a session of PostgreSQL that hears what has become of it.
type senders struct {
	target  *Target
	crowd   *crowd
	db      *database
	channel string
	count   int
	write   int    // messages that a client hands to its socket at once
	fill    string // what makes a message as long as it shall be
}

// send has every client send messages of a kind and returns how long it took until all were heard, each once and in the
// order of its sender.
func (s *senders) send(ctx context.Context, k kind, each int) (took time.Duration, err error) {
	s.crowd.more = s.frames(k, each)
	start := time.Now()
	for sender := range s.count {
		if err := s.crowd.wantWrite(sender); err != nil {
			return 0, err
		}
	}
	l := newLedger(make([]int, s.count), 1, each)
	rest := s.fill + `"`
	err = during(ctx, s.crowd, func(ctx context.Context) error {
		return s.db.hear(ctx, func(payload string) (bool, error) {
			m, ok := parseRelayed(payload, s.channel, rest)
			if !ok {
				return false, nil
			}
			if m.kind != k {
				return false, fmt.Errorf("sender %d: message %d again, after the last one", m.sender, m.number)
			}
			if err := l.take(m.sender, m.number); err != nil {
				return false, fmt.Errorf("sender %d: %w", m.sender, err)
			}
			took = time.Since(start)
			s.target.progress("messages", s.count*each-l.missing, s.count*each)
			return l.complete(), nil
		})
	}, nil)
	return took, explain(err, l)
}

// frames returns the function that makes each sender's next frames.
func (s *senders) frames(k kind, each int) func(sender int) []byte {
	var text, frames []byte
	next := make([]int, s.count)
	return func(sender int) []byte {
		frames = frames[:0]
		for range min(s.write, each-next[sender]) {
			text = message{kind: k, sender: sender, number: next[sender]}.appendText(text[:0])
			text = append(text, s.fill...)
			frames = appendFrame(frames, ws.OpText, text)
			next[sender]++
		}
		return frames
	}
}
