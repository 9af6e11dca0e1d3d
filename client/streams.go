package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync"
	"time"

	"pgws/internal/protocol"
)

// postTimeout is how long the answer to a POST may take. The server gives PostgreSQL 10 seconds.
const postTimeout = 30 * time.Second

// streams are a link without websockets: an event stream for each subscription, and a POST for each publish, one after
// another. A new token is for the streams and publications that begin after it. Where there was none in time, they ask
// for one themselves when the old one has expired.
type streams struct {
	client *Client
	frames chan frame // to run
	broken chan error // holds the first error of a stream

	open    map[string]func() // ends a stream, by its first channel; send's own
	running sync.WaitGroup

	mu    sync.Mutex
	token string
	told  string // the token of which it was told that it ends
	stale error  // why the token cannot be renewed: the link is about to end
}

// openStreams finds out whether a server can be reached without websockets. There is no stream yet.
func (c *Client) openStreams(ctx context.Context, token string) (*streams, error) {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	s := &streams{client: c, token: token, frames: make(chan frame), broken: make(chan error, 1), open: make(map[string]func())}
	answer, err := s.probe(ctx, token)
	if err != nil {
		return nil, err
	}
	if answer.Op == protocol.OpError {
		return nil, answer.failure()
	}
	return s, nil
}

// probe posts what is no publish: whatever pgws answers proves that it is there. Its answer is an error if the token is
// not taken.
func (s *streams) probe(ctx context.Context, token string) (frame, error) {
	answer, err := s.post(ctx, question{Op: protocol.OpPing}, token)
	if err == nil && answer.Op == protocol.OpError {
		switch answer.failure().Code {
		case Unauthorized, Unavailable, Internal:
			return answer, nil
		}
	}
	return frame{Op: protocol.OpOK}, err
}

func (s *streams) transport() Transport { return SSE }

func (s *streams) run(ctx context.Context, deliver func(frame) error) error {
	for {
		select {
		case f := <-s.frames:
			if err := deliver(f); err != nil {
				return err
			}
		case err := <-s.broken:
			return err
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (s *streams) close() { s.running.Wait() }

func (s *streams) send(ctx context.Context, q question) error {
	switch q.Op {
	case protocol.OpSubscribe:
		s.start(ctx, &stream{id: q.ID, channels: q.Channels, position: q.Since})
		return nil
	case protocol.OpUnsubscribe:
		for _, name := range q.Channels {
			if end := s.open[name]; end != nil {
				end()
				delete(s.open, name)
			}
		}
		return s.hand(ctx, frame{Op: protocol.OpOK, ID: q.ID})
	case protocol.OpAuth:
		return s.replace(ctx, q)
	}
	return s.publish(ctx, q)
}

// replace takes a new token, if the server does.
func (s *streams) replace(ctx context.Context, q question) error {
	ctx, cancel := context.WithTimeout(ctx, postTimeout)
	defer cancel()
	answer, err := s.probe(ctx, q.Token)
	if err != nil {
		return err
	}
	if answer.Op == protocol.OpOK {
		s.mu.Lock()
		s.token = q.Token
		s.mu.Unlock()
	}
	answer.ID = q.ID
	return s.hand(ctx, answer)
}

// start starts a stream. It ends with the connection, which is the context's.
func (s *streams) start(ctx context.Context, one *stream) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	s.open[one.channels[0]] = func() {
		cancel()
		<-done // so that nothing of it comes between the messages of a later one
	}
	s.running.Go(func() {
		defer close(done)
		defer cancel()
		if err := s.keep(ctx, one); !errors.Is(err, errRefused) && ctx.Err() == nil {
			s.fail(err)
		}
	})
}

func (s *streams) publish(ctx context.Context, q question) error {
	ctx, cancel := context.WithTimeout(ctx, postTimeout)
	defer cancel()
	token := s.current()
	answer, err := s.post(ctx, q, token)
	if err != nil {
		return err
	}
	if answer.Op == protocol.OpError && answer.failure().Code == Unauthorized {
		if token, err = s.renew(ctx, token); err != nil {
			answer.ID = q.ID
			return errors.Join(s.hand(ctx, answer), err)
		}
		if answer, err = s.post(ctx, q, token); err != nil { // Nothing was sent before.
			return err
		}
	}
	answer.ID = q.ID
	return s.hand(ctx, answer)
}

// post sends a question, and returns the server's frame.
func (s *streams) post(ctx context.Context, q question, token string) (frame, error) {
	body, err := encode(q)
	if err != nil {
		return frame{}, err
	}
	request, err := s.request(ctx, http.MethodPost, nil, bytes.NewReader(body), token)
	if err != nil {
		return frame{}, err
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := s.client.http.Do(request)
	if err != nil {
		return frame{}, fmt.Errorf("post: %w", withoutURL(err))
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, mostFrame))
	if err != nil {
		return frame{}, fmt.Errorf("post: %w", err)
	}
	answer, err := decode(text)
	if err != nil || answer.Op == "" {
		return frame{}, fmt.Errorf("post: the answer is %s", response.Status)
	}
	return answer, nil
}

func (s *streams) request(ctx context.Context, method string, channels []string, body io.Reader, token string) (*http.Request, error) {
	target := *s.client.root
	query := url.Values{protocol.QueryProtocol: {protocol.V1}}
	if channels != nil {
		query[protocol.QueryChannel] = channels
	}
	target.RawQuery = query.Encode()
	request, err := http.NewRequestWithContext(ctx, method, target.String(), body)
	if err != nil {
		return nil, withoutURL(err)
	}
	request.Header.Set("Authorization", "Bearer "+token)
	return request, nil
}

// hand gives a frame to run.
func (s *streams) hand(ctx context.Context, f frame) error {
	select {
	case s.frames <- f:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *streams) fail(err error) {
	select {
	case s.broken <- err:
	default: // It is broken already.
	}
}

func (s *streams) current() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.token
}

// errStale ends a link. The next one begins with a token, or learns that the server refuses it.
var errStale = errors.New("the token has expired, and there is no new one yet")

// renew replaces a token, unless that has been done. If it fails the link ends, so that nobody asks again in vain.
func (s *streams) renew(ctx context.Context, old string) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.token != old || s.stale != nil {
		return s.token, s.stale
	}
	token, err := s.client.ask(ctx)
	if err == nil && token == old {
		err = errStale
	}
	if err != nil {
		if ctx.Err() == nil { // Else whoever asked has left.
			s.stale = err
		}
		return "", err
	}
	s.token = token
	return token, nil
}
