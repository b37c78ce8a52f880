package queue

import (
	"spoked/internal/slab"
	"spoked/wheel"
)

// State says where a job is in its life.
type State uint8

// The states of a job.
const (
	Ready State = iota
	Delayed
	Reserved
	Buried
	// NumStates is how many there are.
	NumStates
)

// String returns the state's word in the protocol.
func (s State) String() string {
	return [...]string{Ready: "ready", Delayed: "delayed", Reserved: "reserved", Buried: "buried"}[s]
}

// UrgentBelow is the priority below which a ready job counts as urgent.
const UrgentBelow = 1024

// job is the record of a job: one cache line, without a pointer, in a slab.
// Other records refer to it by its slot there.
type job struct {
	id      uint64
	created int64    // instant of the put
	delay   int64    // ns, as the last put or release said
	ttr     int64    // ns
	body    slab.Ref // without the trailing CR LF
	pri     uint32
	tube    uint32 // its number
	work    uint32 // slot of its work record; 0 if it was never reserved or kicked
	place   uint32 // ready: index in the heap; delayed: wheel.Timer
	segment uint32 // of the journal, where the newest whole record of it is
	state   State
}

// work is what a job gathers once it is worked on. Most jobs that wait have
// none.
type work struct {
	reserves, timeouts, releases, buries, kicks uint32

	// Slots of the neighbours: of a reserved job among its owner's, in the
	// order they were reserved; of a buried one in its tube's list.
	prev, next uint32

	// While reserved:
	owner uint32 // the client's number
	timer wheel.Timer
	soon  bool // the last second before the deadline has begun

	stale  bool   // the journal does not know the counts
	burial uint64 // if buried: the number of its burial, counted over all
}

// A Job is what a client is given of a job. Body is borrowed: it is valid
// until the next call of a method of the engine.
type Job struct {
	ID   uint64
	Body []byte
}

func (e *Engine) view(slot uint32) Job {
	j := e.jobs.At(slot)
	return Job{j.id, e.bodies.At(j.body)}
}

// workOf returns the work record of j, and makes one if there is none.
func (e *Engine) workOf(j *job) *work {
	if j.work != 0 {
		return e.works.At(j.work)
	}
	i, w := e.works.New()
	j.work = i
	return w
}
