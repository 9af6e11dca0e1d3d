package server

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"pgws/internal/hub"
	"pgws/internal/protocol"
)

// TestFrameBound has frames come as long as may be, and longer ones in each way.
func TestFrameBound(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(o *Options) { o.CompressMinBytes = 1 }).serveAll(t)
	path := "/" + r.token(t, map[string]any{"mode": "rw"})
	ping := func(length int) string {
		const start, end = `{"id":1,"op":"ping","x":"`, `"}`
		return start + strings.Repeat("x", length-len(start+end)) + end
	}
	over := ping(protocol.MaxFrameBytes + 1)
	packed := pack(t, over)
	for name, sent := range map[string][]byte{
		"late":       masked(true, ws.OpText, over)[:14],
		"promised":   masked(true, ws.OpText, over)[:14],
		"fragments":  join(masked(false, ws.OpText, over[:10]), masked(true, 0, over[10:])),
		"compressed": withRsv1(masked(true, ws.OpText, packed)),
		"both":       join(withRsv1(masked(false, ws.OpText, packed[:20])), masked(true, 0, packed[20:])),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := r.upgrade(t, path, askV1+askPacked)
			if name == "late" {
				p = r.upgrade(t, "/", askV1)
				p.say(t, `{"id":0,"op":"auth","token":"`+path[1:]+`"}`)
			}
			p.hear(t) // ready, or that the token is good
			p.say(t, ping(protocol.MaxFrameBytes))
			p.expect(t, `{"id":1,"op":"ok"}`)
			if _, err := p.Write(sent); err != nil {
				t.Fatal(err)
			}
			if reason := p.expectClose(t, ws.StatusMessageTooBig); reason != "message larger than 262144 bytes" {
				t.Errorf("reason %q", reason)
			}
		})
	}
	classic := r.upgrade(t, "/a"+path, askUpgrade)
	classic.say(t, over)
	if m := <-r.messages; string(m.Text) != over {
		t.Errorf("got %d bytes", len(m.Text))
	}
	posted := r.connect(t).ask(t, posting(path+"?protocol=pgws.v1", "", over))
	if text := body(t, posted); posted.StatusCode != http.StatusRequestEntityTooLarge || !strings.Contains(text, `"code":"too_large"`) {
		t.Errorf("got %s %s", posted.Status, text)
	}
}

// TestMostNames opens all that may be open by one request.
func TestMostNames(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil).serveAll(t)
	p := r.speak(t, map[string]any{"mode": "r"})
	const each = protocol.MaxNamesBytes / protocol.MaxChannels
	var names []string
	for i := range protocol.MaxChannels {
		name := fmt.Sprint("room ", i, ":")
		names = append(names, `"`+name+strings.Repeat("<", each-len(name))+`"`)
	}
	list := strings.Join(names, ",")
	p.say(t, `{"id":1,"op":"subscribe","channels":[`+list+`]}`, `{"id":2,"op":"auth","token":"`+r.token(t, map[string]any{"mode": "w"})+`"}`)
	p.expect(t, `{"id":1,"op":"ok","channels":[`+list+`],"position":"P"}`,
		`{"op":"unsubscribed","code":"forbidden","channels":[`+list+`]}`, `{"id":2,"op":"ok","mode":"w","channels":[],"position":"P"}`)
}

// fits is a publisher that takes what is short enough, as one to PostgreSQL does.
type fits struct{ texts chan string }

func (f fits) Publish(_ context.Context, m hub.Message) error {
	notification := m.AppendJSON(nil, m.Channels[0], false)
	if len(notification) > maxNameBytes {
		return hub.ErrTooLarge
	}
	f.texts <- string(notification)
	return nil
}

// TestAnnouncesLess has the names of channels, and then the claims, be too long for a
// notification: the meta channel is told of the connection all the same.
func TestAnnouncesLess(t *testing.T) {
	t.Parallel()
	texts := make(chan string, 1)
	r := newRig(t, func(o *Options) { o.MetaChannel, o.Publisher = "meta", fits{texts} }).serveAll(t)
	long := strings.Repeat("x", maxNameBytes)
	for _, test := range []struct {
		claims      map[string]any
		query, want string // what follows the channel
	}{
		{map[string]any{"mode": "r"}, "?channel=a&channel=b", `"payload":"a,b","claims":{"mode":"r",`},
		{map[string]any{"mode": "r"}, "?channel=a&channel=" + long, `"payload":"","claims":{"mode":"r",`},
		{map[string]any{"mode": "r", "sub": long}, "?channel=a", `"payload":"","claims":{"message_delivered_at":`},
	} {
		r.stream(t, "/"+test.query, "Authorization: Bearer "+r.token(t, test.claims)+"\r\n")
		select {
		case got := <-texts:
			if !strings.HasPrefix(got, `{"event":"ConnectionOpen","channel":"meta",`+test.want) {
				t.Errorf("got %.200s", got)
			}
		case <-time.After(20 * time.Second):
			t.Fatal("it is not told")
		}
	}
}

// TestRefusalsAreCounted has what is counted as refused: requests, and websockets for
// their first message, but nothing that an open connection asks for.
func TestRefusalsAreCounted(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil).serveAll(t)
	const bad = `{"id":1,"op":"auth","token":"x"}`
	p := r.speak(t, map[string]any{"mode": "r"})
	p.say(t, bad, `{"id":2,"op":"publish","channel":"a","payload":1}`, `{"id":3}`)
	for range 3 {
		if got := p.hear(t); !strings.Contains(got, `"op":"error"`) {
			t.Errorf("got %s", got)
		}
	}
	for _, first := range []string{bad, `{"id":1,"op":"ping"}`} {
		late := r.upgrade(t, "/", askV1)
		late.say(t, first)
		late.expectClose(t, protocol.CloseUnauthorized)
	}
	r.upgrade(t, "/a/x.y.z", askV1).expectClose(t, protocol.CloseUnauthorized)
	body(t, r.connect(t).ask(t, posting("/a/"+r.token(t, map[string]any{"mode": "r"}), "", "x")))
	r.events.mu.Lock()
	defer r.events.mu.Unlock()
	if want := []string{"bad_token", "first_message", "bad_token", "mode"}; !slices.Equal(r.events.refused, want) {
		t.Errorf("counted %q, want %q", r.events.refused, want)
	}
}
