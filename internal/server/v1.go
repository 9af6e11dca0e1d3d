package server

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"time"

	"pgws/internal/auth"
	"pgws/internal/hub"
	"pgws/internal/protocol"
)

// handle carries out a request of a client that speaks pgws.v1. The error ends the
// connection.
func (c *conn) handle(frame []byte) error {
	request, err := protocol.ParseRequest(frame)
	if errors.Is(err, protocol.ErrNotUTF8) {
		return errNotText
	}
	if err == nil && request.ID == nil {
		err = errors.New("a request needs an id")
	}
	if c.grant.Load() == nil && (err != nil || request.Op != protocol.OpAuth) {
		return c.fail(request, &refusal{status: http.StatusUnauthorized, text: "the first message must be auth, with a token"})
	}
	if err != nil {
		c.fault(request, protocol.BadRequest, err.Error())
		return nil
	}
	switch request.Op {
	case protocol.OpAuth:
		return c.authenticate(request)
	case protocol.OpSubscribe:
		c.subscribe(request)
	case protocol.OpUnsubscribe:
		c.unsubscribe(request)
	case protocol.OpPublish:
		c.publishFor(request)
	case protocol.OpPing:
		c.reply(&protocol.Answer{ID: request.ID, Op: protocol.OpOK})
	default:
		c.fault(request, protocol.BadRequest, "unknown op")
	}
	return nil
}

func (c *conn) reply(a *protocol.Answer) {
	c.session.Reply(c.dialect.answer(protocol.JSON(a)))
}

// fault answers a request that is not carried out.
func (c *conn) fault(request *protocol.Request, code protocol.Code, message string) {
	c.reply(&protocol.Answer{ID: request.ID, Op: protocol.OpError, Code: code, Message: message})
}

// fail answers a request for which the connection is closed.
func (c *conn) fail(request *protocol.Request, e *refusal) error {
	c.fault(request, e.code(), e.message())
	return &closeError{code: e.closeCode(), reason: e.text}
}

// authenticate takes a token: the first one, or one that renews the connection.
func (c *conn) authenticate(request *protocol.Request) error {
	old := c.grant.Load()
	if old == nil {
		c.stopAlarm()
	}
	c.waiting.Store(true) // for keys, perhaps
	grant, err := c.server.Keys.Authorize(c.context(), request.Token)
	c.waited()
	if err == nil && old == nil && c.channel != "" && !grant.Allows(c.channel) {
		err = auth.ErrNoChannels
	}
	if err != nil {
		e := asRefusal(err)
		c.server.Observer.Refused(e.reason)
		if old == nil {
			return c.fail(request, e)
		}
		c.fault(request, e.code(), e.message())
		return nil
	}
	c.adopt(grant)
	if old == nil {
		c.frames.limit = c.server.MaxMessageBytes
		c.announce(c.openFirst(c.channel, request.ID))
		return nil
	}
	c.renew(grant, request.ID)
	return nil
}

// renew closes the channels that a new grant does not allow.
func (c *conn) renew(grant *auth.Grant, request json.RawMessage) {
	var kept, lost []string
	for _, name := range c.session.Channels() {
		if grant.Receive && grant.Allows(name) {
			kept = append(kept, name)
		} else {
			lost = append(lost, name)
		}
	}
	if len(lost) > 0 {
		told := protocol.Answer{Op: protocol.OpUnsubscribed, Channels: &lost, Code: protocol.Forbidden}
		c.session.Unsubscribe(lost, c.dialect.answer(protocol.JSON(&told)))
	}
	c.session.Subscribe(hub.Subscription{Answer: func(at hub.Position, _ bool) []byte {
		answer := protocol.Answer{ID: request, Op: protocol.OpOK}
		describe(&answer, grant, kept, at)
		return c.dialect.answer(protocol.JSON(&answer))
	}})
}

func (c *conn) subscribe(request *protocol.Request) {
	names := distinct(request.Channels)
	code, message := c.mayOpen(names)
	if code != "" {
		c.fault(request, code, message)
		return
	}
	since := hub.ParsePosition(request.Since)
	open := c.session.Channels() // What these have missed is not sent again.
	fresh := !slices.ContainsFunc(names, func(name string) bool { return slices.Contains(open, name) })
	c.session.Subscribe(hub.Subscription{
		Channels: names,
		Since:    since,
		Answer: func(at hub.Position, resumed bool) []byte {
			answer := protocol.Answer{ID: request.ID, Op: protocol.OpOK, Channels: &names, Position: string(at.Append(nil))}
			if request.Since != "" {
				resumed = resumed && fresh
				answer.Resumed = &resumed
			}
			return c.dialect.answer(protocol.JSON(&answer))
		},
	})
}

// maxNameBytes bounds the name of a channel: no notification could be for a longer one.
const maxNameBytes = 7999

// mayOpen returns why channels may not be opened, or no code.
func (c *conn) mayOpen(names []string) (code protocol.Code, message string) {
	grant := c.grant.Load()
	switch {
	case len(names) == 0:
		return protocol.BadRequest, "channels are missing"
	case len(distinct(slices.Concat(c.session.Channels(), names))) > protocol.MaxChannels:
		return protocol.BadRequest, errTooMany.message()
	case !grant.Receive:
		return protocol.Forbidden, errNoReceiving.message()
	}
	for _, name := range names {
		if len(name) > maxNameBytes {
			return protocol.BadRequest, "the name of a channel is too long"
		}
		if !grant.Allows(name) {
			return protocol.Forbidden, "the token does not grant the channel " + name
		}
	}
	return "", ""
}

func (c *conn) unsubscribe(request *protocol.Request) {
	if len(request.Channels) == 0 {
		c.fault(request, protocol.BadRequest, "channels are missing")
		return
	}
	answer := protocol.Answer{ID: request.ID, Op: protocol.OpOK}
	c.session.Unsubscribe(request.Channels, c.dialect.answer(protocol.JSON(&answer)))
}

// publishFor carries out a publish. The answer comes when the publisher knows.
func (c *conn) publishFor(request *protocol.Request) {
	if !c.allow() {
		c.fault(request, protocol.RateLimited, "too many messages")
		return
	}
	grant := c.grant.Load()
	m, err := messageOf(request, grant)
	if err != nil {
		e := asRefusal(err)
		c.fault(request, e.code(), e.message())
		return
	}
	c.server.Observer.MessageReceived()
	m.Sender, m.Mute = c.session, !grant.Echo || request.Echo != nil && !*request.Echo
	id := request.ID
	m.Done = answerOnce(func(stamp int64, err error) { c.reply(c.server.receipt(id, stamp, err)) })
	ctx, cancel := context.WithTimeout(c.context(), roomWait)
	defer cancel()
	if err := c.publish(ctx, m); err != nil {
		m.Done(0, err)
	}
}

// describe says what a grant allows, which channels are open, and where they begin.
func describe(a *protocol.Answer, grant *auth.Grant, channels []string, at hub.Position) {
	a.Mode = ""
	if grant.Receive {
		a.Mode = "r"
	}
	if grant.Send {
		a.Mode += "w"
	}
	if !grant.Expires.IsZero() {
		a.Expires = grant.Expires.Unix()
	}
	if channels == nil {
		channels = []string{}
	}
	a.Channels = &channels
	a.Position = string(at.Append(nil))
}

// expiryNotice is how long before its token ends a client is told.
const expiryNotice = 30 * time.Second

// centuries are more than any connection lasts, and less than a time.Duration holds.
const centuries = 200 * 365 * 24 * time.Hour

// noticeAfter returns how long to wait before a client is told that its token, which
// has some time left, ends.
func noticeAfter(left time.Duration) time.Duration { return left - min(expiryNotice, left/2) }

// tellExpiry tells a client that its token ends.
func (c *conn) tellExpiry(expires time.Time) {
	c.reply(&protocol.Answer{Op: protocol.OpExpiring, In: int(max(time.Until(expires).Round(time.Second)/time.Second, 1))})
}

// distinct returns names without doubles.
func distinct(names []string) []string {
	seen := make(map[string]bool, len(names))
	return slices.DeleteFunc(slices.Clone(names), func(name string) bool {
		double := seen[name]
		seen[name] = true
		return double
	})
}
