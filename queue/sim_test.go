package queue_test

import (
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"spoked/queue"
)

var (
	simSeed  = flag.Uint64("seed", 0, "simulate this seed only (0: the first few)")
	simSeeds = flag.Uint64("seeds", 4, "number of seeds to simulate in each profile")
	simSteps = flag.Int("steps", 3000, "number of commands in a simulation")
)

// TestSimulation drives the engine and the model with the same random
// commands, and compares everything there is to see after each of them.
//
//	go test ./queue -run TestSimulation -seeds 1000
//	go test ./queue -run TestSimulation/pauses -seed 17 -steps 100000
func TestSimulation(t *testing.T) {
	for _, p := range profiles {
		t.Run(p.name, func(t *testing.T) {
			seeds := []uint64{*simSeed}
			if *simSeed == 0 {
				seeds = seeds[:0]
				for seed := range *simSeeds {
					seeds = append(seeds, seed+1)
				}
			}
			for _, seed := range seeds {
				t.Run(fmt.Sprint(seed), func(t *testing.T) {
					t.Parallel()
					simulate(t, p, seed, *simSteps)
				})
			}
		})
	}
}

// A profile is a kind of traffic.
type profile struct {
	name                 string
	clients, tubes, jobs int    // at most
	lists                []int  // lengths of the lists of tubes that clients change to
	jump                 int    // in how many steps time jumps, instead of creeping, once
	more                 []oper // more of these
	limits               queue.Limits
	body                 int // bytes at most; 0: 39
}

// The years of a simulation end early enough for the longest delay to end
// before 2262, when int64 does.
const (
	start = int64(1e18) // in 2001
	end   = int64(4e18) // in 2096
)

// oper is a kind of step, and how often it is taken.
type oper struct {
	weight int
	do     func(*sim)
}

var usual = []oper{
	{20, (*sim).put},
	{3, (*sim).begin},
	{2, (*sim).insert},
	{1, (*sim).abandon},
	{20, (*sim).reserve},
	{3, (*sim).reserveJob},
	{8, (*sim).delete},
	{4, (*sim).release},
	{4, (*sim).bury},
	{4, (*sim).touch},
	{3, (*sim).kick},
	{2, (*sim).kickJob},
	{2, (*sim).peek},
	{2, (*sim).pause},
	{2, (*sim).connect},
	{1, (*sim).disconnect},
	{2, (*sim).stopWaiting},
	{4, (*sim).use},
	{3, (*sim).watch},
	{3, (*sim).ignore},
}

var profiles = []profile{
	{name: "few tubes", clients: 24, tubes: 3, jobs: 60, jump: 20},
	{name: "many tubes", clients: 10, tubes: 40, jobs: 60, jump: 20, lists: []int{1, 2, 20, 20, 40}, more: []oper{
		{2, (*sim).watchList}, {20, (*sim).reserve},
	}},
	{name: "shared lists", clients: 30, tubes: 8, jobs: 40, jump: 30, lists: []int{1, 1, 2, 2, 3, 8}, more: []oper{
		{3, (*sim).watchList}, {40, (*sim).reserve}, {5, (*sim).connect}, {3, (*sim).disconnect},
	}},
	{name: "pauses", clients: 12, tubes: 6, jobs: 50, jump: 8, lists: []int{1, 2, 3, 6}, more: []oper{
		{1, (*sim).watchList}, {30, (*sim).pause}, {20, (*sim).reserve},
	}},
	{name: "timers", clients: 6, tubes: 5, jobs: 200, jump: 4, more: []oper{
		{60, (*sim).put}, {20, (*sim).release}, {20, (*sim).reserve}, {10, (*sim).touch},
	}},
	{name: "bursts", clients: 8, tubes: 2, jobs: 300, jump: 60, more: []oper{
		{2, (*sim).putMany}, {2, (*sim).deleteAll},
	}},
	{name: "bodies in the journal", clients: 10, tubes: 4, jobs: 80, jump: 10, more: long,
		limits: queue.Limits{Bodies: queue.InJournal}},
	{name: "little memory", clients: 10, tubes: 4, jobs: 150, jump: 10, more: long, body: 200 << 10,
		limits: queue.Limits{Bodies: queue.InMemoryIfRoom, Memory: 6 << 20}},
	{name: "memory that changes", clients: 10, tubes: 4, jobs: 150, jump: 10, more: append(slices.Clone(long), oper{10, (*sim).relimit}), body: 200 << 10,
		limits: queue.Limits{Bodies: queue.InMemoryIfRoom, Memory: 6 << 20}},
	{name: "memory for far jobs", clients: 10, tubes: 4, jobs: 150, jump: 5, more: long,
		limits: queue.Limits{Bodies: queue.InMemoryIfRoom}},
	{name: "little memory and no journal", clients: 10, tubes: 4, jobs: 150, jump: 10, more: long, body: 200 << 10,
		limits: queue.Limits{Memory: 6 << 20}},
	{name: "edits", clients: 14, tubes: 4, jobs: 60, jump: 10, lists: []int{1, 2, 3, 4}, more: edits},
	{name: "edits of bodies in the journal", clients: 10, tubes: 4, jobs: 60, jump: 10, more: append(slices.Clone(long), edits...),
		limits: queue.Limits{Bodies: queue.InJournal}},
	{name: "edits of far jobs", clients: 10, tubes: 3, jobs: 100, jump: 5, more: append(slices.Clone(long), edits...),
		limits: queue.Limits{Bodies: queue.InMemoryIfRoom}},
	{name: "comings and goings", clients: 12, tubes: 20, jobs: 10, jump: 10, lists: []int{1, 2, 18}, more: []oper{
		{20, (*sim).connect}, {20, (*sim).disconnect}, {5, (*sim).watchList}, {20, (*sim).use}, {3, (*sim).deleteAll},
	}},
}

// long has jobs that are far from being ready, and more done to them.
var long = []oper{
	{30, (*sim).putLong}, {1, (*sim).putMany}, {5, (*sim).reserveJob}, {5, (*sim).kickJob}, {5, (*sim).kick},
	{5, (*sim).peek}, {5, (*sim).delete}, {5, (*sim).release}, {1, (*sim).deleteAll}, {5, (*sim).trim},
}

// sim is a simulation: the engine, the model, and what happened.
type sim struct {
	t  testing.TB
	r  *rand.Rand
	p  profile
	on string // profile, seed, step

	engine  *queue.Engine
	model   *model
	journal *journal // nil if there is none
	clients []*simClient
	drafts  []*simDraft
	names   int
	wakes   []wake // of the engine
	refused int    // puts, for want of memory

	heard *heard // by an observer; nil if there is none

	portions int // of what was not done at once
	log      []string
}

// simClient is a client in both worlds.
type simClient struct {
	engine *queue.Client
	model  *modelClient
}

// simDraft is a put that has begun, in both worlds.
type simDraft struct {
	engine queue.Draft
	model  *modelJob
}

func simulate(t testing.TB, p profile, seed uint64, steps int) {
	s := &sim{t: t, r: rand.New(rand.NewPCG(seed, 0)), p: p, engine: queue.New(start), model: newModel(start)}
	s.engine.SetLimits(p.limits)
	if p.limits.Bodies != queue.AlwaysInMemory {
		s.journal = &journal{}
		s.engine.SetJournal(s.journal)
	}
	if seed%3 != 0 {
		s.heard = newHeard()
		s.engine.SetObserver(s.heard)
		s.engine.KeepTimes(2)
	}
	opers := append(slices.Clone(usual), p.more...)
	sum := 0
	for _, o := range opers {
		sum += o.weight
	}
	if seed%2 == 0 {
		s.engine.SetPortions(s.r.IntN(2), s.r.IntN(3), 1+s.r.IntN(3))
	}
	for step := range steps {
		s.on = fmt.Sprintf("%s, seed %d, step %d", p.name, seed, step)
		s.pass()
		if step == steps*9/10 {
			s.drain()
		}
		n := s.r.IntN(sum)
		for _, o := range opers {
			if n -= o.weight; n < 0 {
				o.do(s)
				break
			}
		}
		s.compare()
	}
	if seed%2 == 0 && s.portions == 0 && steps > 1000 {
		t.Errorf("%s: nothing was done in portions", s.on)
	}
}

// did notes what is being done, for when it fails.
func (s *sim) did(format string, args ...any) {
	s.log = append(s.log, fmt.Sprintf("%d  ", s.model.now)+fmt.Sprintf(format, args...))
	if len(s.log) > 100 {
		s.log = slices.Clone(s.log[80:])
	}
}

func (s *sim) failed(format string, args ...any) {
	s.t.Helper()
	last := s.log[max(0, len(s.log)-20):]
	s.t.Fatalf("%s: %s\nlast steps:\n\t%s", s.on, fmt.Sprintf(format, args...), strings.Join(last, "\n\t"))
}

// same fails the simulation unless what the engine has is what the model has.
func same[T comparable](s *sim, what string, got, want T) {
	if got != want {
		s.t.Helper()
		s.failed("%s: got %+v, want %+v", what, got, want)
	}
}

// kicked is the count of a Kick that is done.
func kicked(n uint32, done bool) uint32 {
	if !done {
		panic("the kick is not done")
	}
	return n
}

// seen returns what a client sees of j. A body that is in the journal alone is
// looked up there.
func (s *sim) seen(j queue.Job) view {
	if j.Stored == 0 {
		return view{j.ID, string(j.Body)}
	}
	if len(j.Body) > 0 || s.journal == nil {
		s.failed("job %d is stored, and has %d bytes in memory", j.ID, len(j.Body))
	}
	return view{j.ID, s.journal.bodyAt(s.t, j.Place, j.ID, j.Stored)}
}

// collect takes the engine's wakes, as must be done after every command. It
// sees to it that the command is done.
func (s *sim) collect() {
	s.takeWakes()
	s.finish(nil)
}

func (s *sim) takeWakes() {
	s.engine.TakeWakes(func(w queue.Wake) {
		s.wakes = append(s.wakes, wake{w.Client.Data.(*simClient).model.name, w.Outcome, s.seen(w.Job)})
	})
}

// ownWake is how the wait of a client ended that was busy.
type ownWake struct {
	outcome queue.Outcome
	job     view
	count   uint32
}

// finish has the engine do the rest of what has been begun, and returns the wake
// of c, who waits for it. If it goes on waiting, in a reserve, that is the zero
// ownWake.
func (s *sim) finish(c *simClient) (own ownWake) {
	for more := true; more; {
		more = s.engine.Advance(s.model.now, 1+s.r.IntN(5))
		s.engine.TakeWakes(func(w queue.Wake) {
			if o := w.Client.Data.(*simClient); o != c {
				s.wakes = append(s.wakes, wake{o.model.name, w.Outcome, s.seen(w.Job)})
			} else {
				own = ownWake{w.Outcome, s.seen(w.Job), w.Count}
			}
		})
		if err := s.engine.Check(); more && err != nil {
			s.failed("Check: %v", err)
		}
		if more {
			s.portions++
		}
	}
	return own
}

// compare looks at everything in both worlds.
func (s *sim) compare() {
	s.collect()
	e, m := s.engine, s.model
	if !slices.Equal(s.wakes, m.wakes) {
		s.failed("wakes: got %v, want %v", s.wakes, m.wakes)
	}
	s.wakes, m.wakes = s.wakes[:0], m.wakes[:0]
	same(s, "Stats", e.Stats(), m.stats())
	for i, name := range slices.Collect(e.Tubes()) {
		same(s, "tube listed", name, m.tubes[i].name)
		got, err := e.TubeStats(m.now, []byte(name))
		same(s, "TubeStats", err, nil)
		same(s, "TubeStats", got, m.tubeStats(m.tubes[i]))
	}
	for _, j := range m.jobs {
		got, err := e.JobStats(m.now, j.ID)
		same(s, "JobStats", err, nil)
		same(s, "JobStats", got, m.jobStats(j))
	}
	for _, c := range s.clients {
		same(s, "Used", c.engine.Used(), c.model.used.name)
		same(s, "Waiting", c.engine.Waiting(), slices.Contains(m.waiting, c.model))
		same(s, "Watching", c.engine.Watching(), len(c.model.watched))
		i := 0
		for name := range c.engine.Watched() {
			same(s, "tube watched", name, c.model.watched[i].name)
			i++
		}
	}
	for _, d := range s.drafts {
		_, err := e.JobStats(m.now, d.model.ID)
		same(s, "JobStats of a draft", err, queue.ErrNotFound)
	}
	if at, happen := m.next(); happen != nil {
		if got, ok := e.Next(); !ok || got > at {
			s.failed("Next: got %d, %v, want %d at the latest", got, ok, at)
		}
	}
	if err := e.Check(); err != nil {
		s.failed("Check: %v", err)
	}
	s.checkMemory()
	s.checkHeard()
}

// checkMemory compares what bodies there are with the model, and what memory
// they take with the limit.
func (s *sim) checkMemory() {
	want := int64(0)
	for _, j := range s.model.jobs {
		want += int64(len(j.body))
	}
	for _, d := range s.drafts {
		want += int64(len(d.model.body))
	}
	same(s, "BodyBytes", s.engine.BodyBytes(), want)
	if l := s.p.limits.Memory; l > 0 && s.engine.Memory() > l+l/8+slack {
		s.failed("Memory: got %d, want %d and %d at most", s.engine.Memory(), l+l/8, slack)
	}
}

// slack is what the memory of an engine may grow by one put and what is
// worked on, beyond what it has been given: pages are taken whole.
const slack = 2 << 20

// Time.

// pass lets time pass before a command, so that no two happen at the same
// instant.
func (s *sim) pass() {
	now := s.model.now
	next, happen := s.model.next()
	switch {
	case s.r.IntN(s.p.jump) > 0:
		now += 1 + s.r.Int64N(1e6)
	case happen != nil && s.r.IntN(3) > 0:
		now = max(now+1, next+s.r.Int64N(3)-1) // around when something happens
	default:
		now += int64(s.duration())
	}
	if now > end {
		now = s.model.now
	}
	s.advance(now)
	s.advance(now + 1 + s.r.Int64N(1000))
}

func (s *sim) advance(now int64) {
	limit := []int{1, 2, 3, 7, 1000}[s.r.IntN(5)]
	s.model.advance(now)
	for more := true; more; {
		more = s.engine.Advance(now, limit)
		s.takeWakes()
	}
	s.did("advance, limit %d", limit)
	if s.r.IntN(10) == 0 {
		s.compare()
	}
}

// duration returns a delay, which is like no other.
func (s *sim) duration() time.Duration {
	unit := []time.Duration{time.Millisecond, time.Second, time.Second, 5 * time.Second, 5 * time.Second, time.Minute, time.Hour}[s.r.IntN(7)]
	switch s.r.IntN(200) {
	case 0:
		unit = 10 * 365 * 24 * time.Hour
	case 1:
		return math.MaxUint32 * time.Second // the longest there is
	}
	return 1 + time.Duration(s.r.Int64N(int64(unit)))
}

func (s *sim) delay() time.Duration {
	if s.r.IntN(2) == 0 {
		return 0
	}
	return s.duration()
}

func (s *sim) ttr() time.Duration {
	if s.r.IntN(4) == 0 {
		return s.delay()
	}
	return time.Second + time.Duration(s.r.Int64N(int64(10*time.Second)))
}

func (s *sim) timeout() time.Duration {
	switch s.r.IntN(4) {
	case 0:
		return 0
	case 1:
		return queue.Forever
	}
	return s.duration()
}

// What is chosen.

func pick[T any](r *rand.Rand, s []T) T {
	if len(s) == 0 {
		return *new(T)
	}
	return s[r.IntN(len(s))]
}

// client returns one that can issue a command. There may be none.
func (s *sim) client() *simClient {
	var idle []*simClient
	for _, c := range s.clients {
		if !c.engine.Waiting() {
			idle = append(idle, c)
		}
	}
	if len(idle) == 0 {
		return s.join()
	}
	return pick(s.r, idle)
}

func (c *simClient) String() string { return fmt.Sprintf("client %d:", c.model.name) }

func (s *sim) tube() string {
	if n := s.r.IntN(s.p.tubes + 1); n > 0 {
		return fmt.Sprintf("t%d", n)
	}
	return "default"
}

func (s *sim) pri() uint32 {
	return []uint32{0, 5, 1023, 1024, s.r.Uint32N(10), math.MaxUint32}[s.r.IntN(6)]
}

// id returns that of any job, and sometimes that of none.
func (s *sim) id() uint64 {
	if j := pick(s.r, s.model.jobs); j != nil && s.r.IntN(20) > 0 {
		return j.ID
	}
	return []uint64{0, s.r.Uint64N(s.model.lastID + 2), s.r.Uint64()}[s.r.IntN(3)]
}

// held returns a client and the id of a job that it holds, mostly.
func (s *sim) held() (*simClient, uint64) {
	c := s.client()
	var held []uint64
	for _, j := range s.model.jobs {
		if j.owner == c.model {
			held = append(held, j.ID)
		}
	}
	if len(held) > 0 && s.r.IntN(10) > 0 {
		return c, pick(s.r, held)
	}
	return c, s.id()
}

// Steps.

func (s *sim) connect() { s.join() }

func (s *sim) join() *simClient {
	if len(s.clients) == s.p.clients {
		s.disconnect()
		s.compare()
	}
	s.names++
	return s.enroll(&simClient{s.engine.Connect(), s.model.connect(s.names)})
}

func (s *sim) enroll(c *simClient) *simClient {
	c.engine.Data, c.model.engine = c, c.engine
	s.clients = append(s.clients, c)
	s.did("%v connect, attached %v", c, c.model.attached)
	return c
}

func (s *sim) disconnect() {
	if c := pick(s.r, s.clients); c != nil {
		s.leave(c)
	}
}

func (s *sim) leave(c *simClient) {
	s.did("%v disconnect", c)
	s.clients = remove(s.clients, c)
	s.engine.Disconnect(s.model.now, c.engine)
	s.model.disconnect(c.model)
}

func (s *sim) drain() {
	s.did("drain")
	s.engine.Drain()
	s.model.draining = true
	same(s, "Draining", s.engine.Draining(), true)
}

func (s *sim) use() {
	c, tube := s.client(), s.tube()
	s.did("%v use %s", c, tube)
	s.engine.Use(c.engine, []byte(tube))
	s.model.use(c.model, tube)
}

func (s *sim) watch() { s.watchTube(s.client(), s.tube()) }

func (s *sim) watchTube(c *simClient, tube string) {
	s.did("%v watch %s", c, tube)
	s.engine.Watch(c.engine, []byte(tube))
	s.model.watch(c.model, tube)
}

func (s *sim) ignore() { s.ignoreTube(s.client(), s.tube()) }

func (s *sim) ignoreTube(c *simClient, tube string) {
	s.did("%v ignore %s", c, tube)
	same(s, "Ignore", s.engine.Ignore(c.engine, []byte(tube)), s.model.ignore(c.model, tube))
}

// watchList has a client watch a list of tubes which others may have, too.
func (s *sim) watchList() {
	c := s.client()
	n, from := pick(s.r, s.p.lists), s.r.IntN(2)
	var list []string
	for i := range n {
		list = append(list, fmt.Sprintf("t%d", (from*n+i)%s.p.tubes+1))
	}
	s.r.Shuffle(n, func(i, k int) { list[i], list[k] = list[k], list[i] })
	for _, tube := range list {
		s.watchTube(c, tube)
	}
	for _, t := range slices.Clone(c.model.watched) {
		if !slices.Contains(list, t.name) {
			s.ignoreTube(c, t.name)
		}
	}
}

func (s *sim) put() {
	drafts := len(s.drafts)
	if s.begin(); len(s.drafts) > drafts {
		s.insertDraft(drafts)
	}
}

func (s *sim) putMany() {
	for range s.r.IntN(s.p.jobs) {
		s.put()
		s.collect()
	}
}

func (s *sim) begin() {
	c, pri, delay, ttr := s.client(), s.pri(), s.delay(), s.ttr()
	if jobs := s.model.jobs; len(jobs) >= s.p.jobs {
		s.drop(c, pick(s.r, jobs))
	}
	s.beginWith(c, pri, delay, ttr)
}

func (s *sim) beginWith(c *simClient, pri uint32, delay, ttr time.Duration) (ok bool) {
	most := 40
	if s.p.body > 0 {
		most = []int{40, 2000, s.p.body, s.p.body}[s.r.IntN(4)]
	}
	body := strings.Repeat(string(rune('a'+s.r.IntN(26))), s.r.IntN(most))
	s.did("%v begin a put: pri %d, delay %v, ttr %v, %d bytes", c, pri, delay, ttr, len(body))
	d, err := s.engine.Begin(s.model.now, c.engine, pri, delay, ttr, uint32(len(body)))
	if err != nil {
		if l := s.p.limits; l.Memory == 0 || err != queue.ErrOutOfMemory || s.engine.Memory()+int64(len(body)) <= l.Memory {
			s.failed("Begin: got %v with %d bytes in use", err, s.engine.Memory())
		}
		s.refused++
		c.model.producer = true
		return false
	}
	copy(s.engine.Body(&d), body)
	s.drafts = append(s.drafts, &simDraft{d, s.model.begin(c.model, pri, delay, ttr, body)})
	return true
}

// putLong puts a job that is far from being ready, in whole seconds as clients
// do it, or nearly so.
func (s *sim) putLong() {
	c, ttr := s.client(), time.Duration(1+s.r.IntN(3))*time.Minute
	if s.r.IntN(2) == 0 {
		ttr = s.ttr()
	}
	delay := time.Duration(590+s.r.IntN(100)) * time.Second
	if s.r.IntN(3) == 0 {
		delay = time.Duration(1+s.r.IntN(90*24*3600)) * time.Second
	}
	if jobs := s.model.jobs; len(jobs) >= s.p.jobs {
		s.drop(c, pick(s.r, jobs))
	}
	if s.beginWith(c, s.pri(), delay, ttr) {
		s.insertDraft(len(s.drafts) - 1)
	}
}

// trim does what is done at the end of a turn.
func (s *sim) trim() {
	s.did("trim")
	s.engine.Trim()
}

// drop has c delete j, or the client that has reserved it.
func (s *sim) drop(c *simClient, j *modelJob) {
	for _, o := range s.clients {
		if o.model == j.owner {
			c = o
			s.stop(c)
		}
	}
	s.did("%v delete %d", c, j.ID)
	same(s, "Delete", s.engine.Delete(s.model.now, c.engine, j.ID), s.model.delete(c.model, j.ID))
}

func (s *sim) insert() {
	if len(s.drafts) > 0 {
		s.insertDraft(s.r.IntN(len(s.drafts)))
	}
}

func (s *sim) insertDraft(i int) {
	d := s.drafts[i]
	s.drafts = remove(s.drafts, d)
	s.did("insert %d", d.model.ID)
	id, err := s.engine.Insert(s.model.now, &d.engine)
	wantID, wantErr := s.model.insert(d.model)
	same(s, "Insert", err, wantErr)
	same(s, "Insert", id, wantID)
}

func (s *sim) abandon() {
	if d := pick(s.r, s.drafts); d != nil {
		s.did("abandon %d", d.model.ID)
		s.drafts = remove(s.drafts, d)
		s.engine.Abandon(&d.engine)
		s.model.abandon(d.model)
	}
}

func (s *sim) reserve() {
	c, timeout := s.client(), s.timeout()
	s.did("%v reserve within %v", c, timeout)
	j, outcome := s.engine.Reserve(s.model.now, c.engine, timeout)
	got := s.seen(j)
	if c.engine.Busy() {
		w := s.finish(c)
		got, outcome = w.job, w.outcome
	}
	want, wantOutcome := s.model.reserve(c.model, timeout)
	same(s, "Reserve", outcome, wantOutcome)
	same(s, "Reserve", got, want)
}

func (s *sim) stopWaiting() {
	if c := pick(s.r, s.clients); c != nil {
		s.stop(c)
	}
}

func (s *sim) stop(c *simClient) {
	s.did("%v stop waiting", c)
	s.engine.StopWaiting(c.engine)
	s.model.stopWaiting(c.model)
	s.collect()
}

func (s *sim) reserveJob() {
	c, id := s.client(), s.id()
	s.did("%v reserve-job %d", c, id)
	j, err := s.engine.ReserveJob(s.model.now, c.engine, id)
	want, wantErr := s.model.reserveJob(c.model, id)
	same(s, "ReserveJob", err, wantErr)
	same(s, "ReserveJob", s.seen(j), want)
}

func (s *sim) delete() {
	c, id := s.held()
	s.did("%v delete %d", c, id)
	same(s, "Delete", s.engine.Delete(s.model.now, c.engine, id), s.model.delete(c.model, id))
}

// deleteAll leaves the engine empty, but for a client or two and drafts.
func (s *sim) deleteAll() {
	for len(s.clients) > 2 {
		s.leave(s.clients[0])
		s.collect()
	}
	c := s.client()
	for len(s.model.jobs) > 0 {
		s.drop(c, s.model.jobs[0])
	}
}

func (s *sim) release() {
	c, id := s.held()
	pri, delay := s.pri(), s.delay()
	s.did("%v release %d: pri %d, delay %v", c, id, pri, delay)
	same(s, "Release", s.engine.Release(s.model.now, c.engine, id, pri, delay), s.model.release(c.model, id, pri, delay))
}

func (s *sim) bury() {
	c, id := s.held()
	pri := s.pri()
	s.did("%v bury %d: pri %d", c, id, pri)
	same(s, "Bury", s.engine.Bury(c.engine, id, pri), s.model.bury(c.model, id, pri))
}

func (s *sim) touch() {
	c, id := s.held()
	s.did("%v touch %d", c, id)
	same(s, "Touch", s.engine.Touch(s.model.now, c.engine, id), s.model.touch(c.model, id))
}

func (s *sim) kick() {
	c, n := s.client(), []uint32{0, 1, 2, s.r.Uint32N(20), math.MaxUint32}[s.r.IntN(5)]
	s.did("%v kick %d", c, n)
	got, done := s.engine.Kick(s.model.now, c.engine, n)
	same(s, "Busy", c.engine.Busy(), !done)
	if !done {
		got = s.finish(c).count
	}
	same(s, "Kick", got, s.model.kick(c.model, n))
}

func (s *sim) kickJob() {
	id := s.id()
	s.did("kick-job %d", id)
	same(s, "KickJob", s.engine.KickJob(s.model.now, id), s.model.kickJob(id))
}

func (s *sim) peek() {
	c, id := s.client(), s.id()
	s.did("%v peek at all it can", c)
	s.peeked("Peek", s.model.job(id))(s.engine.Peek(id))
	s.peeked("PeekReady", s.model.first(c.model.used, queue.Ready))(s.engine.PeekReady(c.engine))
	s.peeked("PeekDelayed", s.model.first(c.model.used, queue.Delayed))(s.engine.PeekDelayed(c.engine))
	s.peeked("PeekBuried", s.model.first(c.model.used, queue.Buried))(s.engine.PeekBuried(c.engine))
}

// peeked returns a function that compares what was peeked at with want.
func (s *sim) peeked(what string, want *modelJob) func(queue.Job, error) {
	return func(got queue.Job, err error) {
		var wantErr error
		if want == nil {
			wantErr = queue.ErrNotFound
		}
		same(s, what, err, wantErr)
		same(s, what, s.seen(got), viewOf(want))
	}
}

func (s *sim) pause() {
	tube, delay := s.tube(), s.delay()
	s.did("pause %s for %v", tube, delay)
	same(s, "Pause", s.engine.Pause(s.model.now, []byte(tube), delay), s.model.pauseTube(tube, delay))
}
