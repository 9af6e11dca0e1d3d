package contract_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"pgws/internal/devpg/pgtest"
	"pgws/internal/programtest"
)

// recorded is where the procedures of these tests write.
const recorded = `create schema api; create table api.recorded (id serial, channel text, notification text);`

// PGWS_RECORDER takes the place of pg-recorder: for each notification the function or procedure is called, in order,
// with the channel and the notification as it was sent.
func TestRecorder(t *testing.T) {
	t.Parallel()
	for kind, sql := range map[string]string{
		"procedure": `create procedure api.record(channel text, notification text) language plpgsql as $$ begin
			if notification = 'fail' then raise 'it fails'; end if;
			insert into api.recorded (channel, notification) values (channel, notification); end $$`,
		"function": `create function api.record(channel text, notification text) returns void language plpgsql as $$ begin
			if notification = 'fail' then raise 'it fails'; end if;
			insert into api.recorded (channel, notification) values (channel, notification); end $$`,
	} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			uri := pgtest.Database(t)
			conn := connect(t, uri)
			_, err := conn.Exec(t.Context(), recorded+sql)
			check(t, err)
			s := start(t, env{"PGWS_DB_URI": uri, "PGWS_RECORDER": "api.record"})
			c := s.dial(t, "/chat/"+token(anybody))
			c.send(`it's from a "client"`)
			want := []string{c.receive()}
			s.notify(t, "not JSON", "fail", `{"channel":"chat","payload":"from SQL"}`)
			c.expect(`{"channel":"chat","payload":"from SQL"}`)
			texts := numbered("message", 200)
			c.send(texts...)
			want = append(want, "not JSON", `{"channel":"chat","payload":"from SQL"}`)
			for range texts {
				want = append(want, c.receive())
			}
			var got []string
			programtest.Eventually(t, "all is recorded", func() bool {
				var channels []string
				check(t, conn.QueryRow(t.Context(), `select coalesce(array_agg(notification order by id), '{}'),
					coalesce(array_agg(distinct channel), '{}') from api.recorded`).Scan(&got, &channels))
				return len(got) >= len(want) && cmp.Equal(channels, []string{s.channel})
			})
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("recorded (-want +got):\n%s", diff)
			}
		})
	}
}

// A procedure that the database does not have is a bad setting.
func TestRecorderMissing(t *testing.T) {
	t.Parallel()
	uri := pgtest.Database(t)
	_, err := connect(t, uri).Exec(t.Context(), `create schema api; create function api.other(text) returns void language sql as ''`)
	check(t, err)
	for _, name := range []string{"api.record", "api.other", "no.such", "'; drop schema api; --"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			variables := defaults()
			variables["PGWS_DB_URI"], variables["PGWS_RECORDER"] = uri, name
			status, _, stderr := run(t, variables)
			if status == 0 || !strings.Contains(stderr, "PGWS_RECORDER") {
				t.Errorf("status %d, standard error %q", status, stderr)
			}
		})
	}
}
