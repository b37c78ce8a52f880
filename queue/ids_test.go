package queue

import (
	"math/rand/v2"
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
