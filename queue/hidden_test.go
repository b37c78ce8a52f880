package queue_test

import (
	"testing"
	"time"

	"spoked/queue"
)

func TestHiddenClient(t *testing.T) {
	e := queue.New(0)
	c := e.AttachHidden()
	d, err := e.Begin(0, c, 0, 0, time.Second, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.Insert(0, &d); err != nil {
		t.Fatal(err)
	}
	if _, err := e.ReserveJob(0, c, 1); err != nil {
		t.Fatal(err)
	}
	if got := e.Stats(); got.Producers != 0 || got.Workers != 0 || got.Connections != 0 {
		t.Errorf("got %+v, want nobody to be counted", got)
	}
	s, err := e.TubeStats(0, []byte("default"))
	if err != nil || s.Using != 0 || s.Watching != 0 {
		t.Errorf("got %+v, %v, want nobody to use or watch default", s, err)
	}
	e.Connect()
	if s, _ = e.TubeStats(0, []byte("default")); s.Using != 1 || s.Watching != 1 {
		t.Errorf("got %d using and %d watching, want 1 of each", s.Using, s.Watching)
	}
	if err := e.Check(); err != nil {
		t.Error(err)
	}
}
