package persist_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"spoked/persist"
	"spoked/queue"
)

// rig is an engine with a journal, and one client that has all jobs.
type rig struct {
	t       testing.TB
	r       *rand.Rand
	fs      *faultFS
	now     int64
	engine  *queue.Engine
	journal *persist.Journal
	client  *queue.Client
	mode    persist.Sync
	limits  queue.Limits

	check func() // after each batch, if not nil
	err   error  // of the server, which would have stopped
}

func newRig(t testing.TB, mode persist.Sync, size int64) *rig {
	return newRigUnder(t, mode, size, queue.Limits{})
}

func newRigUnder(t testing.TB, mode persist.Sync, size int64, l queue.Limits) *rig {
	g := &rig{t: t, r: rand.New(rand.NewPCG(1, 2)), fs: newFaultFS(), now: 1e18, mode: mode, limits: l}
	g.start(size)
	return g
}

// start starts a server on what is there.
func (g *rig) start(size int64) *persist.Recovery {
	g.t.Helper()
	r, err := recoverUnder(g.fs, "d", g.now, g.limits)
	if err != nil {
		g.t.Fatalf("Recover: %v", err)
	}
	j, err := persist.Open(g.fs, persist.Options{
		Dir: "d", SegmentSize: size, Sync: g.mode, Seed: g.r.Uint64(), Checks: g.limits.Bodies != queue.AlwaysInMemory,
	}, r)
	if err != nil {
		g.t.Fatalf("Open: %v", err)
	}
	g.engine, g.journal, g.client = r.Engine, j, r.Engine.Connect()
	return r
}

func (g *rig) putBody(delay time.Duration, body []byte) (uint64, error) {
	d, err := g.engine.Begin(g.now, g.client, 5, delay, time.Minute, uint32(len(body)))
	if err != nil {
		return 0, err
	}
	copy(g.engine.Body(&d), body)
	return g.engine.Insert(g.now, &d)
}

func (g *rig) put(delay time.Duration, size int) (uint64, error) {
	return g.putBody(delay, make([]byte, size))
}

// write ends a turn, without chores.
func (g *rig) write() error {
	b := g.journal.Cut()
	if b == nil {
		return nil
	}
	write := b.WriteSync
	if g.mode != persist.SyncAlways {
		write = b.Write
	}
	if err := write(); err != nil {
		return err
	}
	g.journal.Settle(b)
	if p := g.journal.Unsynced(); p != nil && g.mode == persist.SyncLater {
		if err := p.Sync(); err != nil {
			return err
		}
		g.journal.Synced(p.Position)
	}
	return nil
}

// chores does all there are; while the disk is full, each is tried once.
func (g *rig) chores() error {
	if g.journal.Full() {
		g.journal.Retry()
	}
	for range 1000 {
		c := g.journal.Chore()
		if c == nil {
			return nil
		}
		if err := g.journal.Done(c, c.Run()); err != nil {
			return err
		}
	}
	return errors.New("there is no end of chores")
}

// turn ends a turn of the server. It reports whether it goes on.
func (g *rig) turn() bool {
	if g.err == nil {
		g.err = errors.Join(g.write(), g.chores())
	}
	if g.check != nil {
		g.check()
	}
	return g.err == nil
}

func (g *rig) must(err error) {
	g.t.Helper()
	if err != nil {
		g.t.Fatal(err)
	}
}

// jobs returns what there is to be known of all jobs, as text.
func jobsOf(e *queue.Engine) []string { return describeJobs(e, true) }

// describeJobs is jobsOf with or without what is not recorded as it happens.
func describeJobs(e *queue.Engine, all bool) []string {
	var jobs []string
	for r := range e.Jobs() {
		c := *r
		c.Place, c.Body = queue.Place{}, nil
		if !all {
			c.Reserves, c.Timeouts = 0, 0
		}
		jobs = append(jobs, fmt.Sprintf("%+v %q", c, r.Body))
	}
	for name := range e.Tubes() {
		if p, ok := e.PauseOf(name); ok {
			jobs = append(jobs, fmt.Sprintf("%+v", p))
		}
	}
	return jobs
}

// Disk use.

// workloads keep going for a while; each turn is what is done in a batch.
var workloads = []struct {
	name string
	size int64 // of segments
	job  int64 // largest job
	run  func(g *rig)
}{
	{"churn on a delayed backlog", 16 << 10, 100, func(g *rig) {
		for range 1000 {
			g.must2(g.put(time.Hour, 100))
			g.turn()
		}
		for range 3000 {
			g.releaseSome(1)
			g.turn()
		}
	}},
	{"churn of short jobs", 4096, 200, func(g *rig) {
		for range 5000 {
			id := g.must2(g.put(0, g.r.IntN(200)))
			if g.r.IntN(2) == 0 {
				g.turn()
			}
			g.must(g.engine.Delete(g.now, g.client, id))
			g.turn()
		}
	}},
	{"large jobs between small ones", 8192, 23000, func(g *rig) {
		var ids []uint64
		for range 1500 {
			size := g.r.IntN(300)
			if g.r.IntN(10) == 0 {
				size = 3000 + g.r.IntN(20000)
			}
			ids = append(ids, g.must2(g.put(0, size)))
			if len(ids) > 60 {
				g.must(g.engine.Delete(g.now, g.client, take(g.r, &ids)))
			}
			g.turn()
		}
	}},
	{"buried backlog with churn", 16 << 10, 150, func(g *rig) {
		for range 500 {
			id := g.must2(g.put(0, 150))
			g.reserve(id)
			g.must(g.engine.Bury(g.client, id, 1))
			g.turn()
		}
		for range 3000 {
			id := g.must2(g.put(0, 50))
			g.turn()
			g.must(g.engine.Delete(g.now, g.client, id))
			g.turn()
		}
	}},
	{"deletes in random order of a large backlog", 16 << 10, 100, func(g *rig) {
		var ids []uint64
		for i := range 4000 {
			ids = append(ids, g.must2(g.put(0, 200)))
			if i%20 == 0 {
				g.turn()
			}
		}
		for len(ids) > 0 {
			g.must(g.engine.Delete(g.now, g.client, take(g.r, &ids)))
			g.turn()
		}
	}},
	{"deletes in batches", 16 << 10, 100, func(g *rig) {
		var ids []uint64
		for range 8 {
			for range 500 {
				ids = append(ids, g.must2(g.put(0, 100)))
			}
			g.turn()
			for len(ids) > 20 {
				g.must(g.engine.Delete(g.now, g.client, take(g.r, &ids)))
			}
			for range 20 {
				g.turn()
			}
		}
	}},
}

// take takes one of the ids out.
func take(r *rand.Rand, ids *[]uint64) uint64 {
	s := *ids
	i := r.IntN(len(s))
	id := s[i]
	s[i] = s[len(s)-1]
	*ids = s[:len(s)-1]
	return id
}

func (g *rig) must2(id uint64, err error) uint64 {
	g.t.Helper()
	g.must(err)
	return id
}

func (g *rig) reserve(id uint64) {
	g.t.Helper()
	if _, err := g.engine.ReserveJob(g.now, g.client, id); err != nil {
		g.t.Fatal(err)
	}
}

// releaseSome reserves and releases n jobs chosen at random. It returns how
// many: there may be no room.
func (g *rig) releaseSome(n int) (released int) {
	g.t.Helper()
	next := g.engine.NextID()
	for range n {
		id := 1 + g.r.Uint64N(next-1)
		if _, err := g.engine.ReserveJob(g.now, g.client, id); err != nil && !errors.Is(err, queue.ErrOutOfMemory) {
			continue // it is reserved
		}
		switch err := g.engine.Release(g.now, g.client, id, 5, time.Hour); {
		case err == nil:
			released++
		case !errors.Is(err, queue.ErrOutOfMemory) && !errors.Is(err, queue.ErrNotFound):
			g.t.Fatal(err)
		}
	}
	return released
}

// modes are ways to keep a journal.
var modes = []struct {
	name   string
	mode   persist.Sync
	limits queue.Limits
}{
	{"0", persist.SyncLater, queue.Limits{}},
	{"1", persist.SyncAlways, queue.Limits{}},
	{"0, bodies in the journal", persist.SyncLater, queue.Limits{Bodies: queue.InJournal}},
	{"1, bodies in the journal", persist.SyncAlways, queue.Limits{Bodies: queue.InJournal}},
}

func TestDiskUse(t *testing.T) {
	for _, w := range workloads {
		for _, m := range modes {
			t.Run(fmt.Sprintf("%s/%s", w.name, m.name), func(t *testing.T) {
				g := newRigUnder(t, m.mode, w.size, m.limits)
				// Beyond what is promised: a job larger than a segment is there
				// twice while it is copied, and a segment may have a little that is
				// not used.
				slack := w.size / 8
				if w.job > w.size {
					slack += 2 * w.job
				}
				if m.limits.Bodies != queue.AlwaysInMemory { // cleaning waits for what is read
					slack += 4 * w.size
				}
				worst := int64(0)
				g.check = func() {
					over := g.fs.used() - 2*g.journal.Stats().Live - 2*w.size
					worst = max(worst, over)
					if got, want := g.journal.Stats().Disk, g.fs.used(); got != want {
						t.Fatalf("Stats: Disk is %d, and the files have %d", got, want)
					}
				}
				w.run(g)
				g.must(g.err)
				s := g.journal.Stats()
				t.Logf("at most %d bytes over 2*Live + 2 segments; %d records written, %d of them copied", worst, s.Written, s.Copied)
				if worst > slack {
					t.Errorf("the files have %d bytes more than twice what lives and two segments (%+v)", worst, s)
				}
			})
		}
	}
}

// A disk without room.

// fill puts jobs until there is no room for another.
func (g *rig) fill(capacity int64, size func() int) (ids []uint64) {
	g.fs.capacity = capacity
	for range 100_000 {
		id, err := g.put(0, size())
		if err != nil {
			break
		}
		ids = append(ids, id)
		if g.r.IntN(3) == 0 && !g.turn() {
			break
		}
	}
	g.turn()
	g.must(g.err)
	return ids
}

// TestFullDisk fills a disk, works on what there is without end, and makes room
// again.
func TestFullDisk(t *testing.T) {
	const size = 16 << 10
	for _, tt := range []struct {
		name     string
		segments int64 // the disk has room for
		body     func(r *rand.Rand) int
		work     func(g *rig, ids *[]uint64) (done int)
		least    int // that must be done on the full disk
	}{
		{"deletes", 20, small, func(g *rig, ids *[]uint64) int {
			if len(*ids) > 0 {
				g.must(g.engine.Delete(g.now, g.client, take(g.r, ids)))
			}
			return 1
		}, 4000},
		{"releases", 8, small, func(g *rig, _ *[]uint64) int { return g.releaseSome(1) }, 100},
		{"releases in a large backlog", 60, small, func(g *rig, _ *[]uint64) int { return g.releaseSome(1) }, 100},
		{"releases of the same job", 60, small, func(g *rig, ids *[]uint64) int {
			g.reserve((*ids)[7])
			g.must(g.engine.Release(g.now, g.client, (*ids)[7], 5, time.Hour))
			return 1
		}, 4000},
		{"releases of short jobs", 30, func(r *rand.Rand) int { return r.IntN(4) }, func(g *rig, _ *[]uint64) int { return g.releaseSome(1) }, 50},
		{"releases in batches", 30, small, func(g *rig, _ *[]uint64) int { return g.releaseSome(20) }, 100},
		{"releases among middling jobs", 30, func(r *rand.Rand) int { return r.IntN(size / 4) }, func(g *rig, _ *[]uint64) int { return g.releaseSome(1) }, 1},
		{"deletes and puts", 20, small, func(g *rig, ids *[]uint64) int {
			if len(*ids) > 0 && g.r.IntN(2) == 0 {
				g.must(g.engine.Delete(g.now, g.client, take(g.r, ids)))
			} else if id, err := g.put(0, 100); err == nil {
				*ids = append(*ids, id)
			}
			return 1
		}, 4000},
	} {
		for _, m := range modes {
			t.Run(fmt.Sprintf("%s/%s", tt.name, m.name), func(t *testing.T) {
				g := newRigUnder(t, m.mode, size, m.limits)
				ids := g.fill(tt.segments*size+size/3, func() int { return tt.body(g.r) })
				if len(ids) == 0 {
					t.Fatal("got no job onto an empty disk")
				}
				if used := g.fs.used(); used < (tt.segments-4)*size {
					t.Errorf("puts are refused when %d bytes are used of %d", used, g.fs.capacity)
				}
				done := 0
				for n := range 4000 {
					if done += tt.work(g, &ids); !g.turn() {
						t.Fatalf("turn %d: %v\n%+v", n, g.err, g.journal.Stats())
					}
				}
				t.Logf("%d done: %+v", done, g.journal.Stats())
				if done < tt.least {
					t.Errorf("got %d done on the full disk, want %d", done, tt.least)
				}
				if r, err := recoverUnder(g.fs.kill(), "d", g.now, m.limits); err != nil {
					t.Errorf("Recover: %v", err)
				} else if got, want := describeJobs(r.Engine, false), describeJobs(g.engine, false); !slices.Equal(got, want) {
					t.Errorf("recovered: got %d jobs, want the %d there were", len(got), len(want))
				}
				g.readAll()
				g.fs.capacity = 0
				g.journal.Retry()
				g.turn()
				g.turn()
				if _, err := g.put(0, 200); err != nil || g.journal.Full() {
					t.Errorf("there is room again: got %v of a put, Full %v, want nil, false", err, g.journal.Full())
				}
				g.turn()
				g.must(g.err)
			})
		}
	}
}

func small(r *rand.Rand) int { return r.IntN(400) }

// Damage.

// story writes a journal of a few segments, one batch after the other, and
// returns the states after each.
func story(t testing.TB, mode persist.Sync) (g *rig, states []string) {
	g = newRig(t, mode, 4096)
	state := func() {
		if !g.turn() {
			t.Fatal(g.err)
		}
		if s := fmt.Sprint(jobsOf(g.engine)); len(states) == 0 || states[len(states)-1] != s {
			states = append(states, s)
		}
	}
	var ids []uint64
	for i := range 70 {
		g.now += int64(time.Millisecond)
		g.engine.Use(g.client, fmt.Appendf(nil, "tube%d", i%3))
		ids = append(ids, g.must2(g.putBody(time.Duration(i%2)*time.Hour, bytes.Repeat([]byte{byte('a' + i)}, i*3))))
		state()
		id := ids[g.r.IntN(len(ids))]
		switch i % 5 {
		case 0:
			g.reserve(id)
			g.must(g.engine.Release(g.now, g.client, id, uint32(i), time.Duration(i)*time.Minute))
		case 1:
			g.reserve(id)
			g.must(g.engine.Bury(g.client, id, uint32(i)))
		case 2, 3:
			g.must(g.engine.Delete(g.now, g.client, take(g.r, &ids)))
		case 4:
			g.must(g.engine.Pause(g.now, fmt.Appendf(nil, "tube%d", i%3), time.Duration(i)*time.Hour))
		}
		state()
	}
	if s := g.journal.Stats(); s.Oldest == 1 || s.Segments < 3 {
		t.Fatalf("got %+v, want a few segments, and the first cleaned away", s)
	}
	return g, states
}

// wantPrefix checks that what is recovered from files is one of the states
// from the oldest on, and that there is a Cut if it is not the last one, or
// that there is an error. It returns which.
func wantPrefix(t *testing.T, what string, files *faultFS, now int64, states []string, oldest int) int {
	t.Helper()
	r, err := recoverFrom(files, "d", now)
	if err != nil {
		var damage *persist.DamageError
		if !errors.As(err, &damage) || damage.File == "" {
			t.Fatalf("%s: got error %v, want a DamageError that names a file", what, err)
		}
		return -1
	}
	got := fmt.Sprint(jobsOf(r.Engine))
	i := slices.Index(states, got)
	if i < oldest {
		t.Fatalf("%s: got state %d of %d without an error, want one from %d on; Cut is %v", what, i, len(states), oldest, r.Cut)
	}
	if i < len(states)-1 && r.Cut == nil {
		t.Fatalf("%s: got state %d of %d, and Cut is nil", what, i, len(states))
	}
	return i
}

// with returns files in which one is different.
func (f *faultFS) with(name string, data []byte) *faultFS {
	next := newFaultFS()
	for n, node := range f.files {
		next.files[n] = node
	}
	delete(next.files, name)
	if data != nil {
		next.files[name] = &inode{data: data}
	}
	return next
}

// framesOf returns where the frames of a segment begin.
func framesOf(data []byte) (starts []int) {
	for at := 32; at+28 <= len(data) && !bytes.Equal(data[at:at+4], make([]byte, 4)); {
		starts = append(starts, at)
		at += 28 + int(binary.LittleEndian.Uint32(data[at+4:]))
	}
	return starts
}

// TestDamage damages a settled journal in every way there is.
func TestDamage(t *testing.T) {
	g, states := story(t, persist.SyncAlways)
	last := len(states) - 1
	names := slices.Sorted(maps.Keys(g.fs.files))
	counts := map[int]int{}
	is := func(what string, files *faultFS) {
		t.Helper()
		counts[wantPrefix(t, what, files, g.now, states, last-1)]++
	}
	// Nothing tells that there was more, if the end of the newest segment is lost.
	head := "d/" + persist.SegmentName(g.journal.Stats().Head)
	lost := func(what, name string, files *faultFS) {
		t.Helper()
		if name != head {
			is(what, files)
		} else if r, err := recoverFrom(files, "d", g.now); err == nil && !slices.Contains(states, fmt.Sprint(jobsOf(r.Engine))) {
			t.Fatalf("%s: what is recovered is no earlier state", what)
		}
	}
	is("no damage", g.fs)
	bits, stride := []int{-1}, 5
	if *faults >= 10_000 {
		bits, stride = []int{0, 1, 2, 3, 4, 5, 6, 7}, 1
	}
	for _, name := range names {
		data := g.fs.files[name].data
		for i := g.r.IntN(stride); i < len(data); i += stride {
			for _, bit := range bits {
				if bit < 0 {
					bit = g.r.IntN(8)
				}
				d := slices.Clone(data)
				d[i] ^= 1 << bit
				is(fmt.Sprintf("bit %d of byte %d of %s", bit, i, name), g.fs.with(name, d))
			}
		}
		for i := 0; i < len(data); i += 7 * stride {
			lost(fmt.Sprintf("%s cut off at %d", name, i), name, g.fs.with(name, data[:i:i]))
		}
		for i := 0; i < len(data); i += sector {
			d := slices.Clone(data)
			clear(d[i:min(i+sector, len(d))])
			what, files := fmt.Sprintf("sector at %d of %s zeroed", i, name), g.fs.with(name, d)
			if bytes.Trim(data[min(i+sector, len(data)):], "\x00") == nil {
				lost(what, name, files)
			} else {
				is(what, files)
			}
		}
		starts := framesOf(data)
		for k := 0; k+2 < len(starts); k++ {
			d := slices.Clone(data)
			clear(d[starts[k]:starts[k+1]])
			is(fmt.Sprintf("frame at %d of %s zeroed", starts[k], name), g.fs.with(name, d))
		}
		lost("without "+name, name, g.fs.with(name, nil))
		for _, other := range names {
			if other != name {
				is(fmt.Sprintf("%s in the place of %s", other, name), g.fs.with(name, g.fs.files[other].data))
			}
		}
		for _, n := range []uint64{1, 7, 1000, 1<<32 + 5} {
			if as := "d/" + persist.SegmentName(n); g.fs.files[as] == nil {
				is(fmt.Sprintf("%s again as %s", name, as), g.fs.with(as, data))
			}
		}
	}
	t.Logf("%d errors, %d times the last state, %d times the one before", counts[-1], counts[last], counts[last-1])
	if counts[-1] == 0 || counts[last] == 0 || counts[last-1] == 0 {
		t.Errorf("got %v, want some of each", counts)
	}
}

// TestNumbersOutliveTheirJobs has no id and no burial given twice, though
// nothing is left of those that had them.
func TestNumbersOutliveTheirJobs(t *testing.T) {
	g := newRig(t, persist.SyncAlways, 4096)
	for range 100 {
		id := g.must2(g.put(0, 150))
		g.reserve(id)
		g.must(g.engine.Bury(g.client, id, 1))
		g.must(g.engine.Delete(g.now, g.client, id))
		g.turn()
	}
	g.must(g.err)
	if s := g.journal.Stats(); s.Oldest < 3 {
		t.Fatalf("got %+v, want the first segments cleaned away", s)
	}
	for _, fs := range []*faultFS{g.fs.kill(), g.fs.cut(g.r)} {
		for range 3 { // starts, with nothing to record
			g.fs = fs
			r := g.start(4096)
			if got, want := r.Engine.NextID(), uint64(101); got != want {
				t.Errorf("NextID: got %d, want %d", got, want)
			}
			if got, want := r.Engine.Burials(), uint64(100); got != want {
				t.Errorf("Burials: got %d, want %d", got, want)
			}
		}
	}
}

// TestSnapshot copies the files of a snapshot while the journal goes on.
func TestSnapshot(t *testing.T) {
	g, _ := story(t, persist.SyncAlways)
	want := jobsOf(g.engine)
	files := g.journal.Snapshot()
	for range 200 {
		g.must(g.engine.Delete(g.now, g.client, g.must2(g.put(0, 200))))
		g.turn()
	}
	g.must(g.err)
	copied := newFaultFS()
	for _, f := range files {
		copied.files["d/"+f.Name] = &inode{data: g.fs.files["d/"+f.Name].data[:f.Size]}
	}
	r, err := recoverFrom(copied, "d", g.now)
	if err != nil {
		t.Fatal(err)
	}
	if got := jobsOf(r.Engine); !slices.Equal(got, want) || r.Cut != nil {
		t.Errorf("got %v and Cut %v, want %v and nil", got, r.Cut, want)
	}
	before := g.journal.Stats().Disk
	g.journal.Unpin()
	g.turn()
	if after := g.journal.Stats().Disk; after >= before {
		t.Errorf("Disk: got %d after Unpin, want less than %d", after, before)
	}
}

// TestPending follows a batch from being filled to being settled.
func TestPending(t *testing.T) {
	g := newRig(t, persist.SyncAlways, 4096)
	is := func(when string, dirty bool, newest uint64, pending ...uint64) {
		t.Helper()
		if got := g.journal.Dirty(); got != dirty {
			t.Errorf("%s: Dirty: got %v, want %v", when, got, dirty)
		}
		if got := g.journal.Newest(); got != newest {
			t.Errorf("%s: Newest: got %d, want %d", when, got, newest)
		}
		for id := range uint64(4) {
			if got, want := g.journal.Pending(id), slices.Contains(pending, id); got != want {
				t.Errorf("%s: Pending(%d): got %v, want %v", when, id, got, want)
			}
		}
	}
	is("at the start", false, 0)
	g.must2(g.put(0, 1))
	is("one put", true, 1, 1)
	first := g.journal.Cut()
	is("cut", false, 1, 1)
	g.must2(g.put(0, 1))
	is("another put", true, 2, 1, 2)
	g.journal.Settle(first)
	is("the first settled", true, 2, 2)
	second := g.journal.Cut()
	g.must(g.engine.Delete(g.now, g.client, 1))
	is("a delete", true, 3, 1, 2)
	g.journal.Settle(second)
	is("the second settled", true, 3, 1)
	g.journal.Settle(g.journal.Cut())
	is("all settled", false, 3)
	if b := g.journal.Cut(); b != nil {
		t.Errorf("Cut: got batch %d, want nil", b.Number)
	}
}
