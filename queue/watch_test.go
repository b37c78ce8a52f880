package queue

import (
	"fmt"
	"testing"
)

func watchAll(e *Engine, c *Client, tubes ...string) {
	for _, tube := range tubes {
		e.Watch(c, []byte(tube))
	}
}

func TestClientsThatWatchTheSameShareAList(t *testing.T) {
	e := New(0)
	a, b := e.Connect(), e.Connect()
	list := func(c *Client) *watchList {
		e.Reserve(0, c, 0)
		return c.watches
	}
	if list(a) != list(b) {
		t.Error("two clients that watch one tube have two lists")
	}
	watchAll(e, a, "x", "y")
	watchAll(e, b, "y", "x") // in another order
	if list(a) != list(b) {
		t.Error("two clients that watch the same tubes have two lists")
	}
	watchAll(e, b, "z")
	if list(a) == list(b) {
		t.Error("two clients that watch different tubes share a list")
	}
	e.Ignore(b, []byte("z"))
	if list(a) != list(b) {
		t.Error("two clients that watch the same tubes again have two lists")
	}
}

// An offer that nobody waits for costs a list of clients one step: the tube
// does not come to it again before one of them has reserved.
func TestOfferDisarms(t *testing.T) {
	e := New(0)
	c, w := e.Connect(), e.Connect()
	watchAll(e, w, "a", "b")
	e.Use(c, []byte("a"))
	a := e.byName["a"]
	armed := func(when string, want int) {
		t.Helper()
		if got := len(a.armed); got != want {
			t.Errorf("%s: %d subscriptions armed, want %d", when, got, want)
		}
	}
	e.Reserve(0, w, 0)
	armed("after a reserve", 1)
	mustInsert(t, e, 0, c, 5, 0, nil)
	armed("after a job that nobody waited for", 0)
	mustInsert(t, e, 0, c, 4, 0, nil)
	if j, _ := e.Reserve(0, w, 0); j.ID != 2 {
		t.Errorf("Reserve = %d, want the better job, 2", j.ID)
	}
	armed("after another reserve", 1)
	mustInsert(t, e, 0, c, 6, 0, nil)
	armed("after a job that is not the tube's first", 1)
}

func TestListsLeaveNothingBehind(t *testing.T) {
	e := New(0)
	keeper := e.Connect()
	watchAll(e, keeper, "a", "b")
	for i := range 100 {
		c := e.Connect()
		watchAll(e, c, "a", "b", fmt.Sprint(i))
		e.Reserve(0, c, Forever)
		e.Disconnect(0, c)
	}
	for _, name := range []string{"default", "a", "b"} {
		tube := e.byName[name]
		if len(tube.subs)+len(tube.armed) > 0 {
			t.Errorf("tube %s: %d subscriptions, %d armed, want none", name, len(tube.subs), len(tube.armed))
		}
	}
	if len(e.lists) > 0 {
		t.Errorf("%d lists, want none", len(e.lists))
	}
	if got, want := len(e.list), 3; got != want {
		t.Errorf("%d tubes, want %d", got, want)
	}
}

func TestTubesLeaveNothingBehind(t *testing.T) {
	e := New(0)
	for round := range 3 {
		c := e.Connect()
		for i := range 3 * manyTubes {
			e.Watch(c, fmt.Append(nil, i))
		}
		e.Reserve(0, c, Forever)
		if err := e.Check(); err != nil {
			t.Fatalf("round %d, before: %v", round, err)
		}
		e.Disconnect(0, c)
		if !e.Unfinished() {
			t.Errorf("round %d: a long list is gone at once", round)
		}
		for e.Advance(0, 100) {
		}
		if err := e.Check(); err != nil {
			t.Fatalf("round %d, after: %v", round, err)
		}
		if n := cap(e.list) + cap(e.tubes) + cap(e.freeTubes); n > 10 {
			t.Errorf("round %d: room for %d tubes is left", round, n)
		}
	}
}

// A client that has a list for itself takes it along when it watches or ignores
// another tube, and no more is to be done for that than for a short one.
func TestListIsTakenAlong(t *testing.T) {
	e := New(0)
	c, other := e.Connect(), e.Connect()
	for i := range 100 {
		e.Watch(c, fmt.Append(nil, i))
	}
	reserve := func(c *Client, want Outcome) {
		t.Helper()
		_, o := e.Reserve(0, c, 0)
		for e.Advance(0, 100) {
		}
		e.TakeWakes(func(w Wake) { o = w.Outcome })
		if o != want {
			t.Errorf("Reserve: %v, want %v", o, want)
		}
		if err := e.Check(); err != nil {
			t.Error(err)
		}
	}
	reserve(c, TimedOut)
	l := c.watches
	e.portions = portions{free: 3, slice: 1}
	put := func(tube string) {
		e.Use(other, []byte(tube))
		mustInsert(t, e, 0, other, 0, 0, nil)
	}
	for range 3 {
		watchAll(e, c, "x")
		put("x")
		if _, o := e.Reserve(0, c, 0); o != Given {
			t.Errorf("Reserve from a tube more: %v", o)
		}
		put("x")
		e.Ignore(c, []byte("x"))
		if _, o := e.Reserve(0, c, 0); o != TimedOut {
			t.Errorf("Reserve from a tube less: %v", o)
		}
	}
	if c.watches != l || e.Unfinished() || len(l.subs) != 101 {
		t.Errorf("the client has another list, or one of %d tubes", len(l.subs))
	}

	// With the same tubes as another client it shares that one's list again.
	watchAll(e, other, "a", "b")
	reserve(other, TimedOut)
	for i := range 100 {
		e.Ignore(c, fmt.Append(nil, i))
	}
	watchAll(e, c, "a", "b")
	reserve(c, TimedOut)
	if c.watches != other.watches || len(e.lists) != 1 {
		t.Errorf("two clients that watch the same have %d lists", len(e.lists))
	}
	watchAll(e, c, "z") // and leaves it to the other
	reserve(c, TimedOut)
	if c.watches == other.watches || len(e.lists) != 2 {
		t.Errorf("two clients that watch something else have %d lists", len(e.lists))
	}
	if cap(c.watches.subs) > 10 || cap(c.watched) > roomyList {
		t.Errorf("room for %d tubes is left of 100", cap(c.watches.subs))
	}
}
