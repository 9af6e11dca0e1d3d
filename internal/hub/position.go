package hub

import (
	"strconv"
	"strings"
)

// A Position is a place in the order of all that a hub was told. The zero
// Position is before everything, and of no hub.
type Position struct {
	epoch  uint64 // the hub's: another one's positions mean nothing to it
	offset uint64
}

// The bases in which the two numbers of a position are written.
const (
	epochBase  = 36
	offsetBase = 10
)

// Append appends the position as text: of letters, digits and one "-".
func (p Position) Append(dst []byte) []byte {
	dst = strconv.AppendUint(dst, p.epoch, epochBase)
	dst = append(dst, '-')
	return strconv.AppendUint(dst, p.offset, offsetBase)
}

// ParsePosition reads what Append has written. Whatever else it is given, which
// may come from anybody, is the zero Position: nobody can go on from there.
func ParsePosition(text string) Position {
	before, after, _ := strings.Cut(text, "-")
	epoch, err := strconv.ParseUint(before, epochBase, 64)
	if err != nil {
		return Position{}
	}
	offset, err := strconv.ParseUint(after, offsetBase, 64)
	if err != nil {
		return Position{}
	}
	p := Position{epoch: epoch, offset: offset}
	var written [maxPositionBytes]byte
	if string(p.Append(written[:0])) != text { // capitals, or zeros in front
		return Position{}
	}
	return p
}

// maxPositionBytes is the length of the longest position.
const maxPositionBytes = len("3w5e11264sgsf-18446744073709551615")
