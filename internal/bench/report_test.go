package bench

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestReportWrite(t *testing.T) {
	t.Parallel()
	r := &Report{Measurement: "fanout"}
	r.add("clients", 1000, "")
	r.addTime("latency, p50", 1234*time.Microsecond)
	r.add("time à la carte", 0.0456, "s")
	r.add("a second", 2345678.9, "/s")
	r.add("rate", 12.345, "/s")
	var got strings.Builder
	if err := r.Write(&got); err != nil {
		t.Fatal(err)
	}
	const want = `fanout
  clients                  1000
  latency, p50             1.23 ms
  time à la carte         0.046 s
  a second              2345679 /s
  rate                     12.3 /s
`
	if diff := cmp.Diff(want, got.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
