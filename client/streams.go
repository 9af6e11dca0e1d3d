package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"pgws/internal/protocol"
)

// postTimeout is how long the answer to a POST may take. The server gives PostgreSQL 10 seconds.
const postTimeout = 30 * time.Second

const eventStream = "text/event-stream"

// streams are a link without websockets: an event stream for each subscription, and a POST for each publish, one after
// another. They renew their token themselves: it is replaced when the server says that it has expired.
type streams struct {
	client *Client
	frames chan frame // to run
	broken chan error // holds the first error of a stream

	open    map[string]func() // ends a stream, by its first channel; send's own
	running sync.WaitGroup

	mu    sync.Mutex
	token string
	stale error // why the token cannot be renewed: the link is about to end
}

// A stream is that of one subscription.
type stream struct {
	id       uint64 // of the question, until it is answered
	channels []string
	position string
}

// openStreams finds out whether a server can be reached without websockets. There is no stream yet. What is posted is no
// publish, so that whatever pgws answers proves that it is there.
func (c *Client) openStreams(ctx context.Context, token string) (*streams, error) {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	s := &streams{client: c, token: token, frames: make(chan frame), broken: make(chan error, 1), open: make(map[string]func())}
	answer, err := s.post(ctx, question{Op: protocol.OpPing}, token)
	if err != nil {
		return nil, err
	}
	if answer.Op == protocol.OpError {
		e := answer.failure()
		if e.Code == Unauthorized || e.Code == Unavailable || e.Code == Internal {
			return nil, e
		}
	}
	return s, nil
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
	}
	return s.publish(ctx, q)
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

// keep follows a stream, again with a new token when the old one has expired.
func (s *streams) keep(ctx context.Context, one *stream) error {
	for {
		token := s.current()
		err := s.follow(ctx, one, token)
		end, ok := errors.AsType[*closing](err)
		if !ok || end.code != protocol.CloseExpired {
			return err
		}
		if _, err := s.renew(ctx, token); err != nil {
			return err
		}
	}
}

// follow hands on what comes on a stream until it ends.
func (s *streams) follow(ctx context.Context, one *stream, token string) error {
	ctx, giveUp := context.WithCancelCause(ctx)
	defer giveUp(nil)
	silent := time.AfterFunc(connectTimeout, func() { giveUp(errSilent) })
	defer silent.Stop()
	events, end, err := s.get(ctx, one, token, silent)
	if err != nil {
		return causeOf(ctx, err)
	}
	defer end()
	for {
		data, err := events.next()
		if err != nil {
			return causeOf(ctx, err)
		}
		silent.Stop() // What follows may have to wait for whoever reads the messages.
		f, err := decode(data)
		if err == nil {
			err = s.heard(ctx, one, f)
		}
		if err != nil {
			return err
		}
		silent.Reset(silence)
	}
}

func causeOf(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return fmt.Errorf("event stream: %w", withoutURL(err))
}

// get opens a stream. A refusal is the answer to the subscribe.
func (s *streams) get(ctx context.Context, one *stream, token string, silent *time.Timer) (*eventReader, func(), error) {
	request, err := s.request(ctx, http.MethodGet, one.channels, nil, token)
	if err != nil {
		return nil, nil, err
	}
	request.Header.Set("Accept", eventStream)
	request.Header.Set("Accept-Encoding", "identity")
	request.Header.Set("Cache-Control", "no-store")
	if one.position != "" {
		request.Header.Set("Last-Event-ID", one.position)
	}
	response, err := s.client.http.Do(request)
	if err != nil {
		return nil, nil, err
	}
	end := func() { _ = response.Body.Close() } // Nothing of it is wanted any more.
	if response.StatusCode != http.StatusOK {
		defer end()
		return nil, nil, s.refused(ctx, one, response)
	}
	if kind, _, _ := mime.ParseMediaType(response.Header.Get("Content-Type")); kind != eventStream {
		end()
		return nil, nil, errors.New("the answer is no event stream")
	}
	return newEventReader(response.Body, func() { silent.Reset(silence) }), end, nil
}

// errRefused ends a stream that the server does not grant. Its subscription has been told.
var errRefused = errors.New("refused")

// refused hands on that a stream is refused, if to try again would be of no use.
func (s *streams) refused(ctx context.Context, one *stream, response *http.Response) error {
	text, err := io.ReadAll(io.LimitReader(response.Body, 1<<10))
	if err != nil {
		return err
	}
	code := protocol.BadRequest
	switch response.StatusCode {
	case http.StatusBadRequest:
	case http.StatusForbidden:
		code = protocol.Forbidden
	default:
		return fmt.Errorf("the answer is %s", response.Status)
	}
	f := frame{
		Op: protocol.OpUnsubscribed, Channels: one.channels,
		Code: json.RawMessage(strconv.Quote(string(code))), Message: strings.TrimPrefix(string(text), "Error: "),
	}
	if one.id != 0 {
		f.Op, f.ID = protocol.OpError, one.id
	}
	if err := s.hand(ctx, f); err != nil {
		return err
	}
	return errRefused
}

// heard makes of the frames of a stream what those of a websocket would be.
func (s *streams) heard(ctx context.Context, one *stream, f frame) error {
	switch f.Op {
	case protocol.OpReady:
		return s.ready(ctx, one, f)
	case protocol.OpMessage:
		one.position = f.Position
		return s.hand(ctx, f)
	case protocol.OpGap:
		if f.Position != "" {
			one.position = f.Position
		}
		return s.hand(ctx, f)
	case protocol.OpClose:
		return f.closing()
	}
	return nil
}

// ready makes the answer to a subscribe of the beginning of its stream. When a stream goes on with a new token, nobody
// is told unless something is missing.
func (s *streams) ready(ctx context.Context, one *stream, f frame) error {
	missed := one.position != "" && (f.Resumed == nil || !*f.Resumed)
	if missed || one.position == "" {
		one.position = f.Position
	}
	if id := one.id; id != 0 {
		one.id = 0
		return s.hand(ctx, frame{Op: protocol.OpOK, ID: id, Position: f.Position, Resumed: f.Resumed})
	}
	for _, name := range one.channels {
		if !missed {
			break
		}
		if err := s.hand(ctx, frame{Op: protocol.OpGap, Channel: name, Position: f.Position}); err != nil {
			return err
		}
	}
	return nil
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
