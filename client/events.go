package client

import (
	"bufio"
	"bytes"
	"errors"
	"io"
)

// An eventReader reads the data of Server-Sent Events.
type eventReader struct {
	lines *bufio.Scanner
	heard func() // is called for each line
}

func newEventReader(r io.Reader, heard func()) *eventReader {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, mostFrame)
	return &eventReader{lines: lines, heard: heard}
}

// next returns the data of the next event that has any.
func (e *eventReader) next() ([]byte, error) {
	var data []byte
	for e.lines.Scan() {
		e.heard()
		line := e.lines.Bytes()
		if len(line) == 0 && len(data) > len("\n") {
			return bytes.TrimSuffix(data, []byte("\n")), nil
		}
		if value, ok := bytes.CutPrefix(line, []byte("data:")); ok {
			data = append(data, bytes.TrimPrefix(value, []byte(" "))...)
			data = append(data, '\n')
		}
	}
	if err := e.lines.Err(); err != nil {
		return nil, err
	}
	return nil, errors.New("it has ended")
}
