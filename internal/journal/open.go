package journal

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"time"

	"go.uber.org/zap"

	"spoked/persist"
	"spoked/queue"
)

// Open opens the journal in a directory, which must exist and which nobody
// else may use, and restores its jobs into an engine, as of the instant now.
// If there is none, but beanstalkd has been there, its jobs are taken over.
func Open(opts Options, now int64) (*Journal, error) {
	if opts.FS == nil {
		opts.FS = persist.OS{}
	}
	j := &Journal{opts: opts, log: opts.Log, mode: opts.sync()}
	if err := j.open(now); err != nil {
		if j.lock != nil {
			j.lock.release()
		}
		return nil, err
	}
	return j, nil
}

func (j *Journal) open(now int64) (err error) {
	if info, err := os.Stat(j.opts.Dir); err != nil {
		return err
	} else if !info.IsDir() {
		return fmt.Errorf("%s is not a directory", j.opts.Dir)
	}
	if j.lock, err = takeLock(j.path(lockName)); err != nil {
		return err
	}
	if err := j.takeOver(now); err != nil {
		return err
	}
	fs, dir := j.opts.FS, j.path(segmentsDir)
	if err := fs.Mkdir(dir); err != nil {
		return err
	}
	if err := fs.SyncDir(j.opts.Dir); err != nil {
		return err
	}
	begin := time.Now()
	// Segments are read into buffers that are large, few, and not looked into.
	defer debug.SetGCPercent(debug.SetGCPercent(20))
	r, err := recoverDir(fs, dir, now, j.opts.Limits, j.opts.Progress)
	if err != nil {
		return err
	}
	j.report(r, time.Since(begin))
	debug.FreeOSMemory() // what it was read into
	j.keep, err = persist.Open(fs, persist.Options{
		Dir: dir, SegmentSize: j.opts.SegmentSize, Sync: j.mode, Seed: uint64(now),
		Checks: j.opts.Limits.Bodies != queue.AlwaysInMemory,
	}, r)
	if err != nil {
		return fmt.Errorf("%s: %w", dir, err)
	}
	j.queue = r.Engine
	return nil
}

// recoverDir restores what the segments in dir hold.
func recoverDir(fs persist.FS, dir string, now int64, limits queue.Limits, progress func(done, total int64)) (*persist.Recovery, error) {
	files, err := fs.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	l := newLoader(fs, dir, files, progress)
	r, err := persist.Recover(files, l, func() *queue.Engine {
		e := queue.New(now)
		e.SetLimits(limits)
		return e
	}, now)
	if damage, ok := errors.AsType[*persist.DamageError](err); ok {
		damage.File = filepath.Join(dir, damage.File)
		return nil, fmt.Errorf("the journal is damaged: %w", damage)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", dir, err)
	}
	return r, nil
}

func (j *Journal) report(r *persist.Recovery, took time.Duration) {
	if r.Cut != nil {
		j.log.Warn("the journal ends in the middle of a write; cut there: what is gone was not synced",
			zap.String("file", r.Cut.File), zap.Int64("offset", r.Cut.Offset), zap.Int64("bytes", r.CutBytes))
	}
	if n := r.Engine.Len(); n > 0 {
		j.log.Info("restored", zap.Int("jobs", n), zap.Duration("took", took), zap.Bool("clean", r.Stopped))
	}
}
