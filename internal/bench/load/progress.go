package main

import (
	"fmt"
	"io"
	"os"
	"time"
)

// A progress is a line on a terminal that changes.
type progress struct {
	out      io.Writer
	terminal bool
	shown    time.Time // when last; zero: the line is empty
}

// showEvery keeps the terminal from costing more than the measurement.
const showEvery = 100 * time.Millisecond

func (p *progress) show(step string, done, total int) {
	if !p.terminal || time.Since(p.shown) < showEvery {
		return
	}
	p.shown = time.Now()
	fmt.Fprintf(p.out, "\r\x1b[K%s: %d of %d", step, done, total)
}

func (p *progress) clear() {
	if !p.shown.IsZero() {
		fmt.Fprint(p.out, "\r\x1b[K")
	}
}

func isTerminal(w io.Writer) bool {
	file, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
