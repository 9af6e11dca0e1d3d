package bench

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Floor measures what this machine asks for writing to sockets, whoever does it: no server, no PostgreSQL, nothing but
// prepared frames and send(2), on as many threads as there are CPUs.
type Floor struct {
	Clients  int           `default:"1000" help:"Clients."`
	Messages int           `default:"200" help:"Messages to each, one a write, as fast as they go."`
	Bursts   int           `default:"20" help:"Bursts to each, one a write, as fast as they go."`
	Burst    int           `default:"50" help:"Messages in a burst."`
	Rate     int           `default:"20" help:"Messages a second to each, for their latency."`
	Time     time.Duration `default:"5s" help:"How long to send at that rate."`
	Bytes    int           `default:"100" help:"Length of a message, at least some 60."`
}

// Measure measures this machine; of the target it uses the progress alone. Its figures begin with "singles: ",
// "bursts: " and "at a rate: ", and then have the names of the other measurements; the server's part is that of the
// threads that write, the clients' part is that of the one that reads.
func (f *Floor) Measure(ctx context.Context, t *Target) (*Report, error) {
	if f.Clients < 1 || f.Messages < 1 || f.Bursts < 1 || f.Burst < 1 || f.Time <= 0 || f.Bytes > maxPayloadBytes {
		return nil, errors.New("bench: floor: all but bytes must be above 0, bytes 7999 or less")
	}
	if err := checkRate(f.Rate); err != nil {
		return nil, fmt.Errorf("bench: floor: %w", err)
	}
	report, err := f.measure(ctx, t)
	if err != nil {
		return nil, fmt.Errorf("bench: floor: %w", err)
	}
	return report, nil
}
