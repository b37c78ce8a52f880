// Package wheel is a hub-and-spoke timing wheel: an ordered set of deadlines.
//
// A Hub holds entries, each a value and the instant at which it is due. It
// reads no clock: PopDue is told what time it is. The entries live in spokes.
// A spoke covers a span of time and holds what is due in it as a list, in
// whatever order it came. Only when a spoke comes up, because the entry due
// next must be in it, is it ordered, once, and then walked:
//
//	      now
//	       |
//	past   |front                                         far
//	[eba]  [cdf]   [ij]     [hg]        [klnm]            [o p q r]
//	-------+-----+--------+-----------+-----------------+----------------- ...
//	due    | 1ms |  4ms   |  16ms     |      125ms      |     4.3s         time
//	when   ordered  list, as it came
//	added
//
// Spokes are kept in a B-tree by the start of their span, and exist only
// where there are entries. How wide a new one is depends on how far away it
// lies, at most an eighth of the distance: a thousand jobs spread over a year
// share a few dozen spokes. A spoke that grows long, or comes up and is not
// short, is split into up to sixteen narrower ones; so ten million entries in
// one hour are no long list either, and an entry is moved at most once for
// every factor of sixteen by which its spoke is narrowed. Spans are powers of
// two and aligned to themselves, so that a span contains another or does not
// meet it.
//
// The past spoke takes the entries that are already due when they arrive.
//
// Entries that are due at the same instant come out in the order in which
// they went in. That costs no number in the entry: lists are appended to,
// splits keep their order, and the sort is stable.
//
// Entries are stored outside the collector's sight in a Pool, which any
// number of hubs share, so that a hub with few entries is small. Their values
// must not hold pointers.
package wheel
