package persist

import "errors"

// Finish records what the journal was not told of as it happened, and that the
// server stops. What there is to be cut after it, if anything, is the last.
func (j *Journal) Finish() {
	for r := range j.engine.Untold() {
		j.Change(r)
	}
	if j.frame == nil && j.head().used == segmentHeader {
		return // nothing has happened since the start
	}
	j.seal()
	j.stopped = true
	j.markDue = true
	j.reserve(recordOverhead)
}

// Close closes all files, and gives back the room that was set aside. All that
// was cut must have been settled. No chore may be under way.
func (j *Journal) Close() error {
	var errs []error
	for _, s := range j.segments {
		if s.file == nil {
			continue
		}
		if s.size > s.used {
			errs = append(errs, s.file.Truncate(s.used))
		}
		errs = append(errs, s.file.Close())
	}
	unused := append(j.spares, j.freed...)
	if h := j.head(); h.used == segmentHeader {
		unused = append(unused, h)
	}
	for _, s := range unused {
		if s.file != nil && s != j.head() {
			errs = append(errs, s.file.Close())
		}
		errs = append(errs, j.fs.Remove(j.path(SegmentName(s.number))))
	}
	return errors.Join(errs...)
}

// Abandon closes all files as they are.
func (j *Journal) Abandon() {
	for _, list := range [...][]*segment{j.segments, j.spares, j.freed} {
		for _, s := range list {
			if s.file != nil {
				s.file.Close()
			}
		}
	}
}

// A SnapshotFile is a file of a consistent copy of the journal.
type SnapshotFile struct {
	Name string // in the journal's directory, and in the copy
	Size int64  // how much of it is to be copied
}

// Snapshot returns which files are, together, the journal as it is. They will
// not be changed until Unpin, which must follow. Nothing may be waiting to be
// cut, and all must be settled.
func (j *Journal) Snapshot() []SnapshotFile {
	j.pins++
	var files []SnapshotFile
	for _, s := range j.segments {
		if s.used > segmentHeader {
			files = append(files, SnapshotFile{SegmentName(s.number), s.used})
		}
	}
	return files
}

// Unpin ends the use of what Snapshot has returned.
func (j *Journal) Unpin() { j.pins-- }
