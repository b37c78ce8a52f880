package queue

import (
	"errors"
	"os"
	"os/exec"
	"testing"
	"time"
)

// TestOutOfMemory has puts announce more than there is room for: they are
// refused, cost no id, and do no harm. The bodies are never touched, so they
// take up address space only, but all there is of it: the test has a process to
// itself.
func TestOutOfMemory(t *testing.T) {
	if os.Getenv("OUT_OF_MEMORY") == "" {
		test := exec.Command(os.Args[0], "-test.run=^TestOutOfMemory$")
		test.Env = append(os.Environ(), "OUT_OF_MEMORY=1")
		if out, err := test.CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
		return
	}
	const body, most = 1 << 30, 1 << 18 // there are 2^17 of these in 47 bits of addresses
	e := New(0)
	c := e.Connect()
	var drafts []Draft
	for len(drafts) < most {
		d, err := e.Begin(0, c, 0, 0, time.Minute, body)
		if err != nil {
			if !errors.Is(err, ErrOutOfMemory) {
				t.Fatalf("Begin: %v, want ErrOutOfMemory", err)
			}
			break
		}
		drafts = append(drafts, d)
	}
	if len(drafts) == most {
		t.Fatalf("%d bodies of 1 GiB found room", most)
	}
	last := drafts[len(drafts)-1].id
	for i := range drafts {
		e.Abandon(&drafts[i])
	}
	d, err := e.Begin(0, c, 0, 0, time.Minute, body)
	if err != nil {
		t.Fatalf("Begin after there is room again: %v", err)
	}
	if d.id != last+1 {
		t.Errorf("the next id is %d, want %d: a put that was refused took one", d.id, last+1)
	}
	e.Abandon(&d)
	if err := e.Check(); err != nil {
		t.Error(err)
	}
}
