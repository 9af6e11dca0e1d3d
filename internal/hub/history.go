package hub

import (
	"slices"
	"sort"
	"sync"
	"sync/atomic"
	"unsafe"
)

// A history holds the newest publications of all channels, as they were appended,
// for sessions that come back. Its lock is also the one under which a flush becomes
// one step, see the package's comment.
type history struct {
	max int // bytes; 0: nothing is held

	mu      sync.RWMutex
	start   uint64 // what came up to this offset is not held any more
	dropped dropped
	blocks  []block
	size    int // bytes of blocks

	reading atomic.Int32 // how many read what since has returned
}

// How much of the history is dropped at a time.
const (
	blockBytes = 64 << 10
	blockPart  = 4 // of a small history
)

// A block holds consecutive publications: channel and payload, end to end. As long as
// somebody reads, it is only appended to: a copy of it may be read without the lock.
type block struct {
	text []byte
	past []past
}

// A past is one publication of a block. Its channel is before its payload.
type past struct {
	offset  uint64
	payload uint32 // where it begins in block.text
	end     uint32
	except  uint32 // the number of the session that is not sent it; 0: none
}

const pastBytes = int(unsafe.Sizeof(past{}))

// size returns the memory that a block takes.
func (b *block) size() int { return cap(b.text) + cap(b.past)*pastBytes }

func (b *block) full(most int) bool { return len(b.text)+len(b.past)*pastBytes >= most }

func (b *block) last() uint64 { return b.past[len(b.past)-1].offset }

// add is called with the lock held, as all below.
func (h *history) add(p *appended) {
	if h.max == 0 {
		h.forget(p.Position.offset)
		return
	}
	n := len(h.blocks)
	if most := min(blockBytes, h.max/blockPart); n == 0 || h.blocks[n-1].full(most) {
		h.begin(most)
	}
	b := &h.blocks[len(h.blocks)-1]
	h.size -= b.size()
	b.text = append(b.text, p.Channel...)
	payload := len(b.text)
	b.text = append(b.text, p.Payload...)
	b.past = append(b.past, past{
		offset: p.Position.offset, payload: uint32(payload), end: uint32(len(b.text)), except: p.except,
	})
	h.size += b.size()
	for h.size > h.max && len(h.blocks) > 1 {
		h.drop()
	}
}

// begin begins a block, in the memory of the last that it makes room for unless
// somebody may read that.
func (h *history) begin(most int) {
	var next block
	for n := len(h.blocks); n > 1 && h.size+h.blocks[n-1].size() > h.max; n-- {
		next = h.drop()
	}
	if h.reading.Load() > 0 || next.size() > 2*most {
		next = block{}
	}
	next.text, next.past = next.text[:0], next.past[:0]
	h.blocks = append(h.blocks, next)
	h.size += next.size()
}

// drop drops the oldest block.
func (h *history) drop() block {
	oldest := h.blocks[0]
	h.start = oldest.last()
	h.size -= oldest.size()
	h.blocks = slices.Delete(h.blocks, 0, 1)
	begin := uint32(0)
	for _, p := range oldest.past {
		h.dropped.add(oldest.text[begin:p.payload], p.offset)
		begin = p.end
	}
	h.dropped.bound(h.max/bytesPerDropped, h.start)
	return oldest
}

// forget drops what is held: nobody can go on from before an offset.
func (h *history) forget(offset uint64) {
	h.start, h.blocks, h.size = offset, nil, 0
	h.dropped.forget(offset)
}

// lose makes something of an open channel missing at an offset, the newest.
func (h *history) lose(channel string, offset uint64) {
	h.start = offset
	h.dropped.add([]byte(channel), offset)
}

// since returns what has come after an offset, and whether it holds all of that for some
// channels. Then the blocks may be read, without the lock, until reading is counted down.
func (h *history) since(offset uint64, channels map[string]*stretch) ([]block, bool) {
	if offset < h.start {
		for channel := range channels {
			if h.dropped.has(channel, offset) {
				return nil, false
			}
		}
	}
	h.reading.Add(1)
	first := sort.Search(len(h.blocks), func(i int) bool { return h.blocks[i].last() > offset })
	return slices.Clone(h.blocks[first:]), true
}
