// Package history keeps what the figures of a queue have been: a point a second
// for ten minutes and one for ten seconds for a day, of all tubes together and of
// the busiest one by one, and of every other a short line. It is for charts, lives
// in memory alone, and begins when the process does.
//
// It takes a sample a second, in portions of a few microseconds for which it holds
// up the server. What it keeps has a bound that does not depend on how long it
// runs, nor on how many jobs there are: see Budget.
package history
