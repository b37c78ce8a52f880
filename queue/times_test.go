package queue_test

import (
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"spoked/queue"
)

// upper is the upper bound of a bucket, in ns.
func upper(k int) float64 { return 1e9 * math.Exp2(float64(k)/4) }

func TestHistogramBuckets(t *testing.T) {
	bucket := func(d time.Duration) (k int, ok bool) {
		var h queue.Histogram
		h.Add(d)
		for k, n := range h.Buckets() {
			if n != 1 || ok || h.Zero != 0 || h.Count != 1 || h.Sum != float64(d) {
				t.Fatalf("%v: got %d in bucket %d, %+v", d, n, k, h)
			}
			return k, true
		}
		if h.Zero != 1 || h.Count != 1 {
			t.Fatalf("%v: got %+v", d, h)
		}
		return 0, false
	}
	for _, tt := range []struct {
		d    time.Duration
		k    int
		zero bool
	}{
		{-1, 0, true}, {0, 0, true}, {1, 0, true}, {953, 0, true}, {954, -79, false},
		{time.Second, 0, false}, {time.Second + 1, 1, false}, {time.Second - 1, 0, false},
		{2 * time.Second, 4, false}, {2*time.Second + 1, 5, false}, {time.Second / 2, -4, false}, {time.Second/2 + 1, -3, false},
		{time.Millisecond, -39, false}, {time.Hour, 48, false}, {math.MaxInt64, 133, false},
	} {
		if k, ok := bucket(tt.d); k != tt.k || ok == tt.zero {
			t.Errorf("%d ns: got bucket %d, %v, want %d", tt.d, k, ok, tt.k)
		}
	}
	for k := -79; k <= 132; k++ { // both sides of each bound
		for _, d := range []time.Duration{-2, -1, 0, 1, 2} {
			d += time.Duration(upper(k))
			got, ok := bucket(d)
			if far := math.Abs(float64(d)-upper(k)) > 1e-9*upper(k); !ok || upper(got) < float64(d)-1e-9*upper(k) || upper(got-1) > float64(d)+1e-9*upper(k) || !far && got != k && got != k+1 {
				t.Errorf("%d ns: got bucket %d, from %f to %f", d, got, upper(got-1), upper(got))
			}
		}
	}
}

func TestHistogramMerge(t *testing.T) {
	var a, b queue.Histogram
	a.Add(0)
	a.Add(time.Second)
	b.Add(time.Second)
	b.Add(time.Minute)
	a.Merge(&b)
	got := fmt.Sprint(a.Count, a.Zero, a.Sum)
	for k, n := range a.Buckets() {
		got += fmt.Sprint(" ", k, ":", n)
	}
	if want := "4 1 6.2e+10 0:2 24:1"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestTimes(t *testing.T) {
	s := newStage(t)
	s.put("early", 0, 0, minute)
	if s.engine.RestTimes() != nil {
		t.Error("RestTimes: got some, though none are kept")
	}
	s.engine.KeepTimes(2) // early and a
	told := func(tube string) string {
		h, ok := s.engine.TimesOf(tube)
		if !ok {
			h = s.engine.RestTimes()
		}
		return fmt.Sprint(ok, " ", h.Wait.Count, " ", time.Duration(h.Wait.Sum), " ", h.Run.Count, " ", time.Duration(h.Run.Sum))
	}
	s.watch("worker", "early", "a", "b")
	w := s.client("worker")
	s.after(time.Second)
	s.want("early", s.reserve("worker", 0), "job 1")
	s.want("early", told("early"), "true 1 1s 0 0s")
	s.after(2 * time.Second)
	s.want("Touch", s.engine.Touch(s.now, w, 1), nil) // does not count
	s.after(3 * time.Second)
	s.want("Release", s.engine.Release(s.now, w, 1, 0, 0), nil)
	s.after(4 * time.Second)
	s.reserve("worker", 0) // the second time
	s.after(5 * time.Second)
	s.want("Delete", s.engine.Delete(s.now, w, 1), nil)
	s.want("early", told("early"), "true 1 1s 1 5s")

	id := s.put("a", 0, 10*time.Second, minute) // its delay is no wait
	s.after(12 * time.Second)
	s.reserve("worker", 0)
	s.want("a", told("a"), "true 1 2s 0 0s")
	s.want("Delete", s.engine.Delete(s.now, w, id), nil)
	id = s.put("a", 0, time.Minute, minute)
	s.want("KickJob", s.engine.KickJob(s.now, id), nil) // before it is over
	s.reserve("worker", 0)
	s.want("a", told("a"), "true 2 2s 1 0s")
	s.want("Delete", s.engine.Delete(s.now, w, id), nil)

	s.want("Delete", s.engine.Delete(s.now, w, s.put("b", 0, 0, minute)), nil) // which nobody had
	s.put("b", 0, 0, minute)
	s.after(time.Second)
	s.reserve("worker", 0)
	s.want("b", told("b"), "false 1 1s 0 0s")

	s.watch("worker", "b") // early has gone, and leaves its place
	s.engine.Use(s.client("early"), []byte("default"))
	s.watch("worker", "c")
	s.put("c", 0, 0, minute)
	s.reserve("worker", 0)
	_, ok := s.engine.TimesOf("c")
	s.want("TimesOf(c)", ok, true)
	_, ok = s.engine.TimesOf("early")
	s.want("TimesOf(early)", ok, false)

	early := told("early")
	s.engine.KeepTimes(1)
	s.want("early, when there are to be fewer", told("early"), early)
	if err := s.engine.Check(); err != nil {
		t.Error(err)
	}
}

func TestOldestReady(t *testing.T) {
	s := newStage(t)
	oldest := func(tube string, most int) int64 {
		at := int64(math.MaxInt64)
		for pos, end := 0, false; !end; {
			var one int64
			before := pos
			one, end = s.engine.OldestReady(tube, &pos, most)
			at = min(at, one)
			if pos-before > most {
				t.Fatalf("looked at %d, want %d at most", pos-before, most)
			}
		}
		return at
	}
	s.want("no tube", oldest("none", 1), int64(math.MaxInt64))
	s.want("no job", oldest("default", 1), int64(math.MaxInt64))
	first := s.now
	for i := range 20 {
		s.put("default", uint32(20-i), 0, minute)
		s.after(time.Second)
	}
	s.put("default", 0, minute, minute)
	for _, most := range []int{1, 7, 100} {
		s.want("oldest", oldest("default", most), first)
	}
	_, err := s.engine.Import(s.now, &queue.Imported{Tube: "default", Created: 5})
	s.want("Import", err, nil)
	s.want("oldest", oldest("default", 3), int64(5))
}

func TestClientsAndTubesAreListed(t *testing.T) {
	s := newStage(t)
	s.put("a", 0, 0, minute)
	a := s.engine.Attach()
	a.Data = "attached"
	s.watch("worker", "a")
	s.reserve("worker", 0)
	s.after(time.Second)
	since := s.now
	s.reserve("worker", minute)
	s.after(time.Second)
	var got []string
	for c := range s.engine.EachClient() {
		at, waits := c.WaitingSince()
		got = append(got, fmt.Sprint(c.Data, " ", c.Used(), " ", c.Held(), " ", waits && at == since, c.Producer(), c.Worker(), c.Attached()))
	}
	s.wantList("clients", got, "a a 0 false true false false", "attached default 0 false false false true", "worker default 1 true false true false")
	st := s.engine.Stats()
	s.want("Connections", fmt.Sprint(st.Connections, st.TotalConnections), "2 2")

	s.want("Hand to the attached one", s.engine.Hand(s.now, s.client("worker"), a, 1), nil)
	s.want("Owner", s.job(1).Owner, a)
	s.want("TimeLeft", s.job(1).TimeLeft, minute-2*time.Second)
	s.want("Hand again", s.engine.Hand(s.now, s.client("worker"), a, 1), queue.ErrNotFound)
	s.engine.Disconnect(s.now, a)
	s.want("wakes", s.wakes(), "worker: job 1")
	s.want("Connections", s.engine.Stats().Connections, 2)

	var tubes []string
	for t := range s.engine.EachTube(s.now) {
		tubes = append(tubes, fmt.Sprint(t.Name, t.Jobs))
	}
	s.wantList("tubes", tubes, "default[0 0 0 0]", "a[0 0 1 0]")
	for range s.engine.EachTube(s.now) {
		break
	}
	for range s.engine.EachClient() {
		break
	}
}

func TestEventsHaveNames(t *testing.T) {
	var names []string
	for k := range queue.NumEvents {
		names = append(names, k.String())
	}
	slices.Sort(names)
	if n := len(slices.Compact(slices.Clone(names))); n != len(names) || names[0] == "" {
		t.Errorf("got %q", names)
	}
}
