package queue

import (
	"iter"

	"spoked/wheel"
)

// A Client is a connection as the engine sees it: what it uses and watches,
// the jobs it has reserved, and whether it waits for one. The engine makes
// it (Connect, or Attach for one that is no connection) and it is gone after
// Disconnect.
type Client struct {
	Data any // the caller's

	number  uint32 // in Engine.clients; reservations refer to their owner by it
	used    *tube
	watched []*tube
	index   map[*tube]int // of watched, once that is long
	hash    watchHash     // of watched
	watches *watchList    // shared by all that watch the same; nil until needed after a change

	reserved struct{ head, tail uint32 } // slots of its reserved jobs, oldest first
	held     int                         // how many these are
	soon     int                         // of these, in the last second before their deadline

	producer, worker bool
	hidden           bool // it is neither, whatever it does
	attached         bool // it is no connection

	// While it is busy:
	kick     *kicking
	clear    *clearing
	pending  bool  // in a reserve, as soon as its list is settled
	forever  bool  // may that wait then,
	deadline int64 // or until when

	// While it waits in a reserve:
	waiting    bool
	since      int64  // the instant of its reserve
	arrived    uint64 // the number of its wait, counted over all clients
	prev, next *Client
	timer      wheel.Timer // of the reserve's timeout
}

// Waiting reports whether the client waits in a reserve, or for what it has
// asked to be done. It must issue no command.
func (c *Client) Waiting() bool { return c.waiting || c.Busy() }

// Busy reports whether what the client has asked is being done, in portions.
func (c *Client) Busy() bool { return c.kick != nil || c.clear != nil || c.pending }

// WaitingSince returns the instant of the reserve that the client waits in, and
// false if it does not wait in one.
func (c *Client) WaitingSince() (at int64, ok bool) {
	if !c.waiting && !c.pending {
		return 0, false
	}
	return c.since, true
}

// Held returns how many jobs the client has reserved. O(1).
func (c *Client) Held() int { return c.held }

// Producer reports whether the client has ever begun a put.
func (c *Client) Producer() bool { return c.producer }

// Worker reports whether the client has ever reserved, or tried to.
func (c *Client) Worker() bool { return c.worker }

// Attached reports whether the client is no connection.
func (c *Client) Attached() bool { return c.attached }

// Used returns the name of the tube that puts go to.
func (c *Client) Used() string { return c.used.name }

// Watching returns the number of tubes watched, at least one.
func (c *Client) Watching() int { return len(c.watched) }

// Watched yields the names of the tubes watched, in beanstalkd's order: a new
// one goes to the end, and the last one takes the place of one removed.
func (c *Client) Watched() iter.Seq[string] { return names(c.watched) }

func names(tubes []*tube) iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, t := range tubes {
			if !yield(t.name) {
				return
			}
		}
	}
}

// longWatchList is the length from which a client's list of watched tubes
// has an index.
const longWatchList = 16

// find returns the place of t among the tubes watched, or -1.
func (c *Client) find(t *tube) int {
	if c.index != nil {
		if i, ok := c.index[t]; ok {
			return i
		}
		return -1
	}
	for i, w := range c.watched {
		if w == t {
			return i
		}
	}
	return -1
}

func (c *Client) add(t *tube) {
	c.watched = append(c.watched, t)
	c.hash.add(t.hash)
	if c.index != nil {
		c.index[t] = len(c.watched) - 1
	} else if len(c.watched) > longWatchList {
		c.index = make(map[*tube]int, 2*longWatchList)
		for i, w := range c.watched {
			c.index[w] = i
		}
	}
}

func (c *Client) remove(i int) {
	t, last := c.watched[i], len(c.watched)-1
	c.hash.sub(t.hash)
	c.watched[i] = c.watched[last]
	c.watched[last] = nil
	c.watched = c.watched[:last]
	if cap(c.watched) > roomyList && last < cap(c.watched)/4 {
		c.watched = append(make([]*tube, 0, cap(c.watched)/2), c.watched...)
	}
	switch {
	case c.index == nil:
	case last <= longWatchList/2:
		c.index = nil
	default:
		delete(c.index, t)
		if i < last {
			c.index[c.watched[i]] = i
		}
	}
}

// Connect returns a new client, which uses "default" and watches it alone.
func (e *Engine) Connect() *Client {
	c := e.newClient()
	e.stats.Connections++
	e.stats.TotalConnections++
	return c
}

// Attach returns a new client that is no connection: Stats do not count it as
// one, but for the rest, as a producer, a worker, and as one who waits, uses and
// watches, it is like any other.
func (e *Engine) Attach() *Client {
	c := e.newClient()
	c.attached = true
	return c
}

// AttachHidden returns a new client as Attach does, for who does things for others
// and is there as long as the engine: TubeStats do not count it as one who uses and
// watches "default", nor Stats as a producer or a worker. What else it uses, it must
// not use for longer than a moment, and it must watch nothing else, and not
// disconnect.
func (e *Engine) AttachHidden() *Client {
	e.hidden++
	c := e.Attach()
	c.hidden = true
	return c
}

// newClient returns a client that is not counted yet.
func (e *Engine) newClient() *Client {
	c := &Client{used: e.defaultTube, watched: make([]*tube, 0, 1)}
	if n := len(e.freeClients); n > 0 {
		c.number = e.freeClients[n-1]
		e.freeClients = e.freeClients[:n-1]
		e.clients[c.number] = c
	} else {
		c.number = uint32(len(e.clients))
		e.clients = append(e.clients, c)
	}
	c.add(e.defaultTube)
	e.defaultTube.using++
	e.defaultTube.watching++
	return c
}

// EachClient yields all clients, those included whose end is not done with. The
// engine must not be changed meanwhile. O(clients).
func (e *Engine) EachClient() iter.Seq[*Client] {
	return func(yield func(*Client) bool) {
		for _, c := range e.clients {
			if c != nil && !yield(c) {
				return
			}
		}
	}
}

// Hand passes the reservation of the job with that id from c to d, with what is
// left of its TTR; d must not have been disconnected. If that is a second or
// less and d waits, d gets DeadlineSoon. It returns ErrNotFound if c has not
// reserved the job. O(1).
func (e *Engine) Hand(now int64, c, d *Client, id uint64) error {
	slot := e.reservedBy(c, id)
	if slot == 0 {
		return ErrNotFound
	}
	if c == d {
		return nil
	}
	w := e.workAt(slot)
	e.unlinkReserved(w, c)
	e.linkReserved(slot, w, d)
	if w.soon {
		c.soon--
		d.soon++
		if d.waiting {
			e.wake(d, DeadlineSoon, 0)
		}
	}
	return nil
}

// Disconnect ends c. Its reserved jobs become ready, in the order in which
// they were reserved, and may be given to waiting clients. O(jobs reserved +
// tubes watched); if they are many, Advance goes on with it, and c is counted
// until then.
func (e *Engine) Disconnect(now int64, c *Client) {
	switch {
	case c.waiting:
		e.stopWaiting(c)
	case c.kick != nil:
		c.kick.client = nil // it goes on
		c.kick = nil
	case c.clear != nil:
		c.clear.client = nil // so does this
		c.clear = nil
	case c.pending:
		c.pending = false
	}
	e.leaveList(c)
	c.index = nil
	e.begin(now, leaving{c})
}

// Use has the puts, kicks and peeks of c go to the named tube, which is made
// if there is none.
func (e *Engine) Use(c *Client, name []byte) {
	t := e.makeTube(name)
	t.using++ // before the old one is let go: it may be the same
	c.used.using--
	e.dropUnused(c.used)
	c.used = t
}

// Watch adds the named tube, which is made if there is none, to those that c
// reserves from.
func (e *Engine) Watch(c *Client, name []byte) {
	t := e.makeTube(name)
	if c.find(t) >= 0 {
		return
	}
	c.add(t)
	t.watching++
	if l := e.listToChange(c); l != nil {
		l.subscribe(t)
	}
}

// Ignore takes the named tube from those that c reserves from. Ignoring a
// tube that is not watched does nothing; ignoring the last one is refused
// with ErrNotIgnored.
func (e *Engine) Ignore(c *Client, name []byte) error {
	t := e.byName[string(name)]
	if t == nil {
		return nil
	}
	i := c.find(t)
	if i < 0 {
		return nil
	}
	if len(c.watched) == 1 {
		return ErrNotIgnored
	}
	c.remove(i)
	if l := e.listToChange(c); l != nil {
		l.unsubscribe(l.find(t))
	}
	t.watching--
	e.dropUnused(t)
	return nil
}

// HeldBy yields the ids of the jobs that the client has reserved, the first first.
// The engine must not be changed meanwhile.
func (e *Engine) HeldBy(c *Client) iter.Seq[uint64] {
	return func(yield func(uint64) bool) {
		for slot := c.reserved.head; slot != 0; slot = e.workAt(slot).next {
			if !yield(e.jobs.At(slot).id) {
				return
			}
		}
	}
}
