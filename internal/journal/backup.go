package journal

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"spoked/persist"
)

// Copied is what came of a backup.
type Copied struct {
	Segments int   `json:"segments"`
	Bytes    int64 `json:"bytes"`
}

var errStopping = errors.New("the server is stopping")

const (
	snapshotRetry = 2 * time.Millisecond
	copyPiece     = 64 << 20 // bytes, between looks at whether to go on
)

// Backup makes a copy of the journal in the directory dest, which must not
// exist or be empty, and which a server can then be given. It is the journal
// as it was at one moment after Backup was called: all that was acknowledged
// by then is in it. It needs no mutex to be held, can be called after Start
// from any goroutine, by several at once, and blocks until the copy is durable
// or ctx ends; the server goes on meanwhile, and Stop waits for it.
func (j *Journal) Backup(ctx context.Context, dest string) (Copied, error) {
	if !filepath.IsAbs(dest) {
		return Copied{}, fmt.Errorf("%s is not an absolute path", dest)
	}
	var c Copied
	err := makeJournal(dest, func(segments string) error {
		files, err := j.snapshot(ctx)
		if err != nil {
			return err
		}
		defer j.endSnapshot()
		c, err = copyFiles(ctx, j.path(segmentsDir), segments, files)
		return err
	})
	return c, err
}

// snapshot returns what is to be copied; endSnapshot must follow.
func (j *Journal) snapshot(ctx context.Context) ([]persist.SnapshotFile, error) {
	for {
		if files, err := j.trySnapshot(); files != nil || err != nil {
			return files, err
		}
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-time.After(snapshotRetry):
		}
	}
}

// trySnapshot returns nil between the parts of a turn.
func (j *Journal) trySnapshot() ([]persist.SnapshotFile, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	switch {
	case j.failed || j.ended:
		return nil, errStopping
	case j.mode != persist.SyncAlways && j.keep.Dirty():
		return nil, nil
	}
	j.group.Add(1) // Stop is still to come, and waits
	return append([]persist.SnapshotFile{}, j.keep.Snapshot()...), nil
}

func (j *Journal) endSnapshot() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.keep.Unpin()
	if !j.failed && !j.ended {
		j.lookAround()
	}
	j.group.Done()
}

// copyFiles copies the beginnings of files to another directory, and makes
// them durable.
func copyFiles(ctx context.Context, from, to string, files []persist.SnapshotFile) (c Copied, err error) {
	for _, f := range files {
		if err := copyFile(ctx, filepath.Join(from, f.Name), filepath.Join(to, f.Name), f.Size); err != nil {
			return Copied{}, err
		}
		c.Segments++
		c.Bytes += f.Size
	}
	return c, nil
}

func copyFile(ctx context.Context, from, to string, size int64) (err error) {
	src, err := os.Open(from)
	if err != nil {
		return err
	}
	defer src.Close()
	dst, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, dst.Close()) }()
	for size > 0 {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		n, err := io.CopyN(dst, src, min(size, copyPiece)) // by the system, where it can
		if err != nil {
			return fmt.Errorf("copying %s to %s: %w", from, to, err)
		}
		size -= n
	}
	return dst.Sync()
}

// BackupStopped is Backup for the journal in dir, which nobody may be using.
func BackupStopped(ctx context.Context, dir, dest string) (Copied, error) {
	p, release, err := takePlace(dir)
	if err != nil {
		return Copied{}, err
	}
	defer release()
	all, err := p.files()
	if err != nil {
		return Copied{}, err
	}
	var files []persist.SnapshotFile
	for _, f := range all {
		if _, ok := persist.SegmentNumber(f.Name); ok {
			files = append(files, persist.SnapshotFile{Name: f.Name, Size: f.Size})
		}
	}
	var c Copied
	err = makeJournal(dest, func(segments string) (err error) {
		c, err = copyFiles(ctx, p.dir, segments, files)
		return err
	})
	return c, err
}
