package metrics_test

import (
	"bytes"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"go.uber.org/goleak"

	"pgws/internal/hub"
	"pgws/internal/metrics"
	"pgws/internal/postgres"
	"pgws/internal/server"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The rooms that are counted declare what they need.
var (
	_ hub.Observer              = (*metrics.Observer)(nil)
	_ server.Observer           = (*metrics.Observer)(nil)
	_ postgres.ListenerObserver = (*metrics.Observer)(nil)
	_ postgres.NotifierObserver = (*metrics.Observer)(nil)
)

// scrape returns what Prometheus would read.
func scrape(t *testing.T, o *metrics.Observer) string {
	t.Helper()
	w := httptest.NewRecorder()
	o.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	if w.Code != http.StatusOK || !strings.HasPrefix(w.Header().Get("Content-Type"), "text/plain; version=0.0.4") {
		t.Fatalf("status %d, %s", w.Code, w.Header().Get("Content-Type"))
	}
	return w.Body.String()
}

// ours returns the lines about pgws itself.
func ours(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		if strings.Contains(line, "pgws_") {
			b.WriteString(line)
		}
	}
	return b.String()
}

const unused = `# HELP pgws_build_info 1, with the version.
# TYPE pgws_build_info gauge
pgws_build_info{version="1.2.3"} 1
# HELP pgws_deliveries_total Publications handed to sessions' sockets.
# TYPE pgws_deliveries_total counter
pgws_deliveries_total 0
# HELP pgws_listener_reconnects_total Listener connections replaced.
# TYPE pgws_listener_reconnects_total counter
pgws_listener_reconnects_total 0
# HELP pgws_listener_up 1 while notifications are heard.
# TYPE pgws_listener_up gauge
pgws_listener_up 0
# HELP pgws_messages_received_total Messages from clients that may send.
# TYPE pgws_messages_received_total counter
pgws_messages_received_total 0
# HELP pgws_notify_batch_size Messages sent in one transaction.
# TYPE pgws_notify_batch_size histogram
pgws_notify_batch_size_bucket{le="1"} 0
pgws_notify_batch_size_bucket{le="4"} 0
pgws_notify_batch_size_bucket{le="16"} 0
pgws_notify_batch_size_bucket{le="64"} 0
pgws_notify_batch_size_bucket{le="256"} 0
pgws_notify_batch_size_bucket{le="1024"} 0
pgws_notify_batch_size_bucket{le="4096"} 0
pgws_notify_batch_size_bucket{le="16384"} 0
pgws_notify_batch_size_bucket{le="+Inf"} 0
pgws_notify_batch_size_sum 0
pgws_notify_batch_size_count 0
# HELP pgws_notify_failures_total Transactions that failed and were sent again.
# TYPE pgws_notify_failures_total counter
pgws_notify_failures_total 0
# HELP pgws_notify_refused_total Messages that PostgreSQL refused for their text.
# TYPE pgws_notify_refused_total counter
pgws_notify_refused_total 0
# HELP pgws_publications_total Notifications heard.
# TYPE pgws_publications_total counter
pgws_publications_total 0
# HELP pgws_sessions Sessions that are open.
# TYPE pgws_sessions gauge
pgws_sessions 0
# HELP pgws_sessions_opened_total Sessions opened.
# TYPE pgws_sessions_opened_total counter
pgws_sessions_opened_total 0
# HELP pgws_sessions_slow_total Sessions closed because they lagged or stalled.
# TYPE pgws_sessions_slow_total counter
pgws_sessions_slow_total 0
`

// Names, types and labels are what dashboards and alarms are made of: they are a
// promise.
func TestScrapeOfAnUnusedServer(t *testing.T) {
	t.Parallel()
	text := scrape(t, metrics.New("1.2.3"))
	if diff := cmp.Diff(unused, ours(text)); diff != "" {
		t.Errorf("metrics (-want +got):\n%s", diff)
	}
	for _, name := range []string{"\ngo_goroutines ", "\ngo_memstats_heap_alloc_bytes "} {
		if !strings.Contains(text, name) {
			t.Errorf("no %s", strings.TrimSpace(name))
		}
	}
}

func TestEachCount(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		count func(o *metrics.Observer)
		want  []string // the lines of values that are new
	}{
		"Received":  {func(o *metrics.Observer) { o.Received(3); o.Received(4) }, []string{"pgws_publications_total 7"}},
		"Delivered": {func(o *metrics.Observer) { o.Delivered(3); o.Delivered(0) }, []string{"pgws_deliveries_total 3"}},
		"SessionOpened": {func(o *metrics.Observer) { o.SessionOpened(); o.SessionOpened() },
			[]string{"pgws_sessions 2", "pgws_sessions_opened_total 2"}},
		"SessionClosed": {func(o *metrics.Observer) { o.SessionOpened(); o.SessionOpened(); o.SessionClosed(1001) },
			[]string{`pgws_sessions 1`, `pgws_sessions_closed_total{code="1001"} 1`, `pgws_sessions_opened_total 2`}},
		"SlowSession":     {func(o *metrics.Observer) { o.SlowSession() }, []string{"pgws_sessions_slow_total 1"}},
		"Refused":         {func(o *metrics.Observer) { o.Refused("expired"); o.Refused("expired") }, []string{`pgws_refusals_total{reason="expired"} 2`}},
		"MessageReceived": {func(o *metrics.Observer) { o.MessageReceived() }, []string{"pgws_messages_received_total 1"}},
		"ListenerUp":      {func(o *metrics.Observer) { o.ListenerUp(true) }, []string{"pgws_listener_up 1"}},
		"ListenerUp, no":  {func(o *metrics.Observer) { o.ListenerUp(true); o.ListenerUp(false) }, nil},
		"Reconnected":     {func(o *metrics.Observer) { o.Reconnected() }, []string{"pgws_listener_reconnects_total 1"}},
		"NotifyFailed":    {func(o *metrics.Observer) { o.NotifyFailed() }, []string{"pgws_notify_failures_total 1"}},
		"NotifyRefused":   {func(o *metrics.Observer) { o.NotifyRefused() }, []string{"pgws_notify_refused_total 1"}},
		"Notified": {func(o *metrics.Observer) { o.Notified(2000); o.Notified(20000) }, []string{
			`pgws_notify_batch_size_bucket{le="4096"} 1`, `pgws_notify_batch_size_bucket{le="16384"} 1`,
			`pgws_notify_batch_size_bucket{le="+Inf"} 2`, `pgws_notify_batch_size_sum 22000`, `pgws_notify_batch_size_count 2`}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := metrics.New("1.2.3")
			tt.count(o)
			var got []string
			for line := range strings.Lines(ours(scrape(t, o))) {
				if !strings.HasPrefix(line, "#") && !strings.Contains(unused, line) {
					got = append(got, strings.TrimSpace(line))
				}
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("what has changed (-want +got):\n%s", diff)
			}
		})
	}
}

// Clients choose close codes. They must not choose how many time series there are.
func TestCloseCodesAreBounded(t *testing.T) {
	t.Parallel()
	labels := map[int]string{
		1000: "1000", 1006: "1006", 1015: "1015", 3001: "3001", 3000: "3xxx", 3999: "3xxx", 4000: "4xxx", 4999: "4xxx",
		0: "other", -1: "other", 999: "other", 1016: "other", 2999: "other", 5000: "other", 65535: "other",
		math.MaxInt: "other", math.MinInt: "other",
	}
	for code, label := range labels {
		o := metrics.New("1.2.3")
		o.SessionClosed(code)
		if want := `pgws_sessions_closed_total{code="` + label + `"} 1`; !strings.Contains(scrape(t, o), want) {
			t.Errorf("%d is not counted as %s", code, label)
		}
	}
	o := metrics.New("1.2.3")
	for code := range 1 << 16 {
		o.SessionClosed(code)
	}
	const most = 16 + 1 + 3 // 1000 to 1015, 3001, and the three for all others.
	if got := strings.Count(scrape(t, o), "\npgws_sessions_closed_total{"); got != most {
		t.Errorf("%d series, want %d", got, most)
	}
}

// The names, units and texts are as Prometheus advises.
func TestLint(t *testing.T) {
	t.Parallel()
	o := metrics.New("1.2.3")
	o.SessionClosed(1000)
	o.Refused("expired")
	text := scrape(t, o)
	for _, family := range []string{"pgws_sessions_closed_total", "pgws_refusals_total"} {
		if !strings.Contains(text, "# HELP "+family+" ") || !strings.Contains(text, "# TYPE "+family+" counter\n") {
			t.Errorf("%s has no help or is no counter", family)
		}
	}
	problems, err := promlint.New(bytes.NewReader([]byte(text))).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, problem := range problems {
		t.Errorf("%s: %s", problem.Metric, problem.Text)
	}
}

func TestCountingAtOnce(t *testing.T) {
	t.Parallel()
	o := metrics.New("1.2.3")
	var counting sync.WaitGroup
	for range 8 {
		counting.Go(func() {
			for range 100 {
				o.SessionOpened()
				o.Delivered(2)
				o.Refused("expired")
				o.Notified(1)
				o.SessionClosed(1000)
			}
			o.Handler().ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/metrics", nil))
		})
	}
	counting.Wait()
	text := scrape(t, o)
	for _, want := range []string{
		"pgws_sessions 0\n", "pgws_deliveries_total 1600\n", `pgws_refusals_total{reason="expired"} 800`,
		"pgws_notify_batch_size_count 800\n", `pgws_sessions_closed_total{code="1000"} 800`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %s", want)
		}
	}
}

// Two observers, as of two servers in one program, do not share anything.
func TestObserversAreApart(t *testing.T) {
	t.Parallel()
	one, two := metrics.New("1.2.3"), metrics.New("1.2.3")
	one.SessionOpened()
	if diff := cmp.Diff(unused, ours(scrape(t, two))); diff != "" {
		t.Errorf("metrics (-want +got):\n%s", diff)
	}
}
