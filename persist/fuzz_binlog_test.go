package persist_test

import (
	"reflect"
	"runtime"
	"slices"
	"testing"

	"spoked/persist"
	"spoked/queue"
)

// Whatever two files hold, reading them takes no more memory than a small
// multiple of their size, and the jobs that come of it are such as can be
// written and read again.
func FuzzBinlog(f *testing.F) {
	delayed := put(2).with(func(l *logged) { l.delay, l.deadline, l.state = 9*second, l.created+9*second, logDelayed })
	seed := binlog(put(1), delayed, put(3), put(3).bury(1), put(1).delete(), put(4))
	old := []byte{5, 0, 0, 0}
	for _, l := range []logged{put(1), delayed, put(2).bury(7), delayed.delete()} {
		old = append(old, l.bytes(5)...)
	}
	f.Add(seed, binlog(put(3).with(func(l *logged) { l.state = logBuried }), put(5)))
	f.Add(zeros(seed, 200), binlog(put(4).bury(1), put(4).bury(2).bury(3)))
	f.Add(old, seed)
	f.Add(seed[:len(seed)-3], append(zeros(seed, 99), 1))
	f.Add([]byte{7, 0, 0, 0}, []byte{8, 0, 0, 0})
	f.Add([]byte{}, make([]byte, 100))
	for _, c := range binlogRules {
		if len(c.files) == 2 {
			f.Add(c.files[0], c.files[1])
		}
	}
	f.Fuzz(func(t *testing.T, a, b []byte) {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		r := persist.NewBinlogReader()
		_, errA := r.Read("binlog.1", a)
		_, errB := r.Read("binlog.3", b)
		runtime.ReadMemStats(&after)
		if got, most := after.TotalAlloc-before.TotalAlloc, uint64(64<<10+8*(len(a)+len(b))); got > most {
			t.Errorf("reading %d bytes took %d bytes of memory, more than %d (errors %v, %v)", len(a)+len(b), got, most, errA, errB)
		}

		var jobs []queue.Record
		for j := range r.Jobs() {
			jobs = append(jobs, *j)
		}
		slices.SortStableFunc(jobs, func(a, b queue.Record) int { return int(a.Burial) - int(b.Burial) })
		got := read(t, write(t, 200, slices.Clone(jobs), r.NextID())...)
		burials := uint64(0)
		for i := range jobs {
			if j := &jobs[i]; j.State == queue.Buried {
				j.Buries = max(j.Buries, 1) - 1
				burials++
				j.Burial = burials
			}
		}
		if len(got.problems) > 0 || got.nextID != r.NextID() {
			t.Errorf("read again: problems %q, NextID %d, want %d", got.problems, got.nextID, r.NextID())
		}
		if len(got.jobs) != len(jobs) {
			t.Fatalf("read again: %d jobs, want %d", len(got.jobs), len(jobs))
		}
		for i := range jobs {
			if !reflect.DeepEqual(got.jobs[i], jobs[i]) {
				t.Errorf("read again:\n got %+v\nwant %+v", got.jobs[i], jobs[i])
			}
		}
	})
}
