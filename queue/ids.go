package queue

import (
	"maps"
	"slices"

	"spoked/internal/slab"
)

// idTable finds a job's slot by its id. Ids are given in sequence, so most
// live ones are close together: they are looked up in dense pages. A page of
// which few jobs are left is dissolved into a map, so that old jobs here and
// there among billions of ids cost tens of bytes each and not a page. An id is
// in one of the two.
type idTable struct {
	pages  *slab.Of[idPage]
	dense  map[uint64]uint32 // number of a page of ids -> its place in pages
	sparse map[uint64]uint32 // id -> slot
	few    map[uint64]uint32 // number of a page of ids -> how many of them are in sparse
	most   int               // ids that sparse ever had
	begun  int               // pages since the last sweep, by restore

	// The page found last, and that of the newest ids, which is never dissolved.
	hit, newest     *idPage
	hitNo, newestNo uint64
}

// idPage has the slots of a run of ids; 0 where there is no job.
type idPage struct {
	slots [idsPerPage]uint32
	live  uint32
}

const (
	idsPerPage = 1024
	fewIDs     = 32
	manyIDs    = 4096
)

func newIDTable(a *slab.Arena) idTable {
	return idTable{
		pages:  slab.NewOf[idPage](a),
		dense:  map[uint64]uint32{},
		sparse: map[uint64]uint32{},
		few:    map[uint64]uint32{},
	}
}

// find returns the page with number no, or nil.
func (t *idTable) find(no uint64) *idPage {
	if t.newest != nil && t.newestNo == no {
		return t.newest
	}
	if t.hit != nil && t.hitNo == no {
		return t.hit
	}
	i, ok := t.dense[no]
	if !ok {
		return nil
	}
	t.hit, t.hitNo = t.pages.At(i), no
	return t.hit
}

// get returns the slot of job id, or 0. O(1).
func (t *idTable) get(id uint64) uint32 {
	if p := t.find(id / idsPerPage); p != nil && p.slots[id%idsPerPage] != 0 {
		return p.slots[id%idsPerPage]
	}
	if len(t.sparse) == 0 {
		return 0
	}
	return t.sparse[id]
}

// put enters job id. Amortised O(1).
func (t *idTable) put(id uint64, slot uint32) {
	no := id / idsPerPage
	p := t.find(no)
	if p == nil {
		if t.newest != nil && no < t.newestNo { // a put that took long
			t.sparse[id] = slot
			t.few[no]++
			return
		}
		p = t.advance(no)
	}
	p.slots[id%idsPerPage] = slot
	p.live++
}

// set changes the slot of job id, which is in the table. O(1).
func (t *idTable) set(id uint64, slot uint32) {
	if p := t.find(id / idsPerPage); p != nil && p.slots[id%idsPerPage] != 0 {
		p.slots[id%idsPerPage] = slot
		return
	}
	t.sparse[id] = slot
}

// advance begins page no, which is newer than all others.
func (t *idTable) advance(no uint64) *idPage {
	old, oldNo := t.newest, t.newestNo
	var i uint32
	i, t.newest = t.pages.New()
	t.newestNo = no
	t.dense[no] = i
	if old != nil && old.live <= fewIDs {
		t.dissolve(old, oldNo)
	}
	return t.newest
}

// remove takes job id out. Amortised O(1).
func (t *idTable) remove(id uint64) {
	no := id / idsPerPage
	p := t.find(no)
	if p == nil || p.slots[id%idsPerPage] == 0 {
		if _, ok := t.sparse[id]; !ok {
			return
		}
		delete(t.sparse, id)
		if n := t.few[no]; n > 1 {
			t.few[no] = n - 1
		} else {
			delete(t.few, no)
		}
		if len(t.sparse) == 0 && t.most > manyIDs { // let go of the room they took
			t.sparse, t.few, t.most = map[uint64]uint32{}, map[uint64]uint32{}, 0
		}
		return
	}
	p.slots[id%idsPerPage] = 0
	p.live--
	if p.live <= fewIDs && no != t.newestNo {
		t.dissolve(p, no)
	}
}

func (t *idTable) dissolve(p *idPage, no uint64) {
	for k, slot := range p.slots {
		if slot != 0 {
			t.sparse[no*idsPerPage+uint64(k)] = slot
			t.few[no]++
		}
	}
	t.most = max(t.most, len(t.sparse))
	t.pages.Free(t.dense[no])
	delete(t.dense, no)
	if t.hitNo == no {
		t.hit = nil
	}
}

// sweepAfter is how many pages are begun by restore before those with few ids
// are dissolved.
const sweepAfter = 16 << 10

// restore is put for ids in any order. Until sweep, a page that is begun is
// taken to become full. Amortised O(1).
func (t *idTable) restore(id uint64, slot uint32) {
	no := id / idsPerPage
	p := t.find(no)
	if p == nil {
		if t.begun++; t.begun == sweepAfter {
			t.sweep()
		}
		var i uint32
		i, p = t.pages.New()
		t.dense[no] = i
		if t.newest == nil || no > t.newestNo {
			t.newest, t.newestNo = p, no
		}
	}
	p.slots[id%idsPerPage] = slot
	p.live++
}

// sweep dissolves the pages that have few ids.
func (t *idTable) sweep() {
	t.begun = 0
	for no, i := range t.dense {
		if p := t.pages.At(i); p.live <= fewIDs && no != t.newestNo {
			t.dissolve(p, no)
		}
	}
}

// page returns the page with number no, nil if it is not there, and whether ids of
// it are in sparse.
func (t *idTable) page(no uint64) (p *idPage, few bool) {
	if i, ok := t.dense[no]; ok {
		p = t.pages.At(i)
	}
	return p, t.few[no] > 0
}

// next returns the number of the first page from no on that has ids. It takes off
// work for each page that it looks for; without any left, it returns where it has
// come to, and false. With some left, false says that there is none.
func (t *idTable) next(no uint64, work *int) (next uint64, ok bool) {
	for tried := 0; t.newest != nil && no <= t.newestNo; tried++ {
		if _, ok := t.dense[no]; ok || t.few[no] > 0 {
			return no, true
		}
		no++
		if *work -= 2; *work <= 0 {
			return no, false
		}
		if pages := len(t.dense) + len(t.few); tried > 64 && 4*tried > pages {
			*work -= pages / 2
			return t.least(no), true // looking at all pages costs no more than that did
		}
	}
	return 0, false
}

// least returns the smallest number of a page from no on. O(pages).
func (t *idTable) least(no uint64) uint64 {
	least := t.newestNo
	for n := range t.dense {
		if n >= no {
			least = min(least, n)
		}
	}
	for n := range t.few {
		if n >= no {
			least = min(least, n)
		}
	}
	return least
}

// each calls f for the slot of every job by id, until it returns false.
func (t *idTable) each(f func(slot uint32) bool) {
	few := slices.Sorted(maps.Keys(t.sparse))
	for _, no := range slices.Sorted(maps.Keys(t.dense)) {
		p := t.pages.At(t.dense[no])
		for k, slot := range p.slots {
			for id := no*idsPerPage + uint64(k); len(few) > 0 && few[0] <= id; few = few[1:] {
				if !f(t.sparse[few[0]]) {
					return
				}
			}
			if slot != 0 && !f(slot) {
				return
			}
		}
	}
	for _, id := range few {
		if !f(t.sparse[id]) {
			return
		}
	}
}
