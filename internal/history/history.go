package history

import (
	"context"
	"math"
	"sync"
	"time"

	"spoked/queue"
)

// The bounds of what is kept.
const (
	// TopTubes is of how many tubes there is a whole history.
	TopTubes = 16
	// MostTubes is of how many tubes anything is known one by one.
	MostTubes = 12_000
	// LineLength is how many points a tube's short line has at most, and
	// LineStep how far apart they are: ten minutes.
	LineLength = 60
	LineStep   = 10 * time.Second
	// Budget is how many bytes of memory all of it takes at most.
	Budget = 20 << 20
)

// The pace of a sample.
const (
	portionTubes = 64   // tubes looked at while the server is held up
	sampleTubes  = 2048 // tubes looked at for one sample; where there are more, they take turns
	portionJobs  = 1024 // jobs looked at for the oldest while the server is held up
	sampleScans  = 16   // such portions for one sample
	pause        = time.Millisecond

	rateTime  = 10.0 // s over which the rates of a tube are smoothed
	trendTime = 60.0 // s over which its growth is
)

// A Server lets a function look at the engine while nobody else uses it.
type Server interface {
	View(f func(e *queue.Engine, now int64))
}

// A Tube is what is known of a tube. It does not change.
type Tube struct {
	queue.TubeStats
	Puts, Reserved, Deleted, TimedOut float64 // a second, over the last ten or so

	Growth float64 // jobs a second by which its backlog of ready jobs grows, over the last minute or so
	Oldest int64   // instant of the put of its oldest ready job; 0 if there is none

	// Line is how many jobs were ready, LineStep apart, the newest last.
	Line []uint32
}

// A Snapshot is the newest sample. It does not change.
type Snapshot struct {
	At       time.Time
	Instant  int64 // the same, as the engine counts
	Stats    queue.Stats
	Draining bool
	Point    Point // of all tubes
	Bytes    int64 // of all bodies
	Tubes    map[string]*Tube
	Complete bool // all tubes are in it
}

// A History samples one server. Its methods may be used concurrently.
type History struct {
	server Server

	mu      sync.Mutex
	total   *line
	top     map[string]*line
	wanted  map[string]int // by how many a tube's whole history is asked for
	now     *Snapshot
	changed chan struct{} // closed when there is a new snapshot

	// What follows is of the one who samples.
	tubes  map[string]*track
	walk   int   // index of the tube to go on below
	turn   int64 // counts walks through all tubes
	scan   []string
	last   queue.Stats
	lastAt int64
}

// track is what is needed to go on with a tube.
type track struct {
	stats  queue.TubeStats
	at     int64 // instant of stats
	turn   int64
	tube   Tube
	line   [LineLength]uint32
	points int   // in line, all that there ever were
	slot   int64 // number of the last
	top    int64 // instant of the put of the first in its heap, math.MaxInt64 if none
	pos    int   // how far a scan for the oldest has come
	least  int64 // what that has found so far
	oldest int64 // what the last one found
	score  float64

	// What was published last, and of what.
	shown       *Tube
	shownAt     int64
	shownOldest int64
	shownPoints int
}

// New returns a history of s, which is empty until Run is called.
func New(s Server) *History {
	return &History{
		server:  s,
		total:   newLine(),
		top:     map[string]*line{},
		wanted:  map[string]int{},
		now:     &Snapshot{At: time.Now(), Tubes: map[string]*Tube{}},
		changed: make(chan struct{}),
		tubes:   map[string]*track{},
		walk:    math.MaxInt,
	}
}

// Run samples until ctx ends.
func (h *History) Run(ctx context.Context) {
	tick := time.NewTicker(recentStep)
	defer tick.Stop()
	for {
		h.sample(ctx, time.Now())
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// Now returns the newest sample.
func (h *History) Now() *Snapshot {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.now
}

// Changed returns a channel that is closed when there is a newer sample than now.
func (h *History) Changed() <-chan struct{} {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.changed
}

// Total returns the points of the last span, of all tubes together.
func (h *History) Total(span time.Duration) []Point {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.total.points(uint32(h.now.At.Unix()), span)
}

// Of returns the points of the last span of a tube, and false if there is no
// whole history of it.
func (h *History) Of(tube string, span time.Duration) ([]Point, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	l := h.top[tube]
	if l == nil {
		return nil, false
	}
	return l.points(uint32(h.now.At.Unix()), span), true
}

// Want has the whole history of a tube kept from now on, until release is called,
// even if it is not among the busiest; but not of more than half of TopTubes.
func (h *History) Want(tube string) (release func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.wanted[tube] == 0 && len(h.wanted) >= TopTubes/2 {
		return func() {}
	}
	h.wanted[tube]++
	var once sync.Once
	return func() {
		once.Do(func() {
			h.mu.Lock()
			defer h.mu.Unlock()
			if h.wanted[tube]--; h.wanted[tube] == 0 {
				delete(h.wanted, tube)
			}
		})
	}
}
