package history

import "time"

// A Point is what the figures were at an instant, or over the ten seconds before
// it: rates are then means, and counts those at the end.
type Point struct {
	At uint32 // s since 1970

	Ready, Delayed, Reserved, Buried uint32 // jobs
	Waiting                          uint32 // workers that wait for a job

	Puts, Reserves, Deletes, Timeouts float32 // a second
}

// How many points are kept, and how far apart they are.
const (
	recentPoints = 600
	recentStep   = time.Second
	dayPoints    = 8640
	dayStep      = 10 * time.Second
	perDayPoint  = uint32(dayStep / recentStep)
)

// ring keeps the newest points. The zero ring has no room.
type ring struct {
	points []Point
	next   int
	full   bool
}

func newRing(n int) ring { return ring{points: make([]Point, n)} }

func (r *ring) add(p Point) {
	r.points[r.next] = p
	if r.next++; r.next == len(r.points) {
		r.next, r.full = 0, true
	}
}

// since returns a copy of the points after an instant, in their order.
func (r *ring) since(at uint32) []Point {
	n := r.next
	if r.full {
		n = len(r.points)
	}
	first := 0
	for ; first < n; first++ {
		if r.at(first, n).At > at {
			break
		}
	}
	out := make([]Point, 0, n-first)
	for ; first < n; first++ {
		out = append(out, *r.at(first, n))
	}
	return out
}

// at returns the point with index i of the n that there are, the oldest first.
func (r *ring) at(i, n int) *Point {
	return &r.points[(r.next-n+i+len(r.points))%len(r.points)]
}

// line is the history of one thing: of all tubes, or of one.
type line struct {
	recent, day ring

	// What has been gathered for the next point of the day.
	sum   Point
	count uint32
	slot  uint32 // number of those ten seconds
}

func newLine() *line { return &line{recent: newRing(recentPoints), day: newRing(dayPoints)} }

func (l *line) add(p Point) {
	l.recent.add(p)
	if slot := p.At / perDayPoint; slot != l.slot {
		l.flush()
		l.slot = slot
	}
	s := p
	s.Puts += l.sum.Puts
	s.Reserves += l.sum.Reserves
	s.Deletes += l.sum.Deletes
	s.Timeouts += l.sum.Timeouts
	l.sum = s
	l.count++
}

// flush makes a point of the day of what has been gathered.
func (l *line) flush() {
	if l.count == 0 {
		return
	}
	p, n := l.sum, float32(l.count)
	p.Puts /= n
	p.Reserves /= n
	p.Deletes /= n
	p.Timeouts /= n
	l.day.add(p)
	l.sum, l.count = Point{}, 0
}

// points returns those of the last so many seconds, of which the finest that
// reach as far back.
func (l *line) points(now uint32, span time.Duration) []Point {
	if span <= recentPoints*recentStep {
		return l.recent.since(now - min(now, uint32(span/time.Second)))
	}
	return l.day.since(now - min(now, uint32(span/time.Second)))
}
