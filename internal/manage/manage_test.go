package manage

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"spoked/queue"
)

// engine is a Server without a network or a journal.
type engine struct {
	t *testing.T

	mu      sync.Mutex
	e       *queue.Engine
	longest time.Duration // that the mutex was held by View
	held    time.Duration // in all
	settles bool          // when somebody waits for it
}

func newEngine(t *testing.T) *engine {
	return &engine{t: t, e: queue.New(time.Now().UnixNano()), settles: true}
}

func (s *engine) Do(f func(*queue.Engine, int64)) uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now().UnixNano()
	s.advance(now)
	f(s.e, now)
	s.advance(now)
	if s.e.Len() < 1000 {
		if err := s.e.Check(); err != nil {
			s.t.Error(err)
		}
	}
	return 0
}

func (s *engine) advance(now int64) {
	wake := func(w queue.Wake) { w.Client.Data.(*guest).Woken(now, w) }
	s.e.TakeWakes(wake)
	for more := true; more; more = s.e.Unfinished() {
		s.e.Advance(now, 1000)
		s.e.TakeWakes(wake)
	}
}

func (s *engine) View(f func(*queue.Engine, int64)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	began := time.Now()
	f(s.e, began.UnixNano())
	took := time.Since(began)
	s.held += took
	s.longest = max(s.longest, took)
}

func (s *engine) Newest() uint64 { return 0 }

func (s *engine) Await(ctx context.Context, _ uint64) error {
	if !s.settles {
		return errUnsettled
	}
	return ctx.Err()
}

var errUnsettled = errors.New("the journal has failed")

func (s *engine) Fetch(_ context.Context, j queue.Job) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	k, err := s.e.Peek(j.ID)
	return bytes.Clone(k.Body), err
}

func put(t *testing.T, m *Manager, tube, body string) uint64 {
	t.Helper()
	id, err := m.Put(t.Context(), &NewJob{Tube: tube, Pri: 5, TTR: time.Minute, Body: []byte(body)})
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func reserve(t *testing.T, m *Manager, count int, tubes ...string) *Reservation {
	t.Helper()
	r, err := m.Reserve(t.Context(), Wanted{Tubes: tubes, Count: count})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestLease(t *testing.T) {
	m := New(newEngine(t), Options{})
	put(t, m, "a", "x")
	r := reserve(t, m, 1, "a")
	r.Lease()
	lease := r.Jobs[0].Lease
	for name, c := range map[string]struct {
		lease string
		want  error
	}{
		"good":      {lease, nil},
		"empty":     {"", ErrBadLease},
		"long":      {lease + "AAAA", ErrBadLease},
		"no base64": {strings.Repeat("*", len(lease)), ErrBadLease},
		"forged":    {"B" + lease[1:], ErrLeaseOver},
		"another's": {New(newEngine(t), Options{}).lease(1, 1), ErrLeaseOver},
		"old":       {m.lease(1, 0), ErrLeaseOver},
		"future":    {m.lease(1, 2), ErrLeaseOver},
		"no job":    {m.lease(2, 1), ErrLeaseOver},
	} {
		if _, _, err := m.Touch(t.Context(), c.lease); !errors.Is(err, c.want) {
			t.Errorf("%s: got the error %v, want %v", name, err, c.want)
		}
	}
	r.Return() // as if the answer could not be written
	if err := m.DeleteLease(t.Context(), lease); !errors.Is(err, ErrLeaseOver) {
		t.Errorf("after it was returned: got the error %v, want %v", err, ErrLeaseOver)
	}
	if s, _ := m.Tube("a"); s.Jobs[queue.Ready] != 1 || s.Watching != 0 {
		t.Errorf("got %+v, want a ready job and nobody who watches", s)
	}
}

// TestReturn has what was reserved go back however far the reservation has come,
// and not what somebody else has by then.
func TestReturn(t *testing.T) {
	m := New(newEngine(t), Options{})
	for i := range 10 {
		put(t, m, "a", fmt.Sprint(i))
	}
	r := reserve(t, m, 3, "a", "b")
	r.Return()
	r.Return()
	r = reserve(t, m, 3, "a", "b")
	r.Lease()
	if err := m.DeleteLease(t.Context(), r.Jobs[0].Lease); err != nil {
		t.Fatal(err)
	}
	if err := m.Release(t.Context(), r.Jobs[1].Lease, nil, 0); err != nil {
		t.Fatal(err)
	}
	again, err := m.ReserveJob(t.Context(), r.Jobs[1].ID)
	if err != nil {
		t.Fatal(err)
	}
	again.Lease()
	r.Return() // only its third job is still its own
	s, _ := m.Tube("a")
	if s.Jobs != [queue.NumStates]int{queue.Ready: 8, queue.Reserved: 1} {
		t.Errorf("got jobs %v, want 8 ready and 1 reserved", s.Jobs)
	}
	if err := m.DeleteLease(t.Context(), again.Jobs[0].Lease); err != nil {
		t.Error(err)
	}
}

// TestReserveCanceled has ctx end, and the manager stop, while reserves wait.
func TestReserveCanceled(t *testing.T) {
	m := New(newEngine(t), Options{MaxWaits: 1})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	failed := make(chan error)
	wait := func(ctx context.Context) {
		_, err := m.Reserve(ctx, Wanted{Tubes: []string{"a"}, Count: 1, Wait: time.Hour})
		failed <- err
	}
	waiting := func(n int) {
		t.Helper()
		for end := time.Now().Add(10 * time.Second); m.Status().Waiting != n; time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("got %d clients that wait, want %d", m.Status().Waiting, n)
			}
		}
	}
	go wait(ctx)
	waiting(1)
	if _, err := m.Reserve(t.Context(), Wanted{Tubes: []string{"a"}, Count: 1, Wait: time.Hour}); !errors.Is(err, ErrTooMany) {
		t.Errorf("got the error %v, want %v", err, ErrTooMany)
	}
	cancel()
	if err := <-failed; !errors.Is(err, context.Canceled) {
		t.Errorf("got the error %v, want %v", err, context.Canceled)
	}
	waiting(0)
	go wait(t.Context())
	waiting(1)
	m.Stop()
	if err := <-failed; !errors.Is(err, ErrStopping) {
		t.Errorf("got the error %v, want %v", err, ErrStopping)
	}
	waiting(0)
}

func TestJobs(t *testing.T) {
	m := New(newEngine(t), Options{})
	var want, got []uint64
	for i := range 2000 {
		id := put(t, m, fmt.Sprint("t", i%2), fmt.Sprintf("body %d", i))
		if i%2 == 1 && strings.Contains(fmt.Sprint(i), "9") {
			want = append(want, id)
		}
	}
	for l := new(List); !l.Complete; {
		var err error
		l, err = m.Jobs(t.Context(), Search{Tube: "t1", Contains: []byte("9"), After: l.Last, Limit: 7, Bytes: 6})
		if err != nil {
			t.Fatal(err)
		}
		if len(l.Jobs) != 7 && !l.Complete {
			t.Fatalf("got %d jobs on a page, want 7", len(l.Jobs))
		}
		for _, j := range l.Jobs {
			got = append(got, j.ID)
			if len(j.Body) != 6 || j.Size < 6 {
				t.Fatalf("got %d bytes of %d, want 6", len(j.Body), j.Size)
			}
		}
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got the jobs %v, want %v", got, want)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	m.gate <- struct{}{} // somebody else's portion
	if _, err := m.Jobs(ctx, Search{Limit: 1}); !errors.Is(err, context.Canceled) {
		t.Errorf("got the error %v, want %v", err, context.Canceled)
	}
}

// TestDuty has several searches at once leave the mutex to others for most of the
// time.
func TestDuty(t *testing.T) {
	s := newEngine(t)
	m := New(s, Options{})
	s.Do(func(e *queue.Engine, now int64) {
		for range 200_000 {
			if _, err := m.put(e, now, &NewJob{Tube: "a", TTR: time.Second, Body: []byte("x")}); err != nil {
				t.Fatal(err)
			}
		}
	})
	s.held = 0
	began := time.Now()
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			if _, err := m.Jobs(t.Context(), Search{Contains: []byte("y"), Limit: 1}); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	// It is an eighth; the rest after the last portion is not waited for, and on a
	// busy machine the two clocks differ.
	if took := time.Since(began) + restRate*s.longest; s.held*restRate > took*2 {
		t.Errorf("the mutex was held for %v of %v, want an eighth", s.held, took)
	}
}

func TestBulk(t *testing.T) {
	m := New(newEngine(t), Options{})
	for i := range 100 {
		put(t, m, "a", fmt.Sprintf("job %d.", i))
	}
	reserve(t, m, 10, "a").Lease() // the first ten, 1 to 10
	for _, c := range []struct {
		name string
		bulk Bulk
		want BulkResult
	}{
		{"dry", Bulk{Action: DeleteJobs, DryRun: true}, BulkResult{Matched: 100, Changed: 90, Skipped: 10, Complete: true}},
		{"limit", Bulk{Action: ChangeJobs, Change: Change{Pri: new(uint32(1))}, Search: Search{Limit: 20}}, BulkResult{Matched: 20, Changed: 10, Skipped: 10, Last: 20}},
		{"until", Bulk{Action: MoveJobs, Change: Change{Tube: new("b")}, Search: Search{After: 20, Until: 31}}, BulkResult{Matched: 10, Changed: 10, Complete: true}},
		{"kick ready ones", Bulk{Action: KickJobs, Search: Search{Tube: "b"}}, BulkResult{Matched: 10, Skipped: 10, Complete: true}},
		{"delay", Bulk{Action: ChangeJobs, Change: Change{Delay: new(time.Hour)}, Search: Search{Tube: "b"}}, BulkResult{Matched: 10, Changed: 10, Complete: true}},
		{"kick", Bulk{Action: KickJobs, Search: Search{States: queue.States(queue.Delayed), Contains: []byte("5.")}}, BulkResult{Matched: 1, Changed: 1, Complete: true}},
		{"delete", Bulk{Action: DeleteJobs, Search: Search{Contains: []byte("9.")}}, BulkResult{Matched: 10, Changed: 9, Skipped: 1, Complete: true}},
	} {
		got, err := m.Bulk(t.Context(), c.bulk)
		if err != nil {
			t.Fatal(err)
		}
		got.Examined = 0
		if c.want.Last == 0 {
			got.Last = 0
		}
		if *got != c.want {
			t.Errorf("%s: got %+v, want %+v", c.name, *got, c.want)
		}
	}
}

// full is a journal that has room for a few changes more.
type full struct{ room int }

func (j *full) Room(string, int) bool { return true }

func (j *full) MayChange() bool {
	j.room--
	return j.room >= 0
}

func (j *full) Job(*queue.Record) queue.Place { return queue.Place{} }

func (j *full) Change(*queue.Record) {}

func (j *full) Move(*queue.Record, string) {}

func (j *full) End(*queue.Record) {}

func (j *full) Pause(string, int64, int64) {}

// TestBulkFails has a bulk operation fail on its way: it tells what it has done, and
// goes on after that.
func TestBulkFails(t *testing.T) {
	s := newEngine(t)
	m := New(s, Options{})
	for range 100 {
		put(t, m, "a", "x")
	}
	j := &full{room: 45}
	s.e.SetJournal(j)
	b := Bulk{Action: MoveJobs, Change: Change{Tube: new("b")}}
	r, err := m.Bulk(t.Context(), b)
	if !errors.Is(err, queue.ErrOutOfMemory) || r.Matched != 45 || r.Changed != 45 || r.Last != 45 || r.Complete {
		t.Errorf("got %+v, %v, want 45 jobs and that there is no room", r, err)
	}
	j.room, b.After = 1000, r.Last
	if r, err = m.Bulk(t.Context(), b); err != nil || r.Changed != 55 || !r.Complete {
		t.Errorf("got %+v, %v, want the other 55", r, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if r, err = m.Bulk(ctx, b); err == nil || r == nil || r.Changed != 0 || r.Last != 45 {
		t.Errorf("got %+v, %v, want that nothing was done", r, err)
	}
	r = &BulkResult{Last: 50, Complete: true}
	if r.back([]uint64{20, 30}, []queue.Job{{ID: 10}}); r.Last != 9 || r.Complete {
		t.Errorf("got %+v, want that it goes on after 9", r)
	}
}

// TestChange has a worker wait in the tube that a job leaves, and one in that it
// goes to: the second gets it, when all of it has been changed.
func TestChange(t *testing.T) {
	for name, c := range map[string]struct {
		before, delay time.Duration
		given         bool
	}{"delayed": {time.Hour, time.Minute, false}, "ready": {time.Hour, 0, true}} {
		m := New(newEngine(t), Options{})
		id, err := m.Put(t.Context(), &NewJob{Tube: "a", Pri: 5, Delay: c.before, TTR: time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		var group sync.WaitGroup
		got := map[string]*Reservation{"a": nil, "b": nil}
		var mu sync.Mutex
		for tube := range got {
			group.Go(func() {
				r, _ := m.Reserve(ctx, Wanted{Tubes: []string{tube}, Wait: time.Minute, Count: 1})
				mu.Lock()
				got[tube] = r
				mu.Unlock()
				if tube == "b" && c.given {
					cancel()
				}
			})
		}
		for {
			if s, _ := m.Tube("b"); s.Waiting == 1 {
				if s, _ := m.Tube("a"); s.Waiting == 1 {
					break
				}
			}
			time.Sleep(time.Millisecond)
		}
		l, err := m.Change(t.Context(), id, Change{Pri: new(uint32(7)), Delay: &c.delay, Tube: new("b")})
		if err != nil || l.Tube != "b" || l.Pri != 7 || l.Delay != c.delay || (l.State == queue.Reserved) != c.given {
			t.Errorf("%s: got %+v, %v", name, l, err)
		}
		if !c.given {
			cancel()
		}
		group.Wait()
		cancel()
		if r := got["b"]; c.given && (r == nil || len(r.Jobs) != 1) || got["a"] != nil && len(got["a"].Jobs) > 0 {
			t.Errorf("%s: got %+v", name, got)
		}
	}
	m := New(newEngine(t), Options{})
	id := put(t, m, "a", "x")
	r := reserve(t, m, 1, "a")
	r.Lease()
	if err := m.Bury(t.Context(), r.Jobs[0].Lease, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := m.Change(t.Context(), id, Change{Delay: new(time.Duration(0)), Tube: new("b")}); !errors.Is(err, queue.ErrBuried) {
		t.Errorf("got the error %v, want %v", err, queue.ErrBuried)
	}
	if s, _ := m.Tube("a"); s.Jobs[queue.Buried] != 1 {
		t.Errorf("got %+v, want that nothing was done", s)
	}
}

// TestLeaseMany leases and returns more jobs than a portion has, one of which has
// gone.
func TestLeaseMany(t *testing.T) {
	m := New(newEngine(t), Options{})
	for range 3*portionJobs + 1 {
		put(t, m, "a", "x")
	}
	for _, way := range []string{"lease", "delete"} {
		r := reserve(t, m, 1000, "a")
		if len(r.Jobs) != 3*portionJobs+1 {
			t.Fatalf("got %d jobs", len(r.Jobs))
		}
		first, client := r.Jobs[0].job.ID, r.client
		m.server.Do(func(e *queue.Engine, now int64) { _ = e.Release(now, client, first, 5, 0) })
		if way == "delete" {
			if err := r.Delete(t.Context()); err != nil {
				t.Fatal(err)
			}
		} else {
			r.Lease()
			if _, _, err := m.Touch(t.Context(), r.Jobs[3*portionJobs-1].Lease); err != nil {
				t.Error(err)
			}
		}
		if len(r.Jobs) != 3*portionJobs {
			t.Errorf("%s: got %d jobs", way, len(r.Jobs))
		}
		if r.Return(); way == "lease" {
			if s, _ := m.Tube("a"); s.Jobs[queue.Ready] != 3*portionJobs+1 {
				t.Errorf("got %+v, want that all are ready again", s)
			}
		}
	}
	if s, _ := m.Tube("a"); s.Jobs[queue.Ready] != 1 {
		t.Errorf("got %+v, want one that was not deleted", s)
	}
}

func TestTubes(t *testing.T) {
	m := New(newEngine(t), Options{})
	for _, tube := range []string{"b", "a", "ab"} {
		put(t, m, tube, "x")
	}
	for prefix, want := range map[string]string{"": "[a ab b default]", "a": "[a ab]", "x": "[]"} {
		if got, err := m.Tubes(t.Context(), prefix); fmt.Sprint(got) != want || err != nil {
			t.Errorf("got the tubes %s, %v, want %s", got, err, want)
		}
	}
	var oldest []int
	if err := m.OldestReady(t.Context(), []string{"b", "default", "none", "a"}, func(i int, created int64) {
		oldest = append(oldest, i)
	}); !slices.Equal(oldest, []int{0, 3}) || err != nil {
		t.Errorf("got %v, %v, want the oldest jobs of the first tube and the last", oldest, err)
	}
	if n, err := m.Clear(t.Context(), "a", queue.AllStates); n != 1 || err != nil {
		t.Errorf("got %d, %v, want one job cleared", n, err)
	}
	for _, tube := range []string{"a", "none"} { // the first has gone with its job
		if _, err := m.Clear(t.Context(), tube, queue.AllStates); !errors.Is(err, queue.ErrNotFound) {
			t.Errorf("got the error %v, want %v", err, queue.ErrNotFound)
		}
	}
	m.server.Do(func(e *queue.Engine, now int64) {
		for range 20_000 {
			_, _ = m.put(e, now, &NewJob{Tube: "big", TTR: time.Second})
		}
	})
	if n, err := m.DeleteTube(t.Context(), "big"); n != 20_000 || err != nil {
		t.Errorf("got %d, %v, want 20,000 jobs deleted", n, err)
	}
}

// changing is a server in which something happens before each look.
type changing struct {
	*engine
	looks  int
	change func(look int)
}

func (s *changing) View(f func(*queue.Engine, int64)) {
	s.looks++
	s.change(s.looks)
	s.engine.View(f)
}

// TestManyTubes looks at many tubes in portions, while tubes come and go in between.
func TestManyTubes(t *testing.T) {
	const tubes = 5000
	s := &changing{engine: newEngine(t), change: func(int) {}}
	m := New(s, Options{})
	name := func(i int) string { return fmt.Sprintf("t%04d", i) }
	ids := make([]uint64, tubes)
	s.engine.mu.Lock()
	for i := range tubes {
		for range 1 + i%50/49 + i/4990 { // one in fifty has two jobs, and so have the last ten, or three
			id, err := m.put(s.e, time.Now().UnixNano(), &NewJob{Tube: name(i), TTR: time.Second})
			if ids[i] = id; err != nil {
				t.Fatal(err)
			}
		}
	}
	s.engine.mu.Unlock()
	busy, err := m.Busiest(t.Context(), 20)
	if err != nil || len(busy) != 20 {
		t.Fatalf("got %d tubes, %v, want 20", len(busy), err)
	}
	want := []string{name(4999)}
	for i := 49; len(want) < 20; i += 50 {
		want = append(want, name(i))
	}
	for i := range busy {
		if busy[i].Name != want[i] {
			t.Errorf("got %s with %d jobs at %d, want %s", busy[i].Name, busy[i].Jobs[queue.Ready], i, want[i])
		}
	}
	s.looks = 0
	s.change = func(look int) { // what takes the place of a tube that goes is one that was seen
		if err := m.Delete(t.Context(), ids[look]); err != nil {
			t.Error(err)
		}
		put(t, m, fmt.Sprint("new", look), "x")
	}
	got, err := m.Tubes(t.Context(), "t")
	if err != nil || !slices.IsSorted(got) {
		t.Fatalf("got tubes that are not sorted, or the error %v", err)
	}
	if s.looks < tubes/mostTubes {
		t.Errorf("got %d looks for %d tubes, want at least %d", s.looks, tubes, tubes/mostTubes)
	}
	for i := s.looks + 1; i < tubes; i++ {
		if n := len(got) - tubes + i; n < 0 || got[n] != name(i) {
			t.Fatalf("got not the tube %s, which was there all the time", name(i))
		}
	}
}

// TestUnsettled wants nothing to be told of that the journal does not know.
func TestUnsettled(t *testing.T) {
	s := newEngine(t)
	m := New(s, Options{})
	id := put(t, m, "a", "x")
	s.settles = false
	if l, err := m.Job(t.Context(), id, 10); !errors.Is(err, errUnsettled) {
		t.Errorf("Job: got %+v, %v", l, err)
	}
	if l, err := m.Jobs(t.Context(), Search{Tube: "a", Limit: 1}); !errors.Is(err, errUnsettled) {
		t.Errorf("Jobs: got %+v, %v", l, err)
	}
	if err := m.Delete(t.Context(), id); !errors.Is(err, errUnsettled) {
		t.Errorf("Delete: got %v", err)
	}
}
