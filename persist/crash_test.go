package persist_test

import (
	"errors"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"spoked/persist"
	"spoked/queue"
)

var (
	crashSeed = flag.Uint64("seed", 0, "simulate this seed only (0: the first few)")
	faults    = flag.Int("faults", 1500, "number of faults to inject in all")
	verbose   = flag.Bool("steps", false, "print the steps of the simulation")
)

// TestCrashes drives an engine with a journal on a disk that fails, and
// compares what is recovered after each crash with what must be.
//
//	go test ./persist -run TestCrashes -faults 100000
//	go test ./persist -run TestCrashes -seed 17
func TestCrashes(t *testing.T) {
	total := map[string]int{}
	if *crashSeed != 0 {
		newCrashSim(t, *crashSeed, total).run()
		return
	}
	for seed, n := uint64(1), 0; n < *faults && !t.Failed(); seed++ {
		newCrashSim(t, seed, total).run()
		n = 0
		for kind, k := range total {
			if strings.HasPrefix(kind, "fault: ") {
				n += k
			}
		}
	}
	for _, kind := range slices.Sorted(maps.Keys(total)) {
		t.Logf("%6d %s", total[kind], kind)
	}
}

// crashSim is a simulation: generations of an engine and a journal on one
// disk.
type crashSim struct {
	t     testing.TB
	r     *rand.Rand
	seed  uint64
	total map[string]int
	log   []string
	now   int64
	fs    *faultFS
	mix   mix
	only  *persist.Sync // if not nil: the only mode

	// What was recorded: the state after the first effects, and those that
	// followed. Effects are counted over all generations.
	first   *kept
	done    int
	effects []effect
	current *kept

	// How many effects must outlive the end of the process, and the loss of
	// power.
	outKill, outPower int
	wild              bool // SyncNever: nothing need outlive the loss of power

	opts    persist.Options
	limits  queue.Limits
	engine  *queue.Engine
	journal *tee
	clients []*queue.Client
	holds   [][]uint64 // by client: ids
	copied  uint64

	flight  []inFlight
	chore   *persist.Chore
	ran     bool
	ranErr  error
	pass    *persist.Pass
	passing int // effects before the pass
	full    bool
	stopped bool // on purpose
	began   int  // effects before the generation
}

type inFlight struct {
	batch   *persist.Batch
	effects int
}

// mix is a kind of traffic.
type mix struct {
	segment    int64
	big        bool // bodies larger than a segment
	put, other int
	jobs       int            // at most, roughly
	limits     []queue.Limits // of which each generation has one
}

func newCrashSim(t testing.TB, seed uint64, total map[string]int) *crashSim {
	s := &crashSim{
		t: t, r: rand.New(rand.NewPCG(seed, 1)), seed: seed, total: total, now: 1e18,
		fs:      newFaultFS(),
		first:   &kept{jobs: map[uint64]queue.Record{}, pauses: map[string]queue.Pause{}},
		current: &kept{jobs: map[uint64]queue.Record{}, pauses: map[string]queue.Pause{}},
	}
	s.mix = mix{
		segment: []int64{4096, 4096, 8192, 16 << 10, 64 << 10}[s.r.IntN(5)],
		big:     s.r.IntN(3) == 0,
		put:     1 + s.r.IntN(8), other: 10,
		jobs: []int{5, 30, 100, 200}[s.r.IntN(4)],
	}
	s.mix.limits = limitMixes[s.r.IntN(len(limitMixes))]
	return s
}

func (s *crashSim) did(format string, args ...any) {
	line := fmt.Sprintf(format, args...)
	if *verbose {
		s.t.Log(line)
	}
	if s.log = append(s.log, line); len(s.log) > 200 {
		s.log = slices.Clone(s.log[150:])
	}
}

func (s *crashSim) failf(format string, args ...any) {
	s.t.Helper()
	s.t.Fatalf("seed %d: %s\nlast steps:\n\t%s", s.seed, fmt.Sprintf(format, args...),
		strings.Join(s.log[max(0, len(s.log)-40):], "\n\t"))
}

func (s *crashSim) count(format string, args ...any) { s.total[fmt.Sprintf(format, args...)]++ }

// run goes through a few generations.
func (s *crashSim) run() {
	s.start()
	for range 4 + s.r.IntN(6) {
		s.generation()
		if s.t.Failed() {
			return
		}
	}
}

// choose chooses the options of a generation.
func (s *crashSim) choose() {
	s.opts = persist.Options{Dir: "d", SegmentSize: s.mix.segment, Seed: s.r.Uint64()}
	s.opts.Checks = s.limits.Bodies != queue.AlwaysInMemory
	switch n := s.r.IntN(10); {
	case n < 5:
		s.opts.Sync = persist.SyncAlways
	case n < 9:
		s.opts.Sync = persist.SyncLater
	default:
		s.opts.Sync = persist.SyncNever
	}
	if s.only != nil {
		s.opts.Sync = *s.only
	}
	s.did("generation: sync %d, segments of %d, limits %+v", s.opts.Sync, s.opts.SegmentSize, s.limits)
}

// start recovers and opens what is on the disk, where there must be what must
// be.
func (s *crashSim) start() {
	s.limits = s.mix.limits[s.r.IntN(len(s.mix.limits))]
	s.choose()
	s.now += int64(s.r.IntN(5)) * int64(time.Second)
	r, err := recoverUnder(s.fs, "d", s.now, s.limits)
	if err != nil {
		s.failf("Recover: %v", err)
	}
	s.open(r)
}

// open begins a generation with what has been recovered and compared.
func (s *crashSim) open(r *persist.Recovery) {
	j, err := persist.Open(s.fs, s.opts, r)
	if err != nil {
		s.failf("Open: %v", err)
	}
	s.begin(r, j)
}

func (s *crashSim) begin(r *persist.Recovery, j *persist.Journal) {
	s.engine, s.journal = r.Engine, &tee{j, s.hear}
	s.engine.SetJournal(s.journal)
	end := s.done + len(s.effects)
	s.outKill, s.began = end, end
	if s.opts.Sync == persist.SyncNever {
		s.wild = true
	} else {
		s.outPower, s.wild = end, false
		s.fold(end)
	}
	s.copied, s.flight, s.chore, s.pass, s.full, s.stopped = 0, nil, nil, nil, false, false
	s.clients, s.holds = nil, nil
	for range 3 {
		c := s.engine.Connect()
		for _, tube := range crashTubes[:1+s.r.IntN(len(crashTubes))] {
			s.engine.Watch(c, []byte(tube))
		}
		s.engine.Use(c, []byte(s.tube()))
		s.clients, s.holds = append(s.clients, c), append(s.holds, nil)
	}
}

// fold forgets effects that nothing can take back any more.
func (s *crashSim) fold(n int) {
	for i := s.done; i < n; i++ {
		s.first.apply(&s.effects[i-s.done])
	}
	s.effects = slices.Clone(s.effects[n-s.done:])
	s.done = n
}

func (s *crashSim) hear(e effect) {
	s.current.apply(&e)
	s.effects = append(s.effects, e)
}

// Traffic.

var crashTubes = []string{"default", "a", "b", "the-third-tube", strings.Repeat("long", 50)}

func (s *crashSim) tube() string { return crashTubes[s.r.IntN(len(crashTubes))] }

// step lets time pass and a client do something.
func (s *crashSim) step() {
	s.now += 1 + s.r.Int64N(int64(50*time.Millisecond))
	if s.r.IntN(20) == 0 {
		s.now += s.r.Int64N(int64(20 * time.Second))
	}
	for s.engine.Advance(s.now, 100) {
		s.wakes()
	}
	s.wakes()
	s.command()
	s.wakes()
}

func (s *crashSim) wakes() {
	s.engine.TakeWakes(func(w queue.Wake) {
		if i := slices.Index(s.clients, w.Client); i >= 0 && w.Outcome == queue.Given {
			s.holds[i] = append(s.holds[i], w.Job.ID)
		}
	})
}

func (s *crashSim) command() {
	i := s.r.IntN(len(s.clients))
	c := s.clients[i]
	if c.Waiting() {
		if s.r.IntN(3) > 0 {
			return
		}
		s.engine.StopWaiting(c)
		s.wakes()
	}
	var held uint64
	if h := s.holds[i]; len(h) > 0 {
		k := s.r.IntN(len(h))
		held = h[k]
		s.holds[i] = slices.Delete(slices.Clone(h), k, k+1)
	}
	put := s.mix.put
	if len(s.current.jobs) > s.mix.jobs {
		put = 0
	}
	if s.r.IntN(put+s.mix.other) < put {
		s.put(c)
		return
	}
	switch n := s.r.IntN(112); {
	case n >= 100:
		s.edit()
	case n < 35:
		s.look(c)
		timeout := time.Duration(0)
		if s.r.IntN(10) == 0 {
			timeout = []time.Duration{queue.Forever, 3 * time.Second}[s.r.IntN(2)]
		}
		if j, o := s.engine.Reserve(s.now, c, timeout); o == queue.Given {
			s.holds[i] = append(s.holds[i], j.ID)
		}
	case n < 45:
		_ = s.engine.Release(s.now, c, held, s.r.Uint32N(3000), s.delay())
	case n < 53:
		_ = s.engine.Bury(c, held, s.r.Uint32())
	case n < 65:
		_ = s.engine.Delete(s.now, c, held)
	case n < 75:
		_ = s.engine.Delete(s.now, c, s.anyJob())
	case n < 80:
		s.engine.Kick(s.now, c, s.r.Uint32N(4))
	case n < 84:
		_ = s.engine.KickJob(s.now, s.anyJob())
	case n < 88:
		if j, err := s.engine.ReserveJob(s.now, c, s.anyJob()); err == nil {
			s.holds[i] = append(s.holds[i], j.ID)
		}
	case n < 92:
		_ = s.engine.Pause(s.now, []byte(s.tube()), s.delay())
	case n < 95:
		s.engine.Use(c, []byte(s.tube()))
	case n < 97:
		s.engine.Disconnect(s.now, c)
		s.clients[i], s.holds[i] = s.engine.Connect(), nil
		s.engine.Watch(s.clients[i], []byte(s.tube()))
	default:
		_ = s.engine.Touch(s.now, c, held)
	}
}

func (s *crashSim) anyJob() uint64 {
	if s.current.lastID == 0 {
		return 0
	}
	for range 5 { // the live ones are more interesting
		id := 1 + s.r.Uint64N(s.current.lastID)
		if _, ok := s.current.jobs[id]; ok {
			return id
		}
	}
	for id := range s.current.jobs {
		if len(s.current.jobs) == 1 {
			return id
		}
		break
	}
	return 1 + s.r.Uint64N(s.current.lastID)
}

func (s *crashSim) delay() time.Duration {
	switch s.r.IntN(4) {
	case 0:
		return 1 + time.Duration(s.r.Int64N(int64(time.Minute)))
	case 1:
		return time.Duration(1+s.r.IntN(30)) * time.Second
	case 2:
		return s.farDelay()
	}
	return 0
}

func (s *crashSim) put(c *queue.Client) {
	size := s.r.IntN(301)
	switch n := s.r.IntN(1000); {
	case n < 20:
		size = 1000 + s.r.IntN(5000)
	case n < 25 && s.mix.big:
		size = int(s.mix.segment) + s.r.IntN(5000)
	case n < 200:
		size = 0
	}
	if s.mix.segment <= 8192 && !s.mix.big {
		size = min(size, 1000)
	}
	ttr := time.Duration(1+s.r.IntN(30)) * time.Second
	d, err := s.engine.Begin(s.now, c, s.r.Uint32N(3000), s.delay(), ttr, uint32(size))
	if err != nil && s.limits.Memory > 0 && s.engine.Memory()+int64(size) > s.limits.Memory {
		s.count("put refused for want of memory")
		return
	}
	if err != nil {
		s.failf("Begin: %v", err)
	}
	body := s.engine.Body(&d)
	for i := range body {
		body[i] = byte(s.r.Uint32())
	}
	if s.r.IntN(30) == 0 {
		s.engine.Abandon(&d)
		return
	}
	if _, err := s.engine.Insert(s.now, &d); err != nil && !s.journal.Full() {
		s.failf("Insert: got %v, and the disk is not full", err)
	}
}

// The server's part. Each returns the error that it would stop because of.

// cut cuts a batch, if it may, and takes note of what cleaning has copied.
func (s *crashSim) cut() {
	most := 3
	if s.opts.Sync == persist.SyncAlways {
		most = 1
	}
	if len(s.flight) >= most {
		return
	}
	if b := s.journal.Cut(); b != nil {
		s.hearCopies(b)
		s.flight = append(s.flight, inFlight{b, s.done + len(s.effects)})
	}
}

// settle writes the oldest batch that has been cut.
func (s *crashSim) settle() error {
	if len(s.flight) == 0 {
		return nil
	}
	f := s.flight[0]
	write := f.batch.Write
	if s.opts.Sync == persist.SyncAlways {
		write = f.batch.WriteSync
	}
	if err := write(); err != nil {
		return fmt.Errorf("batch: %w", err)
	}
	s.flight = s.flight[1:]
	s.journal.Settle(f.batch)
	s.outKill = f.effects
	if s.opts.Sync == persist.SyncAlways {
		s.outPower = f.effects
	}
	return nil
}

// sync begins a pass, or ends one.
func (s *crashSim) sync() error {
	if s.pass != nil {
		if err := s.pass.Sync(); err != nil {
			return fmt.Errorf("pass: %w", err)
		}
		s.journal.Synced(s.pass.Position)
		s.outPower, s.pass = s.passing, nil
		return nil
	}
	if s.opts.Sync == persist.SyncLater && len(s.flight) == 0 && !s.journal.Dirty() {
		s.pass, s.passing = s.journal.Unsynced(), s.outKill
	}
	return nil
}

// choreStep takes a chore, runs it or ends it.
func (s *crashSim) choreStep() error {
	switch {
	case s.chore == nil:
		if s.journal.Full() {
			s.journal.Retry()
		}
		s.chore, s.ran = s.journal.Chore(), false
		if s.chore != nil {
			s.did("chore: %s", s.chore.What)
		}
	case !s.ran:
		s.ranErr, s.ran = s.chore.Run(), true
	default:
		c := s.chore
		s.chore = nil
		if err := s.journal.Done(c, s.ranErr); err != nil {
			return fmt.Errorf("chore %q: %w", c.What, err)
		}
	}
	return nil
}

// turn is what a server does in a moment, and between.
func (s *crashSim) turn() error {
	for range 1 + s.r.IntN(4) {
		s.step()
	}
	s.engine.Trim()
	if s.r.IntN(2) == 0 {
		s.cut()
	}
	var todo []func() error
	for n := s.r.IntN(3); n > 0; n-- {
		todo = append(todo, s.settle)
	}
	for n := s.r.IntN(3); n > 0; n-- {
		todo = append(todo, s.choreStep)
	}
	if s.r.IntN(3) == 0 {
		todo = append(todo, s.sync)
	}
	s.r.Shuffle(len(todo), func(i, k int) { todo[i], todo[k] = todo[k], todo[i] })
	for _, do := range todo {
		if err := do(); err != nil {
			return err
		}
	}
	return nil
}

// Faults.

// generation lets a server run until a fault ends it, or it stops, and starts
// the next.
func (s *crashSim) generation() {
	turns := 1 + s.r.IntN([]int{10, 60, 300}[s.r.IntN(3)])
	fault := s.plan()
	var err error
	for n := 0; n < turns && err == nil; n++ {
		if n == turns/2 {
			fault()
		}
		err = s.turn()
		s.breathe()
	}
	s.fs.inject = nil
	if err != nil {
		s.did("the server stops: %v", err)
		if !errors.Is(err, errInjected) && !errors.Is(err, errCrashed) && !errors.Is(err, persist.ErrFull) {
			s.failf("got error %v, and none was injected", err)
		}
		if errors.Is(err, persist.ErrFull) {
			s.count("server stopped by a full disk, big bodies %v", s.mix.big)
		}
	} else if s.stopped {
		s.stop()
		return
	}
	s.end(err)
}

// plan returns what brings about the fault of a generation.
func (s *crashSim) plan() func() {
	switch n := s.r.IntN(20); {
	case n == 0:
		s.stopped = true
		return func() {}
	case n < 4:
		return func() {} // killed or cut off at the end, between two operations
	case n < 6:
		return func() {
			s.did("the disk is full")
			s.count("fault: full disk")
			s.full = true
			s.fs.capacity = s.fs.used() + s.r.Int64N(2*s.mix.segment)
		}
	}
	kind, in := op(s.r.IntN(int(numOps))), s.r.IntN(40)
	if s.r.IntN(2) == 0 {
		kind = []op{opWrite, opSync, opRename, opTruncate}[s.r.IntN(4)]
	}
	if kind != opWrite && kind != opSync {
		in /= 10
	}
	x := &fault{part: s.r.Float64(), crash: s.r.IntN(2) == 0, sticky: s.r.IntN(4) == 0}
	if s.r.IntN(4) == 0 {
		x.part = 0
	}
	return func() {
		s.fs.inject = func(o op, name string) *fault {
			if o != kind {
				return nil
			}
			if in--; in != -1 {
				return nil
			}
			s.did("fault at %v of %s: %+v", o, name, *x)
			if x.crash {
				s.count("fault: crash at %v", o)
			} else {
				s.count("fault: error of %v", o)
			}
			return x
		}
	}
}

// breathe lets a full disk have room again, sooner or later.
func (s *crashSim) breathe() {
	if s.full && s.r.IntN(40) == 0 {
		s.did("the disk has room again")
		s.full, s.fs.capacity = false, 0
	}
}

// stop ends a generation as an administrator does.
func (s *crashSim) stop() {
	s.did("stop")
	s.count("fault: none, stopped")
	do := func(err error) {
		if err != nil {
			s.failf("stop: %v", err)
		}
	}
	for s.chore != nil {
		do(s.choreStep())
	}
	for len(s.flight) > 0 {
		do(s.settle())
	}
	something := s.done+len(s.effects) > s.began
	for r := range s.engine.Jobs() { // what Finish is to find out
		if known := s.current.jobs[r.ID]; known.Reserves != r.Reserves || known.Timeouts != r.Timeouts {
			s.hear(effect{kind: 'c', job: recordOf(r)})
			something = true
		}
	}
	do(s.journal.Finish(func(b *persist.Batch) error {
		s.hearCopies(b)
		if s.opts.Sync == persist.SyncAlways {
			return b.WriteSync()
		}
		return b.Write()
	}))
	s.outKill = s.done + len(s.effects)
	for range 2 {
		do(s.sync())
	}
	if s.journal.Dirty() {
		s.failf("the journal is dirty after the last batch")
	}
	do(s.journal.Close())
	if s.opts.Sync == persist.SyncAlways {
		s.outPower = s.outKill
	}
	r := s.next(false, s.outKill, s.outKill)
	if r.Cut != nil || something && !r.Stopped {
		s.failf("stopped: got Cut %v, Stopped %v, want nil, true", r.Cut, r.Stopped)
	}
	if len(s.fs.files) > 0 && r.Engine.Stats().Jobs == [queue.NumStates]int{} {
		s.count("stopped without a job")
	}
	s.choose()
	s.open(r)
}

// end ends the process, or all processes, and starts the next.
func (s *crashSim) end(err error) {
	hi, power := s.done+len(s.effects), s.r.IntN(2) == 0
	lo := s.outKill
	what := "kill"
	if power {
		what, lo = "power cut", s.outPower
	}
	s.did("%s: effects %d to %d of %d must be left", what, lo, hi, s.done)
	s.count("fault: %s", what)
	nextID := s.engine.NextID()
	for tries, durable := 0, power; ; tries++ {
		if tries > 0 {
			s.now += int64(s.r.IntN(2)) * int64(time.Second)
		}
		r := s.next(power, lo, hi)
		if r == nil {
			return
		}
		if err == nil && tries == 0 && !power && len(s.flight) == 0 && r.Cut != nil {
			s.failf("got Cut %v, and nothing was being written", r.Cut)
		}
		if got := r.Engine.NextID(); got > nextID {
			s.failf("NextID: got %d, want %d at most", got, nextID)
		}
		s.choose()
		if tries == 3 || s.r.IntN(3) > 0 {
			s.open(r)
			return
		}
		in := s.r.IntN(25)
		x := &fault{part: s.r.Float64(), crash: s.r.IntN(2) == 0}
		s.fs.inject = func(o op, name string) *fault {
			if in--; in != -1 {
				return nil
			}
			s.did("fault at %v of %s: %+v", o, name, *x)
			s.count("fault: during a start, at %v, crash %v", o, x.crash)
			return x
		}
		j, err := persist.Open(s.fs, s.opts, r)
		s.fs.inject = nil
		if err == nil {
			if !errors.Is(s.closed(in), errInjected) {
				s.begin(r, j)
				return
			}
			j.Abandon()
		}
		// What was there is still there, and nothing else.
		k := s.done + len(s.effects)
		power = s.r.IntN(2) == 0
		s.did("power %v during a start", power)
		if !power || durable {
			lo, hi = k, k
		} else {
			lo, hi = s.outPower, k
		}
		if s.opts.Sync == persist.SyncNever {
			s.wild = true
		}
		durable = durable || power
	}
}

// closed returns an error if the fault that was to come after so many
// operations has come, though Open had none: it was an error of Close.
func (s *crashSim) closed(in int) error {
	if in < 0 {
		return errInjected
	}
	return nil
}

// next recovers what the crash has left. It must be the state after an effect
// from lo to hi, and is the simulation's from now on. It returns nil if it has
// begun anew because nothing could be recovered, and nothing need be.
func (s *crashSim) next(power bool, lo, hi int) *persist.Recovery {
	if power {
		s.fs = s.fs.cut(s.r)
	} else {
		s.fs = s.fs.kill()
	}
	s.fs.capacity, s.full = 0, false
	lost := power && s.wild
	if lost {
		lo = s.done
	}
	s.readFails()
	s.limits = s.mix.limits[s.r.IntN(len(s.mix.limits))]
	r, err := recoverUnder(s.fs, "d", s.now, s.limits)
	if err != nil {
		var damage *persist.DamageError
		if !lost || !errors.As(err, &damage) {
			s.failf("Recover: %v\nfiles: %s", err, s.listing())
		}
		s.count("damage, as SyncNever may have it")
		s.reset()
		return nil
	}
	if lost && r.Engine.Stats().Jobs == [queue.NumStates]int{} {
		s.count("nothing left, as SyncNever may have it")
		s.reset()
		return nil
	}
	if r.Cut != nil {
		s.count("torn")
		s.did("Cut: %v, %d bytes", r.Cut, r.CutBytes)
	}
	k := s.match(r.Engine, lo, hi)
	s.did("recovered: %d effects, %d jobs", k, len(s.current.jobs))
	return r
}

func (s *crashSim) listing() (l string) {
	files, _ := s.fs.ReadDir("d")
	for _, f := range files {
		l += fmt.Sprintf("%s %d; ", f.Name, f.Size)
	}
	return l
}

// readFails has Recover fail because a file cannot be read.
func (s *crashSim) readFails() {
	if s.r.IntN(8) > 0 {
		return
	}
	in, came := s.r.IntN(6), false
	s.fs.inject = func(op, string) *fault {
		in--
		if in != -1 {
			return nil
		}
		came = true
		s.count("fault: error of reading")
		return &fault{}
	}
	_, err := recoverFrom(s.fs, "d", s.now)
	s.fs.inject = nil
	if came && !errors.Is(err, errInjected) && !s.wild {
		s.failf("Recover: got %v, want the injected error", err)
	}
}

// reset begins anew with an empty disk.
func (s *crashSim) reset() {
	s.fs = newFaultFS()
	s.first = &kept{jobs: map[uint64]queue.Record{}, pauses: map[string]queue.Pause{}}
	s.current = s.first.clone()
	s.done, s.effects, s.outKill, s.outPower, s.wild = 0, nil, 0, 0, false
	s.start()
}
