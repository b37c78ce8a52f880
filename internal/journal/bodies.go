package journal

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"

	"go.uber.org/zap"

	"spoked/persist"
	"spoked/queue"
)

// bodies reads the bodies of jobs that are in the journal alone: at once what
// the system has in memory, and else from goroutines, so that nobody but who
// has asked waits for the disk.
type bodies struct {
	files   map[uint32]persist.Reader // of segments, by number
	opened  []uint32                  // these numbers, oldest first
	fetches []fetch                   // to be done
	busy    int                       // goroutines
	scratch []byte
}

// fetch is a body that is to be read.
type fetch struct {
	job  queue.Job
	then func(body []byte, err error)
}

const (
	mostFiles   = 64 // open at a time
	mostFetches = 8  // read at a time
)

// Body returns the body of a job that is in the journal alone, and false if it
// cannot be had without waiting for the disk. It is valid until the journal is
// used again.
func (j *Journal) Body(job queue.Job) ([]byte, bool) {
	b := j.keep.Unwritten(job.Place)
	if b == nil {
		f := j.bodies.files[job.Place.Segment]
		if f == nil {
			return nil, false
		}
		buf := j.bodies.room(job)
		n, ok := f.ReadNow(buf, int64(job.Place.Offset))
		if !ok {
			return nil, false
		}
		b = buf[:n]
	}
	body, err := persist.BodyIn(b, job.ID, int(job.Stored))
	return body, err == nil // Fetch looks closer
}

// room returns a buffer for the record of job.
func (b *bodies) room(job queue.Job) []byte {
	const keep = 1 << 20
	n := persist.ReadSize(int(job.Stored))
	if n > keep {
		return make([]byte, n)
	}
	if cap(b.scratch) < n {
		b.scratch = make([]byte, n)
	}
	return b.scratch[:n]
}

// Fetch reads the body of a job that is in the journal alone, and then calls
// then, later and with the mutex held. The error is queue.ErrNotFound if there
// is no such job any more, and any other is in the log already. The body is
// borrowed.
func (j *Journal) Fetch(job queue.Job, then func(body []byte, err error)) {
	b := &j.bodies
	b.fetches = append(b.fetches, fetch{job, then})
	if b.busy < mostFetches && !j.ended {
		b.busy++
		j.group.Go(j.fetchAll)
	}
}

// fetchAll does what is to be fetched, until there is nothing more.
func (j *Journal) fetchAll() {
	j.mu.Lock()
	defer j.mu.Unlock()
	b := &j.bodies
	for len(b.fetches) > 0 && !j.ended {
		f := b.fetches[0]
		b.fetches = b.fetches[1:]
		number := f.job.Place.Segment
		file := b.files[number]
		fresh := file == nil
		j.mu.Unlock()
		file, body, err := j.readBody(file, f.job)
		j.mu.Lock()
		switch {
		case !fresh || file == nil:
		case uint64(number) < j.keep.Oldest():
			file.Close() // it has gone in the meantime
		default:
			b.keep(number, file)
		}
		j.fetched(f, body, err)
		j.attend()
	}
	b.busy--
}

// readBody reads the body of job, from its segment's file if that is open.
func (j *Journal) readBody(file persist.Reader, job queue.Job) (persist.Reader, []byte, error) {
	if file == nil {
		var err error
		if file, err = j.opts.FS.OpenRead(j.segmentPath(job.Place.Segment)); err != nil {
			return nil, nil, err
		}
	}
	buf := make([]byte, persist.ReadSize(int(job.Stored)))
	n, err := file.ReadAt(buf, int64(job.Place.Offset))
	if err != nil && !errors.Is(err, io.EOF) {
		return file, nil, err
	}
	body, err := persist.BodyIn(buf[:n], job.ID, int(job.Stored))
	return file, body, err
}

func (j *Journal) segmentPath(number uint32) string {
	return filepath.Join(j.path(segmentsDir), persist.SegmentName(uint64(number)))
}

// fetched ends f, or if the job is elsewhere by now, begins it anew.
func (j *Journal) fetched(f fetch, body []byte, err error) {
	if err == nil {
		f.then(body, nil)
		return
	}
	now, gone := j.queue.Peek(f.job.ID)
	switch {
	case gone != nil:
		f.then(nil, queue.ErrNotFound)
	case now.Stored == 0:
		f.then(now.Body, nil)
	case now.Place != f.job.Place:
		if b, ok := j.Body(now); ok {
			f.then(b, nil)
			return
		}
		j.bodies.fetches = append(j.bodies.fetches, fetch{now, f.then})
	default:
		err = fmt.Errorf("the body of job %d cannot be read: %w", now.ID, err)
		j.log.Error("the journal is damaged", zap.Uint64("job", now.ID),
			zap.String("file", j.segmentPath(now.Place.Segment)), zap.Uint32("offset", now.Place.Offset), zap.Error(err))
		f.then(nil, err)
	}
}

// keep keeps a file open for the next time.
func (b *bodies) keep(number uint32, f persist.Reader) {
	if b.files[number] != nil {
		f.Close() // another was faster
		return
	}
	if b.files == nil {
		b.files = map[uint32]persist.Reader{}
	}
	if len(b.opened) >= mostFiles {
		b.drop(b.opened[0])
		b.opened = b.opened[1:]
	}
	b.files[number] = f
	b.opened = append(b.opened, number)
}

func (b *bodies) drop(number uint32) {
	if f := b.files[number]; f != nil {
		f.Close() // when nobody reads it any more
		delete(b.files, number)
	}
}

// forget closes the files of segments before the oldest, which have gone, or
// will be used again.
func (b *bodies) forget(oldest uint64) {
	kept := b.opened[:0]
	for _, n := range b.opened {
		if uint64(n) < oldest {
			b.drop(n)
		} else {
			kept = append(kept, n)
		}
	}
	b.opened = kept
}
