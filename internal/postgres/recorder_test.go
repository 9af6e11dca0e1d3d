package postgres

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"pgws/internal/devpg/pgtest"
)

// TestRecorder records what is heard by a function and by a procedure, and
// goes on when a call fails or the connection is lost.
func TestRecorder(t *testing.T) {
	t.Parallel()
	definitions := map[string]string{
		"function":  `create function "Odd".record(channel text, notification text) returns void language plpgsql as`,
		"procedure": `create procedure "Odd".record(channel text, notification text) language plpgsql as`,
	}
	for name, definition := range definitions {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			uri := pgtest.Database(t)
			db := connect(t, uri)
			execute(t, db, `create schema "Odd"`)
			execute(t, db, `create table heard (id serial, channel text, notification text)`)
			execute(t, db, definition+` $$ begin
				if notification = 'bad' then raise 'not this one'; end if;
				insert into heard (channel, notification) values (channel, notification);
			end $$`)
			r := NewRecorder(RecorderOptions{
				Config: parse(t, uri).ConnConfig, Procedure: `"Odd".record`, Channel: listenChannel, QueueBytes: 1 << 20, Log: testLog(t),
			})
			h, _ := listen(t, uri, func(o *ListenerOptions) { o.Recorder = r })
			h.awaitUp(t, true)
			run(t, r.Run)
			<-r.Ready()
			var want []string
			for i := range 30 {
				text := fmt.Sprint(i)
				if i%10 == 5 {
					text = "bad"
				} else {
					want = append(want, text)
				}
				execute(t, db, "select pg_notify($1, $2)", listenChannel, text)
				h.next(t)
				if i%10 == 8 {
					awaitRecorded(t, db, want)
					terminate(t, db, "pgws recorder")
				}
			}
			awaitRecorded(t, db, want)
		})
	}
}

func awaitRecorded(t *testing.T, db *pgx.Conn, want []string) {
	t.Helper()
	var got []string
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); <-time.After(5 * time.Millisecond) {
		rows, err := db.Query(t.Context(), "select notification from heard where channel = $1 order by id", listenChannel)
		if err != nil {
			t.Fatal(err)
		}
		if got, err = pgx.CollectRows(rows, pgx.RowTo[string]); err != nil {
			t.Fatal(err)
		}
		if len(got) >= len(want) {
			break
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatal(diff)
	}
}

func TestRecorderNeedsItsProcedure(t *testing.T) {
	t.Parallel()
	uri := pgtest.Database(t)
	r := NewRecorder(RecorderOptions{Config: parse(t, uri).ConnConfig, Procedure: "nowhere.record", QueueBytes: 10, Log: testLog(t)})
	if err := r.Run(t.Context()); err == nil {
		t.Error("runs without its procedure")
	}
}

func TestRecorderHasABound(t *testing.T) {
	t.Parallel()
	r := NewRecorder(RecorderOptions{QueueBytes: 100})
	for range 20 {
		r.Record("ten bytes.")
	}
	if waiting, missed := r.take(); len(waiting) != 10 || missed != 10 {
		t.Errorf("%d wait, %d found no room", len(waiting), missed)
	}
}
