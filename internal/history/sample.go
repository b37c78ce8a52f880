package history

import (
	"context"
	"maps"
	"math"
	"slices"
	"time"

	"spoked/queue"
)

// sample takes one, and publishes it.
func (h *History) sample(ctx context.Context, at time.Time) {
	s := &Snapshot{At: at}
	h.server.View(func(e *queue.Engine, now int64) {
		s.Instant, s.Stats, s.Draining = now, e.Stats(), e.Draining()
		s.Bytes = e.BodyBytes()
	})
	s.Complete = h.lookAtTubes(ctx)
	h.lookForOldest(ctx)
	s.Point = h.point(s)
	s.Tubes = make(map[string]*Tube, len(h.tubes))
	for name, t := range h.tubes {
		s.Tubes[name] = t.publish(s.Instant)
	}
	h.publish(s)
}

// point returns the point of all tubes.
func (h *History) point(s *Snapshot) Point {
	p := Point{
		At:    uint32(s.At.Unix()),
		Ready: uint32(s.Stats.Jobs[queue.Ready]), Delayed: uint32(s.Stats.Jobs[queue.Delayed]),
		Reserved: uint32(s.Stats.Jobs[queue.Reserved]), Buried: uint32(s.Stats.Jobs[queue.Buried]),
		Waiting: uint32(s.Stats.Waiting),
	}
	if d := seconds(s.Instant - h.lastAt); h.lastAt != 0 && d > 0 {
		p.Puts = float32(rate(s.Stats.TotalJobs, h.last.TotalJobs, d))
		p.Reserves = float32(rate(s.Stats.Reserves, h.last.Reserves, d))
		p.Deletes = float32(rate(s.Stats.Deletes, h.last.Deletes, d))
		p.Timeouts = float32(rate(s.Stats.Timeouts, h.last.Timeouts, d))
	}
	h.last, h.lastAt = s.Stats, s.Instant
	return p
}

func seconds(ns int64) float64 { return float64(ns) / float64(time.Second) }

// rate is by how much a counter has risen in d seconds; one that has begun anew
// has not.
func rate(now, before uint64, d float64) float64 {
	if now < before {
		return 0
	}
	return float64(now-before) / d
}

// lookAtTubes goes on with the walk through all tubes, and reports whether what is
// known of them is of this walk or the last.
func (h *History) lookAtTubes(ctx context.Context) (complete bool) {
	complete = true
	for looked := 0; looked < sampleTubes; {
		n, ended := 0, false
		h.server.View(func(e *queue.Engine, now int64) {
			ended = true
			for i, s := range e.TubesBelow(now, h.walk) {
				if n == portionTubes {
					ended = false
					break
				}
				n++
				h.walk = i
				if t := h.track(s.Name); t != nil {
					pos := 0
					t.turn, t.top = h.turn, math.MaxInt64
					if s.Jobs[queue.Ready] > 0 {
						t.top, _ = e.OldestReady(s.Name, &pos, 1)
					}
					t.add(now, &s)
				} else {
					complete = false
				}
			}
		})
		looked += n
		if ended {
			h.forget()
			h.walk = math.MaxInt
			h.turn++
			return complete
		}
		rest(ctx)
	}
	return complete
}

// rest leaves the server to others for a moment.
func rest(ctx context.Context) {
	t := time.NewTimer(pause)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// track returns what is known of a tube, nil if there are too many.
func (h *History) track(name string) *track {
	t := h.tubes[name]
	if t == nil && len(h.tubes) < MostTubes {
		t = &track{least: math.MaxInt64, oldest: math.MaxInt64}
		h.tubes[name] = t
	}
	return t
}

// forget forgets the tubes that have gone.
func (h *History) forget() {
	for name, t := range h.tubes {
		if t.turn != h.turn {
			delete(h.tubes, name)
		}
	}
}

// add takes new counts.
func (t *track) add(now int64, s *queue.TubeStats) {
	if d := seconds(now - t.at); t.at != 0 && d > 0 {
		// A tube that has gone and come back counts from 0 again.
		smooth(&t.tube.Puts, rate(s.TotalJobs, t.stats.TotalJobs, d), d, rateTime)
		smooth(&t.tube.Reserved, rate(s.Reserves, t.stats.Reserves, d), d, rateTime)
		smooth(&t.tube.Deleted, rate(s.Deletes, t.stats.Deletes, d), d, rateTime)
		smooth(&t.tube.TimedOut, rate(s.Timeouts, t.stats.Timeouts, d), d, trendTime)
		grown := float64(s.Jobs[queue.Ready]-t.stats.Jobs[queue.Ready]) / d
		smooth(&t.tube.Growth, grown, d, trendTime)
	}
	t.stats, t.at = *s, now
	if slot := now / int64(LineStep); slot != t.slot {
		t.slot = slot
		t.line[t.points%LineLength] = uint32(s.Jobs[queue.Ready])
		t.points++
	} else {
		t.line[(t.points-1)%LineLength] = uint32(s.Jobs[queue.Ready])
	}
}

// smooth moves a mean that forgets over so many seconds on by d seconds.
func smooth(mean *float64, value, d, over float64) {
	*mean += (value - *mean) * (1 - math.Exp(-d/over))
	if math.Abs(*mean) < 1e-3 {
		*mean = 0
	}
}

// publish returns what is known of a tube.
func (t *track) publish(now int64) *Tube {
	if t.shown != nil && t.shownAt == t.at && t.shownOldest == t.oldest {
		return t.shown
	}
	u := t.tube
	u.TubeStats = t.stats
	if u.PauseLeft > 0 {
		u.PauseLeft = max(0, u.PauseLeft-time.Duration(now-t.at))
	}
	if o := min(t.top, t.oldest); u.Jobs[queue.Ready] > 0 && o != math.MaxInt64 {
		u.Oldest = o
	}
	n := min(t.points, LineLength)
	newest := t.line[(t.points-1)%LineLength]
	if s := t.shown; s != nil && t.shownPoints == t.points && s.Line[n-1] == newest {
		u.Line = s.Line
	} else {
		u.Line = make([]uint32, n)
		for i := range n {
			u.Line[i] = t.line[(t.points-n+i)%LineLength]
		}
	}
	t.shown, t.shownAt, t.shownOldest, t.shownPoints = &u, t.at, t.oldest, t.points
	t.score = u.Puts + u.Deleted + math.Sqrt(float64(u.Jobs[queue.Ready]+u.Jobs[queue.Buried]))
	return t.shown
}

// lookForOldest goes on looking through the ready jobs of all tubes, one tube
// after the other. So the oldest of a tube is as of some seconds ago, or, where
// there are millions, minutes.
func (h *History) lookForOldest(ctx context.Context) {
	fresh := true // the list of tubes has not been made in this sample
	for range sampleScans {
		left := portionJobs
		h.server.View(func(e *queue.Engine, _ int64) {
			for left > 0 && len(h.scan) > 0 {
				left -= h.scanOne(e, h.scan[0], left)
			}
		})
		if left > 0 {
			if !fresh {
				return
			}
			fresh = false
			for name, t := range h.tubes {
				if t.stats.Jobs[queue.Ready] > 1 {
					h.scan = append(h.scan, name)
				} else {
					t.oldest = math.MaxInt64 // the first is the oldest
				}
			}
			if len(h.scan) == 0 {
				return
			}
		}
		rest(ctx)
	}
}

// scanOne goes on with a tube, and returns how many jobs it has looked at, at
// least one.
func (h *History) scanOne(e *queue.Engine, name string, most int) (looked int) {
	t, end, before := h.tubes[name], true, 0
	if t != nil {
		before = t.pos
		var c int64
		c, end = e.OldestReady(name, &t.pos, most)
		t.least = min(t.least, c)
		looked = t.pos - before
	}
	if end {
		if t != nil {
			t.oldest, t.least, t.pos = t.least, math.MaxInt64, 0
		}
		h.scan = h.scan[1:]
	}
	return max(1, looked)
}

// publish makes s what there is to see.
func (h *History) publish(s *Snapshot) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.total.add(s.Point)
	h.choose()
	for name, l := range h.top {
		l.add(pointOf(s, h.tubes[name]))
	}
	h.now = s
	close(h.changed)
	h.changed = make(chan struct{})
}

// pointOf returns the point of a tube, which may have gone.
func pointOf(s *Snapshot, t *track) Point {
	p := Point{At: s.Point.At}
	if t == nil {
		return p
	}
	jobs := &t.stats.Jobs
	p.Ready, p.Delayed = uint32(jobs[queue.Ready]), uint32(jobs[queue.Delayed])
	p.Reserved, p.Buried = uint32(jobs[queue.Reserved]), uint32(jobs[queue.Buried])
	p.Waiting = uint32(t.stats.Waiting)
	p.Puts, p.Reserves = float32(t.tube.Puts), float32(t.tube.Reserved)
	p.Deletes, p.Timeouts = float32(t.tube.Deleted), float32(t.tube.TimedOut)
	return p
}

// choose chooses the tubes that there is a whole history of: those that are
// wanted, and of the others the busiest. One that has it keeps it until another is
// twice as busy, so that two do not take it from each other in turns.
func (h *History) choose() {
	names := slices.Collect(maps.Keys(h.tubes))
	score := func(name string) float64 {
		v := 0.0
		if t := h.tubes[name]; t != nil {
			v = t.score + 1e-6
		}
		if h.top[name] != nil {
			v *= 2
		}
		if h.wanted[name] > 0 {
			v += math.MaxFloat32
		}
		return v
	}
	for name := range h.top {
		if h.tubes[name] == nil && h.wanted[name] == 0 {
			delete(h.top, name)
		}
	}
	for name := range h.wanted {
		if h.tubes[name] == nil {
			names = append(names, name)
		}
	}
	best := topOf(names, TopTubes, score)
	for name := range h.top {
		if !slices.Contains(best, name) {
			delete(h.top, name)
		}
	}
	for _, name := range best {
		if h.top[name] == nil {
			h.top[name] = newLine()
		}
	}
}

// topOf returns the n names with the highest scores. O(names), for a small n.
func topOf(names []string, n int, score func(string) float64) []string {
	type scored struct {
		name  string
		score float64
	}
	best := make([]scored, 0, n+1)
	for _, name := range names {
		s := scored{name, score(name)}
		if len(best) == n && s.score <= best[n-1].score {
			continue
		}
		at, _ := slices.BinarySearchFunc(best, s, func(a, b scored) int {
			switch {
			case a.score > b.score:
				return -1
			case a.score < b.score:
				return 1
			}
			return 0
		})
		best = slices.Insert(best, at, s)
		best = best[:min(n, len(best))]
	}
	out := make([]string, len(best))
	for i, s := range best {
		out[i] = s.name
	}
	return out
}
