// Package server carries sessions over connections: it accepts, reads,
// executes and writes, and lets time pass in the engine.
//
// There are two transports. On Linux, one or more event loops, each a thread
// with an epoll instance of its own; see loop_linux.go for the turn that such
// a loop repeats. Everywhere, a goroutine for each connection, which is slower
// but needs nothing of the system; see goroutine.go. Both drive the same
// sessions, one at a time: a single mutex guards the engine and all sessions.
// An event loop takes it once a turn, whatever the number of commands.
package server
