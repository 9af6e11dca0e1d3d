package client

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/url"
	"time"
)

const (
	// tries is how many handshakes for a websocket, in a row, meet no answer of pgws before Server-Sent Events are tried.
	tries = 2
	// websocketAgain is how long event streams are used before a websocket is tried again.
	websocketAgain = 5 * time.Minute
	// tokenTimeout is how long the Token function may take.
	tokenTimeout = 30 * time.Second
	// askAgain is how long to wait for a new token when there is none that is good for longer.
	askAgain = 5 * time.Second

	firstWait   = 500 * time.Millisecond
	longestWait = 30 * time.Second
	// refusals is how many tries to connect again, in a row, the server may refuse for their token before the client ends.
	refusals = 5
	// stable is how long a connection must have lasted for the next wait to be short again.
	stable = 10 * time.Second
)

// A link carries frames to the server and from it.
type link interface {
	transport() Transport
	// run hands on the server's frames until the context is done, when it says good-bye, or the link breaks.
	run(ctx context.Context, deliver func(frame) error) error
	// send sends a question; run hands on the answer. It is called by one goroutine, while run runs.
	send(ctx context.Context, q question) error
	// close waits for what send has left running. It is called when run and send have returned.
	close()
}

// connect opens a link: a websocket, or event streams where no websocket has ever got through. These stay in use, but
// for a try now and then, until they cannot be had.
func (c *Client) connect(ctx context.Context) (link, error) {
	token, err := c.ask(ctx)
	if err != nil {
		return nil, err
	}
	c.token, c.expires = token, 0
	if c.refused >= tries && time.Since(c.tried) < websocketAgain {
		s, err := c.openStreams(ctx, token)
		if err != nil {
			if !isRefusal(err) { // Else the server has been reached.
				c.refused = 0
			}
			return nil, err
		}
		return s, nil
	}
	c.tried = time.Now()
	s, err := c.openSocket(ctx, token)
	if err == nil {
		c.works, c.refused = true, 0
		return s, nil
	}
	if c.works || !errors.Is(err, errNoAnswer) {
		return nil, err
	}
	if c.refused++; c.refused < tries {
		return nil, err
	}
	streams, otherErr := c.openStreams(ctx, token)
	switch {
	case isRefusal(otherErr):
		return nil, otherErr
	case otherErr != nil:
		c.refused = 0
		return nil, err
	}
	return streams, nil
}

// ask returns a token, which may be the one that it returned before.
func (c *Client) ask(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, tokenTimeout)
	defer cancel()
	token, err := c.options.Token(ctx)
	if err != nil {
		return "", fmt.Errorf("get a token: %w", err)
	}
	if token == "" {
		return "", &Error{Code: Unauthorized, Message: "there is no token"}
	}
	return token, nil
}

// withoutURL takes the URL out of an error of net/http: a path may hold what must not be seen.
func withoutURL(err error) error {
	if outer, ok := errors.AsType[*url.Error](err); ok {
		return outer.Err
	}
	return err
}

// A backoff is the last wait before a try to connect.
type backoff time.Duration

// next returns the next wait, which is jittered, so that the clients of a server do not come back all at once.
func (b *backoff) next() time.Duration {
	*b = min(max(2**b, backoff(firstWait)), backoff(longestWait))
	return time.Duration(*b)/2 + rand.N(time.Duration(*b)/2) //nolint:gosec // Nobody need not guess it.
}

// sleep waits, unless the context is done.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
