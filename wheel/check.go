package wheel

import "fmt"

// Check reports the first broken invariant it finds. It is for tests: it
// visits every entry.
func (h *Hub[T]) Check() error {
	total := 0
	var before *spoke
	var err error
	h.tree.Ascend(func(s *spoke) bool {
		switch {
		case before != nil && s.start <= before.last:
			err = fmt.Errorf("wheel: spokes [%d, %d] and [%d, %d] overlap", before.start, before.last, s.start, s.last)
		case s.count == 0 && s != h.touch:
			err = fmt.Errorf("wheel: spoke [%d, %d] is empty", s.start, s.last)
		case before == nil && h.front != nil && h.front != s:
			err = fmt.Errorf("wheel: spoke [%d, %d] is first, not [%d, %d]", s.start, s.last, h.front.start, h.front.last)
		default:
			err = h.checkSpoke(s, s.start, s.last)
		}
		total += s.count
		before = s
		return err == nil
	})
	if err != nil {
		return err
	}
	if h.past != nil {
		total += h.past.count
		if err := h.checkSpoke(h.past, -1<<63, h.now); err != nil {
			return err
		}
	}
	if total != h.len {
		return fmt.Errorf("wheel: %d entries in spokes, %d counted", total, h.len)
	}
	return nil
}

func (h *Hub[T]) checkSpoke(s *spoke, start, last int64) error {
	if h.pool.spokes[s.number] != s {
		return fmt.Errorf("wheel: spoke [%d, %d] is not number %d", start, last, s.number)
	}
	n := 0
	prev, prevAt := Timer(0), int64(-1<<63)
	for t := s.head; t != 0; n++ {
		e := h.pool.entries.At(uint32(t))
		switch {
		case e.at < start || e.at > last:
			return fmt.Errorf("wheel: entry due at %d in spoke [%d, %d]", e.at, start, last)
		case e.at < s.min || e.at > s.max:
			return fmt.Errorf("wheel: entry due at %d in a spoke from %d to %d", e.at, s.min, s.max)
		case e.prev != prev || e.spoke != s.number:
			return fmt.Errorf("wheel: entry due at %d is linked wrongly", e.at)
		case s.ordered && e.at < prevAt:
			return fmt.Errorf("wheel: entry due at %d behind %d in an ordered spoke", e.at, prevAt)
		}
		prev, prevAt = t, e.at
		t = e.next
	}
	if n != s.count || s.tail != prev {
		return fmt.Errorf("wheel: spoke [%d, %d] counts %d entries, has %d", start, last, s.count, n)
	}
	return nil
}

// All yields all entries, in no order that means anything. The hub must not be
// changed meanwhile. O(entries).
func (h *Hub[T]) All() func(yield func(Timer) bool) {
	return func(yield func(Timer) bool) {
		var spokes []*spoke
		h.tree.Ascend(func(s *spoke) bool { spokes = append(spokes, s); return true })
		if h.past != nil {
			spokes = append(spokes, h.past)
		}
		for _, s := range spokes {
			for t := s.head; t != 0; t = h.pool.entries.At(uint32(t)).next {
				if !yield(t) {
					return
				}
			}
		}
	}
}

// Spokes returns how many spokes the hub has.
func (h *Hub[T]) Spokes() int { return h.tree.Len() }
