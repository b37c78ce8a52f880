package persist

import (
	"errors"
	"fmt"
	"slices"

	"spoked/queue"
)

// A Loader reads segments for Recover.
type Loader interface {
	// Expect tells which segments will be asked for next, in that order.
	Expect(numbers []uint64)
	// Load returns a segment, or the error of reading it or of ReadSegment. It
	// may be asked for the same one again.
	Load(number uint64) (*Segment, error)
	// Done tells that a segment is not used any more.
	Done(s *Segment)
}

// A Recovery is what a journal's segments were found to hold.
type Recovery struct {
	Engine *queue.Engine

	// Cut is where the log was cut because what follows was never synced, and
	// is not whole; nil if it ends as it should. CutBytes is how much is not
	// kept, at most.
	Cut      *DamageError
	CutBytes int64

	// Stopped says that the server that wrote it was stopped and had not
	// crashed.
	Stopped bool

	excerpt  *excerpt // or nil
	segments []*segment
	pausedIn map[string]uint64
	synced   int64    // position up to which the log is known to have been synced
	remove   []string // files that do not count, or not any more
}

// errMissing is the damage of a segment that is not there.
var errMissing = errors.New("the segment is missing")

// Recover restores what the segments in files, a journal's directory, hold
// into an engine that newEngine makes, as of the instant now. What is damaged
// is a *DamageError, unless it can be the end of a log that was not synced when
// the system crashed: there the log is cut.
func Recover(files []FileInfo, load Loader, newEngine func() *queue.Engine, now int64) (*Recovery, error) {
	return recoverTo(&Recovery{}, files, load, newEngine, now)
}

func recoverTo(r *Recovery, files []FileInfo, load Loader, newEngine func() *queue.Engine, now int64) (*Recovery, error) {
	if err := r.recover(files, load, newEngine, now); err != nil {
		return nil, err
	}
	return r, nil
}

func (r *Recovery) recover(files []FileInfo, load Loader, newEngine func() *queue.Engine, now int64) error {
	var numbers []uint64
	for _, f := range files {
		if n, ok := SegmentNumber(f.Name); ok {
			numbers = append(numbers, n)
		} else if f.Name == unfinished {
			r.remove = append(r.remove, f.Name)
		}
	}
	slices.Sort(numbers)
	for {
		r.Engine = newEngine()
		kept, err := r.try(numbers, load, now)
		if err != nil || kept == len(numbers) {
			return err
		}
		// What the segments behind the cut say does not count, and that may be
		// that segments in front of it do not.
		for _, n := range numbers[kept:] {
			r.remove = append(r.remove, SegmentName(n))
		}
		numbers = numbers[:kept]
	}
}

// try restores the segments with these numbers. If it finds that fewer of them
// count than it thought, it returns how many, and the engine is of no use.
func (r *Recovery) try(numbers []uint64, load Loader, now int64) (kept int, err error) {
	all := numbers
	load.Expect(numbers) // most of the time it is all of them
	p := newReplay(r.Engine.Restore(now))
	p.excerpt = r.excerpt
	last, numbers, err := r.findLast(numbers, load)
	if err != nil {
		return 0, err
	}
	if last == nil { // nothing was ever written
		if len(all) > 0 && all[0] != 1 {
			return 0, &DamageError{SegmentName(all[0] - 1), 0, errMissing}
		}
		p.restorer.Finish()
		return len(all), nil
	}
	synced := last.synced()
	first, err := oldest(last, numbers, load)
	load.Done(last)
	if err != nil {
		return 0, err
	}
	var stale []string
	for ; len(numbers) > 0 && numbers[0] < first; numbers = numbers[1:] {
		stale = append(stale, SegmentName(numbers[0]))
	}
	if len(numbers) == 0 { // it cannot say so of itself
		return 0, &DamageError{SegmentName(last.Number), segmentHeader, errMalformed}
	}
	for i, n := range numbers {
		if n != first+uint64(i) {
			return 0, &DamageError{SegmentName(first + uint64(i)), 0, errMissing}
		}
	}
	load.Expect(numbers)
	var before *Segment
	for i, n := range numbers {
		s, err := load.Load(n)
		if err != nil {
			return 0, err
		}
		if before == nil {
			if p.position, err = begins(s, all[:len(stale)], load); err != nil {
				return 0, err
			}
		}
		if s.Frames() == 0 || s.first.position != p.position {
			at := &DamageError{SegmentName(n), segmentHeader, errBroken}
			if before != nil && before.Torn {
				at = &DamageError{SegmentName(before.Number), before.End, errBroken}
			}
			return len(stale) + i, r.cut(at, p.position, numbers[max(i-1, 0):], load)
		}
		if err := p.segment(s); err != nil {
			return 0, err
		}
		before = s
		load.Done(s)
	}
	if before.Torn {
		at := &DamageError{SegmentName(before.Number), before.End, errBroken}
		if synced > p.position {
			return 0, at
		}
		r.Cut, r.CutBytes = at, r.CutBytes+before.rest
	}
	r.Stopped = before.newest.stopped && !before.Torn
	r.remove = append(r.remove, stale...)
	r.segments, r.pausedIn, r.synced = p.segments, p.pausedIn, synced
	p.restorer.Finish()
	return len(all), nil
}

// oldest returns the number of the oldest segment that counts. The newest of
// those with these numbers that does not begin with a broken frame says it; last
// is the newest.
func oldest(last *Segment, numbers []uint64, load Loader) (uint64, error) {
	for _, n := range slices.Backward(numbers) {
		s := last
		if n != last.Number {
			var err error
			if s, err = load.Load(n); err != nil {
				return 0, err
			}
			load.Done(s)
		}
		if s.Frames() > 0 {
			return max(s.newest.first, 1), nil
		}
	}
	return 1, nil // a log that is so young need not have been synced: see cut
}

// begins returns where in the log s begins, the oldest segment that counts. If
// its first frame is broken, that is where the one before ends, which is still
// there if the log need not have been synced so far.
func begins(s *Segment, before []uint64, load Loader) (position int64, err error) {
	if s.Frames() > 0 || len(before) == 0 || before[len(before)-1] != s.Number-1 {
		return s.first.position, nil
	}
	b, err := load.Load(s.Number - 1)
	if err != nil {
		return 0, err
	}
	defer load.Done(b)
	return b.first.position + b.End, nil
}

// errBroken is the damage of a frame.
var errBroken = errors.New("no whole frame, though the log goes on")

// findLast returns the newest segment that has frames, nil if none has, and
// the numbers up to it. Those behind it were made, but not used.
func (r *Recovery) findLast(numbers []uint64, load Loader) (*Segment, []uint64, error) {
	for n := len(numbers); n > 0; n-- {
		s, err := load.Load(numbers[n-1])
		if err != nil {
			return nil, nil, err
		}
		if s.Frames() > 0 || len(s.stray) > 0 {
			for i, unused := range numbers[n:] {
				if next := s.Number + 1 + uint64(i); unused != next {
					return nil, nil, &DamageError{SegmentName(next), 0, errMissing}
				}
			}
			return s, numbers[:n], nil
		}
		if s.Torn {
			r.Cut = &DamageError{SegmentName(s.Number), s.End, errBroken}
			r.CutBytes += s.rest
		}
		r.remove = append(r.remove, SegmentName(s.Number))
		load.Done(s)
	}
	return nil, nil, nil
}

// cut has the log end at position, where it is broken, unless one of the
// segments with these numbers says that it was synced further: then the break
// is damage.
func (r *Recovery) cut(at *DamageError, position int64, numbers []uint64, load Loader) error {
	for i, n := range numbers {
		s, err := load.Load(n)
		if err != nil {
			return err
		}
		if s.synced() > position {
			return at
		}
		if i > 0 {
			r.CutBytes += s.Size
		}
		load.Done(s)
	}
	r.Cut = at
	return nil
}

// replay puts the records of segments into an engine, in their order.
type replay struct {
	restorer *queue.Restorer
	excerpt  *excerpt // or nil: bodies whole
	segments []*segment
	pausedIn map[string]uint64
	position int64 // in the log: of the segment that is being replayed, then of the next
	tubes    map[string]string
	tube     string // the last one
	entry    entry
}

func newReplay(r *queue.Restorer) *replay {
	return &replay{restorer: r, pausedIn: map[string]uint64{}, tubes: map[string]string{}}
}

// segment replays the frames of s.
func (p *replay) segment(s *Segment) error {
	to := &segment{number: s.Number, size: s.Size, used: s.End, start: p.position}
	p.segments = append(p.segments, to)
	at := int64(segmentHeader)
	for _, next := range s.ends {
		if err := s.each(at, next, &p.entry, func(e *entry) error { return p.apply(e, to) }); err != nil {
			return err
		}
		at = next
	}
	p.position = to.end()
	return nil
}

// each calls f for the records of the frame from at to end.
func (s *Segment) each(at, end int64, e *entry, f func(*entry) error) error {
	frame := s.data[at:end]
	base := frameBase(frame)
	for rest := frame[frameHeader:]; len(rest) > 0; {
		next, err := readRecord(rest, base, e)
		e.offset = end - int64(len(rest))
		if err == nil {
			err = f(e)
		}
		if err != nil {
			return &DamageError{SegmentName(s.Number), end - int64(len(rest)), err}
		}
		rest = next
	}
	return nil
}

// apply does what e says, which stands in the segment to.
func (p *replay) apply(e *entry, to *segment) error {
	switch e.kind {
	case kindJob:
		e.job.Tube = p.tubeName(e.tube)
		e.job.Bare = !e.hasCheck
		e.job.Place = queue.Place{Segment: uint32(to.number), Offset: uint32(e.offset)}
		to.ids.add(e.job.ID)
		p.excerpt.shorten(&e.job)
		return p.restorer.Job(&e.job)
	case kindChange:
		p.restorer.Change(&e.job)
	case kindMove:
		e.job.Tube = p.tubeName(e.tube)
		p.restorer.Move(&e.job)
	case kindEnd:
		p.restorer.End(e.job.ID)
		p.excerpt.forget(e.job.ID)
	case kindPause:
		e.pause.Tube = p.tubeName(e.tube)
		p.restorer.Pause(e.pause)
		delete(p.pausedIn, e.pause.Tube)
		if e.pause.Length > 0 {
			p.pausedIn[e.pause.Tube] = to.number
			to.pauses = append(to.pauses, e.pause.Tube)
		}
	case kindMark:
		p.restorer.Seen(e.mark.nextID - 1)
		p.restorer.SeenBurial(e.mark.burials)
	}
	return nil
}

// tubeName returns name as a string, the same one each time.
func (p *replay) tubeName(name []byte) string {
	if name == nil {
		return defaultTube
	}
	if string(name) != p.tube {
		tube, ok := p.tubes[string(name)]
		if !ok {
			tube = string(name)
			p.tubes[tube] = tube
		}
		p.tube = tube
	}
	return p.tube
}

// Open returns the journal of r's engine, which is told of it, and makes the
// directory ready for what is to come. It never writes to a segment that it has
// found. With a directory that has no segments, r is that of no files.
func Open(fs FS, opts Options, r *Recovery) (*Journal, error) {
	opts.SegmentSize = min(max(opts.SegmentSize, MinSegmentSize), MaxSegmentSize)
	j := newJournal(fs, opts, r)
	if err := j.settleRecovered(r.synced); err != nil {
		return nil, err
	}
	if err := j.removeOthers(r); err != nil {
		return nil, err
	}
	if err := j.makeFirst(); err != nil {
		return nil, fmt.Errorf("cannot make a segment: %w", err)
	}
	j.synced = j.head().start
	r.Engine.SetJournal(j)
	return j, nil
}

// makeFirst makes the head, and if the disk has hardly room for another segment,
// a spare of what there is, if more room is to be kept than in the head. Smaller
// ones must do then, for deletes to make some.
func (j *Journal) makeFirst() error {
	h := &segment{number: 1, size: j.opts.SegmentSize, used: segmentHeader}
	if len(j.segments) > 0 {
		h.number = j.head().number + 1
	}
	if err := j.createAny(h, MinSegmentSize); err != nil {
		return err
	}
	j.append(h)
	err := errors.Join(h.file.Allocate(2*h.size), h.file.Truncate(h.size))
	if err == nil {
		return nil // there is time to make one
	}
	if !isFull(err) {
		return err
	}
	for range 3 {
		if j.free() >= j.wanted() || j.disk()+j.opts.SegmentSize > 2*(j.needed()+j.opts.SegmentSize) {
			return nil
		}
		s := j.newSegment()
		if err := j.createAny(s, max(MinSegmentSize, j.opts.SegmentSize/16)); isFull(err) {
			return nil
		} else if err != nil {
			return err
		}
		j.spares = append(j.spares, s)
	}
	return nil
}

// createAny makes the file of s, smaller if there is no room, but not smaller
// than least bytes.
func (j *Journal) createAny(s *segment, least int64) (err error) {
	for {
		if s.file, err = j.create(j.header(s), s); !isFull(err) || s.size/2 < least {
			return err
		}
		j.full = true
		s.size /= 2
	}
}

// removeOthers removes the files that do not count. What says so is durable by
// now. The newest goes first, and none before it is gone for sure:
// a gap would be taken for damage.
func (j *Journal) removeOthers(r *Recovery) error {
	slices.Sort(r.remove)
	for _, name := range slices.Backward(slices.Compact(r.remove)) {
		if err := j.fs.Remove(j.path(name)); err != nil && !isMissing(err) {
			return err
		}
		if err := j.syncDir(); err != nil {
			return err
		}
	}
	return nil
}

// settleRecovered makes durable what was recovered, and ends the last segment
// where the log does. It syncs all segments, whatever they say of themselves:
// they may have been written with SyncNever. What need not have been synced is
// written again, as it is: if a sync has failed, the system may think that it
// is on the disk.
func (j *Journal) settleRecovered(synced int64) error {
	if err := j.syncDir(); err != nil {
		return err
	}
	for i, s := range j.segments {
		last := i == len(j.segments)-1
		if !last && j.opts.Sync == SyncNever {
			continue
		}
		f, err := j.fs.Open(j.path(SegmentName(s.number)))
		if err != nil {
			return err
		}
		if last && s.size > s.used {
			err = f.Truncate(s.used)
			s.size = s.used
		}
		if err == nil && j.opts.Sync != SyncNever && s.end() > synced {
			err = j.rewrite(f, s, synced)
		}
		if err == nil && j.opts.Sync != SyncNever {
			err = f.Sync()
		}
		if err := errors.Join(err, f.Close()); err != nil {
			return err
		}
	}
	return nil
}

// rewrite writes what s has from a position in the log on to where it is.
func (j *Journal) rewrite(f File, s *segment, from int64) error {
	data, err := j.fs.ReadFile(j.path(SegmentName(s.number)), nil)
	if err != nil {
		return err
	}
	at := max(from-s.start, segmentHeader)
	_, err = f.WriteAt(data[at:s.used], at)
	return err
}
