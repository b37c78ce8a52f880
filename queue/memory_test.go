package queue

import (
	"bytes"
	"fmt"
	"os"
	"reflect"
	"runtime"
	"runtime/debug"
	"testing"
	"time"
	"unsafe"
)

// What there is one of for each job must hold no pointers, and fit where it
// is meant to.
func TestRecordsHoldNoPointers(t *testing.T) {
	for _, tt := range []struct {
		record any
		size   uintptr
	}{
		{job{}, 64}, // a cache line
		{work{}, 48},
		{readyItem{}, 16},
		{due{}, 8},
	} {
		typ := reflect.TypeOf(tt.record)
		if path := pointerIn(typ); path != "" {
			t.Errorf("%v holds a pointer: %s", typ, path)
		}
		if got := typ.Size(); got != tt.size {
			t.Errorf("%v has %d bytes, want %d", typ, got, tt.size)
		}
	}
	if got := unsafe.Offsetof(job{}.id); got != 0 {
		t.Errorf("the id of a job is at %d, want 0", got)
	}
}

// pointerIn returns where in a type there is a pointer, or "".
func pointerIn(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Struct:
		for i := range t.NumField() {
			if path := pointerIn(t.Field(i).Type); path != "" {
				return t.Field(i).Name + "." + path
			}
		}
		return ""
	case reflect.Array:
		return pointerIn(t.Elem())
	}
	if k := t.Kind(); k >= reflect.Bool && k <= reflect.Complex128 {
		return ""
	}
	return t.String()
}

func mustInsert(t testing.TB, e *Engine, now int64, c *Client, pri uint32, delay time.Duration, body []byte) uint64 {
	d, _ := e.Begin(now, c, pri, delay, time.Minute, uint32(len(body)))
	copy(e.Body(&d), body)
	id, err := e.Insert(now, &d)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func TestSteadyStateAllocatesLittle(t *testing.T) {
	body := bytes.Repeat([]byte("x"), 100)
	cycles := []struct {
		name string
		want float64 // allocations a cycle
		do   func(now int64, e *Engine, c, waiting *Client)
	}{
		{"put, reserve, delete", 0, func(now int64, e *Engine, c, _ *Client) {
			mustInsert(t, e, now, c, 5, 0, body)
			j, _ := e.Reserve(now, c, 0)
			e.Delete(now, c, j.ID)
		}},
		{"put to a waiting client, touch, delete", 0, func(now int64, e *Engine, c, w *Client) {
			e.Reserve(now, w, time.Minute)
			id := mustInsert(t, e, now, c, 5, 0, body)
			e.TakeWakes(func(Wake) {})
			e.Touch(now, w, id)
			e.Delete(now, w, id)
		}},
		// One spoke of the wheel empties and is made anew each time.
		{"delayed put, time", 0, func(now int64, e *Engine, c, _ *Client) {
			mustInsert(t, e, now, c, 5, 500*time.Microsecond, body)
			j, o := e.Reserve(now, c, 0)
			if o == Given {
				e.Delete(now, c, j.ID)
			}
		}},
		{"put, reserve, release, bury, kick, delete", 0, func(now int64, e *Engine, c, _ *Client) {
			id := mustInsert(t, e, now, c, 5, 0, body)
			e.Reserve(now, c, 0)
			e.Release(now, c, id, 5, 0)
			e.Reserve(now, c, 0)
			e.Bury(c, id, 5)
			e.Kick(now, c, 1)
			e.Delete(now, c, id)
		}},
	}
	for _, tt := range cycles {
		t.Run(tt.name, func(t *testing.T) {
			now := int64(1e18)
			e := New(now)
			c, w := e.Connect(), e.Connect()
			cycle := func() {
				now += 10_000
				for e.Advance(now, 100) {
				}
				tt.do(now, e, c, w)
			}
			for range 10_000 {
				cycle()
			}
			if got := testing.AllocsPerRun(10_000, cycle); got > tt.want {
				t.Errorf("%v allocations a cycle, want %v at most", got, tt.want)
			}
		})
	}
}

// resident returns how much memory the process occupies.
func resident(t testing.TB) int {
	debug.FreeOSMemory()
	statm, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		t.Skip(err)
	}
	var size, pages int
	if _, err := fmt.Sscan(string(statm), &size, &pages); err != nil {
		t.Fatal(err)
	}
	return pages * os.Getpagesize()
}

func TestMemoryIsReturnedWhenTheQueueHasDrained(t *testing.T) {
	const jobs = 200_000
	body := bytes.Repeat([]byte("x"), 256)
	for _, tt := range []struct {
		name  string
		delay time.Duration
	}{{"ready", 0}, {"delayed", time.Hour}} {
		t.Run(tt.name, func(t *testing.T) {
			now := int64(1e18)
			e := New(now)
			c := e.Connect()
			before := resident(t)
			for i := range int64(jobs) {
				mustInsert(t, e, now+i*1000, c, 5, tt.delay, body)
			}
			now += int64(2 * time.Hour)
			full := resident(t) - before
			if full < jobs*(256+64) {
				t.Errorf("%d bytes for %d jobs: that cannot be", full, jobs)
			}
			for e.Advance(now, 1000) {
			}
			for {
				j, outcome := e.Reserve(now, c, 0)
				if outcome != Given {
					break
				}
				e.Delete(now, c, j.ID)
			}
			if err := e.Check(); err != nil {
				t.Fatal(err)
			}
			left := resident(t) - before
			if left > full/8 {
				t.Errorf("%d KiB of %d KiB are left", left>>10, full>>10)
			}
			if got := e.pages.Bytes(); got > 2<<20 {
				t.Errorf("%d KiB of pages are left", got>>10)
			}
			t.Logf("%d bytes a job; left: %d KiB", full/jobs, left>>10)
		})
	}
}

// Tubes that come, have a delayed job, and go, leave nothing behind.
func TestTubesLeaveNothing(t *testing.T) {
	e, now := New(0), int64(0)
	c := e.Connect()
	round := func() {
		for i := range 10_000 {
			now++
			e.Use(c, fmt.Appendf(nil, "tube-%d", i))
			id := mustInsert(t, e, now, c, 5, time.Minute, nil)
			if err := e.Delete(now, c, id); err != nil {
				t.Fatal(err)
			}
		}
		e.Use(c, []byte("default"))
	}
	heap := func() int {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return int(m.HeapAlloc)
	}
	round()
	before := heap()
	for range 10 {
		round()
	}
	if grown := heap() - before; grown > 1<<20 {
		t.Errorf("100,000 tubes that are gone have left %d KiB", grown>>10)
	}
	if err := e.Check(); err != nil {
		t.Error(err)
	}
}

// Nor do many that there are at the same time, of all kinds, while a few others
// stay.
func TestManyTubesLeaveNothing(t *testing.T) {
	const tubes, others = 30_000, 10
	now := int64(1e18)
	e := New(now)
	keeper := e.Connect()
	for i := range others {
		e.Watch(keeper, fmt.Appendf(nil, "other-%d", i))
	}
	pass := func() {
		for e.Advance(now, 1000) {
		}
		e.TakeWakes(func(Wake) {})
	}
	round := func() {
		c, w := e.Connect(), e.Connect()
		var ids []uint64
		for i := range tubes {
			name := fmt.Appendf(nil, "tube-%d", i)
			e.Watch(w, name)
			e.Use(c, name)
			ids = append(ids, mustInsert(t, e, now, c, 5, time.Duration(1+i)*time.Second, nil))
			if err := e.Pause(now, name, time.Hour); err != nil {
				t.Fatal(err)
			}
		}
		e.Reserve(now, w, time.Minute)
		pass()
		for _, id := range ids {
			if err := e.Delete(now, c, id); err != nil {
				t.Fatal(err)
			}
		}
		e.Disconnect(now, w)
		e.Disconnect(now, c)
		pass()
	}
	heap := func() int {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return int(m.HeapAlloc)
	}
	before := heap()
	for range 2 {
		round()
		if err := e.Check(); err != nil {
			t.Fatal(err)
		}
		if grown := heap() - before; grown > 400<<10 {
			t.Errorf("%d tubes that are gone have left %d KiB", tubes, grown>>10)
		}
		if n := e.hub.Len(); n != 0 || len(e.list) != 1+others || len(e.lists) != 0 {
			t.Errorf("%d timers, %d tubes, %d lists are left", n, len(e.list), len(e.lists))
		}
	}
}
