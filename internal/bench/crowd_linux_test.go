package bench

import (
	"context"
	"errors"
	"runtime"
	"testing"
	"time"

	"github.com/gobwas/ws"
)

// TestAttendTakesTheJobsTime has a job go on when its message has come: what it costs is read after that.
func TestAttendTakesTheJobsTime(t *testing.T) {
	t.Parallel()
	const more = 50 * time.Millisecond
	a := &audience{channel: newChannel(), channels: 1, clients: 1}
	heard := make(chan struct{})
	w, err := admit(t.Context(), &Target{Progress: func(step string, done, total int) {
		if step == "deliveries" && done == total {
			close(heard)
		}
	}}, a, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := errors.Join(a.close(), w.close()); err != nil {
			t.Error(err)
		}
	}()
	payloads := a.payloads(1, 100)
	var after time.Duration
	took, err := a.attend(t.Context(), payloads, func(ctx context.Context) error {
		if err := writeOut(ctx, w.fds[0], ws.MustCompileFrame(ws.NewTextFrame([]byte(payloads[0])))); err != nil {
			return err
		}
		<-heard
		start := time.Now()
		<-time.After(more) // its further work
		after = time.Since(start)
		return nil
	}, nil)
	if err != nil || took < after {
		t.Errorf("took %v, error %v, where the job went on for %v", took, err, after)
	}
}

// BenchmarkCrowd has each of many clients read a frame. It tells the CPU time of that alone: what the kernel takes for
// the writing is more, and wall time is at the mercy of who else is busy here.
func BenchmarkCrowd(b *testing.B) {
	const clients = 500
	a := &audience{channel: newChannel(), channels: 1, clients: clients}
	w, err := admit(b.Context(), &Target{}, a, 1)
	if err != nil {
		b.Fatal(err)
	}
	defer func() {
		if err := errors.Join(a.close(), w.close()); err != nil {
			b.Error(err)
		}
	}()
	frame := ws.MustCompileFrame(ws.NewTextFrame([]byte(a.payloads(1, 100)[0])))
	due := 0
	a.crowd.deliver = func(int, []byte) error {
		due--
		return nil
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var spent time.Duration
	b.ReportAllocs()
	for b.Loop() {
		for _, fd := range w.fds {
			if err := writeOut(b.Context(), fd, frame); err != nil {
				b.Fatal(err)
			}
		}
		due = clients
		before, err := threadCPU()
		if err != nil {
			b.Fatal(err)
		}
		if err := a.crowd.serve(b.Context(), func() bool { return due == 0 }); err != nil {
			b.Fatal(err)
		}
		after, err := threadCPU()
		if err != nil {
			b.Fatal(err)
		}
		spent += after - before
	}
	b.ReportMetric(float64(spent)/float64(b.N)/clients, "CPU-ns/delivery")
}
