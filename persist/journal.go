package persist

import (
	"errors"
	"io/fs"
	"math/rand/v2"
	"path"
	"slices"

	"spoked/queue"
)

// Options say how a journal is kept.
type Options struct {
	Dir         string // of the segments
	SegmentSize int64  // bytes
	Sync        Sync
	Seed        uint64 // should differ each time
	Checks      bool   // records of jobs have checksums of their own, because they are read back
}

// Sync says what has to have happened to a batch before it counts as settled.
type Sync uint8

// The ways to sync.
const (
	SyncLater  Sync = iota // it is written; Unsynced is called from time to time
	SyncAlways             // it is on the disk
	SyncNever              // it is written; the system may sync it
)

// The smallest and the largest segments that are made, in bytes. One that
// holds a larger job is as large as it needs to be.
const (
	MinSegmentSize = 4 << 10
	MaxSegmentSize = 1 << 30
)

// largestSegment is to which size a segment grows if the next one cannot be made:
// a place in it has 32 bits, and jobs that are there may have to be copied to it.
const largestSegment = 7 << 29

// A Journal records an engine's effects in segments. It is not safe for
// concurrent use, but what it returns to be done, batches, syncs and chores,
// is meant to be done by other threads while it is used; see doc.go.
//
// The methods of queue.Journal are for the engine. They write nothing: Cut
// returns what is to be written.
type Journal struct {
	fs     FS
	opts   Options
	engine *queue.Engine
	random *rand.Rand

	segments   []*segment // numbers without a gap, oldest first; the last is the head
	evacuated  int        // how many of them, the oldest, nothing is left in
	held       int64      // bytes used of the others
	closedSize int64      // bytes that the files of the others have, without the head
	spares     []*segment // to be heads, with the numbers that follow
	freed      []*segment // no longer needed
	pins       int        // while not 0, no file is changed that Snapshot has told of
	busy       bool       // a chore is being done
	making     bool       // that makes a segment
	full       bool       // the last try to make a segment failed for want of room
	retry      bool       // Room may ask for more once
	giveUp     bool       // and it is not to be tried again
	opened     uint64     // no segment with a smaller number has an open file

	frame   []byte // being filled: room for its header, and records; nil if there are none
	base    int64  // instant that the times in it are relative to,
	based   bool   // if it has been set
	parts   []part // sealed, and not yet cut
	idle    *Batch // to be used again; nil if there is none
	buffers [][]byte
	flying  []*Batch // cut and not settled, oldest first
	scratch []byte
	gained  int64 // held when cleaning of a full disk gained nothing more

	cut      uint64                      // batches
	synced   int64                       // position in the log
	live     int64                       // bytes that the jobs would need if they had just been copied
	markDue  bool                        // a mark is due that says which segments have been evacuated, or that the log ends
	stopped  bool                        // it ends
	pausedIn map[string]uint64           // tube -> segment of its pause
	moved    struct{ bytes, size int64 } // by cleaning: of records, and what liveSize says

	// SyncAlways: jobs of which something is not settled, in the batch that is
	// being filled and in the one that has been cut.
	filling, settling map[uint64]bool

	window window // of the segment that is being cleaned

	written, copied uint64 // records
}

// segment is a file of the journal.
type segment struct {
	number uint64
	sealer sealer
	file   File   // nil if it is not open
	name   string // of the file
	size   int64  // of the file
	used   int64  // bytes, the terminator not included
	start  int64  // position in the log of its first byte

	dirty bool // written to since the last sync

	// For cleaning:
	ids    idList   // of the jobs that were recorded whole
	pauses []string // tubes of which pauses were recorded
	next   idCursor
	freeAt int64 // once evacuated: the position in the log that must be synced before it can go

	counted bool // lives is known
	lives   int64
}

func newJournal(fs FS, opts Options, r *Recovery) *Journal {
	j := &Journal{
		fs: fs, opts: opts, engine: r.Engine,
		random:   rand.New(rand.NewPCG(opts.Seed, 0)),
		segments: r.segments,
		pausedIn: r.pausedIn,
		filling:  map[uint64]bool{}, settling: map[uint64]bool{},
	}
	if j.pausedIn == nil {
		j.pausedIn = map[string]uint64{}
	}
	for i, s := range j.segments {
		j.held += s.used
		if i < len(j.segments)-1 {
			j.closedSize += s.size
		}
	}
	j.live = r.Engine.BodyBytes() + r.Engine.Sum(j.headSize)
	return j
}

func (s *segment) end() int64 { return s.start + s.used }

func (j *Journal) head() *segment { return j.segments[len(j.segments)-1] }

func (j *Journal) path(name string) string { return path.Join(j.opts.Dir, name) }

// Room reports whether another job can be recorded without touching the room
// that is for what there is. It may have to ask the disk for some.
func (j *Journal) Room(tube string, size int) bool {
	record := int64(recordOverhead + len(tube) + size)
	need := record + int64(len(j.frame)+frameHeader+terminator)
	if j.head().used+need > largestSegment {
		return false // until there is another
	}
	least := j.opts.SegmentSize / 4
	if !j.full && (j.free()-need >= least || !j.making && !j.spareDue()) {
		return j.fits(record)
	}
	if !j.full { // the next segment is late: is there room on the disk?
		s := j.head()
		if n := len(j.spares); n > 0 {
			s = j.spares[n-1]
		}
		j.full = isFull(j.extend(s, s.size-s.used+need+least/2))
		return !j.full
	}
	if j.free()-need >= j.kept()+j.opts.SegmentSize/4 {
		return j.fits(record)
	}
	if !j.retry {
		return false
	}
	// Perhaps there is room again, for as much as another segment would be.
	j.retry = false
	h := j.head()
	j.full = isFull(j.extend(h, h.size-h.used+j.opts.SegmentSize+need))
	return !j.full
}

// MayChange reports whether a job can be changed without touching the room that
// deletes and cleaning need.
func (j *Journal) MayChange() bool {
	return !j.full || j.free()-int64(len(j.frame)) >= j.kept()+j.opts.SegmentSize/16
}

// extend makes room in s for n more bytes at least.
func (j *Journal) extend(s *segment, n int64) error {
	size := s.used + max(n, j.opts.SegmentSize/4)
	if err := s.file.Allocate(size); err != nil {
		return err
	}
	s.size = size
	return nil
}

// begin makes sure that the frame being filled has room for n more bytes, and
// that times in it can be relative to at.
func (j *Journal) begin(n int, at int64) {
	j.reserve(n)
	if !j.based {
		j.base, j.based = at, true
	}
	j.written++
}

func (j *Journal) reserve(n int) {
	need := int64(len(j.frame) + n + frameHeader + terminator)
	if h := j.head(); h.used+need > h.size {
		j.seal()
		need = int64(n + 2*frameHeader + terminator + recordOverhead)
		if len(j.spares) > 0 && h.used > segmentHeader { // no segment stays empty
			j.roll()
			h = j.head()
		}
		if h.used+need > h.size {
			// Without room, this is the disk's last word; writing will tell.
			j.full = isFull(j.extend(h, need)) || j.full
		}
	}
	if j.frame == nil {
		j.open()
	}
}

// open begins a frame.
func (j *Journal) open() {
	j.frame = append(j.buffer(), make([]byte, frameHeader)...)
	j.base, j.based = 0, false
	if h := j.head(); h.used == segmentHeader {
		j.frame = appendMark(j.frame, mark{
			nextID: j.engine.NextID(), burials: j.engine.Burials(), first: j.first(),
			position: h.start, previous: j.previous(), stopped: j.stopped,
		})
	} else if j.markDue || j.stopped {
		j.frame = appendMark(j.frame, mark{
			nextID: j.engine.NextID(), burials: j.engine.Burials(), first: j.first(), stopped: j.stopped,
		})
	}
	j.markDue = false
}

// first returns the number of the oldest segment that has not been evacuated.
func (j *Journal) first() uint64 { return j.segments[j.evacuated].number }

// previous returns where the segment before the head ends, or 0.
func (j *Journal) previous() int64 {
	if n := len(j.segments); n > 1 {
		return j.segments[n-2].used
	}
	return 0
}

// seal ends the frame, if one has been begun.
func (j *Journal) seal() {
	if j.frame == nil {
		return
	}
	h := j.head()
	synced := j.synced
	if j.opts.Sync == SyncNever {
		synced = h.start // as if: see doc.go
	}
	h.sealer.seal(j.frame, h.used, synced, j.base)
	at, n := h.used, int64(len(j.frame))
	j.frame = append(j.frame, make([]byte, terminator)...)
	j.parts = append(j.parts, part{h.file, h.name, h.number, at, j.frame})
	h.used += n
	j.held += n
	h.dirty = true
	j.frame = nil
}

// roll makes the first spare the head.
func (j *Journal) roll() {
	s := j.spares[0]
	j.spares = j.spares[1:]
	j.append(s)
}

// append makes s the head.
func (j *Journal) append(s *segment) {
	if len(j.segments) > 0 {
		s.start = j.head().end()
		j.closedSize += j.head().size
	}
	s.name = j.path(SegmentName(s.number))
	j.segments = append(j.segments, s)
	j.held += s.used
}

// Job implements queue.Journal.
func (j *Journal) Job(r *queue.Record) queue.Place {
	p := j.job(r)
	j.live += j.liveSize(r)
	j.pend(r.ID)
	return p
}

// job records r whole, and returns where.
func (j *Journal) job(r *queue.Record) queue.Place {
	j.begin(recordOverhead+len(r.Tube)+len(r.Body), r.Created)
	h := j.head()
	p := queue.Place{Segment: uint32(h.number), Offset: uint32(h.used) + uint32(len(j.frame))}
	j.frame = appendJob(j.frame, j.base, r, j.opts.Checks)
	h.ids.add(r.ID)
	return p
}

// liveSize is how many bytes r needs if it has just been copied, and nothing has
// been done to the job.
func (j *Journal) liveSize(r *queue.Record) int64 { return j.headSize(r.Tube) + int64(r.Size()) }

// headSize is liveSize but for the body.
func (j *Journal) headSize(tube string) int64 { return j.opts.headSize(tube) }

func (o *Options) headSize(tube string) int64 {
	n := liveOverhead
	if tube != defaultTube {
		n += 2 + len(tube)
	}
	if o.Checks {
		n += checkSize
	}
	return int64(n)
}

// Change implements queue.Journal.
func (j *Journal) Change(r *queue.Record) {
	j.beginChange(recordOverhead, r)
	j.frame = appendChange(j.frame, j.base, r)
	j.pend(r.ID)
}

// beginChange is begin for what has changed of r, which is n bytes.
func (j *Journal) beginChange(n int, r *queue.Record) {
	j.reserve(n)
	if r.State == queue.Delayed {
		j.begin(n, r.At-r.Delay)
	} else {
		j.written++
	}
}

// Move implements queue.Journal.
func (j *Journal) Move(r *queue.Record, from string) {
	j.beginChange(recordOverhead+len(r.Tube), r)
	j.frame = appendMove(j.frame, j.base, r)
	more := j.headSize(r.Tube) - j.headSize(from)
	j.live += more
	if s := j.counted(r); s != nil {
		s.lives += more
	}
	j.pend(r.ID)
}

// counted returns the segment that has the newest whole record of r if it is known
// how much lives there, or nil.
func (j *Journal) counted(r *queue.Record) *segment {
	if i := r.Segment - uint32(j.segments[0].number); i < uint32(len(j.segments)) && j.segments[i].counted {
		return j.segments[i]
	}
	return nil
}

// End implements queue.Journal.
func (j *Journal) End(r *queue.Record) {
	j.reserve(recordOverhead)
	j.written++
	j.frame = appendEnd(j.frame, r.ID)
	j.live -= j.liveSize(r)
	if s := j.counted(r); s != nil {
		s.lives -= j.liveSize(r)
	}
	j.pend(r.ID)
}

// Pause implements queue.Journal.
func (j *Journal) Pause(tube string, until, length int64) {
	j.pause(queue.Pause{Tube: tube, Until: until, Length: length})
}

func (j *Journal) pause(p queue.Pause) {
	j.begin(recordOverhead+len(p.Tube), p.Until-p.Length)
	j.frame = appendPause(j.frame, j.base, p)
	if p.Length == 0 {
		delete(j.pausedIn, p.Tube)
		return
	}
	h := j.head()
	j.pausedIn[p.Tube] = h.number
	h.pauses = append(h.pauses, p.Tube)
}

func (j *Journal) pend(id uint64) {
	if j.opts.Sync == SyncAlways {
		j.filling[id] = true
	}
}

// Pending reports whether something about a job is not settled. O(1).
func (j *Journal) Pending(id uint64) bool { return j.filling[id] || j.settling[id] }

// Newest returns the number of the newest batch that there is anything in,
// which may still be being filled. What is known of the engine now depends on
// no later one.
func (j *Journal) Newest() uint64 {
	if j.Dirty() {
		return j.cut + 1
	}
	return j.cut
}

// Dirty reports whether there is something for Cut to return.
func (j *Journal) Dirty() bool { return j.frame != nil || len(j.parts) > 0 }

// A Batch is to be written. It may be by any thread, but batches in the order
// in which they were cut, and with SyncAlways, none before the one before it
// has been passed to Settle.
type Batch struct {
	Number uint64 // counted from 1
	End    int64  // position in the log
	parts  []part
}

// part is what is to be written to one place.
type part struct {
	file    File
	name    string // of the file
	segment uint64 // its number
	at      int64
	data    []byte
}

func (p part) write() error {
	_, err := p.file.WriteAt(p.data, p.at)
	if e, ok := errors.AsType[*fs.PathError](err); ok { // it knows the name under which the file was made
		return &fs.PathError{Op: e.Op, Path: p.name, Err: e.Err}
	}
	return err
}

// Write writes the batch without syncing it.
func (b *Batch) Write() error {
	for _, p := range b.parts {
		if err := p.write(); err != nil {
			return err
		}
	}
	return nil
}

// WriteSync writes the batch and makes it durable.
func (b *Batch) WriteSync() error {
	for i, p := range b.parts {
		if err := p.write(); err != nil {
			return err
		}
		if i < len(b.parts)-1 && b.parts[i+1].file == p.file {
			continue
		}
		if err := p.file.Sync(); err != nil {
			return err
		}
	}
	return nil
}

// Cut ends the batch that is being filled and returns it, or nil if there is
// nothing in it. It first adds to it a portion of cleaning, if some is due. A
// batch that was cut must be written and passed to Settle; if that fails, the
// journal must not be used any more.
func (j *Journal) Cut() *Batch {
	j.clean()
	if !j.Dirty() {
		return nil
	}
	j.seal()
	j.cut++
	b := j.idle
	if b == nil {
		b = new(Batch)
	}
	j.idle = nil
	*b, j.parts = Batch{Number: j.cut, End: j.head().end(), parts: j.parts}, b.parts[:0]
	j.filling, j.settling = j.settling, j.filling
	j.flying = append(j.flying, b)
	return b
}

// Settle takes note that b has been written, and with SyncAlways, is durable.
// It is not to be used any more.
func (j *Journal) Settle(b *Batch) {
	clear(j.settling)
	if i := slices.Index(j.flying, b); i >= 0 {
		j.flying = slices.Delete(j.flying, i, i+1)
	}
	for _, p := range b.parts {
		if cap(p.data) <= keepBuffer && len(j.buffers) < 4 {
			j.buffers = append(j.buffers, p.data[:0])
		}
	}
	if j.opts.Sync != SyncLater {
		j.Synced(b.End)
	}
	clear(b.parts)
	j.idle = b
}

const (
	newBuffer  = 4 << 10
	keepBuffer = 4 << 20
)

func (j *Journal) buffer() []byte {
	if n := len(j.buffers); n > 0 {
		b := j.buffers[n-1]
		j.buffers = j.buffers[:n-1]
		return b
	}
	return make([]byte, 0, newBuffer)
}

// A Pass is a sync that is to be done.
type Pass struct {
	Position int64 // up to which the log is synced by it
	files    []File
}

// Sync does it.
func (p *Pass) Sync() error {
	for _, f := range p.files {
		if err := f.Sync(); err != nil {
			return err
		}
	}
	return nil
}

// Unsynced returns what is to be synced for all that has been settled to be
// durable, or nil if it is. Synced must follow, or if it fails the journal
// must not be used any more. It is for SyncLater, and must not be called while
// the journal is Dirty.
func (j *Journal) Unsynced() *Pass {
	var p *Pass
	for _, s := range j.segments {
		if s.dirty {
			if p == nil {
				p = new(Pass)
			}
			s.dirty = false
			p.files = append(p.files, s.file)
			p.Position = s.end()
		}
	}
	return p
}

// Synced takes note that the log is durable up to position.
func (j *Journal) Synced(position int64) {
	j.synced = max(j.synced, position)
	for j.evacuated > 0 && j.segments[0].freeAt <= j.synced {
		j.freed = append(j.freed, j.segments[0])
		j.segments = j.segments[1:]
		j.evacuated--
	}
}

// Stats are a journal's figures.
type Stats struct {
	Oldest, Head    uint64 // segments
	Segments        int
	Live            int64  // bytes that the jobs would need alone
	Disk            int64  // bytes of all files
	Written, Copied uint64 // records, and those of them that cleaning wrote
	Full            bool   // the disk has no room for another segment
}

// Oldest returns the number of the oldest segment. O(1).
func (j *Journal) Oldest() uint64 { return j.segments[0].number }

// Stats returns the journal's figures. O(segments).
func (j *Journal) Stats() Stats {
	return Stats{
		Oldest: j.segments[0].number, Head: j.head().number, Segments: len(j.segments),
		Live: j.needed(), Disk: j.disk(), Written: j.written, Copied: j.copied, Full: j.full,
	}
}

// disk returns how many bytes all files have.
func (j *Journal) disk() (n int64) {
	for _, list := range [...][]*segment{j.segments, j.spares, j.freed} {
		for _, s := range list {
			n += s.size
		}
	}
	return n
}
