package persist

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"strconv"
	"strings"
)

const (
	segmentHeader = 32 // bytes
	frameHeader   = 28 // bytes
	terminator    = 16 // zeros behind the last frame

	magic   = "spokedj" // and one byte of version
	version = 1
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

const (
	segmentSuffix = ".segment"
	segmentDigits = 10
	unfinished    = "next" + segmentSuffix // a segment that is being prepared
)

// SegmentName returns the name of the file of segment number.
func SegmentName(number uint64) string {
	return fmt.Sprintf("%0*d%s", segmentDigits, number, segmentSuffix)
}

// SegmentNumber returns the number of the segment that a file of that name is,
// and false if it is none.
func SegmentNumber(name string) (uint64, bool) {
	digits, ok := strings.CutSuffix(name, segmentSuffix)
	if !ok || len(digits) < segmentDigits {
		return 0, false
	}
	n, err := strconv.ParseUint(digits, 10, 64)
	return n, err == nil && SegmentName(n) == name
}

// appendSegmentHeader appends the header of a segment.
func appendSegmentHeader(b []byte, number, salt uint64) []byte {
	at := len(b)
	b = append(b, magic...)
	b = append(b, version)
	b = binary.LittleEndian.AppendUint64(b, number)
	b = binary.LittleEndian.AppendUint64(b, salt)
	b = append(b, 0, 0, 0, 0)
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b[at:], castagnoli))
}

// readSegmentHeader returns the salt of the segment that b is.
func readSegmentHeader(b []byte, number uint64) (salt uint64, err error) {
	switch {
	case len(b) < segmentHeader:
		return 0, errors.New("the header is cut off")
	case crc32.Checksum(b[:segmentHeader-4], castagnoli) != binary.LittleEndian.Uint32(b[segmentHeader-4:]):
		return 0, errors.New("the header is damaged")
	case string(b[:len(magic)]) != magic:
		return 0, errors.New("this is no segment of a journal")
	case b[len(magic)] != version:
		return 0, fmt.Errorf("version %d, which this version of spoked does not know", b[len(magic)])
	case binary.LittleEndian.Uint64(b[8:]) != number:
		return 0, fmt.Errorf("this is segment %d under another name", binary.LittleEndian.Uint64(b[8:]))
	}
	return binary.LittleEndian.Uint64(b[16:]), nil
}

// sealer computes checksums of the frames of a segment.
type sealer struct {
	number uint32 // what its frames begin with
	seed   uint32 // checksum of the salt
}

func newSealer(salt uint64) sealer {
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], salt)
	return sealer{uint32(salt) | 1, crc32.Checksum(b[:], castagnoli)} // never zeros
}

// checksum is that of the frame at offset.
func (s sealer) checksum(offset int64, frame []byte) uint32 {
	var at [8]byte
	binary.LittleEndian.PutUint64(at[:], uint64(offset))
	sum := crc32.Update(s.seed, castagnoli, at[:])
	sum = crc32.Update(sum, castagnoli, frame[4:8])
	return crc32.Update(sum, castagnoli, frame[12:])
}

// seal fills in the header of the frame for its offset. The log was synced up
// to the position synced by then.
func (s sealer) seal(frame []byte, offset, synced, base int64) {
	binary.LittleEndian.PutUint32(frame[0:], s.number)
	binary.LittleEndian.PutUint32(frame[4:], uint32(len(frame)-frameHeader))
	binary.LittleEndian.PutUint64(frame[12:], uint64(synced))
	binary.LittleEndian.PutUint64(frame[20:], uint64(base))
	binary.LittleEndian.PutUint32(frame[8:], s.checksum(offset, frame))
}

// frame returns the frame at offset of a segment's bytes b, and false if there
// is none, or none that is whole.
func (s sealer) frame(b []byte, offset int64) (frame []byte, ok bool) {
	rest := b[offset:]
	if len(rest) < frameHeader || binary.LittleEndian.Uint32(rest) != s.number {
		return nil, false
	}
	n := int64(frameHeader) + int64(binary.LittleEndian.Uint32(rest[4:]))
	if n > int64(len(rest)) {
		return nil, false
	}
	frame = rest[:n]
	return frame, s.checksum(offset, frame) == binary.LittleEndian.Uint32(frame[8:])
}

// A Segment is what has been read of one file of a journal. Its bytes are
// those given to ReadSegment.
type Segment struct {
	Number uint64
	Size   int64 // of the file in bytes
	End    int64 // offset at which the frames end that follow each other without a gap
	Torn   bool  // at End is something else than the end of a segment

	data   []byte
	sealer sealer
	ends   []int64 // of the frames, ascending; the first begins behind the header
	stray  []int64 // offsets of whole frames behind End
	rest   int64   // bytes behind End up to the last that is not zero
	first  mark    // what the segment begins with, if it has frames
	newest mark    // the newest of its marks, with what they say together
}

// ReadSegment looks for the frames in data, the bytes of segment number. It
// does not look into them, apart from the marks. An error says that the file
// is no segment, or damaged so that nothing in it can be read. It can be
// called from several goroutines at once. O(bytes).
func ReadSegment(number uint64, data []byte) (*Segment, error) {
	salt, err := readSegmentHeader(data, number)
	if err != nil {
		return nil, &DamageError{SegmentName(number), 0, err}
	}
	s := &Segment{Number: number, Size: int64(len(data)), data: data, sealer: newSealer(salt)}
	at := int64(segmentHeader)
	for {
		f, ok := s.sealer.frame(data, at)
		if !ok {
			break
		}
		at += int64(len(f))
		s.ends = append(s.ends, at)
	}
	s.End = at
	tail := data[at:]
	if len(tail) > 0 {
		s.findStray() // zeros are no proof that nothing stood there
	}
	s.rest = int64(len(bytes.TrimRight(tail, "\x00")))
	s.Torn = len(s.stray) > 0 || len(bytes.TrimLeft(tail[:min(len(tail), terminator)], "\x00")) > 0
	return s, s.readMarks()
}

// findStray looks for whole frames behind the end.
func (s *Segment) findStray() {
	var begin [4]byte
	binary.LittleEndian.PutUint32(begin[:], s.sealer.number)
	for at := s.End + 1; ; {
		k := bytes.Index(s.data[at:], begin[:])
		if k < 0 {
			return
		}
		at += int64(k)
		if f, ok := s.sealer.frame(s.data, at); ok {
			s.stray = append(s.stray, at)
			at += int64(len(f))
		} else {
			at++
		}
	}
}

// Frames returns how many frames there are before End.
func (s *Segment) Frames() int { return len(s.ends) }

// synced returns up to which position of the log the segment's frames claim
// that it was synced, those behind End included.
func (s *Segment) synced() (position int64) {
	claim := func(at int64) {
		position = max(position, int64(binary.LittleEndian.Uint64(s.data[at+12:])))
	}
	at := int64(segmentHeader)
	for _, end := range s.ends {
		claim(at)
		at = end
	}
	for _, at := range s.stray {
		claim(at)
	}
	return position
}

// readMarks finds what the segment says about the journal. Marks are the first
// records of their frames.
func (s *Segment) readMarks() error {
	at := int64(segmentHeader)
	for i, end := range s.ends {
		if payload := s.data[at+frameHeader : end]; len(payload) > 0 && payload[0] == kindMark {
			var e entry
			if _, err := readRecord(payload, 0, &e); err != nil {
				return &DamageError{SegmentName(s.Number), at, err}
			}
			if i == 0 {
				s.first = e.mark
			}
			s.newest.nextID = max(s.newest.nextID, e.mark.nextID)
			s.newest.burials = max(s.newest.burials, e.mark.burials)
			s.newest.first = max(s.newest.first, e.mark.first)
			s.newest.stopped = e.mark.stopped && i == len(s.ends)-1
		}
		at = end
	}
	return nil
}

// A DamageError says where a journal is damaged.
type DamageError struct {
	File   string
	Offset int64
	Err    error
}

// Error returns where the damage is and what it is.
func (e *DamageError) Error() string { return fmt.Sprintf("%s:%d: %v", e.File, e.Offset, e.Err) }

// Unwrap returns what the damage is.
func (e *DamageError) Unwrap() error { return e.Err }

// frameBase returns the instant that a frame's times are relative to.
func frameBase(frame []byte) int64 { return int64(binary.LittleEndian.Uint64(frame[20:])) }
