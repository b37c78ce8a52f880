// Package top is a live view of a server on a terminal: what it does, and a
// table of its tubes, one of which can be looked into.
//
// What there is to see comes from a [Source]: the JSON API of a spoked, or the wire
// protocol of any server that speaks beanstalkd's. A source is asked once an
// interval, never by the code that draws, so that a server that is slow or gone
// makes figures old and not keys dead. A keeper compares each answer with the last,
// which gives rates, and makes of it a frame that nobody changes any more. The model
// shows frames and takes keys; it reads no clock and touches no network, so that any
// screen can be made in a test.
//
// What a server does not say is [Unknown] and shown as a dash, never as a zero.
package top
