package server

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobwas/ws"

	"pgws/internal/hub"
	"pgws/internal/protocol"
)

// TestFirstMessage has what may come before a token.
func TestFirstMessage(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil).serveAll(t)
	auth := func(claims map[string]any) string {
		return `{"id":1,"op":"auth","token":"` + r.token(t, claims) + `"}`
	}
	const missing = `"op":"error","code":"unauthorized","message":"the first message must be auth, with an id and a token"}`
	tests := map[string]struct {
		text, answer string
		code         ws.StatusCode
		reason       string
	}{
		"another":      {`{"id":1,"op":"ping"}`, `{"id":1,` + missing, protocol.CloseUnauthorized, "the first message must be auth, with an id and a token"},
		"no request":   {`hello`, `{` + missing, protocol.CloseUnauthorized, "the first message must be auth, with an id and a token"},
		"no id":        {`{"op":"auth","token":"` + r.token(t, map[string]any{"mode": "r"}) + `"}`, `{` + missing, protocol.CloseUnauthorized, "the first message must be auth, with an id and a token"},
		"no token":     {`{"id":1,"op":"auth"}`, `{"id":1,"op":"error","code":"unauthorized","message":"no token"}`, protocol.CloseUnauthorized, "no token"},
		"a bad one":    {`{"id":1,"op":"auth","token":"x"}`, `{"id":1,"op":"error","code":"unauthorized","message":"not a JWT"}`, protocol.CloseUnauthorized, "not a JWT"},
		"an old one":   {auth(map[string]any{"mode": "r", "exp": 1}), `{"id":1,"op":"error","code":"unauthorized","message":"Token expired"}`, protocol.CloseUnauthorized, "Token expired"},
		"another mode": {auth(map[string]any{"mode": "x"}), `{"id":1,"op":"error","code":"forbidden","message":"mode must be r, w or rw"}`, protocol.CloseForbidden, "mode must be r, w or rw"},
		"not for it":   {auth(map[string]any{"mode": "r", "channel": "b"}), `{"id":1,"op":"error","code":"forbidden","message":"the token does not grant the channel a"}`, protocol.CloseForbidden, "the token does not grant the channel a"},
		"not UTF-8":    {"\xff", "", ws.StatusInvalidFramePayloadData, "not UTF-8"},
		"too large":    {strings.Repeat("x", maxTokenBytes+1), "", ws.StatusMessageTooBig, "message larger than 16384 bytes"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := r.upgrade(t, "/a", askV1)
			p.say(t, test.text)
			if test.answer != "" {
				p.expect(t, test.answer)
			}
			if reason := p.expectClose(t, test.code); reason != test.reason {
				t.Errorf("reason %q, want %q", reason, test.reason)
			}
			p.expectEnd(t)
		})
	}
}

// TestLimitBeforeToken has much come before the token, in each way, and after it.
func TestLimitBeforeToken(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(o *Options) { o.MaxMessageBytes, o.CompressMinBytes = 50_000, 1 }).serveAll(t)
	long := `{"id":1,"op":"auth","token":"` + strings.Repeat("x", maxTokenBytes) + `"}`
	half := long[:len(long)/2]
	packed := pack(t, long)
	if len(packed) > 1000 {
		t.Fatalf("%d bytes", len(packed))
	}
	for name, sent := range map[string][]byte{
		"promised":   masked(true, ws.OpText, long)[:8],
		"fragments":  join(masked(false, ws.OpText, half), masked(false, 0, half), masked(true, 0, half)),
		"compressed": withRsv1(masked(true, ws.OpText, packed)),
		"both":       join(withRsv1(masked(false, ws.OpText, packed[:20])), masked(true, 0, packed[20:])),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := r.upgrade(t, "/", askV1+"Sec-WebSocket-Extensions: permessage-deflate\r\n")
			if _, err := p.Write(sent); err != nil {
				t.Fatal(err)
			}
			p.expectClose(t, ws.StatusMessageTooBig)
		})
	}
	p := r.upgrade(t, "/", askV1)
	p.say(t, `{"id":1,"op":"auth","token":"`+r.token(t, map[string]any{"mode": "w", "sub": strings.Repeat("x", 10_000)})+`"}`)
	p.expect(t, `{"id":1,"op":"ok","mode":"w","channels":[],"position":"P"}`)
	p.say(t, `{"id":2,"op":"ping","x":"`+strings.Repeat("x", 49_000)+`"}`)
	p.expect(t, `{"id":2,"op":"ok"}`)
	p.say(t, strings.Repeat("x", 50_001))
	p.expectClose(t, ws.StatusMessageTooBig)
}

func TestRequests(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil).serveAll(t)
	var many []string
	for i := range protocol.MaxChannels {
		many = append(many, fmt.Sprintf(`"c%d"`, i))
	}
	all := strings.Join(many, ",")
	long := `"<0"`
	for i, left := 1, protocol.MaxNamesBytes-len("<0"); left > 0; i++ {
		length := min(left, maxNameBytes)
		long += fmt.Sprintf(`,"<%d%s"`, i, strings.Repeat("&", length-2))
		left -= length
	}
	tests := map[string]struct {
		claims      map[string]any
		says, hears []string
	}{
		"ping": {nil, []string{`{"id":"x","op":"ping"}`}, []string{`{"id":"x","op":"ok"}`}},
		"subscribe, and again": {
			nil,
			[]string{`{"id":1,"op":"subscribe","channels":["a","a","b"]}`, `{"id":2,"op":"subscribe","channels":["b","c"]}`, `{"id":3,"op":"unsubscribe","channels":["a","z"]}`},
			[]string{
				`{"id":1,"op":"ok","channels":["a","b"],"position":"P"}`, `{"id":2,"op":"ok","channels":["b","c"],"position":"P"}`, `{"id":3,"op":"ok"}`,
			},
		},
		"since another server": {
			nil, []string{`{"id":1,"op":"subscribe","channels":["a"],"since":"abcdefgh-1"}`},
			[]string{`{"id":1,"op":"ok","channels":["a"],"position":"P","resumed":false}`},
		},
		"mode w": {
			map[string]any{"mode": "w"}, []string{`{"id":1,"op":"subscribe","channels":["a"]}`},
			[]string{`{"id":1,"op":"error","code":"forbidden","message":"the token's mode does not receive"}`},
		},
		"mode r": {
			map[string]any{"mode": "r"}, []string{`{"id":1,"op":"publish","channel":"a","payload":1}`},
			[]string{`{"id":1,"op":"error","code":"forbidden","message":"the token's mode does not send"}`},
		},
		"not granted": {
			map[string]any{"mode": "rw", "channel": "a"},
			[]string{`{"id":1,"op":"subscribe","channels":["a","b"]}`, `{"id":2,"op":"publish","channel":"b","payload":1}`},
			[]string{
				`{"id":1,"op":"error","code":"forbidden","message":"the token does not grant the channel b"}`,
				`{"id":2,"op":"error","code":"forbidden","message":"the token does not grant the channel b"}`,
			},
		},
		"as many as may be": {
			nil,
			[]string{
				`{"id":1,"op":"subscribe","channels":[` + all + `,"more"]}`, `{"id":2,"op":"subscribe","channels":[` + all + `]}`,
				`{"id":3,"op":"subscribe","channels":["more"]}`, `{"id":4,"op":"subscribe","channels":[` + all + `]}`,
				`{"id":5,"op":"unsubscribe","channels":["c0"]}`, `{"id":6,"op":"subscribe","channels":["more"]}`,
			},
			[]string{
				`{"id":1,"op":"error","code":"bad_request","message":"more than 1024 channels"}`, `{"id":2,"op":"ok","channels":[` + all + `],"position":"P"}`,
				`{"id":3,"op":"error","code":"bad_request","message":"more than 1024 channels"}`, `{"id":4,"op":"ok","channels":[` + all + `],"position":"P"}`,
				`{"id":5,"op":"ok"}`, `{"id":6,"op":"ok","channels":["more"],"position":"P"}`,
			},
		},
		"a long name": {
			nil, []string{`{"id":1,"op":"subscribe","channels":["a","` + strings.Repeat("x", 8000) + `"]}`},
			[]string{`{"id":1,"op":"error","code":"bad_request","message":"the name of a channel is too long"}`},
		},
		"long names": {
			nil, []string{
				`{"id":1,"op":"subscribe","channels":[` + long + `]}`, `{"id":2,"op":"subscribe","channels":["x"]}`,
				`{"id":3,"op":"unsubscribe","channels":["<0"]}`, `{"id":4,"op":"subscribe","channels":["x"]}`,
			},
			[]string{
				`{"id":1,"op":"ok","channels":[` + long + `],"position":"P"}`,
				`{"id":2,"op":"error","code":"bad_request","message":"the names of the channels have more than 65536 bytes together"}`,
				`{"id":3,"op":"ok"}`, `{"id":4,"op":"ok","channels":["x"],"position":"P"}`,
			},
		},
		"names without end": {
			nil, []string{`{"id":1,"op":"unsubscribe","channels":["a"` + strings.Repeat(`,"a"`, protocol.MaxChannels) + `]}`},
			[]string{`{"id":1,"op":"error","code":"bad_request","message":"more than 1024 channels"}`},
		},
		"missing": {
			nil,
			[]string{
				`{"op":"ping"}`, `{"id":2}`, `{"id":3,"op":"subscribe"}`, `{"id":4,"op":"unsubscribe","channels":[]}`, `{"id":5,"op":"publish","payload":1}`,
				`{"id":6,"op":"publish","channel":"a"}`, `{"id":7,"op":"auth"}`,
			},
			[]string{
				`{"op":"error","code":"bad_request","message":"a request needs an id"}`, `{"id":2,"op":"error","code":"bad_request","message":"unknown op"}`,
				`{"id":3,"op":"error","code":"bad_request","message":"channels are missing"}`, `{"id":4,"op":"error","code":"bad_request","message":"channels are missing"}`,
				`{"id":5,"op":"error","code":"bad_request","message":"publish needs a channel"}`, `{"id":6,"op":"error","code":"bad_request","message":"publish needs a payload"}`,
				`{"id":7,"op":"error","code":"unauthorized","message":"no token"}`,
			},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			claims := test.claims
			if claims == nil {
				claims = map[string]any{"mode": "rw"}
			}
			p := r.speak(t, claims)
			p.say(t, test.says...)
			p.expect(t, test.hears...)
			p.expectNothing(t)
		})
	}
}

// TestRenewalNarrows has a token take channels and the mode away, and a bad one nothing.
func TestRenewalNarrows(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil).serveAll(t)
	p := r.speak(t, map[string]any{"mode": "rw"})
	auth := func(id int, claims map[string]any) string {
		return fmt.Sprintf(`{"id":%d,"op":"auth","token":%q}`, id, r.token(t, claims))
	}
	p.say(t, `{"id":1,"op":"subscribe","channels":["a","b","c"]}`, auth(2, map[string]any{"mode": "r", "channels": []string{"b", "d"}}))
	p.expect(t, `{"id":1,"op":"ok","channels":["a","b","c"],"position":"P"}`, `{"op":"unsubscribed","code":"forbidden","channels":["a","c"]}`,
		`{"id":2,"op":"ok","mode":"r","channels":["b"],"position":"P"}`)
	p.say(t, auth(3, map[string]any{"mode": "r", "exp": 1}), `{"id":4,"op":"publish","channel":"b","payload":1}`, `{"id":5,"op":"subscribe","channels":["a"]}`)
	p.expect(t, `{"id":3,"op":"error","code":"unauthorized","message":"Token expired"}`,
		`{"id":4,"op":"error","code":"forbidden","message":"the token's mode does not send"}`,
		`{"id":5,"op":"error","code":"forbidden","message":"the token does not grant the channel a"}`)
	for _, channel := range []string{"a", "b", "c"} {
		r.publish(channel, `"to `+channel+`"`)
	}
	p.expect(t, `{"op":"message","channel":"b","position":"P","payload":"to b"}`)
	p.say(t, auth(6, map[string]any{"mode": "w"}))
	p.expect(t, `{"op":"unsubscribed","code":"forbidden","channels":["b"]}`, `{"id":6,"op":"ok","mode":"w","channels":[],"position":"P"}`)
	p.expectNothing(t)
}

// TestPublishes has what a publish hands on, and what is answered.
func TestPublishes(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil).serveAll(t)
	p := r.speak(t, map[string]any{"mode": "rw", "sub": "ann"})
	silent := r.speak(t, map[string]any{"mode": "rw", "echo": false})
	for _, test := range []struct {
		by            *peer
		members, text string
		json, mute    bool
	}{
		{p, `"payload":"hello\u0041"`, "helloA", false, false},
		{p, `"payload":{"a" : 1.0}`, `{"a":1.0}`, true, false},
		{p, `"payload":null,"echo":true`, `null`, true, false},
		{p, `"payload":"","echo":false`, ``, false, true},
		{silent, `"payload":1`, `1`, true, true},
		{silent, `"payload":1,"echo":true`, `1`, true, true},
	} {
		test.by.say(t, `{"id":1,"op":"publish","channel":"a",`+test.members+`}`)
		m := <-r.messages
		if m.Event != "WebsocketMessage" || !slices.Equal(m.Channels, []string{"a"}) || string(m.Text) != test.text || m.JSON != test.json ||
			m.Mute != test.mute || m.Sender == nil || !m.Prompt || !strings.Contains(m.Claims, `"mode":"rw"`) {
			t.Errorf("%s: got %+v", test.members, m)
		}
		m.Done(1795352315019831, nil)
		test.by.expect(t, `{"id":1,"op":"ok","message_delivered_at":1795352315.019831}`)
	}
	for err, want := range map[error]string{
		hub.ErrTooLarge:                       `"code":"too_large","message":"` + hub.ErrTooLarge.Error() + `"}`,
		hub.ErrUnavailable:                    `"code":"unavailable","message":"` + hub.ErrUnavailable.Error() + `"}`,
		fmt.Errorf("why: %w", hub.ErrRefused): `"code":"bad_request","message":"the database refuses the message"}`,
		http.ErrBodyNotAllowed:                `"code":"internal","message":"the message could not be accepted"}`,
	} {
		p.say(t, `{"id":1,"op":"publish","channel":"a","payload":1}`)
		m := <-r.messages
		m.Done(0, err)
		m.Done(1, nil) // It is called once, but one answer is all there may be.
		p.expect(t, `{"id":1,"op":"error",`+want)
	}
	p.expectNothing(t)
}

// TestAnswersComeInAnyOrder has receipts come late, while other requests are answered.
func TestAnswersComeInAnyOrder(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil).serveAll(t)
	p := r.speak(t, map[string]any{"mode": "w"})
	p.say(t, `{"id":1,"op":"publish","channel":"a","payload":1}`, `{"id":2,"op":"publish","channel":"a","payload":2}`, `{"id":3,"op":"ping"}`)
	first, second := <-r.messages, <-r.messages
	p.expect(t, `{"id":3,"op":"ok"}`)
	second.Done(2, nil)
	p.expect(t, `{"id":2,"op":"ok","message_delivered_at":0.000002}`)
	first.Done(1, nil)
	p.expect(t, `{"id":1,"op":"ok","message_delivered_at":0.000001}`)
}

// TestUncertain has PostgreSQL not answer for ten seconds, or just in time.
func TestUncertain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := bubbleRig(t, nil).servePipes(t)
		p := r.speak(t, map[string]any{"mode": "w"})
		start := time.Now()
		p.say(t, `{"id":1,"op":"publish","channel":"a","payload":1}`, `{"id":2,"op":"publish","channel":"a","payload":2}`)
		never, late := <-r.messages, <-r.messages
		go func() {
			<-time.After(receiptWait - time.Millisecond)
			late.Done(1e6, nil)
		}()
		p.expectAt(t, start, receiptWait-time.Millisecond, `{"id":2,"op":"ok","message_delivered_at":1.000000}`)
		p.expectAt(t, start, receiptWait,
			`{"id":1,"op":"error","code":"unavailable","message":"PostgreSQL has not answered yet: the message may still arrive","uncertain":true}`)
		never.Done(1e6, nil)
		<-time.After(receiptWait)
		p.expectNothing(t)
	})
}

// TestNoRoom has the queue to PostgreSQL full: who wants a receipt is told soon.
func TestNoRoom(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := bubbleRig(t, nil).servePipes(t)
		r.full = make(chan struct{})
		p := r.speak(t, map[string]any{"mode": "w"})
		start := time.Now()
		p.say(t, `{"id":1,"op":"publish","channel":"a","payload":1}`, `{"id":2,"op":"ping"}`)
		p.expectAt(t, start, roomWait, `{"id":1,"op":"error","code":"unavailable","message":"`+hub.ErrUnavailable.Error()+`"}`)
		p.expect(t, `{"id":2,"op":"ok"}`)
		<-time.After(receiptWait) // No answer is given twice.
		p.expectNothing(t)
	})
}

// TestDoneAfterTheEnd has PostgreSQL answer when the client is gone.
func TestDoneAfterTheEnd(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil).serveAll(t)
	p := r.speak(t, map[string]any{"mode": "w"})
	p.say(t, `{"id":1,"op":"publish","channel":"a","payload":1}`)
	m := <-r.messages
	report(t, p.Close())
	r.awaitClosed(t)
	m.Done(1, nil)
}
