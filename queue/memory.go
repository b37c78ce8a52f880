package queue

import "spoked/internal/slab"

// Limits bound the memory of an engine.
type Limits struct {
	// Memory is how many bytes jobs and their bodies may use; 0 is as many as
	// the system has. What there is beyond it, because of a restart or because
	// jobs are worked on, is kept, but no job is put.
	Memory int64
	// Bodies says where bodies are. What is not AlwaysInMemory needs a journal.
	Bodies Bodies
}

// Bodies says where the bodies of jobs are.
type Bodies uint8

// The places for bodies.
const (
	// AlwaysInMemory: the journal has them too, if there is one.
	AlwaysInMemory Bodies = iota
	// InMemoryIfRoom: those that are beyond Limits.Memory are in the journal
	// alone, and those of jobs that are far from being ready.
	InMemoryIfRoom
	// InJournal: as soon as it has them, in the journal alone.
	InJournal
)

// SetLimits bounds the memory of e. Unless e is new, Limits.Bodies may only change
// between InMemoryIfRoom and InJournal: a journal whose bodies are to be read back
// has to know that from the beginning. Bodies stay where they are until they are
// trimmed, or for good. O(1).
func (e *Engine) SetLimits(l Limits) {
	e.limits = l
	e.trimIdle = 0
}

// Memory returns how many bytes jobs and their bodies use. O(1).
func (e *Engine) Memory() int64 { return int64(e.pages.Bytes() + e.bodies.Bytes()) }

// A put stores the body of its job, which is to say that it leaves it to the
// journal, when memory is nearly used up. So a queue that grows beyond it has
// its end on disk, and what comes and goes at its beginning in memory. As the
// records of jobs go on growing, trim stores bodies of jobs put before.

const (
	// nearlyFull is what part of the memory is kept for records when bodies are
	// stored: one in so many bytes.
	nearlyFull = 16
	// overdraft is by what part the memory may be exceeded for as long as trim
	// is behind.
	overdraft = 8

	// TrimPortion is how many jobs Trim looks at, at least.
	TrimPortion = 2048

	trimmedMore = 4  // and for each that was put in it
	trimmedPut  = 64 // and before a put, if that is not enough
)

// paged reports whether bodies may be in the journal alone.
func (e *Engine) paged() bool { return e.limits.Bodies != AlwaysInMemory }

// stores reports whether the body of a job that is being made is to be left to
// the journal.
func (e *Engine) stores() bool {
	switch e.limits.Bodies {
	case InJournal:
		return true
	case InMemoryIfRoom:
		l := e.limits.Memory
		return l > 0 && e.Memory() > l-l/nearlyFull
	}
	return false
}

// storesFar is stores for a job that is ready after a delay: it may be far from
// being ready, and yet not be cold.
func (e *Engine) storesFar(delay int64) bool { return e.paged() && delay >= coldAfter }

// storesRestored is stores for what a journal has kept: reading it takes memory
// too, and nobody has asked for these bodies yet.
func (e *Engine) storesRestored() bool {
	return e.stores() || e.limits.Memory > 0 && e.Memory() > e.limits.Memory/2
}

// hasRoom reports whether there is memory for another job with a body of size
// bytes.
func (e *Engine) hasRoom(size uint32) bool {
	if !e.pages.HasRoom() || e.Len() >= mostJobs {
		return false
	}
	l := e.limits.Memory
	if l == 0 || e.Memory()+int64(size) <= l {
		return true
	}
	if !e.paged() {
		e.shrink()
		return e.Memory()+int64(size) <= l
	}
	if e.Memory()+int64(size) > l+l/overdraft/2 {
		e.trim(trimmedPut)
	}
	if int64(e.pages.Bytes())+int64(size) > l || e.Memory()+int64(size) > l+l/overdraft {
		e.shrink()
	}
	return int64(e.pages.Bytes())+int64(size) <= l && e.Memory()+int64(size) <= l+l/overdraft
}

// shrink gives memory back to the system that is kept for jobs to come. They
// may be of other sizes.
func (e *Engine) shrink() {
	e.bodies.Shrink()
	e.pages.Shrink()
}

// Trim stores bodies of jobs if there is less memory than they need. It is to
// be called once a turn, and does a portion at a time.
func (e *Engine) Trim() {
	if l := e.limits.Memory; e.paged() && l > 0 && e.Memory() > l {
		e.shrink()
	}
	e.trim(TrimPortion + trimmedMore*e.putSinceTrim)
	e.putSinceTrim = 0
}

// trim looks at so many jobs at most, each in its turn.
func (e *Engine) trim(most int) {
	if !e.paged() {
		return
	}
	e.trimIdle = min(e.trimIdle, e.bodies.Total()+smallGain)
	l := e.limits.Memory
	for ; most > 0 && l > 0 && e.Memory() > l; most-- {
		if e.bodies.Total() <= e.trimIdle {
			return
		}
		if e.trimHand = e.jobs.Next(e.trimHand); e.trimHand == 0 { // all the way round
			e.trimIdle = 0
			if e.trimGain == 0 {
				e.trimIdle = e.bodies.Total() + smallGain // nothing to be stored
			}
			e.trimGain = 0
			continue
		}
		if j := e.jobs.At(e.trimHand); j.state != gone && !j.stored && !j.bare && j.body.Len > 0 && j.kept != (Place{}) {
			e.trimGain += int(j.body.Len)
			e.store(j)
		}
	}
}

// smallGain is how many bytes of bodies must have come, or gone and come, before
// trim looks for some again after it has found none.
const smallGain = 64 << 10

// store leaves the body of j to the journal, which has it.
func (e *Engine) store(j *job) {
	n := j.body.Len
	if n == 0 {
		return
	}
	e.bodies.Free(j.body)
	j.body, j.stored = slab.Elsewhere(n), true
	e.storedBytes += int64(n)
}

// freeBody gives back the body of j.
func (e *Engine) freeBody(j *job) {
	if j.stored {
		e.storedBytes -= int64(j.body.Len)
		return
	}
	e.bodies.Free(j.body)
}
