package bench

import (
	"os"
	"os/exec"
	"testing"
	"time"
)

func TestProcessMemory(t *testing.T) {
	t.Parallel()
	const size = 64 << 20
	self := process(os.Getpid())
	before, err := self.resident()
	if err != nil {
		t.Fatal(err)
	}
	// More than tests beside this one free meanwhile.
	held := make([]byte, size)
	for i := 0; i < size; i += os.Getpagesize() {
		held[i] = 1
	}
	after, err := self.resident()
	if err != nil {
		t.Fatal(err)
	}
	if grown := after - before; grown < size/2 {
		t.Errorf("%d bytes more after taking %d", grown, len(held))
	}
	n, err := self.kilobytes("status", "VmRSS:")
	if err != nil || n<<10 < size {
		t.Errorf("status: %d kB, error %v", n, err)
	}
}

func TestProcessCPU(t *testing.T) {
	t.Parallel()
	self := process(os.Getpid())
	before, err := self.cpu()
	if err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	for {
		spent, err := self.cpu()
		if err != nil {
			t.Fatal(err)
		}
		if spent-before > 20*time.Millisecond {
			return
		}
		if time.Since(start) > 20*time.Second {
			t.Fatalf("%v of CPU time in %v of work", spent-before, time.Since(start))
		}
	}
}

func TestProcessGone(t *testing.T) {
	t.Parallel()
	child := exec.Command("true")
	if err := child.Run(); err != nil {
		t.Fatal(err)
	}
	gone := process(child.Process.Pid)
	if n, err := gone.resident(); err == nil {
		t.Errorf("%d bytes", n)
	}
	if spent, err := gone.cpu(); err == nil {
		t.Errorf("%v of CPU time", spent)
	}
}
