package wheel

import (
	"container/heap"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

// The benchmarks run the wheel beside a binary heap that knows the place of
// each of its entries, as a queue that cancels needs it to.

var sizes = []int{1_000_000, 10_000_000}

const benchSpan = int64(time.Hour)

func instants(n int) []int64 {
	r := rand.New(rand.NewPCG(1, 2))
	at := make([]int64, n)
	for i := range at {
		at[i] = 1 + r.Int64N(benchSpan)
	}
	return at
}

func BenchmarkInsert(b *testing.B) {
	each(b, func(b *testing.B, n int) {
		at := instants(n)
		b.Run("wheel", func(b *testing.B) {
			for b.Loop() {
				fillWheel(at)
			}
			perEntry(b, n)
		})
		b.Run("heap", func(b *testing.B) {
			for b.Loop() {
				fillHeap(at)
			}
			perEntry(b, n)
		})
	})
}

func BenchmarkCancel(b *testing.B) {
	each(b, func(b *testing.B, n int) {
		at := instants(n)
		order := rand.New(rand.NewPCG(3, 4)).Perm(n)
		b.Run("wheel", func(b *testing.B) {
			for b.Loop() {
				b.StopTimer()
				h, timers := fillWheel(at)
				b.StartTimer()
				for _, i := range order {
					h.Remove(timers[i])
				}
			}
			perEntry(b, n)
		})
		b.Run("heap", func(b *testing.B) {
			for b.Loop() {
				b.StopTimer()
				h, entries := fillHeap(at)
				b.StartTimer()
				for _, i := range order {
					heap.Remove(h, entries[i].index)
				}
			}
			perEntry(b, n)
		})
	})
}

func BenchmarkFire(b *testing.B) {
	each(b, func(b *testing.B, n int) {
		at := instants(n)
		b.Run("wheel", func(b *testing.B) {
			for b.Loop() {
				b.StopTimer()
				h, _ := fillWheel(at)
				b.StartTimer()
				for now := int64(0); h.Len() > 0; now += benchSpan / 1000 {
					for _, _, ok := h.PopDue(now); ok; _, _, ok = h.PopDue(now) {
					}
				}
			}
			perEntry(b, n)
		})
		b.Run("heap", func(b *testing.B) {
			for b.Loop() {
				b.StopTimer()
				h, _ := fillHeap(at)
				b.StartTimer()
				for h.Len() > 0 {
					heap.Pop(h)
				}
			}
			perEntry(b, n)
		})
	})
}

// BenchmarkChurn is what a queue does most: a deadline a minute away is
// entered and soon removed, a few thousand being open at a time.
func BenchmarkChurn(b *testing.B) {
	h := NewHub(newPool(), 0)
	var open [4096]Timer
	now, i := int64(0), 0
	for b.Loop() {
		now += 1000
		if open[i&4095] != 0 {
			h.Remove(open[i&4095])
		}
		open[i&4095] = h.Add(now+int64(time.Minute), uint32(i))
		i++
		if i&63 == 0 {
			h.PopDue(now)
		}
	}
}

func each(b *testing.B, f func(b *testing.B, n int)) {
	for _, n := range sizes {
		if testing.Short() && n > 1_000_000 {
			continue
		}
		b.Run(fmt.Sprintf("%dM", n/1_000_000), func(b *testing.B) { f(b, n) })
	}
}

func perEntry(b *testing.B, n int) {
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/entry")
}

func fillWheel(at []int64) (*Hub[uint32], []Timer) {
	h := NewHub(newPool(), 0)
	timers := make([]Timer, len(at))
	for i, at := range at {
		timers[i] = h.Add(at, uint32(i))
	}
	return h, timers
}

type heapEntry struct {
	at    int64
	index int
}

type binaryHeap []*heapEntry

func (h binaryHeap) Len() int           { return len(h) }
func (h binaryHeap) Less(i, j int) bool { return h[i].at < h[j].at }
func (h binaryHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}
func (h *binaryHeap) Push(x any) {
	e := x.(*heapEntry)
	e.index = len(*h)
	*h = append(*h, e)
}
func (h *binaryHeap) Pop() any {
	n := len(*h) - 1
	e := (*h)[n]
	(*h)[n] = nil
	*h = (*h)[:n]
	return e
}

func fillHeap(at []int64) (*binaryHeap, []*heapEntry) {
	h := new(binaryHeap)
	entries := make([]*heapEntry, len(at))
	for i, at := range at {
		entries[i] = &heapEntry{at: at}
		heap.Push(h, entries[i])
	}
	return h, entries
}
