package client_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"pgws/client"
)

// longestCalm is how long a connection lasts at most behind a cutter.
const longestCalm = 300 * time.Millisecond

// A cutter is the network before a server, which cuts each connection after a random time.
type cutter struct {
	target string
	calm   *atomic.Bool // No more connections are to be cut.
}

// listen returns the cutter's URL.
func (k *cutter) listen(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	var running sync.WaitGroup
	running.Go(func() {
		for conn, err := l.Accept(); err == nil; conn, err = l.Accept() {
			running.Go(func() { k.forward(conn) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		running.Wait()
	})
	return "http://" + l.Addr().String()
}

func (k *cutter) forward(near net.Conn) {
	far, err := net.Dial("tcp", k.target)
	if err != nil {
		_ = near.Close()
		return
	}
	end := sync.OnceFunc(func() {
		for _, conn := range []net.Conn{near, far} {
			if tcp, ok := conn.(*net.TCPConn); ok && rand.IntN(2) == 0 {
				_ = tcp.SetLinger(0) // It is reset, and what is under way is lost.
			}
			_ = conn.Close()
		}
	})
	if !k.calm.Load() {
		defer time.AfterFunc(rand.N(longestCalm), end).Stop()
	}
	var copying sync.WaitGroup
	for _, way := range [][2]net.Conn{{near, far}, {far, near}} {
		copying.Go(func() {
			defer end()
			_, _ = io.Copy(way[0], way[1])
		})
	}
	copying.Wait()
}

// dialUntil connects, however often that is cut.
func dialUntil(t *testing.T, o client.Options) *client.Client {
	t.Helper()
	for deadline := time.Now().Add(patience); ; {
		c, err := client.Dial(t.Context(), o)
		if err != nil && time.Now().Before(deadline) {
			continue
		}
		check(t, err)
		t.Cleanup(c.Close)
		return c
	}
}

// followUntil wants a channel's numbers in order up to the last, with nothing missing but where a gap is told.
func followUntil(t *testing.T, s *client.Subscription, channel string, last int) {
	gap := false
	for seen := -1; seen < last; {
		m := next(t, s)
		if m.Gap {
			gap = true
			continue
		}
		var notified struct {
			Channel string
			Payload int `json:",string"`
		}
		err := json.Unmarshal(m.Payload, &notified)
		n := notified.Payload
		if err != nil || m.Channel != channel || notified.Channel != channel || n <= seen || n > seen+1 && !gap {
			t.Errorf("%s: after %d comes %s of %s, %v, gap told: %t", channel, seen, m.Payload, m.Channel, err, gap)
			return
		}
		seen, gap = n, false
	}
}

// outcomes are what became of publications, by their text.
type outcomes struct {
	mu   sync.Mutex
	sent map[string]error
}

// publishUntil publishes one message after the other, until it is over.
func (o *outcomes) publishUntil(t *testing.T, c *client.Client, name int, over *atomic.Bool) {
	for n := range 100 {
		if over.Load() {
			return
		}
		text := fmt.Sprint(name, " ", n)
		_, err := publish(t, c, "sent", text)
		o.mu.Lock()
		o.sent[text] = err
		o.mu.Unlock()
	}
}

// compare wants each publication heard as often as its outcome says; where a gap was told, it may be missing.
func (o *outcomes) compare(t *testing.T, heard map[string]int, gap bool) {
	t.Helper()
	for text, err := range o.sent {
		e, ok := errors.AsType[*client.Error](err)
		uncertain := ok && e.Uncertain
		if n := heard[text]; n > 1 || err == nil && n == 0 && !gap || err != nil && !uncertain && n > 0 {
			t.Errorf("%q was heard %d times, and its outcome is %v", text, n, err)
		}
	}
}

// However often connections are cut, tokens expire and LISTEN is lost: nobody misses anything that no gap tells of, nobody
// gets anything twice, and a receipt means what it says.
func TestChaos(t *testing.T) {
	t.Parallel()
	for name, loseListen := range map[string]bool{"of clients": false, "of LISTEN, too": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			chaos(t, loseListen)
		})
	}
}

func chaos(t *testing.T, loseListen bool) {
	const channels, rounds = 4, 500
	s := serve(t)
	s.stop()
	s.values["PGWS_HISTORY_BYTES"] = "64MiB"
	s.start()
	var calm atomic.Bool
	direct := s.app.Addr().String()
	behindBlocker := blocking(t, s.url(), forbid).url[len("http://"):]
	connect := func(i int) *client.Client {
		k := &cutter{[]string{direct, behindBlocker}[i%2], &calm}
		return dialUntil(t, client.Options{URL: k.listen(t), Token: s.sign(2*time.Second, anybody)})
	}
	steady := dial(t, client.Options{URL: s.url(), Token: s.sign(2*time.Second, anybody)})
	watched := subscribe(t, steady, "sent")
	var following, publishing sync.WaitGroup
	for i := range 8 {
		c := connect(i)
		for j := range 2 {
			channel := fmt.Sprint("c", (i/2+j)%channels)
			sub := subscribe(t, c, channel)
			following.Go(func() { followUntil(t, sub, channel, rounds) })
		}
	}
	o := outcomes{sent: make(map[string]error)}
	for i := range 4 {
		c := connect(i)
		publishing.Go(func() { o.publishUntil(t, c, i, &calm) })
	}
	conn, err := pgx.Connect(t.Context(), s.values["PGWS_DB_URI"])
	check(t, err)
	defer conn.Close(t.Context())
	for i := range rounds {
		for channel := range channels {
			s.notifyOn(conn, numbered(fmt.Sprint("c", channel), i, i+1))
		}
		if loseListen && i == rounds*4/5 {
			_, err := conn.Exec(t.Context(), `select pg_terminate_backend(pid) from pg_stat_activity
				where application_name = 'pgws listener' and datname = current_database()`)
			check(t, err)
		}
		_, _ = publish(t, steady, "pace", "") // It waits until the server listens; whether it arrives is all the same.
	}
	calm.Store(true)
	publishing.Wait()
	_, err = publish(t, steady, "sent", "last")
	check(t, err)
	heard, gap := make(map[string]int), false
	for m := next(t, watched); m.Gap || m.Text() != "last"; m = next(t, watched) {
		if gap = gap || m.Gap; !m.Gap {
			heard[m.Text()]++
		}
	}
	if gap != loseListen {
		t.Errorf("a gap was told: %t", gap)
	}
	o.compare(t, heard, gap)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		following.Wait()
	}()
	// Whoever comes back late to a gap is told where to go on, and must hear what comes after that.
	for last := rounds; ; last++ {
		for channel := range channels {
			s.notifyOn(conn, numbered(fmt.Sprint("c", channel), last, last+1))
		}
		select {
		case <-ended:
			return
		case <-time.After(10 * time.Millisecond):
		}
	}
}
