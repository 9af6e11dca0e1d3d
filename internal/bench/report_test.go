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
  clients                 1,000
  latency, p50             1.23 ms
  time à la carte        0.0456 s
  a second            2,345,679 /s
  rate                     12.3 /s
`
	if diff := cmp.Diff(want, got.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestReportWriteLongNumbers(t *testing.T) {
	t.Parallel()
	r := &Report{Measurement: "fanout"}
	r.add("clients", 1, "")
	r.add("deliveries", 12345678901, "")
	var got strings.Builder
	if err := r.Write(&got); err != nil {
		t.Fatal(err)
	}
	const want = "fanout\n  clients                  1\n  deliveries  12,345,678,901\n"
	if diff := cmp.Diff(want, got.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestNumber(t *testing.T) {
	t.Parallel()
	for v, want := range map[float64]string{
		0: "0", 1: "1", -7: "-7", 0.0289: "0.0289", 0.004: "0.00400", 0.9996: "1.00", 9.999: "10.0", 12.345: "12.3",
		99.94: "99.9", 99.96: "100", 999.6: "1,000", 123456: "123,456", -123: "-123", -1234.5: "-1,234", 22117082.4: "22,117,082",
	} {
		if got := number(v); got != want {
			t.Errorf("%v: got %s, want %s", v, got, want)
		}
	}
}
