package api

import "time"

// A Status is the state of a server.
type Status struct {
	Name       string    `json:"name"` // "spoked"
	Version    string    `json:"version"`
	Protocol   string    `json:"protocol"` // such as "beanstalkd 1.13"
	State      string    `json:"state"`    // "running", or "draining" if it takes no jobs
	Address    string    `json:"address"`  // of the wire protocol: HOST:PORT or unix:PATH
	ID         string    `json:"id"`       // of the process, random
	Hostname   string    `json:"hostname"`
	PID        int       `json:"pid"`
	Started    time.Time `json:"started"`
	Uptime     Duration  `json:"uptime"`
	CPUUser    Duration  `json:"cpu_user"` // used by the process, as the next
	CPUSystem  Duration  `json:"cpu_system"`
	MaxJobSize uint32    `json:"max_job_size"` // bytes

	Jobs      Counts `json:"jobs"`
	TotalJobs uint64 `json:"total_jobs"` // put since the server was started
	Timeouts  uint64 `json:"timeouts"`   // reservations that ran out
	BodyBytes int64  `json:"body_bytes"` // of all jobs

	Connections Connections `json:"connections"`

	// Tubes is how many there are, and TubeCounts what is in those with the
	// most ready jobs and waiting workers, a hundred at most.
	Tubes      int          `json:"tubes"`
	TubeCounts []TubeCounts `json:"tube_counts"`

	// Commands are how often each command of the wire protocol was given, if
	// it was.
	Commands map[string]uint64 `json:"commands,omitempty"`

	Journal *Journal `json:"journal,omitempty"` // nil without one
}

// Counts are numbers of jobs by state.
type Counts struct {
	Ready    int `json:"ready"`
	Urgent   int `json:"urgent"` // of the ready: with a priority below 1024
	Delayed  int `json:"delayed"`
	Reserved int `json:"reserved"`
	Buried   int `json:"buried"`
}

// Connections are numbers of clients.
type Connections struct {
	Now       int    `json:"now"`
	Producers int    `json:"producers"` // those that have put
	Workers   int    `json:"workers"`   // those that have reserved
	Waiting   int    `json:"waiting"`   // those that wait for a job
	Total     uint64 `json:"total"`     // ever
}

// TubeCounts are the two figures of a tube that say whether workers keep up.
type TubeCounts struct {
	Name    string `json:"name"`
	Ready   int    `json:"ready"`
	Waiting int    `json:"waiting"` // workers
}

// A Journal is the figures of the journal on disk.
type Journal struct {
	Segments int    `json:"segments"`
	Oldest   uint64 `json:"oldest"`  // number of a segment, as the next
	Head     uint64 `json:"head"`    // the one that is written to
	Live     int64  `json:"live"`    // bytes that the jobs alone would need
	Disk     int64  `json:"disk"`    // bytes of all files
	Written  uint64 `json:"written"` // records, as the next
	Copied   uint64 `json:"copied"`  // by cleaning
	Full     bool   `json:"full"`    // there is no room for another segment
}

// A Tube is the counts of a tube, which begin with it.
type Tube struct {
	Name      string `json:"name"`
	Jobs      Counts `json:"jobs"`
	TotalJobs uint64 `json:"total_jobs"` // put
	Deletes   uint64 `json:"deletes"`
	Using     int    `json:"using"`    // clients
	Watching  int    `json:"watching"` // clients
	Waiting   int    `json:"waiting"`  // clients that watch it and wait for a job
	Pauses    uint64 `json:"pauses"`   // times it was paused
	Pause     *Pause `json:"pause,omitempty"`

	// OldestReady is when the oldest of the ready jobs was put, and
	// OldestReadyAge how long ago. They are there if it was asked for and
	// there is one, unless looking for it would have taken too long.
	OldestReady    *time.Time `json:"oldest_ready,omitempty"`
	OldestReadyAge *Duration  `json:"oldest_ready_age,omitempty"`
}

// A Pause is one that lasts.
type Pause struct {
	For  Duration `json:"for"`
	Left Duration `json:"left"`
}

// Tubes is a part of the list of tubes, in the order of their names.
type Tubes struct {
	Tubes []Tube `json:"tubes"`
	Next  string `json:"next,omitempty"` // what to ask for tubes after; "" if there are no more
	Total int    `json:"total"`          // of those that were asked for, on all pages
}

// PauseFor asks for a pause.
type PauseFor struct {
	For Duration `json:"for"`
}

// A Kick asks for jobs to be kicked.
type Kick struct {
	Count uint32 `json:"count"`
}

// Count is how many jobs something was done to, or would be.
type Count struct {
	Count  int  `json:"count"`
	DryRun bool `json:"dry_run,omitempty"`
}

// State is what a server does with puts: "running", or "draining" if they are
// refused.
type State struct {
	State string `json:"state"`
}

// The states of a server.
const (
	Running  = "running"
	Draining = "draining"
)

// A Bulk is something to be done to all jobs that it is about.
type Bulk struct {
	Action string `json:"action"` // delete, kick, move or change

	// Which jobs: in this tube (all if it is ""), in one of these states (any
	// if there are none), with this in their bodies, with an id above After
	// and no higher than Until (0 is no bound). Reserved jobs are not touched.
	Tube     string   `json:"tube,omitempty"`
	States   []string `json:"states,omitempty"`
	Contains string   `json:"contains,omitempty"`
	After    uint64   `json:"after,omitempty"`
	Until    uint64   `json:"until,omitempty"`
	Limit    int      `json:"limit,omitempty"` // jobs; 0 is no bound

	To    *string   `json:"to,omitempty"`    // move: the tube
	Pri   *uint32   `json:"pri,omitempty"`   // change
	Delay *Duration `json:"delay,omitempty"` // change

	DryRun bool `json:"dry_run,omitempty"`
}

// A BulkResult is what came of a Bulk.
type BulkResult struct {
	Action   string `json:"action"`
	Matched  int    `json:"matched"`        // jobs it was about
	Changed  int    `json:"changed"`        // of these; those it would be in a dry run
	Skipped  int    `json:"skipped"`        // of these: reserved, or not to be changed like that
	Examined int    `json:"examined"`       // jobs looked at, about
	Complete bool   `json:"complete"`       // all have been looked at;
	Next     uint64 `json:"next,omitempty"` // if not, what to go on after
	DryRun   bool   `json:"dry_run,omitempty"`
}

// A Connection is a client of the wire protocol, or one that waits over HTTP.
type Connection struct {
	ID       uint64   `json:"id"`
	Kind     string   `json:"kind"` // "wire" or "http"
	Remote   string   `json:"remote,omitempty"`
	Using    string   `json:"using"`
	Watching []string `json:"watching"` // the first hundred
	Watched  int      `json:"watched"`  // how many it watches
	Reserved int      `json:"reserved"` // jobs
	Producer bool     `json:"producer"`
	Worker   bool     `json:"worker"`
	Waiting  bool     `json:"waiting"`
}

// ConnectionList is a part of the list of connections.
type ConnectionList struct {
	Connections []Connection `json:"connections"`
	Next        uint64       `json:"next,omitempty"` // what to ask for connections after
}

// BackupTo asks for a copy of the journal.
type BackupTo struct {
	To string `json:"to"` // an absolute path on the server's machine
}

// A Backup is what was copied.
type Backup struct {
	Segments int   `json:"segments"`
	Bytes    int64 `json:"bytes"`
}

// An Event is something that happened to a job or a tube, or, with the kind
// "dropped", that so many events (Count) are missing here.
type Event struct {
	Seq   uint64    `json:"seq,omitempty"` // its number
	Event string    `json:"event"`         // such as "job.put"
	At    time.Time `json:"at"`
	ID    uint64    `json:"id,omitempty"`
	Tube  string    `json:"tube,omitempty"`
	State string    `json:"state,omitempty"`
	Pri   uint32    `json:"pri,omitempty"`
	Delay Duration  `json:"delay,omitempty"`
	TTR   Duration  `json:"ttr,omitempty"`
	Count uint64    `json:"count,omitempty"`
}

// Dropped is the kind of an Event that tells of others that are missing.
const Dropped = "dropped"
