package hub

import (
	"slices"
	"sort"
	"sync"
	"unsafe"
)

// A history holds the newest publications of all channels, as they were appended,
// for sessions that come back. Its lock is also the one under which a flush becomes
// one step, see the package's comment.
type history struct {
	max int // bytes; 0: nothing is held

	mu     sync.RWMutex
	start  uint64 // what came up to this offset is not held any more
	blocks []block
	size   int // bytes of blocks
}

// How much of the history is dropped at a time.
const (
	blockBytes = 64 << 10
	blockPart  = 4 // of a small history
)

// A block holds consecutive publications: channel and payload, end to end. Since
// blocks are only appended to, a copy of one may be read without the lock.
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

// add is called with the lock held, as forget is.
func (h *history) add(p *appended) {
	if h.max == 0 {
		h.start = p.Position.offset
		return
	}
	last := len(h.blocks) - 1
	if most := min(blockBytes, h.max/blockPart); last < 0 || h.blocks[last].full(most) {
		next := block{}
		if last >= 0 { // The room that its predecessor has needed.
			next.text = make([]byte, 0, min(len(h.blocks[last].text), most))
			next.past = make([]past, 0, len(h.blocks[last].past))
		}
		h.size += next.size()
		h.blocks = append(h.blocks, next)
		last++
	}
	b := &h.blocks[last]
	h.size -= b.size()
	b.text = append(b.text, p.Channel...)
	payload := len(b.text)
	b.text = append(b.text, p.Payload...)
	b.past = append(b.past, past{
		offset: p.Position.offset, payload: uint32(payload), end: uint32(len(b.text)), except: p.except,
	})
	h.size += b.size()
	for h.size > h.max && len(h.blocks) > 1 {
		h.start = h.blocks[0].last()
		h.size -= h.blocks[0].size()
		h.blocks = slices.Delete(h.blocks, 0, 1)
	}
}

// forget drops what is held: nobody can go on from before an offset.
func (h *history) forget(offset uint64) {
	h.start, h.blocks, h.size = offset, nil, 0
}

// since returns what has come after an offset, and whether it holds all of that. It
// is called with the lock held for reading; what it returns needs none.
func (h *history) since(offset uint64) ([]block, bool) {
	if offset < h.start {
		return nil, false
	}
	first := sort.Search(len(h.blocks), func(i int) bool { return h.blocks[i].last() > offset })
	return slices.Clone(h.blocks[first:]), true
}
