package slab

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"
	"unsafe"
)

// TestSlab allocates and frees at random, in waves, and compares what the
// values hold with a map. Values fill themselves wholly, so that any two that
// overlap are found.
func TestSlab(t *testing.T) {
	for _, size := range []int{1, 8, 9, 40, 64, 100, 1000, 2048, 2049, 4096} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			t.Parallel()
			testSlab(t, size, rand.New(rand.NewPCG(uint64(size), 0)))
		})
	}
}

func testSlab(t *testing.T, size int, r *rand.Rand) {
	a := NewArena(4096)
	s := New(a, size)
	want := map[uint32]byte{}
	var live []uint32
	value := func(i uint32) []byte { return unsafe.Slice((*byte)(s.At(i)), size) }
	free := func(k int) {
		i := live[k]
		if got := value(i); !bytes.Equal(got, bytes.Repeat([]byte{want[i]}, size)) {
			t.Fatalf("value %d = %v, want all %d", i, got, want[i])
		}
		s.Free(i)
		delete(want, i)
		live[k] = live[len(live)-1]
		live = live[:len(live)-1]
	}
	for step := range 20_000 {
		if grow := step/4000%2 == 0; len(live) == 0 || r.IntN(10) < 4 == !grow {
			i := s.Alloc()
			if _, ok := want[i]; ok || i == 0 {
				t.Fatalf("Alloc = %d, which is taken", i)
			}
			want[i] = byte(r.Uint32())
			for k := range value(i) {
				value(i)[k] = want[i]
			}
			live = append(live, i)
		} else {
			free(r.IntN(len(live)))
		}
		if s.Len() != len(live) {
			t.Fatalf("Len = %d, want %d", s.Len(), len(live))
		}
	}
	for len(live) > 0 {
		free(len(live) - 1)
	}
	if got := a.used; got > 1 {
		t.Errorf("%d pages are in use by no values", got)
	}
}

// A page goes back as soon as its last value is freed, and the slab keeps one
// page with room.
func TestPagesGoBack(t *testing.T) {
	a := NewArena(4096)
	s := New(a, 64)
	var pages [][]uint32
	for len(pages) < 5 {
		i := s.Alloc()
		if p := int(i >> s.shift); p == len(pages) {
			pages = append(pages, nil)
		}
		pages[len(pages)-1] = append(pages[len(pages)-1], i)
	}
	want := 5 // the last of them with one value
	for _, p := range []int{2, 0, 3, 1} {
		for k, i := range pages[p] {
			if a.used != want {
				t.Fatalf("page %d, value %d: %d pages in use, want %d", p, k, a.used, want)
			}
			s.Free(i)
		}
		want--
	}
	s.Free(pages[4][0])
	if a.used != 1 {
		t.Errorf("%d pages in use, want 1", a.used)
	}
	for range 64 {
		s.Alloc()
	}
	if got := len(s.pages); got != 5 {
		t.Errorf("%d pages numbered, want 5: numbers are to be used again", got)
	}
}

// A short queue must not fetch and return a page for every value.
func TestOnePageIsKept(t *testing.T) {
	a := NewArena(4096)
	s := New(a, 64)
	for range 10_000 {
		s.Free(s.Alloc())
	}
	if a.used != 1 || len(a.retained)+len(a.returned) != 0 {
		t.Errorf("%d pages in use, %d retained, %d returned, want 1, 0, 0", a.used, len(a.retained), len(a.returned))
	}
}

func TestArenaRetainsAFewPages(t *testing.T) {
	const pageBytes = 64 << 10
	a := NewArena(pageBytes)
	for range 3 {
		var pages []unsafe.Pointer
		for range 100 {
			p := a.Page()
			if slices.Contains(pages, p) {
				t.Fatal("Page returned a page that is in use")
			}
			*(*byte)(unsafe.Add(p, pageBytes-1)) = 1
			pages = append(pages, p)
		}
		if got, want := a.Bytes(), 100*pageBytes; got != want {
			t.Errorf("Bytes = %d with 100 pages in use, want %d", got, want)
		}
		for _, p := range pages {
			a.Release(p)
		}
		if got := a.Bytes(); got != retainBytes {
			t.Errorf("Bytes = %d with none in use, want %d", got, retainBytes)
		}
	}
	if got := len(a.retained) + len(a.returned); got != 100 {
		t.Errorf("%d pages are free, want the same 100 to be used each time", got)
	}
}

func TestArenaPageSizes(t *testing.T) {
	for size, want := range map[int]bool{
		0: false, 1: false, 2048: false, 4095: false, 4096: true, 4097: false, 12288: true,
		64 << 10: true, regionBytes: true, 2 * regionBytes: true,
	} {
		if got := !panics(func() { NewArena(size) }); got != want {
			t.Errorf("NewArena(%d) is accepted: %v, want %v", size, got, want)
		}
	}
	a := NewArena(4096)
	for size, want := range map[int]bool{0: true, 4096: true, 4097: false} {
		if got := !panics(func() { New(a, size) }); got != want {
			t.Errorf("a slab of values of %d bytes in pages of 4096 is accepted: %v, want %v", size, got, want)
		}
	}
}

func panics(f func()) (did bool) {
	defer func() { did = recover() != nil }()
	f()
	return false
}

func TestOnlyWithoutPointers(t *testing.T) {
	type flat struct {
		_ int
		_ [3]struct{ c, d float32 }
	}
	a := NewArena(4096)
	for _, tt := range []struct {
		name string
		make func()
		want bool
	}{
		{"bool", func() { NewOf[bool](a) }, true},
		{"uint64", func() { NewOf[uint64](a) }, true},
		{"uintptr", func() { NewOf[uintptr](a) }, true},
		{"array", func() { NewOf[[4]complex128](a) }, true},
		{"struct", func() { NewOf[flat](a) }, true},
		{"pointer", func() { NewOf[*int](a) }, false},
		{"unsafe pointer", func() { NewOf[unsafe.Pointer](a) }, false},
		{"string", func() { NewOf[string](a) }, false},
		{"slice", func() { NewOf[[]int](a) }, false},
		{"map", func() { NewOf[map[int]int](a) }, false},
		{"channel", func() { NewOf[chan int](a) }, false},
		{"function", func() { NewOf[func()](a) }, false},
		{"interface", func() { NewOf[any](a) }, false},
		{"array of strings", func() { NewOf[[1]string](a) }, false},
		{"struct with one deep inside", func() {
			NewOf[struct {
				a int
				b [2]struct{ c *int }
			}](a)
		}, false},
	} {
		if got := !panics(tt.make); got != tt.want {
			t.Errorf("%s is accepted: %v, want %v", tt.name, got, tt.want)
		}
	}
}

func TestNewIsZero(t *testing.T) {
	s := NewOf[[4]uint64](NewArena(4096))
	for range 300 {
		i, v := s.New()
		if *v != [4]uint64{} {
			t.Fatalf("value %d = %v, want zeros", i, *v)
		}
		*v = [4]uint64{1, 2, 3, 4}
		if i%3 == 0 {
			s.Free(i)
		}
	}
}

// With one value to a page, the page that would begin with index 0 has no
// room for any.
func TestOneValueToAPage(t *testing.T) {
	s := New(NewArena(4096), 4096)
	a, b := s.Alloc(), s.Alloc()
	if a == 0 || b == 0 || a == b {
		t.Errorf("Alloc = %d and %d", a, b)
	}
	s.Free(a)
	s.Free(b)
	if c := s.Alloc(); c == 0 || s.Len() != 1 {
		t.Errorf("Alloc = %d, Len = %d after it", c, s.Len())
	}
}

// An arena that nobody has any more gives its memory back.
func TestArenaIsCollected(t *testing.T) {
	done := make(chan struct{})
	a := NewArena(4096)
	s := New(a, 64)
	s.Alloc()
	if len(*a.regions) == 0 {
		t.Fatal("no region is known")
	}
	runtime.AddCleanup(a, func(done chan struct{}) { close(done) }, done)
	runtime.KeepAlive(s)
	a, s = nil, nil
	for {
		runtime.GC()
		select {
		case <-done:
			return
		default:
		}
	}
}

// What is kept for reuse goes back when it is told to, and is there again when
// it is needed.
func TestShrink(t *testing.T) {
	var b Bytes
	for range 2 {
		for n := uint32(1); n < 1<<20; n += n/9 + 1 {
			var refs []Ref
			for range 20 {
				r, _ := b.Alloc(n)
				b.At(r)[0] = 1
				refs = append(refs, r)
			}
			for _, r := range refs {
				b.Free(r)
			}
		}
		if b.Bytes() < 1<<20 {
			t.Errorf("Bytes: got %d, want some kept", b.Bytes())
		}
		r, _ := b.Alloc(100)
		copy(b.At(r), "here")
		b.Shrink()
		if got, want := b.Bytes(), smallPage; got != want {
			t.Errorf("Bytes: got %d, want %d for the one that is left", got, want)
		}
		if got := string(b.At(r)[:4]); got != "here" {
			t.Errorf("got %q, want %q", got, "here")
		}
		b.Free(r)
		b.Shrink()
		if got := b.Bytes(); got != 0 {
			t.Errorf("Bytes: got %d, want 0", got)
		}
	}
}

// A walk by Next meets all values that are there, and none twice.
func TestNext(t *testing.T) {
	for _, size := range []int{8, 4000, 4096} {
		s := New(NewArena(4096), size)
		there := map[uint32]bool{}
		var all []uint32
		for range 3000 {
			i := s.Alloc()
			there[i] = true
			all = append(all, i)
		}
		for k, i := range all {
			if k%3 > 0 || k > 1000 && k < 2000 {
				s.Free(i)
				delete(there, i)
			}
		}
		met := map[uint32]bool{}
		for i := s.Next(0); i != 0; i = s.Next(i) {
			if met[i] {
				t.Fatalf("values of %d bytes: %d is met twice", size, i)
			}
			met[i] = true
		}
		for i := range there {
			if !met[i] {
				t.Fatalf("values of %d bytes: %d is not met", size, i)
			}
		}
	}
}
