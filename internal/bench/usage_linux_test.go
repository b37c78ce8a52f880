package bench

import (
	"context"
	"os"
	"testing"
)

// TestUsage measures this process, in which the server is too.
func TestUsage(t *testing.T) {
	_, addr := serveOn(t)
	o := small(addr, "work")
	o.Server.PID = os.Getpid()
	results, err := play(t, context.Background(), o, Observer{})
	if err != nil {
		t.Fatal(err)
	}
	r := results[0]
	if r.ServerCPU == nil || *r.ServerCPU <= 0 || r.ServerRSS == nil || *r.ServerRSS < 1<<20 || r.ClientCPU <= 0 {
		t.Errorf("got %+v", r)
	}
	if ticks, err := serverTicks(os.Getpid()); err != nil || ticks < 0 {
		t.Errorf("got %v, %v", ticks, err)
	}
}
