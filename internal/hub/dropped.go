package hub

import "hash/maphash"

// dropped knows which channels lost something when a history dropped its oldest: a client
// of channels that were quiet misses nothing, however much has come for others.
type dropped struct {
	seed maphash.Seed

	// The newest offset that was dropped of a channel, by the channel's hash. Where two
	// channels have the same one, more seems lost than is.
	newer, older map[uint64]uint64

	// The offsets after which newer and older know all that was dropped.
	newerSince, olderSince uint64
}

// bytesPerDropped is how much history goes with one channel that newer, and then older,
// knows. In both together that is about 70 bytes: less than a tenth of what a history of 1 MiB
// or more holds. All channels that were open at a gap come on top, until they are dropped.
const bytesPerDropped = 1 << 10

// add notes what is dropped.
func (d *dropped) add(channel []byte, offset uint64) {
	if d.newer == nil {
		d.newer = make(map[uint64]uint64)
	}
	d.newer[maphash.Bytes(d.seed, channel)] = offset
}

// bound forgets the older half of the channels when they are too many. What came up to
// upTo is dropped.
func (d *dropped) bound(most int, upTo uint64) {
	if len(d.newer) > most {
		d.older, d.olderSince = d.newer, d.newerSince
		d.newer, d.newerSince = nil, upTo
	}
}

// forget makes all seem lost that came up to an offset.
func (d *dropped) forget(upTo uint64) {
	d.newer, d.older = nil, nil
	d.newerSince, d.olderSince = upTo, upTo
}

// has reports whether something of a channel that came after an offset is dropped, or may be.
func (d *dropped) has(channel string, since uint64) bool {
	hash := maphash.String(d.seed, channel)
	return since < d.olderSince || d.newer[hash] > since || d.older[hash] > since
}
