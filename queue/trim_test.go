package queue

import (
	"bytes"
	"math/rand/v2"
	"testing"
	"time"
)

const mib = 1 << 20

// tryInsert puts a ready job, unless it is refused.
func tryInsert(t testing.TB, e *Engine, c *Client, body []byte) (id uint64, ok bool) {
	t.Helper()
	d, err := e.Begin(testNow, c, 5, 0, time.Minute, uint32(len(body)))
	if err == nil {
		copy(e.Body(&d), body)
		id, err = e.Insert(testNow, &d)
	}
	if err != nil && err != ErrOutOfMemory {
		t.Fatal(err)
	}
	return id, err == nil
}

// fillUp puts jobs with bodies of size bytes until one is refused, or there are
// so many.
func fillUp(t testing.TB, e *Engine, c *Client, size, most int) (jobs int) {
	t.Helper()
	body := make([]byte, size)
	for jobs < most {
		if _, ok := tryInsert(t, e, c, body); !ok {
			break
		}
		if jobs++; jobs%50 == 0 {
			e.Trim()
		}
	}
	return jobs
}

// drain takes jobs as a worker does, until there are so many left.
func drain(t testing.TB, e *Engine, c *Client, left int) {
	t.Helper()
	for e.Len() > left {
		j, o := e.Reserve(testNow, c, 0)
		if o != Given {
			t.Fatalf("Reserve: got %v with %d jobs", o, e.Len())
		}
		if err := e.Delete(testNow, c, j.ID); err != nil {
			t.Fatal(err)
		}
	}
}

// Without a journal puts are refused when memory is used up, and nothing else
// is; what is deleted makes room.
func TestMemoryIsUsedUp(t *testing.T) {
	for _, size := range []int{0, 10, 1000, 60_000, 200_000} {
		e := New(testNow)
		c := e.Connect()
		e.SetLimits(Limits{Memory: 8 * mib})
		first := fillUp(t, e, c, size, 1<<20)
		if got := e.Memory(); got > 8*mib+mib {
			t.Errorf("%d bytes: memory is %d, want 8 MiB at most, and a page", size, got)
		}
		if got := int64(first) * int64(size); size >= 1000 && got < 5*mib {
			t.Errorf("%d bytes: got %d jobs into 8 MiB", size, first)
		}
		if first < 10 {
			t.Fatalf("%d bytes: got %d jobs", size, first)
		}
		var held []uint64
		for range 5 {
			j, o := e.Reserve(testNow, c, 0)
			if o != Given {
				t.Fatalf("Reserve: got %v", o)
			}
			held = append(held, j.ID)
		}
		for i, err := range []error{
			e.Touch(testNow, c, held[0]),
			e.Release(testNow, c, held[0], 7, 0),
			e.Release(testNow, c, held[1], 7, time.Hour),
			e.Bury(c, held[2], 7),
			e.KickJob(testNow, held[2]),
			e.KickJob(testNow, held[1]),
			e.Pause(testNow, []byte("default"), time.Second),
			e.Delete(testNow, c, held[3]),
			e.Delete(testNow, c, held[4]),
		} {
			if err != nil {
				t.Errorf("%d bytes, command %d: %v", size, i, err)
			}
		}
		e.Advance(testNow+2e9, 10)
		checked(t, e)
		drain(t, e, c, 0)
		if again := fillUp(t, e, c, size, 1<<20); again < first-first/20 {
			t.Errorf("%d bytes: got %d jobs again after %d", size, again, first)
		}
		drain(t, e, c, 0)
		checked(t, e)
	}
}

// Memory that was used for bodies of one size is there for those of another.
func TestMemoryIsForAllSizes(t *testing.T) {
	for _, l := range []Limits{{Memory: 8 * mib}, {Memory: 8 * mib, Bodies: InMemoryIfRoom}, {Memory: 8 * mib, Bodies: InJournal}} {
		e, c, _ := pagedEngine(l)
		for size := 1; size < 3*mib; size += size/9 + 1 {
			n := fillUp(t, e, c, size, min(1000, 20*mib/size))
			if n == 0 {
				t.Fatalf("%+v: a body of %d bytes is refused, with %d bytes in use by no job", l, size, e.Memory())
			}
			drain(t, e, c, 0)
			e.Trim()
		}
		checked(t, e)
	}
}

// What puts add beyond the memory is stored, that of jobs put before too when
// their records need the room, and all of it comes back.
func TestTrimMakesRoomForRecords(t *testing.T) {
	e, c, _ := pagedEngine(Limits{Memory: 16 * mib, Bodies: InMemoryIfRoom})
	r := rand.New(rand.NewPCG(1, 1))
	jobs := 0
	for e.Len() < 100_000 {
		if _, ok := tryInsert(t, e, c, make([]byte, r.IntN(2000))); !ok {
			t.Fatalf("a put is refused with %d jobs, %d bytes in use", e.Len(), e.Memory())
		}
		if jobs++; jobs%100 == 0 {
			e.Trim()
		}
		if got, want := e.Memory(), int64(16*mib+16*mib/overdraft); got > want {
			t.Fatalf("memory: got %d with %d jobs, want %d at most", got, e.Len(), want)
		}
	}
	if e.storedBytes == 0 || e.bodies.Total() == 0 {
		t.Fatalf("%d bytes of bodies stored, and %d in memory", e.storedBytes, e.bodies.Total())
	}
	checked(t, e)
	more := fillUp(t, e, c, 100, 1<<20)
	if got := e.pages.Bytes(); got < 14*mib {
		t.Errorf("a put is refused while records have %d bytes of 16 MiB, after %d more", got, more)
	}
	drain(t, e, c, 0)
	if e.storedBytes != 0 || e.bodies.Total() != 0 {
		t.Errorf("%d bytes of bodies stored, and %d in memory, without jobs", e.storedBytes, e.bodies.Total())
	}
	if got := e.Memory(); got > 5*mib {
		t.Errorf("memory without jobs: got %d bytes", got)
	}
	checked(t, e)
}

// What the journal does not have stays in memory, whatever it costs.
func TestTrimKeepsWhatIsNowhereElse(t *testing.T) {
	e, c, p := pagedEngine(Limits{Memory: 2 * mib, Bodies: InMemoryIfRoom})
	p.no = true
	n := fillUp(t, e, c, 10_000, 1000)
	if n < 100 {
		t.Fatalf("got %d jobs into 2 MiB", n)
	}
	for range 100 {
		e.Trim()
	}
	if e.storedBytes != 0 {
		t.Fatalf("%d bytes of bodies are nowhere", e.storedBytes)
	}
	for id := uint64(1); id <= uint64(n); id++ {
		if j, err := e.Peek(id); err != nil || len(j.Body) != 10_000 {
			t.Fatalf("Peek %d: got %d bytes, %v", id, len(j.Body), err)
		}
	}
	e.Moved(3, Place{1, 1}) // but that it has now
	p.no = false
	for range 100 {
		e.Trim()
	}
	checked(t, e)
}

// After trim has found nothing to be stored it still does when there is
// something.
func TestTrimIsIdleForAWhile(t *testing.T) {
	const limit = 8 * mib
	e, c, _ := pagedEngine(Limits{Memory: limit, Bodies: InMemoryIfRoom})
	var drafts []*Draft
	for { // puts that are under way take all of the memory
		d, err := e.Begin(testNow, c, 5, 0, time.Minute, 60_000)
		if err != nil {
			break
		}
		drafts = append(drafts, &d)
	}
	for range 3 {
		e.Trim()
	}
	if e.trimIdle == 0 {
		t.Fatal("trim is not idle, though there is nothing to be stored")
	}
	for _, d := range drafts {
		e.Abandon(d)
	}
	e.Trim()
	n := fillUp(t, e, c, 1000, 200_000)
	if records := e.pages.Bytes(); records < limit*3/4 {
		t.Errorf("a put is refused after %d while records have %d bytes of %d: %d bytes of bodies are in memory", n, records, limit, e.bodies.Total())
	}
	checked(t, e)
}

// A walk of trim meets all jobs, also when others come and go meanwhile.
func TestTrimMeetsAll(t *testing.T) {
	e, c, _ := pagedEngine(Limits{Bodies: InMemoryIfRoom})
	r := rand.New(rand.NewPCG(1, 2))
	body := bytes.Repeat([]byte("x"), 500)
	var old []uint64
	for range 5000 {
		old = append(old, mustInsert(t, e, testNow, c, 5, 0, body))
	}
	e.SetLimits(Limits{Memory: 1, Bodies: InMemoryIfRoom})
	var fresh []uint64
	for range 2 * len(old) / trimmedPut {
		e.SetLimits(Limits{Memory: 0, Bodies: InMemoryIfRoom}) // so that they are put
		for range 10 {
			fresh = append(fresh, mustInsert(t, e, testNow, c, 5, 0, body))
		}
		e.SetLimits(Limits{Memory: 1, Bodies: InMemoryIfRoom})
		for range 8 {
			i := r.IntN(len(fresh))
			e.Delete(testNow, c, fresh[i])
			fresh = append(fresh[:i], fresh[i+1:]...)
		}
		e.trim(trimmedPut)
	}
	for _, id := range old {
		if j, err := e.Peek(id); err != nil || j.Stored != 500 {
			t.Fatalf("Peek %d: got %+v, %v, want it stored", id, j, err)
		}
	}
	checked(t, e)
}

// Restoring under a limit stores what there is no room for, and all jobs are
// there, whatever the limit.
func TestRestoreUnderALimit(t *testing.T) {
	const jobs = 20_000
	for _, l := range []Limits{
		{Memory: 4 * mib, Bodies: InMemoryIfRoom}, {Memory: 1, Bodies: InMemoryIfRoom}, {Bodies: InJournal}, {Memory: 1, Bodies: InJournal},
		{Memory: 1}, {Memory: 1 << 40, Bodies: InMemoryIfRoom},
	} {
		e := New(testNow)
		e.SetLimits(l)
		s := e.Restore(testNow)
		for id := uint64(1); id <= jobs; id++ {
			r := Record{ID: id, Tube: "t", Pri: 5, Created: testNow, TTR: 1e9, Body: make([]byte, 1000), Place: Place{1, uint32(id)}}
			if id%2 == 0 {
				r.State, r.Delay, r.At = Delayed, 3600e9, testNow+3600e9
			}
			if err := s.Job(&r); err != nil {
				t.Fatal(err)
			}
			switch id % 10 {
			case 3, 4: // which makes it ready, or leaves it so
				s.Change(&Record{ID: id, State: Ready, Pri: 6, Kicks: 1})
			case 5, 6:
				s.Change(&Record{ID: id, State: Buried, Burial: id, Buries: 1})
			case 7, 8:
				s.End(id)
			case 9:
				s.Job(&r) // again
			}
		}
		s.Finish()
		checked(t, e)
		if got, want := e.Len(), jobs*8/10; got != want {
			t.Errorf("%+v: got %d jobs, want %d", l, got, want)
		}
		if got, want := e.BodyBytes(), int64(e.Len())*1000; got != want {
			t.Errorf("%+v: BodyBytes: got %d, want %d", l, got, want)
		}
		switch {
		case l.Bodies == InJournal && e.bodies.Total() != 0, l.Bodies == AlwaysInMemory && e.storedBytes != 0:
			t.Errorf("%+v: %d bytes of bodies in memory, %d stored", l, e.bodies.Total(), e.storedBytes)
		case l.Memory == 4*mib && e.Memory() > 5*mib:
			t.Errorf("%+v: memory is %d", l, e.Memory())
		case l.Memory == 1<<40 && e.far.Len() == 0:
			t.Errorf("%+v: no job is cold", l)
		}
		for id := range e.Jobs() {
			c := e.Connect()
			if err := e.Delete(testNow, c, id.ID); err != nil {
				t.Fatal(err)
			}
			e.Disconnect(testNow, c)
			break
		}
		checked(t, e)
	}
}

// Bodies of many sizes take pages of many kinds; no put is refused for that.
func TestPutsOfAllSizesAreNotRefused(t *testing.T) {
	for seed := range uint64(20) {
		e, c, _ := pagedEngine(Limits{Memory: 5 * mib, Bodies: InMemoryIfRoom})
		r := rand.New(rand.NewPCG(seed, 3))
		for n := range 3000 {
			size := r.IntN([]int{300, 3000, 40_000}[r.IntN(3)])
			if _, ok := tryInsert(t, e, c, make([]byte, size)); !ok {
				t.Fatalf("seed %d: put %d, of %d bytes, is refused; records have %d bytes, %d of bodies take %d",
					seed, n, size, e.pages.Bytes(), e.bodies.Total(), e.bodies.Bytes())
			}
			if e.Len() > 500 {
				drain(t, e, c, 500)
			}
			if n%20 == 0 {
				e.Trim()
			}
		}
		checked(t, e)
	}
}
