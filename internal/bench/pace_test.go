package bench

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// TestPaceCountsFromDue has one sending block: those behind it have been late since they were due, and are sent at once.
func TestPaceCountsFromDue(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newPace(10, time.Second)
		<-time.After(time.Minute) // What is between making it and the first message is nobody's.
		start := time.Now()
		// Message 2 is due after 200 ms and blocks for 350 ms.
		sent := []float64{0, 100, 200, 550, 550, 550, 600, 700, 800, 900}
		late := []float64{0, 0, 350, 250, 150, 50, 0, 0, 0, 0}
		err := p.run(t.Context(), func(number int) error {
			if got := time.Since(start); milliseconds(got) != sent[number] {
				t.Errorf("message %d is sent after %v, want %v ms", number, got, sent[number])
			}
			if number == 2 {
				<-time.After(350 * time.Millisecond)
			}
			p.late = newLatencies()
			if err := p.delivered(number); err != nil {
				return err
			}
			if got := p.late.percentile(100); !near(milliseconds(got), late[number]) {
				t.Errorf("message %d has taken %v, want %v ms", number, got, late[number])
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if p.begun.Load() != 10 {
			t.Errorf("%d messages begun", p.begun.Load())
		}
	})
}

func TestPaceAchieved(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		takes time.Duration // each message
		want  float64
	}{
		"as asked for": {10 * time.Millisecond, 10},
		"too slow":     {250 * time.Millisecond, 4},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				p := newPace(10, 2*time.Second)
				err := p.run(t.Context(), func(int) error {
					<-time.After(c.takes)
					return nil
				})
				if err != nil {
					t.Fatal(err)
				}
				r := &Report{}
				p.addTo(r)
				asked, _ := r.Value("notifications a second")
				achieved, _ := r.Value("notifications a second, achieved")
				if asked != 10 || !near(achieved, c.want) {
					t.Errorf("%v asked for, %v achieved, want 10 and %v", asked, achieved, c.want)
				}
			})
		})
	}
}

func TestPaceIsInterrupted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(t.Context())
		wanted := errors.New("that is enough")
		p := newPace(1, time.Hour)
		err := p.run(ctx, func(int) error { cancel(wanted); return nil })
		if !errors.Is(err, wanted) || p.begun.Load() != 1 {
			t.Errorf("error %v after %d messages", err, p.begun.Load())
		}
	})
}
