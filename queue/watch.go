package queue

import "container/heap"

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
type watchList struct {
	hash    watchHash
	clients int // that share it

	head, tail *Client // waiting, oldest first
	waiting    int

	only    *tube           // of a list of one tube; the rest is empty then
	subs    []*subscription // one for each tube
	unarmed []*subscription
	best    bestHeap
}

// subscription ties a watchList to one of its tubes.
type subscription struct {
	list *watchList
	tube *tube
	pos  int // in tube.subs

	notBefore uint64    // no client that waits on the list arrived before
	armed     int       // index in tube.armed, or -1
	top       readyItem // the tube has no smaller one
	best      int       // index in list.best, or -1
}

// watchHash stands for a set of tubes: the sum of random numbers that belong
// to its members. With 128 bits two sets do not meet by accident.
type watchHash [2]uint64

func (h *watchHash) add(t watchHash) { h[0] += t[0]; h[1] += t[1] }
func (h *watchHash) sub(t watchHash) { h[0] -= t[0]; h[1] -= t[1] }

// watchListOf returns the list that c shares with the clients that watch the
// same. O(1), and O(tubes watched) if c is the first.
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
	l := &watchList{hash: c.hash, subs: make([]*subscription, len(c.watched))}
	block := make([]subscription, len(c.watched))
	for i, t := range c.watched {
		s := &block[i]
		*s = subscription{list: l, tube: t, pos: len(t.subs), armed: -1, best: -1}
		t.subs = append(t.subs, s)
		l.subs[i] = s
	}
	l.unarmed = append(l.unarmed, l.subs...)
	e.lists[l.hash] = l
	return l
}

// leaveList takes c, which is not waiting, from its list, as it must be
// before what it watches changes.
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
	for _, s := range l.subs {
		t := s.tube
		if s.armed >= 0 {
			heap.Remove(&t.armed, s.armed)
		}
		last := len(t.subs) - 1
		t.subs[s.pos] = t.subs[last]
		t.subs[s.pos].pos = s.pos
		t.subs[last] = nil
		t.subs = t.subs[:last]
	}
	delete(e.lists, l.hash)
}

// bestTube returns the tube of l that offers the job to be given first, or
// nil; all subscriptions are armed then. Amortised O(log tubes).
func (e *Engine) bestTube(l *watchList) *tube {
	if l.only != nil {
		if l.only.offers() {
			return l.only
		}
		return nil
	}
	for _, s := range l.unarmed {
		s.notBefore = e.arrivals + 1
		heap.Push(&s.tube.armed, s)
		if !s.tube.offers() {
			continue
		}
		s.top = s.tube.ready.top()
		if s.best < 0 {
			heap.Push(&l.best, s)
		} else {
			heap.Fix(&l.best, s.best)
		}
	}
	l.unarmed = l.unarmed[:0]
	for len(l.best) > 0 {
		s := l.best[0]
		if !s.tube.offers() {
			heap.Pop(&l.best)
			continue
		}
		top := s.tube.ready.top()
		if top == s.top {
			return s.tube
		}
		s.top = top
		heap.Fix(&l.best, 0)
	}
	return nil
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
			s.list.unarmed = append(s.list.unarmed, s)
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

// startWaiting queues c on l. bestTube(l) has just returned nil.
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
