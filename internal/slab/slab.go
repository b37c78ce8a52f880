package slab

import (
	"fmt"
	"math/bits"
	"reflect"
	"unsafe"
)

// A Slab holds values of one size, each named by an index that stays valid
// until the value is freed. Index 0 is never used, so that it can stand for
// "none". Alloc and Free are O(1); At is two loads.
type Slab struct {
	arena   *Arena
	size    uintptr // of a value, in bytes
	perPage uint32
	shift   uint8 // index = page<<shift | slot
	mem     []unsafe.Pointer
	pages   []page
	free    []uint32 // pages without memory
	partial uint32   // first page that has room; none if noPage
	used    int
}

// page is the book-keeping of one page.
type page struct {
	used       uint32
	fresh      uint32 // slots from here on were never used
	freed      uint32 // 1 + the first of the freed slots, each of which holds the next
	prev, next uint32 // in the list of pages with room
}

const (
	noPage    = ^uint32(0)
	sparePage = 64 << 10 // largest page, in bytes, of which a slab keeps one without values
)

// New returns a slab of values of size bytes in pages from a. The size is
// rounded up to a multiple of 8, and must fit a page.
func New(a *Arena, size int) *Slab {
	size = max(8, (size+7)&^7)
	if size > a.pageBytes {
		panic(fmt.Sprintf("slab: a value of %d bytes does not fit a page of %d", size, a.pageBytes))
	}
	perPage := uint32(a.pageBytes / size)
	return &Slab{
		arena:   a,
		size:    uintptr(size),
		perPage: perPage,
		shift:   uint8(bits.Len32(perPage - 1)),
		partial: noPage,
	}
}

// Len returns the number of values allocated.
func (s *Slab) Len() int { return s.used }

// Alloc returns the index of a value whose contents are undefined. It panics
// if the system has no memory left.
func (s *Slab) Alloc() uint32 {
	i := s.TryAlloc()
	if i == 0 {
		panic("slab: the system has no memory left")
	}
	return i
}

// TryAlloc is Alloc, but returns 0 if the system has no memory left.
func (s *Slab) TryAlloc() uint32 {
	if s.partial == noPage && !s.grow() {
		return 0
	}
	pi := s.partial
	p := &s.pages[pi]
	slot := p.fresh
	if p.freed != 0 {
		slot = p.freed - 1
		p.freed = *(*uint32)(s.At(pi<<s.shift | slot))
	} else {
		p.fresh++
	}
	p.used++
	s.used++
	if p.freed == 0 && p.fresh == s.perPage {
		s.unlink(pi)
	}
	return pi<<s.shift | slot
}

// At returns the address of value i, which must be allocated. The address is
// valid until the value is freed.
func (s *Slab) At(i uint32) unsafe.Pointer {
	return unsafe.Add(s.mem[i>>s.shift], uintptr(i&(1<<s.shift-1))*s.size)
}

// Free gives value i up. A page without values goes back to the arena, except
// that the slab keeps one with room if pages are small, so as not to fetch and
// return a page for each value of a short queue.
func (s *Slab) Free(i uint32) {
	pi, slot := i>>s.shift, i&(1<<s.shift-1)
	p := &s.pages[pi]
	full := p.freed == 0 && p.fresh == s.perPage
	*(*uint32)(s.At(i)) = p.freed
	p.freed = slot + 1
	p.used--
	s.used--
	if full {
		s.link(pi)
	}
	if p.used > 0 {
		return
	}
	if p.prev == noPage && p.next == noPage && s.arena.pageBytes <= sparePage {
		p.fresh, p.freed = firstSlot(pi), 0
		return
	}
	s.unlink(pi)
	s.arena.Release(s.mem[pi])
	s.mem[pi] = nil
	s.free = append(s.free, pi)
}

// Next returns the index behind i of a value that is allocated or has been, or
// 0 if there is none. From 0 on, a walk meets each value once that stays
// allocated meanwhile. O(1), but for pages that have been given back.
func (s *Slab) Next(i uint32) uint32 {
	pi, slot := i>>s.shift, i&(1<<s.shift-1)+1
	for ; pi < uint32(len(s.pages)); pi, slot = pi+1, firstSlot(pi+1) {
		if s.mem[pi] != nil && slot < s.pages[pi].fresh {
			return pi<<s.shift | slot
		}
	}
	return 0
}

// firstSlot leaves out index 0.
func firstSlot(pi uint32) uint32 {
	if pi == 0 {
		return 1
	}
	return 0
}

// grow adds a page and links it as the only one with room, if there is memory.
func (s *Slab) grow() bool {
	mem := s.arena.page()
	if mem == nil {
		return false
	}
	var pi uint32
	if n := len(s.free); n > 0 {
		pi = s.free[n-1]
		s.free = s.free[:n-1]
	} else {
		pi = uint32(len(s.pages))
		if uint64(pi+1)<<s.shift > 1<<32 {
			panic("slab: more than 2^32 values")
		}
		s.pages = append(s.pages, page{})
		s.mem = append(s.mem, nil)
		if s.perPage == 1 && pi == 0 { // page 0 would have no room at all
			pi++
			s.pages = append(s.pages, page{})
			s.mem = append(s.mem, nil)
		}
	}
	s.mem[pi] = mem
	s.pages[pi] = page{fresh: firstSlot(pi)}
	s.link(pi)
	return true
}

func (s *Slab) link(pi uint32) {
	p := &s.pages[pi]
	p.prev, p.next = noPage, s.partial
	if s.partial != noPage {
		s.pages[s.partial].prev = pi
	}
	s.partial = pi
}

func (s *Slab) unlink(pi uint32) {
	p := &s.pages[pi]
	if p.prev == noPage {
		s.partial = p.next
	} else {
		s.pages[p.prev].next = p.next
	}
	if p.next != noPage {
		s.pages[p.next].prev = p.prev
	}
}

// Of is a slab of values of type T, which must hold no pointers: the
// collector does not look into a slab.
type Of[T any] struct{ Slab }

// NewOf returns a slab of T in pages from a. It panics if T holds pointers.
func NewOf[T any](a *Arena) *Of[T] {
	if t := reflect.TypeFor[T](); hasPointers(t) {
		panic(fmt.Sprintf("slab: %v holds pointers", t))
	}
	return &Of[T]{*New(a, int(unsafe.Sizeof(*new(T))))}
}

// At returns the address of value i, which must be allocated.
func (s *Of[T]) At(i uint32) *T { return (*T)(s.Slab.At(i)) }

// New allocates a value, sets it to zero and returns its index and address.
func (s *Of[T]) New() (uint32, *T) {
	i := s.Alloc()
	v := s.At(i)
	*v = *new(T)
	return i, v
}

func hasPointers(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Struct:
		for i := range t.NumField() {
			if hasPointers(t.Field(i).Type) {
				return true
			}
		}
		return false
	case reflect.Array:
		return hasPointers(t.Elem())
	}
	return t.Kind() < reflect.Bool || t.Kind() > reflect.Complex128
}
