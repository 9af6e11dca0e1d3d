package server

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"pgws/internal/auth"
	"pgws/internal/hub"
	"pgws/internal/protocol"
)

// handle carries out a request of a client that speaks pgws.v1. The error ends the
// connection.
func (c *conn) handle(frame []byte) error {
	request, err := protocol.ParseRequest(frame)
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
	if !c.allow() {
		c.fault(request, protocol.RateLimited, "too many requests")
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
	c.fault(request, e.code(), strings.TrimPrefix(e.text, "Error: "))
	return &closeError{code: e.closeCode(), reason: e.text}
}

// authenticate takes a token: the first one, or one that renews the connection.
func (c *conn) authenticate(request *protocol.Request) error {
	old := c.grant.Load()
	c.waiting.Store(true) // for keys, perhaps
	grant, err := c.server.Keys.Authorize(c.context(), request.Token)
	c.seen.Store(c.server.keeper.now())
	c.waiting.Store(false)
	if err == nil && old == nil && c.channel != "" && !grant.Allows(c.channel) {
		err = auth.ErrNoChannels
	}
	if err != nil {
		e := asRefusal(err)
		c.server.Observer.Refused(e.reason)
		if old == nil {
			return c.fail(request, e)
		}
		c.fault(request, e.code(), strings.TrimPrefix(e.text, "Error: "))
		return nil
	}
	c.adopt(grant)
	c.server.keeper.reconsider(c)
	answer := &protocol.Answer{ID: request.ID, Op: protocol.OpOK}
	if old == nil {
		c.frames.limit = c.server.MaxMessageBytes
		c.announce(c.openFirst(c.channel, answer))
		return nil
	}
	c.renew(grant, answer)
	return nil
}

// renew closes the channels that a new grant does not allow.
func (c *conn) renew(grant *auth.Grant, answer *protocol.Answer) {
	channels := c.session.Channels()
	kept := slices.DeleteFunc(slices.Clone(channels), func(name string) bool { return !grant.Receive || !grant.Allows(name) })
	if lost := slices.DeleteFunc(channels, func(name string) bool { return slices.Contains(kept, name) }); len(lost) > 0 {
		told := protocol.Answer{Op: protocol.OpUnsubscribed, Channels: &lost, Code: protocol.Forbidden}
		c.session.Unsubscribe(lost, c.dialect.answer(protocol.JSON(&told)))
	}
	c.session.Subscribe(hub.Subscription{Answer: func(at hub.Position, _ bool) []byte {
		describe(answer, grant, kept, at)
		return c.dialect.answer(protocol.JSON(answer))
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
	c.session.Subscribe(hub.Subscription{
		Channels: names,
		Since:    since,
		Answer: func(at hub.Position, resumed bool) []byte {
			answer := protocol.Answer{ID: request.ID, Op: protocol.OpOK, Channels: &names, Position: string(at.Append(nil))}
			if request.Since != "" {
				answer.Resumed = &resumed
			}
			return c.dialect.answer(protocol.JSON(&answer))
		},
	})
}

// mayOpen returns why channels may not be opened, or no code.
func (c *conn) mayOpen(names []string) (code protocol.Code, message string) {
	grant := c.grant.Load()
	open := c.session.Channels()
	more := slices.DeleteFunc(slices.Clone(names), func(name string) bool { return slices.Contains(open, name) })
	switch {
	case len(names) == 0:
		return protocol.BadRequest, "channels are missing"
	case len(open)+len(more) > protocol.MaxChannels:
		return protocol.BadRequest, errTooMany.Error()
	case !grant.Receive:
		return protocol.Forbidden, "the token's mode does not receive"
	}
	for _, name := range names {
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
	grant := c.grant.Load()
	m, err := messageOf(request, grant)
	if err != nil {
		e := asRefusal(err)
		c.fault(request, e.code(), strings.TrimPrefix(e.text, "Error: "))
		return
	}
	c.server.Observer.MessageReceived()
	m.Sender, m.Mute = c.session, !grant.Echo || request.Echo != nil && !*request.Echo
	id := request.ID
	m.Done = answerOnce(func(stamp int64, err error) { c.reply(receipt(id, stamp, err)) })
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

// noticeAt returns when to tell a client that its token ends: half its life before, if
// that is short. The zero time: never.
func noticeAt(expires, now time.Time) time.Time {
	if expires.IsZero() {
		return time.Time{}
	}
	return expires.Add(-min(expiryNotice, expires.Sub(now)/2))
}

// tellExpiry tells a client that its token ends.
func (c *conn) tellExpiry(expires, now time.Time) {
	c.mu.Lock()
	c.alarm = time.Time{}
	c.mu.Unlock()
	c.reply(&protocol.Answer{Op: protocol.OpExpiring, In: int(max(expires.Sub(now).Round(time.Second)/time.Second, 1))})
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
