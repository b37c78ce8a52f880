package persist

import (
	"errors"
	"io"

	"spoked/queue"
)

// Bodies can be in the journal alone. They are read back one by one: a job's
// place says where the newest whole record of it begins. Nothing in the memory
// of a journal says how long that is, but there is a bound.

// maxTube is more than the name of a tube has, in bytes.
const maxTube = 256

// ReadSize returns how many bytes are to be read from the place of a job on to
// have all of its record, if the body has size bytes: some too many, or as many
// as there are before the end of the file.
func ReadSize(size int) int { return recordOverhead + maxTube + size }

// errOther says that at a place is not the record that was looked for.
var errOther = errors.New("this is not the job's record")

// errCheck is the damage of a body.
var errCheck = errors.New("the checksum of the job's body does not match")

// BodyIn returns the body of the job id, which has size bytes, from b, which
// begins with the job's record. The body is part of b. An error says that
// something else is there: the record has been moved, or the file is damaged.
func BodyIn(b []byte, id uint64, size int) ([]byte, error) {
	var e entry
	if len(b) == 0 || b[0] != kindJob {
		return nil, errOther
	}
	if _, err := readRecord(b, 0, &e); err != nil {
		return nil, err
	}
	switch {
	case e.job.ID != id || len(e.job.Body) != size:
		return nil, errOther
	case e.hasCheck && e.check != uint64(bodyCheck(id, e.job.Body)):
		return nil, errCheck
	}
	return e.job.Body, nil
}

// Unwritten returns the bytes from a place on, at least to the end of the
// record there, if they have been recorded but need not be in the file yet.
// They are valid until the journal is used again. O(parts of a batch).
func (j *Journal) Unwritten(p queue.Place) []byte {
	if h := j.head(); j.frame != nil && uint32(h.number) == p.Segment && int64(p.Offset) >= h.used {
		return j.frame[int64(p.Offset)-h.used:]
	}
	if b := find(j.parts, p); b != nil || j.flying == nil {
		return b
	}
	return find(j.flying.parts, p)
}

func find(parts []part, p queue.Place) []byte {
	for _, part := range parts {
		if at := int64(p.Offset) - part.at; uint32(part.segment) == p.Segment && at >= 0 && at < int64(len(part.data)) {
			return part.data[at:]
		}
	}
	return nil
}

// window is a part of the segment that is being cleaned: the bodies that are
// not in memory are copied from there.
type window struct {
	segment uint32
	offset  int64 // of the first byte in the file
	data    []byte
	wanted  bool // it is to be read, from the place, for a body of so many bytes
	place   queue.Place
	id      uint64
	size    int
}

// windowBytes is how much is read at a time.
const windowBytes = 1 << 20

// fetch sees to it that the body of r is there to be copied. If it must be read
// first, that is a chore, and fetch returns false.
func (j *Journal) fetch(r *queue.Record) bool {
	if r.Stored == 0 {
		return true
	}
	if b := j.Unwritten(r.Place); b != nil {
		return j.take(r, b)
	}
	w := &j.window
	if at := int64(r.Offset) - w.offset; w.segment == r.Segment && at >= 0 && at < int64(len(w.data)) && j.take(r, w.data[at:]) {
		return true
	}
	*w = window{wanted: true, place: r.Place, id: r.ID, size: int(r.Stored), data: w.data[:0]}
	return false
}

// take sets the body of r from b, which begins with its record, if it is whole.
func (j *Journal) take(r *queue.Record, b []byte) bool {
	body, err := BodyIn(b, r.ID, int(r.Stored))
	if err != nil {
		return false
	}
	r.Body, r.Stored = body, 0
	return true
}

// readWindow reads what fetch wants.
func (j *Journal) readWindow() *Chore {
	w := j.window
	w.wanted = false
	j.window = window{} // its buffer is the chore's meanwhile
	name := j.path(SegmentName(uint64(w.place.Segment)))
	return &Chore{
		What: "read " + SegmentName(uint64(w.place.Segment)),
		run: func() error {
			f, err := j.fs.OpenRead(name)
			if err != nil {
				return err
			}
			defer f.Close()
			n := max(windowBytes, ReadSize(w.size))
			if cap(w.data) < n {
				w.data = make([]byte, n)
			}
			k, err := f.ReadAt(w.data[:n], int64(w.place.Offset))
			w.data = w.data[:k]
			if err != nil && !errors.Is(err, io.EOF) {
				return err
			}
			if _, err := BodyIn(w.data, w.id, w.size); err != nil {
				return &DamageError{name, int64(w.place.Offset), err}
			}
			return nil
		},
		done: func(error) {
			w.segment, w.offset = w.place.Segment, int64(w.place.Offset)
			j.window = w
		},
	}
}
