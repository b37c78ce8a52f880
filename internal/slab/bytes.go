package slab

import (
	"math/bits"
	"unsafe"
)

// A Ref names a string of bytes kept by Bytes. The zero Ref is the empty
// string.
type Ref struct {
	Len uint32
	at  uint32 // in the slab of its size class, or in Bytes.large
}

const (
	smallPage  = 64 << 10
	largePage  = 1 << 20
	fineStep   = 16        // size classes are this far apart up to fineLimit,
	fineLimit  = 1024      // and an eighth of their size beyond it
	smallLimit = 8 << 10   // longer strings come from large pages,
	classLimit = 128 << 10 // and still longer ones are mapped one by one
	classes    = fineLimit/fineStep + 1 + 7*8
)

// Bytes keeps strings of bytes of any length up to 4 GiB outside the
// collector's sight, at most an eighth (16 bytes for short ones) larger than
// they are. The zero value is ready for use.
type Bytes struct {
	small, big *Arena
	class      [classes]*Slab
	large      [][]byte
	free       []uint32 // unused elements of large
	total      int
}

// classOf returns the size class of n, 0 < n <= classLimit, and its size.
func classOf(n uint32) (class, size uint32) {
	if n <= fineLimit {
		class = (n + fineStep - 1) / fineStep
		return class, class * fineStep
	}
	octave := uint32(bits.Len32(n-1)) - 11 // 0 for 1025..2048
	step := uint32(128) << octave
	eighth := (n - 1 - fineLimit<<octave) / step
	return fineLimit/fineStep + 1 + octave*8 + eighth, fineLimit<<octave + (eighth+1)*step
}

// Total returns the bytes of all strings kept, without what rounding costs.
func (b *Bytes) Total() int { return b.total }

// Alloc returns room for n bytes, whose contents are undefined, and false if
// the system has none. Memory is taken from it when it is first touched.
func (b *Bytes) Alloc(n uint32) (r Ref, ok bool) {
	switch {
	case n == 0:
		return Ref{}, true
	case n > classLimit:
		r, ok = b.allocLarge(n)
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

func (b *Bytes) arena(size uint32) *Arena {
	if b.small == nil {
		b.small, b.big = NewArena(smallPage), NewArena(largePage)
	}
	if size <= smallLimit {
		return b.small
	}
	return b.big
}

func (b *Bytes) allocLarge(n uint32) (Ref, bool) {
	m := mapRegion(int(n))
	if m == nil {
		return Ref{}, false
	}
	if k := len(b.free); k > 0 {
		i := b.free[k-1]
		b.free = b.free[:k-1]
		b.large[i] = m
		return Ref{n, i}, true
	}
	b.large = append(b.large, m)
	return Ref{n, uint32(len(b.large) - 1)}, true
}

// At returns the bytes of r. The slice is valid until r is freed.
func (b *Bytes) At(r Ref) []byte {
	switch {
	case r.Len == 0:
		return nil
	case r.Len > classLimit:
		return b.large[r.at]
	}
	class, _ := classOf(r.Len)
	return unsafe.Slice((*byte)(b.class[class].At(r.at)), r.Len)
}

// Free gives r up.
func (b *Bytes) Free(r Ref) {
	b.total -= int(r.Len)
	switch {
	case r.Len == 0:
	case r.Len > classLimit:
		unmapRegion(b.large[r.at])
		b.large[r.at] = nil
		b.free = append(b.free, r.at)
	default:
		class, _ := classOf(r.Len)
		b.class[class].Free(r.at)
	}
}
