package journal

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"go.uber.org/zap"

	"spoked/persist"
	"spoked/queue"
)

// Taking over what beanstalkd has left in a directory is done in these steps,
// each of which can be interrupted:
//
//  1. the jobs of binlog.N are written to a journal in another directory,
//     importDir, with a list of the files they are from, and synced;
//  2. that directory is renamed to what the journal's is: from here on it is
//     the journal;
//  3. the files of the list are moved to a directory of their own, untouched;
//  4. the list is removed.
//
// If there is a journal already, a list in it says that step 3 has not ended.
// Binlog files that are in no list are somebody else's newer or older jobs: not
// to be mixed with those in the journal, nor to be ignored.

const (
	importDir = "journal.import"
	importer  = "imported"        // the list, in the journal's directory
	keepDir   = "binlog-imported" // where the files are moved to
)

// importedFrom is what the list says.
type importedFrom struct {
	dir   string // where the files are to be moved
	files []persist.BinlogFile
}

// takeOver imports the binlog files that are in the directory, if any.
func (j *Journal) takeOver(now int64) error {
	fs := persist.OS{}
	files, err := fs.ReadDir(j.opts.Dir)
	if err != nil {
		return err
	}
	var names []string
	sizes := map[string]int64{}
	exists := map[string]bool{}
	for _, f := range files {
		exists[f.Name] = true
		if !f.Dir {
			names = append(names, f.Name)
			sizes[f.Name] = f.Size
		}
	}
	binlogs := persist.ListBinlog(names)
	for i := range binlogs {
		binlogs[i].Size = sizes[binlogs[i].Name]
	}
	if exists[segmentsDir] {
		return j.endTakeOver(fs, binlogs)
	}
	if len(binlogs) == 0 {
		return nil
	}
	from := importedFrom{dir: keepDir, files: binlogs}
	for n := 2; exists[from.dir]; n++ {
		from.dir = fmt.Sprintf("%s-%d", keepDir, n)
	}
	if err := j.importBinlogs(fs, from, now); err != nil {
		return fmt.Errorf("importing beanstalkd's files from %s: %w", j.opts.Dir, err)
	}
	return j.endTakeOver(fs, binlogs)
}

// importBinlogs does steps 1 and 2.
func (j *Journal) importBinlogs(fs persist.FS, from importedFrom, now int64) error {
	dir := j.path(importDir)
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	if err := fs.Mkdir(dir); err != nil {
		return err
	}
	e, err := j.readBinlogs(from.files, now)
	if err != nil {
		return err
	}
	if err := writeWhole(fs, dir, e, j.opts.SegmentSize, uint64(now)); err != nil {
		return err
	}
	if err := from.write(filepath.Join(dir, importer)); err != nil {
		return err
	}
	if err := fs.SyncDir(dir); err != nil {
		return err
	}
	if err := fs.Rename(dir, j.path(segmentsDir)); err != nil {
		return err
	}
	return fs.SyncDir(j.opts.Dir)
}

// readBinlogs returns an engine with the jobs of the files.
func (j *Journal) readBinlogs(files []persist.BinlogFile, now int64) (*queue.Engine, error) {
	e := queue.New(now)
	restorer := e.Restore(now)
	r := persist.NewBinlogReader()
	for _, f := range files {
		data, unmap, err := mapFile(j.path(f.Name))
		if err != nil {
			return nil, err
		}
		defer unmap()
		problems, err := r.Read(f.Name, data)
		if err != nil {
			return nil, err
		}
		for _, p := range problems {
			j.log.Warn("importing: what follows in this file is not whole, and lost; beanstalkd would not have restored it either",
				zap.String("file", p.File), zap.Int64("offset", p.Offset), zap.String("what", p.What))
		}
	}
	n := 0
	for rec := range r.Jobs() {
		if err := restorer.Job(rec); err != nil {
			return nil, err
		}
		n++
	}
	restorer.Seen(r.NextID() - 1)
	restorer.Finish()
	j.log.Info("importing beanstalkd's jobs", zap.Int("jobs", n), zap.Int("files", len(files)))
	return e, nil
}

// writeWhole writes all that e holds as a new journal in dir, which is empty,
// and syncs it.
func writeWhole(fs persist.FS, dir string, e *queue.Engine, segmentSize int64, seed uint64) error {
	const batch = 1000 // jobs
	k, err := persist.Open(fs, persist.Options{
		Dir: dir, SegmentSize: segmentSize, Sync: persist.SyncLater, Seed: seed, Checks: true,
	}, &persist.Recovery{Engine: e})
	if err != nil {
		return err
	}
	write := func() error {
		if b := k.Cut(); b != nil {
			if err := b.Write(); err != nil {
				return err
			}
			k.Settle(b)
		}
		for c := k.Chore(); c != nil; c = k.Chore() {
			if err := k.Done(c, c.Run()); err != nil {
				return err
			}
			if k.Full() {
				return persist.ErrFull
			}
		}
		return nil
	}
	sync := func() error {
		p := k.Unsynced()
		if p == nil {
			return nil
		}
		err := p.Sync()
		if err == nil {
			k.Synced(p.Position) // so that files can be closed
		}
		return err
	}
	n := 0
	for r := range e.Jobs() {
		k.Copy(r)
		if n++; n%batch > 0 {
			continue
		}
		err := write()
		if err == nil && n%(100*batch) == 0 {
			err = sync()
		}
		if err != nil {
			k.Abandon()
			return err
		}
	}
	k.CopyPauses()
	err = k.Finish((*persist.Batch).Write)
	if err == nil {
		err = sync()
	}
	if err != nil {
		k.Abandon()
		return err
	}
	return k.Close()
}

// endTakeOver does steps 3 and 4, if they have not been done.
func (j *Journal) endTakeOver(fs persist.FS, binlogs []persist.BinlogFile) error {
	list := filepath.Join(j.path(segmentsDir), importer)
	from, err := readImported(list)
	if err != nil {
		return err
	}
	known := map[string]int64{}
	for _, f := range from.files {
		known[f.Name] = f.Size
	}
	for _, f := range binlogs {
		if size, ok := known[f.Name]; !ok || size != f.Size {
			return fmt.Errorf("%s has a journal and also %s, which is not in it: beanstalkd seems to have been started here since; "+
				"move the directory %s away to go on with beanstalkd's jobs, or the files binlog.* to go on with the journal's",
				j.opts.Dir, f.Name, segmentsDir)
		}
	}
	if len(from.files) == 0 {
		return nil
	}
	if err := fs.Mkdir(j.path(from.dir)); err != nil {
		return err
	}
	for _, f := range binlogs {
		if err := fs.Rename(j.path(f.Name), filepath.Join(j.path(from.dir), f.Name)); err != nil {
			return err
		}
	}
	if err := errors.Join(fs.SyncDir(j.path(from.dir)), fs.SyncDir(j.opts.Dir)); err != nil {
		return err
	}
	j.log.Info("beanstalkd's files have been imported, and are kept", zap.String("directory", j.path(from.dir)))
	if err := fs.Remove(list); err != nil {
		return err
	}
	return fs.SyncDir(j.path(segmentsDir))
}

// write writes the list to a file of that name, and syncs it: a line for the
// directory, and one for each file.
func (from importedFrom) write(name string) error {
	var b strings.Builder
	fmt.Fprintln(&b, from.dir)
	for _, f := range from.files {
		fmt.Fprintln(&b, f.Name, f.Size)
	}
	file, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = file.WriteString(b.String())
	return errors.Join(err, file.Sync(), file.Close())
}

// readImported reads what write has written; nothing if there is no such file.
func readImported(name string) (from importedFrom, err error) {
	file, err := os.Open(name)
	if errors.Is(err, os.ErrNotExist) {
		return from, nil
	}
	if err != nil {
		return from, err
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		line := lines.Text()
		if from.dir == "" {
			from.dir = line
			continue
		}
		name, size, _ := strings.Cut(line, " ")
		n, err := strconv.ParseInt(size, 10, 64)
		if err != nil {
			return from, fmt.Errorf("%s: %w", file.Name(), err)
		}
		from.files = append(from.files, persist.BinlogFile{Name: name, Size: n})
	}
	return from, lines.Err()
}
