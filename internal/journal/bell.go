package journal

import "time"

// A bell wakes the goroutine that syncs.
type bell interface {
	ring()
	// end has wait return false from then on.
	end()
	// wait waits until the bell is rung, or returns false at the end. It is
	// for one goroutine.
	wait() bool
	// sleep waits for a time, or until the bell is rung, which the next wait
	// tells.
	sleep(d time.Duration)
	close()
}

// parkBell is a bell for a goroutine that waits in the scheduler.
type parkBell struct{ rung, over chan struct{} }

func newParkBell() bell { return parkBell{make(chan struct{}, 1), make(chan struct{})} }

func (b parkBell) ring() {
	select {
	case b.rung <- struct{}{}:
	default: // it has been
	}
}

func (b parkBell) end() { close(b.over) }

func (b parkBell) wait() bool {
	select {
	case <-b.rung:
		return true
	case <-b.over:
		return false
	}
}

func (b parkBell) sleep(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-b.rung:
		b.ring()
	case <-b.over:
	}
}

func (parkBell) close() {}
