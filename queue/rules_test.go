package queue_test

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"spoked/queue"
)

// The tests in this file teach the rules, one each, in virtual time. What
// combinations of rules do is for TestSimulation.

// stage has an engine, clients by name, and a clock that stands still.
type stage struct {
	t       *testing.T
	engine  *queue.Engine
	now     int64
	clients map[string]*queue.Client
}

func newStage(t *testing.T) *stage {
	const start = int64(1e18)
	return &stage{t: t, engine: queue.New(start), now: start, clients: map[string]*queue.Client{}}
}

// client returns the named client, who connects when first mentioned.
func (s *stage) client(name string) *queue.Client {
	c := s.clients[name]
	if c == nil {
		c = s.engine.Connect()
		c.Data = name
		s.clients[name] = c
	}
	return c
}

// watch has a client watch these tubes and no other.
func (s *stage) watch(name string, tubes ...string) {
	s.t.Helper()
	c := s.client(name)
	for _, tube := range tubes {
		s.engine.Watch(c, []byte(tube))
	}
	for _, tube := range slices.Collect(c.Watched()) {
		if !slices.Contains(tubes, tube) {
			s.want("Ignore", s.engine.Ignore(c, []byte(tube)), nil)
		}
	}
}

// put puts a job into the tube, from a client of that tube's name. The wakes
// it causes are for the next call of wakes.
func (s *stage) put(tube string, pri uint32, delay, ttr time.Duration) (id uint64) {
	s.t.Helper()
	c := s.client(tube)
	s.engine.Use(c, []byte(tube))
	d, _ := s.engine.Begin(s.now, c, pri, delay, ttr, 0)
	id, err := s.engine.Insert(s.now, &d)
	s.want("Insert", err, nil)
	return id
}

// reserve tells how a client's reserve went, such as "job 1".
func (s *stage) reserve(name string, timeout time.Duration) string {
	j, outcome := s.engine.Reserve(s.now, s.client(name), timeout)
	return told(outcome, j)
}

// wakes tells how the waiting of clients has ended since the last call, such
// as "ann: job 1, bob: timed out".
func (s *stage) wakes() string {
	var all []string
	s.engine.TakeWakes(func(w queue.Wake) {
		all = append(all, fmt.Sprint(w.Client.Data, ": ", told(w.Outcome, w.Job)))
	})
	return strings.Join(all, ", ")
}

func told(o queue.Outcome, j queue.Job) string {
	switch o {
	case queue.Given:
		return fmt.Sprint("job ", j.ID)
	case queue.DeadlineSoon:
		return "deadline soon"
	case queue.TimedOut:
		return "timed out"
	}
	return "waiting"
}

// after lets time pass and returns the wakes.
func (s *stage) after(d time.Duration) string {
	s.now += int64(d)
	for s.engine.Advance(s.now, 100) {
	}
	return s.wakes()
}

func (s *stage) job(id uint64) queue.JobStats {
	s.t.Helper()
	j, err := s.engine.JobStats(s.now, id)
	s.want("JobStats", err, nil)
	return j
}

func (s *stage) tube(name string) queue.TubeStats {
	s.t.Helper()
	t, err := s.engine.TubeStats(s.now, []byte(name))
	s.want("TubeStats", err, nil)
	return t
}

func (s *stage) want(what string, got, want any) {
	s.t.Helper()
	if got != want {
		s.t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

func (s *stage) wantList(what string, got []string, want ...string) {
	s.t.Helper()
	if !slices.Equal(got, want) {
		s.t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

const minute = time.Minute

func TestJobsComeByPriorityThenByID(t *testing.T) {
	s := newStage(t)
	for _, pri := range []uint32{5, 1, math.MaxUint32, 1, 0} { // jobs 1 to 5
		s.put("default", pri, 0, minute)
	}
	for _, want := range []string{"job 5", "job 2", "job 4", "job 1", "job 3", "timed out"} {
		s.want("Reserve", s.reserve("worker", 0), want)
	}
}

func TestReleasedJobGoesAheadOfYoungerOnes(t *testing.T) {
	s := newStage(t)
	for range 3 {
		s.put("default", 5, 0, minute)
	}
	s.want("Reserve", s.reserve("worker", 0), "job 1")
	s.want("Reserve", s.reserve("worker", 0), "job 2")
	s.want("Release", s.engine.Release(s.now, s.client("worker"), 1, 5, 0), nil)
	s.want("Reserve", s.reserve("worker", 0), "job 1")
}

func TestBestJobOfSeveralTubesComesFirst(t *testing.T) {
	s := newStage(t)
	s.watch("worker", "a", "b", "c")
	s.put("c", 2, 0, minute)
	s.put("a", 2, 0, minute)
	s.put("b", 1, 0, minute)
	s.put("other", 0, 0, minute)
	for _, want := range []string{"job 3", "job 1", "job 2", "timed out"} {
		s.want("Reserve", s.reserve("worker", 0), want)
	}
}

func TestDelayedJobsComeByDeadlineThenAsInserted(t *testing.T) {
	s := newStage(t)
	s.put("default", 0, 2*time.Second, minute)
	s.put("default", 9, time.Second, minute)
	s.put("default", 0, time.Second, minute)
	for _, name := range []string{"ann", "bob", "cid"} {
		s.want("Reserve", s.reserve(name, queue.Forever), "waiting")
	}
	s.want("before", s.after(time.Second-1), "")
	s.want("at one second", s.after(1), "ann: job 2, bob: job 3")
	s.want("at two", s.after(time.Second), "cid: job 1")
}

func TestDelayKeepsShowingAfterItHasPassed(t *testing.T) {
	s := newStage(t)
	s.put("default", 0, 5*time.Second, minute)
	s.want("time left", s.job(1).TimeLeft, 5*time.Second)
	s.after(5 * time.Second)
	s.want("state", s.job(1).State, queue.Ready)
	s.want("delay", s.job(1).Delay, 5*time.Second)
	s.want("time left", s.job(1).TimeLeft, time.Duration(0))
	s.want("age", s.job(1).Age, 5*time.Second)
}

// A slow put has its id from when it began, and so comes before a job that
// was put in the meantime.
func TestIDIsTakenWhenPutBegins(t *testing.T) {
	s := newStage(t)
	slow, _ := s.engine.Begin(s.now, s.client("slow"), 0, 0, minute, 0)
	s.want("fast put", s.put("default", 0, 0, minute), uint64(2))
	_, err := s.engine.Peek(1)
	s.want("Peek at a draft", err, queue.ErrNotFound)

	id, err := s.engine.Insert(s.now, &slow)
	s.want("slow put", err, nil)
	s.want("slow put", id, uint64(1))
	s.want("Reserve", s.reserve("worker", 0), "job 1")
}

func TestFailedPutsBurnIDs(t *testing.T) {
	s := newStage(t)
	d, _ := s.engine.Begin(s.now, s.client("x"), 0, 0, minute, 100)
	s.engine.Abandon(&d)
	s.want("put after one abandoned", s.put("default", 0, 0, minute), uint64(2))

	d, _ = s.engine.Begin(s.now, s.client("x"), 0, 0, minute, 100)
	s.engine.Drain()
	_, err := s.engine.Insert(s.now, &d)
	s.want("Insert", err, queue.ErrDraining)
	d, _ = s.engine.Begin(s.now, s.client("x"), 0, 0, minute, 0)
	s.engine.Abandon(&d)
	s.want("jobs", s.engine.Stats().TotalJobs, uint64(1))
	s.want("Reserve while draining", s.reserve("worker", 0), "job 2")
}

func TestTTRIsAtLeastOneSecond(t *testing.T) {
	for _, tt := range []struct{ ttr, want time.Duration }{
		{0, time.Second},
		{time.Second - 1, time.Second},
		{time.Second, time.Second},
		{math.MaxUint32 * time.Second, math.MaxUint32 * time.Second},
	} {
		s := newStage(t)
		s.put("default", 0, 0, tt.ttr)
		s.want(fmt.Sprint("ttr for ", tt.ttr), s.job(1).TTR, tt.want)
	}
}

func TestReservationEndsAfterItsDeadlineNotAtIt(t *testing.T) {
	for _, ttr := range []time.Duration{time.Second, time.Second + 1, 10 * time.Second} {
		t.Run(ttr.String(), func(t *testing.T) {
			s := newStage(t)
			s.put("default", 7, 0, ttr)
			s.reserve("worker", 0)
			s.after(ttr)
			s.want("state at the deadline", s.job(1).State, queue.Reserved)
			s.want("time left", s.job(1).TimeLeft, time.Duration(0))
			s.after(1)
			s.want("state after it", s.job(1).State, queue.Ready)
			s.want("timeouts", s.job(1).Timeouts, uint32(1))
			s.want("all timeouts", s.engine.Stats().Timeouts, uint64(1))
			s.want("pri", s.job(1).Pri, uint32(7))
			s.want("Touch", s.engine.Touch(s.now, s.client("worker"), 1), queue.ErrNotFound)
			s.want("Delete", s.engine.Delete(s.now, s.client("worker"), 1), nil)
		})
	}
}

func TestTouchStartsTTRAnew(t *testing.T) {
	s := newStage(t)
	s.put("default", 0, 0, 10*time.Second)
	s.reserve("worker", 0)
	s.after(9500 * time.Millisecond)
	s.want("Reserve", s.reserve("worker", queue.Forever), "deadline soon")
	s.want("Touch", s.engine.Touch(s.now, s.client("worker"), 1), nil)
	s.want("Reserve", s.reserve("worker", queue.Forever), "waiting")
	s.want("at a second before the new deadline", s.after(9*time.Second), "worker: deadline soon")
	s.after(time.Second)
	s.want("state", s.job(1).State, queue.Reserved)
}

func TestDeadlineSoon(t *testing.T) {
	const soon = 9 * time.Second // after which job 1 has one second left
	tests := []struct {
		name    string
		prepare func(*stage)
		wait    time.Duration
		want    string
	}{
		{"a moment before the margin", func(*stage) {}, soon - 1, "waiting"},
		{"in the margin", func(*stage) {}, soon, "deadline soon"},
		{"until the deadline", func(*stage) {}, soon + time.Second, "deadline soon"},
		{"after it there is the job itself", func(*stage) {}, soon + time.Second + 1, "job 1"},
		{"a ready job comes first", func(s *stage) { s.put("default", 0, 0, minute) }, soon, "job 2"},
		{"a job of a paused tube is none", func(s *stage) {
			s.put("default", 0, 0, minute)
			s.engine.Pause(s.now, []byte("default"), minute)
		}, soon, "deadline soon"},
		{"with a ttr of one second always", func(s *stage) {
			s.put("default", 0, 0, time.Second)
			s.want("Reserve", s.reserve("worker", 0), "job 2")
		}, 0, "deadline soon"},
		{"the soonest of several jobs counts", func(s *stage) {
			s.put("default", 0, 0, 5*time.Second)
			s.want("Reserve", s.reserve("worker", 0), "job 2")
		}, 4 * time.Second, "deadline soon"},
		{"not for a job that is gone", func(s *stage) { s.engine.Delete(s.now, s.client("worker"), 1) }, soon, "waiting"},
		{"nor for another client's", func(s *stage) { s.clients["worker"] = s.engine.Connect() }, soon, "waiting"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newStage(t)
			s.put("default", 0, 0, 10*time.Second)
			s.want("Reserve", s.reserve("worker", 0), "job 1")
			tt.prepare(s)
			if tt.wait > 0 {
				s.after(tt.wait)
			}
			s.want("Reserve", s.reserve("worker", minute), tt.want)
		})
	}
}

func TestDeadlineSoonEndsWaiting(t *testing.T) {
	for _, tt := range []struct {
		timeout time.Duration
		after   time.Duration
		want    string
	}{
		{queue.Forever, 9 * time.Second, "worker: deadline soon"},
		{8 * time.Second, 9 * time.Second, "worker: timed out"},
		{9 * time.Second, 9 * time.Second, "worker: deadline soon"}, // both at once
		{queue.Forever, time.Hour, "worker: deadline soon"},         // and not the job, late as it is
	} {
		s := newStage(t)
		s.put("default", 0, 0, 10*time.Second)
		s.reserve("worker", 0)
		s.want("Reserve", s.reserve("worker", tt.timeout), "waiting")
		s.want(fmt.Sprintf("within %v, after %v", tt.timeout, tt.after), s.after(tt.after), tt.want)
	}
}

func TestReserveTimesOut(t *testing.T) {
	s := newStage(t)
	s.want("Reserve", s.reserve("ann", 0), "timed out")
	s.want("Reserve", s.reserve("ann", 2*time.Second), "waiting")
	s.want("Reserve", s.reserve("bob", time.Second), "waiting")
	s.want("Reserve", s.reserve("cid", queue.Forever), "waiting")
	s.want("a moment before", s.after(time.Second-1), "")
	s.want("after one second", s.after(1), "bob: timed out")
	s.want("after two", s.after(time.Second), "ann: timed out")
	s.want("after a year", s.after(365*24*time.Hour), "")
	s.engine.StopWaiting(s.client("cid"))
	s.engine.StopWaiting(s.client("bob")) // who does not wait
	s.want("StopWaiting", s.wakes(), "cid: timed out")
}

// What is due at the same instant as the timeout comes first, whichever of
// the two was there first: whole seconds from one turn meet often.
func TestJobOfTheLastMomentIsNotTooLate(t *testing.T) {
	const delay = 5 * time.Second
	causes := map[string]func(*stage){
		"delayed job": func(s *stage) { s.put("default", 0, delay, minute) },
		"end of a pause": func(s *stage) {
			s.engine.Pause(s.now, []byte("default"), delay)
			s.put("default", 0, 0, minute)
		},
	}
	for name, cause := range causes {
		s := newStage(t)
		s.reserve("before", delay)
		s.reserve("too", delay)
		cause(s)
		s.reserve("after", delay)
		s.want(name, s.after(delay), "before: job 1, too: timed out, after: timed out")

		s = newStage(t)
		cause(s)
		s.want("Reserve", s.reserve("after", delay), "waiting")
		s.want(name, s.after(delay), "after: job 1")
	}
}

func TestOldestWaitingClientIsServedFirst(t *testing.T) {
	s := newStage(t)
	s.watch("1st", "a", "b")
	s.watch("2nd", "b")
	s.watch("3rd", "a", "b")
	s.watch("4th", "c", "a")
	s.watch("5th", "a")
	for _, name := range []string{"1st", "2nd", "3rd", "4th", "5th"} {
		s.want("Reserve", s.reserve(name, queue.Forever), "waiting")
	}
	for _, tt := range []struct{ tube, want string }{
		{"b", "1st: job 1"},
		{"a", "3rd: job 2"},
		{"a", "4th: job 3"},
		{"c", ""},
		{"b", "2nd: job 5"},
		{"a", "5th: job 6"},
		{"b", ""},
	} {
		s.put(tt.tube, 0, 0, minute)
		s.want("put into "+tt.tube, s.wakes(), tt.want)
	}
	s.want("Reserve", s.reserve("4th", 0), "job 4")
	s.want("Reserve", s.reserve("1st", queue.Forever), "job 7")
}

func TestDisconnectReturnsJobsInTheOrderReserved(t *testing.T) {
	s := newStage(t)
	for pri := range uint32(3) {
		s.put("default", pri, 0, minute)
	}
	for _, id := range []uint64{2, 3, 1} {
		_, err := s.engine.ReserveJob(s.now, s.client("worker"), id)
		s.want("ReserveJob", err, nil)
	}
	for _, name := range []string{"ann", "bob", "cid"} {
		s.reserve(name, queue.Forever)
	}
	before := s.job(2)
	s.engine.Disconnect(s.now, s.client("worker"))
	s.want("wakes", s.wakes(), "ann: job 2, bob: job 3, cid: job 1")
	before.Reserves++ // ann's; the disconnect itself counts as nothing
	before.Owner = s.client("ann")
	s.want("job 2", s.job(2), before)
}

func TestDisconnectMakesAnyReservedJobReady(t *testing.T) {
	s := newStage(t)
	s.put("default", 0, time.Hour, minute)
	s.engine.ReserveJob(s.now, s.client("worker"), 1)
	s.engine.Disconnect(s.now, s.client("worker"))
	s.want("state of a job that was delayed once", s.job(1).State, queue.Ready)
}

func TestOnlyTheOwnerMayDealWithAReservedJob(t *testing.T) {
	commands := []struct {
		name string
		do   func(s *stage, c *queue.Client) error
		// for another client, when the job is in another state
		ready, delayed, buried error
	}{
		{"Delete", func(s *stage, c *queue.Client) error { return s.engine.Delete(s.now, c, 1) }, nil, nil, nil},
		{"Touch", func(s *stage, c *queue.Client) error { return s.engine.Touch(s.now, c, 1) },
			queue.ErrNotFound, queue.ErrNotFound, queue.ErrNotFound},
		{"Bury", func(s *stage, c *queue.Client) error { return s.engine.Bury(c, 1, 0) },
			queue.ErrNotFound, queue.ErrNotFound, queue.ErrNotFound},
		{"Release", func(s *stage, c *queue.Client) error { return s.engine.Release(s.now, c, 1, 0, 0) },
			queue.ErrNotFound, queue.ErrNotFound, queue.ErrNotFound},
		{"KickJob", func(s *stage, _ *queue.Client) error { return s.engine.KickJob(s.now, 1) },
			queue.ErrNotFound, nil, nil},
		{"ReserveJob", func(s *stage, c *queue.Client) error {
			_, err := s.engine.ReserveJob(s.now, c, 1)
			return err
		}, nil, nil, nil},
	}
	for _, c := range commands {
		t.Run(c.name, func(t *testing.T) {
			for _, tt := range []struct {
				state queue.State
				want  error
			}{
				{queue.Reserved, queue.ErrNotFound},
				{queue.Ready, c.ready},
				{queue.Delayed, c.delayed},
				{queue.Buried, c.buried},
			} {
				s := newStage(t)
				s.jobIn(tt.state)
				if got := c.do(s, s.client("other")); !errors.Is(got, tt.want) {
					t.Errorf("of a %v job: got %v, want %v", tt.state, got, tt.want)
				}
			}
		})
	}
}

// jobIn makes job 1, in that state. If it is reserved, it is by "owner".
func (s *stage) jobIn(state queue.State) {
	s.t.Helper()
	delay := time.Duration(0)
	if state == queue.Delayed {
		delay = minute
	}
	s.put("default", 0, delay, minute)
	if state == queue.Reserved || state == queue.Buried {
		s.want("Reserve", s.reserve("owner", 0), "job 1")
	}
	if state == queue.Buried {
		s.want("Bury", s.engine.Bury(s.client("owner"), 1, 0), nil)
	}
	s.want("state", s.job(1).State, state)
}

func TestBuriedJobsAreAQueue(t *testing.T) {
	s := newStage(t)
	for range 3 {
		s.put("default", 0, 0, minute)
	}
	for _, id := range []uint64{2, 3, 1} {
		s.engine.ReserveJob(s.now, s.client("worker"), id)
		s.want("Bury", s.engine.Bury(s.client("worker"), id, uint32(9-id)), nil)
	}
	for _, want := range []uint64{2, 3, 1} {
		j, err := s.engine.PeekBuried(s.client("worker"))
		s.want("PeekBuried", err, nil)
		s.want("PeekBuried", j.ID, want)
		s.want("Kick", kicked(s.engine.Kick(s.now, s.client("worker"), 1)), uint32(1))
	}
	_, err := s.engine.PeekBuried(s.client("worker"))
	s.want("PeekBuried", err, queue.ErrNotFound)
	s.want("pri", s.job(3).Pri, uint32(6))
}

func TestKickNeverSpillsOver(t *testing.T) {
	s := newStage(t)
	for _, delay := range []time.Duration{0, 0, 2 * minute, minute} {
		s.put("default", 0, delay, minute)
	}
	s.reserve("worker", 0)
	s.reserve("worker", 0)
	s.engine.Bury(s.client("worker"), 1, 0)
	s.engine.Bury(s.client("worker"), 2, 0)
	for _, tt := range []struct {
		n, want uint32
		states  string // of jobs 1 to 4
	}{
		{0, 0, "buried buried delayed delayed"},
		{1, 1, "ready buried delayed delayed"},
		{10, 1, "ready ready delayed delayed"},
		{1, 1, "ready ready delayed ready"},
		{math.MaxUint32, 1, "ready ready ready ready"},
		{10, 0, "ready ready ready ready"},
	} {
		s.want(fmt.Sprintf("Kick(%d)", tt.n), kicked(s.engine.Kick(s.now, s.client("worker"), tt.n)), tt.want)
		var states []string
		for id := range uint64(4) {
			states = append(states, s.job(id+1).State.String())
		}
		s.want(fmt.Sprintf("states after Kick(%d)", tt.n), strings.Join(states, " "), tt.states)
	}
}

func TestTubeLivesAsLongAsSomethingKeepsIt(t *testing.T) {
	name := []byte("a")
	holds := []struct {
		by          string
		begin, stop func(s *stage)
	}{
		{"use",
			func(s *stage) { s.engine.Use(s.client("x"), name) },
			func(s *stage) { s.engine.Use(s.client("x"), []byte("default")) }},
		{"use of a client that leaves",
			func(s *stage) { s.engine.Use(s.client("x"), name) },
			func(s *stage) { s.engine.Disconnect(s.now, s.client("x")) }},
		{"watch",
			func(s *stage) { s.engine.Watch(s.client("x"), name) },
			func(s *stage) { s.engine.Ignore(s.client("x"), name) }},
		{"watch of a client that leaves",
			func(s *stage) { s.engine.Watch(s.client("x"), name) },
			func(s *stage) { s.engine.Disconnect(s.now, s.client("x")) }},
		{"a ready job",
			func(s *stage) { s.put("a", 0, 0, minute); s.engine.Use(s.client("a"), []byte("default")) },
			func(s *stage) { s.engine.Delete(s.now, s.client("x"), 1) }},
		{"a delayed job",
			func(s *stage) { s.put("a", 0, minute, minute); s.engine.Use(s.client("a"), []byte("default")) },
			func(s *stage) { s.engine.Delete(s.now, s.client("x"), 1) }},
		{"a reserved job", func(s *stage) {
			s.put("a", 0, 0, minute)
			s.engine.Use(s.client("a"), []byte("default"))
			s.engine.ReserveJob(s.now, s.client("x"), 1)
		}, func(s *stage) { s.engine.Delete(s.now, s.client("x"), 1) }},
		{"a buried job", func(s *stage) {
			s.put("a", 0, 0, minute)
			s.engine.Use(s.client("a"), []byte("default"))
			s.engine.ReserveJob(s.now, s.client("x"), 1)
			s.engine.Bury(s.client("x"), 1, 0)
		}, func(s *stage) { s.engine.Delete(s.now, s.client("x"), 1) }},
	}
	for _, h := range holds {
		t.Run(h.by, func(t *testing.T) {
			s := newStage(t)
			_, err := s.engine.TubeStats(s.now, name)
			s.want("TubeStats before", err, queue.ErrNotFound)
			s.want("Pause before", s.engine.Pause(s.now, name, minute), queue.ErrNotFound)
			h.begin(s)
			s.want("Pause", s.engine.Pause(s.now, name, minute), nil)
			s.want("pauses", s.tube("a").Pauses, uint64(1))
			h.stop(s)
			_, err = s.engine.TubeStats(s.now, name)
			s.want("TubeStats after", err, queue.ErrNotFound)

			s.engine.Watch(s.client("y"), name) // makes another of that name
			s.want("tube", s.tube("a"), queue.TubeStats{Name: "a", Watching: 1})
			s.want("Check", s.engine.Check(), nil)
		})
	}
}

func TestDraftKeepsItsTube(t *testing.T) {
	s := newStage(t)
	s.engine.Use(s.client("x"), []byte("a"))
	d, _ := s.engine.Begin(s.now, s.client("x"), 0, 0, minute, 5)
	s.engine.Use(s.client("x"), []byte("b"))
	s.wantList("Tubes", slices.Collect(s.engine.Tubes()), "default", "a", "b")
	s.engine.Disconnect(s.now, s.client("x"))
	s.wantList("Tubes", slices.Collect(s.engine.Tubes()), "default", "a")
	s.engine.Abandon(&d)
	s.wantList("Tubes", slices.Collect(s.engine.Tubes()), "default")
}

func TestListsCloseGapsWithTheirLastElement(t *testing.T) {
	s := newStage(t)
	c := s.client("x")
	for _, tube := range []string{"a", "b", "c", "d", "b"} {
		s.engine.Watch(c, []byte(tube))
	}
	s.wantList("Watched", slices.Collect(c.Watched()), "default", "a", "b", "c", "d")
	s.engine.Ignore(c, []byte("default"))
	s.wantList("Watched", slices.Collect(c.Watched()), "d", "a", "b", "c")
	s.engine.Ignore(c, []byte("a"))
	s.wantList("Watched", slices.Collect(c.Watched()), "d", "c", "b")
	s.wantList("Tubes", slices.Collect(s.engine.Tubes()), "default", "d", "b", "c")
}

// What beanstalkd does when a connection ends can be told from list-tubes:
// it ignores its first tube until there is none, each time moving the last
// one there, and then lets go of the tube it used.
func TestTubesGoInOrderWhenAClientLeaves(t *testing.T) {
	s := newStage(t)
	s.engine.Use(s.client("x"), []byte("u"))
	for _, tube := range []string{"a", "b", "c", "d"} {
		s.engine.Watch(s.client("x"), []byte(tube))
	}
	for i := range 7 {
		s.engine.Watch(s.client("y"), fmt.Appendf(nil, "k%d", i+1))
	}
	s.engine.Disconnect(s.now, s.client("x"))
	s.wantList("Tubes", slices.Collect(s.engine.Tubes()), "default", "k3", "k4", "k5", "k6", "k7", "k1", "k2")
}

func TestLastWatchedTubeCannotBeIgnored(t *testing.T) {
	s := newStage(t)
	c := s.client("x")
	s.want("Ignore of an unknown tube", s.engine.Ignore(c, []byte("a")), nil)
	s.want("Ignore of the only one", s.engine.Ignore(c, []byte("default")), queue.ErrNotIgnored)
	s.engine.Watch(c, []byte("a"))
	s.want("Ignore of one of two", s.engine.Ignore(c, []byte("default")), nil)
	s.want("Ignore of one not watched", s.engine.Ignore(c, []byte("default")), nil)
	s.want("Watching", c.Watching(), 1)
}

func TestUrgentIsReadyBelow1024(t *testing.T) {
	s := newStage(t)
	for _, tt := range []struct {
		pri   uint32
		delay time.Duration
		want  int
	}{
		{0, 0, 1},
		{1023, 0, 2},
		{1024, 0, 2},
		{0, minute, 2},
	} {
		s.put("default", tt.pri, tt.delay, time.Hour)
		s.want(fmt.Sprintf("urgent jobs after a put with pri %d", tt.pri), s.tube("default").Urgent, tt.want)
	}
	s.want("Reserve", s.reserve("worker", 0), "job 1")
	s.want("urgent jobs but for the reserved one", s.engine.Stats().Urgent, 1)
	s.engine.Release(s.now, s.client("worker"), 1, 5000, 0)
	s.want("urgent jobs with it less urgent", s.engine.Stats().Urgent, 1)
	s.after(minute)
	s.want("urgent jobs with one delayed no more", s.engine.Stats().Urgent, 2)
}

func TestPause(t *testing.T) {
	s := newStage(t)
	s.want("Reserve", s.reserve("ann", queue.Forever), "waiting")
	s.engine.Pause(s.now, []byte("default"), 10*time.Second)
	s.put("default", 5, 0, time.Hour)
	s.put("default", 9, 3*time.Second, time.Hour)
	s.want("Reserve", s.reserve("bob", 2*time.Second), "waiting")
	s.want("after 4s", s.after(4*time.Second), "bob: timed out")

	j, err := s.engine.PeekReady(s.client("default"))
	s.want("PeekReady", err, nil)
	s.want("PeekReady", j.ID, uint64(1))
	s.want("ready jobs", s.tube("default").Jobs[queue.Ready], 2)
	s.want("pause", s.tube("default").Pause, 10*time.Second)
	s.want("pause left", s.tube("default").PauseLeft, 6*time.Second)
	_, err = s.engine.ReserveJob(s.now, s.client("bob"), 1)
	s.want("ReserveJob", err, nil)

	s.want("a moment before the end", s.after(6*time.Second-1), "")
	s.want("at the end", s.after(1), "ann: job 2")
	s.want("pause", s.tube("default").Pause, time.Duration(0))
	s.want("pauses", s.tube("default").Pauses, uint64(1))
}

func TestPauseReplacesTheOneBefore(t *testing.T) {
	for _, tt := range []struct {
		second time.Duration // after a first pause of a minute
		end    time.Duration
	}{
		{time.Second, time.Second},
		{time.Hour, time.Hour},
		{0, 0},
	} {
		s := newStage(t)
		s.put("default", 0, 0, minute)
		s.engine.Pause(s.now, []byte("default"), minute)
		s.want("Reserve", s.reserve("worker", queue.Forever), "waiting")
		s.engine.Pause(s.now, []byte("default"), tt.second)
		if tt.end > 0 {
			s.want("a moment before", s.after(tt.end-1), "")
			s.after(1)
		}
		s.want(fmt.Sprintf("waiting after a pause of %v", tt.second), s.client("worker").Waiting(), false)
		s.want("pauses", s.tube("default").Pauses, uint64(2))
	}
}

func TestCounters(t *testing.T) {
	s := newStage(t)
	s.put("a", 0, 0, time.Hour) // by client "a", a producer
	s.put("a", 0, 0, time.Hour)
	s.watch("ann", "a")
	s.watch("bob", "a", "default")
	_, err := s.engine.ReserveJob(s.now, s.client("cid"), 77) // makes no worker
	s.want("ReserveJob", err, queue.ErrNotFound)
	s.reserve("ann", 0)
	s.reserve("ann", 0)
	s.engine.Delete(s.now, s.client("ann"), 2)
	s.engine.Delete(s.now, s.client("ann"), 2) // not found
	s.reserve("bob", queue.Forever)
	s.client("dan")
	s.engine.Disconnect(s.now, s.client("dan"))

	s.want("Stats", s.engine.Stats(), queue.Stats{
		Jobs:      [4]int{queue.Reserved: 1},
		TotalJobs: 2, Deletes: 1, Reserves: 2,
		Tubes:            2,
		Connections:      4,
		Producers:        1,
		Workers:          2,
		Waiting:          1,
		TotalConnections: 5,
	})
	s.want("TubeStats", s.tube("a"), queue.TubeStats{
		Name:      "a",
		Jobs:      [4]int{queue.Reserved: 1},
		TotalJobs: 2,
		Using:     1,
		Watching:  2,
		Waiting:   1,
		Deletes:   1, Reserves: 2,
	})
}

func TestJobCountsWhatHappensToIt(t *testing.T) {
	s := newStage(t)
	w := s.client("w")
	s.put("default", 0, 0, time.Second)
	s.reserve("w", 0)
	s.engine.Release(s.now, w, 1, 3, minute)
	s.engine.KickJob(s.now, 1)
	s.reserve("w", 0)
	s.engine.Bury(w, 1, 4)
	s.engine.Kick(s.now, w, 1)
	s.reserve("w", 0)
	s.engine.Touch(s.now, w, 1)
	s.after(time.Second + 1)
	s.want("JobStats", s.job(1), queue.JobStats{
		ID: 1, Tube: "default", State: queue.Ready, Pri: 4,
		Age: time.Second + 1, Delay: minute, TTR: time.Second, Created: s.now - int64(time.Second) - 1,
		Reserves: 3, Timeouts: 1, Releases: 1, Buries: 1, Kicks: 2,
	})
}

func TestStateIsTheProtocolsWord(t *testing.T) {
	for state, want := range map[queue.State]string{
		queue.Ready: "ready", queue.Delayed: "delayed", queue.Reserved: "reserved", queue.Buried: "buried",
	} {
		if got := state.String(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// A limit divides the work of an instant; it does not change what comes of it.
func TestAdvanceInPortions(t *testing.T) {
	for _, limit := range []int{1, 2, 7, 1000} {
		s := newStage(t)
		for range 10 {
			s.put("a", 0, time.Second, minute)
			s.put("b", 0, 2*time.Second, minute)
		}
		s.now += int64(minute)
		portions, before := 1, 0
		for ; s.engine.Advance(s.now, limit); portions++ {
			n := s.engine.Stats().Jobs[queue.Ready]
			if n > before+limit+1 {
				t.Errorf("limit %d: %d jobs became ready at once", limit, n-before)
			}
			before = n
		}
		s.want(fmt.Sprintf("ready jobs with limit %d", limit), s.engine.Stats().Jobs[queue.Ready], 20)
		if limit < 10 && portions < 20/(limit+1) {
			t.Errorf("limit %d: got %d portions", limit, portions)
		}
	}
}
