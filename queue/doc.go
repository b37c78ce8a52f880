// Package queue is the engine: jobs, tubes, and the clients that put and
// reserve them, with the rules of beanstalkd 1.13. It does nothing by itself.
// It has no clock, no connection and no lock: each method that needs to know
// what time it is takes the instant as an argument, in nanoseconds since the
// Unix epoch, never less than the time before; what a method brings about is
// what it returns, and for clients that waited, what TakeWakes yields. So a
// year of traffic can be driven through it in a test, and the same calls
// always give the same answers.
//
// The data model is in three files: job.go, tube.go and client.go.
//
// # The life of a job
//
//	Begin, Insert          Reserve                 Delete
//	-------------> ready --------------> reserved --------> gone
//	   |            ^  ^ ^               | |  |  ^
//	   | delay      |  | |   Release,    | |  |  | Touch:
//	   v            |  | |   TTR ends,   | |  |  | stays, TTR anew
//	delayed --------+  | |   Disconnect  | |  +--+
//	   ^  time, Kick   | +---------------+ |
//	   |               |                   |
//	   |               | Kick              | Bury
//	   |               +------- buried <---+
//	   +-- Release with a delay
//
// Any job can be reserved by its id (ReserveJob), or deleted, in every state
// except that of being reserved by another client. One that is not reserved can
// be moved to another tube (Move), or given another priority or delay (Change).
// Clear deletes all jobs of a tube that are in some states, and Import makes one
// in any state but reserved. Hand passes a reservation to another client.
//
// Jobs are records in slabs outside the collector's sight, referred to by
// slot number; see internal/slab. All deadlines are on one wheel.Hub, except
// that each tube has a hub of its own for its delayed jobs, which can be
// peeked at and kicked in order, and is itself on the engine's hub for the
// first of them.
//
// What takes long is done in portions, by the method and by Advance; see
// portion.go.
//
// No method's cost grows with the number of tubes or clients, unless it lists
// them; watch.go says how the right client and the right job find each other.
package queue
