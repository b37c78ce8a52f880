// Package session joins the wire to the engine: a Session is one client's
// conversation. Bytes that have arrived go into Feed, the replies come out of
// TakeOutput, and everything between is a value: no socket, no clock, no
// lock. The event loop, the goroutine-per-connection transport and the tests
// in virtual time all drive the same code.
//
// The verbs are in one table, in dispatch.go.
package session
