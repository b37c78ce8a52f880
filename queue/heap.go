package queue

import (
	"unsafe"

	"spoked/internal/slab"
)

// readyHeap is a tube's ready jobs, smallest (pri, id) first: a 4-ary heap
// whose elements hold their key, so that comparing two of them touches no
// job. Each job knows its place. The heap lives in pages: the first grows as
// a slice does, for most tubes are small, and the others come from an arena.
type readyHeap struct {
	pages *slab.Arena
	first []readyItem
	more  []*[heapPage]readyItem
	n     int
}

// readyItem is the element of a readyHeap.
type readyItem struct {
	id   uint64
	pri  uint32
	slot uint32
}

const heapPage = 4096 // elements: 64 KiB

func (a readyItem) less(b readyItem) bool {
	return a.pri < b.pri || a.pri == b.pri && a.id < b.id
}

func (h *readyHeap) len() int { return h.n }

// at returns element i.
func (h *readyHeap) at(i int) *readyItem {
	if i < heapPage {
		return &h.first[i]
	}
	return &h.more[i/heapPage-1][i%heapPage]
}

// top returns the smallest element of a heap that is not empty.
func (h *readyHeap) top() readyItem { return h.first[0] }

// push adds it. O(log n), and O(1) for the largest, which a new job with the
// usual priority is.
func (h *readyHeap) push(jobs *slab.Of[job], it readyItem) {
	h.grow()
	h.up(jobs, h.n-1, it)
}

// grow makes room for one more at the end.
func (h *readyHeap) grow() {
	switch {
	case h.n < heapPage:
		h.first = append(h.first, readyItem{})
	case h.n%heapPage == 0:
		h.more = append(h.more, (*[heapPage]readyItem)(h.pages.Page()))
	}
	h.n++
}

// remove takes out element i. O(log n).
func (h *readyHeap) remove(jobs *slab.Of[job], i int) {
	h.n--
	last := *h.at(h.n)
	h.shrink()
	if i == h.n {
		return
	}
	if i > 0 && last.less(*h.at((i - 1) / 4)) {
		h.up(jobs, i, last)
	} else {
		h.down(jobs, i, last)
	}
}

// shrink gives back what is not needed for n elements.
func (h *readyHeap) shrink() {
	if h.n >= heapPage {
		if h.n%heapPage == 0 {
			last := len(h.more) - 1
			h.pages.Release(unsafe.Pointer(h.more[last]))
			h.more = h.more[:last]
		}
		return
	}
	h.first = h.first[:h.n]
	if c := cap(h.first); c > 16 && h.n < c/4 {
		h.first = append(make([]readyItem, 0, c/2), h.first...)
	}
}

// up places it at i or above.
func (h *readyHeap) up(jobs *slab.Of[job], i int, it readyItem) {
	for i > 0 {
		parent := (i - 1) / 4
		p := *h.at(parent)
		if !it.less(p) {
			break
		}
		h.set(jobs, i, p)
		i = parent
	}
	h.set(jobs, i, it)
}

// down places it at i or below.
func (h *readyHeap) down(jobs *slab.Of[job], i int, it readyItem) {
	for {
		child := 4*i + 1
		if child >= h.n {
			break
		}
		least, small := child, *h.at(child)
		for k := child + 1; k < min(child+4, h.n); k++ {
			if c := h.at(k); c.less(small) {
				least, small = k, *c
			}
		}
		if !small.less(it) {
			break
		}
		h.set(jobs, i, small)
		i = least
	}
	h.set(jobs, i, it)
}

func (h *readyHeap) set(jobs *slab.Of[job], i int, it readyItem) {
	*h.at(i) = it
	jobs.At(it.slot).place = uint32(i)
}

// A heap that is being restored is in no order: add and take keep it as a
// list, and order makes a heap of it.

// add puts it at the end. O(1).
func (h *readyHeap) add(jobs *slab.Of[job], it readyItem) {
	h.grow()
	h.set(jobs, h.n-1, it)
}

// take puts the last element in the place of element i. O(1).
func (h *readyHeap) take(jobs *slab.Of[job], i int) {
	h.n--
	last := *h.at(h.n)
	h.shrink()
	if i < h.n {
		h.set(jobs, i, last)
	}
}

// order makes a heap of the list. O(n), and if it is one already it touches
// no job.
func (h *readyHeap) order(jobs *slab.Of[job]) {
	for i := (h.n - 2) / 4; i >= 0 && h.n > 1; i-- {
		it := *h.at(i)
		for k := 4*i + 1; k < min(4*i+5, h.n); k++ {
			if h.at(k).less(it) {
				h.down(jobs, i, it)
				break
			}
		}
	}
}
