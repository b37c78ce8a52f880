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
	debt := held - live*8/5 - size/2
	if j.full && held > live+live/8+size/4 {
		debt = max(debt, size)
	}
	n := int64(0)
	if debt > 0 {
		n = 4*int64(len(j.frame)) + debt/4
	}
	if j.closedSize > 2*live {
		n = max(n, 8*int64(len(j.frame)))
	}
	if n > 0 || j.closedSize > 2*live {
		n = min(n+leastCleaned, mostCleaned)
	}
	if j.cramped() {
		n = max(n, s.used+s.used/2)
	}
	return n
}

// cramped reports whether the disk is full and the batch has touched the room
// beyond what cleaning needs. Then a segment is cleaned in one go, while there
// is room for what lives in it.
func (j *Journal) cramped() bool {
	return j.full && j.Dirty() && j.free() < 2*j.opts.SegmentSize
}

// free returns how many bytes there is room for, those of the frame included.
func (j *Journal) free() int64 {
	return j.head().size - j.head().used + int64(len(j.spares))*j.opts.SegmentSize
}

// lives returns how many bytes what lives in s takes at most when it is copied.
func (j *Journal) lives(s *segment) (n int64) {
	for c := s.next; ; {
		id, ok := c.id(&s.ids)
		if !ok {
			return n
		}
		if r, ok := j.engine.Describe(id); ok && r.Segment == uint32(s.number) {
			n += liveSize(r) + 24
		}
	}
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
func (j *Journal) CleaningDue() bool { return j.portion() > 0 }

// clean adds a portion of cleaning to the frame, if some is due.
func (j *Journal) clean() {
	cramped := j.cramped()
	if s := j.closed(); cramped && s != nil && j.lives(s)+int64(len(j.frame))+4*recordOverhead > j.free() {
		return // what was copied would only take room
	}
	for limit := j.portion(); limit > 0; {
		s := j.closed()
		if s == nil {
			return
		}
		id, ok := s.next.id(&s.ids)
		if !ok {
			j.evacuate(s)
			if cramped {
				return // it must be gone before the next
			}
			continue
		}
		limit -= idCost
		r, ok := j.engine.Describe(id)
		if !ok || r.Segment != uint32(s.number) {
			continue
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
	j.moved.size += liveSize(r)
	if j.moved.size > 2*moveMemory {
		j.moved.bytes /= 2
		j.moved.size /= 2
	}
	j.engine.Moved(r.ID, uint32(to.number))
	return liveSize(r)
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
