package persist

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"time"

	"spoked/queue"
)

// The kinds of record. A reader may skip a kind that it does not know from
// kindOptional on; others below it are an error.
const (
	kindJob      = 1 // a job, whole
	kindChange   = 2 // what can change of a job
	kindEnd      = 3 // a job is no more
	kindPause    = 4 // a tube is paused, or is no more
	kindMark     = 5 // about the journal itself
	kindMove     = 6 // a job is in another tube; and what can change of it
	kindOptional = 64
)

// The tags of fields. A reader skips one that it does not know.
const (
	tagID       = 1
	tagTube     = 2
	tagState    = 3
	tagPri      = 4
	tagCreated  = 5
	tagDelay    = 6
	tagTTR      = 7
	tagAt       = 8
	tagBurial   = 9
	tagReserves = 10
	tagTimeouts = 11
	tagReleases = 12
	tagBuries   = 13
	tagKicks    = 14
	tagBody     = 15

	// Of marks; tagID is the next id and tagBurial the last burial there.
	tagFirst    = 16 // number of the oldest segment that counts
	tagPosition = 17 // of the segment's first byte in the log
	tagPrevious = 18 // where the segment before ends
	tagStopped  = 19 // 1: the log ends here on purpose

	tagCheck = 20 // of a job: checksum of id and body
)

// A field is key, value: the key is the tag and, in its lowest bit, what the
// value is.
const (
	typeNumber = 0 // a varint
	typeBytes  = 1 // a varint, the length, and so many bytes
)

const (
	defaultTube = "default"

	// recordOverhead is more than a record needs besides tube and body.
	recordOverhead = 160

	// liveOverhead is what a job that was just copied needs besides them, if
	// nothing has been done to it.
	liveOverhead = 20

	checkSize = 6 // bytes of a tagCheck, most of the time
)

// State numbers on disk.
const (
	stateReady   = 0
	stateDelayed = 1
	stateBuried  = 2
)

// mark is a record about the journal itself.
type mark struct {
	nextID, burials uint64
	first           uint64
	position        int64
	previous        int64
	stopped         bool
}

func appendNumber(b []byte, tag int, v uint64) []byte {
	return binary.AppendUvarint(append(b, byte(tag<<1|typeNumber)), v)
}

// appendUnless0 is appendNumber for a value that is 0 if it is absent.
func appendUnless0(b []byte, tag int, v uint64) []byte {
	if v == 0 {
		return b
	}
	return appendNumber(b, tag, v)
}

func appendBytes[T string | []byte](b []byte, tag int, v T) []byte {
	b = binary.AppendUvarint(append(b, byte(tag<<1|typeBytes)), uint64(len(v)))
	return append(b, v...)
}

// zigzag makes small numbers of those near 0.
func zigzag(v int64) uint64   { return uint64(v)<<1 ^ uint64(v>>63) }
func unzigzag(v uint64) int64 { return int64(v>>1) ^ -int64(v&1) }

// Durations are in seconds, times two, or else in nanoseconds, times two plus
// one.
func fromDuration(d int64) uint64 {
	if d%int64(time.Second) == 0 {
		return uint64(d/int64(time.Second)) << 1
	}
	return uint64(d)<<1 | 1
}

func toDuration(v uint64) int64 {
	if v&1 == 0 {
		return int64(v>>1) * int64(time.Second)
	}
	return int64(v >> 1)
}

// closeRecord enters the length of a record whose fields begin at begin, with
// one byte before it for the length. Most are short; for one that is not, the
// fields move.
func closeRecord(b []byte, begin int) []byte {
	n := len(b) - begin
	if n < 0x80 {
		b[begin-1] = byte(n)
		return b
	}
	var length [binary.MaxVarintLen64]byte
	k := binary.PutUvarint(length[:], uint64(n))
	b = append(b, length[:k-1]...)
	copy(b[begin+k-1:], b[begin:begin+n])
	copy(b[begin-1:], length[:k])
	return b
}

// bodyCheck returns the checksum of a job's body, which tells it from others.
func bodyCheck(id uint64, body []byte) uint32 {
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], id)
	return crc32.Update(crc32.Checksum(b[:], castagnoli), castagnoli, body)
}

// appendJob appends r as a whole in a frame with the base instant base, if
// check with a checksum of its own.
func appendJob(b []byte, base int64, r *queue.Record, check bool) []byte {
	// The body is the last field, so that it need not move.
	size := len(r.Body)
	if size < 0x40 { // the record's length is one byte, or closeRecord sees to it
		b = append(b, kindJob, 0)
		begin := len(b)
		b = appendCheck(appendJobFields(b, base, r), r, check)
		return closeRecord(appendBytes(b, tagBody, r.Body), begin)
	}
	b = append(b, kindJob)
	at := len(b)
	b = appendCheck(appendJobFields(append(b, 0, 0, 0, 0, 0, 0), base, r), r, check)
	begin := at + 6
	b = binary.AppendUvarint(append(b, tagBody<<1|typeBytes), uint64(size))
	n := len(b) - begin + size
	var length [binary.MaxVarintLen64]byte
	k := binary.PutUvarint(length[:], uint64(n))
	copy(b[at:], length[:k])
	copy(b[at+k:], b[begin:])
	b = b[:len(b)-(6-k)]
	return append(b, r.Body...)
}

func appendCheck(b []byte, r *queue.Record, check bool) []byte {
	if !check {
		return b
	}
	return appendNumber(b, tagCheck, uint64(bodyCheck(r.ID, r.Body)))
}

func appendJobFields(b []byte, base int64, r *queue.Record) []byte {
	b = appendNumber(b, tagID, r.ID)
	if r.Tube != defaultTube {
		b = appendBytes(b, tagTube, r.Tube)
	}
	b = appendUnless0(b, tagCreated, zigzag(base-r.Created))
	b = appendNumber(b, tagTTR, fromDuration(r.TTR))
	return appendChangeFields(b, base, r.Created, r)
}

// appendChangeFields appends what can change. A delay counts from the instant
// from, unless something else is said.
func appendChangeFields(b []byte, base, from int64, r *queue.Record) []byte {
	b = appendUnless0(b, tagPri, uint64(r.Pri))
	b = appendUnless0(b, tagDelay, fromDuration(r.Delay))
	switch r.State {
	case queue.Delayed:
		b = appendNumber(b, tagState, stateDelayed)
		if r.At != from+r.Delay {
			b = appendNumber(b, tagAt, zigzag(r.At-base))
		}
	case queue.Buried:
		b = appendNumber(b, tagState, stateBuried)
		b = appendNumber(b, tagBurial, r.Burial)
	}
	if r.Reserves|r.Timeouts|r.Releases|r.Buries|r.Kicks == 0 {
		return b
	}
	b = appendUnless0(b, tagReserves, uint64(r.Reserves))
	b = appendUnless0(b, tagTimeouts, uint64(r.Timeouts))
	b = appendUnless0(b, tagReleases, uint64(r.Releases))
	b = appendUnless0(b, tagBuries, uint64(r.Buries))
	return appendUnless0(b, tagKicks, uint64(r.Kicks))
}

// appendChange appends what can change of r.
func appendChange(b []byte, base int64, r *queue.Record) []byte {
	b = append(b, kindChange, 0)
	begin := len(b)
	b = appendChangeFields(appendNumber(b, tagID, r.ID), base, base, r)
	return closeRecord(b, begin)
}

// appendMove appends that r is in its tube, and what can change of it.
func appendMove(b []byte, base int64, r *queue.Record) []byte {
	b = append(b, kindMove, 0)
	begin := len(b)
	b = appendNumber(b, tagID, r.ID)
	if r.Tube != defaultTube {
		b = appendBytes(b, tagTube, r.Tube)
	}
	return closeRecord(appendChangeFields(b, base, base, r), begin)
}

// appendEnd appends that there is no job id any more.
func appendEnd(b []byte, id uint64) []byte {
	b = append(b, kindEnd, 0)
	begin := len(b)
	return closeRecord(appendNumber(b, tagID, id), begin)
}

// appendPause appends a pause, or with a length of 0 the end of one.
func appendPause(b []byte, base int64, p queue.Pause) []byte {
	b = append(b, kindPause, 0)
	begin := len(b)
	b = appendBytes(b, tagTube, p.Tube)
	if p.Length > 0 {
		b = appendNumber(b, tagDelay, fromDuration(p.Length))
		b = appendNumber(b, tagAt, zigzag(p.Until-base))
	}
	return closeRecord(b, begin)
}

func appendMark(b []byte, m mark) []byte {
	b = append(b, kindMark, 0)
	begin := len(b)
	b = appendNumber(b, tagID, m.nextID)
	b = appendUnless0(b, tagBurial, m.burials)
	b = appendUnless0(b, tagFirst, m.first)
	b = appendUnless0(b, tagPosition, uint64(m.position))
	b = appendUnless0(b, tagPrevious, uint64(m.previous))
	if m.stopped {
		b = appendNumber(b, tagStopped, 1)
	}
	return closeRecord(b, begin)
}

// errMalformed is the error of a record that does not follow the format though
// its frame's checksum is right.
var errMalformed = errors.New("malformed record")

// entry is a record that has been read.
type entry struct {
	kind   byte
	job    queue.Record // kindJob; of kindChange and kindMove all but created, TTR and body, and of the former the tube; of kindEnd the id
	pause  queue.Pause
	mark   mark
	tube   []byte // borrowed from what was read
	size   int    // of the record in bytes
	offset int64  // in the file, once that is known
	check  uint64 // of a job, if hasCheck

	hasCheck bool
}

// readRecord reads the record that b begins with into e, whose bytes it
// borrows, and returns what is behind it. The tube's name goes to e.tube.
func readRecord(b []byte, base int64, e *entry) (rest []byte, err error) {
	if len(b) < 2 {
		return nil, errMalformed
	}
	kind := b[0]
	n, k := binary.Uvarint(b[1:])
	if k <= 0 || n > uint64(len(b)-1-k) {
		return nil, errMalformed
	}
	fields, rest := b[1+k:1+k+int(n)], b[1+k+int(n):]
	*e = entry{kind: kind, size: len(b) - len(rest)}
	switch kind {
	case kindJob, kindChange, kindEnd, kindPause, kindMove:
		return rest, e.readFields(fields, base)
	case kindMark:
		return rest, e.readMark(fields)
	}
	if kind < kindOptional {
		return nil, fmt.Errorf("record of kind %d, which this version does not know", kind)
	}
	return rest, nil
}

// readField reads the field that b begins with.
func readField(b []byte) (tag int, number uint64, bytes, rest []byte, err error) {
	key := b[0]
	// A number is a byte or two, most of the time.
	var k int
	if len(b) > 1 && b[1] < 0x80 {
		number, k = uint64(b[1]), 1
	} else if number, k = binary.Uvarint(b[1:]); k <= 0 {
		return 0, 0, nil, nil, errMalformed
	}
	rest = b[1+k:]
	if key&1 == typeBytes {
		if number > uint64(len(rest)) {
			return 0, 0, nil, nil, errMalformed
		}
		bytes, rest = rest[:number], rest[number:]
	}
	return int(key >> 1), number, bytes, rest, nil
}

// readFields reads the fields of a record about a job or a tube.
func (e *entry) readFields(b []byte, base int64) error {
	r := &e.job
	state, at, hasAt := uint64(stateReady), int64(0), false
	r.Created = base
	for len(b) > 0 {
		tag, number, bytes, rest, err := readField(b)
		if err != nil {
			return err
		}
		b = rest
		switch tag {
		case tagID:
			r.ID = number
		case tagTube:
			e.tube = bytes
		case tagState:
			state = number
		case tagPri:
			r.Pri = uint32(number)
		case tagCreated:
			r.Created = base - unzigzag(number)
		case tagDelay:
			r.Delay = toDuration(number)
		case tagTTR:
			r.TTR = toDuration(number)
		case tagAt:
			at, hasAt = base+unzigzag(number), true
		case tagBurial:
			r.Burial = number
		case tagReserves:
			r.Reserves = uint32(number)
		case tagTimeouts:
			r.Timeouts = uint32(number)
		case tagReleases:
			r.Releases = uint32(number)
		case tagBuries:
			r.Buries = uint32(number)
		case tagKicks:
			r.Kicks = uint32(number)
		case tagBody:
			r.Body = bytes
		case tagCheck:
			e.check, e.hasCheck = number, true
		}
	}
	if e.kind == kindPause {
		e.pause = queue.Pause{Until: at, Length: r.Delay}
		return nil
	}
	if r.ID == 0 {
		return errMalformed
	}
	switch state {
	case stateReady:
		r.State = queue.Ready
	case stateDelayed:
		r.State, r.At = queue.Delayed, at
		if !hasAt {
			r.At = r.Created + r.Delay // of a change, base + r.Delay
		}
	case stateBuried:
		r.State = queue.Buried
	default:
		return fmt.Errorf("job %d in state %d, which this version does not know", r.ID, state)
	}
	return nil
}

func (e *entry) readMark(b []byte) error {
	m := &e.mark
	for len(b) > 0 {
		tag, number, _, rest, err := readField(b)
		if err != nil {
			return err
		}
		b = rest
		switch tag {
		case tagID:
			m.nextID = number
		case tagBurial:
			m.burials = number
		case tagFirst:
			m.first = number
		case tagPosition:
			m.position = int64(number)
		case tagPrevious:
			m.previous = int64(number)
		case tagStopped:
			m.stopped = number != 0
		}
	}
	return nil
}
