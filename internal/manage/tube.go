package manage

import (
	"cmp"
	"context"
	"math"
	"slices"
	"strings"
	"time"

	"spoked/queue"
)

// Tubes returns the names of the tubes that begin with prefix, sorted. It looks at
// all tubes, in portions.
func (m *Manager) Tubes(ctx context.Context, prefix string) ([]string, error) {
	var names []string
	err := m.eachTube(ctx, func(s *queue.TubeStats) {
		if strings.HasPrefix(s.Name, prefix) {
			names = append(names, s.Name)
		}
	})
	slices.Sort(names)
	return slices.Compact(names), err
}

// Busiest returns the counts of the tubes with the most jobs that are ready and
// workers that wait, at most so many, the busiest first and those that are alike by
// name. It looks at all tubes, in portions.
func (m *Manager) Busiest(ctx context.Context, most int) ([]queue.TubeStats, error) {
	order := func(a, b queue.TubeStats) int {
		return cmp.Or(cmp.Compare(b.Jobs[queue.Ready]+b.Waiting, a.Jobs[queue.Ready]+a.Waiting), cmp.Compare(a.Name, b.Name))
	}
	var all []queue.TubeStats // in order
	err := m.eachTube(ctx, func(s *queue.TubeStats) {
		if len(all) == most && order(*s, all[most-1]) >= 0 {
			return
		}
		// One that comes twice is the newer.
		if i := slices.IndexFunc(all, func(t queue.TubeStats) bool { return t.Name == s.Name }); i >= 0 {
			all = slices.Delete(all, i, i+1)
		}
		i, _ := slices.BinarySearchFunc(all, *s, order)
		if all = slices.Insert(all, i, *s); len(all) > most {
			all = all[:most]
		}
	})
	return all, err
}

// mostTubes is how many tubes a portion looks at: their counts are copied.
const mostTubes = 1024

// eachTube calls f with the counts of each tube, in no order. It looks at them in
// portions, so they are of different moments, and one may come twice.
func (m *Manager) eachTube(ctx context.Context, f func(*queue.TubeStats)) error {
	p := newPace()
	at := math.MaxInt
	var stats []queue.TubeStats
	for at > 0 {
		most := min(p.work, mostTubes)
		stats = slices.Grow(stats[:0], most)
		err := m.portion(ctx, &p, m.view, func(e *queue.Engine, now int64) {
			last := 0
			for i, s := range e.TubesBelow(now, at) {
				if stats = append(stats, s); len(stats) == most {
					last = i
					break
				}
			}
			at = last
		})
		if err != nil {
			return err
		}
		for i := range stats {
			f(&stats[i])
		}
	}
	return nil
}

// TubeStats calls f with the counts of the named tubes, in that order, and leaves
// out those that have gone. It takes them in portions, so they may be of
// different moments.
func (m *Manager) TubeStats(ctx context.Context, names []string, f func(queue.TubeStats)) error {
	p := newPace()
	for len(names) > 0 {
		n := 0
		stats := make([]queue.TubeStats, 0, min(len(names), p.work))
		err := m.portion(ctx, &p, m.view, func(e *queue.Engine, now int64) {
			for ; n < min(len(names), p.work); n++ {
				if s, err := e.TubeStats(now, []byte(names[n])); err == nil {
					stats = append(stats, s)
				}
			}
		})
		if err != nil {
			return err
		}
		names = names[n:]
		for _, s := range stats {
			f(s)
		}
	}
	return nil
}

// Tube returns the counts of a tube.
func (m *Manager) Tube(tube string) (s queue.TubeStats, err error) {
	m.server.View(func(e *queue.Engine, now int64) { s, err = e.TubeStats(now, []byte(tube)) })
	return s, err
}

// oldestLooks is how many jobs of a tube are looked at for the oldest.
const oldestLooks = 2_000_000

// OldestReady calls found for those of the tubes that have ready jobs, with the
// index of the tube and the instant at which the oldest of them was put. It looks at
// two million of a tube at most, those first that are served first: if all have the
// same priority, the oldest is the first of them. The instant is of a moment in which
// jobs come and go: one that is moved in the heap while it is looked through can be
// missed.
func (m *Manager) OldestReady(ctx context.Context, tubes []string, found func(i int, created int64)) error {
	type oldest struct {
		tube    int
		created int64
	}
	at, pos := oldest{created: math.MaxInt64}, 0
	p := newPace()
	for at.tube < len(tubes) {
		var all []oldest
		err := m.portion(ctx, &p, m.view, func(e *queue.Engine, _ int64) {
			const stepsOfOne = 4 // a tube is worth so many jobs
			for left := p.work; left > 0 && at.tube < len(tubes); left -= stepsOfOne {
				begin := pos
				created, end := e.OldestReady(tubes[at.tube], &pos, left)
				at.created = min(at.created, created)
				left -= pos - begin
				if !end && pos < oldestLooks {
					break
				}
				if at.created != math.MaxInt64 {
					all = append(all, at)
				}
				at, pos = oldest{at.tube + 1, math.MaxInt64}, 0
			}
		})
		if err != nil {
			return err
		}
		for _, o := range all {
			found(o.tube, o.created)
		}
	}
	return nil
}

// Pause keeps the jobs of a tube from being reserved for so long, or with 0 ends
// its pause. It returns the tube's counts.
func (m *Manager) Pause(ctx context.Context, tube string, d time.Duration) (s queue.TubeStats, err error) {
	err = m.do(ctx, func(e *queue.Engine, now int64) error {
		if err := e.Pause(now, []byte(tube), d); err != nil {
			return err
		}
		// A tube that was there for its pause alone has gone.
		if s, err = e.TubeStats(now, []byte(tube)); err != nil {
			s = queue.TubeStats{Name: tube}
		}
		return nil
	})
	return s, err
}

// Clear deletes the jobs of a tube that are in one of those states, and returns
// how many. If ctx ends, the clear goes on.
func (m *Manager) Clear(ctx context.Context, tube string, states queue.StateSet) (n int, err error) {
	return m.long(ctx, func(e *queue.Engine, now int64, c *queue.Client) (uint32, bool, error) {
		return e.Clear(now, c, []byte(tube), states)
	})
}

// DeleteTube deletes all jobs of a tube, those that are reserved included, and
// ends its pause. It returns how many jobs there were.
func (m *Manager) DeleteTube(ctx context.Context, tube string) (n int, err error) {
	return m.long(ctx, func(e *queue.Engine, now int64, c *queue.Client) (uint32, bool, error) {
		s, err := e.TubeStats(now, []byte(tube))
		if err != nil {
			return 0, false, err
		}
		e.Use(c, []byte(tube)) // keeps it
		n, done, err := e.Clear(now, c, []byte(tube), queue.AllStates)
		if err == nil && s.Pause > 0 {
			err = e.Pause(now, []byte(tube), 0)
		}
		return n, done, err
	})
}

// Kick makes buried jobs of a tube ready, or else delayed ones, at most so many.
// If ctx ends, it goes on.
func (m *Manager) Kick(ctx context.Context, tube string, count uint32) (n int, err error) {
	return m.long(ctx, func(e *queue.Engine, now int64, c *queue.Client) (uint32, bool, error) {
		if _, err := e.TubeStats(now, []byte(tube)); err != nil {
			return 0, false, err
		}
		e.Use(c, []byte(tube))
		n, done := e.Kick(now, c, count)
		return n, done, nil
	})
}

// long does what may take several portions: f begins it for a client, which is
// woken when it is done unless it is done at once.
func (m *Manager) long(ctx context.Context, f func(e *queue.Engine, now int64, c *queue.Client) (uint32, bool, error)) (int, error) {
	g := newGuest()
	var c *queue.Client
	var n uint32
	done := true // if the server has ended
	var err error
	batch := m.server.Do(func(e *queue.Engine, now int64) {
		c = e.Attach()
		c.Data = g
		if n, done, err = f(e, now, c); done || err != nil {
			e.Disconnect(now, c)
			c = nil
		}
	})
	if err != nil {
		return 0, err
	}
	if !done {
		var ended error
		select {
		case w := <-g.woken:
			n = w.Count
		case <-ctx.Done():
			ended = context.Cause(ctx)
		case <-m.stopping:
			ended = ErrStopping
		}
		batch = m.server.Do(func(e *queue.Engine, now int64) { e.Disconnect(now, c) })
		if ended != nil {
			return 0, ended
		}
	}
	return int(n), m.server.Await(ctx, batch)
}

// Status is the counts of all.
type Status struct {
	queue.Stats
	BodyBytes int64
	Draining  bool
}

// Status returns the counts of all.
func (m *Manager) Status() (s Status) {
	m.server.View(func(e *queue.Engine, _ int64) {
		s = Status{Stats: e.Stats(), BodyBytes: e.BodyBytes(), Draining: e.Draining()}
	})
	return s
}

// Drain has puts refused from now on, or taken again.
func (m *Manager) Drain(on bool) {
	m.server.Do(func(e *queue.Engine, _ int64) {
		if on {
			e.Drain()
		} else {
			e.Undrain()
		}
	})
}

// A Connection is a client of the engine.
type Connection struct {
	Data             any // the session's, or nothing that says anything
	Attached         bool
	Using            string
	Watching         []string // the first of them
	Watched, Held    int
	Producer, Worker bool
	Waiting          bool
}

// Connections calls choose with each client of the engine, those that are no
// connections included (attached), and f with those that it has chosen, while the
// mutex is held: they must be quick.
func (m *Manager) Connections(watching int, choose func(data any, attached bool) bool, f func(Connection)) {
	m.server.View(func(e *queue.Engine, _ int64) {
		for c := range e.EachClient() {
			if c == m.holder || !choose(c.Data, c.Attached()) {
				continue
			}
			k := Connection{
				Data: c.Data, Attached: c.Attached(), Using: c.Used(), Watched: c.Watching(), Held: c.Held(),
				Producer: c.Producer(), Worker: c.Worker(), Waiting: c.Waiting(),
			}
			for name := range c.Watched() {
				if len(k.Watching) == watching {
					break
				}
				k.Watching = append(k.Watching, name)
			}
			f(k)
		}
	})
}
