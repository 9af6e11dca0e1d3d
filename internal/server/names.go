package server

import (
	"fmt"
	"slices"

	"pgws/internal/protocol"
)

// maxNameBytes bounds the name of a channel: no notification could be for a longer one.
const maxNameBytes = 7999

var (
	errTooMany   = badRequest("too_many_channels", protocol.ErrTooManyChannels.Error())
	errNameLong  = badRequest("bad_channel", "the name of a channel is too long")
	errNamesLong = badRequest("too_many_channels",
		fmt.Sprintf("the names of the channels have more than %d bytes together", protocol.MaxNamesBytes))
)

// checkNames refuses channels that may not be open on one connection, whatever a token
// grants: answers list their names.
func checkNames(names []string) *refusal {
	if len(names) > protocol.MaxChannels {
		return errTooMany
	}
	bytes := 0
	for _, name := range names {
		if len(name) > maxNameBytes {
			return errNameLong
		}
		bytes += len(name)
	}
	if bytes > protocol.MaxNamesBytes {
		return errNamesLong
	}
	return nil
}

// distinct returns names without doubles.
func distinct(names []string) []string {
	seen := make(map[string]bool, len(names))
	return slices.DeleteFunc(slices.Clone(names), func(name string) bool {
		double := seen[name]
		seen[name] = true
		return double
	})
}
