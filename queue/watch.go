package queue

import (
	"container/heap"
	"slices"
)

// Who gets a job: of all clients that wait for one of its tube, the one that
// has waited longest. Which job a client gets: the smallest (pri, id) of all
// tubes that it watches and that are not paused. Neither may take longer for
// there being many tubes or clients.
//
// Clients that watch the same tubes share one watchList, on which they queue
// in order of arrival. For a list of one tube, by far the most common, there
// is nothing else to keep: the tube knows it (tube.solo). A longer list has a
// subscription to each of its tubes, which is in one of two states:
//
//	armed    The tube has it in a heap by (not later than) the arrival of the
//	         list's oldest waiting client, and will come to it when it has a
//	         job to offer that it did not have before.
//	unarmed  The tube came to it and found nobody waiting. The list must look
//	         at the tube itself at its next reserve, and arms it again.
//
// So an offer that nobody waits for costs a list one step, and no more until
// the list has taken note of it. What it notes goes into its heap of best
// tubes, by the key of their first job; there a tube may turn out to have
// nothing, or a later job, but never an earlier one.
//
// For example, list L watches a and b, list M watches b and c:
//
//	a client of L waits           L is armed at a and at b
//	a job is put into b           b finds L's client in its heap: it gets the job
//	another is put into b         b finds nobody on L, nor on M: both unarmed at b
//	more are put into b           b has nobody to ask
//	a client of M reserves        M looks at b, notes its first job, is armed again,
//	                              and takes the job
//
// Invariants: a list with waiting clients has all its subscriptions armed;
// a tube that offers a job has no waiting client.
//
// A list can be long, so all that goes through one is a task (portion.go): to make
// the subscriptions of a new list, to arm many, to find the first of many best
// tubes that has something, and to dissolve a list that nobody shares any more. A
// reserve that comes to a list which is not settled is pending until that is done.
// A client that has a list for itself takes it along when it watches or ignores
// one tube more.
type watchList struct {
	hash    watchHash
	clients int // that share it

	head, tail *Client // waiting, oldest first
	waiting    int

	only    *tube           // of a list of one tube; the rest is empty then
	missing []*tube         // to which it has no subscription yet
	subs    []*subscription // one for each of the other tubes
	unarmed []*subscription
	best    bestHeap
	block   []subscription // to be used next

	preparing bool      // there is a task of that name
	pending   []*Client // in a reserve that is to be done then, oldest first
	gone      bool      // it is being dissolved
}

// subscription ties a watchList to one of its tubes.
type subscription struct {
	list *watchList
	tube *tube
	pos  int // in tube.subs
	at   int // in list.subs

	notBefore uint64    // no client that waits on the list arrived before
	armed     int       // index in tube.armed, or -1
	unarmed   int       // index in list.unarmed, or -1
	top       readyItem // the tube has no smaller one
	best      int       // index in list.best, or -1
}

// watchHash stands for a set of tubes: the sum of random numbers that belong
// to its members. With 128 bits two sets do not meet by accident.
type watchHash [2]uint64

func (h *watchHash) add(t watchHash) { h[0] += t[0]; h[1] += t[1] }
func (h *watchHash) sub(t watchHash) { h[0] -= t[0]; h[1] -= t[1] }

// watchListOf returns the list that c shares with the clients that watch the
// same. O(1), and if c is the first, what it takes to copy a list of the tubes.
func (e *Engine) watchListOf(c *Client) *watchList {
	if c.watches != nil {
		return c.watches
	}
	l := e.soloList(c)
	if l == nil {
		if l = e.lists[c.hash]; l == nil {
			l = e.newList(c)
		}
	}
	l.clients++
	c.watches = l
	return l
}

// soloList returns the list of the only tube that c watches, or nil if it
// watches several.
func (e *Engine) soloList(c *Client) *watchList {
	if len(c.watched) > 1 {
		return nil
	}
	t := c.watched[0]
	if t.solo == nil {
		t.solo = &watchList{only: t}
	}
	return t.solo
}

func (e *Engine) newList(c *Client) *watchList {
	l := &watchList{hash: c.hash, missing: slices.Clone(c.watched)}
	e.lists[l.hash] = l
	e.mostLists = max(e.mostLists, len(e.lists))
	return l
}

const (
	subsBlock = 256 // subscriptions made at a time
	roomyList = 64  // a longer list may have too much room
)

// listToChange returns the list of c if it can change with what c watches,
// which has changed; if it cannot, c has left it.
func (e *Engine) listToChange(c *Client) *watchList {
	l := c.watches
	if l == nil {
		return nil
	}
	if l.only != nil || l.clients > 1 || len(c.watched) == 1 || e.lists[c.hash] != nil ||
		cap(l.subs) > roomyList && len(c.watched) < cap(l.subs)/4 {
		e.leaveList(c)
		return nil
	}
	delete(e.lists, l.hash)
	l.hash = c.hash
	e.lists[l.hash] = l
	return l
}

// leaveList takes c, which is not waiting, from its list.
func (e *Engine) leaveList(c *Client) {
	l := c.watches
	if l == nil {
		return
	}
	c.watches = nil
	l.clients--
	if l.clients > 0 || l.only != nil {
		return
	}
	delete(e.lists, l.hash)
	if len(e.lists) == 0 && e.mostLists > manyTubes { // let go of the room they took
		e.lists, e.mostLists = map[watchHash]*watchList{}, 0
	}
	l.gone = true
	l.missing, l.unarmed, l.best, l.block = nil, nil, nil, nil
	e.begin(0, dissolving{l})
}

// dissolving is the end of a list.
type dissolving struct{ list *watchList }

func (d dissolving) step(*Engine, int64) bool {
	l := d.list
	if n := len(l.subs); n > 0 {
		l.unsubscribe(l.subs[n-1])
	}
	return len(l.subs) == 0
}

func (d dissolving) end(*Engine, int64) {}

func (l *watchList) subscribe(t *tube) {
	if len(l.block) == 0 {
		l.block = make([]subscription, min(1+len(l.missing), subsBlock))
	}
	s := &l.block[0]
	l.block = l.block[1:]
	*s = subscription{list: l, tube: t, pos: len(t.subs), at: len(l.subs), armed: -1, best: -1}
	t.subs = append(t.subs, s)
	l.subs = append(l.subs, s)
	l.listUnarmed(s)
}

// find returns the subscription to t, which there is. O(lists with t), or if
// that is less O(tubes).
func (l *watchList) find(t *tube) *subscription {
	if len(l.subs) < len(t.subs) {
		return l.subs[slices.IndexFunc(l.subs, func(s *subscription) bool { return s.tube == t })]
	}
	return t.subs[slices.IndexFunc(t.subs, func(s *subscription) bool { return s.list == l })]
}

// unsubscribe takes out s. O(log lists + log tubes).
func (l *watchList) unsubscribe(s *subscription) {
	t := s.tube
	switch {
	case s.armed >= 0:
		heap.Remove(&t.armed, s.armed)
	case !l.gone:
		l.unlistUnarmed(s)
	}
	if s.best >= 0 && !l.gone {
		heap.Remove(&l.best, s.best)
	}
	last := len(t.subs) - 1
	t.subs[s.pos] = t.subs[last]
	t.subs[s.pos].pos = s.pos
	t.subs[last] = nil
	t.subs = t.subs[:last]
	if last == 0 && cap(t.subs) > roomyList {
		t.subs, t.armed = nil, nil
	}
	last = len(l.subs) - 1
	l.subs[s.at] = l.subs[last]
	l.subs[s.at].at = s.at
	l.subs[last] = nil
	l.subs = l.subs[:last]
}

func (l *watchList) listUnarmed(s *subscription) {
	s.unarmed = len(l.unarmed)
	l.unarmed = append(l.unarmed, s)
}

func (l *watchList) unlistUnarmed(s *subscription) {
	last := len(l.unarmed) - 1
	l.unarmed[s.unarmed] = l.unarmed[last]
	l.unarmed[s.unarmed].unarmed = s.unarmed
	l.unarmed[last] = nil
	l.unarmed = l.unarmed[:last]
	s.unarmed = -1
}

// arm arms s, and takes note of what its tube has. O(log lists + log tubes).
func (l *watchList) arm(e *Engine, s *subscription) {
	l.unlistUnarmed(s)
	s.notBefore = e.arrivals + 1
	heap.Push(&s.tube.armed, s)
	if !s.tube.offers() {
		return
	}
	s.top = s.tube.ready.top()
	if s.best < 0 {
		heap.Push(&l.best, s)
	} else {
		heap.Fix(&l.best, s.best)
	}
}

// settled reports whether first can tell.
func (l *watchList) settled() bool {
	return l.only != nil || len(l.missing) == 0 && len(l.unarmed) == 0 && l.sifted()
}

// sifted reports whether the first of the best tubes offers what it is there for.
func (l *watchList) sifted() bool {
	if len(l.best) == 0 {
		return true
	}
	s := l.best[0]
	return s.tube.offers() && s.tube.ready.top() == s.top
}

// sift brings the first of the best tubes to where it belongs. O(log tubes).
func (l *watchList) sift() {
	s := l.best[0]
	if !s.tube.offers() {
		heap.Pop(&l.best)
		return
	}
	s.top = s.tube.ready.top()
	heap.Fix(&l.best, 0)
}

// first returns the tube of l, which is settled, that offers the job to be given
// first, or nil; all subscriptions are armed then. O(1).
func (l *watchList) first() *tube {
	switch {
	case l.only != nil && l.only.offers():
		return l.only
	case len(l.best) > 0:
		return l.best[0].tube
	}
	return nil
}

// preparing is what settles a list, and then does the reserves that are pending.
type preparing struct{ list *watchList }

func (p preparing) step(e *Engine, now int64) bool {
	l := p.list
	switch {
	case l.gone:
		return true
	case len(l.missing) > 0:
		last := len(l.missing) - 1
		t := l.missing[last]
		l.missing = l.missing[:last]
		l.subscribe(t)
		if last == 0 {
			l.missing = nil
		}
	case len(l.unarmed) > 0:
		l.arm(e, l.unarmed[len(l.unarmed)-1])
	case !l.sifted():
		l.sift()
	case len(l.pending) > 0:
		c := l.pending[0]
		l.pending[0] = nil
		l.pending = l.pending[1:]
		if !c.pending {
			return false // it has gone
		}
		c.pending = false
		if slot, o := e.reserve(now, c); o != Waiting {
			e.wakes = append(e.wakes, wake{client: c, outcome: o, slot: slot})
		}
	default:
		return true
	}
	return false
}

func (p preparing) end(*Engine, int64) { p.list.preparing, p.list.pending = false, nil }

// pend has the reserve of c done when l is settled.
func (e *Engine) pend(c *Client, l *watchList) {
	c.pending = true
	l.pending = append(l.pending, c)
	if !l.preparing {
		l.preparing = true
		e.later(preparing{l})
	}
}

// oldestWaiting returns the client that has waited longest for a job of t, or
// nil; no subscription to t is armed then. Amortised O(log lists).
func (t *tube) oldestWaiting() *Client {
	var oldest *Client
	if t.solo != nil {
		oldest = t.solo.head
	}
	for len(t.armed) > 0 {
		s := t.armed[0]
		if oldest != nil && oldest.arrived <= s.notBefore {
			break
		}
		c := s.list.head
		if c == nil {
			heap.Pop(&t.armed)
			if !s.list.gone {
				s.list.listUnarmed(s)
			}
			continue
		}
		if c.arrived != s.notBefore { // others have been served since
			s.notBefore = c.arrived
			heap.Fix(&t.armed, 0)
			continue
		}
		oldest = c
	}
	return oldest
}

// startWaiting queues c on l. l.first has just returned nil.
func (e *Engine) startWaiting(c *Client, l *watchList) {
	e.arrivals++
	c.arrived = e.arrivals
	c.waiting = true
	c.prev, c.next = l.tail, nil
	if l.tail == nil {
		l.head = c
	} else {
		l.tail.next = c
	}
	l.tail = c
	l.waiting++
	e.stats.Waiting++
}

// stopWaiting takes c from the queue of its list.
func (e *Engine) stopWaiting(c *Client) {
	l := c.watches
	if c.prev == nil {
		l.head = c.next
	} else {
		c.prev.next = c.next
	}
	if c.next == nil {
		l.tail = c.prev
	} else {
		c.next.prev = c.prev
	}
	c.prev, c.next = nil, nil
	c.waiting = false
	l.waiting--
	e.stats.Waiting--
	if c.timer != 0 {
		e.hub.Remove(c.timer)
		c.timer = 0
	}
}

// waitingClients returns how many clients wait for a job of t. O(different
// watch lists with t in them).
func (t *tube) waitingClients() int {
	n := 0
	if t.solo != nil {
		n = t.solo.waiting
	}
	for _, s := range t.subs {
		n += s.list.waiting
	}
	return n
}

// armedHeap is a tube's armed subscriptions, longest wait first.
type armedHeap = heapBy[byWait]

// bestHeap is a list's subscriptions to tubes that had a job, smallest first.
type bestHeap = heapBy[byJob]

type byWait struct{}

func (byWait) less(a, b *subscription) bool { return a.notBefore < b.notBefore }
func (byWait) place(s *subscription) *int   { return &s.armed }

type byJob struct{}

func (byJob) less(a, b *subscription) bool { return a.top.less(b.top) }
func (byJob) place(s *subscription) *int   { return &s.best }

// heapBy is a heap of subscriptions in an order, each of which knows its place
// in it, -1 if it is not there. It is for the functions of container/heap.
type heapBy[O interface {
	less(a, b *subscription) bool
	place(s *subscription) *int
}] []*subscription

func (h heapBy[O]) Len() int { return len(h) }

func (h heapBy[O]) Less(i, j int) bool {
	var order O
	return order.less(h[i], h[j])
}

func (h heapBy[O]) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	var order O
	*order.place(h[i]), *order.place(h[j]) = i, j
}

// Push implements heap.Interface.
func (h *heapBy[O]) Push(x any) {
	var order O
	s := x.(*subscription)
	*order.place(s) = len(*h)
	*h = append(*h, s)
}

// Pop implements heap.Interface.
func (h *heapBy[O]) Pop() any {
	var order O
	last := len(*h) - 1
	s := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	*order.place(s) = -1
	return s
}
