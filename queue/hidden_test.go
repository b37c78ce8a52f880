package queue_test

import (
	"testing"

	"spoked/queue"
)

func TestHiddenClient(t *testing.T) {
	e := queue.New(0)
	e.AttachHidden()
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
