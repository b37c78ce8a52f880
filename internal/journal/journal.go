// Package journal runs a persist.Journal beside a server: it opens a directory,
// taking over what beanstalkd has left in it, writes what the server's turns
// record, syncs it from a thread of its own, and does the chores.
package journal

import (
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"spoked/persist"
	"spoked/queue"
)

// Options say how a journal is kept.
type Options struct {
	Dir         string
	SegmentSize int64         // bytes
	Interval    time.Duration // at most so much of what was acknowledged is not durable; 0: nothing
	Never       bool          // never sync
	Log         *zap.Logger
	Progress    func(done, total int64) // told how many bytes of the journal have been read
	FS          persist.FS              // of the segments; nil is the system's
	Limits      queue.Limits            // of the engine
}

func (o *Options) sync() persist.Sync {
	switch {
	case o.Never:
		return persist.SyncNever
	case o.Interval == 0:
		return persist.SyncAlways
	}
	return persist.SyncLater
}

// A Journal is the journal of a running server. All of its methods but Settled
// need the server's mutex to be held, unless they say otherwise.
type Journal struct {
	opts  Options
	log   *zap.Logger
	lock  *lock
	keep  *persist.Journal
	queue *queue.Engine
	mode  persist.Sync

	settled atomic.Uint64 // batches; replies that depend on later ones wait

	underWay int        // writes, syncs and chores that are done without the mutex
	quiet    *sync.Cond // there is one less

	// Set by Start:
	mu     sync.Locker // the server's
	notify func()
	attend func()
	fail   func(error)

	failed   bool
	ended    bool // no batch will follow
	bell     bell // for the syncer
	syncing  bool // the syncer has something to do, or is about to look
	chores   chan *persist.Chore
	group    sync.WaitGroup
	tick     *time.Timer // cleaning while nothing else happens
	ticking  bool
	retry    *time.Timer // of what has failed for want of room
	retrying bool
	full     bool // the log says so
	bodies   bodies
	did      uint64          // chores
	syncs    queue.Histogram // how long they took
	lastSync time.Time       // when the last of them ended

	// SyncLater:
	written  uint64        // newest batch written
	since    time.Time     // when the first write that no pass covers was made; zero if there is none
	passing  time.Time     // the same of those that the pass under way covers
	lasts    time.Duration // a pass, judged by those before
	hurrying bool          // the next pass is not to wait
	needed   int64         // bytes that the jobs have needed lately,
	asOf     time.Time     // by then
}

// Names in the directory.
const (
	segmentsDir = "journal"
	lockName    = "lock"
)

// tickTime is how often cleaning goes on while nothing else happens.
const tickTime = 10 * time.Millisecond

// retryTime is how long a full disk is left alone.
const retryTime = time.Second

// Engine returns the engine that the journal is of.
func (j *Journal) Engine() *queue.Engine { return j.queue }

// Start begins the journal's work for a server whose mutex is mu. The function
// notify is called when Settled has grown by itself, attend when a Fetch has
// ended, and fail, once, when something could not be written, which ends all: no
// reply that depends on it may leave. They are called with mu held.
func (j *Journal) Start(mu sync.Locker, notify, attend func(), fail func(error)) error {
	j.mu, j.notify, j.attend, j.fail = mu, notify, attend, fail
	j.quiet = sync.NewCond(mu)
	j.chores = make(chan *persist.Chore, 1)
	j.tick = time.AfterFunc(time.Hour, j.tock)
	j.tick.Stop()
	j.retry = time.AfterFunc(time.Hour, j.tryAgain)
	j.retry.Stop()
	j.group.Go(j.work)
	if j.mode == persist.SyncNever {
		return nil
	}
	if j.mode == persist.SyncLater {
		j.bell = newParkBell()
		j.group.Go(j.syncLater)
		return nil
	}
	var err error
	if j.bell, err = newThreadBell(); err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	j.group.Go(j.syncAlways)
	return nil
}

// Newest returns the number of the batch up to which everything must be
// settled for what the engine is now to be known to clients.
func (j *Journal) Newest() uint64 { return j.keep.Newest() }

// Pending reports whether something about a job is not settled.
func (j *Journal) Pending(id uint64) bool { return j.keep.Pending(id) }

// Settled returns the number of the newest batch that is settled. It needs no
// mutex.
func (j *Journal) Settled() uint64 { return j.settled.Load() }

// Stats returns the journal's figures.
func (j *Journal) Stats() persist.Stats { return j.keep.Stats() }

// Figures are what there is to know of a journal that runs.
type Figures struct {
	persist.Stats
	Newest, Settled uint64          // batches: begun, and those that replies do not wait for any more
	Syncs           queue.Histogram // how long they took
	LastSync        time.Time       // when the last of them ended; zero if there was none
	Chores          uint64          // works on files beside the log that have been done
	Fetches         int             // bodies that are being read, or are to be
	Failed          bool            // something could not be written or synced
}

// Figures returns the journal's figures. O(segments).
func (j *Journal) Figures() Figures {
	return Figures{
		Stats: j.keep.Stats(), Newest: j.keep.Newest(), Settled: j.settled.Load(),
		Syncs: j.syncs, LastSync: j.lastSync, Chores: j.did, Fetches: len(j.bodies.fetches) + j.bodies.busy, Failed: j.failed,
	}
}

// tookSync counts a sync, which has just ended.
func (j *Journal) tookSync(d time.Duration) {
	j.syncs.Add(d)
	j.lastSync = time.Now()
}

// Commit ends a turn: what it has recorded is written, or given to the syncer.
// It must be called before replies leave. If nobody but those who wait for it
// has anything to do, alone, it is synced at once: that spares them the way to
// another thread and back.
func (j *Journal) Commit(alone bool) {
	if j.failed || j.ended {
		return
	}
	if j.mode == persist.SyncAlways {
		switch {
		case j.syncing || !j.keep.Dirty():
		case alone:
			j.syncNow(j.keep.Cut())
		default:
			j.syncing = true
			j.bell.ring()
		}
	} else if b := j.keep.Cut(); b != nil {
		if err := b.Write(); err != nil {
			j.giveUp(err)
			return
		}
		j.wrote(b.Number)
		j.keep.Settle(b)
	}
	j.relieve()
	if !j.failed && !j.ended {
		j.lookAround()
	}
}

// relieve makes room on a full disk, as long as clients would be refused for
// want of it otherwise. They wait meanwhile: that is better than no.
func (j *Journal) relieve() {
	if !j.keep.Cramped() {
		return
	}
	for j.underWay > 0 && !j.failed && !j.ended {
		j.quiet.Wait()
	}
	s := j.keep.Stats()
	reads := int(s.Disk >> 20) // which cleaning may wait for, a megabyte at a time
	for n := s.Segments + 1 + reads; n > 0 && j.keep.Cramped() && !j.failed && !j.ended; n-- {
		b := j.keep.Cut()
		did := j.syncNow(b) || b != nil
		for c := j.keep.Chore(); c != nil && !j.failed; c = j.keep.Chore() {
			did = true
			j.did++
			if err := j.keep.Done(c, c.Run()); err != nil {
				j.giveUp(err)
			}
		}
		if !did {
			break
		}
	}
	if !j.failed && !j.ended {
		j.keep.Relieved()
		j.notify()
	}
}

// began and done bracket what is done without the mutex.
func (j *Journal) began() { j.underWay++ }

func (j *Journal) done() {
	j.underWay--
	j.quiet.Broadcast()
}

// lookAround starts what is to be done besides.
func (j *Journal) lookAround() {
	if c := j.keep.Chore(); c != nil {
		j.began()
		j.chores <- c // there is never more than one
	}
	if !j.ticking && j.keep.CleaningDue() {
		j.ticking = true
		j.tick.Reset(tickTime)
	}
	full := j.keep.Full()
	if full != j.full {
		j.full = full
		if full {
			j.log.Warn("the disk is full: puts are refused, and changes of jobs when what is left is used up; deletes make room")
		} else {
			j.log.Info("the disk has room again")
		}
	}
	if !j.retrying && (full || j.keep.GivenUp()) {
		j.retrying = true
		j.retry.Reset(retryTime)
	}
}

// tryAgain has what failed for want of room, or of a file descriptor, tried
// again.
func (j *Journal) tryAgain() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.retrying = false
	if !j.failed && !j.ended {
		j.keep.Retry()
		j.lookAround()
	}
}

// tock cleans on.
func (j *Journal) tock() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.ticking = false
	if j.mode == persist.SyncAlways && !j.syncing && !j.failed && !j.ended && j.keep.CleaningDue() {
		j.syncing = true
		j.bell.ring()
	}
	j.Commit(false)
}

// giveUp ends all because of err.
func (j *Journal) giveUp(err error) {
	if !j.failed {
		j.failed = true
		j.fail(fmt.Errorf("%w: %w", ErrFailed, err))
	}
}

// work does the chores.
func (j *Journal) work() {
	for c := range j.chores {
		err := c.Run()
		j.mu.Lock()
		j.done()
		j.did++
		j.bodies.forget(j.keep.Oldest())
		if fatal := j.keep.Done(c, err); fatal != nil {
			j.giveUp(fatal)
		} else if err != nil {
			j.log.Debug("put off", zap.String("chore", c.What), zap.Error(err))
		}
		if !j.failed && !j.ended {
			j.lookAround()
		}
		j.mu.Unlock()
	}
}

// syncAlways writes and syncs all that has been recorded, again and again:
// what comes while it does is one batch.
func (j *Journal) syncAlways() {
	runtime.LockOSThread() // which the bell wakes; it ends with the goroutine
	defer j.bell.close()
	for j.bell.wait() {
		j.mu.Lock()
		for b := j.cut(); b != nil; b = j.cut() {
			j.began()
			j.mu.Unlock()
			begin := time.Now()
			err := b.WriteSync()
			took := time.Since(begin)
			j.mu.Lock()
			j.done()
			j.tookSync(took)
			j.synced(b, err)
		}
		j.syncing = false
		if !j.failed && !j.ended {
			j.lookAround()
		}
		j.mu.Unlock()
	}
}

// syncNow writes b, unless it is nil, and syncs all that was written, unless
// that is never done. It reports whether it has synced anything.
func (j *Journal) syncNow(b *persist.Batch) bool {
	if j.mode == persist.SyncAlways {
		if b != nil {
			begin := time.Now()
			err := b.WriteSync()
			j.tookSync(time.Since(begin))
			j.synced(b, err)
		}
		return b != nil
	}
	if b != nil {
		if err := b.Write(); err != nil {
			j.giveUp(err)
			return false
		}
		j.written = b.Number
		j.keep.Settle(b)
	}
	p := j.keep.Unsynced()
	if p != nil && j.mode == persist.SyncLater {
		begin := time.Now()
		if err := p.Sync(); err != nil {
			j.giveUp(err)
			return false
		}
		j.tookSync(time.Since(begin))
		j.keep.Synced(p.Position)
	}
	j.settled.Store(j.written)
	return p != nil && j.mode == persist.SyncLater
}

// synced takes note of how writing and syncing b has ended.
func (j *Journal) synced(b *persist.Batch, err error) {
	if err != nil {
		j.giveUp(err)
		return
	}
	j.settled.Store(b.Number)
	j.keep.Settle(b)
	j.notify()
}

func (j *Journal) cut() *persist.Batch {
	if j.failed {
		return nil
	}
	return j.keep.Cut()
}

// wrote takes note that a batch has been written. It counts as settled, unless
// something that was written before has not been synced for longer than it
// may: then the disk is too slow, and clients have to wait for it. So they have
// if the files get too large because segments cannot go before the sync, and not
// merely because many jobs have gone.
func (j *Journal) wrote(batch uint64) {
	j.written = batch
	if j.mode == persist.SyncNever {
		j.settled.Store(batch)
		return
	}
	now := time.Now()
	if j.since.IsZero() {
		j.since = now
	}
	lately, over := j.lately(now), j.keep.Over(0)
	if !j.overdue(now) && !(over && j.keep.Over(lately)) {
		held := j.settled.Load()+1 < batch
		j.settled.Store(batch)
		if held {
			j.notify() // replies wait for the batches before
		}
	}
	if !j.syncing {
		j.syncing = true
		j.bell.ring()
	}
	if (over || j.keep.Waiting()) && !j.hurrying {
		j.hurrying = true
		j.bell.ring()
	}
}

// fadeTime is how long it takes to forget how many bytes jobs have needed that have
// gone, or most of it.
const fadeTime = 10 * time.Second

// lately returns how many bytes the jobs have needed at most, lately.
func (j *Journal) lately(now time.Time) int64 {
	j.needed, j.asOf = faded(j.needed, j.keep.Needed(), now.Sub(j.asOf)), now
	return j.needed
}

// faded returns what is remembered of so many bytes after a while, in which fewer came
// to be needed, or more.
func faded(bytes, needed int64, after time.Duration) int64 {
	if bytes <= needed {
		return needed
	}
	gone := float64(bytes - needed)
	return needed + int64(gone*(1-min(1, after.Seconds()/fadeTime.Seconds())))
}

func (j *Journal) overdue(now time.Time) bool {
	oldest := j.passing
	if oldest.IsZero() {
		oldest = j.since
	}
	return !oldest.IsZero() && now.Sub(oldest) > j.opts.Interval
}

// SetInterval changes the longest that a record waits for its sync, and reports
// whether it could: from no sync, and from one before each reply, there is no way to
// another mode, nor to them.
func (j *Journal) SetInterval(d time.Duration) bool {
	if j.mode != persist.SyncLater || d <= 0 {
		return false
	}
	j.opts.Interval = d
	if j.syncing && !j.hurrying {
		j.hurrying = true
		j.bell.ring() // it may be asleep for what was the interval
	}
	return true
}

// syncLater syncs what has been written before the interval since the first
// write ends, by as much as that is likely to take, and half as much again.
func (j *Journal) syncLater() {
	defer j.bell.close()
	for j.bell.wait() {
		j.mu.Lock()
		interval := j.opts.Interval
		age := time.Duration(0)
		if !j.since.IsZero() {
			age = time.Since(j.since)
		}
		j.mu.Unlock()
		j.bell.sleep(max(interval/4, interval-interval/10-j.lasts*3/2-age))
		j.mu.Lock()
		j.hurrying = false
		p := j.keep.Unsynced()
		j.passing, j.since = j.since, time.Time{}
		j.began()
		j.mu.Unlock()
		begin := time.Now()
		var err error
		if p != nil {
			err = p.Sync()
		}
		took := time.Since(begin)
		j.lasts = max(took, j.lasts*15/16)
		j.mu.Lock()
		j.done()
		if p != nil {
			j.tookSync(took)
		}
		j.passed(p, err)
		j.mu.Unlock()
	}
}

// passed takes note of how a pass has ended.
func (j *Journal) passed(p *persist.Pass, err error) {
	if err != nil {
		j.giveUp(err)
		return
	}
	if p != nil {
		j.keep.Synced(p.Position)
	}
	j.passing = time.Time{}
	j.syncing = false
	if !j.failed && j.settled.Load() < j.written && !j.overdue(time.Now()) {
		j.settled.Store(j.written)
		j.notify()
	}
	if j.failed || j.ended {
		return
	}
	if !j.since.IsZero() {
		j.syncing = true
		j.bell.ring()
	}
	j.lookAround()
}

// Stop ends the journal when the server has ended, and makes durable what
// there is. It needs no mutex to be held, and takes it itself.
func (j *Journal) Stop() error {
	if j.mu == nil {
		return j.close()
	}
	j.mu.Lock()
	j.ended = true
	j.quiet.Broadcast()
	j.tick.Stop()
	j.retry.Stop()
	j.mu.Unlock()
	close(j.chores)
	if j.mode != persist.SyncNever {
		j.bell.end()
	}
	j.group.Wait()
	j.mu.Lock()
	defer j.mu.Unlock()
	j.bodies.forget(math.MaxUint64)
	return j.close()
}

// close writes the last batch and lets go of the directory.
func (j *Journal) close() error {
	defer j.lock.release()
	if j.failed {
		j.keep.Abandon()
		return nil // Start's fail was told
	}
	write := (*persist.Batch).WriteSync
	if j.mode == persist.SyncNever {
		write = (*persist.Batch).Write
	}
	if err := j.keep.Finish(write); err != nil {
		j.keep.Abandon()
		return fmt.Errorf("%w: %w", ErrFailed, err)
	}
	if j.mode == persist.SyncLater {
		if p := j.keep.Unsynced(); p != nil {
			if err := p.Sync(); err != nil {
				j.keep.Abandon()
				return fmt.Errorf("%w: %w", ErrFailed, err)
			}
		}
	}
	if err := j.keep.Close(); err != nil {
		return fmt.Errorf("%w: %w", ErrFailed, err)
	}
	return nil
}

var (
	// ErrInUse is the error of a directory that another server uses.
	ErrInUse = errors.New("another server uses it")
	// ErrFailed is the error of a journal that could not be written or synced.
	ErrFailed = errors.New("journal")
)

func (j *Journal) path(name string) string { return filepath.Join(j.opts.Dir, name) }
