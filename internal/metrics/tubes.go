package metrics

import (
	"cmp"
	"container/heap"
	"slices"

	"spoked/queue"
)

// A server may have a million tubes, and a monitoring system must not get a
// million of everything. So a number of tubes have metrics of their own, and the
// rest is summed. Which ones is decided at each collection:
//
//   - A tube that had metrics of its own keeps them as long as it exists.
//   - Where there is room, it goes to the tubes with most jobs.
//   - When there is none, a tube takes the place of the one with the fewest jobs
//     if it has more than twice as many and at least ten more.
//
// So a tube that grows is seen, and none comes and goes with each collection.

// lead is how many more jobs a tube has to have to take another's place.
const lead = 10

// sums are counts of several tubes.
type sums struct {
	tubes, paused            int
	jobs                     [queue.NumStates]int
	urgent                   int
	using, watching, waiting int
}

func (s *sums) add(t *queue.TubeStats) { s.count(t, 1) }
func (s *sums) sub(t *queue.TubeStats) { s.count(t, -1) }

func (s *sums) count(t *queue.TubeStats, sign int) {
	s.tubes += sign
	if t.Pause > 0 {
		s.paused += sign
	}
	for state, n := range t.Jobs {
		s.jobs[state] += sign * n
	}
	s.urgent += sign * t.Urgent
	s.using += sign * t.Using
	s.watching += sign * t.Watching
	s.waiting += sign * t.Waiting
}

// place is a tube that has metrics of its own.
type place struct {
	stats queue.TubeStats // as of the last collection that has seen it
	seen  bool            // in the present one

	// What was put into it and deleted of it before it had its place.
	put, deleted uint64
}

func backlog(t *queue.TubeStats) (n int) {
	for _, jobs := range t.Jobs {
		n += jobs
	}
	return n
}

// bySize orders tubes so that the one with fewest jobs is the first, and of those
// with equally many the one with the last name.
func bySize(a, b *queue.TubeStats) int {
	return cmp.Or(cmp.Compare(backlog(a), backlog(b)), cmp.Compare(b.Name, a.Name))
}

// largest are the tubes with most jobs of those offered: a heap with the smallest
// of them on top.
type largest []queue.TubeStats

func (l largest) Len() int           { return len(l) }
func (l largest) Less(i, j int) bool { return bySize(&l[i], &l[j]) < 0 }
func (l largest) Swap(i, j int)      { l[i], l[j] = l[j], l[i] }
func (l *largest) Push(any)          { panic("metrics: not used") }
func (l *largest) Pop() any          { panic("metrics: not used") }

// offer puts t among them if there are fewer than most or it is larger than the
// smallest.
func (l *largest) offer(t queue.TubeStats, most int) {
	switch {
	case len(*l) < most:
		*l = append(*l, t)
		heap.Fix(l, len(*l)-1) // without Push, which allocates
	case most > 0 && bySize(&(*l)[0], &t) < 0:
		(*l)[0] = t
		heap.Fix(l, 0)
	}
}

// places are the tubes that have metrics of their own.
type places struct {
	byName map[string]*place

	// What was put into tubes that have had a place, and deleted of them, while
	// they had it.
	put, deleted uint64

	restPut, restDeleted uint64 // as last told

	crowded bool // the last walk has left others
}

// A walk goes once over all tubes. It is made of portions, and the tubes may
// change between them.
type walk struct {
	places *places
	most   int     // tubes with metrics of their own
	others sums    // of all tubes but those
	rivals largest // tubes without a place
}

// begin begins a walk over about so many tubes, of which most may have metrics of
// their own.
func (p *places) begin(tubes, most int) *walk {
	for _, t := range p.byName {
		t.seen = false
	}
	// All that can be is allocated before the engine is held up.
	return &walk{places: p, most: most, rivals: make(largest, 0, min(most, tubes))}
}

// see takes note of a tube. One that is seen twice counts twice among the others,
// which is no great harm.
func (w *walk) see(t queue.TubeStats) {
	if own := w.places.byName[t.Name]; own != nil {
		if t.TotalJobs < own.stats.TotalJobs || t.Deletes < own.stats.Deletes { // another of that name
			w.places.leave(own)
			own.put, own.deleted = 0, 0
		}
		own.stats, own.seen = t, true
		return
	}
	w.others.add(&t)
	w.rivals.offer(t, w.most)
}

// leave keeps what is to be remembered of a tube without a place any more.
func (p *places) leave(t *place) {
	p.put += t.stats.TotalJobs - t.put
	p.deleted += t.stats.Deletes - t.deleted
}

// end decides who has places, and returns them in the order of their names.
func (w *walk) end() []*place {
	p := w.places
	if p.byName == nil {
		p.byName = map[string]*place{}
	}
	var own []*place
	for name, t := range p.byName {
		if t.seen {
			own = append(own, t)
			continue
		}
		p.leave(t)
		delete(p.byName, name)
	}
	slices.SortFunc(own, func(a, b *place) int { return bySize(&a.stats, &b.stats) })
	for len(own) > w.most { // there may be fewer than before
		w.dismiss(own[0])
		own = own[1:]
	}

	slices.SortFunc(w.rivals, func(a, b queue.TubeStats) int { return bySize(&b, &a) })
	for i := range w.rivals {
		rival := &w.rivals[i]
		if p.byName[rival.Name] != nil {
			continue // seen twice
		}
		if len(p.byName) >= w.most {
			if len(own) == 0 {
				break
			}
			n, least := backlog(rival), backlog(&own[0].stats)
			if n <= 2*least || n < least+lead {
				break
			}
			w.dismiss(own[0])
			own = own[1:]
		}
		w.others.sub(rival)
		t := &place{stats: *rival, seen: true}
		if p.crowded { // what was put into it has been counted among the others
			t.put, t.deleted = rival.TotalJobs, rival.Deletes
		}
		p.byName[rival.Name] = t
	}
	p.crowded = w.others.tubes > 0

	own = own[:0]
	for _, t := range p.byName {
		own = append(own, t)
	}
	slices.SortFunc(own, func(a, b *place) int { return cmp.Compare(a.stats.Name, b.stats.Name) })
	return own
}

// dismiss takes the place of a tube away.
func (w *walk) dismiss(t *place) {
	w.others.add(&t.stats)
	w.places.leave(t)
	delete(w.places.byName, t.stats.Name)
}

// rest returns how many jobs were put into tubes that had no place then, and
// deleted of them, given the numbers of all. Neither ever falls, though a job
// that is moved is counted in two tubes.
func (p *places) rest(put, deleted uint64) (restPut, restDeleted uint64) {
	ownPut, ownDeleted := p.put, p.deleted
	for _, t := range p.byName {
		ownPut += t.stats.TotalJobs - t.put
		ownDeleted += t.stats.Deletes - t.deleted
	}
	p.restPut = max(p.restPut, put-min(put, ownPut))
	p.restDeleted = max(p.restDeleted, deleted-min(deleted, ownDeleted))
	return p.restPut, p.restDeleted
}
