package queue_test

import (
	"slices"
	"testing"
	"time"

	"spoked/queue"
)

func TestHeldBy(t *testing.T) {
	e := queue.New(0)
	c, d := e.Connect(), e.Connect()
	for range 5 {
		draft, err := e.Begin(0, c, 0, 0, time.Minute, 0)
		if err == nil {
			_, err = e.Insert(0, &draft)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	held := func(c *queue.Client) []uint64 { return slices.Collect(e.HeldBy(c)) }
	for now, id := range []uint64{4, 2, 5} {
		if _, err := e.ReserveJob(int64(now), c, id); err != nil {
			t.Fatal(err)
		}
	}
	if got := held(c); !slices.Equal(got, []uint64{4, 2, 5}) {
		t.Errorf("got %v", got)
	}
	if err := e.Hand(9, c, d, 2); err != nil {
		t.Fatal(err)
	}
	if got := held(c); !slices.Equal(got, []uint64{4, 5}) {
		t.Errorf("after one was handed on: got %v", got)
	}
	if got := held(d); !slices.Equal(got, []uint64{2}) {
		t.Errorf("who was handed it has %v", got)
	}
	if s, err := e.JobStats(9, 2); err != nil || s.Since != 1 || s.Owner != d {
		t.Errorf("got %+v, %v, want the instant of its reserve", s, err)
	}
}
