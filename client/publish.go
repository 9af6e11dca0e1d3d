package client

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"time"

	"pgws/internal/protocol"
)

// A Receipt tells that PostgreSQL has committed a message.
type Receipt struct {
	Channel string `json:"channel"`
	// MessageDeliveredAt is the claim of that name which the message carries: seconds since 1970.
	MessageDeliveredAt json.Number `json:"message_delivered_at"`
}

// Time returns MessageDeliveredAt, to the microsecond.
func (r Receipt) Time() time.Time {
	seconds, err := strconv.ParseFloat(string(r.MessageDeliveredAt), 64)
	if err != nil {
		return time.Time{}
	}
	return time.UnixMicro(int64(math.Round(seconds * 1e6)))
}

// Publish sends a message to a channel and waits until PostgreSQL has committed it. A payload that is a string is a
// text; any other, such as a json.RawMessage, is sent as the JSON that encoding/json makes of it.
//
// Without a connection, Publish waits for one. An *Error is the server's answer, or has Uncertain set: then the answer
// did not come, and the message may have been sent. It is never sent again.
func (c *Client) Publish(ctx context.Context, channel string, payload any) (Receipt, error) {
	receipt, err := c.PublishAsync(ctx, channel, payload)
	if err != nil {
		return Receipt{}, err
	}
	return receipt(ctx)
}

// PublishAsync sends a message like Publish, and does not wait for PostgreSQL: the function that it returns does. So
// one goroutine may have many messages under way, which arrive in the order of the calls.
func (c *Client) PublishAsync(ctx context.Context, channel string, payload any) (receipt func(context.Context) (Receipt, error), err error) {
	encoded, err := encodePayload(payload)
	if err != nil {
		return nil, fmt.Errorf("publish: %w", err)
	}
	r, answers := newRequest(question{Op: protocol.OpPublish, Channel: channel, Payload: encoded})
	if c.options.NoEcho {
		r.question.Echo = new(bool)
	}
	for handed := false; !handed; {
		n, err := c.connection(ctx)
		if err != nil {
			return nil, fmt.Errorf("publish: %w", err)
		}
		handed = n.hand(ctx, r)
	}
	return func(ctx context.Context) (Receipt, error) {
		select {
		case a := <-answers:
			answers <- a // for whoever asks again
			if a.err != nil {
				return Receipt{}, fmt.Errorf("publish: %w", a.err)
			}
			return Receipt{Channel: channel, MessageDeliveredAt: a.frame.MessageDeliveredAt}, nil
		case <-ctx.Done():
			err := &Error{Code: Unavailable, Message: "no answer yet", Uncertain: true, cause: ctx.Err()}
			return Receipt{}, fmt.Errorf("publish: %w", err)
		}
	}, nil
}
