package hub

// A place is that of a cursor which has something before it.
type place struct {
	position uint64
	cursor   *cursor
}

// merge adds the publications before all cursors in the order of their
// positions, which is the source's order. The cursors concerned are a heap, the
// first at its top: of those with many channels few have something.
func (s *Session) merge(v *vector) {
	limit := s.hub.visible.Load()
	if s.end != nil {
		limit = s.end.until
	}
	heap := v.merging[:0]
	for _, c := range s.cursors {
		if p, ok := c.position(); ok && p <= limit {
			heap = append(heap, place{p, c})
		}
	}
	v.merging = heap
	for i := len(heap)/2 - 1; i >= 0; i-- {
		sift(heap, i)
	}
	for len(heap) > 0 && !v.full() {
		first := &heap[0]
		first.cursor.step(v)
		if p, ok := first.cursor.position(); ok && p <= limit {
			first.position = p
		} else {
			last := len(heap) - 1
			*first = heap[last]
			heap = heap[:last]
		}
		sift(heap, 0)
	}
	clear(v.merging)
}

// sift moves a place down to where none below it comes before it.
func sift(heap []place, i int) {
	if i >= len(heap) {
		return
	}
	moved := heap[i]
	for {
		child := 2*i + 1
		if child >= len(heap) {
			break
		}
		if other := child + 1; other < len(heap) && heap[other].position < heap[child].position {
			child = other
		}
		if moved.position <= heap[child].position {
			break
		}
		heap[i] = heap[child]
		i = child
	}
	heap[i] = moved
}
