package server

import (
	"math"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	// waitGrain is what deadlines are rounded up to: so much may be due together.
	waitGrain = int64(250 * time.Microsecond)

	// shortWait is how long a loop blocks without telling the Go scheduler: that
	// takes time before and after, and the scheduler looks every 20 us for those
	// that have told it.
	shortWait = int64(time.Millisecond)
)

// poll waits for events and returns how many of l.events it has filled.
func (l *loop) poll() int {
	if len(l.active) > 0 || len(l.dead) > 0 || len(l.ended) > 0 {
		n := l.epollWait(0)
		l.spin.events += n
		l.times.began = l.times.finished
		return n
	}
	now := l.server.clock.now()
	until := min(l.deadline, l.acceptAt())
	l.times.began = now
	if until <= now {
		return l.epollWait(0)
	}
	n := 0
	if l.spin.worthwhile() {
		for end := min(now+spinTime, until); now < end; now = l.server.clock.now() {
			if n = l.epollWait(0); n > 0 {
				l.times.began = now
				l.spin.hit()
				l.spin.waited(now, n)
				return n
			}
		}
		l.spin.miss()
		if until <= now {
			return 0
		}
	}
	if l.short {
		n = l.epollWait(min(shortWait, until-now))
	}
	after := l.server.clock.now()
	if n == 0 && after < until {
		timeout := int64(-1)
		if until != math.MaxInt64 {
			timeout = until - after
		}
		n = l.block(timeout)
		after = l.server.clock.now()
	}
	l.times.began = after
	l.spin.blocked(after-now, n)
	l.spin.waited(after, n)
	return n
}

// epollWait is epoll_wait(2) for about timeout nanoseconds and not less. The Go
// scheduler is not told, so it is for short times. It is interrupted, and returns
// 0, when the scheduler, or the collector, wants the thread to stop.
func (l *loop) epollWait(timeout int64) int {
	var n uintptr
	var errno syscall.Errno
	events, most := uintptr(unsafe.Pointer(&l.events[0])), uintptr(len(l.events))
	if timeout == 0 || l.coarse {
		n, _, errno = syscall.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(l.ep), events, most, toMilliseconds(timeout), 0, 0)
	} else {
		ts := toTimespec(timeout)
		n, _, errno = syscall.RawSyscall6(unix.SYS_EPOLL_PWAIT2, uintptr(l.ep), events, most, uintptr(unsafe.Pointer(&ts)), 0, 0)
	}
	return l.waitedFor(n, errno)
}

// block is epollWait for a long time, -1 for ever.
func (l *loop) block(timeout int64) int {
	var n uintptr
	var errno syscall.Errno
	events, most := uintptr(unsafe.Pointer(&l.events[0])), uintptr(len(l.events))
	if timeout < 0 || l.coarse {
		n, _, errno = syscall.Syscall6(unix.SYS_EPOLL_PWAIT, uintptr(l.ep), events, most, toMilliseconds(timeout), 0, 0)
	} else {
		ts := toTimespec(timeout)
		n, _, errno = syscall.Syscall6(unix.SYS_EPOLL_PWAIT2, uintptr(l.ep), events, most, uintptr(unsafe.Pointer(&ts)), 0, 0)
	}
	return l.waitedFor(n, errno)
}

// waitedFor returns how many events a wait has brought.
func (l *loop) waitedFor(n uintptr, errno syscall.Errno) int {
	switch errno {
	case 0:
		return int(n)
	case unix.EINTR:
		return 0
	case unix.ENOSYS, unix.EPERM: // epoll_pwait2, which a kernel before 5.11, or a filter, does not know
		if !l.coarse {
			l.coarse = true
			return 0
		}
	}
	panic("epoll_wait: " + errno.Error())
}

// toTimespec is a timeout of epoll_pwait2(2): seconds and nanoseconds, of 64 bits
// on any machine.
func toTimespec(ns int64) [2]int64 {
	ns = roundUp(ns, waitGrain)
	return [2]int64{ns / int64(time.Second), ns % int64(time.Second)}
}

// toMilliseconds is a timeout of epoll_wait(2).
func toMilliseconds(ns int64) uintptr {
	if ns < 0 {
		return ^uintptr(0)
	}
	return uintptr(min(roundUp(ns, int64(time.Millisecond))/int64(time.Millisecond), math.MaxInt32))
}

// roundUp returns the next multiple of grain: to wake too early is to wake again.
func roundUp(ns, grain int64) int64 { return (ns + grain - 1) / grain * grain }

// A spinner decides whether a loop that has nothing to do polls for a moment
// before it blocks. With few clients, each answering at once, that can spare them
// half of the time, if to be woken takes the system long; or it can take CPU time
// away from them, when it does not, or there is too little. Nothing tells which but
// the clock: so both ways are tried for some events in turn, and polling is the way
// as long as events come a good deal faster with it. Besides, it stops at once
// when there is nobody who answers.
type spinner struct {
	credit int

	polling bool       // the way that is being measured
	cost    [2]float64 // ns for an event: of blocking, of polling; 0 is not known
	trials  int        // since the way that is not the better one was measured
	events  int        // of this trial
	ns      int64
	mark    int64 // instant of the last event
}

const (
	spinTime  = int64(50 * time.Microsecond)
	maxCredit = 16

	trial      = 256                           // events in which a way is measured
	retrial    = 64                            // and the one that was worse,
	retrials   = 32                            // which is measured once in so many trials
	worthIt    = 0.8                           // cost of polling, as a part of that of blocking
	trialPause = int64(200 * time.Microsecond) // a pause that says nothing about either
)

func (s *spinner) worthwhile() bool { return s.credit > 0 && s.polling }

func (s *spinner) hit() { s.credit = min(s.credit+1, maxCredit) }

func (s *spinner) miss() { s.credit -= 4 }

// blocked tells how long the loop was blocked before it had n events.
func (s *spinner) blocked(ns int64, n int) {
	if n > 0 && ns < spinTime {
		s.credit = min(s.credit+1, maxCredit)
	}
}

// waited tells that a wait has ended at the instant now with n events.
func (s *spinner) waited(now int64, n int) {
	ns := now - s.mark
	s.mark = now
	if ns > trialPause || s.polling && s.credit <= 0 {
		s.events, s.ns = 0, 0
		return
	}
	s.events += n
	s.ns += ns
	most := trial
	if s.trials == 0 && s.cost != [2]float64{} {
		most = retrial
	}
	if s.events < most {
		return
	}
	cost := &s.cost[way(s.polling)]
	if now := float64(s.ns) / float64(s.events); *cost == 0 {
		*cost = now
	} else {
		*cost = (*cost + now) / 2
	}
	s.events, s.ns = 0, 0
	better := s.cost[1] > 0 && s.cost[1] < worthIt*s.cost[0]
	if s.trials++; s.trials == retrials || s.cost[way(!better)] == 0 {
		s.polling, s.trials = !better, 0
	} else {
		s.polling = better
	}
}

func way(polling bool) int {
	if polling {
		return 1
	}
	return 0
}
