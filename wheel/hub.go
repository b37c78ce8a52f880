package wheel

import (
	"cmp"
	"math/bits"
	"slices"

	"github.com/google/btree"
)

const (
	minWidth  = 1 << 20 // ns (1 ms): narrowest span given for being near
	maxShift  = 58      // spans are at most 2^58 ns, nine years
	longList  = 4096    // a longer list is split when it is added to
	shortList = 64      // a list up to this long is ordered as it is
	nearTail  = 64      // steps to look for an entry's place in an ordered list
	fanout    = 4       // log2 of how many spokes a spoke is split into
	degree    = 16      // of the B-tree
	maxUnused = 64      // spokes kept to be used again
)

// A Hub is an ordered set of entries, each a value and the instant, in
// nanoseconds, at which it is due. Instants are compared, never looked up:
// their origin is the caller's.
type Hub[T any] struct {
	pool  *Pool[T]
	tree  *btree.BTreeG[*spoke] // by start; spans do not overlap
	front *spoke                // first of the tree, or nil if not known
	touch *spoke                // of the tree, added to or removed from last: may be empty
	past  *spoke                // entries that were due when they were added
	now   int64                 // PopDue has been told
	len   int
}

// NewHub returns an empty hub that stores its entries in p. The instant now
// tells it which deadlines are near.
func NewHub[T any](p *Pool[T], now int64) *Hub[T] {
	less := func(a, b *spoke) bool { return a.start < b.start }
	return &Hub[T]{pool: p, tree: btree.NewWithFreeListG(degree, less, p.freelist), now: now}
}

// Close gives back what an empty hub still has of its pool. The hub must not
// be used afterwards.
func (h *Hub[T]) Close() {
	if h.touch != nil {
		h.drop(h.touch)
	}
	if h.past != nil {
		h.pool.freeSpoke(h.past)
	}
}

// Len returns the number of entries.
func (h *Hub[T]) Len() int { return h.len }

// At returns when t, an entry of the hub, is due. O(1).
func (h *Hub[T]) At(t Timer) int64 { return h.pool.at(t) }

// Add enters v, due at at. The timer is the caller's to keep: it is how the
// entry is removed. Amortised O(1); O(log spokes) when at lies in another
// spoke than the entry added or removed before.
func (h *Hub[T]) Add(at int64, v T) Timer {
	i := h.pool.entries.Alloc()
	t := Timer(i)
	*h.pool.entries.At(i) = entry[T]{at: at, value: v}
	h.len++
	if at <= h.now {
		h.addPast(t)
		return t
	}
	s := h.cover(at)
	h.use(s)
	h.pool.insert(s, t)
	if s.count > longList && s.start != s.last {
		h.split(s)
	}
	return t
}

// Remove takes t out and returns its value. O(1), except that a spoke left
// empty costs O(log spokes).
func (h *Hub[T]) Remove(t Timer) T {
	e := h.pool.entries.At(uint32(t))
	s := h.pool.spokes[e.spoke]
	v := e.value
	h.pool.unlink(s, e)
	h.pool.entries.Free(uint32(t))
	h.len--
	if s != h.past {
		h.use(s)
	}
	return v
}

// Next returns an instant no later than the earliest at which an entry is
// due, and false if there is none. O(1). It may be early, when what was due
// then has been removed; PopDue then yields nothing, and a later instant is
// returned.
func (h *Hub[T]) Next() (at int64, ok bool) {
	if h.len == 0 {
		return 0, false
	}
	at = 1<<63 - 1
	if h.past != nil && h.past.count > 0 {
		at = h.past.min
	}
	if s := h.first(); s != nil {
		at = min(at, s.earliest())
	}
	return at, true
}

// First returns the entry due first, and false if there is none. Amortised
// O(1) in a run of calls of First and PopDue; the first of them may order a
// spoke.
func (h *Hub[T]) First() (v T, at int64, ok bool) {
	t := h.earliest(1<<63 - 1)
	if t == 0 {
		return v, 0, false
	}
	e := h.pool.entries.At(uint32(t))
	return e.value, e.at, true
}

// FirstTimer is First, but returns the entry's Timer.
func (h *Hub[T]) FirstTimer() (t Timer, at int64, ok bool) {
	if t = h.earliest(1<<63 - 1); t == 0 {
		return 0, 0, false
	}
	return t, h.pool.at(t), true
}

// Now returns the latest instant that PopDue has been told, or NewHub.
func (h *Hub[T]) Now() int64 { return h.now }

// PopDue removes the first entry that is due at or before now and returns its
// value and when it was due, or false if there is none. In a run of calls
// entries come in the order of their instants, and for one instant in the
// order in which they were added. Amortised O(1), with O(log n) comparisons
// when a spoke is ordered.
func (h *Hub[T]) PopDue(now int64) (v T, at int64, ok bool) {
	h.now = max(h.now, now)
	t := h.earliest(now)
	if t == 0 {
		return v, 0, false
	}
	at = h.pool.at(t)
	return h.Remove(t), at, true
}

// earliest returns the entry due first if it is due by limit. It orders no
// spoke that is known to hold only later ones.
func (h *Hub[T]) earliest(limit int64) Timer {
	t, at := Timer(0), limit
	if s := h.first(); s != nil && s.earliest() <= limit {
		if s = h.comeUp(); s != nil && h.pool.at(s.head) <= limit {
			t, at = s.head, h.pool.at(s.head)
		}
	}
	// Of two entries due at one instant, that in the tree came first: it was
	// not due yet.
	if p := h.past; p != nil && p.count > 0 && (t == 0 && p.min <= at || p.min < at) {
		h.order(p)
		if first := h.pool.at(p.head); first < at || t == 0 && first == at {
			t = p.head
		}
	}
	return t
}

func (h *Hub[T]) addPast(t Timer) {
	if h.past == nil {
		h.past = h.pool.newSpoke(0, 0)
		h.past.up = true
	}
	h.pool.insert(h.past, t)
}

// first returns the first spoke of the tree, or nil.
func (h *Hub[T]) first() *spoke {
	if h.front == nil {
		h.front, _ = h.tree.Min()
	}
	return h.front
}

// cover returns the spoke whose span contains at, and makes one if there is
// none, as wide as its distance suggests and its neighbours let it be.
func (h *Hub[T]) cover(at int64) *spoke {
	if s := h.touch; s != nil && s.start <= at && at <= s.last {
		return s
	}
	var before, behind *spoke
	key := &h.pool.key
	key.start = at
	h.tree.DescendLessOrEqual(key, func(s *spoke) bool { before = s; return false })
	if before != nil && at <= before.last {
		return before
	}
	h.tree.AscendGreaterOrEqual(key, func(s *spoke) bool { behind = s; return false })

	width := int64(minWidth)
	if far := bits.Len64(uint64(at-h.now)) - 4; far > 20 {
		width = 1 << min(far, maxShift)
	}
	start := at &^ (width - 1)
	for before != nil && start <= before.last || behind != nil && start+(width-1) >= behind.start {
		width >>= 1
		start = at &^ (width - 1)
	}
	return h.addSpoke(start, start+(width-1))
}

func (h *Hub[T]) addSpoke(start, last int64) *spoke {
	s := h.pool.newSpoke(start, last)
	h.tree.ReplaceOrInsert(s)
	if h.front != nil && start < h.front.start {
		h.front = s
	}
	return s
}

// use notes that s is the spoke used last, which alone may be empty: a queue
// of one job must not make and drop a spoke for each.
func (h *Hub[T]) use(s *spoke) {
	if h.touch == s {
		return
	}
	if h.touch != nil && h.touch.count == 0 {
		h.drop(h.touch)
	}
	h.touch = s
}

func (h *Hub[T]) drop(s *spoke) {
	h.tree.Delete(s)
	h.pool.freeSpoke(s)
	if h.front == s {
		h.front = nil
	}
	if h.touch == s {
		h.touch = nil
	}
}

// comeUp brings the front of the tree into order, and returns it, or nil if
// the tree turns out to be empty. A front that is neither short nor narrow is
// split first, so that ordering it is no long pause, and so that what is
// added to it later finds its place at once.
func (h *Hub[T]) comeUp() *spoke {
	for {
		s := h.first()
		switch {
		case s == nil:
			return nil
		case s.count == 0:
			h.drop(s)
			continue
		case !s.up && s.start != s.last && (s.count > longList || s.count > shortList && s.last-s.start >= minWidth):
			h.split(s)
			continue
		}
		h.order(s)
		return s
	}
}

// split distributes the entries of s over narrower spokes, or narrows s
// itself if they are all due at one instant.
func (h *Hub[T]) split(s *spoke) {
	if s.min == s.max {
		s.start, s.last, s.ordered = s.min, s.min, true // still between its neighbours
		return
	}
	// The narrowest aligned span that contains all of them, in sixteenths.
	shift := max(0, bits.Len64(uint64(s.min^s.max))-fanout)
	width := int64(1) << shift
	t := s.head
	h.drop(s)
	var pieces [1 << fanout]*spoke
	for t != 0 {
		e := h.pool.entries.At(uint32(t))
		next := e.next
		i := e.at >> shift & (1<<fanout - 1)
		if pieces[i] == nil {
			start := e.at &^ (width - 1)
			pieces[i] = h.addSpoke(start, start+(width-1))
		}
		h.pool.insert(pieces[i], t)
		t = next
	}
}

// order brings the list of s into the order of instants; entries due at the
// same one keep theirs.
func (h *Hub[T]) order(s *spoke) {
	s.up = true
	p := h.pool
	if s.ordered {
		if s.head != 0 {
			s.min = p.at(s.head)
		}
		return
	}
	p.sorted = p.sorted[:0]
	for t := s.head; t != 0; {
		e := p.entries.At(uint32(t))
		p.sorted = append(p.sorted, item{e.at, uint32(len(p.sorted)), t})
		t = e.next
	}
	slices.SortFunc(p.sorted, func(a, b item) int {
		if a.at != b.at {
			return cmp.Compare(a.at, b.at)
		}
		return cmp.Compare(a.order, b.order)
	})
	var last Timer
	for i, it := range p.sorted {
		e := p.entries.At(uint32(it.entry))
		e.prev, e.next = last, 0
		if i+1 < len(p.sorted) {
			e.next = p.sorted[i+1].entry
		}
		last = it.entry
	}
	s.head, s.tail = p.sorted[0].entry, last
	s.min, s.ordered = p.sorted[0].at, true
}
