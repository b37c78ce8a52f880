package manage

import (
	"context"

	"spoked/queue"
)

// chosenAtOnce is how many jobs are changed while the mutex is held.
const chosenAtOnce = 64

// Chosen does b's action to the jobs with these ids, whatever b's Search says. A
// job that is not there counts as skipped. Otherwise it is as Bulk.
func (m *Manager) Chosen(ctx context.Context, ids []uint64, b Bulk) (*BulkResult, error) {
	r := &BulkResult{Examined: len(ids), Complete: true}
	var batch uint64
	p := newPace()
	hold := m.view
	if !b.DryRun {
		hold = func(f func(*queue.Engine, int64)) { batch = m.server.Do(f) }
	}
	for len(ids) > 0 {
		n := min(len(ids), chosenAtOnce)
		var failed error
		err := m.portion(ctx, &p, hold, func(e *queue.Engine, now int64) { failed = b.apply(m, e, now, ids[:n], r) })
		if err != nil {
			return nil, err
		}
		if failed != nil {
			return nil, failed
		}
		ids = ids[n:]
	}
	return r, m.server.Await(ctx, batch)
}

// takeBack makes a reserved job ready, whoever has it. Its owner finds it gone.
func (m *Manager) takeBack(e *queue.Engine, now int64, id uint64) error {
	s, err := canTakeBack(e, now, id)
	if err != nil {
		return err
	}
	if s.Owner != m.holder {
		if err := e.Hand(now, s.Owner, m.holder, id); err != nil {
			return err
		}
	}
	return e.Release(now, m.holder, id, s.Pri, 0)
}

// canTakeBack returns the stats of a job, and ErrBadState if nobody has it.
func canTakeBack(e *queue.Engine, now int64, id uint64) (queue.JobStats, error) {
	s, err := e.JobStats(now, id)
	if err == nil && s.State != queue.Reserved {
		err = ErrBadState
	}
	return s, err
}
