package journal

import (
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"
)

// Replies that are held because their batch was not settled when it was
// written are woken by the next batch that is, also if no sync has ended in
// between.
func TestLaterBatchWakesThoseThatAreHeld(t *testing.T) {
	for _, tt := range []struct {
		name     string
		overdue  bool // what was written before has waited too long for its sync
		batches  int
		notified int
	}{
		{"one after the other", false, 3, 0},
		{"after some that were held", true, 3, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			j, err := Open(Options{Dir: t.TempDir(), SegmentSize: 1 << 20, Interval: time.Hour, Log: zap.NewNop()}, time.Now().UnixNano())
			if err != nil {
				t.Fatal(err)
			}
			var mu sync.Mutex
			notified := 0
			if err := j.Start(&mu, func() { notified++ }, func() {}, func(err error) { t.Error(err) }); err != nil {
				t.Fatal(err)
			}
			mu.Lock()
			last := uint64(0)
			for range tt.batches - 1 {
				last++
				if tt.overdue {
					j.since = time.Now().Add(-2 * j.opts.Interval)
				}
				j.wrote(last)
			}
			if got := j.Settled() < last; got != tt.overdue {
				t.Errorf("batch %d held: got %v, want %v", last, got, tt.overdue)
			}
			j.since = time.Time{}
			j.wrote(last + 1)
			if got := j.Settled(); got != last+1 {
				t.Errorf("Settled: got %d, want %d", got, last+1)
			}
			if notified != tt.notified {
				t.Errorf("notified %d times, want %d", notified, tt.notified)
			}
			mu.Unlock()
			if err := j.Stop(); err != nil {
				t.Error(err)
			}
		})
	}
}
