package queue

import "time"

// An Observer is told of what happens to jobs and tubes, while it happens: it
// must be quick, and must not call the engine.
type Observer interface{ Observe(Event) }

// SetObserver has o told of what happens from now on; nil, the default, is
// nobody, and costs nothing but a comparison.
func (e *Engine) SetObserver(o Observer) { e.observer = o }

// An Event is something that has happened to a job or a tube.
type Event struct {
	Kind EventKind
	At   int64 // instant
	Tube string

	// Of a job: how it is afterwards. If it has been deleted, how it was.
	ID    uint64
	State State
	Pri   uint32
	Delay time.Duration // as the last put or release said; of TubePaused, the pause
	TTR   time.Duration
}

// EventKind says what has happened.
type EventKind uint8

// The kinds of event.
const (
	JobPut      EventKind = iota // or imported
	JobReserved                  // by a client
	JobReleased                  // by its owner
	JobBuried                    // by its owner
	JobKicked                    // it was buried or delayed, and is ready
	JobReady                     // its delay is over
	JobTimedOut                  // its owner's time was
	JobReturned                  // its owner has left
	JobDeleted                   // by a command
	JobMoved                     // to the tube that the event is of
	JobChanged                   // its priority, or its delay
	JobTouched                   // by its owner
	TubeMade                     // it is used, watched, or given a job for the first time
	TubeGone                     // nothing keeps it any more
	TubePaused                   // for as long as Delay says
	TubeResumed                  // the pause is over, or was ended
	// NumEvents is how many there are.
	NumEvents
)

// String returns the kind's name, such as "job.put".
func (k EventKind) String() string {
	return [...]string{
		JobPut: "job.put", JobReserved: "job.reserved", JobReleased: "job.released", JobBuried: "job.buried",
		JobKicked: "job.kicked", JobReady: "job.ready", JobTimedOut: "job.timed-out", JobReturned: "job.returned",
		JobDeleted: "job.deleted", JobMoved: "job.moved", JobChanged: "job.changed", JobTouched: "job.touched",
		TubeMade: "tube.made", TubeGone: "tube.gone", TubePaused: "tube.paused", TubeResumed: "tube.resumed",
	}[k]
}

// tell tells the observer, whom there is, of j, which is in state s afterwards.
func (e *Engine) tell(kind EventKind, now int64, j *job, s State) {
	e.observer.Observe(Event{
		Kind: kind, At: now, Tube: e.tubes[j.tube].name,
		ID: j.id, State: s, Pri: j.pri, Delay: time.Duration(j.getDelay()), TTR: time.Duration(j.getTTR()),
	})
}

// tellTube tells the observer, whom there is, of t.
func (e *Engine) tellTube(kind EventKind, now int64, t *tube, delay time.Duration) {
	e.observer.Observe(Event{Kind: kind, At: now, Tube: t.name, Delay: delay})
}

// stateAfter returns the state of a job that is ready after a delay.
func stateAfter(delay int64) State {
	if delay > 0 {
		return Delayed
	}
	return Ready
}
