package bench

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"math"
	mathrand "math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

const (
	ttrAndSize = " 600 " // nobody takes that many seconds for a job
	reserveNow = "reserve-with-timeout 0\r\n"

	inBuffer      = 256 << 10
	dialsAtOnce   = 64
	tick          = 100 * time.Millisecond // the longest wait
	progressEvery = 500 * time.Millisecond
	maxLatency    = int64(time.Hour)
	digits        = 3 // of a latency that are kept
)

// A run is one scenario played against one server, once.
type run struct {
	opts     *Options
	scenario *Scenario
	target   Target
	tr       transport
	tubes    []string
	progress func(Progress)

	// The batches that are the same for all clients; what is sent is never changed.
	puts, reserves, wait, use, watch, ignore, list, quit []byte

	filler  []byte // bodies
	in      []byte // what is being read
	random  *mathrand.Rand
	clients []client
	idle    ring // clients that wait for their place in the schedule

	base  time.Time // of the run's clock
	heard int64     // when something was last read
	stop  atomic.Bool

	phase        phase
	starting     int     // clients that have been dialed, in the setup
	started      int     // clients that are set up
	active       int     // clients that put, and are not finished
	busy         int     // clients that wait for a reply that must come at once
	jobsLeft     int     // to be put
	rate         float64 // 0: as fast as replies come
	slot         float64 // ns: the next place in the schedule
	warm         int64   // when to begin to measure
	deadline     int64   // when to stop
	lastPut      int64   // when the last put was answered, for the drain
	nextTick     int64   // when to tell of the progress
	told         int64   // when that was done
	toldCommands int
	began        int64 // measuring
	ended        int64
	usedBefore   usage // before measuring

	// What has been counted since measuring began.
	commands, inserted, deleted, errors, unsent int
	latency, second                             *hdrhistogram.Histogram
	firstError                                  string

	// Of the whole run.
	allInserted, allDeleted, received, duplicates, early, strange int

	nextJob  uint64 // number of the next stamped job
	firstJob uint64 // the first that was put when measuring had begun
	seen     []uint64
	broken   bool // by an interruption
}

type phase uint8

const (
	setup phase = iota
	warming
	measuring
	ending   // clients finish what they have begun
	draining // workers take what is left
	over
)

// newRun connects nothing yet.
func newRun(o *Options, s *Scenario, t Target) (*run, error) {
	r := &run{
		opts: o, scenario: s, target: t, base: time.Now(),
		in:      make([]byte, inBuffer),
		filler:  make([]byte, o.BodyMax),
		random:  mathrand.New(mathrand.NewPCG(uint64(time.Now().UnixNano()), 1)),
		latency: hdrhistogram.New(1, maxLatency, digits),
		second:  hdrhistogram.New(1, maxLatency, digits),
		rate:    o.Rate,
	}
	if r.rate == 0 {
		r.rate = s.rate
	}
	for i := range r.filler {
		r.filler[i] = 'x'
	}
	r.nameTubes()
	r.prepare()
	r.castClients()
	var err error
	if o.Portable {
		r.tr, err = newPortable(t, len(r.clients))
	} else {
		r.tr, err = newTransport(t, len(r.clients))
	}
	return r, err
}

// nameTubes gives the run tubes that nobody else has.
func (r *run) nameTubes() {
	var nonce [6]byte
	rand.Read(nonce[:])
	name := "spoked-bench-" + hex.EncodeToString(nonce[:])
	r.tubes = []string{name}
	if r.scenario.many {
		r.tubes = r.tubes[:0]
		for i := range r.opts.Tubes {
			r.tubes = append(r.tubes, fmt.Sprintf("%s-%d", name, i+1))
		}
	}
}

// prepare writes down the batches.
func (r *run) prepare() {
	tube := r.tubes[0]
	r.wait = []byte("reserve\r\n")
	r.use = []byte("use " + tube + "\r\n")
	r.watch = []byte("watch " + tube + "\r\n")
	r.ignore = []byte("ignore default\r\n")
	r.list = []byte("list-tubes-watched\r\n")
	r.quit = []byte("quit\r\n")
	for range r.opts.Pipeline {
		r.reserves = append(r.reserves, reserveNow...)
	}
	if !r.scenario.stamped && r.opts.BodyMin == r.opts.BodyMax {
		for range r.opts.Pipeline {
			r.puts = r.appendPut(r.puts, 0)
		}
	}
}

// castClients gives every client its role.
func (r *run) castClients() {
	for i := range r.scenario.roles {
		role := &r.scenario.roles[i]
		for range r.opts.clientsOf(role.kind) {
			r.clients = append(r.clients, client{
				index: len(r.clients), role: role, step: -1, part: make([]byte, 0, 128),
			})
		}
	}
	for i := range r.clients {
		c := &r.clients[i]
		if r.scenario.many {
			for k := i % len(r.tubes); k < len(r.tubes); k += len(r.clients) {
				c.tubes = append(c.tubes, r.tubes[k])
			}
		}
	}
	r.idle.slots = make([]int32, len(r.clients))
}

// clientsOf returns how many clients have a role of that kind.
func (o *Options) clientsOf(kind roleKind) int {
	switch {
	case kind == producer:
		return o.Producers
	case kind == worker && o.Workers > 0:
		return o.Workers
	}
	return o.Connections
}

// now returns the nanoseconds since the run was made.
func (r *run) now() int64 { return int64(time.Since(r.base)) }

func record(h *hdrhistogram.Histogram, v int64, n int) {
	_ = h.RecordValues(min(max(v, 0), maxLatency), int64(n))
}

// play plays the run to its end. The connections are closed when it returns.
func (r *run) play(ctx context.Context) error {
	defer r.tr.shut()
	defer context.AfterFunc(ctx, func() { r.stop.Store(true) })()
	r.heard = r.now()
	if err := r.dialSome(); err != nil {
		return err
	}
	for {
		now := r.now()
		if err := r.turn(now); err != nil {
			return err
		}
		if r.phase == over {
			return nil
		}
		events, err := r.tr.wait(r.patience(now))
		if err != nil {
			return err
		}
		for _, ev := range events {
			c := &r.clients[ev.client]
			switch {
			case ev.connected:
				err = r.connected(c)
			case c.state != connecting:
				err = r.serve(c)
			}
			if err != nil {
				return err
			}
		}
	}
}

// patience returns how long to wait for events.
func (r *run) patience(now int64) time.Duration {
	next := now + int64(tick)
	switch r.phase {
	case warming:
		next = min(next, r.warm)
	case measuring:
		next = min(next, r.deadline)
	}
	if r.idle.n > 0 {
		next = min(next, int64(r.slot))
	}
	return time.Duration(next - now)
}

// turn does what is due.
func (r *run) turn(now int64) error {
	if r.stop.Load() && !r.broken {
		r.broken = true
		if r.phase == setup {
			r.phase = over
			return nil
		}
	}
	if r.busy > 0 && now-r.heard > int64(r.opts.Patience) {
		return &LostError{fmt.Errorf("no reply for %v", r.opts.Patience)}
	}
	if r.progress != nil && now >= r.nextTick {
		r.tellProgress(now)
	}
	if r.phase == warming && now >= r.warm && !r.broken {
		if err := r.measure(now); err != nil {
			return err
		}
	}
	if r.phase == measuring || r.phase == warming {
		if err := r.pace(now); err != nil {
			return err
		}
		if r.broken || r.phase == measuring && now >= r.deadline {
			if err := r.end(now); err != nil {
				return err
			}
		}
	}
	if r.phase > setup && r.active == 0 && r.phase < draining {
		r.phase, r.lastPut = draining, now
	}
	if r.phase == draining && r.drained(now) {
		r.phase, r.ended = over, now
	}
	return nil
}

// pace has idle clients begin what is due.
func (r *run) pace(now int64) error {
	for r.idle.n > 0 && int64(r.slot) <= now {
		c := &r.clients[r.idle.pop()]
		if c.step == 0 && r.jobsLeft <= 0 {
			if err := r.proceed(c, now); err != nil {
				return err
			}
			continue
		}
		if err := r.begin(c, int64(r.slot)); err != nil {
			return err
		}
		r.slot += float64(c.pending) * 1e9 / r.rate
	}
	return nil
}

// measure begins to measure.
func (r *run) measure(now int64) error {
	r.phase, r.began = measuring, now
	r.allInserted += r.inserted
	r.allDeleted += r.deleted
	r.commands, r.inserted, r.deleted, r.errors, r.early, r.firstError = 0, 0, 0, 0, 0, ""
	r.latency.Reset()
	r.second.Reset()
	r.firstJob = r.nextJob
	r.told, r.toldCommands = now, 0
	if r.opts.Count > 0 {
		r.jobsLeft = r.opts.Count
	}
	r.deadline = math.MaxInt64
	if r.opts.Time > 0 {
		r.deadline = now + int64(r.opts.Time)
	}
	var err error
	r.usedBefore, err = readUsage(r.target.PID)
	return err
}

// end has all clients finish what they have begun. What should have been sent and
// was not has waited so far: it is counted with that, as the least it would have
// taken.
func (r *run) end(now int64) error {
	if r.rate > 0 && r.phase == measuring && !r.broken && r.jobsLeft > 0 {
		const parts = 1000
		last := float64(min(now, r.deadline))
		r.unsent = int(max(0, min((last-r.slot)*r.rate/1e9, float64(r.jobsLeft))))
		for i := range parts {
			if n := r.unsent*(i+1)/parts - r.unsent*i/parts; n > 0 {
				due := r.slot + (last-r.slot)*float64(i)/parts
				record(r.latency, int64(last-due), n)
			}
		}
	}
	r.phase = ending
	for r.idle.n > 0 {
		if err := r.proceed(&r.clients[r.idle.pop()], now); err != nil {
			return err
		}
	}
	return nil
}

// drained reports whether the run is over, when nobody puts any more: when
// everything has arrived, or nothing has for a while.
func (r *run) drained(now int64) bool {
	if !r.scenario.stamped || r.broken {
		return true
	}
	if r.received >= r.allInserted+r.inserted && r.busy == 0 {
		return true
	}
	due := r.lastPut
	if r.scenario.delayed {
		due += int64(r.opts.DelayMax) * 1e9
	}
	return now-max(due, r.heard) > int64(min(r.opts.Patience, 10*time.Second))
}

// dialSome connects clients, as many as may be at it at a time.
func (r *run) dialSome() error {
	if r.scenario.roles[0].steps[0] == stepDial {
		return r.start() // they connect when they have something to do
	}
	for r.starting < len(r.clients) && r.starting-r.started < dialsAtOnce {
		c := &r.clients[r.starting]
		r.starting++
		r.busy++
		c.state = connecting
		if err := r.tr.dial(c.index); err != nil {
			return err
		}
	}
	return nil
}

// connected has c go on when it is connected.
func (r *run) connected(c *client) error {
	r.heard = r.now()
	if c.step >= 0 {
		c.state = busy
		return r.complete(c)
	}
	c.state, c.want = busy, using|watching
	b, n := c.own[:0], 0
	say := func(command, tube string) {
		b = append(append(append(append(b, command...), ' '), tube...), "\r\n"...)
		n++
	}
	if c.role.kind != worker {
		say("use", r.tubes[0])
	}
	switch {
	case c.tubes != nil:
		for _, tube := range c.tubes {
			say("watch", tube)
		}
	case c.role.kind != producer:
		say("watch", r.tubes[0])
	}
	if c.role.kind != producer {
		say("ignore", "default")
	}
	c.own, c.pending = b, n
	return r.send(c, b)
}

// complete has c go on when all replies to its batch have come.
func (r *run) complete(c *client) error {
	if c.state == busy {
		r.busy--
	}
	if c.step < 0 {
		c.state = idle
		r.started++
		if r.started == len(r.clients) {
			return r.start()
		}
		return r.dialSome()
	}
	c.step = (c.step + 1) % len(c.role.steps)
	if c.role.steps[c.step] == stepDelete && c.deletes == 0 {
		c.step = (c.step + 1) % len(c.role.steps)
	}
	if r.rate > 0 && r.phase < ending && r.scenario.paced(c) && (c.step > 0 || r.jobsLeft > 0) {
		c.state = idle
		r.idle.push(int32(c.index))
		return nil
	}
	return r.proceed(c, r.heard)
}

// proceed has c begin its next batch, or finish.
func (r *run) proceed(c *client, now int64) error {
	if c.step == 0 && c.role.kind != worker && (r.phase >= ending || r.jobsLeft <= 0) {
		c.state = finished
		r.active--
		return nil
	}
	return r.begin(c, now)
}

// start has all clients begin.
func (r *run) start() error {
	now := r.now()
	r.phase, r.warm, r.jobsLeft, r.slot = warming, now+int64(r.opts.Warmup), math.MaxInt, float64(now)
	if r.opts.Warmup == 0 {
		if err := r.measure(now); err != nil {
			return err
		}
	}
	for i := range r.clients {
		c := &r.clients[i]
		c.step = 0
		if c.role.kind != worker {
			r.active++
		}
		if r.rate > 0 && c.role.kind != worker {
			c.state = idle
			r.idle.push(int32(i))
		} else if err := r.proceed(c, r.now()); err != nil {
			return err
		}
	}
	return nil
}

// hungUp has c go on when its connection has ended as it was to.
func (r *run) hungUp(c *client) error {
	r.heard = r.now()
	record(r.second, r.heard-c.opened, 1)
	r.tr.close(c.index)
	return r.complete(c)
}

// ring is a queue of numbers that holds as many as there are clients.
type ring struct {
	slots   []int32
	head, n int
}

func (q *ring) push(i int32) {
	q.slots[(q.head+q.n)%len(q.slots)] = i
	q.n++
}

func (q *ring) pop() int32 {
	i := q.slots[q.head]
	q.head = (q.head + 1) % len(q.slots)
	q.n--
	return i
}
