package persist

import (
	"cmp"
	"errors"
	"slices"
)

// finishBytes is how much Finish gathers before it writes it.
const finishBytes = 1 << 20

// Finish records what the journal was not told of as it happened, and that the
// server stops, and has write write it. After an error the journal must not be
// used any more.
func (j *Journal) Finish(write func(*Batch) error) error {
	cut := func() error {
		b := j.Cut()
		if b == nil {
			return nil
		}
		if err := write(b); err != nil {
			return err
		}
		j.Settle(b)
		return nil
	}
	for r := range j.engine.Untold() {
		if !j.fits(recordOverhead) {
			break // they are no more than counts
		}
		j.Change(r)
		if len(j.frame) >= finishBytes || len(j.parts) > 0 {
			if err := cut(); err != nil {
				return err
			}
		}
	}
	if err := cut(); err != nil {
		return err
	}
	if j.head().used == segmentHeader {
		return nil // nothing has happened since the start
	}
	if p := j.Unsynced(); p != nil && j.opts.Sync == SyncLater {
		if err := p.Sync(); err != nil {
			return err
		}
		j.Synced(p.Position) // so that the last frame vouches for all the others
	}
	j.stopped = true
	j.reserve(recordOverhead)
	return cut()
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
	slices.SortFunc(unused, func(a, b *segment) int { return cmp.Compare(b.number, a.number) })
	for _, s := range unused { // the newest first, and for sure, so that there never is a gap
		if s.file != nil && s != j.head() {
			errs = append(errs, s.file.Close())
		}
		errs = append(errs, j.fs.Remove(j.path(SegmentName(s.number))), j.syncDir())
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

// Snapshot returns which files are, together, the journal as it was when the
// last batch was settled. They will not be changed, as far as they are to be
// copied, until Unpin, which must follow. Unless with SyncAlways, nothing may be
// waiting to be cut or settled. O(segments).
func (j *Journal) Snapshot() []SnapshotFile {
	j.pins++
	end := j.head().end()
	if j.opts.Sync == SyncAlways {
		end = j.synced // a batch may be under way, and the next being filled
	}
	var files []SnapshotFile
	for _, s := range j.segments {
		if size := min(s.used, end-s.start); size > segmentHeader {
			files = append(files, SnapshotFile{SegmentName(s.number), size})
		}
	}
	return files
}

// Unpin ends the use of what Snapshot has returned.
func (j *Journal) Unpin() { j.pins-- }
