package persist

import "errors"

// A Chore is work on files that nobody waits for. Run may be called by any
// thread, while the journal is used; Done must follow.
type Chore struct {
	What string // for a log
	run  func() error
	done func(err error)
}

// Run does the work.
func (c *Chore) Run() error { return c.run() }

// Chore returns the next work to be done, or nil if there is none. O(1).
func (j *Journal) Chore() *Chore {
	if j.busy {
		return nil
	}
	c := j.nextChore()
	j.busy = c != nil
	return c
}

func (j *Journal) nextChore() *Chore {
	if j.window.wanted {
		return j.readWindow()
	}
	if j.pins == 0 && len(j.freed) > 0 {
		s := j.freed[0]
		if s.size == j.opts.SegmentSize && j.free() < j.wanted() {
			return j.recycle(s)
		}
		return j.remove(s)
	}
	if s := j.superfluous(); s != nil {
		return j.remove(s)
	}
	if !j.giveUp && j.spareDue() {
		return j.prepare()
	}
	if s := j.openSegment(); s != nil && s.end() <= j.synced {
		return j.close(s)
	}
	return nil
}

// openSegment returns the oldest segment, apart from the head, whose file is
// open, or nil if there is none.
func (j *Journal) openSegment() *segment {
	j.opened = max(j.opened, j.segments[0].number)
	for ; j.opened < j.head().number; j.opened++ {
		if s := j.segments[j.opened-j.segments[0].number]; s.file != nil {
			return s
		}
	}
	return nil
}

// Retry has another segment be tried to be made after that has failed. GivenUp
// reports whether it has.
func (j *Journal) Retry() {
	j.giveUp, j.retry = false, true
	j.full = j.full && j.free() < j.wanted()
}

// GivenUp reports whether nothing more is done about the next segment until
// Retry.
func (j *Journal) GivenUp() bool { return j.giveUp }

// Done takes note of how a chore has ended. That the disk has no room, or the
// process no file descriptor, is no error; after any other the journal must not
// be used any more.
func (j *Journal) Done(c *Chore, err error) error {
	j.busy, j.making = false, false
	c.done(err)
	if isFull(err) || IsShort(err) {
		return nil
	}
	return err
}

// Full reports whether the disk had no room for another segment.
func (j *Journal) Full() bool { return j.full }

// wanted returns how many bytes there should be room for: what cleaning may
// need, and half a segment for what is recorded until the next one is made.
func (j *Journal) wanted() int64 {
	size := j.opts.SegmentSize
	return min(size, j.needed()) + size*3/4
}

// spareDue reports whether a segment is to be made. While the files have twice
// the bytes that live and two segments, it waits until the head is nearly full:
// a segment that is freed may do.
func (j *Journal) spareDue() bool {
	size, h := j.opts.SegmentSize, j.head()
	if j.free() >= j.wanted() {
		return false
	}
	return j.disk()+size <= 2*(j.needed()+size) || len(j.spares) == 0 && h.size-h.used < size/8
}

// superfluous takes a spare out that is not needed any more, if the files have
// more than twice the bytes that live and two segments.
func (j *Journal) superfluous() *segment {
	n := len(j.spares) - 1
	if j.pins > 0 || n < 1 || j.disk() <= 2*(j.needed()+j.opts.SegmentSize) {
		return nil
	}
	s := j.spares[n]
	j.spares = j.spares[:n]
	j.freed = append([]*segment{s}, j.freed...) // where remove takes it from
	return s
}

// Waiting reports whether a segment that nothing is left in is needed, as soon
// as a sync makes it free.
func (j *Journal) Waiting() bool { return j.evacuated > 0 && len(j.spares) == 0 }

// Over reports whether the files are larger than they should be for jobs that need so
// many bytes, or as many as those that there are, and that is because segments that
// nothing is left in have to wait for a sync.
func (j *Journal) Over(needed int64) bool {
	return j.evacuated > 0 && j.disk() > 2*(max(needed, j.needed())+j.opts.SegmentSize)
}

// Needed returns how many bytes the jobs that there are would take in new files. O(1).
func (j *Journal) Needed() int64 { return j.needed() }

// newSegment returns the segment that will follow all there are.
func (j *Journal) newSegment() *segment {
	return &segment{
		number: j.head().number + uint64(len(j.spares)) + 1,
		size:   j.opts.SegmentSize, used: segmentHeader,
	}
}

// header returns how s begins, with a salt of its own, so that nothing that
// the file had in it before is taken for a frame.
func (j *Journal) header(s *segment) []byte {
	salt := j.random.Uint64()
	s.sealer = newSealer(salt)
	return append(appendSegmentHeader(nil, s.number, salt), make([]byte, terminator)...)
}

// prepare makes a segment of zeros, which are written: a later write to them
// is durable sooner than one to room that has only been set aside.
func (j *Journal) prepare() *Chore {
	s := j.newSegment()
	j.making = true
	header := j.header(s)
	return &Chore{
		What: "make " + SegmentName(s.number),
		run: func() (err error) {
			s.file, err = j.create(header, s)
			return err
		},
		done: func(err error) { j.admit(s, err) },
	}
}

func (j *Journal) admit(s *segment, err error) {
	if err != nil {
		j.full = j.full || isFull(err)
		j.giveUp = true
		return
	}
	j.full = false
	j.spares = append(j.spares, s)
}

// create makes the file of a segment. It gets its name when it is complete.
func (j *Journal) create(header []byte, s *segment) (f File, err error) {
	temporary := j.path(unfinished)
	if err := j.discard(temporary); err != nil {
		return nil, err
	}
	if f, err = j.fs.Create(temporary); err != nil {
		return nil, err
	}
	if err = j.fill(f, header, s.size); err == nil {
		err = j.name(f, temporary, s)
	}
	if err != nil {
		f.Close()
		return nil, errors.Join(err, j.discard(temporary))
	}
	return f, nil
}

// discard removes a file that may not be there.
func (j *Journal) discard(name string) error {
	if err := j.fs.Remove(name); err != nil && !isMissing(err) {
		return err
	}
	return nil
}

func (j *Journal) fill(f File, header []byte, size int64) error {
	if err := f.Allocate(size); err != nil {
		return err
	}
	zeros := make([]byte, min(size, 256<<10))
	for at := int64(0); at < size; at += int64(len(zeros)) {
		if _, err := f.WriteAt(zeros[:min(int64(len(zeros)), size-at)], at); err != nil {
			return err
		}
	}
	_, err := f.WriteAt(header, 0)
	return err
}

// name gives a file that is complete its name.
func (j *Journal) name(f File, from string, s *segment) error {
	if j.opts.Sync != SyncNever {
		if err := f.Sync(); err != nil {
			return err
		}
	}
	if err := j.fs.Rename(from, j.path(SegmentName(s.number))); err != nil {
		return err
	}
	return j.syncDir()
}

func (j *Journal) syncDir() error {
	if j.opts.Sync == SyncNever {
		return nil
	}
	return j.fs.SyncDir(j.opts.Dir)
}

// recycle makes a spare of old, whose blocks are written already.
func (j *Journal) recycle(old *segment) *Chore {
	s := j.newSegment()
	j.making = true
	header := j.header(s)
	return &Chore{
		What: "make " + SegmentName(s.number) + " of " + SegmentName(old.number),
		run: func() (err error) {
			temporary := j.path(unfinished)
			if err := j.fs.Rename(j.path(SegmentName(old.number)), temporary); err != nil {
				return err
			}
			if s.file = old.file; s.file == nil {
				if s.file, err = j.fs.Open(temporary); err != nil {
					return err
				}
			}
			if _, err := s.file.WriteAt(header, 0); err != nil {
				return err
			}
			return j.name(s.file, temporary, s)
		},
		done: func(err error) {
			full := j.full // the room was there already: that it is used again tells nothing new
			j.freed = j.freed[1:]
			j.admit(s, err)
			j.full = j.full || full
		},
	}
}

// remove removes the file of s.
func (j *Journal) remove(s *segment) *Chore {
	return &Chore{
		What: "remove " + SegmentName(s.number),
		run: func() error {
			if s.file != nil {
				s.file.Close()
			}
			return j.discard(j.path(SegmentName(s.number)))
		},
		done: func(err error) {
			j.freed = j.freed[1:]
			if err == nil {
				j.giveUp = false // there is room again; the next try tells whether it is enough
			}
		},
	}
}

// close closes the file of s, to which nothing will be added, and gives back
// what it has not used.
func (j *Journal) close(s *segment) *Chore {
	f, size := s.file, s.size
	if s.size-s.used-terminator > j.opts.SegmentSize/8 {
		size = s.used + terminator
	}
	return &Chore{
		What: "close " + SegmentName(s.number),
		run: func() error {
			if size < s.size {
				if err := f.Truncate(size); err != nil {
					return err
				}
			}
			return f.Close()
		},
		done: func(error) {
			if s.number >= j.first() {
				j.closedSize -= s.size - size
			}
			s.file, s.size = nil, size
		},
	}
}
