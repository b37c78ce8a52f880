// Package bench measures a server that speaks beanstalkd's protocol, from
// outside, as its clients would: it knows nothing of the server but its address.
//
// [Bench] plays scenarios and hands out a [Result] of each. One thread plays all
// clients of a run: each is a small state machine ([client]) that sends a batch of
// commands, takes note of the replies, and goes on to its next step. The bytes
// are moved by a transport; on Linux that is an epoll loop with raw system calls
// that allocates nothing for a command, because a client that costs more than the
// server measures itself.
//
// A latency counts from the instant at which a command should have been sent. At
// a given rate that is its place in the schedule, and not when its connection
// happened to be free for it: so what waits behind a server that stalls is
// measured too.
package bench
