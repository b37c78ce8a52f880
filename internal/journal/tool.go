package journal

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"spoked/persist"
	"spoked/queue"
)

// The functions in the files tool*.go are for the command line: they look at
// the journal in a directory, or make another of it, without a server. A
// directory is what a server is given, or that of the segments in it. None of
// them changes what is in it.

// ErrNoJournal is in the error of a directory that has no journal.
var ErrNoJournal = errors.New("no journal")

// place is where a journal is.
type place struct {
	dir  string // of the segments
	lock string // the lock's file; "" if the segments are by themselves
}

// findPlace finds the journal in dir.
func findPlace(dir string) (place, error) {
	inner := filepath.Join(dir, segmentsDir)
	if info, err := os.Stat(inner); err == nil && info.IsDir() {
		return place{inner, filepath.Join(dir, lockName)}, nil
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return place{}, fmt.Errorf("%w: %w", ErrNoJournal, err)
	}
	var names []string
	hasSegments := false
	for _, e := range entries {
		names = append(names, e.Name())
		_, is := persist.SegmentNumber(e.Name())
		hasSegments = hasSegments || is
	}
	abs, err := filepath.Abs(dir)
	if err != nil {
		return place{}, err
	}
	switch {
	case filepath.Base(abs) == segmentsDir:
		return place{dir, filepath.Join(filepath.Dir(abs), lockName)}, nil
	case hasSegments:
		return place{dir: dir}, nil
	case len(persist.ListBinlog(names)) > 0:
		return place{}, fmt.Errorf("%w: %s has files of beanstalkd; a server that is started with -b takes them over", ErrNoJournal, dir)
	}
	return place{}, fmt.Errorf("%w: %s has no directory %q", ErrNoJournal, dir, segmentsDir)
}

// takePlace finds the journal in dir, and keeps servers out until release is
// called.
func takePlace(dir string) (p place, release func(), err error) {
	if p, err = findPlace(dir); err == nil {
		release, err = p.take()
	}
	return p, release, err
}

// take keeps servers out until the function that it returns is called.
func (p place) take() (release func(), err error) {
	if p.lock == "" {
		return func() {}, nil
	}
	l, err := takeLock(p.lock)
	if errors.Is(err, syscall.EROFS) {
		return func() {}, nil // nobody can write there
	}
	if err != nil {
		return nil, err
	}
	return l.release, nil
}

// inUse reports whether a server uses the journal.
func (p place) inUse() (bool, error) {
	if p.lock == "" {
		return false, nil
	}
	return isLocked(p.lock)
}

// files returns the files in the directory of the segments.
func (p place) files() ([]persist.FileInfo, error) { return persist.OS{}.ReadDir(p.dir) }

// numbers returns the numbers of the segments among files, ascending.
func numbers(files []persist.FileInfo) (list []uint64) {
	for _, f := range files {
		if n, ok := persist.SegmentNumber(f.Name); ok {
			list = append(list, n)
		}
	}
	slices.Sort(list)
	return list
}

const (
	lookTries = 5
	lookPause = 10 * time.Millisecond
)

// look calls f, and calls it again if it may have failed because a server has
// removed a segment, or made another of it, while f was reading.
func (p place) look(f func() error) error {
	for try := 1; ; try++ {
		err := f()
		_, damaged := errors.AsType[*persist.DamageError](err)
		if try == lookTries || !damaged && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if busy, lockErr := p.inUse(); !busy || lockErr != nil {
			return err
		}
		time.Sleep(lookPause)
	}
}

// excerpt restores what the segments hold as of the instant now, but of each
// body no more than most bytes.
func (p place) excerpt(files []persist.FileInfo, now int64, most int) (*persist.Recovery, error) {
	l := newLoader(persist.OS{}, p.dir, files, nil)
	r, err := persist.RecoverExcerpt(files, l, func() *queue.Engine { return queue.New(now) }, now, most)
	if damage, ok := errors.AsType[*persist.DamageError](err); ok {
		damage.File = filepath.Join(p.dir, damage.File)
		return nil, fmt.Errorf("the journal is damaged: %w", damage)
	}
	return r, err
}

// readBlock is how much is given up at least where a file cannot be read.
const readBlock = 4 << 10

// readWhatCan returns the bytes of a file, with zeros where it cannot be read.
func readWhatCan(name string) ([]byte, error) {
	data, err := os.ReadFile(name)
	if err == nil {
		return data, nil
	}
	f, openErr := os.Open(name)
	if openErr != nil {
		return nil, openErr
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	return readAround(f, info.Size())
}

// readAround is readWhatCan for the first size bytes of f. An error is that of
// a file of which nothing can be read.
func readAround(f io.ReaderAt, size int64) ([]byte, error) {
	data := make([]byte, size)
	var failure error
	got := int64(0)
	for at := int64(0); at < size; at += readBlock {
		n, err := f.ReadAt(data[at:min(at+readBlock, size)], at)
		got += int64(n)
		if err != nil && !errors.Is(err, io.EOF) {
			failure = err
		}
	}
	if got == 0 && failure != nil {
		return nil, failure
	}
	return data, nil
}

// makeDir makes the directory dest, which must not exist or be empty. It has
// fill fill a directory beside it, which gets its name when it is complete and
// durable, and is removed if it cannot be completed.
func makeDir(dest string, fill func(dir string) error) (err error) {
	if dest, err = filepath.Abs(dest); err != nil {
		return err
	}
	entries, err := os.ReadDir(dest)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if len(entries) > 0 {
		return fmt.Errorf("%s exists, and is not empty", dest)
	}
	exists := err == nil
	partial := dest + ".partial"
	if err := os.Mkdir(partial, 0o700); errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s exists: somebody else is writing it, or was interrupted and it can be removed", partial)
	} else if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(partial))
		}
	}()
	if err := fill(partial); err != nil {
		return err
	}
	if err := (persist.OS{}).SyncDir(partial); err != nil {
		return err
	}
	if exists {
		if err := os.Remove(dest); err != nil {
			return err
		}
	}
	if err := os.Rename(partial, dest); err != nil {
		return err
	}
	return persist.OS{}.SyncDir(filepath.Dir(dest))
}

// makeJournal is makeDir for a directory that a server can be given: fill
// fills that of the segments.
func makeJournal(dest string, fill func(segments string) error) error {
	return makeDir(dest, func(dir string) error {
		segments := filepath.Join(dir, segmentsDir)
		if err := os.Mkdir(segments, 0o700); err != nil {
			return err
		}
		if err := fill(segments); err != nil {
			return err
		}
		return persist.OS{}.SyncDir(segments)
	})
}

// A Problem is a part of a journal that cannot be read.
type Problem struct {
	File string `json:"file"` // path
	From int64  `json:"from"` // offset; both are 0 for a file that is not there
	To   int64  `json:"to"`
	What string `json:"what"`
	Tail bool   `json:"tail,omitempty"` // it can be what a crash leaves at the end of a log; no damage
}

// Bytes returns how many bytes cannot be read.
func (p Problem) Bytes() int64 { return p.To - p.From }

// problems returns losses with paths.
func (p place) problems(losses []persist.Loss) (list []Problem) {
	for _, l := range losses {
		list = append(list, Problem{filepath.Join(p.dir, l.File), l.From, l.To, l.What, l.Tail})
	}
	return list
}

// salvage reads all segments into s.
func (p place) salvage(files []persist.FileInfo, s *persist.Salvage) error {
	for _, n := range numbers(files) {
		data, err := readWhatCan(filepath.Join(p.dir, persist.SegmentName(n)))
		if err != nil {
			s.Unreadable(n, err)
			continue
		}
		if err := s.Read(n, data); err != nil {
			return err
		}
	}
	return nil
}
