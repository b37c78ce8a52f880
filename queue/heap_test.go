package queue

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"unsafe"

	"spoked/internal/slab"
)

// heapUnderTest is a readyHeap beside a slice of what must be in it.
type heapUnderTest struct {
	readyHeap
	jobs *slab.Of[job]
	want []readyItem
}

func newHeapUnderTest() *heapUnderTest {
	h := &heapUnderTest{jobs: slab.NewOf[job](slab.NewArena(64 << 10))}
	h.pages = slab.NewArena(heapPage * int(unsafe.Sizeof(readyItem{})))
	return h
}

func (h *heapUnderTest) add(id uint64, pri uint32) {
	slot, _ := h.jobs.New()
	it := readyItem{id, pri, slot}
	h.push(h.jobs, it)
	h.want = append(h.want, it)
}

func (h *heapUnderTest) sort() {
	slices.SortFunc(h.want, func(a, b readyItem) int {
		return cmp.Or(cmp.Compare(a.pri, b.pri), cmp.Compare(a.id, b.id))
	})
}

func (h *heapUnderTest) check(t *testing.T) {
	t.Helper()
	if h.len() != len(h.want) {
		t.Fatalf("len = %d, want %d", h.len(), len(h.want))
	}
	for i := range h.len() {
		it := h.at(i)
		if got := h.jobs.At(it.slot).place; got != uint32(i) {
			t.Fatalf("the job at %d takes its place to be %d", i, got)
		}
		if parent := h.at((i - 1) / 4); i > 0 && it.less(*parent) {
			t.Fatalf("%+v at %d is below %+v", *it, i, *parent)
		}
	}
}

// Sizes at the ends of the heap's pages, and some between.
var heapSizes = []int{0, 1, 2, 5, 6, 100, heapPage - 1, heapPage, heapPage + 1, 10000, 2*heapPage - 1, 2 * heapPage, 2*heapPage + 1, 4*heapPage + 5}

func TestReadyHeapSorts(t *testing.T) {
	for _, n := range heapSizes {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			r := rand.New(rand.NewPCG(uint64(n), 0))
			h := newHeapUnderTest()
			for _, id := range r.Perm(n) {
				h.add(uint64(id), r.Uint32N(100))
			}
			h.check(t)
			h.sort()
			for i, want := range h.want {
				if got := h.top(); got != want {
					t.Fatalf("top %d of %d = %+v, want %+v", i, n, got, want)
				}
				h.remove(h.jobs, 0)
			}
			h.want = nil
			h.check(t)
			if got := len(h.more); got != 0 {
				t.Errorf("%d pages are left, want 0", got)
			}
			if got := cap(h.first); got > 2*16 {
				t.Errorf("room for %d elements is left", got)
			}
		})
	}
}

// TestReadyHeapAnywhere grows and shrinks a heap across its page boundary,
// taking out elements from anywhere.
func TestReadyHeapAnywhere(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	h := newHeapUnderTest()
	id := uint64(0)
	for _, size := range []int{heapPage + 2, heapPage - 2, heapPage, heapPage + 1, heapPage - 1, 2*heapPage + 1, heapPage / 2, 3 * heapPage, 0, 10, 0} {
		for h.len() < size {
			id++
			h.add(id, r.Uint32N(5))
		}
		for h.len() > size {
			i := r.IntN(h.len())
			gone := *h.at(i)
			h.remove(h.jobs, i)
			k := slices.Index(h.want, gone)
			if k < 0 {
				t.Fatalf("%+v was at %d, and never added", gone, i)
			}
			h.want[k] = h.want[len(h.want)-1]
			h.want = h.want[:len(h.want)-1]
		}
		h.check(t)
		h.sort()
		if size > 0 && h.top() != h.want[0] {
			t.Fatalf("top of %d = %+v, want %+v", size, h.top(), h.want[0])
		}
	}
}

// restoreSizes are at the ends of pages, and where the last parent has one
// child, some, or all.
var restoreSizes = []int{0, 1, 2, 3, 4, 5, 6, 7, 22, 100, heapPage - 1, heapPage, heapPage + 1, 2*heapPage - 1, 2 * heapPage, 2*heapPage + 1}

// list is add for a heap that is being restored.
func (h *heapUnderTest) list(id uint64, pri uint32) {
	slot, _ := h.jobs.New()
	it := readyItem{id, pri, slot}
	h.readyHeap.add(h.jobs, it)
	h.want = append(h.want, it)
}

func TestReadyHeapIsRestored(t *testing.T) {
	for _, n := range restoreSizes {
		for _, pris := range []uint32{1, 3, 1 << 30} {
			t.Run(fmt.Sprintf("%d of %d priorities", n, pris), func(t *testing.T) {
				r := rand.New(rand.NewPCG(uint64(n), uint64(pris)))
				h := newHeapUnderTest()
				for _, id := range r.Perm(n) {
					h.list(uint64(id), r.Uint32N(pris))
				}
				h.order(h.jobs)
				h.check(t)
				h.sort()
				for i, want := range h.want {
					if got := h.top(); got != want {
						t.Fatalf("top %d: got %+v, want %+v", i, got, want)
					}
					h.remove(h.jobs, 0)
				}
			})
		}
	}
}

// TestReadyHeapTakes grows and shrinks the list that becomes a heap across the
// ends of its pages, taking out elements from anywhere.
func TestReadyHeapTakes(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	h := newHeapUnderTest()
	places := func() {
		t.Helper()
		for i, want := range h.want { // the list is kept in the same way
			if got := *h.at(i); got != want || h.jobs.At(want.slot).place != uint32(i) {
				t.Fatalf("at %d of %d: got %+v, want %+v", i, len(h.want), got, want)
			}
		}
	}
	id := uint64(0)
	for _, size := range []int{1, 0, 5, 100, 3, heapPage + 1, heapPage - 1, heapPage, 2*heapPage + 1, heapPage - 2, 2*heapPage + 1, 2*heapPage - 1, 10, 0, 3 * heapPage} {
		for h.len() < size {
			id++
			h.list(id, r.Uint32N(100))
		}
		for h.len() > size {
			i := r.IntN(h.len())
			if r.IntN(10) == 0 {
				i = h.len() - 1
			}
			slot := h.at(i).slot
			h.take(h.jobs, i)
			h.jobs.Free(slot)
			last := len(h.want) - 1
			h.want[i] = h.want[last]
			h.want = h.want[:last]
		}
		if got, want := h.len(), len(h.want); got != want {
			t.Fatalf("len: got %d, want %d", got, want)
		}
		places()
		if got, want := len(h.more), max(0, size-1)/heapPage; got != want {
			t.Errorf("%d elements: got %d pages beside the first, want %d", size, got, want)
		}
	}
	h.order(h.jobs)
	h.check(t)
	h.sort()
	if got, want := h.top(), h.want[0]; got != want {
		t.Errorf("top: got %+v, want %+v", got, want)
	}
}

// What is in order already, as the jobs of a journal mostly are, is not
// touched.
func TestOrderTouchesNothingInOrder(t *testing.T) {
	for _, n := range restoreSizes {
		h := newHeapUnderTest()
		for id := range uint64(n) {
			h.list(id, uint32(id/10))
		}
		const nowhere = 1 << 31
		for _, it := range h.want {
			h.jobs.At(it.slot).place = nowhere
		}
		h.order(h.jobs)
		for i, it := range h.want {
			if got := *h.at(i); got != it {
				t.Fatalf("at %d of %d: got %+v, want %+v", i, n, got, it)
			}
			if h.jobs.At(it.slot).place != nowhere {
				t.Fatalf("%d jobs: the one at %d was touched", n, i)
			}
		}
	}
}
