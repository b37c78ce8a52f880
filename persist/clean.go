package persist

import (
	"encoding/binary"

	"spoked/queue"
)

// Cleaning goes from the oldest segment to the newest: what lives in a segment
// is copied to the head, and then the segment can go. In this order nothing
// else needs to be kept: that a job has ended, or changed, is recorded behind
// the job, so when the record of that is the oldest, the job's is no more.
//
// It goes on as long as the files have more than twice the bytes that live, or
// less than 5/8 of what was written to them lives, and is done in portions.
// What a turn does grows with what there is to be done, so that it neither
// falls behind nor takes long.

const (
	// mostCleaned is the most that a portion reads and copies, and
	// leastCleaned what it does if there is little to be done, in bytes.
	mostCleaned  = 1 << 20
	leastCleaned = 4 << 10

	// idCost is what it counts to find that a job has gone.
	idCost = 16
)

// portion returns how many bytes of cleaning are due now.
func (j *Journal) portion() int64 {
	s := j.closed()
	if s == nil {
		return 0
	}
	size, live := j.opts.SegmentSize, j.needed()
	held := j.held
	if s.next.at > 0 {
		held -= s.used * int64(s.next.at) / int64(len(s.ids.deltas))
	}
	if j.full && j.free() < j.kept()+size/2 && j.gains(s) {
		return 2 * s.used
	}
	n := int64(0)
	if debt := held - live*8/5 - size/2; debt > 0 {
		n = 4*int64(len(j.frame)) + debt/32
	}
	if j.closedSize > 2*live {
		n = max(n, 8*int64(len(j.frame)))
	}
	if n > 0 || j.closedSize > 2*live {
		n = min(n+leastCleaned, mostCleaned)
	}
	return n
}

// A disk without room.
//
// What room there is, in the head and the spares, is for three things. Cleaning
// needs as much as lives in the oldest segment before that can go, and the ends
// of jobs are what gives it something to gain: so that much is for these two
// alone. Changes of jobs may use more, and new jobs, what is left. When the disk
// has no room for another segment, cleaning does one segment after the other,
// each in one go, as long as it gains by it.

// free returns how many bytes there is room for, those of the frame included.
func (j *Journal) free() int64 {
	n := j.head().size - j.head().used
	for _, s := range j.spares {
		n += s.size - s.used - recordOverhead - frameHeader - terminator // a mark
	}
	return n
}

// kept returns how many bytes of room are kept for cleaning.
func (j *Journal) kept() int64 {
	size := j.opts.SegmentSize
	if !j.full {
		return min(size, j.needed()) + size/4
	}
	if s := j.closed(); s != nil {
		return j.lives(s) + size/16
	}
	return size / 16
}

// gains reports whether there is something to be gained by cleaning s, or those
// behind it.
func (j *Journal) gains(s *segment) bool {
	size := j.opts.SegmentSize
	return j.held > j.needed()+size/16 && j.held > j.gained+size/16 || j.lives(s) < s.used-s.used/32
}

// Cramped reports whether changes of jobs have to be refused soon for want of
// room, and cleaning can make some: batches should be cut and settled, and
// chores done, until that is so no more, but
// for no more batches than there are segments. Relieved must follow.
func (j *Journal) Cramped() bool {
	s := j.closed()
	return j.full && s != nil && j.free()-int64(len(j.frame)) < j.kept()+j.opts.SegmentSize/8 && j.gains(s)
}

// Relieved ends what Cramped asks for. If it went through all segments, there is
// nothing to gain until more has been written.
func (j *Journal) Relieved() {
	if j.Cramped() {
		j.gained = j.held
	}
}

// fits reports whether a record of n bytes can be recorded without more room
// than there is, and asks for more unless the disk is known to be full.
func (j *Journal) fits(n int64) bool {
	s, frame := j.head(), int64(len(j.frame))
	n += 2*(frameHeader+terminator) + recordOverhead
	if frame+n <= s.size-s.used {
		return true
	}
	if len(j.spares) > 0 && s.used+frame > segmentHeader { // it will go on there
		s, frame = j.spares[0], 0
	}
	if frame+n <= s.size-s.used {
		return true
	}
	if !j.full {
		j.full = isFull(j.extend(s, frame+n))
	}
	return !j.full
}

// lives returns how many bytes what lives in s takes at most when it is copied.
// O(jobs that were ever in s), and afterwards O(1).
func (j *Journal) lives(s *segment) int64 {
	if s.counted {
		return s.lives
	}
	s.counted, s.lives = true, 0
	base := int64(0)
	for c := s.next; ; {
		id, ok := c.id(&s.ids)
		if !ok {
			return s.lives
		}
		if r, ok := j.engine.Describe(id); ok && r.Segment == uint32(s.number) {
			if base == 0 {
				base = r.Created
			}
			s.lives += j.copySize(base, r)
		}
	}
}

// copySize is how many bytes a job takes when it is copied to a frame with that
// base.
func (j *Journal) copySize(base int64, r *queue.Record) int64 {
	const framing = 8 // of the record and the body
	j.scratch = appendJobFields(j.scratch[:0], base, r)
	n := framing + len(j.scratch) + r.Size()
	if j.opts.Checks {
		n += checkSize
	}
	return int64(n)
}

// closed returns the oldest segment that has not been evacuated, or nil if
// that is the head.
func (j *Journal) closed() *segment {
	if j.evacuated == len(j.segments)-1 {
		return nil
	}
	return j.segments[j.evacuated]
}

// CleaningDue reports whether Cut would clean. O(1).
func (j *Journal) CleaningDue() bool {
	s := j.closed()
	return s != nil && j.portion() > 0 && !j.stuck(s)
}

// stuck reports whether cleaning s would take room on a full disk, and not give
// any.
func (j *Journal) stuck(s *segment) bool {
	return j.full && (j.pins > 0 || s.next.at == 0 && j.lives(s)+int64(len(j.frame))+2*recordOverhead > j.free())
}

// clean adds a portion of cleaning to the frame, if some is due.
func (j *Journal) clean() {
	limit := j.portion()
	if limit > 0 {
		j.seal() // so that the jobs that are copied stand in a frame with times near theirs
	}
	for limit > 0 {
		s := j.closed()
		if s == nil || j.stuck(s) {
			return
		}
		at := s.next
		id, ok := s.next.id(&s.ids)
		if !ok {
			j.evacuate(s)
			if j.full {
				return // it must be gone before the next
			}
			continue
		}
		limit -= idCost
		r, ok := j.engine.Describe(id)
		if !ok || r.Segment != uint32(s.number) {
			continue
		}
		if j.evacuated > 0 && !j.full && j.free()-int64(len(j.frame)) < j.opts.SegmentSize/4 {
			s.next = at // until what is evacuated is free
			return
		}
		if !j.fits(recordOverhead+int64(len(r.Tube)+r.Size())) || !j.fetch(r) {
			s.next = at
			return
		}
		limit -= j.move(r)
	}
}

// needed returns how many bytes the jobs would need if they had just been
// copied, judged by those that were: some need more than liveSize says, and
// copying these again and again would gain nothing.
func (j *Journal) needed() int64 {
	if j.moved.bytes <= j.moved.size {
		return j.live
	}
	return int64(float64(j.live) * float64(j.moved.bytes) / float64(j.moved.size))
}

// moveMemory is how many bytes of moved jobs count.
const moveMemory = 1 << 20

// move copies a job to the head and returns how many bytes that took.
func (j *Journal) move(r *queue.Record) int64 {
	j.reserve(recordOverhead + len(r.Tube) + len(r.Body))
	before := len(j.frame)
	to := j.job(r)
	j.copied++
	j.moved.bytes += int64(len(j.frame) - before)
	j.moved.size += j.liveSize(r)
	if j.moved.size > 2*moveMemory {
		j.moved.bytes /= 2
		j.moved.size /= 2
	}
	j.engine.Moved(r.ID, to)
	return j.liveSize(r)
}

// evacuate ends the cleaning of s, of which no job is left.
func (j *Journal) evacuate(s *segment) {
	for _, tube := range s.pauses {
		if j.pausedIn[tube] != s.number {
			continue
		}
		delete(j.pausedIn, tube)
		if p, ok := j.engine.PauseOf(tube); ok {
			j.pause(p)
		}
	}
	j.evacuated++
	j.held -= s.used
	j.closedSize -= s.size
	s.ids, s.pauses = idList{}, nil
	// The mark that says so is behind the copies.
	j.seal()
	j.markDue = true
	j.reserve(recordOverhead)
	s.freeAt = j.head().end() + int64(len(j.frame))
}

// idList is a list of ids that takes a byte or two for each.
type idList struct {
	deltas []byte
	last   uint64
}

func (l *idList) add(id uint64) {
	l.deltas = binary.AppendUvarint(l.deltas, zigzag(int64(id-l.last)))
	l.last = id
}

// idCursor is a place in an idList.
type idCursor struct {
	at   int
	last uint64
}

// id returns the id at c and goes on to the next, or false at the end.
func (c *idCursor) id(l *idList) (uint64, bool) {
	if c.at >= len(l.deltas) {
		return 0, false
	}
	delta, n := binary.Uvarint(l.deltas[c.at:])
	c.at += n
	c.last += uint64(unzigzag(delta))
	return c.last, true
}

// Copy records a job of the engine, whole, in a journal that does not have it.
func (j *Journal) Copy(r *queue.Record) { j.move(r) }

// CopyPauses records all pauses of the engine in a journal that does not have
// them.
func (j *Journal) CopyPauses() {
	for p := range j.engine.Pauses() {
		j.pause(p)
	}
}
