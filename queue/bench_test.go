package queue

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"
	"time"
)

// benchStart is when benchmarks begin, and benchTurn how much time a command
// takes in them.
const (
	benchStart = int64(1e18)
	benchTurn  = int64(time.Microsecond)
)

var benchBody = bytes.Repeat([]byte("x"), 16)

// fill puts n jobs, with the priorities and delays that these say, if they
// are not nil.
func fill(b *testing.B, e *Engine, c *Client, n int, pri func() uint32, delay func() time.Duration, body []byte) {
	now := benchStart
	for range n {
		p, d := uint32(1024), time.Duration(0)
		if pri != nil {
			p = pri()
		}
		if delay != nil {
			d = delay()
		}
		mustInsert(b, e, now, c, p, d, body)
		now += benchTurn
	}
}

func seeded() *rand.Rand { return rand.New(rand.NewPCG(1, 2)) }

func withinAnHour() func() time.Duration {
	r := seeded()
	return func() time.Duration { return 1 + time.Duration(r.Int64N(int64(time.Hour))) }
}

func BenchmarkPutReserveDelete(b *testing.B) {
	e := New(benchStart)
	c := e.Connect()
	now := benchStart
	b.ReportAllocs()
	for b.Loop() {
		now += benchTurn
		e.Advance(now, 100)
		mustInsert(b, e, now, c, 1024, 0, benchBody)
		j, _ := e.Reserve(now, c, 0)
		e.Delete(now, c, j.ID)
	}
}

// BenchmarkPutToWaiting is the same with a worker that waits before the put.
func BenchmarkPutToWaiting(b *testing.B) {
	e := New(benchStart)
	c, w := e.Connect(), e.Connect()
	now := benchStart
	b.ReportAllocs()
	for b.Loop() {
		now += benchTurn
		e.Advance(now, 100)
		e.Reserve(now, w, time.Minute)
		mustInsert(b, e, now, c, 1024, 0, benchBody)
		e.TakeWakes(func(k Wake) { e.Delete(now, k.Client, k.Job.ID) })
	}
}

// BenchmarkBacklog reserves and deletes a million jobs.
func BenchmarkBacklog(b *testing.B) {
	const n = 1_000_000
	for _, bm := range []struct {
		name string
		pri  func() uint32
	}{
		{"one priority", nil},
		{"random priorities", seeded().Uint32},
	} {
		b.Run(bm.name, func(b *testing.B) {
			for b.Loop() {
				b.StopTimer()
				e := New(benchStart)
				c := e.Connect()
				fill(b, e, c, n, bm.pri, nil, benchBody)
				now := benchStart + n*benchTurn
				b.StartTimer()
				for range n {
					j, outcome := e.Reserve(now, c, 0)
					if outcome != Given || e.Delete(now, c, j.ID) != nil {
						b.Fatalf("Reserve: %v", outcome)
					}
					now += benchTurn
				}
			}
			perJob(b, n)
		})
	}
}

func perJob(b *testing.B, n int) {
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/job")
}

// BenchmarkDelayed puts a million jobs due within an hour, and lets the hour
// pass.
func BenchmarkDelayed(b *testing.B) {
	const n = 1_000_000
	full := func(b *testing.B) *Engine {
		e := New(benchStart)
		fill(b, e, e.Connect(), n, nil, withinAnHour(), benchBody)
		return e
	}
	b.Run("put", func(b *testing.B) {
		for b.Loop() {
			e := full(b)
			b.StopTimer()
			drop(b, e)
			b.StartTimer()
		}
		perJob(b, n)
	})
	b.Run("become ready", func(b *testing.B) {
		for b.Loop() {
			b.StopTimer()
			e := full(b)
			b.StartTimer()
			for now := benchStart; e.Stats().Jobs[Delayed] > 0; now += int64(time.Second) {
				for e.Advance(now, 1000) {
				}
			}
			b.StopTimer()
			drop(b, e)
			b.StartTimer()
		}
		perJob(b, n)
	})
}

func BenchmarkTouch(b *testing.B) {
	const n = 10_000
	e := New(benchStart)
	c := e.Connect()
	fill(b, e, c, n, nil, nil, benchBody)
	now := benchStart + n*benchTurn
	for range n {
		e.Reserve(now, c, 0)
	}
	for id := uint64(0); b.Loop(); id++ {
		now += benchTurn
		if err := e.Touch(now, c, id%n+1); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkTubes uses each of 100,000 tubes in turn, and puts, reserves and
// deletes a job in the same one.
func BenchmarkTubes(b *testing.B) {
	const n = 100_000
	e := New(benchStart)
	c, w := e.Connect(), e.Connect()
	names := make([][]byte, n)
	for i := range names {
		names[i] = fmt.Appendf(nil, "tube-%d", i)
		e.Watch(w, names[i])
		e.Use(c, names[i])
		mustInsert(b, e, benchStart, c, 1024, 0, benchBody)
	}
	now := benchStart
	for i := 0; b.Loop(); i++ {
		now += benchTurn
		e.Advance(now, 100)
		e.Use(c, names[i*7919%n])
		id := mustInsert(b, e, now, c, 1024, 0, benchBody)
		if _, err := e.ReserveJob(now, w, id); err != nil {
			b.Fatal(err)
		}
		e.Delete(now, w, id)
	}
}

// BenchmarkWatchingMany reserves from 20,000 tubes, each of which holds jobs.
func BenchmarkWatchingMany(b *testing.B) {
	const n = 20_000
	e := New(benchStart)
	c, w := e.Connect(), e.Connect()
	r := seeded()
	names := make([][]byte, n)
	put := func(now int64, i int) {
		e.Use(c, names[i])
		mustInsert(b, e, now, c, r.Uint32(), 0, benchBody)
	}
	for i := range names {
		names[i] = fmt.Appendf(nil, "tube-%d", i)
		e.Watch(w, names[i])
		put(benchStart, i)
	}
	b.Run("first", func(b *testing.B) { // the list is new to the engine
		for b.Loop() {
			e.Watch(w, []byte("another"))
			e.Ignore(w, []byte("another"))
			j, _ := e.Reserve(benchStart, w, 0)
			e.Release(benchStart, w, j.ID, 1, 0)
		}
	})
	b.Run("others", func(b *testing.B) {
		for now := benchStart; b.Loop(); now += benchTurn {
			j, outcome := e.Reserve(now, w, 0)
			if outcome != Given {
				b.Fatalf("Reserve: %v", outcome)
			}
			e.Delete(now, w, j.ID)
			put(now, r.IntN(n))
		}
	})
}

// BenchmarkCollector is how long the garbage collector takes with ten million
// jobs in the engine.
func BenchmarkCollector(b *testing.B) {
	if testing.Short() {
		b.Skip("takes 2 GB")
	}
	const n = 10_000_000
	e := New(benchStart)
	fill(b, e, e.Connect(), n, nil, nil, benchBody)
	runtime.GC()
	for b.Loop() {
		runtime.GC()
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/1000, "ms/gc")
	drop(b, e)
}

// BenchmarkFootprint is how much memory a job takes, body and all.
func BenchmarkFootprint(b *testing.B) {
	const n = 1_000_000
	for _, bytesOf := range []int{16, 256} {
		for name, delay := range map[string]func() time.Duration{"ready": nil, "delayed": withinAnHour()} {
			b.Run(fmt.Sprintf("%s/%d", name, bytesOf), func(b *testing.B) {
				body := bytes.Repeat([]byte("x"), bytesOf)
				total := 0
				for b.Loop() {
					b.StopTimer()
					before := resident(b)
					b.StartTimer()
					e := New(benchStart)
					fill(b, e, e.Connect(), n, nil, delay, body)
					b.StopTimer()
					total += resident(b) - before
					drop(b, e)
					b.StartTimer()
				}
				b.ReportMetric(float64(total)/float64(b.N)/n, "bytes/job")
			})
		}
	}
}

// drop has e return its memory, which the collector cannot: it is not its own.
func drop(b *testing.B, e *Engine) {
	c := e.Connect()
	for id := range e.nextID {
		if _, err := e.Peek(id); err == nil && e.Delete(benchStart, c, id) != nil {
			b.Fatalf("job %d cannot be deleted", id)
		}
	}
}

// BenchmarkWatchCosts is what commands cost a client that watches one tube, or
// 20,000 that others watch, too, and which have jobs.
func BenchmarkWatchCosts(b *testing.B) {
	for _, n := range []int{1, 20_000} {
		e := New(benchStart)
		c, keeper, w := e.Connect(), e.Connect(), e.Connect()
		for i := range n {
			name := fmt.Appendf(nil, "tube-%d", i)
			e.Watch(keeper, name)
			e.Watch(w, name)
			e.Use(c, name)
			mustInsert(b, e, benchStart, c, 1024, 0, benchBody)
		}
		e.Ignore(w, []byte("default"))
		now := benchStart
		turn := func() {
			now += benchTurn
			for e.Advance(now, 1000) {
			}
			e.TakeWakes(func(k Wake) { e.Release(now, k.Client, k.Job.ID, 1024, 0) })
		}
		reserve := func() {
			if j, o := e.Reserve(now, w, 0); o == Given {
				e.Release(now, w, j.ID, 1024, 0)
			}
		}
		reserve()
		turn()
		tube, other := []byte("tube-0"), []byte("other")
		for _, bm := range []struct {
			name string
			do   func()
		}{
			{"use", func() { e.Use(w, other); e.Use(w, tube) }},
			{"watch+ignore", func() { e.Watch(w, other); _ = e.Ignore(w, other) }},
			{"reserve", reserve},
			{"watch+reserve+ignore+reserve", func() { e.Watch(w, other); reserve(); _ = e.Ignore(w, other); reserve() }},
			{"stats-tube", func() { _, _ = e.TubeStats(now, tube) }},
			{"pause", func() { _ = e.Pause(now, tube, time.Second); _ = e.Pause(now, tube, 0) }},
			{"put+delete", func() { _ = e.Delete(now, c, mustInsert(b, e, now, c, 1024, 0, benchBody)) }},
		} {
			b.Run(fmt.Sprintf("%s/watched=%d", bm.name, n), func(b *testing.B) {
				for b.Loop() {
					turn()
					bm.do()
				}
			})
		}
	}
}

// BenchmarkLongest is how long the longest single call takes, in microseconds,
// while a great deal is to be done. A portion should take some hundred.
func BenchmarkLongest(b *testing.B) {
	const jobs, tubes, limit = 1_000_000, 100_000, 1024
	for _, bm := range []struct {
		name  string
		begin func(call func(func()), now *int64) *Engine
	}{
		{"due", func(_ func(func()), now *int64) *Engine {
			e := New(*now)
			fill(b, e, e.Connect(), jobs, nil, func() time.Duration { return time.Hour }, benchBody)
			*now += int64(2 * time.Hour)
			return e
		}},
		{"ttr", func(_ func(func()), now *int64) *Engine {
			e := New(*now)
			w := e.Connect()
			fill(b, e, w, jobs, nil, nil, benchBody)
			for range jobs {
				*now += benchTurn
				e.Reserve(*now, w, 0)
			}
			*now += int64(time.Hour)
			return e
		}},
		{"kick", func(call func(func()), now *int64) *Engine {
			e := New(*now)
			c := e.Connect()
			fill(b, e, c, jobs, nil, func() time.Duration { return time.Hour }, benchBody)
			call(func() { e.Kick(*now, c, jobs) })
			return e
		}},
		{"watched", func(call func(func()), now *int64) *Engine {
			e := New(*now)
			w := e.Connect()
			for i := range tubes {
				name := fmt.Appendf(nil, "tube-%d", i)
				call(func() { e.Watch(w, name) })
			}
			call(func() { e.Reserve(*now, w, 0) })
			for e.Unfinished() {
				call(func() { e.Advance(*now, limit) })
			}
			e.TakeWakes(func(Wake) {})
			call(func() { e.Disconnect(*now, w) })
			return e
		}},
	} {
		b.Run(bm.name, func(b *testing.B) {
			longest := time.Duration(0)
			call := func(f func()) {
				start := time.Now()
				f()
				longest = max(longest, time.Since(start))
			}
			for b.Loop() {
				now := benchStart
				e := bm.begin(call, &now)
				for more := true; more; {
					call(func() { more = e.Advance(now, limit) })
				}
			}
			b.ReportMetric(float64(longest.Nanoseconds())/1000, "longest-us")
		})
	}
}

// BenchmarkClear clears a tube of a million jobs, in portions, and says how long
// the longest call took. In "shared" there are as many jobs in another tube, and in
// "busy" others put and reserve meanwhile.
func BenchmarkClear(b *testing.B) {
	const jobs, limit = 1_000_000, 1024
	for _, bm := range []struct {
		name         string
		pri          func() uint32
		delay        func() time.Duration
		shared, busy bool
	}{
		{"ready", nil, nil, false, false},
		{"random priorities", seeded().Uint32, nil, false, false},
		{"delayed", nil, withinAnHour(), false, false},
		{"shared", nil, nil, true, false},
		{"busy", nil, nil, false, true},
	} {
		b.Run(bm.name, func(b *testing.B) {
			longest := time.Duration(0)
			call := func(f func()) {
				start := time.Now()
				f()
				longest = max(longest, time.Since(start))
			}
			for b.Loop() {
				b.StopTimer()
				e := New(benchStart)
				c, w := e.Connect(), e.Connect()
				if bm.shared {
					e.Use(c, []byte("another"))
					fill(b, e, c, jobs, bm.pri, bm.delay, benchBody)
					e.Use(c, []byte("default"))
				}
				fill(b, e, c, jobs, bm.pri, bm.delay, benchBody)
				now := benchStart + jobs*benchTurn
				b.StartTimer()
				call(func() { _, _, _ = e.Clear(now, c, []byte("default"), AllStates) })
				for e.Unfinished() {
					if bm.busy {
						mustInsert(b, e, now, w, 1, 0, benchBody)
						if j, o := e.Reserve(now, w, 0); o == Given {
							_ = e.Delete(now, w, j.ID)
						}
					}
					call(func() { e.Advance(now, limit) })
				}
				b.StopTimer()
				drop(b, e)
				b.StartTimer()
			}
			perJob(b, jobs)
			b.ReportMetric(float64(longest.Nanoseconds())/1000, "longest-us")
		})
	}
}

// BenchmarkFind goes through a million jobs, in portions, and says how long the
// longest took.
func BenchmarkFind(b *testing.B) {
	const jobs, work = 1_000_000, 10_000
	e := New(benchStart)
	fill(b, e, e.Connect(), jobs, nil, nil, bytes.Repeat([]byte("x"), 256))
	c := e.Connect()
	e.Use(c, []byte("another"))
	fill(b, e, c, 10, nil, nil, benchBody)
	e.Use(c, []byte("third"))
	fill(b, e, c, 2*fewJobs, nil, nil, benchBody)
	for _, bm := range []struct {
		name string
		q    Query
	}{
		{"few", Query{Tube: "another"}},
		{"another tube", Query{Tube: "third"}},
		{"another state", Query{Tube: "default", States: States(Buried)}},
		{"body", Query{Contains: []byte("needle")}},
		{"all", Query{}},
	} {
		b.Run(bm.name, func(b *testing.B) {
			longest := time.Duration(0)
			for b.Loop() {
				for after, end := uint64(0), false; !end; {
					start := time.Now()
					after, end = e.Find(benchStart, &bm.q, after, work, func(*Found) bool { return true })
					longest = max(longest, time.Since(start))
				}
			}
			perJob(b, jobs)
			b.ReportMetric(float64(longest.Nanoseconds())/1000, "longest-us")
		})
	}
	drop(b, e)
}
