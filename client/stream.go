package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"

	"pgws/internal/protocol"
)

const eventStream = "text/event-stream"

// A stream is that of one subscription.
type stream struct {
	id       uint64 // of the question, until it is answered
	channels []string
	position string
	token    string
}

// keep follows a stream, again with a new token when the old one has expired.
func (s *streams) keep(ctx context.Context, one *stream) error {
	for {
		one.token = s.current()
		err := s.follow(ctx, one)
		end, ok := errors.AsType[*closing](err)
		if !ok || end.code != protocol.CloseExpired {
			return err
		}
		if _, err := s.renew(ctx, one.token); err != nil {
			return err
		}
	}
}

// follow hands on what comes on a stream until it ends.
func (s *streams) follow(ctx context.Context, one *stream) error {
	ctx, giveUp := context.WithCancelCause(ctx)
	defer giveUp(nil)
	silent := time.AfterFunc(connectTimeout, func() { giveUp(errSilent) })
	defer silent.Stop()
	events, end, err := s.get(ctx, one, silent)
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
func (s *streams) get(ctx context.Context, one *stream, silent *time.Timer) (*eventReader, func(), error) {
	request, err := s.request(ctx, http.MethodGet, one.channels, nil, one.token)
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
	case protocol.OpExpiring:
		if s.isNews(one.token) {
			return s.hand(ctx, f)
		}
	case protocol.OpClose:
		return f.closing()
	}
	return nil
}

// isNews reports whether nobody has told yet that the token ends, which is the one of all new streams.
func (s *streams) isNews(token string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if token != s.token || token == s.told {
		return false
	}
	s.told = token
	return true
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
