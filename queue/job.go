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

	gone = NumStates // the record is nobody's
)

// String returns the state's word in the protocol.
func (s State) String() string {
	return [...]string{Ready: "ready", Delayed: "delayed", Reserved: "reserved", Buried: "buried"}[s]
}

// StateSet is a set of states. The zero StateSet is empty.
type StateSet uint8

// AllStates has every state in it.
const AllStates = StateSet(1<<NumStates - 1)

// States returns the set of those.
func States(s ...State) (set StateSet) {
	for _, s := range s {
		set |= 1 << s
	}
	return set
}

// Has reports whether s is in the set.
func (set StateSet) Has(s State) bool { return set>>s&1 != 0 }

// UrgentBelow is the priority below which a ready job counts as urgent.
const UrgentBelow = 1024

// job is the record of a job: one cache line, without a pointer, in a slab.
// Other records refer to it by its slot there.
type job struct {
	id      uint64
	created int64    // instant of the put
	body    slab.Ref // without the trailing CR LF; if stored, its length alone
	pri     uint32
	tube    uint32 // its number
	work    uint32 // slot of its work record; 0 if it was never reserved or kicked
	place   uint32 // ready: index in the heap; delayed: wheel.Timer
	kept    Place
	delay   uint32 // as the last put or release said, in delayUnit
	ttr     uint32 // in ttrUnit
	state   State

	delayUnit, ttrUnit unit
	stored             bool // the body is in the journal alone
	bare               bool // it must not be: the record there has no checksum
}

// A Place is where a journal has the newest whole record of a job. The zero
// Place is nowhere.
type Place struct {
	Segment uint32
	Offset  uint32 // bytes
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

	stale bool   // the journal does not know the counts
	since uint64 // if buried: the number of its burial, counted over all; while reserved: the instant of that
}

// A Job is what a client is given of a job. Body is borrowed: it is valid
// until the next call of a method of the engine.
type Job struct {
	ID     uint64
	Body   []byte
	Stored uint32 // if not 0: the body has so many bytes, and is in the journal alone,
	Place  Place  // there
}

func (e *Engine) view(slot uint32) Job { return e.viewOf(e.jobs.At(slot)) }

func (e *Engine) viewOf(j *job) Job {
	if j.stored {
		return Job{ID: j.id, Stored: j.body.Len, Place: j.kept}
	}
	return Job{ID: j.id, Body: e.bodies.At(j.body)}
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
