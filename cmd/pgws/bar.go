package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/term"
)

// A bar is a line on a terminal that tells how far something is. Elsewhere it writes nothing.
type bar struct {
	out   io.Writer // nil: no terminal
	shown time.Time // when last; zero: the line is empty
}

const (
	barWidth = 30
	// showEvery keeps the terminal from costing more than what it tells about.
	showEvery = 100 * time.Millisecond
)

func newBar(file *os.File) *bar {
	if !term.IsTerminal(int(file.Fd())) {
		return &bar{}
	}
	return &bar{out: file}
}

// show is called often.
func (b *bar) show(step string, done, total int) {
	if b.out == nil || total <= 0 || time.Since(b.shown) < showEvery {
		return
	}
	b.shown = time.Now()
	full := min(max(done*barWidth/total, 0), barWidth)
	fmt.Fprintf(b.out, "\r\x1b[K%s%s %3d %%  %s, %d of %d",
		strings.Repeat("█", full), strings.Repeat("░", barWidth-full), done*100/total, step, done, total)
}

func (b *bar) clear() {
	if !b.shown.IsZero() {
		fmt.Fprint(b.out, "\r\x1b[K")
		b.shown = time.Time{}
	}
}
