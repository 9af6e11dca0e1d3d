package contract_test

import (
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"pgws/internal/programtest"
)

// burst sends notifications of 7.5 kB in one transaction, numbered from first.
func burst(t *testing.T, conn *pgx.Conn, first, count int) {
	t.Helper()
	_, err := conn.Exec(t.Context(), `select count(*) from (
		select pg_notify('postgres-websockets-listener', '{"channel":"chat","n":' || n || ',"payload":"' || repeat('x', 7450) || '"}')
		from generate_series($1::int, $1::int + $2::int - 1) n offset 0) sent`, first, count)
	check(t, err)
}

func burstMessage(n int) string {
	return fmt.Sprintf(`{"channel":"chat","n":%d,"payload":%q}`, n, strings.Repeat("x", 7450))
}

// Clients that do not read cost next to nothing, whatever is sent: they share what waits for them, and are given up when
// they lag too far behind. One that reads gets all, also of a transaction of 1,500 messages.
func TestClientsThatDoNotRead(t *testing.T) {
	t.Parallel()
	path, err := builtPlain()
	check(t, err)
	s := startBinary(t, path, env{"PGWS_ADMIN_ADDR": freeAddress(t)})
	healthy := s.dial(t, "/chat/"+token(`{"mode":"r"}`))
	const deaf = 20
	for range deaf {
		s.dial(t, "/chat/"+token(`{"mode":"r"}`))
	}
	conn := connect(t, s.uri)
	before, most := s.memory(t), 0
	const each, bursts = 1500, 13 // of 7.5 kB: 146 MB
	for i := range bursts {
		burst(t, conn, i*each, each)
		for n := range each {
			healthy.expect(burstMessage(i*each + n))
			if n%100 == 0 {
				most = max(most, s.memory(t))
			}
		}
	}
	const limit = 100 << 20
	if grown := most - before; grown > limit {
		t.Errorf("the server has grown by %d MB", grown>>20)
	}
	t.Logf("from %d MB to %d MB at most", before>>20, most>>20)
	healthy.expectPong()
	programtest.Eventually(t, "those that do not read are given up", func() bool {
		_, _, figures := (&server{addr: s.admin}).get(t, "/metrics")
		return strings.Contains(figures, fmt.Sprintf("\npgws_sessions_slow_total %d\n", deaf))
	})
}

// memory returns the resident memory of the server, in bytes.
func (s *server) memory(t *testing.T) int {
	t.Helper()
	out, err := exec.Command("ps", "-o", "rss=", "-p", strconv.Itoa(s.Process.Pid)).Output()
	check(t, err)
	kilobytes, err := strconv.Atoi(strings.TrimSpace(string(out)))
	check(t, err)
	return kilobytes << 10
}
