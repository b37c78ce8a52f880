package queue

import (
	"errors"
	"iter"
	"math/rand/v2"
	"time"
	"unsafe"

	"spoked/internal/slab"
	"spoked/wheel"
)

// Errors of commands. Each but ErrReserved and ErrBuried is a reply of the
// protocol.
var (
	// ErrNotFound says that there is no such job or tube, or that the job is
	// not in a state for the command or is reserved by another client.
	ErrNotFound = errors.New("queue: not found")
	// ErrNotIgnored says that a client would be left watching nothing.
	ErrNotIgnored = errors.New("queue: a client must watch a tube")
	// ErrDraining says that the engine takes no new jobs.
	ErrDraining = errors.New("queue: draining")
	// ErrReserved says that a client has reserved the job, so that it cannot be
	// changed or moved.
	ErrReserved = errors.New("queue: the job is reserved")
	// ErrBuried says that a job that is buried cannot be delayed.
	ErrBuried = errors.New("queue: the job is buried")
	// ErrOutOfMemory says that there is no memory for a job, or no room in the
	// journal.
	ErrOutOfMemory = errors.New("queue: out of memory")
)

// An Engine holds all jobs, tubes and clients. It is not safe for concurrent
// use.
type Engine struct {
	// Outside the collector's sight.
	pages  *slab.Arena // of all but bodies
	jobs   *slab.Of[job]
	works  *slab.Of[work]
	bodies slab.Bytes
	ids    idTable
	waits  *wheel.Pool[uint32] // of the tubes' delayed jobs
	far    *wheel.Pool[cold]   // of those that are far from being ready
	kinds  kindTable           // of these

	limits       Limits
	storedBytes  int64  // of bodies that are in the journal alone
	putSinceTrim int    // jobs
	trimHand     uint32 // slot of the job that trim looked at last
	trimGain     int    // bytes stored since it began with the first
	trimIdle     int    // bytes of bodies of which there are none to be stored

	nextID uint64

	defaultTube *tube
	list        []*tube          // in the order in which they are listed
	tubes       []*tube          // by number
	freeTubes   []uint32         // numbers without a tube
	byName      map[string]*tube // the names are the tubes'

	clients     []*Client // by number; 0 is nobody
	freeClients []uint32
	hidden      int                      // clients that are not counted as using and watching the default tube
	lists       map[watchHash]*watchList // of two tubes and more
	mostLists   int                      // there were of these
	arrivals    uint64                   // clients that ever began to wait

	hub   *wheel.Hub[due] // everything that happens at a time
	wakes []wake          // not yet taken by the caller

	portions portions
	tasks    []task  // left of long commands
	budget   int     // steps that commands may take before the next Advance
	kicking  kicking // scratch

	journal Journal // or nil
	record  Record  // scratch, for the journal
	burials uint64  // ever
	closing bool

	times    *timesKept // nil if none are
	observer Observer   // or nil

	draining bool
	rand     *rand.Rand
	stats    Stats // the counts that are not derived
}

// due says what happens at an instant.
type due struct {
	kind dueKind
	what uint32
}

type dueKind uint32

const (
	dueReservation dueKind = iota // what: slot of a reserved job; its last second begins, or it ends
	dueTimeout                    // what: number of a client, which waits no longer
	dueLastCall                   // the same, but put off until all else of its instant has happened
	dueDelayed                    // what: number of a tube, which may have delayed jobs to make ready
	duePause                      // what: number of a tube, the pause of which ends
)

// margin is how long before a job's deadline its owner is warned
// (DEADLINE_SOON).
const margin = int64(time.Second)

// New returns an empty engine. The instant now is that of the first command,
// or before.
func New(now int64) *Engine {
	pages := slab.NewArena(heapPage * int(unsafe.Sizeof(readyItem{})))
	e := &Engine{
		pages:   pages,
		jobs:    slab.NewOf[job](pages),
		works:   slab.NewOf[work](pages),
		ids:     newIDTable(pages),
		waits:   wheel.NewPool[uint32](pages),
		far:     wheel.NewPool[cold](pages),
		nextID:  1,
		byName:  map[string]*tube{},
		clients: make([]*Client, 1),
		lists:   map[watchHash]*watchList{},
		hub:     wheel.NewHub(wheel.NewPool[due](pages), now),
		rand:    rand.New(rand.NewPCG(uint64(now), 0)),

		portions: usualPortions(),
	}
	e.budget = e.portions.turn
	e.defaultTube = e.makeTube([]byte("default"))
	return e
}

func (e *Engine) random() uint64 { return e.rand.Uint64() }

// Drain has all puts refused from now on.
func (e *Engine) Drain() { e.draining = true }

// Undrain has puts taken again.
func (e *Engine) Undrain() { e.draining = false }

// Draining reports whether puts are refused.
func (e *Engine) Draining() bool { return e.draining }

// Tubes yields the names of all tubes in beanstalkd's order: a new one goes
// to the end, and the last one takes the place of one dropped.
func (e *Engine) Tubes() iter.Seq[string] { return names(e.list) }

// An Outcome is how a reserve ended, or a long kick or clear.
type Outcome uint8

// The outcomes of Reserve, and of a Kick or a Clear that was not done at once.
// Waiting is the only one that is followed by another, in a Wake.
const (
	Waiting      Outcome = iota // nothing yet
	Given                       // a job was reserved
	DeadlineSoon                // a job the client holds has less than a second left
	TimedOut
	Kicked  // all that were to be kicked are
	Cleared // all that were to be cleared are
)

// A Wake ends a client's waiting.
type Wake struct {
	Client  *Client
	Outcome Outcome // never Waiting
	Job     Job     // if Given; its body is borrowed, as always
	Count   uint32  // if Kicked or Cleared: how many
}

type wake struct {
	client  *Client
	outcome Outcome
	slot    uint32
	count   uint32
}

// TakeWakes calls f for each client whose waiting has ended since it was
// called last, in the order in which that happened. The caller must call it
// after each method that takes an instant and after StopWaiting, before any
// other method. f must not call the engine.
func (e *Engine) TakeWakes(f func(Wake)) {
	for _, w := range e.wakes {
		k := Wake{Client: w.client, Outcome: w.outcome, Count: w.count}
		if w.outcome == Given {
			k.Job = e.view(w.slot)
		}
		f(k)
	}
	clear(e.wakes)
	e.wakes = e.wakes[:0]
}

func (e *Engine) wake(c *Client, o Outcome, slot uint32) {
	e.stopWaiting(c)
	e.wakes = append(e.wakes, wake{client: c, outcome: o, slot: slot})
}
