//go:build !linux

package journal

import "time"

// bell wakes one goroutine.
type bell struct{ rung chan bool } // false is the end

func newBell() (bell, error) { return bell{make(chan bool, 2)}, nil }

func (b *bell) ring() { b.rung <- true }

// end has wait return false.
func (b *bell) end() { b.rung <- false }

// wait waits until the bell is rung, or returns false at the end.
func (b *bell) wait() bool { return <-b.rung }

// sleep waits for a time, or until the bell is rung, which the next wait tells.
func (b *bell) sleep(d time.Duration) {
	select {
	case <-time.After(d):
	case more := <-b.rung:
		b.rung <- more
	}
}

func (b *bell) close() {}
