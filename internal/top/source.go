package top

import (
	"context"
	"errors"
	"time"
)

// Unknown stands for a figure that the source does not know. Every other figure
// is 0 or more.
const Unknown = -1

// ErrNoTube is of a tube that there is not, or no more. The connection is in order.
var ErrNoTube = errors.New("there is no such tube")

// A Source is a server, as the view sees it. Its methods block until the server has
// answered or ctx has ended, and may be called from several goroutines. After an error
// a source may be used on: it connects anew.
type Source interface {
	// Snapshot returns the figures of the server and of all tubes, in no order.
	Snapshot(ctx context.Context) (*Snapshot, error)
	// Tube returns what there is to see in one tube, with up to jobs of each state;
	// or ErrNoTube.
	Tube(ctx context.Context, name string, jobs int) (*Tube, error)
	// Pause has no job of a tube reserved for that long, which is whole seconds; 0
	// ends a pause.
	Pause(ctx context.Context, name string, d time.Duration) error
	// Kick makes up to n buried jobs ready, or, if there are none, delayed ones. It
	// returns how many it were.
	Kick(ctx context.Context, name string, n int) (int, error)
	// Close gives up the connection. The source is not used afterwards.
	Close() error
}

// A Snapshot is what a server says of itself at one time. Whoever has got it owns it.
type Snapshot struct {
	Server Server
	Tubes  []TubeFigures
}

// Server has the figures of a server. Those that say so count from its start.
type Server struct {
	Name     string // "spoked", "beanstalkd", or "" if that is not known
	Version  string
	Host     string
	Address  string // as it was asked for
	Uptime   time.Duration
	Draining bool

	Connections int64
	Producers   int64
	Workers     int64 // connections that have ever reserved
	Waiting     int64 // of them in a reserve now

	Ready, Delayed, Reserved, Buried int64

	// From the start. Reserves are commands of the wire protocol.
	Puts, Reserves, Timeouts int64

	CPU    time.Duration // user and system, from the start; Unknown
	Bodies int64         // bytes of the bodies of all jobs; Unknown

	JournalRecords int64 // written from the start; Unknown without a journal
	JournalBytes   int64 // of its files; Unknown
}

// jobs returns how many there are.
func (s *Server) jobs() int64 { return s.Ready + s.Delayed + s.Reserved + s.Buried }

// TubeFigures are the figures of a tube.
type TubeFigures struct {
	Name                                     string
	Urgent, Ready, Delayed, Reserved, Buried int64
	Using, Watching, Waiting                 int64 // clients
	Puts, Deletes                            int64 // from when there was this tube
	Pauses                                   int64 // likewise
	PauseLeft                                time.Duration
	Oldest                                   time.Duration // since the put of the oldest ready job; Unknown
}

// jobsOf returns how many jobs are in that state.
func (t *TubeFigures) jobsOf(state string) int64 {
	switch state {
	case stateReady:
		return t.Ready
	case stateDelayed:
		return t.Delayed
	case stateReserved:
		return t.Reserved
	}
	return t.Buried
}

// States, as servers name them.
const (
	stateReady    = "ready"
	stateDelayed  = "delayed"
	stateReserved = "reserved"
	stateBuried   = "buried"
)

// states are the states in the order in which they are shown.
func states() []string { return []string{stateReady, stateReserved, stateDelayed, stateBuried} }

// Tube is a tube from inside.
type Tube struct {
	TubeFigures
	Jobs    []Job
	Clients []Client // those that use or watch the tube, the first of them if there are many
	// Lists reports whether the source can list jobs and clients. Otherwise it knows
	// no more than the next job of each state, and no client.
	Lists bool
}

// Job is a job, as a line shows it.
type Job struct {
	ID       uint64
	State    string
	Pri      uint32
	Age      time.Duration
	Left     time.Duration // until it is ready, or the reservation ends; Unknown
	Reserves int64
	Size     int64  // bytes of the body; Unknown
	Body     []byte // or the beginning of it; nil if unknown
}

// Client is a connection, as a line shows it.
type Client struct {
	Address string // "" for one that has none
	Kind    string // "wire" or "http"
	Waits   bool   // for a job, in a reserve
	Watches bool   // the tube
	Uses    bool   // the tube
	Holds   int64  // jobs reserved, of any tube
}
