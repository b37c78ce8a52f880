package queue

import (
	"iter"
	"math/bits"
	"time"
)

// A Histogram counts durations in buckets, four for each doubling: the bucket
// with the number k has those that are longer than 2^((k-1)/4) seconds and not
// longer than 2^(k/4). That is schema 2 of Prometheus' native histograms. The
// zero Histogram is empty, a value that can be copied, and takes 2 kB.
type Histogram struct {
	Count uint64
	Sum   float64 // ns
	Zero  uint64  // of these, not longer than ZeroThreshold

	buckets [lastBucket - firstBucket + 1]uint64
}

const (
	firstBucket = -79 // from 2^-20 s on, a microsecond
	lastBucket  = 133 // to 2^33.25 s, more than an int64 has of nanoseconds
)

// ZeroThreshold is up to how many seconds a duration counts as none, 2^-20.
const ZeroThreshold = 1.0 / (1 << 20)

// bounds are the four upper bounds from a second on, in units of 2^-33 ns, and
// rounded down: 1e9 * 2^(33 + k/4).
var bounds = [4]uint64{8589934592000000000, 10215211334214395865, 12148001999904198769, 14446490411353358019}

// bound returns how many ns are not longer than 2^(k/4) s.
func bound(k int) uint64 { return bounds[k&3] >> (33 - k>>2) }

// Add counts d; less than 0 counts as 0. O(1).
func (h *Histogram) Add(d time.Duration) { h.AddMany(d, 1) }

// AddMany is n times Add. O(1).
func (h *Histogram) AddMany(d time.Duration, n uint64) {
	h.Count += n
	if d <= 0 {
		h.Zero += n
		return
	}
	h.Sum += float64(d) * float64(n)
	v := uint64(d)
	if v <= bounds[0]>>(33+20) {
		h.Zero += n
		return
	}
	// From its length follows the second, or power of two of these, that it is
	// beyond: 1e9 has 30 bits, so it is one of two.
	k := 4 * (bits.Len64(v) - 30)
	if v <= bound(k) {
		k -= 4
	}
	for k++; v > bound(k); k++ { // three times at most
	}
	h.buckets[k-firstBucket] += n
}

// Buckets yields the number of each bucket that is not empty, and its count, in
// ascending order.
func (h *Histogram) Buckets() iter.Seq2[int, uint64] {
	return func(yield func(int, uint64) bool) {
		for i, n := range h.buckets {
			if n > 0 && !yield(i+firstBucket, n) {
				return
			}
		}
	}
}

// Merge adds what o has counted.
func (h *Histogram) Merge(o *Histogram) {
	h.Count += o.Count
	h.Sum += o.Sum
	h.Zero += o.Zero
	for i, n := range o.buckets {
		h.buckets[i] += n
	}
}

// Times are how long the jobs of a tube have taken.
type Times struct {
	Wait Histogram // from when a job was ready for the first time until its first reserve
	Run  Histogram // from the last reserve until its owner deleted it
}

// timesKept says of how many tubes times are kept one by one.
type timesKept struct {
	most int // so many are
	left int // for so many more; less than 0 if there are too many
	rest Times
}

// KeepTimes has times kept from now on, of as many tubes as it says one by one,
// the first in which a job is reserved, and of the others in one sum. The times of
// a tube are gone with it. If times are kept already, they go on, and tubes that have
// their own keep them, even if there are to be fewer. O(1).
func (e *Engine) KeepTimes(tubes int) {
	if t := e.times; t != nil {
		t.left += tubes - t.most
		t.most = tubes
		return
	}
	e.times = &timesKept{most: tubes, left: tubes}
}

// TimesOf returns the times of the named tube, and false if they are not kept, or
// not by themselves. They go on changing with the engine.
func (e *Engine) TimesOf(tube string) (*Times, bool) {
	t := e.byName[tube]
	if t == nil || t.times == nil {
		return nil, false
	}
	return t.times, true
}

// RestTimes returns the times of all the tubes that TimesOf does not have, in
// one; nil if none are kept.
func (e *Engine) RestTimes() *Times {
	if e.times == nil {
		return nil
	}
	return &e.times.rest
}

// timesFor returns where the times of t are kept. There must be times kept.
func (e *Engine) timesFor(t *tube) *Times {
	if t.times == nil && e.times.left > 0 {
		e.times.left--
		t.times = new(Times)
	}
	if t.times == nil {
		return &e.times.rest
	}
	return t.times
}

// forgetTimesOf lets go of the times of a tube that goes.
func (e *Engine) forgetTimesOf(t *tube) {
	if t.times != nil {
		e.times.left++
		t.times = nil
	}
}
