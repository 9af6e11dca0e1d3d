package bench

import (
	"fmt"
	"math"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// What a recorder tells apart: three digits of anything from a microsecond to a minute.
const (
	shortestLatency = time.Microsecond
	longestLatency  = time.Minute
	latencyDigits   = 3
)

// Latencies records how long each of many things took, as it took. Its zero value is not ready for use.
type latencies struct{ histogram *hdrhistogram.Histogram }

func newLatencies() latencies {
	return latencies{hdrhistogram.New(int64(shortestLatency), int64(longestLatency), latencyDigits)}
}

// record enters one. What took longer than longestLatency is an error: nothing that is measured may.
func (l latencies) record(d time.Duration) error {
	if err := l.histogram.RecordValue(int64(d)); err != nil {
		return fmt.Errorf("a latency of %v: %w", d, err)
	}
	return nil
}

func (l latencies) count() int { return int(l.histogram.TotalCount()) }

// percentile returns what the given percentage of all did not exceed.
func (l latencies) percentile(percent float64) time.Duration {
	return time.Duration(l.histogram.ValueAtPercentile(percent))
}

// curve returns points from p0 to p99.99 that are evenly far apart where charts of latencies are drawn: over the
// logarithm of 1/(1-p), which gives each further nine the same room.
func (l latencies) curve() []Percentile {
	const points, nines = 8, 4 // points for each nine
	curve := make([]Percentile, 0, points*nines+1)
	for i := range cap(curve) {
		percent := 100 * (1 - math.Pow(10, -float64(i)/points))
		curve = append(curve, Percentile{Percent: percent, Milliseconds: milliseconds(l.percentile(percent))})
	}
	return curve
}
