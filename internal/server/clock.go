package server

import "time"

// clock tells instants in nanoseconds since the Unix epoch. It is set once and
// then runs with the monotonic clock: a step of the system's clock moves no
// deadline.
type clock struct{ start time.Time }

func newClock() clock { return clock{time.Now()} }

func (c clock) now() int64 { return c.start.UnixNano() + int64(time.Since(c.start)) }
