package wheel

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"spoked/internal/slab"
)

// model is what a hub must behave like: a slice kept sorted by (at, arrival).
type model struct {
	list []modelEntry
	now  int64
}

func newPool() *Pool[uint32] { return NewPool[uint32](slab.NewArena(64 << 10)) }

type modelEntry struct {
	at    int64
	value uint32
}

func (m *model) add(at int64, v uint32) {
	i, _ := slices.BinarySearchFunc(m.list, at, func(e modelEntry, at int64) int {
		if e.at <= at { // behind those due at the same instant
			return -1
		}
		return 1
	})
	m.list = slices.Insert(m.list, i, modelEntry{at, v})
}

func (m *model) remove(v uint32) {
	m.list = slices.DeleteFunc(m.list, func(e modelEntry) bool { return e.value == v })
}

func TestModel(t *testing.T) {
	const day = int64(24 * time.Hour)
	reach := map[string]int64{
		"instant": 1, "microsecond": 1000, "millisecond": 1e6, "second": 1e9, "hour": day / 24, "years": 10 * 365 * day,
	}
	for name, span := range reach {
		for seed := range uint64(8) {
			t.Run(fmt.Sprintf("%s/%d", name, seed), func(t *testing.T) {
				t.Parallel()
				testModel(t, rand.New(rand.NewPCG(seed, 1)), span)
			})
		}
	}
}

func testModel(t *testing.T, r *rand.Rand, span int64) {
	m := &model{now: 1e18}
	pool := newPool()
	h := NewHub(pool, m.now)
	other := NewHub(pool, m.now) // shares the pool, to find what leaks from one into the other
	timers := map[uint32]Timer{}
	value := uint32(0)
	for step := range 20000 {
		switch x := r.IntN(100); {
		case x < 45+10*(step/2000%2): // in waves, so that it fills and drains
			at := m.now + r.Int64N(2*span) - span/4
			if r.IntN(4) == 0 && len(m.list) > 0 {
				at = m.list[r.IntN(len(m.list))].at // an instant that others have
			}
			value++
			m.add(at, value)
			timers[value] = h.Add(at, value)
			if r.IntN(8) == 0 {
				other.Add(at, value)
			}
		case x < 65:
			if len(m.list) == 0 {
				break
			}
			v := m.list[r.IntN(len(m.list))].value
			m.remove(v)
			if got := h.Remove(timers[v]); got != v {
				t.Fatalf("step %d: Remove = %d, want %d", step, got, v)
			}
			delete(timers, v)
		case x < 70:
			m.now += r.Int64N(span/50 + 2)
		case x < 75:
			v, at, ok := h.First()
			if want := len(m.list) > 0; ok != want {
				t.Fatalf("step %d: First is there: %v, want %v", step, ok, want)
			} else if ok && (v != m.list[0].value || at != m.list[0].at) {
				t.Fatalf("step %d: First = %d at %d, want %v", step, v, at, m.list[0])
			}
		default:
			popOne(t, h, m)
		}
		if at, ok := h.Next(); ok != (len(m.list) > 0) || ok && at > m.list[0].at {
			t.Fatalf("step %d: Next = %d, %v, but the first of %d is due at %v", step, at, ok, len(m.list), m.list[:min(1, len(m.list))])
		}
		if step%97 == 0 {
			if err := h.Check(); err != nil {
				t.Fatalf("step %d: %v", step, err)
			}
		}
	}
	m.now = 1<<63 - 1
	for range len(m.list) + 1 {
		popOne(t, h, m)
	}
	if h.Len() != 0 {
		t.Errorf("Len = %d after everything was popped", h.Len())
	}
	if err := other.Check(); err != nil {
		t.Errorf("the other hub: %v", err)
	}
}

func popOne(t *testing.T, h *Hub[uint32], m *model) {
	t.Helper()
	v, at, ok := h.PopDue(m.now)
	if len(m.list) == 0 || m.list[0].at > m.now {
		if ok {
			t.Fatalf("PopDue(%d) = %d due at %d, want none", m.now, v, at)
		}
		if next, ok := h.Next(); ok && next <= m.now {
			t.Fatalf("Next = %d when nothing was due at %d: who waits for it never sleeps", next, m.now)
		}
		return
	}
	if !ok || v != m.list[0].value || at != m.list[0].at {
		t.Fatalf("PopDue(%d) = %d due at %d, %v; want %v", m.now, v, at, ok, m.list[0])
	}
	m.list = m.list[1:]
}

// A long list due at one instant cannot be split, and need not be.
func TestOneInstant(t *testing.T) {
	h := NewHub(newPool(), 0)
	const n = 3 * longList
	for i := range uint32(n) {
		h.Add(int64(time.Hour), i)
	}
	h.Add(int64(time.Hour)+1, n)
	for want := range uint32(n + 1) {
		if got, _, ok := h.PopDue(int64(2 * time.Hour)); !ok || got != want {
			t.Fatalf("PopDue = %d, %v, want %d", got, ok, want)
		}
	}
}

// Entries far apart share spokes; entries close together do not share one
// long list.
func TestSpokes(t *testing.T) {
	year := 365 * 24 * int64(time.Hour)
	sparse := NewHub(newPool(), 0)
	for i := range int64(1000) {
		sparse.Add((i+1)*year/1000, 0)
	}
	if got := sparse.Spokes(); got > 100 {
		t.Errorf("a thousand entries in a year have %d spokes, want at most 100", got)
	}
	dense := NewHub(newPool(), 0)
	r := rand.New(rand.NewPCG(1, 2))
	for range 1_000_000 {
		dense.Add(year+r.Int64N(int64(time.Hour)), 0)
	}
	longest := 0
	dense.tree.Ascend(func(s *spoke) bool { longest = max(longest, s.count); return true })
	if longest > longList {
		t.Errorf("the longest of %d spokes has %d entries, want at most %d", dense.Spokes(), longest, longList)
	}
}

// One entry that comes and goes does not make and drop a spoke each time.
func TestChurnAllocatesNothing(t *testing.T) {
	h := NewHub(newPool(), 0)
	now := int64(0)
	h.Remove(h.Add(now+int64(time.Minute), 1))
	got := testing.AllocsPerRun(1000, func() {
		now += 1000
		h.Remove(h.Add(now+int64(time.Minute), 1))
	})
	if got != 0 {
		t.Errorf("%v allocations for Add and Remove, want 0", got)
	}
}

func TestMemoryIsReturned(t *testing.T) {
	pool := newPool()
	h := NewHub(pool, 0)
	for i := range uint32(200_000) {
		h.Add(int64(i)*1000, i)
	}
	for h.Len() > 0 {
		h.PopDue(1 << 60)
	}
	if n := pool.entries.Len(); n != 0 {
		t.Errorf("%d entries left in the pool", n)
	}
	if got := len(pool.spokes) - len(pool.free); got > 3 { // none, the past spoke, the one used last
		t.Errorf("%d spokes left in the pool", got)
	}
}

func ExampleHub() {
	h := NewHub(newPool(), 0)
	h.Add(int64(2*time.Second), 2)
	h.Add(int64(time.Second), 1)
	late := h.Add(int64(3*time.Second), 3)
	h.Remove(late)
	for {
		v, at, ok := h.PopDue(int64(5 * time.Second))
		if !ok {
			break
		}
		fmt.Println(v, time.Duration(at))
	}
	// Output:
	// 1 1s
	// 2 2s
}

// What has just come out may be put back in front of many that are due as well,
// and they need not be sorted again.
func TestPutBack(t *testing.T) {
	h := NewHub(newPool(), 0)
	h.PopDue(1e9)
	for at := range int64(10_000) {
		h.Add(at, uint32(at))
	}
	for want := range uint32(100) {
		v, at, ok := h.PopDue(1e9)
		if !ok || v != want {
			t.Fatalf("PopDue = %d, %v, want %d", v, ok, want)
		}
		if h.Add(at, v); !h.past.ordered {
			t.Fatalf("entry %d is put back, and nothing is in order any more", v)
		}
		if v, _, _ := h.PopDue(1e9); v != want {
			t.Fatalf("PopDue = %d, want %d, which was put back", v, want)
		}
	}
	if err := h.Check(); err != nil {
		t.Error(err)
	}
}
