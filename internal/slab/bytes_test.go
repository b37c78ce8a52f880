package slab

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"
)

// lengths are those on both sides of every limit that there is.
var lengths = []uint32{
	0, 1, 15, 16, 17, 31, 32, 33,
	fineLimit - 1, fineLimit, fineLimit + 1, 1152, 1153, 2048, 2049, 4096, 4097,
	smallLimit - 1, smallLimit, smallLimit + 1, 9216, 9217, 65536, 65537,
	slabLimit - 1, slabLimit, slabLimit + 1, 1 << 20,
}

func TestSizeClasses(t *testing.T) {
	var before int
	var sizeBefore uint64
	for n := uint64(1); n < 1<<32; n++ {
		class, size := classOf(uint32(n))
		room := max(fineStep-1, n/8)
		switch {
		case size < n || size-n > room:
			t.Fatalf("%d bytes get %d, want at most %d more", n, size, room)
		case class >= classes:
			t.Fatalf("%d bytes are in class %d of %d", n, class, classes)
		case class == before && size != sizeBefore:
			t.Fatalf("class %d has sizes %d and %d", class, sizeBefore, size)
		case class != before && (class != before+1 || sizeBefore != n-1):
			t.Fatalf("class %d begins with %d bytes, behind class %d of %d", class, n, before, sizeBefore)
		}
		before, sizeBefore = class, size
		if n > slabLimit { // of the long ones, the first and the last of each class
			n = max(n, min(size, 1<<32-1)-1)
		}
	}
	if before != classes-1 {
		t.Errorf("the last class is %d, want %d", before, classes-1)
	}
}

func TestBytesOfEveryLength(t *testing.T) {
	for _, n := range lengths {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			var b Bytes
			var refs []Ref
			for k := range 3 {
				r, _ := b.Alloc(n)
				s := b.At(r)
				if uint32(len(s)) != n || r.Len != n {
					t.Fatalf("At has %d bytes, and the Ref says %d", len(s), r.Len)
				}
				fill(s, k)
				refs = append(refs, r)
			}
			if got, want := b.Total(), 3*int(n); got != want {
				t.Errorf("Total = %d, want %d", got, want)
			}
			for k, r := range refs {
				if !filled(b.At(r), k) {
					t.Errorf("string %d was overwritten", k)
				}
				b.Free(r)
			}
			if got := b.Total(); got != 0 {
				t.Errorf("Total = %d at the end, want 0", got)
			}
		})
	}
}

// fill writes a pattern that tells k, and how far from the beginning a byte
// is, to s.
func fill(s []byte, k int) {
	for i := range s {
		s[i] = byte(k + i%251)
	}
}

func filled(s []byte, k int) bool {
	want := make([]byte, len(s))
	fill(want, k)
	return bytes.Equal(s, want)
}

// TestBytes keeps strings of all lengths at once, at random.
func TestBytes(t *testing.T) {
	type kept struct {
		ref Ref
		k   int
	}
	r := rand.New(rand.NewPCG(1, 2))
	var b Bytes
	var live []kept
	total := 0
	for step := range 10_000 {
		if len(live) < 200 && r.IntN(2) == 0 || len(live) == 0 {
			n := lengths[r.IntN(len(lengths))]
			if r.IntN(2) == 0 {
				n = r.Uint32N(3000)
			}
			ref, _ := b.Alloc(n)
			fill(b.At(ref), step)
			live = append(live, kept{ref, step})
			total += int(n)
		} else {
			i := r.IntN(len(live))
			if !filled(b.At(live[i].ref), live[i].k) {
				t.Fatalf("step %d: a string of %d bytes was overwritten", step, live[i].ref.Len)
			}
			b.Free(live[i].ref)
			total -= int(live[i].ref.Len)
			live[i] = live[len(live)-1]
			live = live[:len(live)-1]
		}
		if b.Total() != total {
			t.Fatalf("step %d: Total = %d, want %d", step, b.Total(), total)
		}
	}
	for _, k := range live {
		b.Free(k.ref)
	}
	for name, a := range map[string]*Arena{"small": b.small, "big": b.big} {
		pages := 0 // one page at most is kept for each class
		for _, s := range b.class {
			if s != nil && s.arena == a {
				pages++
			}
		}
		if a.used > pages {
			t.Errorf("%d %s pages in use by nothing, want %d at most", a.used, name, pages)
		}
	}
	if got := len(b.free); got != len(b.long) {
		t.Errorf("%d of %d long strings are free", got, len(b.long))
	}
}
