package queue

import (
	"iter"

	"spoked/wheel"
)

// A Client is a connection as the engine sees it: what it uses and watches,
// the jobs it has reserved, and whether it waits for one. The engine makes
// it (Connect) and it is gone after Disconnect.
type Client struct {
	Data any // the caller's

	number  uint32 // in Engine.clients; reservations refer to their owner by it
	used    *tube
	watched []*tube
	index   map[*tube]int // of watched, once that is long
	hash    watchHash     // of watched
	watches *watchList    // shared by all that watch the same; nil until needed after a change

	reserved struct{ head, tail uint32 } // slots of its reserved jobs, oldest first
	soon     int                         // of these, in the last second before their deadline

	producer, worker bool

	// While it is busy:
	kick     *kicking
	pending  bool  // in a reserve, as soon as its list is settled
	forever  bool  // may that wait then,
	deadline int64 // or until when

	// While it waits in a reserve:
	waiting    bool
	arrived    uint64 // the number of its wait, counted over all clients
	prev, next *Client
	timer      wheel.Timer // of the reserve's timeout
}

// Waiting reports whether the client waits in a reserve, or for what it has
// asked to be done. It must issue no command.
func (c *Client) Waiting() bool { return c.waiting || c.Busy() }

// Busy reports whether what the client has asked is being done, in portions.
func (c *Client) Busy() bool { return c.kick != nil || c.pending }

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
	e.stats.Connections++
	e.stats.TotalConnections++
	return c
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
