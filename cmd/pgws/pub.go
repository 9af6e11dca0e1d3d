package main

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
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
)

// Help says what stands above the flags.
func (c *pubCommand) Help() string {
	return "It ends with status 0 when PostgreSQL has committed the message, and prints the receipt: for people on a terminal, " +
		"as a line of JSON elsewhere.\n\n" + aboutTokens
}

// Validate refuses what no message can be sent to.
func (c *pubCommand) Validate() error { return haveNames(c.Channel) }

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
		text, err := readAll(ctx, os.Stdin)
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
		return printJSON(receipt)
	}
	_, err = fmt.Printf("delivered to %s at %s\n", printable(c.Channel), receipt.Time().Format("15:04:05.000"))
	return err
}

// printJSON prints a receipt for programs.
func printJSON(receipt client.Receipt) error {
	if err := json.NewEncoder(os.Stdout).Encode(receipt); err != nil {
		return fmt.Errorf("delivered, but the receipt cannot be printed: %w", err)
	}
	return nil
}

func (c *pubCommand) connect(ctx context.Context) (*client.Client, error) {
	n := newNotices()
	n.quiet = true
	return c.dial(ctx, "w", []string{c.Channel}, n)
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
	show, delivered := newBar(os.Stderr), 0
	var refused, unprinted error
	var collecting sync.WaitGroup
	collecting.Go(func() {
		for l := range sent {
			receipt, err := l.wait(ctx)
			if err != nil {
				refused = cmp.Or(refused, l.failed(err))
				stop()
				continue
			}
			delivered++
			show.count(delivered)
			if unprinted == nil && !term.IsTerminal(int(os.Stdout.Fd())) {
				if err := printJSON(receipt); err != nil {
					unprinted = l.failed(err)
					stop()
				}
			}
		}
	})
	err = c.send(sending, connection, read(os.Stdin, bufio.ScanLines), sent)
	close(sent)
	collecting.Wait()
	show.clear()
	if err := cmp.Or(refused, unprinted, err); err != nil { // The first is of an earlier line.
		return fmt.Errorf("%w; %s", err, deliveries(delivered))
	}
	if term.IsTerminal(int(os.Stdout.Fd())) {
		fmt.Printf("%s to %s\n", deliveries(delivered), printable(c.Channel))
	}
	return nil
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
			return l.failed(l.err)
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

// wait waits for the receipt of a line that has been sent.
func (l *line) wait(ctx context.Context) (client.Receipt, error) {
	ctx, cancel := context.WithTimeout(ctx, pubTimeout)
	defer cancel()
	return l.receipt(ctx)
}

func (l *line) failed(err error) error { return fmt.Errorf("line %d: %w", l.number, err) }

func deliveries(count int) string {
	if count == 1 {
		return "1 message delivered"
	}
	return fmt.Sprintf("%d messages delivered", count)
}

// count shows how many there have been, where the end is not known.
func (b *bar) count(done int) {
	if b.out == nil || time.Since(b.shown) < showEvery {
		return
	}
	b.shown = time.Now()
	fmt.Fprintf(b.out, "\r\x1b[K%s", deliveries(done))
}
