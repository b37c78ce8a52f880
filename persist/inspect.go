package persist

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math"

	"spoked/queue"
)

// Span is a part of a file, from one offset up to another.
type Span struct {
	From, To int64
}

// Bytes returns how many bytes the span has.
func (s Span) Bytes() int64 { return s.To - s.From }

// An Inspection is all that can be found in one segment, damaged or not. Unlike
// a Segment it does not end at the first frame that is not whole.
type Inspection struct {
	Number uint64
	Size   int64  // of the file in bytes
	Frames []Span // that are whole, ascending
	Gaps   []Span // between them, and in front of the first; without the header if that is whole
	End    int64  // of the last frame, or of the header
	Torn   int64  // behind End is something else than the end of a segment, up to this offset or so; 0 if not
	Header error  // why the header could not be used, though the frames can be read

	data    []byte
	sealer  sealer
	first   *mark  // what the segment begins with, if its first frame is whole
	oldest  uint64 // number of the oldest segment that counts, as it says; 0 if it does not
	stopped bool   // its last frame says that the log ends there on purpose
	synced  int64  // up to which position of the log its frames claim that it was synced
}

// Inspect looks for whole frames in data, the bytes of segment number, which
// it borrows. It finds them also behind something that is damaged, the header
// included. An error says that there is nothing to be found. O(bytes).
func Inspect(number uint64, data []byte) (*Inspection, error) {
	s := &Inspection{Number: number, Size: int64(len(data)), data: data, End: segmentHeader}
	salt, err := readSegmentHeader(data, number)
	if err == nil {
		s.sealer = newSealer(salt)
	} else {
		var ok bool
		if len(data) < segmentHeader || headerIsWhole(data) {
			return nil, err
		}
		if s.sealer, ok = findSealer(data); !ok {
			return nil, fmt.Errorf("%w, and without it nothing else can be read", err)
		}
		s.Header = err
		s.Gaps = append(s.Gaps, Span{0, segmentHeader})
	}
	s.findFrames()
	s.findTorn()
	s.readMarks()
	return s, nil
}

// findTorn finds out how far that goes which is torn at the end: as far as its
// first bytes say if it begins like a frame, or else to the last byte that is
// not 0.
func (s *Inspection) findTorn() {
	tail := s.data[s.End:]
	switch {
	case firstNonZero(tail[:min(len(tail), terminator)]) < 0:
	case len(tail) >= frameHeader && binary.LittleEndian.Uint32(tail) == s.sealer.number:
		s.Torn = min(s.End+frameHeader+int64(binary.LittleEndian.Uint32(tail[4:])), s.Size)
	default:
		s.Torn = s.End + int64(len(bytes.TrimRight(tail, "\x00")))
	}
}

// headerIsWhole reports whether a header is as it was written.
func headerIsWhole(b []byte) bool {
	return crc32.Checksum(b[:segmentHeader-4], castagnoli) == binary.LittleEndian.Uint32(b[segmentHeader-4:])
}

func (s *Inspection) findFrames() {
	for at := int64(segmentHeader); at < s.Size; {
		f, ok := s.sealer.frame(s.data, at)
		if !ok {
			if at = s.findFrame(at + 1); at < 0 {
				return
			}
			s.Gaps = append(s.Gaps, Span{s.End, at})
			continue
		}
		s.synced = max(s.synced, int64(binary.LittleEndian.Uint64(f[12:])))
		next := at + int64(len(f))
		s.Frames = append(s.Frames, Span{at, next})
		at, s.End = next, next
	}
}

// findFrame returns the offset of the first whole frame from at on, or -1.
func (s *Inspection) findFrame(at int64) int64 {
	var begin [4]byte
	binary.LittleEndian.PutUint32(begin[:], s.sealer.number)
	for at < s.Size {
		k := bytes.Index(s.data[at:], begin[:])
		if k < 0 {
			break
		}
		at += int64(k)
		if _, ok := s.sealer.frame(s.data, at); ok {
			return at
		}
		at++
	}
	return -1
}

func (s *Inspection) readMarks() {
	for i, f := range s.Frames {
		payload := s.data[f.From+frameHeader : f.To]
		if len(payload) == 0 || payload[0] != kindMark {
			continue
		}
		var e entry
		if _, err := readRecord(payload, 0, &e); err != nil {
			continue // Each will say so
		}
		if f.From == segmentHeader {
			s.first = &e.mark
		}
		s.oldest = max(s.oldest, e.mark.first)
		s.stopped = e.mark.stopped && i == len(s.Frames)-1
	}
}

// An Entry is a record as it stands in a segment. What it refers to is
// borrowed from the segment's bytes, and valid until the next one.
type Entry struct {
	Segment uint64
	Offset  int64 // in the file
	Size    int   // bytes
	Stray   bool  // it is behind a gap: the server does not read it
	Kind    EntryKind
	Job     queue.Record // of jobs; of moves without created, TTR and body, of changes without the tube, too; of ends the id alone
	Pause   queue.Pause
	Mark    Mark
}

// EntryKind says what an Entry is about.
type EntryKind uint8

// The kinds of entry.
const (
	EntryJob    EntryKind = kindJob    // a job, whole
	EntryChange EntryKind = kindChange // what can change of a job
	EntryEnd    EntryKind = kindEnd    // a job is no more
	EntryPause  EntryKind = kindPause  // a tube is paused, or with a length of 0, paused no more
	EntryMark   EntryKind = kindMark   // about the journal itself
	EntryMove   EntryKind = kindMove   // a job is in another tube; and what can change of it
)

// String returns the kind's word.
func (k EntryKind) String() string {
	switch k {
	case EntryJob:
		return "job"
	case EntryChange:
		return "change"
	case EntryEnd:
		return "end"
	case EntryPause:
		return "pause"
	case EntryMark:
		return "mark"
	case EntryMove:
		return "move"
	}
	return fmt.Sprintf("kind %d", uint8(k))
}

// A Mark is what an entry says about the journal itself.
type Mark struct {
	NextID   uint64 // of a put
	Burials  uint64 // ever
	First    uint64 // number of the oldest segment that counts; 0 if it does not say
	Position int64  // of the segment's first byte in the log; 0 if it does not say
	Previous int64  // where the segment before ends; 0 if it does not say
	Stopped  bool   // the log ends here on purpose
}

// Each calls f for all records that can be read, in their order. Where the
// rest of a frame cannot be, though the frame is whole, it calls lost with the
// span of that. An error is one of f's, which end it.
func (s *Inspection) Each(f func(*Entry) error, lost func(Span, error)) error {
	out := Entry{Segment: s.Number}
	gaps := s.Gaps
	return s.each(func(frame Span, at int64, e *entry) error {
		for len(gaps) > 0 && gaps[0].From < frame.From {
			out.Stray = out.Stray || gaps[0].To > segmentHeader
			gaps = gaps[1:]
		}
		out.Offset, out.Size = at, e.size
		out.Kind, out.Job, out.Pause = EntryKind(e.kind), e.job, e.pause
		m := e.mark
		out.Mark = Mark{m.nextID, m.burials, m.first, m.position, m.previous, m.stopped}
		switch e.kind {
		case kindJob, kindMove:
			out.Job.Tube = tubeOf(e)
		case kindPause:
			out.Pause.Tube = tubeOf(e)
		}
		return f(&out)
	}, lost)
}

func tubeOf(e *entry) string {
	if e.tube == nil {
		return defaultTube
	}
	return string(e.tube)
}

// each is Each with what a record is read into, and the frame that it is in.
func (s *Inspection) each(f func(frame Span, at int64, e *entry) error, lost func(Span, error)) error {
	var e entry
	for _, frame := range s.Frames {
		b := s.data[frame.From:frame.To]
		base := frameBase(b)
		for rest := b[frameHeader:]; len(rest) > 0; {
			at := frame.To - int64(len(rest))
			next, err := readRecord(rest, base, &e)
			if err != nil {
				lost(Span{at, frame.To}, err)
				break
			}
			if err := f(frame, at, &e); err != nil {
				return err
			}
			rest = next
		}
	}
	return nil
}

// findSealer finds out how the frames of a segment are sealed whose header is
// damaged. From a checksum and what it is of, the seed follows, and that the
// next frame agrees shows that it was one. O(bytes), as a rule.
func findSealer(data []byte) (sealer, bool) {
	if s := newSealer(binary.LittleEndian.Uint64(data[16:])); agrees(s, data, segmentHeader) {
		return s, true // the damage is elsewhere in the header
	}
	for at := int64(segmentHeader); at+2*frameHeader <= int64(len(data)); at++ {
		frame := data[at:]
		number := binary.LittleEndian.Uint32(frame)
		n := int64(frameHeader) + int64(binary.LittleEndian.Uint32(frame[4:]))
		if number&1 == 0 || n > int64(len(frame))-frameHeader || binary.LittleEndian.Uint32(frame[n:]) != number {
			continue
		}
		s := sealer{number, seedOf(at, frame[:n])}
		if agrees(s, data, at+n) {
			return s, true
		}
	}
	return sealer{}, false
}

// agrees reports whether there is a frame at offset that is sealed by s.
func agrees(s sealer, data []byte, offset int64) bool {
	if offset >= int64(len(data)) {
		return false
	}
	_, ok := s.frame(data, offset)
	return ok
}

// seedOf returns the seed with which the frame at offset has the checksum that
// stands in it.
func seedOf(offset int64, frame []byte) uint32 {
	var at [8]byte
	binary.LittleEndian.PutUint64(at[:], uint64(offset))
	crc := binary.LittleEndian.Uint32(frame[8:])
	crc = undoChecksum(crc, frame[12:])
	crc = undoChecksum(crc, frame[4:8])
	return undoChecksum(crc, at[:])
}

// undoChecksum returns what crc32.Update turned into crc with b. O(bytes).
func undoChecksum(crc uint32, b []byte) uint32 {
	// The highest byte of an entry of the table tells which one it is.
	var index [math.MaxUint8 + 1]byte
	for i, t := range castagnoli {
		index[t>>24] = byte(i)
	}
	crc = ^crc
	for k := len(b) - 1; k >= 0; k-- {
		i := index[crc>>24]
		crc = (crc^castagnoli[i])<<8 | uint32(i^b[k])
	}
	return ^crc
}

// An excerpt leaves out most of what takes room in memory. A nil one leaves out
// nothing.
type excerpt struct {
	most  int            // bytes of a body
	sizes map[uint64]int // of the bodies, in bytes
}

func (x *excerpt) shorten(r *queue.Record) {
	if x != nil {
		x.sizes[r.ID] = len(r.Body)
		r.Body = r.Body[:min(len(r.Body), x.most)]
	}
}

func (x *excerpt) forget(id uint64) {
	if x != nil {
		delete(x.sizes, id)
	}
}

// RecoverExcerpt is Recover for who only looks: of each body there is no more
// in the engine than the first most bytes. The Recovery cannot be opened.
func RecoverExcerpt(files []FileInfo, load Loader, newEngine func() *queue.Engine, now int64, most int) (*Recovery, error) {
	return recoverTo(&Recovery{excerpt: &excerpt{most, map[uint64]int{}}}, files, load, newEngine, now)
}

// BodySize returns how many bytes the body of a job had of RecoverExcerpt.
func (r *Recovery) BodySize(id uint64) int { return r.excerpt.sizes[id] }

// Log returns the numbers of the oldest and the newest segment that count, and
// how many bytes of them have been used; zeros if there are none.
func (r *Recovery) Log() (oldest, newest uint64, used int64) {
	for i, s := range r.segments {
		if i == 0 {
			oldest = s.number
		}
		newest = s.number
		used += s.used
	}
	return oldest, newest, used
}

// Live returns how many bytes of a journal the jobs of RecoverExcerpt would
// need alone. O(jobs).
func (r *Recovery) Live() int64 {
	n := r.Engine.Sum((&Options{}).headSize)
	for _, size := range r.excerpt.sizes {
		n += int64(size)
	}
	return n
}
