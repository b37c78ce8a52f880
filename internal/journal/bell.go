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
type parkBell struct{ rung chan bool } // false is the end

func newParkBell() bell { return parkBell{make(chan bool, 2)} }

func (b parkBell) ring() { b.rung <- true }

func (b parkBell) end() { b.rung <- false }

func (b parkBell) wait() bool { return <-b.rung }

func (b parkBell) sleep(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case more := <-b.rung:
		b.rung <- more
	}
}

func (parkBell) close() {}
