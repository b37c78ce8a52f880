package history

import (
	"context"
	"fmt"
	"math"
	"runtime"
	"slices"
	"testing"
	"time"

	"spoked/queue"
)

// stage is an engine that nobody serves, and a history of it. Time is what the
// test says.
type stage struct {
	t      testing.TB
	engine *queue.Engine
	client *queue.Client
	now    int64
	*History
}

func newStage(t testing.TB) *stage {
	s := &stage{t: t, now: time.Date(2026, 11, 23, 3, 0, 0, 0, time.UTC).UnixNano()}
	s.engine = queue.New(s.now)
	s.client = s.engine.Connect()
	s.History = New(s)
	return s
}

func (s *stage) View(f func(e *queue.Engine, now int64)) { f(s.engine, s.now) }

// tick lets time pass, and takes a sample.
func (s *stage) tick(d time.Duration) {
	s.now += int64(d)
	s.engine.Advance(s.now, 1<<20)
	ctx, cancel := context.WithCancel(context.Background())
	cancel() // it is not to rest
	s.sample(ctx, time.Unix(0, s.now))
}

func (s *stage) put(tube string, n int) {
	s.t.Helper()
	s.engine.Use(s.client, []byte(tube))
	for range n {
		d, err := s.engine.Begin(s.now, s.client, 0, 0, time.Minute, 1)
		if err == nil {
			_, err = s.engine.Insert(s.now, &d)
		}
		if err != nil {
			s.t.Fatal(err)
		}
	}
}

func (s *stage) finish(tube string, n int) {
	s.t.Helper()
	s.engine.Watch(s.client, []byte(tube))
	for range n {
		j, outcome := s.engine.Reserve(s.now, s.client, 0)
		if outcome != queue.Given {
			s.t.Fatalf("got %v, want a job", outcome)
		}
		if err := s.engine.Delete(s.now, s.client, j.ID); err != nil {
			s.t.Fatal(err)
		}
	}
}

func TestRatesAndCounts(t *testing.T) {
	s := newStage(t)
	s.tick(0)
	for range 30 {
		s.put("a", 10)
		s.finish("a", 4)
		s.tick(time.Second)
	}
	p := s.Now().Point
	if p.Ready != 180 || p.Puts != 10 || p.Reserves != 4 || p.Deletes != 4 || p.Timeouts != 0 {
		t.Errorf("got %+v, want 180 ready, 10 put, 4 reserved and deleted a second", p)
	}
	a := s.Now().Tubes["a"]
	for _, k := range []struct {
		what        string
		got, within float64
		want        float64
	}{{"puts", a.Puts, 1, 10}, {"deletes", a.Deleted, 0.5, 4}, {"reserves", a.Reserved, 0.5, 4}, {"growth", a.Growth, 3, 4}} {
		if math.Abs(k.got-k.want) > k.within {
			t.Errorf("got %v %s a second, want about %v", k.got, k.what, k.want)
		}
	}
	if got, want := a.Oldest, time.Date(2026, 11, 23, 3, 0, 0, 0, time.UTC).Add(12*time.Second).UnixNano(); got != want {
		t.Errorf("got the oldest of %v, want %v", time.Unix(0, got).UTC(), time.Unix(0, want).UTC())
	}
	if !slices.Equal(a.Line, []uint32{54, 114, 174, 180}) {
		t.Errorf("got the line %v", a.Line)
	}
	total := s.Total(10 * time.Minute)
	if len(total) != 31 || total[30].Ready != 180 || total[0].Ready != 0 {
		t.Errorf("got %d points, the last %+v", len(total), total[len(total)-1])
	}
	if _, ok := s.Of("a", time.Minute); !ok {
		t.Error("there is no history of the only tube that is busy")
	}
}

// TestOldestIsFound has jobs that were put first not be the first of their tube.
func TestOldestIsFound(t *testing.T) {
	s := newStage(t)
	s.engine.Use(s.client, []byte("a"))
	put := func(pri uint32) {
		d, err := s.engine.Begin(s.now, s.client, pri, 0, time.Minute, 0)
		if err == nil {
			_, err = s.engine.Insert(s.now, &d)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	put(9)
	first := s.now
	for range 5000 {
		s.now++
		put(1)
	}
	for range 3 {
		s.tick(time.Second)
	}
	if got := s.Now().Tubes["a"].Oldest; got != first {
		t.Errorf("got %v, want %v", got, first)
	}
}

func TestPointsOfADay(t *testing.T) {
	s := newStage(t)
	s.tick(0)
	for i := range 25 * 60 * 60 { // more than there is room for
		if i%2 == 0 {
			s.put("a", 2)
		}
		s.finish("a", 1)
		s.tick(time.Second)
	}
	recent, day := s.Total(10*time.Minute), s.Total(24*time.Hour)
	if len(recent) != 600 || len(day) < dayPoints-2 || len(day) > dayPoints {
		t.Fatalf("got %d points of ten minutes and %d of a day", len(recent), len(day))
	}
	for _, list := range [][]Point{recent, day} {
		for i := 1; i < len(list); i++ {
			if d := list[i].At - list[i-1].At; d != list[1].At-list[0].At {
				t.Fatalf("a point comes %d s behind the one before", d)
			}
		}
	}
	for _, p := range day[1:] {
		if p.Puts < 0.99 || p.Puts > 1.01 || p.Deletes < 0.99 || p.Deletes > 1.01 {
			t.Fatalf("got the mean %+v, want 1 a second", p)
		}
	}
	if hour := s.Total(time.Hour); len(hour) != 360 {
		t.Errorf("got %d points of an hour", len(hour))
	}
}

// TestTopTubes has the busiest tubes, and those that are wanted, have a history,
// and no more of them than there is room for.
func TestTopTubes(t *testing.T) {
	s := newStage(t)
	for i := range 50 {
		s.put(fmt.Sprintf("tube-%02d", i), 1+i*20)
	}
	s.put("quiet", 1)
	release := s.Want("quiet")
	s.tick(time.Second)
	s.tick(time.Second)
	count := func() (n int) {
		for i := range 50 {
			if _, ok := s.Of(fmt.Sprintf("tube-%02d", i), time.Minute); ok {
				n++
			}
		}
		return n
	}
	if _, ok := s.Of("quiet", time.Minute); !ok || count() != TopTubes-1 {
		t.Errorf("got a history of quiet: %v, and of %d others", ok, count())
	}
	if _, ok := s.Of("tube-49", time.Minute); !ok {
		t.Error("got no history of the busiest")
	}
	release()
	release() // does nothing
	s.tick(time.Second)
	if _, ok := s.Of("quiet", time.Minute); ok || count() != TopTubes {
		t.Errorf("got a history of quiet: %v, and of %d others", ok, count())
	}
	for i := range 50 {
		s.finish(fmt.Sprintf("tube-%02d", i), 1+i*20)
		s.engine.Ignore(s.client, fmt.Appendf(nil, "tube-%02d", i))
	}
	s.engine.Use(s.client, []byte("default"))
	s.tick(time.Second)
	s.tick(time.Second)
	if n := count(); n != 0 {
		t.Errorf("got histories of %d tubes that have gone", n)
	}
	if n := len(s.Now().Tubes); n > 3 {
		t.Errorf("got %d tubes, want those that are there", n)
	}
}

// TestManyTubes has them take turns, and each be looked at in the end.
func TestManyTubes(t *testing.T) {
	s := newStage(t)
	const n = 3*sampleTubes + 5
	for i := range n {
		s.put(fmt.Sprint("tube", i), 1)
	}
	for range 5 {
		s.tick(time.Second)
	}
	if got := len(s.Now().Tubes); got != n+1 { // and default
		t.Fatalf("got %d tubes, want %d", got, n+1)
	}
	for name, u := range s.Now().Tubes {
		if name != "default" && (u.Jobs[queue.Ready] != 1 || u.Oldest == 0) {
			t.Fatalf("%s: got %+v", name, u)
		}
	}
}

// TestBudget fills all that there is room for.
func TestBudget(t *testing.T) {
	if testing.Short() {
		t.Skip("takes some seconds")
	}
	s := newStage(t)
	for i := range MostTubes + 100 {
		s.put(fmt.Sprint("tube", i), 1)
	}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for range LineLength * 10 * (MostTubes/sampleTubes + 1) / 9 {
		s.tick(time.Second)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	used := int64(after.HeapAlloc) - int64(before.HeapAlloc)
	t.Logf("%.1f MiB", float64(used)/(1<<20))
	if used > Budget {
		t.Errorf("%d bytes are used, more than %d", used, Budget)
	}
	runtime.KeepAlive(s)
}

// TestChanged has those who wait be told.
func TestChanged(t *testing.T) {
	s := newStage(t)
	c := s.Changed()
	s.tick(time.Second)
	select {
	case <-c:
	default:
		t.Error("not told of a new sample")
	}
	select {
	case <-s.Changed():
		t.Error("told of a sample that is none")
	default:
	}
}

// BenchmarkSample takes a sample of a server with tubes, which is done once a
// second: 10 ms are one per cent of a core.
func BenchmarkSample(b *testing.B) {
	for _, tubes := range []int{1, 100, 1000, 10_000} {
		b.Run(fmt.Sprint("tubes=", tubes), func(b *testing.B) {
			s := newStage(b)
			for i := range tubes {
				s.put(fmt.Sprint("tube", i), 20)
			}
			for range 8 {
				s.tick(time.Second)
			}
			b.ReportAllocs()
			for b.Loop() {
				s.tick(time.Second)
			}
		})
	}
}
