package bench

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// cpu returns the time that the process has had on all CPUs, in user space and in the kernel. It asks the process's CPU
// clock, which counts nanoseconds; /proc/PID/stat counts hundredths of a second, and some measurements take few of them.
func (p process) cpu() (time.Duration, error) {
	// This is how clock_getcpuclockid(3) makes a clock of a process id.
	const schedulerClock = 2
	var spent unix.Timespec
	if err := unix.ClockGettime(int32(^p)<<3|schedulerClock, &spent); err != nil {
		return 0, fmt.Errorf("read the CPU time of process %d: %w", int(p), err)
	}
	return time.Duration(spent.Nano()), nil
}

// threadCPU returns the time that the calling thread has had, to which the goroutine must be locked.
func threadCPU() (time.Duration, error) {
	var spent unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &spent); err != nil {
		return 0, fmt.Errorf("read the CPU time of a thread: %w", err)
	}
	return time.Duration(spent.Nano()), nil
}
