package queue

import (
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"spoked/internal/slab"
)

// TestIDs enters ids of all sorts, takes them out in any order, and looks up
// each of them, and those beside it, on the way.
func TestIDs(t *testing.T) {
	const n = 20_000
	r := rand.New(rand.NewPCG(1, 2))
	tests := []struct {
		name  string
		id    func(i int) uint64 // of the i-th job put
		order func(ids []uint64) // in which they are removed
	}{
		{"dense, oldest first", func(i int) uint64 { return uint64(i) + 1 }, func([]uint64) {}},
		{"dense, newest first", func(i int) uint64 { return uint64(i) + 1 }, reverse},
		{"dense, in any order", func(i int) uint64 { return uint64(i) + 1 }, shuffle(r)},
		{"with gaps", func(i int) uint64 { return uint64(i)*7 + 1 }, shuffle(r)},
		{"a few to a page", func(i int) uint64 { return uint64(i) * idsPerPage / fewIDs }, shuffle(r)},
		{"billions apart", func(i int) uint64 { return uint64(i) * 3_000_000_019 }, shuffle(r)},
		{"up to the last", func(i int) uint64 { return ^uint64(0) - n + 1 + uint64(i) }, shuffle(r)},
		{"runs, billions apart", func(i int) uint64 { return uint64(i/3000)<<40 + uint64(i%3000) }, shuffle(r)},
		{"late by a little", func(i int) uint64 { return uint64(i) ^ 7 }, shuffle(r)},
		{"late by much", func(i int) uint64 { return uint64(i) ^ 0x1fff }, shuffle(r)},
		{"in no order at all", func(i int) uint64 { return uint64(i) * 0x9e3779b97f4a7c15 }, shuffle(r)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			table := newIDTable(slab.NewArena(64 << 10))
			want := map[uint64]uint32{}
			look := func(id uint64) {
				t.Helper()
				for _, id := range []uint64{id - 1, id, id + 1, id + idsPerPage} {
					if got := table.get(id); got != want[id] {
						t.Fatalf("get(%d) = %d, want %d", id, got, want[id])
					}
				}
			}
			ids := make([]uint64, n)
			for i := range ids {
				id := tt.id(i)
				ids[i] = id
				table.put(id, uint32(i+1))
				want[id] = uint32(i + 1)
				look(id)
				look(ids[r.IntN(i+1)])
			}
			for _, id := range ids {
				look(id)
			}
			tt.order(ids)
			for _, id := range ids {
				table.remove(id)
				delete(want, id)
				look(id)
				look(ids[r.IntN(len(ids))])
			}
			if pages, sparse := table.pages.Len(), len(table.sparse); pages > 1 || sparse > 0 {
				t.Errorf("%d pages and %d sparse ids are left, want that of the newest", pages, sparse)
			}
		})
	}
}

func reverse(ids []uint64) {
	for i, k := 0, len(ids)-1; i < k; i, k = i+1, k-1 {
		ids[i], ids[k] = ids[k], ids[i]
	}
}

func shuffle(r *rand.Rand) func([]uint64) {
	return func(ids []uint64) {
		r.Shuffle(len(ids), func(i, k int) { ids[i], ids[k] = ids[k], ids[i] })
	}
}

// Queues come and go, and leave a job or two behind each time: these may not
// cost a page of ids each.
func TestOldIDsCostLittle(t *testing.T) {
	table := newIDTable(slab.NewArena(64 << 10))
	for i := range uint64(1000) * idsPerPage {
		table.put(i, 1)
		if i%idsPerPage != 0 {
			table.remove(i)
		}
	}
	if got, want := table.pages.Len(), 1; got != want {
		t.Errorf("%d pages, want %d", got, want)
	}
	for i := range uint64(1000) * idsPerPage {
		if got, want := table.get(i) != 0, i%idsPerPage == 0; got != want {
			t.Fatalf("get(%d): found is %v, want %v", i, got, want)
		}
	}
}

// idsUnderTest is an idTable beside a map of what must be in it.
type idsUnderTest struct {
	idTable
	want map[uint64]uint32
}

func newIDsUnderTest() *idsUnderTest {
	return &idsUnderTest{newIDTable(slab.NewArena(64 << 10)), map[uint64]uint32{}}
}

// enter enters an id by one of the table's methods, with a slot like no
// other.
func (t *idsUnderTest) enter(by func(*idTable, uint64, uint32), id uint64) {
	slot := uint32(len(t.want)) + 1
	t.want[id] = slot
	by(&t.idTable, id, slot)
}

func (t *idsUnderTest) check(tt *testing.T, when string) {
	tt.Helper()
	ids := slices.Sorted(maps.Keys(t.want))
	for i, id := range ids {
		for _, id := range []uint64{id - 1, id, id + 1, id + idsPerPage, id ^ idsPerPage} {
			if got := t.get(id); got != t.want[id] {
				tt.Fatalf("%s: get(%d): got %d, want %d", when, id, got, t.want[id])
			}
		}
		if i%2 == 0 { // another page is the one found last
			t.get(ids[len(ids)-1-i])
		}
	}
	i := 0
	t.each(func(slot uint32) bool {
		if i == len(ids) || slot != t.want[ids[i]] {
			tt.Fatalf("%s: each: got slot %d as number %d of %d ids", when, slot, i, len(ids))
		}
		i++
		return true
	})
	if i != len(ids) {
		tt.Fatalf("%s: each: got %d ids, want %d", when, i, len(ids))
	}
	for _, most := range []int{1, max(1, len(ids)/2), max(1, len(ids))} {
		i := 0
		t.each(func(uint32) bool { i++; return i < most })
		if i != min(most, len(ids)) {
			tt.Fatalf("%s: each that is to stop at %d: got %d", when, most, i)
		}
	}
	var walked []uint64
	for no := uint64(0); ; no++ {
		work := 1 << 30
		var ok bool
		if no, ok = t.next(no, &work); !ok {
			break
		}
		p, few := t.page(no)
		if p == nil && !few {
			tt.Fatalf("%s: next: got page %d, which has no ids", when, no)
		}
		sparse := uint32(0)
		for k := range uint64(idsPerPage) {
			id := no*idsPerPage + k
			if t.sparse[id] != 0 {
				sparse++
			}
			if t.get(id) != 0 {
				walked = append(walked, id)
			}
		}
		if sparse != t.few[no] {
			tt.Fatalf("%s: page %d counts %d sparse ids, has %d", when, no, t.few[no], sparse)
		}
	}
	if !slices.Equal(walked, ids) {
		tt.Fatalf("%s: next: came to %d ids, want %d", when, len(walked), len(ids))
	}
	inPages := 0
	for no, i := range t.dense {
		p, live := t.pages.At(i), uint32(0)
		for _, slot := range p.slots {
			if slot != 0 {
				live++
			}
		}
		if live != p.live {
			tt.Fatalf("%s: page %d counts %d ids, has %d", when, no, p.live, live)
		}
		inPages += int(live)
	}
	if len(t.dense) != t.pages.Len() || inPages+len(t.sparse) != len(ids) {
		tt.Fatalf("%s: %d ids in %d pages (%d of the slab) and %d sparse ones, want %d", when, inPages, len(t.dense), t.pages.Len(), len(t.sparse), len(ids))
	}
}

// TestIDsRestored restores ids in several orders, ends some meanwhile, and
// goes on with newer and older ones.
func TestIDsRestored(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	run := func(from, n, step uint64) (ids []uint64) {
		for i := range n {
			ids = append(ids, from+i*step)
		}
		return ids
	}
	// zip takes turns with runs, a random number of ids each time.
	zip := func(runs ...[]uint64) (ids []uint64) {
		for len(runs) > 0 {
			i := r.IntN(len(runs))
			n := min(1+r.IntN(50), len(runs[i]))
			ids = append(ids, runs[i][:n]...)
			if runs[i] = runs[i][n:]; len(runs[i]) == 0 {
				runs = slices.Delete(runs, i, i+1)
			}
		}
		return ids
	}
	tests := []struct {
		name  string
		ids   []uint64
		pages int // after the sweep
	}{
		{"none", nil, 0},
		{"one", []uint64{17}, 1},
		{"a run", run(1, 5000, 1), 5},
		{"a run that ends in a few", run(1, 4*idsPerPage+5, 1), 5},
		{"a run with gaps", run(1, 3000, 7), 21},
		{"backwards", zip(reversed(run(1, 5000, 1))), 5},
		{"in any order", mixed(r, run(1, 10_000, 1)), 10},
		{"as few as are dissolved", run(0, 10*fewIDs, idsPerPage/fewIDs), 1},
		{"one more", slices.Concat(run(0, 10*fewIDs, idsPerPage/fewIDs), run(1, 10, idsPerPage)), 10},
		{"runs in turn", zip(run(1, 3000, 1), run(100_000, 3000, 1), run(1<<40, 3000, 3), run(1_000_000, 100, 5000)), 16},
		{"the newest first", zip(slices.Concat(run(1<<40, 2000, 1), run(1, 5000, 1))), 7},
		{"the newest alone", slices.Concat(run(1<<40, 1, 1), run(1, 5000, 1)), 6},
		{"billions apart, in any order", mixed(r, run(1, 3000, 3_000_000_019)), 1},
		{"up to the last", mixed(r, run(^uint64(0)-4999, 5000, 1)), 5},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for _, ends := range []int{0, 2, 20} { // one in so many, on the way
				table := newIDsUnderTest()
				drop := func(id uint64) {
					table.remove(id)
					delete(table.want, id)
				}
				for i, id := range tt.ids {
					table.enter((*idTable).restore, id)
					if got := table.get(id); got != table.want[id] {
						t.Fatalf("get(%d): got %d, want %d", id, got, table.want[id])
					}
					if ends > 0 && r.IntN(ends) == 0 {
						drop(tt.ids[r.IntN(i+1)])
					}
				}
				table.check(t, "before the sweep")
				table.sweep()
				table.check(t, "after the sweep")
				for no, i := range table.dense {
					if live := table.pages.At(i).live; live <= fewIDs && no != table.newestNo {
						t.Errorf("page %d is left for %d ids", no, live)
					}
				}
				if got := table.pages.Len(); ends == 0 && got != tt.pages {
					t.Errorf("got %d pages, want %d", got, tt.pages)
				}

				newest := uint64(0)
				for id := range table.want {
					newest = max(newest, id)
				}
				for i := range uint64(3000) {
					table.enter((*idTable).put, newest+1+i) // from 0 on again if that was the last
				}
				table.check(t, "after puts")
				for id := range table.want {
					for _, late := range []uint64{id - 1, id + 1, id + idsPerPage} {
						if r.IntN(8) == 0 && table.want[late] == 0 && late < newest {
							table.enter((*idTable).put, late)
						}
					}
					if r.IntN(3) == 0 {
						drop(id)
					}
				}
				table.check(t, "after late puts and removals")
				for id := range table.want {
					drop(id)
				}
				table.check(t, "after the end")
				if pages, sparse := table.pages.Len(), len(table.sparse); pages > 1 || sparse > 0 {
					t.Errorf("%d pages and %d sparse ids are left, want that of the newest", pages, sparse)
				}
			}
		})
	}
}

func reversed(ids []uint64) []uint64 { reverse(ids); return ids }

func mixed(r *rand.Rand, ids []uint64) []uint64 { shuffle(r)(ids); return ids }

// Restored ids that are far apart cost a page each for no longer than until
// there are many of these pages.
func TestRestoredIDsFarApartCostLittle(t *testing.T) {
	const apart = 5000
	r := rand.New(rand.NewPCG(5, 6))
	for _, tt := range []struct {
		name  string
		n     int
		order func(ids []uint64)
	}{
		{"ascending", 200_000, func([]uint64) {}},
		{"descending", 3 * sweepAfter, reverse},
		{"in any order", 3 * sweepAfter, shuffle(r)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ids := make([]uint64, tt.n)
			for i := range ids {
				ids[i] = uint64(i) * apart
			}
			tt.order(ids)
			table := newIDTable(slab.NewArena(64 << 10))
			most := 0
			for i, id := range ids {
				table.restore(id, uint32(i+1))
				most = max(most, table.pages.Len())
			}
			if most > sweepAfter+1 {
				t.Errorf("got %d pages at a time, want %d at most", most, sweepAfter+1)
			}
			table.sweep()
			if got, want := table.pages.Len(), 1; got != want {
				t.Errorf("got %d pages, want %d", got, want)
			}
			for i, id := range ids {
				if got, want := table.get(id), uint32(i+1); got != want {
					t.Fatalf("get(%d): got %d, want %d", id, got, want)
				}
			}
		})
	}
}

func TestFinishSweeps(t *testing.T) {
	e := New(0)
	s := e.Restore(0)
	for i := range uint64(100) {
		if err := s.Job(&Record{ID: i * 5000, Tube: "a"}); err != nil {
			t.Fatal(err)
		}
	}
	s.Finish()
	if got, want := e.ids.pages.Len(), 1; got != want {
		t.Errorf("got %d pages of ids, want %d", got, want)
	}
}
