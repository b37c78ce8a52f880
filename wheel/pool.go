package wheel

import (
	"github.com/google/btree"

	"spoked/internal/slab"
)

// A Timer names an entry from Add until it is removed or popped. The zero
// Timer names none.
type Timer uint32

// A Pool stores the entries of any number of hubs, 24 bytes each for a value
// of 4 bytes, 32 for one of 8. Its hubs share its fate: none may be used
// concurrently with another.
type Pool[T any] struct {
	entries  *slab.Of[entry[T]]
	spokes   []*spoke // by number; 0 is not used
	free     []uint32 // numbers without a spoke
	freelist *btree.FreeListG[*spoke]
	unused   []*spoke // structures to be used again

	// Scratch:
	sorted []item
	key    spoke // to look others up
	found  *spoke
	find   func(*spoke) bool // notes the first it is given as found; made once
}

// entry is an element of a spoke's list.
type entry[T any] struct {
	at         int64
	value      T
	prev, next Timer
	spoke      uint32
}

// spoke is the list of the entries due from start to last, both included.
type spoke struct {
	start, last int64
	min, max    int64 // no entry is due earlier or later
	head, tail  Timer
	count       int
	number      uint32
	ordered     bool // the list is in order of at
	up          bool // it has come up: worth keeping in order
}

// earliest returns an instant no later than any in s, or in what comes behind
// it if s is empty.
func (s *spoke) earliest() int64 {
	if s.count == 0 {
		return s.start
	}
	return s.min
}

// item is an entry while it is sorted.
type item struct {
	at    int64
	order uint32 // in which it stood in the list
	entry Timer
}

// NewPool returns an empty pool, which keeps its entries in pages from a. T
// must not hold pointers.
func NewPool[T any](a *slab.Arena) *Pool[T] {
	p := &Pool[T]{
		entries:  slab.NewOf[entry[T]](a),
		spokes:   make([]*spoke, 1),
		freelist: btree.NewFreeListG[*spoke](btree.DefaultFreeListSize),
	}
	p.find = func(s *spoke) bool {
		p.found = s
		return false
	}
	return p
}

// takeFound returns what find was given, or nil.
func (p *Pool[T]) takeFound() *spoke {
	s := p.found
	p.found = nil
	return s
}

// Len returns the number of entries of all hubs.
func (p *Pool[T]) Len() int { return p.entries.Len() }

// Value returns the value of t, which the caller may change. It is valid until
// the entry is removed.
func (p *Pool[T]) Value(t Timer) *T { return &p.entries.At(uint32(t)).value }

// Next returns the timer behind t of an entry that there is, or has been, in any
// hub of the pool, and 0 behind the last; from 0 on, a walk meets each entry that
// stays meanwhile. What its Value says of itself must tell the caller which there
// are. O(1), but for pages that have been given back.
func (p *Pool[T]) Next(t Timer) Timer { return Timer(p.entries.Next(uint32(t))) }

// at returns when t is due.
func (p *Pool[T]) at(t Timer) int64 { return p.entries.At(uint32(t)).at }

func (p *Pool[T]) newSpoke(start, last int64) *spoke {
	var s *spoke
	if n := len(p.unused); n > 0 {
		s = p.unused[n-1]
		p.unused = p.unused[:n-1]
	} else {
		s = new(spoke)
	}
	*s = spoke{start: start, last: last, ordered: true}
	if n := len(p.free); n > 0 {
		s.number = p.free[n-1]
		p.free = p.free[:n-1]
		p.spokes[s.number] = s
		return s
	}
	s.number = uint32(len(p.spokes))
	p.spokes = append(p.spokes, s)
	return s
}

func (p *Pool[T]) freeSpoke(s *spoke) {
	p.spokes[s.number] = nil
	p.free = append(p.free, s.number)
	if n := len(p.spokes); len(p.free) == n-1 && n > manySpokes { // let go of the room they took
		p.spokes, p.free = make([]*spoke, 1), nil
	}
	if len(p.unused) < maxUnused {
		p.unused = append(p.unused, s)
	}
}

// insert links t into s. It keeps an ordered list that has come up in order
// as long as the place is near one of its ends, and otherwise leaves that to the
// moment when the order is needed.
func (p *Pool[T]) insert(s *spoke, t Timer) {
	e := p.entries.At(uint32(t))
	e.spoke = s.number
	if s.count == 0 {
		s.min, s.max, s.ordered = e.at, e.at, true
	}
	s.min, s.max = min(s.min, e.at), max(s.max, e.at)
	s.count++

	after := s.tail
	if s.ordered && after != 0 && e.at < p.at(after) {
		if s.up {
			after = p.place(s, e.at)
		}
		s.ordered = s.up && (after == 0 || p.at(after) <= e.at)
	}
	p.link(s, t, e, after)
}

// place returns the entry of an ordered list after which one due at at
// belongs, 0 for the front, or the list's tail if that would take long. It looks
// from both ends: what has just come out may be put back.
func (p *Pool[T]) place(s *spoke, at int64) Timer {
	t := s.tail
	for range nearEnd {
		if t == 0 || p.at(t) <= at {
			return t
		}
		t = p.entries.At(uint32(t)).prev
	}
	before := Timer(0)
	t = s.head
	for range nearEnd {
		if p.at(t) > at {
			return before
		}
		before, t = t, p.entries.At(uint32(t)).next
	}
	return s.tail
}

// link puts t behind the entry after, or at the front if that is 0.
func (p *Pool[T]) link(s *spoke, t Timer, e *entry[T], after Timer) {
	e.prev = after
	if after == 0 {
		e.next = s.head
		s.head = t
	} else {
		a := p.entries.At(uint32(after))
		e.next = a.next
		a.next = t
	}
	if e.next == 0 {
		s.tail = t
	} else {
		p.entries.At(uint32(e.next)).prev = t
	}
}

func (p *Pool[T]) unlink(s *spoke, e *entry[T]) {
	if e.prev == 0 {
		s.head = e.next
	} else {
		p.entries.At(uint32(e.prev)).next = e.next
	}
	if e.next == 0 {
		s.tail = e.prev
	} else {
		p.entries.At(uint32(e.next)).prev = e.prev
	}
	s.count--
}
