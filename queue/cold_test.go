package queue

import (
	"fmt"
	"math"
	"slices"
	"testing"
	"time"
)

// places is a journal that has a place for each job, and keeps nothing.
type places struct {
	n     uint32
	no    bool // it has none
	stuck bool // no job can be changed
}

func (*places) Room(string, int) bool      { return true }
func (p *places) MayChange() bool          { return !p.stuck }
func (*places) Change(*Record)             {}
func (*places) Move(*Record, string)       {}
func (*places) End(*Record)                {}
func (*places) Pause(string, int64, int64) {}
func (p *places) Job(*Record) (place Place) {
	if p.no {
		return Place{}
	}
	p.n++
	return Place{Segment: 1, Offset: p.n}
}

// pagedEngine returns one with a journal, and a client.
func pagedEngine(l Limits) (*Engine, *Client, *places) {
	e, p := New(1e18), &places{}
	e.SetLimits(l)
	e.SetJournal(p)
	return e, e.Connect(), p
}

const testNow = int64(1e18)

func checked(t testing.TB, e *Engine) {
	t.Helper()
	if err := e.Check(); err != nil {
		t.Fatal(err)
	}
}

func TestColdIsSmall(t *testing.T) {
	e, c, _ := pagedEngine(Limits{Bodies: InMemoryIfRoom})
	const jobs = 200_000
	before := e.Memory()
	for range jobs {
		mustInsert(t, e, testNow, c, 5, 30*24*time.Hour, make([]byte, 1000))
	}
	if got, want := e.far.Len(), jobs; got != want {
		t.Fatalf("cold jobs: got %d, want %d", got, want)
	}
	if got := (e.Memory() - before) / jobs; got > 60 {
		t.Errorf("memory for a job: got %d bytes, want 60 at most", got)
	}
	if got, want := e.BodyBytes(), int64(jobs*1000); got != want {
		t.Errorf("BodyBytes: got %d, want %d", got, want)
	}
	checked(t, e)
}

// A job is cold from ten minutes on, whatever its body, and only with a
// journal that has it.
func TestWhatIsCold(t *testing.T) {
	for _, tt := range []struct {
		name  string
		at    Bodies
		no    bool
		delay time.Duration
		want  int
	}{
		{"in the journal", InJournal, false, 10 * time.Minute, 1},
		{"if there is room", InMemoryIfRoom, false, 10 * time.Minute, 1},
		{"too soon", InMemoryIfRoom, false, 10*time.Minute - time.Second, 0},
		{"no whole seconds", InMemoryIfRoom, false, 10*time.Minute + time.Millisecond, 0},
		{"bodies in memory", AlwaysInMemory, false, time.Hour, 0},
		{"not in the journal", InJournal, true, time.Hour, 0},
		{"the longest delay", InJournal, false, math.MaxUint32 * time.Second, 1},
	} {
		for _, size := range []int{0, 1, 5000} {
			t.Run(fmt.Sprint(tt.name, ", ", size), func(t *testing.T) {
				e, c, p := pagedEngine(Limits{Bodies: tt.at})
				p.no = tt.no
				mustInsert(t, e, testNow, c, 5, tt.delay, make([]byte, size))
				if got := e.far.Len(); got != tt.want {
					t.Errorf("cold jobs: got %d, want %d", got, tt.want)
				}
				if tt.want == 1 && e.bodies.Total() != 0 {
					t.Errorf("bodies in memory: got %d bytes, want none", e.bodies.Total())
				}
				checked(t, e)
				s, err := e.JobStats(testNow, 1)
				if err != nil || s.TimeLeft != tt.delay || s.Delay != tt.delay || s.State != Delayed {
					t.Errorf("JobStats: got %+v, %v", s, err)
				}
				if err := e.Delete(testNow, c, 1); err != nil {
					t.Fatal(err)
				}
				checked(t, e)
			})
		}
	}
}

// The body of a job that is far from being ready need not be in memory even if
// it came so slowly that the job cannot be cold.
func TestSlowPutOfFarJob(t *testing.T) {
	e, c, _ := pagedEngine(Limits{Bodies: InMemoryIfRoom})
	d, err := e.Begin(testNow, c, 5, time.Hour, time.Minute, 100)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.Insert(testNow+1, &d); err != nil {
		t.Fatal(err)
	}
	if got := e.bodies.Total(); got != 0 {
		t.Errorf("bodies in memory: got %d bytes, want none", got)
	}
	if got, want := e.BodyBytes(), int64(100); got != want {
		t.Errorf("BodyBytes: got %d, want %d", got, want)
	}
	checked(t, e)
}

// Of jobs that are due at the same instant the one that was put or released
// first is the first, cold or not.
func TestTieOfColdAndWarm(t *testing.T) {
	begin := func(t *testing.T, e *Engine, c *Client, at int64, delay time.Duration) *Draft {
		d, err := e.Begin(at, c, 5, delay, time.Minute, 0)
		if err != nil {
			t.Fatal(err)
		}
		return &d
	}
	insert := func(t *testing.T, e *Engine, d *Draft, at int64) {
		if _, err := e.Insert(at, d); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		name string
		do   func(t *testing.T, e *Engine, c *Client)
		want []uint64
	}{
		{"slow put, then cold", func(t *testing.T, e *Engine, c *Client) {
			slow := begin(t, e, c, testNow-1, time.Hour)
			insert(t, e, slow, testNow)
			insert(t, e, begin(t, e, c, testNow, time.Hour), testNow)
		}, []uint64{1, 2}},
		{"cold, then slow put", func(t *testing.T, e *Engine, c *Client) {
			slow := begin(t, e, c, testNow-1, time.Hour)
			insert(t, e, begin(t, e, c, testNow-2e9, time.Hour+2*time.Second), testNow-2e9)
			insert(t, e, slow, testNow)
		}, []uint64{2, 1}},
		{"cold, later released with less delay", func(t *testing.T, e *Engine, c *Client) {
			insert(t, e, begin(t, e, c, testNow, 0), testNow)
			insert(t, e, begin(t, e, c, testNow, time.Hour), testNow)
			e.Advance(testNow+2e9, 10)
			j, _ := e.Reserve(testNow+2e9, c, 0)
			if err := e.Release(testNow+2e9, c, j.ID, 5, time.Hour-2*time.Second); err != nil {
				t.Fatal(err)
			}
		}, []uint64{2, 1}},
		{"released, later cold with less delay", func(t *testing.T, e *Engine, c *Client) {
			insert(t, e, begin(t, e, c, testNow, 0), testNow)
			j, _ := e.Reserve(testNow, c, 0)
			if err := e.Release(testNow, c, j.ID, 5, time.Hour); err != nil {
				t.Fatal(err)
			}
			e.Advance(testNow+2e9, 10)
			insert(t, e, begin(t, e, c, testNow+2e9, time.Hour-2*time.Second), testNow+2e9)
		}, []uint64{1, 2}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e, c, _ := pagedEngine(Limits{Bodies: InMemoryIfRoom})
			tt.do(t, e, c)
			if e.far.Len() != 1 || e.jobs.Len() != 1 {
				t.Fatalf("got %d cold jobs of %d, want 1 of 2", e.far.Len(), e.Len())
			}
			var got []uint64
			for range 2 {
				j, err := e.PeekDelayed(c)
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, j.ID)
				if n, _ := e.Kick(testNow+3e9, c, 1); n != 1 {
					t.Fatalf("Kick: got %d, want 1", n)
				}
				checked(t, e)
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("order of kicks: got %v, want %v", got, tt.want)
			}
		})
	}
}

// When there are too many kinds, jobs are not cold, and nothing else is
// different; kinds of which no job is left make room.
func TestKindsOverflow(t *testing.T) {
	e, c, _ := pagedEngine(Limits{Bodies: InJournal})
	const more = 100
	for i := range mostKinds + more {
		mustInsert(t, e, testNow, c, uint32(i), time.Hour, []byte("body"))
	}
	is := func(cold, kinds int) {
		t.Helper()
		if e.far.Len() != cold || len(e.kinds.number) != kinds {
			t.Fatalf("got %d cold jobs, %d kinds, want %d, %d", e.far.Len(), len(e.kinds.number), cold, kinds)
		}
		checked(t, e)
	}
	is(mostKinds, mostKinds)
	mustInsert(t, e, testNow, c, 7, time.Hour, nil) // of a kind there is
	is(mostKinds+1, mostKinds)
	for id := uint64(1); id <= more; id++ {
		if err := e.Delete(testNow, c, id); err != nil {
			t.Fatal(err)
		}
	}
	is(mostKinds+1-more, mostKinds-more+1) // that of the priority 7 is still there
	for i := range 2 * more {
		mustInsert(t, e, testNow, c, uint32(1e6+i), time.Hour, nil)
	}
	is(mostKinds, mostKinds)
	if got := len(e.kinds.kinds); got > mostKinds {
		t.Errorf("kinds: got room for %d, want %d at most", got, mostKinds)
	}
	for e.Len() > 0 {
		if n, _ := e.Kick(testNow, c, 1000); n == 0 {
			t.Fatal("Kick: got 0")
		}
		for e.Advance(testNow, 1000) {
		}
		e.TakeWakes(func(Wake) {})
		for j, o := e.Reserve(testNow, c, 0); o == Given; j, o = e.Reserve(testNow, c, 0) {
			if want := uint32(j.ID - 1); j.ID <= mostKinds+more && e.jobAt(e.ids.get(j.ID)).pri != want {
				t.Fatalf("job %d: got priority %d, want %d", j.ID, e.jobAt(e.ids.get(j.ID)).pri, want)
			}
			if err := e.Delete(testNow, c, j.ID); err != nil {
				t.Fatal(err)
			}
		}
	}
	is(0, 0)
	if e.kinds.kinds != nil {
		t.Error("kinds are kept without jobs")
	}
}

// A cold job that is looked at stays cold, and one that is asked for is as if
// it had not been.
func TestLookingThawsNothing(t *testing.T) {
	e, c, p := pagedEngine(Limits{Bodies: InMemoryIfRoom})
	mustInsert(t, e, testNow, c, 5, time.Hour, []byte("body"))
	for range 2 {
		if j, err := e.Peek(1); err != nil || j.Stored != 4 || j.Place == (Place{}) {
			t.Fatalf("Peek: got %+v, %v", j, err)
		}
		if j, err := e.PeekDelayed(c); err != nil || j.ID != 1 || j.Stored != 4 {
			t.Fatalf("PeekDelayed: got %+v, %v", j, err)
		}
		if r, ok := e.Describe(1); !ok || r.At != testNow+int64(time.Hour) || r.Stored != 4 || r.State != Delayed {
			t.Fatalf("Describe: got %+v, %v", r, ok)
		}
		e.Moved(1, Place{2, 99})
		if err := e.Touch(testNow, c, 1); err != ErrNotFound {
			t.Fatalf("Touch: got %v, want %v", err, ErrNotFound)
		}
		if e.far.Len() != 1 {
			t.Fatal("the job has been thawed")
		}
		checked(t, e)
	}
	p.stuck = true
	if err := e.KickJob(testNow, 1); err != ErrOutOfMemory {
		t.Errorf("KickJob: got %v, want %v", err, ErrOutOfMemory)
	}
	if n, _ := e.Kick(testNow, c, 1); n != 0 {
		t.Errorf("Kick: got %d, want 0", n)
	}
	p.stuck = false
	checked(t, e)
	if j, err := e.ReserveJob(testNow, c, 1); err != nil || j.Place != (Place{2, 99}) || j.Stored != 4 {
		t.Errorf("ReserveJob: got %+v, %v", j, err)
	}
	checked(t, e)
}

func TestRound(t *testing.T) {
	const s = time.Second
	for _, tt := range []struct{ d, want time.Duration }{
		{0, 0},
		{1, 1},
		{s - 1, s - 1},
		{s, s},
		{math.MaxUint32, math.MaxUint32}, // 4.29 s in ns
		{math.MaxUint32 + 1, (math.MaxUint32/1000 + 1) * time.Microsecond},     // rounded up
		{5*s + 1, 5*s + time.Microsecond},                                      // to a microsecond
		{math.MaxUint32 * time.Microsecond, math.MaxUint32 * time.Microsecond}, // 71 minutes
		{math.MaxUint32*time.Microsecond + 1, 4294968 * time.Millisecond},      // to a millisecond
		{math.MaxUint32 * time.Millisecond, math.MaxUint32 * time.Millisecond}, // 49 days
		{math.MaxUint32*time.Millisecond + 1, 4294968 * s},                     // to a second
		{math.MaxUint32 * s, math.MaxUint32 * s},                               // the longest there is
		{math.MaxUint32*s - 1, math.MaxUint32 * s},
	} {
		got := Round(tt.d)
		if got != tt.want {
			t.Errorf("Round(%d): got %d, want %d", tt.d, got, tt.want)
		}
		if again := Round(got); again != got {
			t.Errorf("Round(Round(%d)): got %d, want %d", tt.d, again, got)
		}
		if off := got - tt.d; off < 0 || float64(off) >= max(1, float64(tt.d)/1e6*1.0001) {
			t.Errorf("Round(%d): off by %d", tt.d, off)
		}
	}
	for n := range int64(1000) { // whole seconds, in seconds
		if got, u := pack(n * 1e9); u != seconds || int64(got) != n {
			t.Fatalf("pack(%d s): got %d in unit %d", n, got, u)
		}
	}
}

// A clear finds cold jobs of its tube among others, and leaves what is put later.
func TestClearOfColdJobs(t *testing.T) {
	for _, late := range []bool{false, true} {
		e, c, _ := pagedEngine(Limits{Bodies: InMemoryIfRoom})
		e.SetPortions(0, 0, 1)
		put := func(tube string, delay time.Duration) {
			e.Use(c, []byte(tube))
			mustInsert(t, e, testNow, c, 5, delay, benchBody)
		}
		for i := range 200 {
			put([]string{"a", "b", "b"}[i%3], time.Hour+time.Duration(i)*time.Second)
		}
		for range 5 {
			put("a", time.Second) // not cold
		}
		if _, _, err := e.Clear(testNow, c, []byte("a"), States(Delayed)); err != nil {
			t.Fatal(err)
		}
		left := 133
		if late {
			left += 2
			w := e.Connect()
			e.Use(w, []byte("a"))
			for _, delay := range []time.Duration{time.Second / 2, 700 * time.Second} { // first of all, and of the cold ones
				mustInsert(t, e, testNow, w, 5, delay, benchBody)
			}
		}
		for e.Unfinished() {
			e.Advance(testNow, 1)
			checked(t, e)
		}
		n := uint32(0)
		e.TakeWakes(func(w Wake) { n = w.Count })
		if n != 72 || e.Len() != left {
			t.Errorf("late %v: cleared %d, %d left, want 72, %d", late, n, e.Len(), left)
		}
	}
}
