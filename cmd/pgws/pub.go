package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"golang.org/x/term"

	"pgws/client"
)

type pubCommand struct {
	Channel string  `arg:"" help:"Where to send it."`
	Text    *string `arg:"" optional:"" help:"What to send; - or none: standard input, without the newline at its end."`

	Lines bool `help:"Send each line of standard input as a message, in order."`
	JSON  bool `name:"json" help:"Send it as a JSON value, not as text."`

	clientFlags
}

const (
	// pubTimeout is how long a message may take, reconnecting included.
	pubTimeout = 30 * time.Second
	// underWay is how many lines may have been sent and have no receipt yet.
	underWay = 1000
	// mostInput is more than a message can have.
	mostInput = 1 << 20
)

// Help says what stands above the flags.
func (c *pubCommand) Help() string {
	return "It ends with status 0 when PostgreSQL has committed the message, and prints the receipt: for people on a terminal, " +
		"as a line of JSON elsewhere.\n\n" + aboutTokens
}

// Run sends what the arguments or standard input have.
func (c *pubCommand) Run(ctx context.Context) error {
	fromInput := c.Text == nil || *c.Text == "-"
	if c.Lines && !fromInput {
		return errors.New("--lines sends standard input, not an argument")
	}
	if fromInput && term.IsTerminal(int(os.Stdin.Fd())) {
		fmt.Fprintln(os.Stderr, styled(os.Stderr, dim).of("type, and end with Ctrl-D on a line of its own"))
	}
	if c.Lines {
		return c.lines(ctx)
	}
	if fromInput {
		text, err := readAll(os.Stdin)
		if err != nil {
			return err
		}
		c.Text = &text
	}
	payload, err := c.payload(*c.Text)
	if err != nil {
		return err
	}
	connection, err := c.connect(ctx)
	if err != nil {
		return err
	}
	defer connection.Close()
	ctx, cancel := context.WithTimeout(ctx, pubTimeout)
	defer cancel()
	receipt, err := connection.Publish(ctx, c.Channel, payload)
	if err != nil {
		return err
	}
	if !term.IsTerminal(int(os.Stdout.Fd())) {
		return json.NewEncoder(os.Stdout).Encode(receipt)
	}
	_, err = fmt.Printf("delivered to %s at %s\n", printable(c.Channel), receipt.Time().Format("15:04:05.000"))
	return err
}

func (c *pubCommand) connect(ctx context.Context) (*client.Client, error) {
	n := newNotices()
	n.quiet = true
	return c.dial(ctx, "w", []string{c.Channel}, n)
}

// readAll reads one message. A newline at its end is the shell's or the editor's.
func readAll(in io.Reader) (string, error) {
	text, err := io.ReadAll(io.LimitReader(in, mostInput))
	if err != nil {
		return "", fmt.Errorf("standard input: %w", err)
	}
	if len(text) == 0 {
		return "", errors.New("standard input is empty")
	}
	return string(bytes.TrimSuffix(bytes.TrimSuffix(text, []byte("\n")), []byte("\r"))), nil
}

func (c *pubCommand) payload(text string) (any, error) {
	if !c.JSON {
		return text, nil
	}
	if !json.Valid([]byte(text)) {
		return nil, errors.New("--json: this is no JSON")
	}
	return json.RawMessage(text), nil
}

// A line is one of standard input, or why there is none.
type line struct {
	number int
	text   string
	err    error
	// receipt is that of a line that has been sent.
	receipt func(context.Context) (client.Receipt, error)
}

// lines sends each line of standard input. After the first that fails no more are sent; those under way are waited for.
func (c *pubCommand) lines(ctx context.Context) error {
	connection, err := c.connect(ctx)
	if err != nil {
		return err
	}
	defer connection.Close()
	sending, stop := context.WithCancel(ctx)
	defer stop()
	sent := make(chan line, underWay)
	show, delivered, refused := newBar(os.Stderr), 0, error(nil)
	var collecting sync.WaitGroup
	collecting.Go(func() {
		for l := range sent {
			if err := c.collect(ctx, l); err == nil {
				delivered++
				show.count(delivered)
			} else if refused == nil {
				refused = fmt.Errorf("line %d: %w", l.number, err)
				stop()
			}
		}
	})
	err = c.send(sending, connection, readLines(os.Stdin), sent)
	close(sent)
	collecting.Wait()
	show.clear()
	if refused != nil { // It is of an earlier line.
		err = refused
	}
	if err != nil {
		return fmt.Errorf("%w; %d messages were delivered", err, delivered)
	}
	if term.IsTerminal(int(os.Stdout.Fd())) {
		fmt.Printf("%d messages delivered to %s\n", delivered, printable(c.Channel))
	}
	return nil
}

// readLines reads lines in a goroutine that nobody waits for: reading standard input can only be ended by its other side
// or with the program.
func readLines(in io.Reader) <-chan line {
	lines := make(chan line)
	go func() {
		defer close(lines)
		scanner := bufio.NewScanner(in)
		scanner.Buffer(nil, mostInput)
		number := 1
		for ; scanner.Scan(); number++ {
			lines <- line{number: number, text: scanner.Text()}
		}
		if err := scanner.Err(); err != nil {
			lines <- line{number: number, err: fmt.Errorf("standard input: %w", err)}
		}
	}()
	return lines
}

// send sends lines until there are no more, or one cannot be sent.
func (c *pubCommand) send(ctx context.Context, connection *client.Client, lines <-chan line, sent chan<- line) error {
	for {
		var l line
		var more bool
		select {
		case l, more = <-lines:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		if !more {
			return nil
		}
		if l.err == nil {
			l.err = c.start(ctx, connection, &l)
		}
		if l.err != nil {
			return fmt.Errorf("line %d: %w", l.number, l.err)
		}
		sent <- l // It is collected.
	}
}

func (c *pubCommand) start(ctx context.Context, connection *client.Client, l *line) error {
	payload, err := c.payload(l.text)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, pubTimeout)
	defer cancel()
	l.receipt, err = connection.PublishAsync(ctx, c.Channel, payload)
	return err
}

// collect waits for the receipt of a line, and prints it for programs.
func (c *pubCommand) collect(ctx context.Context, l line) error {
	ctx, cancel := context.WithTimeout(ctx, pubTimeout)
	defer cancel()
	receipt, err := l.receipt(ctx)
	if err != nil || term.IsTerminal(int(os.Stdout.Fd())) {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(receipt)
}

// count shows how many there have been, where the end is not known.
func (b *bar) count(done int) {
	if b.out == nil || time.Since(b.shown) < showEvery {
		return
	}
	b.shown = time.Now()
	fmt.Fprintf(b.out, "\r\x1b[K%d messages delivered", done)
}
