package queue_test

import (
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"spoked/queue"
)

func TestFindInPortions(t *testing.T) {
	s := newKeptStage(t)
	s.engine.SetLimits(queue.Limits{Bodies: queue.InJournal})
	var want []uint64
	for i := range 5000 { // so that most pages of ids are sparse
		id, err := s.putBody("a", fmt.Sprintf("body %d.", i))
		s.want("Insert", err, nil)
		if i%100 > 0 && i < 4500 {
			s.want("Delete", s.engine.Delete(s.now, s.client("a"), id), nil)
		} else {
			want = append(want, id)
		}
	}
	s.engine.Change(s.now, want[7], queue.Change{Delay: new(time.Hour)})
	for _, work := range []int{1, 10, 100, math.MaxInt} {
		var got []uint64
		calls := 0
		for after, end := uint64(0), false; !end; calls++ {
			after, end = s.engine.Find(s.now, &queue.Query{Tube: "a"}, after, work, func(f *queue.Found) bool {
				got = append(got, f.ID)
				return true
			})
		}
		if !slices.Equal(got, want) || (calls == 1) != (work == math.MaxInt) {
			t.Errorf("work %d: got %d jobs in %d calls, want %d", work, len(got), calls, len(want))
		}
	}
	found := func(q queue.Query) (n, unsearched int) {
		s.engine.Find(s.now, &q, 0, math.MaxInt, func(f *queue.Found) bool {
			n++
			if f.Unsearched {
				unsearched++
			}
			return true
		})
		return n, unsearched
	}
	is := func(q queue.Query, wantN, wantUnsearched int) {
		t.Helper()
		if n, u := found(q); n != wantN || u != wantUnsearched {
			t.Errorf("%+v: got %d jobs, %d of them unsearched, want %d, %d", q, n, u, wantN, wantUnsearched)
		}
	}
	is(queue.Query{Tube: "none"}, 0, 0)
	is(queue.Query{States: queue.States(queue.Delayed)}, 1, 0)
	is(queue.Query{Contains: []byte("body 4999.")}, 535, 535) // which are as long
	is(queue.Query{Contains: []byte("much longer than a body is")}, 0, 0)
	is(queue.Query{Until: want[9]}, 9, 0)
}
