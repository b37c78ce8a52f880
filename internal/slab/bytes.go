package slab

import (
	"math/bits"
	"unsafe"
)

// A Ref names a string of bytes kept by Bytes. The zero Ref is the empty
// string.
type Ref struct {
	Len uint32
	at  uint32 // in the slab of its size class, or in Bytes.long
}

const (
	smallPage  = 64 << 10
	largePage  = 1 << 20
	fineStep   = 16        // size classes are this far apart up to fineLimit,
	fineLimit  = 1024      // and an eighth of their size beyond it
	smallLimit = 8 << 10   // longer strings come from large pages,
	slabLimit  = 128 << 10 // and still longer ones have a page to themselves
	classes    = fineLimit/fineStep + 1 + 22*8
)

// Bytes keeps strings of bytes of any length up to 4 GiB outside the
// collector's sight, at most an eighth (16 bytes for short ones) larger than
// they are. The zero value is ready for use.
type Bytes struct {
	small, big *Arena
	class      [classes]*Slab  // of strings up to slabLimit
	whole      [classes]*Arena // of longer ones
	long       []unsafe.Pointer
	free       []uint32 // unused elements of long
	arenas     []*Arena // all of them
	total      int
}

// Elsewhere returns a Ref of n bytes that are kept somewhere else. It is not
// to be passed to a method of Bytes.
func Elsewhere(n uint32) Ref { return Ref{Len: n} }

// Bytes returns how much memory is in use or kept for reuse, in bytes. O(1)
// unless there are strings of many different sizes over 128 KiB.
func (b *Bytes) Bytes() (n int) {
	for _, a := range b.arenas {
		n += a.Bytes()
	}
	return n
}

// classOf returns the size class of n, which is not 0, and its size.
func classOf(n uint32) (class int, size uint64) {
	if n <= fineLimit {
		class = int(n+fineStep-1) / fineStep
		return class, uint64(class) * fineStep
	}
	octave := bits.Len32(n-1) - 11 // 0 for 1025..2048
	step := uint64(fineLimit/8) << octave
	eighth := (uint64(n-1) - fineLimit<<octave) / step
	return fineLimit/fineStep + 1 + octave*8 + int(eighth), fineLimit<<octave + (eighth+1)*step
}

// Total returns the bytes of all strings kept, without what rounding costs.
func (b *Bytes) Total() int { return b.total }

// Alloc returns room for n bytes, whose contents are undefined, and false if
// the system has none. Memory is taken from it when it is first touched.
func (b *Bytes) Alloc(n uint32) (r Ref, ok bool) {
	switch {
	case n == 0:
		return Ref{}, true
	case n > slabLimit:
		r, ok = b.allocLong(n)
	default:
		r, ok = b.allocSmall(n)
	}
	if ok {
		b.total += int(n)
	}
	return r, ok
}

func (b *Bytes) allocSmall(n uint32) (Ref, bool) {
	class, size := classOf(n)
	s := b.class[class]
	if s == nil {
		s = New(b.arena(size), int(size))
		b.class[class] = s
	}
	i := s.TryAlloc()
	return Ref{n, i}, i != 0
}

func (b *Bytes) arena(size uint64) *Arena {
	if b.small == nil {
		b.small, b.big = NewArena(smallPage), NewArena(largePage)
		b.arenas = append(b.arenas, b.small, b.big)
	}
	if size <= smallLimit {
		return b.small
	}
	return b.big
}

func (b *Bytes) allocLong(n uint32) (Ref, bool) {
	class, size := classOf(n)
	if b.whole[class] == nil {
		b.whole[class] = NewArena(int(size))
		b.arenas = append(b.arenas, b.whole[class])
	}
	p := b.whole[class].page()
	if p == nil {
		return Ref{}, false
	}
	if k := len(b.free); k > 0 {
		i := b.free[k-1]
		b.free = b.free[:k-1]
		b.long[i] = p
		return Ref{n, i}, true
	}
	b.long = append(b.long, p)
	return Ref{n, uint32(len(b.long) - 1)}, true
}

// At returns the bytes of r. The slice is valid until r is freed.
func (b *Bytes) At(r Ref) []byte {
	switch {
	case r.Len == 0:
		return nil
	case r.Len > slabLimit:
		return unsafe.Slice((*byte)(b.long[r.at]), r.Len)
	}
	class, _ := classOf(r.Len)
	return unsafe.Slice((*byte)(b.class[class].At(r.at)), r.Len)
}

// Free gives r up.
func (b *Bytes) Free(r Ref) {
	b.total -= int(r.Len)
	switch {
	case r.Len == 0:
	case r.Len > slabLimit:
		class, _ := classOf(r.Len)
		b.whole[class].Release(b.long[r.at])
		b.long[r.at] = nil
		b.free = append(b.free, r.at)
	default:
		class, _ := classOf(r.Len)
		b.class[class].Free(r.at)
	}
}
