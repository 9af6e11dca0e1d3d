package suite

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"pgws/internal/bench"
)

// A step is one run of the plan. Its group is what it is for: the table, or a chart. Runs of one group and series are
// points of one line, or the same once more.
type step struct {
	group, series string
	name          string
	measurement   bench.Measurement
	files         int // open files that either side needs
}

// spareFiles are those that a program has open besides the sockets of a measurement.
const spareFiles = 200

// The groups of the plan.
const (
	headline   = "headline"
	throughput = "throughput"
	latency    = "latency"
	pace       = "rate"
	idle       = "idle"
	channels   = "channels"
	size       = "size"
	sent       = "sent"
)

// Series that have a place in the table or in a chart.
const (
	connect   = "connect"
	singles   = "singles"
	bursts    = "bursts"
	many      = "many singles"
	steady    = "steady"
	ingest    = "ingest"
	churn     = "churn"
	slow      = "slow"
	floor     = "floor"
	floorMany = "floor of many"
	own       = "own"
	shared    = "shared"
)

// sizes are how much there is of everything.
type sizes struct {
	times      int   // runs of each row of the table
	idle       int   // connections
	connect    int   // connections
	clients    int   // of most rows
	many       int   // of those with more
	counts     []int // of clients, for charts
	channels   []int
	listeners  int   // clients of these channels, in all
	bytes      []int // of a notification
	rates      []int // notifications a second
	few        int   // single NOTIFYs in the table
	deliveries int   // that single NOTIFYs cause in a run; bursts cause more, and the floor fewer
	sent       int   // messages of a sender
	deaf       int   // notifications while some do not read
	settle     time.Duration
	time       time.Duration // of what goes at a rate
}

var (
	full = sizes{
		times: 3, idle: 10_000, connect: 5000, clients: 1000, many: 5000, counts: []int{100, 1000, 5000, 10_000, 18_000},
		channels: []int{1, 10, 100, 1000, 10_000, 100_000}, listeners: 10_000, bytes: []int{100, 300, 1000, 3000, 7000},
		rates: []int{5, 20, 50, 100}, few: 200, deliveries: 1_500_000, sent: 2000, deaf: 6000,
		settle: 8 * time.Second, time: 8 * time.Second,
	}
	quick = sizes{
		times: 2, idle: 40, connect: 40, clients: 20, many: 30, counts: []int{5, 20}, channels: []int{1, 10, 100}, listeners: 20,
		bytes: []int{100, 7000}, rates: []int{20, 100}, few: 20, deliveries: 2000, sent: 20, deaf: 20,
		settle: 100 * time.Millisecond, time: 200 * time.Millisecond,
	}
)

// plan returns all runs in their order. The rows of the table go round, so that what disturbs the machine for a while
// does not spoil all runs of one.
func plan(isQuick bool) []step {
	z := full
	if isQuick {
		z = quick
	}
	var steps []step
	for range z.times {
		steps = append(steps, z.headline()...)
	}
	for _, part := range [][]step{z.throughput(), z.latency(), z.idleAt(), z.channelsAt(), z.sizesAt()} {
		steps = append(steps, part...)
	}
	return steps
}

func (z sizes) headline() []step {
	row := func(series string, clients int, m bench.Measurement) step {
		return newStep(headline, series, clients, m)
	}
	guests := max(z.clients/5, 1)
	return []step{
		z.floor(headline, floor, z.clients, z.few, z.time),
		z.floor(headline, floorMany, z.many, z.few/5, z.time/4),
		row(idle, z.idle, &bench.Idle{Clients: z.idle, OwnChannels: true, Settle: z.settle}),
		row(connect, z.connect, &bench.Connect{Clients: z.connect, AtOnce: 128}),
		row(singles, z.clients, &bench.Fanout{Clients: z.clients, Messages: z.few, Burst: 1, Bytes: 100}),
		row(bursts, z.clients, &bench.Fanout{Clients: z.clients, Messages: 5 * z.few, Burst: 50, Bytes: 100}),
		row(many, z.many, &bench.Fanout{Clients: z.many, Messages: z.few / 5, Burst: 1, Bytes: 100}),
		row(latency, z.clients, &bench.Latency{Clients: z.clients, Rate: 20, Time: z.time, Bytes: 100}),
		row(ingest, senders(z), &bench.Ingest{Senders: senders(z), Messages: z.sent, Write: 1, Bytes: 100}),
		row(channels, z.listeners, &bench.Channels{Channels: z.listeners, Each: 1, Messages: 2 * z.listeners, Burst: 50, Bytes: 100}),
		row(churn, z.clients+guests, &bench.Churn{
			Clients: z.clients, Guests: guests, Leave: max(z.clients/10, 1), Rate: 20, Time: z.time, Bytes: 100,
		}),
		row(slow, z.clients, &bench.Slow{
			Clients: max(z.clients/2, 2), Deaf: max(z.clients/50, 1), Messages: z.deaf, Burst: 50, Bytes: 7000,
		}),
	}
}

// steadyRate is how many NOTIFYs a second make 20,000 deliveries: so few that no server need send two at once.
func steadyRate(clients int) int { return min(max(20_000/clients, 1), 200) }

// throughput has many clients on one channel, by how many. All runs of a line deliver about as much.
func (z sizes) throughput() (steps []step) {
	for _, n := range z.counts {
		steps = append(steps,
			newStep(throughput, singles, n, &bench.Fanout{Clients: n, Messages: z.deliveries / n, Burst: 1, Bytes: 100}),
			newStep(throughput, bursts, n, &bench.Fanout{Clients: n, Messages: 6 * z.deliveries / n, Burst: 50, Bytes: 100}),
			newStep(throughput, steady, n, &bench.Latency{Clients: n, Rate: steadyRate(n), Time: z.time / 2, Bytes: 100}),
			z.floor(throughput, floor, n, max(z.deliveries/8/n, 1), z.time/8))
	}
	return steps
}

// floor has both ends of each connection in this process, and so twice as many files. It writes as many bursts of 50 as
// single messages, by a fifth.
func (z sizes) floor(group, series string, clients, messages int, at time.Duration) step {
	s := newStep(group, series, clients, &bench.Floor{
		Clients: clients, Messages: messages, Bursts: max(messages/10, 1), Burst: 50, Rate: steadyRate(clients), Time: at, Bytes: 100,
	})
	s.files += clients
	return s
}

// latency is how late messages are, by clients and by how many there are a second.
func (z sizes) latency() (steps []step) {
	for _, n := range z.counts {
		if n <= z.many { // More do not bear any rate that is worth the name.
			rate := min(20, max(25_000/n, 1))
			series := grouped(n) + " clients, " + strconv.Itoa(rate) + "/s"
			steps = append(steps, newStep(latency, series, n, &bench.Latency{Clients: n, Rate: rate, Time: z.time, Bytes: 100}))
		}
	}
	for _, rate := range z.rates {
		steps = append(steps, newStep(pace, pace, z.clients,
			&bench.Latency{Clients: z.clients, Rate: rate, Time: z.time / 2, Bytes: 100}))
	}
	return steps
}

func (z sizes) idleAt() (steps []step) {
	for _, n := range z.counts {
		steps = append(steps,
			newStep(idle, own, n, &bench.Idle{Clients: n, OwnChannels: true, Settle: z.settle}),
			newStep(idle, shared, n, &bench.Idle{Clients: n, Settle: z.settle}))
	}
	return steps
}

// channelsAt has the same clients on few channels or many, and sends so much that there are always as many deliveries.
// Where there are more channels than clients, most notifications are for nobody.
func (z sizes) channelsAt() (steps []step) {
	for _, n := range z.channels {
		steps = append(steps, newStep(channels, channels, z.listeners, &bench.Channels{
			Channels: n, Each: max(z.listeners/n, 1), Clients: z.listeners, Messages: 20 * n, Burst: 50, Bytes: 100,
		}))
	}
	return steps
}

// sizesAt sends as many bytes in each run.
func (z sizes) sizesAt() (steps []step) {
	for _, n := range z.bytes {
		messages := max(600*z.deliveries/n/z.clients, 1)
		steps = append(steps,
			newStep(size, singles, z.clients, &bench.Fanout{Clients: z.clients, Messages: max(messages/4, 1), Burst: 1, Bytes: n}),
			newStep(size, bursts, z.clients, &bench.Fanout{Clients: z.clients, Messages: messages, Burst: 50, Bytes: n}),
			newStep(sent, ingest, senders(z), &bench.Ingest{Senders: senders(z), Messages: max(400*z.sent/n, 1), Write: 1, Bytes: n}))
	}
	return steps
}

// senders is how many clients send.
func senders(z sizes) int { return max(z.clients/10, 1) }

// newStep names a step by what is measured, and by its settings.
func newStep(group, series string, clients int, m bench.Measurement) step {
	kind := strings.ToLower(strings.TrimPrefix(fmt.Sprintf("%T", m), "*bench."))
	settings := strings.ToLower(strings.Trim(fmt.Sprintf("%+v", m), "&{}"))
	name := kind + ": " + strings.NewReplacer(":", " ", " ", ", ").Replace(settings)
	return step{group: group, series: series, name: name, measurement: m, files: clients + spareFiles}
}

// run is the step's run before it was made.
func (s step) run() (run Run, err error) {
	run = Run{Group: s.group, Series: s.series, Name: s.name}
	if run.Settings, err = json.Marshal(s.measurement); err != nil {
		return run, fmt.Errorf("settings: %w", err)
	}
	return run, nil
}

// grouped writes a count as people do: 10,000.
func grouped(n int) string {
	digits := strconv.Itoa(n)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}
