package bench

import "time"

// A transport moves the bytes of the clients of a run, which are numbered. It is
// used from one goroutine.
type transport interface {
	// dial begins to connect client i. An event tells when that is done.
	dial(i int) error
	// send sends p. What cannot be sent at once is sent during wait; until then p
	// must not change.
	send(i int, p []byte) error
	// unsent reports whether there is something left of what was to be sent. When
	// there is no more, an event tells.
	unsent(i int) bool
	// read reads what has arrived of client i, 0 if there is nothing, and io.EOF
	// at the end. It does not block. After less than len(p), an event tells of more.
	read(i int, p []byte) (int, error)
	// wait blocks until something has happened, or for that long. The events are
	// valid until the next call.
	wait(limit time.Duration) ([]event, error)
	// close disconnects client i, which may be dialed again.
	close(i int)
	// shut closes everything.
	shut()
}

// An event tells that a client may read, or that it has been connected.
type event struct {
	client    int32
	connected bool
}
