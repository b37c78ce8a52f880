package manage

import (
	"cmp"
	"context"
	"errors"
	"time"

	"spoked/queue"
)

// An Action is what a bulk operation does to each job.
type Action uint8

// The actions.
const (
	DeleteJobs Action = iota
	KickJobs
	MoveJobs
	ChangeJobs
	ReleaseJobs // from whoever has reserved them
)

// A Bulk is an action on all jobs that are searched for. Search.Limit bounds
// how many, unless it is 0; Search.Bytes has no meaning.
type Bulk struct {
	Search
	Action Action
	Change Change // with MoveJobs the tube, with ChangeJobs the rest
	DryRun bool
}

// A BulkResult is what came of a bulk operation.
type BulkResult struct {
	Matched, Changed, Skipped, Examined int

	Last     uint64 // the id that it has come to
	Complete bool   // it has come to the end
}

// mostBulkTime is how long a bulk operation goes on.
const mostBulkTime = time.Minute

// Bulk does it. A job is skipped if it is reserved, or cannot be changed like
// that. If ctx ends, or the engine has no room, it ends with an error, and what
// was done is done.
func (m *Manager) Bulk(ctx context.Context, b Bulk) (*BulkResult, error) {
	b.Bytes = -1
	b.bound(m)
	r := &BulkResult{Last: b.After}
	var batch uint64
	until := time.Now().Add(mostBulkTime)
	p := newPace()
	for !r.Complete && (b.Limit == 0 || r.Matched < b.Limit) && time.Now().Before(until) {
		newest, err := m.bulkPortion(ctx, &b, r, &p)
		if err != nil {
			return nil, err
		}
		batch = max(batch, newest)
	}
	return r, m.server.Await(ctx, batch)
}

// bulkPortion looks at some jobs, and does to those found what is to be done.
func (m *Manager) bulkPortion(ctx context.Context, b *Bulk, r *BulkResult, p *pace) (batch uint64, err error) {
	var unsearched []queue.Job
	hold := m.view
	if !b.DryRun {
		hold = func(f func(*queue.Engine, int64)) { batch = m.server.Do(f) }
	}
	var failed error
	err = m.portion(ctx, p, hold, func(e *queue.Engine, now int64) {
		var found []uint64
		found, unsearched = b.find(e, now, r, p.work)
		failed = b.apply(m, e, now, found, r)
	})
	if err = cmp.Or(err, failed); err != nil {
		return batch, err
	}
	matching, err := m.searched(ctx, b, unsearched)
	if err != nil || len(matching) == 0 {
		return batch, err
	}
	newest := m.server.Do(func(e *queue.Engine, now int64) {
		still := matching[:0] // what it was before it was read
		for _, id := range matching {
			s, err := e.JobStats(now, id)
			if err == nil && (b.Tube == "" || s.Tube == b.Tube) && (b.States == 0 || b.States.Has(s.State)) {
				still = append(still, id)
			}
		}
		err = b.apply(m, e, now, still, r)
	})
	return max(batch, newest), err
}

// find returns the jobs of a portion, and those whose bodies are in the journal
// alone and have to be searched. The mutex is held.
func (b *Bulk) find(e *queue.Engine, now int64, r *BulkResult, work int) (found []uint64, unsearched []queue.Job) {
	const stepsOfOne = 8 // a job that is changed is worth so many that are looked at
	q := queue.Query{Tube: b.Tube, States: b.States, Contains: b.Contains, Until: b.Until}
	most := work / stepsOfOne
	if b.Limit > 0 {
		most = min(most, b.Limit-r.Matched)
	}
	last, end := e.Find(now, &q, r.Last, work, func(k *queue.Found) bool {
		if k.Unsearched {
			unsearched = append(unsearched, k.Job)
		} else {
			found = append(found, k.ID)
		}
		return len(found)+len(unsearched) < most
	})
	r.Examined += min(work, int(last-r.Last))
	r.Last, r.Complete = last, end
	return found, unsearched
}

// searched returns which of these jobs have the text in their bodies.
func (m *Manager) searched(ctx context.Context, b *Bulk, jobs []queue.Job) (matching []uint64, err error) {
	for _, j := range jobs {
		l := Listed{job: j, Unsearched: true}
		fetched := 0
		matches, err := m.complete(ctx, &b.Search, &l, &fetched)
		if err != nil {
			return nil, err
		}
		if matches && !l.Unsearched {
			matching = append(matching, j.ID)
		}
	}
	return matching, nil
}

// apply does the action to jobs. The mutex is held.
func (b *Bulk) apply(m *Manager, e *queue.Engine, now int64, ids []uint64, r *BulkResult) error {
	for _, id := range ids {
		r.Matched++
		err := b.one(m, e, now, id)
		switch {
		case err == nil:
			r.Changed++
		case errors.Is(err, queue.ErrOutOfMemory):
			return err
		default:
			r.Skipped++
		}
	}
	return nil
}

// one does the action to a job, or in a dry run finds out whether it could.
func (b *Bulk) one(m *Manager, e *queue.Engine, now int64, id uint64) error {
	if b.Action == ReleaseJobs {
		if b.DryRun {
			_, err := canTakeBack(e, now, id)
			return err
		}
		return m.takeBack(e, now, id)
	}
	if b.DryRun {
		s, err := checkFree(e, now, id)
		switch {
		case err != nil:
			return err
		case b.Action == KickJobs && s.State == queue.Ready,
			b.Action == ChangeJobs && b.Change.Delay != nil && s.State == queue.Buried:
			return ErrBadState
		}
		return nil
	}
	switch b.Action {
	case DeleteJobs:
		return m.remove(e, now, id)
	case KickJobs:
		return kick(e, now, id)
	default:
		return change(e, now, id, b.Change)
	}
}
