package client

import (
	"context"
	"errors"
	"sync"
	"time"

	"pgws/internal/protocol"
)

// A conn is the connection of the moment.
type conn struct {
	link link
	out  chan *request // to who writes, who takes them one by one
	wake chan struct{} // tells who writes that there is something in leaving, or room
	done chan struct{} // closed when it is not the client's any more

	expiring chan struct{} // tells who renews the token that the server has told of its end

	// The token that the server was given last, and when that ends, as the server writes it. Who renews it owns both.
	token   string
	expires int64

	// Guarded by Client.mu.
	lastID  uint64
	pending map[uint64]*request // sent, and not answered
	leaving []string            // channels to be closed
}

// A request is a question with the one who waits for its answer.
type request struct {
	question question
	// answered is called once: with the answer, or with what has become of the connection since the question was
	// sent. An error from it ends the connection.
	answered func(f frame, err error) error
}

// An answer is that of a request.
type answer struct {
	frame frame
	err   error
}

// newRequest returns a request whose answer comes by the channel.
func newRequest(q question) (*request, chan answer) {
	answers := make(chan answer, 1)
	return &request{question: q, answered: func(f frame, err error) error {
		answers <- answer{f, err}
		return nil
	}}, answers
}

var (
	errTooSlow = errors.New("messages are not read fast enough")
	errLost    = errors.New("the connection was lost")
)

// serve uses a link until it breaks or the context is done.
func (c *Client) serve(ctx context.Context, l link) error {
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	n := &conn{
		link: l, out: make(chan *request), wake: make(chan struct{}, 1), done: make(chan struct{}),
		expiring: make(chan struct{}, 1), token: c.token, expires: c.expires, pending: make(map[uint64]*request),
	}
	first := c.attach(n)
	var running sync.WaitGroup
	running.Go(func() {
		if err := c.write(ctx, n, first); err != nil {
			fail(err)
		}
	})
	running.Go(func() { c.keepToken(ctx, n) })
	err := l.run(ctx, func(f frame) error {
		if err := c.take(n, &f); err != nil {
			return err
		}
		return c.awaitRoom(ctx)
	})
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	fail(err)
	running.Wait()
	l.close()
	c.detach(n, err)
	return err
}

// attach makes a connection that of the client, and returns the subscriptions that it has to begin with.
func (c *Client) attach(n *conn) []*Subscription {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.conn = n
	close(c.attached)
	var first []*Subscription
	for name, s := range c.channels {
		if name == s.channels[0] {
			first = append(first, s)
		}
	}
	return first
}

// detach answers all who wait for the connection that is lost.
func (c *Client) detach(n *conn, err error) {
	c.mu.Lock()
	c.conn = nil
	c.attached = make(chan struct{})
	close(n.done)
	for _, s := range c.channels {
		s.open = false
	}
	pending := n.pending
	n.pending = nil
	c.mu.Unlock()
	lost := &Error{Code: Unavailable, Message: errLost.Error(), Uncertain: true, cause: err}
	for _, r := range pending {
		_ = r.answered(frame{}, lost) // The connection has ended already.
	}
}

// connection waits until there is one.
func (c *Client) connection(ctx context.Context) (*conn, error) {
	for {
		c.mu.Lock()
		n, attached, err := c.conn, c.attached, c.err
		c.mu.Unlock()
		if err != nil {
			return nil, err
		}
		if n != nil && ctx.Err() == nil {
			return n, nil
		}
		select {
		case <-attached:
		case <-c.done:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// hand gives a request to the one who writes. It reports false when nothing of it has been sent.
func (n *conn) hand(ctx context.Context, r *request) bool {
	select {
	case n.out <- r:
		return true
	case <-n.done:
	case <-ctx.Done():
	}
	return false
}

// write sends what it is handed, and the first subscriptions as soon as there is room for what they bring.
func (c *Client) write(ctx context.Context, n *conn, first []*Subscription) error {
	for {
		if len(first) > 0 && c.hasRoom() {
			for _, s := range first {
				if err := c.send(ctx, n, c.subscribing(s)); err != nil {
					return err
				}
			}
			first = nil
		}
		var r *request
		select {
		case r = <-n.out:
		case <-n.wake:
		case <-ctx.Done():
			return nil
		}
		if err := c.send(ctx, n, r); err != nil {
			return err
		}
	}
}

func (c *Client) hasRoom() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.queued <= queueBytes
}

// send sends a request, if any, after what is to be closed first.
func (c *Client) send(ctx context.Context, n *conn, r *request) error {
	var requests []*request
	c.mu.Lock()
	if len(n.leaving) > 0 {
		requests = append(requests, &request{
			question: question{Op: protocol.OpUnsubscribe, Channels: n.leaving},
			answered: func(frame, error) error { return nil },
		})
		n.leaving = nil
	}
	if r != nil {
		requests = append(requests, r)
	}
	// All are to be answered, even if the first cannot be sent.
	for _, r := range requests {
		n.lastID++
		r.question.ID = n.lastID
		n.pending[n.lastID] = r
	}
	c.mu.Unlock()
	signal(c.room)
	for _, r := range requests {
		if err := n.link.send(ctx, r.question); err != nil {
			return err
		}
	}
	return nil
}

// take handles a frame.
func (c *Client) take(n *conn, f *frame) error {
	switch f.Op {
	case protocol.OpOK, protocol.OpError:
		c.mu.Lock()
		r := n.pending[f.ID]
		delete(n.pending, f.ID)
		c.mu.Unlock()
		switch {
		case r == nil:
			return nil
		case f.Op == protocol.OpError:
			return r.answered(*f, f.failure())
		}
		return r.answered(*f, nil)
	case protocol.OpMessage, protocol.OpGap:
		c.deliver(f)
	case protocol.OpUnsubscribed:
		c.revoke(n, f)
	case protocol.OpExpiring:
		signal(n.expiring)
	}
	return nil // Whatever else it is, a later protocol may have it.
}

// keepToken renews the token of a connection each time when the server says that it ends. The server says so once: until
// there is one with another end, it is asked for again and again.
func (c *Client) keepToken(ctx context.Context, n *conn) {
	var again <-chan time.Time
	for {
		select {
		case <-n.expiring:
		case <-again:
		case <-ctx.Done():
			return
		}
		renewed, err := c.renew(ctx, n)
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			c.tell(State{Connected: true, Transport: n.link.transport(), Err: err})
		}
		again = nil
		if !renewed {
			again = time.After(askAgain)
		}
	}
}

// renew gives the server a new token, if there is one. It reports whether that ends at another time.
func (c *Client) renew(ctx context.Context, n *conn) (bool, error) {
	token, err := c.ask(ctx)
	if err != nil || token == n.token {
		return false, err
	}
	r, answers := newRequest(question{Op: protocol.OpAuth, Token: token})
	n.hand(ctx, r)
	var a answer
	select {
	case a = <-answers:
	case <-ctx.Done():
		return false, ctx.Err()
	}
	if a.err == nil || isRefusal(a.err) { // Else it may be good, and is sent again.
		n.token = token
	}
	if a.err != nil {
		return false, a.err
	}
	// Where no end is told, that is none, or a stream will tell it.
	renewed := a.frame.Expires == 0 || a.frame.Expires != n.expires
	n.expires = a.frame.Expires
	return renewed, nil
}

// awaitRoom makes the reader wait while too much is queued. But one who waits for an answer may be the one who is to read
// the queue: then more is taken, and at last the connection is given up, so that he is answered in any case.
func (c *Client) awaitRoom(ctx context.Context) error {
	for {
		c.mu.Lock()
		queued, asked := c.queued, c.conn != nil && len(c.conn.pending) > 0
		c.mu.Unlock()
		switch {
		case queued <= queueBytes:
			return nil
		case asked && queued <= mostQueueBytes:
			return nil
		case asked:
			return errTooSlow
		}
		select {
		case <-c.room:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// signal wakes the one who waits, or is about to.
func signal(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
