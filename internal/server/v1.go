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

// What is wrong with a frame. Only the first one that comes is counted, see noteRefusal.
var (
	errFirstMessage = &refusal{
		status: http.StatusUnauthorized, reason: "first_message", text: "Error: the first message must be auth, with an id and a token",
	}
	errNoID      = errors.New("a request needs an id")
	errUnknownOp = badFrame(errors.New("unknown op"))
	errNoChannel = badFrame(errors.New("publish needs a channel"))
	errNoNames   = badFrame(errors.New("channels are missing"))
)

func badFrame(err error) *refusal { return badRequest("bad_request", err.Error()) }

// handle carries out a request of a client that speaks pgws.v1. The error ends the
// connection.
func (c *conn) handle(frame []byte) error {
	request, err := protocol.ParseRequest(frame)
	if errors.Is(err, protocol.ErrNotUTF8) {
		return errNotText
	}
	if err == nil && request.ID == nil {
		err = errNoID
	}
	if c.grant.Load() == nil && (err != nil || request.Op != protocol.OpAuth) {
		return c.fail(request, errFirstMessage)
	}
	if err != nil {
		c.fault(request, badFrame(err))
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
		c.fault(request, errUnknownOp)
	}
	return nil
}

func (c *conn) reply(a *protocol.Answer) {
	c.session.Reply(c.dialect.answer(protocol.JSON(a)))
}

// fault answers a request that is not carried out.
func (c *conn) fault(request *protocol.Request, e *refusal) { c.reply(e.answer(request.ID)) }

// fail answers a first message for which the connection is closed.
func (c *conn) fail(request *protocol.Request, err error) error {
	e := c.server.noteRefusal("first message", c.net.RemoteAddr().String(), err)
	c.fault(request, e)
	return &closeError{code: e.closeCode(), reason: e.message()}
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
		err = notGranted(c.channel)
	}
	if err != nil && old == nil {
		return c.fail(request, err)
	}
	if err != nil {
		c.fault(request, asRefusal(err))
		return nil
	}
	c.adopt(grant)
	if old == nil {
		c.frames.limit = c.limit()
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
	if e := c.mayOpen(names); e != nil {
		c.fault(request, e)
		return
	}
	c.session.Subscribe(hub.Subscription{
		Channels: names,
		Since:    hub.ParsePosition(request.Since),
		Answer: func(at hub.Position, resumed bool) []byte {
			answer := protocol.Answer{ID: request.ID, Op: protocol.OpOK, Channels: &names, Position: string(at.Append(nil))}
			if request.Since != "" {
				answer.Resumed = &resumed
			}
			return c.dialect.answer(protocol.JSON(&answer))
		},
	})
}

// mayOpen returns why channels may not be opened, or nil.
func (c *conn) mayOpen(names []string) *refusal {
	if len(names) == 0 {
		return errNoNames
	}
	if e := checkNames(distinct(slices.Concat(c.session.Channels(), names))); e != nil {
		return e
	}
	grant := c.grant.Load()
	if !grant.Receive {
		return errNoReceiving
	}
	for _, name := range names {
		if !grant.Allows(name) {
			return notGranted(name)
		}
	}
	return nil
}

func (c *conn) unsubscribe(request *protocol.Request) {
	if len(request.Channels) == 0 {
		c.fault(request, errNoNames)
		return
	}
	answer := protocol.Answer{ID: request.ID, Op: protocol.OpOK}
	c.session.Unsubscribe(request.Channels, c.dialect.answer(protocol.JSON(&answer)))
}

// publishFor carries out a publish. The answer comes when the publisher knows.
func (c *conn) publishFor(request *protocol.Request) {
	if !c.allow() {
		c.fault(request, errRate)
		return
	}
	grant := c.grant.Load()
	m, err := messageOf(request, grant)
	if err != nil {
		c.fault(request, asRefusal(err))
		return
	}
	c.server.Observer.MessageReceived()
	m.Mute = !grant.Echo || request.Echo != nil && !*request.Echo
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
