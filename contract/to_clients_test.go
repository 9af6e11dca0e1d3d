package contract_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// A notification goes to the clients of one channel, to the byte: that which it names, or else the one called like
// PGWS_LISTEN_CHANNEL.
func TestWhereNotificationsGo(t *testing.T) {
	t.Parallel()
	const chat, other = "chat", "postgres-websockets-listener"
	cases := []struct{ name, payload, channel string }{
		{"as documented", `{"event":"WebsocketMessage","channel":"chat","payload":"test"}`, chat},
		{"channel alone", `{"channel":"chat"}`, chat},
		{"whitespace", " \t\r\n{ \"channel\" :\n \"chat\" , \"payload\":\t\"a  b\" } \n", chat},
		{"keys in any order", `{"z":{"channel":"z"},"payload":1,"channel":"chat","a":null}`, chat},
		{"doubled, the first one counts", `{"channel":"chat","channel":"other"}`, chat},
		{"doubled, the first one is no string", `{"channel":1,"channel":"chat"}`, other},
		{"an escaped key", `{"\u0063hannel":"chat"}`, chat},
		{"an escaped name", `{"channel":"\u0063h\u0061t"}`, chat},
		{"escapes all over", `{"payload":"\"channel\":\"no\"","a\"b":"\\","channel":"chat"}`, chat},
		{"beyond ASCII", `{"payload":"größe 日本語 🎈\u2028","channel":"chat"}`, chat},
		{"HTML", `{"payload":"<b>&amp;</b>","channel":"chat"}`, chat},
		{"numbers as written", `{"payload":[1.0,1e400,-0,12345678901234567890],"channel":"chat"}`, chat},
		{"nested", `{"payload":{"channel":"chat"}}`, other},
		{"another key", `{"Channel":"chat","channel ":"chat","channels":["chat"]}`, other},
		{"channel is a number", `{"channel":1}`, other},
		{"channel is null", `{"channel":null}`, other},
		{"channel is true", `{"channel":true}`, other},
		{"channel is a list", `{"channel":["chat"]}`, other},
		{"channel is an object", `{"channel":{"channel":"chat"}}`, other},
		{"a list", `[{"channel":"chat"}]`, other},
		{"a string", `"channel"`, other},
		{"a number", `1`, other},
		{"null", `null`, other},
		{"an empty object", `{}`, other},
		{"text", `channel: chat`, other},
		{"empty", ``, other},
		{"cut short", `{"channel":"chat"`, other},
		{"something after", `{"channel":"chat"} {}`, other},
		{"a trailing comma", `{"channel":"chat",}`, other},
		{"single quotes", `{'channel':'chat'}`, other},
		{"a control character in a string", "{\"channel\":\"chat\",\"payload\":\"a\nb\"}", other},
		{"a bad escape", `{"channel":"chat","payload":"\x41"}`, other},
		{"a comment", `{"channel":"chat"/* hi */}`, other},
		{"a byte order mark", "\ufeff" + `{"channel":"chat"}`, other},
		{"deeply nested", strings.Repeat("[", 7000), other},
		{"deeply nested and closed", `{"channel":"chat","payload":` + strings.Repeat("[", 3500) + strings.Repeat("]", 3500) + `}`, chat},
		{"the longest", `{"channel":"chat","payload":"` + strings.Repeat("x", 7999-31) + `"}`, chat},
		{"the longest text", strings.Repeat("ä", 3999) + "x", other},
		{"by its own name", `{"channel":"postgres-websockets-listener"}`, other},
	}
	s := start(t, nil)
	clients := map[string]*client{
		chat:  s.dial(t, "/chat/"+token(`{"mode":"r"}`)),
		other: s.dial(t, "/"+other+"/"+token(`{"mode":"r"}`)),
	}
	both := s.dial(t, "/"+token(`{"mode":"r","channels":["chat","postgres-websockets-listener"]}`))
	var all []string
	for _, tc := range cases {
		all = append(all, tc.payload)
	}
	s.notify(t, all...)
	for _, tc := range cases {
		if diff := cmp.Diff(tc.payload, clients[tc.channel].receive()); diff != "" {
			t.Errorf("%s: next in %s (-want +got):\n%s", tc.name, tc.channel, diff)
			break // The rest is out of step.
		}
	}
	both.expect(all...)
	for _, c := range []*client{clients[chat], clients[other], both} {
		c.expectPong()
	}
}

// The statement that the contract shows.
func TestDocumentedSQL(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	c := s.dial(t, "/chat/"+token(`{"mode":"r"}`))
	_, err := connect(t, s.uri).Exec(t.Context(), `SELECT pg_notify('postgres-websockets-listener',
		json_build_object('event','WebsocketMessage','channel','chat','payload','test')::text);`)
	check(t, err)
	c.expect(`{"event" : "WebsocketMessage", "channel" : "chat", "payload" : "test"}`)
}

// Notifications come in the order in which PostgreSQL delivers them, whether a transaction has one or many, and to a
// client with several channels as well.
func TestOrder(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	chat := s.dial(t, "/chat/"+token(`{"mode":"r"}`))
	both := s.dial(t, "/"+token(`{"mode":"r","channels":["chat","talk"]}`))
	const count = 10_000
	conn := connect(t, s.uri)
	for _, sql := range []string{
		`select pg_notify($1, json_build_object('channel', case n % 2 when 0 then 'chat' else 'talk' end, 'n', n)::text)
			from generate_series(0, $2::int - 1) n`,
		`do $$ begin for n in 0..9999 loop
			perform pg_notify('postgres-websockets-listener',
				json_build_object('channel', case n % 2 when 0 then 'chat' else 'talk' end, 'n', n)::text);
			if n % 100 = 0 then commit; end if;
		end loop; end $$`,
	} {
		arguments := []any{s.channel, count}
		if strings.HasPrefix(sql, "do") {
			arguments = nil
		}
		_, err := conn.Exec(t.Context(), sql, arguments...)
		check(t, err)
		for n := range count {
			channel := []string{"chat", "talk"}[n%2]
			want := fmt.Sprintf(`{"channel" : %q, "n" : %d}`, channel, n)
			if channel == "chat" {
				chat.expect(want)
			}
			both.expect(want)
		}
	}
}

// All clients of a channel get what is sent to it, and no client what is sent to another.
func TestManyClients(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	var clients []*client
	for i := range 100 {
		clients = append(clients, s.dial(t, fmt.Sprintf("/%d/%s", i%10, token(`{"mode":"r"}`))))
	}
	var all []string
	for i := range 1000 {
		all = append(all, fmt.Sprintf(`{"channel":"%d","n":%d}`, i%10, i))
	}
	s.notify(t, all...)
	for i, c := range clients {
		for n := i % 10; n < len(all); n += 10 {
			c.expect(all[n])
		}
		c.expectPong()
	}
}

// Who has been told that the websocket is open hears what is sent from then on.
func TestOpenHears(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	sender := s.dial(t, "/chat/"+token(`{"mode":"w"}`))
	for n := range 200 {
		receiver, refused := s.open(t, "/chat/"+token(`{"mode":"r"}`))
		if refused != nil {
			t.Fatalf("refused with %d %s", refused.status, refused.body)
		}
		sender.send(fmt.Sprint(n))
		if got := receiver.receiveMessage().Payload; got != fmt.Sprint(n) {
			t.Fatalf("got %s, want %d", got, n)
		}
		check(t, receiver.conn.Close())
	}
}

// With an interval, what comes soon after another message waits for the next round.
func TestWriteInterval(t *testing.T) {
	t.Parallel()
	const interval = 300 * time.Millisecond
	s := start(t, env{"PGWS_WRITE_INTERVAL": interval.String()})
	c := s.dial(t, "/chat/"+token(`{"mode":"r"}`))
	begun := time.Now()
	s.notify(t, `{"channel":"chat","n":1}`)
	c.expect(`{"channel":"chat","n":1}`)
	s.notify(t, `{"channel":"chat","n":2}`)
	c.expect(`{"channel":"chat","n":2}`)
	if took := time.Since(begun); took < interval {
		t.Errorf("both have come after %v", took)
	}
}
