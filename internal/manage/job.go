package manage

import (
	"bytes"
	"context"
	"errors"
	"time"

	"spoked/queue"
)

func isGone(err error) bool { return errors.Is(err, queue.ErrNotFound) }

// A NewJob is a job to be put.
type NewJob struct {
	Tube       string
	Pri        uint32
	Delay, TTR time.Duration
	Body       []byte
}

// Put puts a job, and returns its id when the journal has it.
func (m *Manager) Put(ctx context.Context, j *NewJob) (id uint64, err error) {
	err = m.do(ctx, func(e *queue.Engine, now int64) error {
		var err error
		id, err = m.put(e, now, j)
		return err
	})
	return id, err
}

// PutMany puts jobs, and returns when the journal has them. Each has an id or an
// error at the same place. They should not be more than a few hundred, nor
// their bodies more than a few hundred KiB: the engine is held for them.
func (m *Manager) PutMany(ctx context.Context, jobs []*NewJob, ids []uint64, errs []error) error {
	return m.do(ctx, func(e *queue.Engine, now int64) error {
		for i, j := range jobs {
			ids[i], errs[i] = m.put(e, now, j)
		}
		return nil
	})
}

// put puts a job. The mutex is held.
func (m *Manager) put(e *queue.Engine, now int64, j *NewJob) (uint64, error) {
	if e.Draining() {
		return 0, queue.ErrDraining
	}
	e.Use(m.holder, []byte(j.Tube))
	defer e.Use(m.holder, []byte("default"))
	d, err := e.Begin(now, m.holder, j.Pri, j.Delay, j.TTR, uint32(len(j.Body)))
	if err != nil {
		return 0, err
	}
	copy(e.Body(&d), j.Body)
	return e.Insert(now, &d)
}

// Import makes jobs with a state, an age and counters, and returns when the
// journal has them; otherwise it is as PutMany.
func (m *Manager) Import(ctx context.Context, jobs []*queue.Imported, ids []uint64, errs []error) error {
	return m.do(ctx, func(e *queue.Engine, now int64) error {
		for i, j := range jobs {
			if e.Draining() {
				errs[i] = queue.ErrDraining
				continue
			}
			ids[i], errs[i] = e.Import(now, j)
		}
		return nil
	})
}

// Job returns a job, with so many bytes of its body at most, or none if that is
// less than 0.
func (m *Manager) Job(ctx context.Context, id uint64, most int) (*Listed, error) {
	return m.look(ctx, most, func(e *queue.Engine) (queue.Job, error) { return e.Peek(id) })
}

// Peek returns the job of a tube that is next in a state: ready, delayed or
// buried.
func (m *Manager) Peek(ctx context.Context, tube string, s queue.State, most int) (*Listed, error) {
	return m.look(ctx, most, func(e *queue.Engine) (queue.Job, error) {
		if _, err := e.TubeStats(0, []byte(tube)); err != nil {
			return queue.Job{}, err
		}
		e.Use(m.holder, []byte(tube))
		defer e.Use(m.holder, []byte("default"))
		switch s {
		case queue.Ready:
			return e.PeekReady(m.holder)
		case queue.Delayed:
			return e.PeekDelayed(m.holder)
		default:
			return e.PeekBuried(m.holder)
		}
	})
}

// look returns what f finds.
func (m *Manager) look(ctx context.Context, most int, f func(e *queue.Engine) (queue.Job, error)) (*Listed, error) {
	l := &Listed{}
	var err error
	m.server.View(func(e *queue.Engine, now int64) {
		if l.job, err = f(e); err != nil {
			return
		}
		l.Size = uint32(len(l.job.Body)) + l.job.Stored
		if most > 0 {
			l.Body = bytes.Clone(l.job.Body[:min(len(l.job.Body), most)])
		}
		l.job.Body = nil
		l.JobStats, err = e.JobStats(now, l.job.ID)
	})
	if err == nil && most > 0 && l.job.Stored > 0 {
		if l.Body, err = m.server.Fetch(ctx, l.job); err == nil {
			l.Body = l.Body[:min(len(l.Body), most)]
		}
	}
	if err != nil {
		return nil, err
	}
	return l, m.Settle(ctx)
}

// checkFree returns the stats of a job, and queue.ErrReserved if somebody has
// it.
func checkFree(e *queue.Engine, now int64, id uint64) (queue.JobStats, error) {
	s, err := e.JobStats(now, id)
	if err == nil && s.State == queue.Reserved {
		err = queue.ErrReserved
	}
	return s, err
}

// Delete deletes a job that is not reserved.
func (m *Manager) Delete(ctx context.Context, id uint64) error {
	return m.do(ctx, func(e *queue.Engine, now int64) error { return m.remove(e, now, id) })
}

func (m *Manager) remove(e *queue.Engine, now int64, id uint64) error {
	if _, err := checkFree(e, now, id); err != nil {
		return err
	}
	return e.Delete(now, m.holder, id)
}

// KickJob makes a buried or delayed job ready. The error is ErrBadState if it is
// ready.
func (m *Manager) KickJob(ctx context.Context, id uint64) error {
	return m.do(ctx, func(e *queue.Engine, now int64) error { return kick(e, now, id) })
}

// ErrBadState says that a job is not in a state for what was asked.
var ErrBadState = errors.New("manage: the job is not in a state for that")

func kick(e *queue.Engine, now int64, id uint64) error {
	s, err := checkFree(e, now, id)
	if err == nil && s.State == queue.Ready {
		err = ErrBadState
	}
	if err != nil {
		return err
	}
	return e.KickJob(now, id)
}

// A Change is what a job is to have. Nil members stay.
type Change struct {
	Pri   *uint32
	Delay *time.Duration
	Tube  *string
}

// Change changes a job that is not reserved: all of it or nothing, unless the
// journal has no room for the second half. It returns what the job was right after
// that, without its body: it may be somebody's, or gone, by now.
func (m *Manager) Change(ctx context.Context, id uint64, c Change) (*Listed, error) {
	l := &Listed{}
	err := m.do(ctx, func(e *queue.Engine, now int64) error {
		if err := change(e, now, id, c); err != nil {
			return err
		}
		job, err := e.Peek(id)
		if err != nil {
			return err
		}
		l.Size = uint32(len(job.Body)) + job.Stored
		l.JobStats, err = e.JobStats(now, id)
		return err
	})
	if err != nil {
		return nil, err
	}
	return l, nil
}

// change does it in an order in which nobody can get the job half-way: a delay
// comes before the job goes into another tube, and its end after that, for there or
// here somebody may wait for it.
func change(e *queue.Engine, now int64, id uint64, c Change) error {
	s, err := checkFree(e, now, id)
	if err != nil {
		return err
	}
	if c.Delay != nil && s.State == queue.Buried {
		return queue.ErrBuried
	}
	first, last := queue.Change{Pri: c.Pri, Delay: c.Delay}, queue.Change{}
	if c.Tube != nil && s.State == queue.Delayed && c.Delay != nil && *c.Delay <= 0 {
		first.Delay, last.Delay = nil, c.Delay
	}
	if first != (queue.Change{}) {
		if err := e.Change(now, id, first); err != nil {
			return err
		}
	}
	if c.Tube != nil {
		if err := e.Move(now, id, []byte(*c.Tube)); err != nil {
			return err
		}
	}
	if last != (queue.Change{}) {
		return e.Change(now, id, last)
	}
	return nil
}
