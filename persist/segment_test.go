package persist

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"hash/crc32"
	"math"
	"strings"
	"testing"

	"spoked/queue"
)

// For tests that see the journal from outside.

// JobIn is a whole record of a job.
type JobIn struct {
	ID    uint64
	Place queue.Place
	Body  []byte
}

// JobsIn returns the whole records in b, which has just been cut.
func (j *Journal) JobsIn(b *Batch) (list []JobIn) {
	var e entry
	for _, p := range b.parts {
		for _, s := range j.segments {
			if s.file != p.file {
				continue
			}
			for rest := p.data[frameHeader : len(p.data)-terminator]; len(rest) > 0; {
				var err error
				at := p.at + int64(len(p.data)-terminator-len(rest))
				if rest, err = readRecord(rest, 0, &e); err != nil {
					panic(err)
				}
				if e.kind == kindJob {
					list = append(list, JobIn{e.job.ID, queue.Place{Segment: uint32(s.number), Offset: uint32(at)}, e.job.Body})
				}
			}
		}
	}
	return list
}

// aSegment returns segment 3 with these payloads of frames, as the format has
// it.
func aSegment(payloads ...string) []byte {
	b := appendSegmentHeader(nil, 3, 0x1122334455667788)
	s := newSealer(0x1122334455667788)
	for _, p := range payloads {
		at := len(b)
		b = append(b, make([]byte, frameHeader)...)
		b = append(b, p...)
		s.seal(b[at:], int64(at), 5, 6)
	}
	return append(b, make([]byte, 100)...)
}

// TestSegmentBytes draws a segment with one frame. It must never change: there
// are journals that have such segments.
func TestSegmentBytes(t *testing.T) {
	want := "73706f6b65646a 01" + // "spokedj", version
		"0300000000000000" + // number
		"8877665544332211" + // salt
		"00000000" + "020212e6" + // CRC-32C of all of that
		"89776655" + // low half of the salt, odd
		"04000000" + // bytes of payload
		"454cc796" + // CRC-32C of salt, offset, and the frame without its first word and this one
		"0500000000000000" + // synced up to
		"0600000000000000" + // base
		"03020207" // job 7 is no more
	got := hex.EncodeToString(aSegment("\x03\x02\x02\x07")[:segmentHeader+frameHeader+4])
	if want = strings.ReplaceAll(want, " ", ""); got != want {
		t.Errorf("got\n%s, want\n%s", got, want)
	}
}

func TestReadSegment(t *testing.T) {
	whole := aSegment("\x05\x02\x02\x07", "two", "three")
	change := func(f func(b []byte) []byte) []byte { return f(bytes.Clone(whole)) }
	two := segmentHeader + frameHeader + 4
	for _, tt := range []struct {
		name   string
		data   []byte
		number uint64
		frames int
		torn   bool
		stray  int
		err    string
	}{
		{"whole", whole, 3, 3, false, 0, ""},
		{"without frames", aSegment(), 3, 0, false, 0, ""},
		{"garbage behind the terminator", change(func(b []byte) []byte { b[len(b)-1] = 1; return b }), 3, 3, false, 0, ""},
		{"garbage at the end", change(func(b []byte) []byte { b[len(b)-100] = 1; return b }), 3, 3, true, 0, ""},
		{"cut in the last frame", change(func(b []byte) []byte { return b[:len(b)-102] }), 3, 2, true, 0, ""},
		{"cut behind a frame", change(func(b []byte) []byte { return b[:two] }), 3, 1, false, 0, ""},
		{"the second broken", change(func(b []byte) []byte { b[two+frameHeader] ^= 1; return b }), 3, 1, true, 1, ""},
		{"the second zeroed", change(func(b []byte) []byte { clear(b[two : two+frameHeader+3]); return b }), 3, 1, true, 1, ""},
		{"a frame moved", change(func(b []byte) []byte { return append(b[:two:two], b[two-1:]...) }), 3, 1, true, 0, ""},
		{"the longest payload", change(func(b []byte) []byte { copy(b[two+4:], "\xff\xff\xff\xff"); return b }), 3, 1, true, 1, ""},
		{"empty", nil, 3, 0, false, 0, "cut off"},
		{"header cut off", whole[:segmentHeader-1], 3, 0, false, 0, "cut off"},
		{"header damaged", change(func(b []byte) []byte { b[17] ^= 4; return b }), 3, 0, false, 0, "damaged"},
		{"another number", whole, 4, 0, false, 0, "segment 3 under another name"},
		{"another file", sealed(change(func(b []byte) []byte { b[0] = 'x'; return b })), 3, 0, false, 0, "no segment"},
		{"another version", sealed(change(func(b []byte) []byte { b[7] = 2; return b })), 3, 0, false, 0, "version 2"},
		{"malformed mark", aSegment("\x05\x02\x02"), 3, 0, false, 0, "malformed"},
	} {
		s, err := ReadSegment(tt.number, tt.data)
		if tt.err != "" {
			var d *DamageError
			if !errors.As(err, &d) || d.File != SegmentName(tt.number) || !strings.Contains(err.Error(), tt.err) {
				t.Errorf("%s: got %v, want a DamageError about %q", tt.name, err, tt.err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		if s.Frames() != tt.frames || s.Torn != tt.torn || len(s.stray) != tt.stray {
			t.Errorf("%s: got %d frames, torn %v, %d stray, want %d, %v, %d", tt.name, s.Frames(), s.Torn, len(s.stray), tt.frames, tt.torn, tt.stray)
		}
		if got, want := s.synced(), int64(5); tt.frames > 0 && got != want {
			t.Errorf("%s: synced: got %d, want %d", tt.name, got, want)
		}
	}
}

// sealed enters the checksum of a header.
func sealed(b []byte) []byte {
	binary.LittleEndian.PutUint32(b[segmentHeader-4:], crc32.Checksum(b[:segmentHeader-4], castagnoli))
	return b
}

func TestSegmentNames(t *testing.T) {
	for _, tt := range []struct {
		name   string
		number uint64
		ok     bool
	}{
		{"0000000001.segment", 1, true},
		{"4294967296.segment", 1 << 32, true},
		{"18446744073709551615.segment", math.MaxUint64, true},
		{"18446744073709551616.segment", 0, false},
		{"00000000001.segment", 0, false},
		{"1.segment", 0, false},
		{"+000000001.segment", 0, false},
		{"next.segment", 0, false},
		{"0000000001.segment~", 0, false},
		{"", 0, false},
	} {
		n, ok := SegmentNumber(tt.name)
		if ok != tt.ok || ok && n != tt.number {
			t.Errorf("%q: got %d, %v, want %d, %v", tt.name, n, ok, tt.number, tt.ok)
		}
		if ok && SegmentName(n) != tt.name {
			t.Errorf("SegmentName(%d): got %q, want %q", n, SegmentName(n), tt.name)
		}
	}
}

// Reseal makes the checksums of a segment right, as far as its frames follow
// each other.
func Reseal(number uint64, data []byte) {
	if len(data) < segmentHeader {
		return
	}
	copy(data, magic)
	data[len(magic)] = version
	binary.LittleEndian.PutUint64(data[8:], number)
	s := newSealer(binary.LittleEndian.Uint64(data[16:]))
	sealed(data)
	for at := int64(segmentHeader); at+frameHeader <= int64(len(data)); {
		n := frameHeader + int64(binary.LittleEndian.Uint32(data[at+4:]))
		if n > int64(len(data))-at {
			return
		}
		f := data[at : at+n]
		binary.LittleEndian.PutUint32(f, s.number)
		binary.LittleEndian.PutUint32(f[8:], s.checksum(at, f))
		at += n
	}
}
