package client

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"

	"pgws/internal/protocol"
)

const (
	// queueBytes of messages may wait to be read; then the connection is not read any more.
	queueBytes = 1 << 20
	// mostQueueBytes may wait while an answer is awaited; then the connection is given up.
	mostQueueBytes = 16 * queueBytes
	// overhead is what a message costs in a queue beside its payload.
	overhead = 128
)

// A Subscription receives the messages of its channels.
//
// They wait in a queue that is bounded. When it is full, the whole connection is not read until there is room again; the
// server holds what comes meanwhile, and ends a connection that lags too far or has not been heard for a minute. The
// subscription then goes on where it was as soon as it is read. So read each subscription, or close it.
type Subscription struct {
	client   *Client
	channels []string

	opened  chan struct{} // closed when the server has opened the channels for the first time
	ended   chan struct{} // closed when no more messages come
	arrived chan struct{} // tells one reader that there is something

	// Guarded by Client.mu.
	open     bool   // on the connection of the moment
	position string // of the last message in the queue, or where the channels begin
	queue    []Message
	err      error // once ended
}

// Subscribe opens channels, up to 1024, and returns when the server has done so. A channel belongs to one subscription of
// a client. The error is an *Error if the server refuses; without a connection, Subscribe waits for one.
func (c *Client) Subscribe(ctx context.Context, channels ...string) (*Subscription, error) {
	return c.SubscribeSince(ctx, "", channels...)
}

// SubscribeSince opens channels like Subscribe, and begins after the position of a message seen before. Where the
// server does not have all that has come since, a Gap for each channel is the first that the subscription receives.
func (c *Client) SubscribeSince(ctx context.Context, position string, channels ...string) (*Subscription, error) {
	s := &Subscription{
		client: c, channels: slices.Clone(channels), position: position,
		opened: make(chan struct{}), ended: make(chan struct{}), arrived: make(chan struct{}, 1),
	}
	n, err := c.register(s)
	if err != nil {
		return nil, fmt.Errorf("subscribe: %w", err)
	}
	if n != nil {
		n.hand(ctx, c.subscribing(s)) // If it is not taken, the next connection begins with it.
	}
	select {
	case <-s.opened:
		return s, nil
	case <-s.ended:
		return nil, fmt.Errorf("subscribe: %w", s.err)
	case <-ctx.Done():
		s.Close()
		return nil, fmt.Errorf("subscribe: %w", ctx.Err())
	}
}

// register makes the channels those of a subscription, and returns the connection that has yet to be told.
func (c *Client) register(s *Subscription) (*conn, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return nil, c.err
	}
	if len(s.channels) == 0 {
		return nil, errors.New("no channel")
	}
	for i, name := range s.channels {
		if c.channels[name] != nil || slices.Contains(s.channels[:i], name) {
			return nil, fmt.Errorf("channel %q has a subscription already", name)
		}
	}
	for _, name := range s.channels {
		c.channels[name] = s
	}
	return c.conn, nil
}

// subscribing is the request that opens the channels on a connection; nil if the subscription has ended.
func (c *Client) subscribing(s *Subscription) *request {
	c.mu.Lock()
	defer c.mu.Unlock()
	if s.err != nil {
		return nil
	}
	return &request{
		question: question{Op: protocol.OpSubscribe, Channels: s.channels, Since: s.position},
		answered: func(f frame, err error) error { return c.subscribed(s, &f, err) },
	}
}

// subscribed takes the answer.
func (c *Client) subscribed(s *Subscription, f *frame, err error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if s.err != nil {
		return nil
	}
	if e, ok := errors.AsType[*Error](err); ok {
		if e.Uncertain {
			return nil // The connection was lost: the next one asks again.
		}
		if isOpened(s) && (e.Code == Unavailable || e.Code == RateLimited || e.Code == Internal) {
			return e // It was open before: try again.
		}
		c.drop(s, e)
		return nil
	}
	s.open = true
	resumed := f.Resumed != nil && *f.Resumed
	if !resumed {
		if s.position != "" {
			for _, name := range s.channels {
				c.push(s, Message{Channel: name, Position: f.Position, Gap: true})
			}
		}
		s.position = f.Position
	}
	if !isOpened(s) {
		close(s.opened)
	}
	return nil
}

func isOpened(s *Subscription) bool {
	select {
	case <-s.opened:
		return true
	default:
		return false
	}
}

// deliver puts a message, or a gap, into the queue of its subscription.
func (c *Client) deliver(f *frame) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.channels[f.Channel]
	// What comes before the answer to the subscribe is of an earlier subscription.
	if s == nil || !s.open {
		return
	}
	if f.Position != "" {
		s.position = f.Position
	}
	if f.Op == protocol.OpGap {
		c.push(s, Message{Channel: f.Channel, Position: f.Position, Gap: true})
		return
	}
	c.push(s, Message{Channel: f.Channel, Position: f.Position, Payload: f.Payload})
}

// push is called with the lock held, as drop is.
func (c *Client) push(s *Subscription, m Message) {
	s.queue = append(s.queue, m)
	c.queued += size(&m)
	signal(s.arrived)
}

func size(m *Message) int { return len(m.Payload) + overhead }

// revoke ends the subscriptions whose channels the token does not grant any more.
func (c *Client) revoke(n *conn, f *frame) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, name := range f.Channels {
		s := c.channels[name]
		if s == nil || !s.open {
			continue
		}
		e := f.failure()
		if e.Message == "" {
			e.Message = fmt.Sprintf("the token does not grant %q any more", name)
		}
		c.drop(s, e)
		c.leave(n, s.channels)
	}
}

// leave has channels closed. It is called with the lock held.
func (c *Client) leave(n *conn, channels []string) {
	n.leaving = append(n.leaving, channels...)
	signal(n.wake)
}

// drop ends a subscription. What is in its queue can still be read.
func (c *Client) drop(s *Subscription, err error) {
	if s.err != nil {
		return
	}
	s.err = err
	s.open = false
	for _, name := range s.channels {
		delete(c.channels, name)
	}
	close(s.ended)
}

// Next returns the next message, and waits for it. Its error is what has ended the subscription: ErrClosed, an *Error
// with the code Forbidden where a new token does not grant a channel any more, or what has ended the client.
func (s *Subscription) Next(ctx context.Context) (Message, error) {
	for {
		if m, ok := s.pop(); ok {
			return m, nil
		}
		select {
		case <-s.arrived:
		case <-s.ended:
			if m, ok := s.pop(); ok {
				return m, nil
			}
			return Message{}, s.err
		case <-ctx.Done():
			return Message{}, ctx.Err()
		}
	}
}

// Messages returns the messages as they come, until the loop or the subscription ends. An error, of the context or of
// Next, comes last; that the client or the subscription has been closed is none.
func (s *Subscription) Messages(ctx context.Context) iter.Seq2[Message, error] {
	return func(yield func(Message, error) bool) {
		for {
			m, err := s.Next(ctx)
			if errors.Is(err, ErrClosed) {
				return
			}
			if !yield(m, err) || err != nil {
				return
			}
		}
	}
}

func (s *Subscription) pop() (Message, bool) {
	c := s.client
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(s.queue) == 0 {
		return Message{}, false
	}
	m := s.queue[0]
	s.queue[0] = Message{} // so that it is garbage when the caller has done with it
	s.queue = s.queue[1:]
	if len(s.queue) > 0 {
		signal(s.arrived) // There may be another reader.
	}
	c.free(size(&m))
	return m, true
}

// free makes room in the queues. It is called with the lock held.
func (c *Client) free(bytes int) {
	before := c.queued
	c.queued -= bytes
	if before > queueBytes && c.queued <= queueBytes {
		signal(c.room)
		if c.conn != nil {
			signal(c.conn.wake)
		}
	}
}

// Close closes the channels, and forgets what has not been read. It does not wait for the server.
func (s *Subscription) Close() {
	c := s.client
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range s.queue {
		c.free(size(&s.queue[i]))
	}
	s.queue = nil
	if s.err != nil {
		return
	}
	c.drop(s, ErrClosed)
	if c.conn != nil {
		c.leave(c.conn, s.channels)
	}
}
