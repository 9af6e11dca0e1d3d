package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"pgws/client"
)

// mostInput is more than a message can have, white space of JSON included.
const mostInput = 1 << 20

// A line is one of standard input, or why there is none.
type line struct {
	number int
	text   string
	err    error
	// receipt is that of a line that has been sent.
	receipt func(context.Context) (client.Receipt, error)
}

// read reads what split tells apart, in a goroutine that nobody waits for: reading standard input can only be ended by
// its other side or with the program.
func read(in io.Reader, split bufio.SplitFunc) <-chan line {
	lines := make(chan line)
	go func() {
		defer close(lines)
		scanner := bufio.NewScanner(in)
		scanner.Buffer(nil, mostInput)
		scanner.Split(split)
		number := 1
		for ; scanner.Scan(); number++ {
			lines <- line{number: number, text: scanner.Text()}
		}
		err := scanner.Err()
		if errors.Is(err, bufio.ErrTooLong) {
			err = fmt.Errorf("too long: %d bytes or more", mostInput)
		}
		if err != nil {
			lines <- line{number: number, err: fmt.Errorf("standard input: %w", err)}
		}
	}()
	return lines
}

// readAll reads one message.
func readAll(ctx context.Context, in io.Reader) (string, error) {
	select {
	case l, ok := <-read(in, whole):
		if !ok {
			return "", errors.New("standard input is empty")
		}
		return l.text, l.err
	case <-ctx.Done():
		return "", context.Cause(ctx)
	}
}

// whole does not split. A newline at the end is the shell's or the editor's.
func whole(data []byte, atEOF bool) (advance int, token []byte, err error) {
	if !atEOF || len(data) == 0 {
		return 0, nil, nil
	}
	return len(data), bytes.TrimSuffix(bytes.TrimSuffix(data, []byte("\n")), []byte("\r")), nil
}
