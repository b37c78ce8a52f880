package queue

import (
	"math"
	"time"
)

// unit is what a duration in a job's record is counted in. There are 32 bits
// for the number; what does not fit in whole units is rounded up, by less than
// a millionth: see Round.
type unit uint8

var units = [...]int64{1, int64(time.Microsecond), int64(time.Millisecond), int64(time.Second)}

// seconds is the unit of all durations that come over the wire.
const seconds = unit(3)

// pack returns d, which is not negative, as a number of units: the shortest
// ones that will do, but seconds if it is a whole number of these.
func pack(d int64) (n uint32, u unit) {
	if s := d / units[seconds]; s*units[seconds] == d && s <= math.MaxUint32 {
		return uint32(s), seconds
	}
	for u < seconds && d > units[u]*math.MaxUint32 {
		u++
	}
	return uint32(min((d+units[u]-1)/units[u], math.MaxUint32)), u
}

// unpack is the reverse of pack.
func unpack(n uint32, u unit) int64 { return int64(n) * units[u] }

// Round returns the duration as which the engine takes d, which is not negative:
// all that is in whole seconds, or is shorter than four seconds, as it is, and
// the rest to a microsecond, from 71 minutes on a millisecond, and from 49 days
// on a second.
func Round(d time.Duration) time.Duration { return time.Duration(unpack(pack(int64(d)))) }

func (j *job) setDelay(d int64) { j.delay, j.delayUnit = pack(d) }

func (j *job) setTTR(d int64) { j.ttr, j.ttrUnit = pack(d) }

func (j *job) getDelay() int64 { return unpack(j.delay, j.delayUnit) }

func (j *job) getTTR() int64 { return unpack(j.ttr, j.ttrUnit) }
