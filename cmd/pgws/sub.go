package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unicode"

	"golang.org/x/term"

	"pgws/client"
)

type subCommand struct {
	Channel []string `arg:"" help:"What to hear."`

	Count int    `placeholder:"N" help:"End after so many messages."`
	Since string `placeholder:"POSITION" help:"Begin after the message with this position, if the server still has what has come since."`

	clientFlags
}

// Help says what stands above the flags.
func (c *subCommand) Help() string {
	return "On a terminal, a message is a line with its time, channel, text and the sender's claim sub. " +
		"Elsewhere it is a line of JSON: {\"channel\":…,\"position\":…,\"payload\":…}; where messages " +
		"may have been missed, {\"channel\":…,\"position\":…,\"gap\":true}, which --count does not count.\n\n" + aboutTokens
}

// Validate refuses what nobody means to hear.
func (c *subCommand) Validate() error { return haveNames(c.Channel...) }

// Run prints messages until there have been enough, or the user ends it.
func (c *subCommand) Run(ctx context.Context) error {
	if c.Count < 0 {
		return errors.New("--count is below zero")
	}
	signal.Ignore(syscall.SIGPIPE) // We would die of it; now the write fails.
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer untilHangup(ctx, cancel)()

	err := c.follow(ctx, newPrinter(os.Stdout, c.Channel), newNotices())
	if ctx.Err() != nil || errors.Is(err, syscall.EPIPE) {
		return nil // Whoever has ended it does not want to be told.
	}
	return err
}

func (c *subCommand) follow(ctx context.Context, p printer, n *notices) error {
	connection, err := c.dial(ctx, "r", c.Channel, n)
	if err != nil {
		return err
	}
	defer connection.Close()
	sub, err := connection.SubscribeSince(ctx, c.Since, c.Channel...)
	if err != nil {
		return err
	}
	n.say("listening to %s", printable(strings.Join(c.Channel, ", ")))
	count := 0
	for m, err := range sub.Messages(ctx) {
		if err != nil {
			return err
		}
		if err := p.print(&m); err != nil {
			return err
		}
		if m.Gap {
			n.say("messages of %s may have been missed here", printable(m.Channel))
			continue
		}
		if count++; count == c.Count {
			return nil
		}
	}
	return nil
}

// A printer prints messages, and for programs gaps; people are told of these by notices.
type printer interface {
	print(m *client.Message) error
}

func newPrinter(out *os.File, channels []string) printer {
	if !term.IsTerminal(int(out.Fd())) {
		encoder := json.NewEncoder(out)
		encoder.SetEscapeHTML(false)
		return (*jsonLines)(encoder)
	}
	t := &terminal{out: out, coloured: styled(out, dim) != ""}
	for _, name := range channels {
		t.width = max(t.width, len([]rune(printable(name))))
	}
	return t
}

// jsonLines are for programs.
type jsonLines json.Encoder

func (j *jsonLines) print(m *client.Message) error {
	return (*json.Encoder)(j).Encode(struct {
		Channel  string          `json:"channel"`
		Position string          `json:"position"`
		Payload  json.RawMessage `json:"payload,omitempty"`
		Gap      bool            `json:"gap,omitempty"`
	}{m.Channel, m.Position, m.Payload, m.Gap})
}

// A terminal is for people.
type terminal struct {
	out      io.Writer
	coloured bool
	width    int // of the longest channel
}

func (t *terminal) print(m *client.Message) error {
	if m.Gap {
		return nil
	}
	var claims struct {
		Sub any     `json:"sub"`
		At  float64 `json:"message_delivered_at"`
	}
	at, sender := time.Now(), ""
	if sent, ok := m.Sent(); ok && json.Unmarshal(sent.Claims, &claims) == nil {
		if claims.Sub != nil {
			sender = "  " + fmt.Sprint(claims.Sub)
		}
		if claims.At > 0 {
			at = time.UnixMicro(int64(claims.At * 1e6))
		}
	}
	name := printable(m.Channel)
	padding := strings.Repeat(" ", max(t.width-len([]rune(name)), 0))
	_, err := fmt.Fprintf(t.out, "%s  %s%s  %s%s\n",
		t.in(dim, at.Format(time.TimeOnly)), t.in(colour(m.Channel), name), padding, printable(m.Text()), t.in(dim, printable(sender)))
	return err
}

func (t *terminal) in(s style, text string) string {
	if !t.coloured || text == "" {
		return text
	}
	return s.of(text)
}

// colour is the same each time for a channel.
func colour(channel string) style {
	const first, count = 31, 6 // red to cyan
	hash := fnv.New32a()
	_, _ = hash.Write([]byte(channel)) // It never fails.
	return style("\x1b[" + strconv.Itoa(first+int(hash.Sum32()%count)) + "m")
}

// printable shows on one line what others have written, and lets none of it command the terminal.
func printable(text string) string {
	var b strings.Builder
	for _, r := range text {
		// What joins or parts letters and emoji moves no cursor.
		if unicode.IsGraphic(r) || r == '\u200c' || r == '\u200d' {
			b.WriteRune(r)
			continue
		}
		quoted := strconv.QuoteRune(r)
		b.WriteString(quoted[1 : len(quoted)-1])
	}
	return b.String()
}
