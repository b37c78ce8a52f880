package manage

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"time"

	"spoked/queue"
)

// guest is what belongs to a client of the engine that is no connection.
type guest struct {
	woken chan queue.Wake // has room for the one that can come
}

func newGuest() *guest { return &guest{make(chan queue.Wake, 1)} }

// Woken takes the end of a wait. The server's mutex is held.
func (g *guest) Woken(_ int64, w queue.Wake) {
	w.Job.Body = bytes.Clone(w.Job.Body)
	g.woken <- w
}

// Wanted says what to reserve.
type Wanted struct {
	Tubes []string // at least one
	Wait  time.Duration
	Count int // at most so many jobs, at least 1
}

// A Held is a job that was reserved.
type Held struct {
	queue.JobStats
	Body  []byte // the caller's
	Lease string // once it is leased

	job queue.Job // with a copy of the body, or without one
}

// A Reservation is jobs that have been reserved and are nobody's yet. Lease,
// Delete or Return must follow.
type Reservation struct {
	Jobs []Held

	manager *Manager
	client  *queue.Client // has them; nil when they have been let go
	guest   *guest
	bytes   int // of bodies
	batch   uint64
	leased  bool
}

const (
	// A reserve of many takes no further job when the bodies have so many bytes,
	mostReserved = 16 << 20
	// and holds the mutex for so many of them at a time, and so many jobs.
	portionBytes = 256 << 10
	portionJobs  = 128
)

// Reserve reserves jobs, and waits for the first of them. There are none if
// there was none in time, or if the manager stops. If ctx ends, what was
// reserved goes back at once.
func (m *Manager) Reserve(ctx context.Context, w Wanted) (*Reservation, error) {
	if w.Wait > 0 {
		select {
		case m.waits <- struct{}{}:
			defer func() { <-m.waits }()
		default:
			return nil, ErrTooMany
		}
	}
	r := &Reservation{manager: m, guest: newGuest()}
	for wait := w.Wait; len(r.Jobs) < w.Count && r.bytes < mostReserved; wait = 0 {
		more, err := r.take(ctx, w, wait)
		if err != nil {
			r.Return()
			return nil, err
		}
		if !more {
			break
		}
	}
	return r, r.load(ctx)
}

// ReserveJob reserves one job in whatever tube and state it is. The error is
// that of the engine.
func (m *Manager) ReserveJob(ctx context.Context, id uint64) (*Reservation, error) {
	r := &Reservation{manager: m, guest: newGuest()}
	var err error
	r.batch = m.server.Do(func(e *queue.Engine, now int64) {
		var job queue.Job
		if _, err = checkFree(e, now, id); err != nil {
			return
		}
		r.attach(e)
		if job, err = e.ReserveJob(now, r.client, id); err == nil {
			r.add(job)
		}
	})
	if err != nil {
		r.Return()
		return nil, err
	}
	return r, r.load(ctx)
}

// attach makes the client that reserves.
func (r *Reservation) attach(e *queue.Engine) {
	r.client = e.Attach()
	r.client.Data = r.guest
}

// take reserves a portion of what is wanted, and waits if there is nothing. It
// reports whether there may be more.
func (r *Reservation) take(ctx context.Context, w Wanted, wait time.Duration) (more bool, err error) {
	outcome := queue.TimedOut // if the server has ended
	r.batch = r.manager.server.Do(func(e *queue.Engine, now int64) {
		if r.client == nil {
			r.attach(e)
			watch(e, r.client, w.Tubes)
		}
		for n, most := 0, r.bytes+portionBytes; n < portionJobs && len(r.Jobs) < w.Count && r.bytes < most; n++ {
			var job queue.Job
			if job, outcome = e.Reserve(now, r.client, wait); outcome != queue.Given {
				return
			}
			wait = 0
			r.add(job)
		}
	})
	if outcome != queue.Waiting {
		return outcome == queue.Given, nil
	}
	select {
	case k := <-r.guest.woken:
		if k.Outcome != queue.Given {
			return false, nil
		}
		r.keep(k.Job)
		return true, nil
	case <-ctx.Done():
		return false, context.Cause(ctx)
	case <-r.manager.stopping:
		return false, ErrStopping
	}
}

// watch has c watch these tubes and no others.
func watch(e *queue.Engine, c *queue.Client, tubes []string) {
	byDefault := true
	for _, t := range tubes {
		e.Watch(c, []byte(t))
		byDefault = byDefault && t != "default"
	}
	if byDefault {
		_ = e.Ignore(c, []byte("default")) // it watches another
	}
}

// add notes a job that has been reserved just now.
func (r *Reservation) add(j queue.Job) {
	j.Body = bytes.Clone(j.Body)
	r.keep(j)
}

// keep notes a job the body of which is ours.
func (r *Reservation) keep(j queue.Job) {
	r.Jobs = append(r.Jobs, Held{job: j, Body: j.Body})
	r.bytes += len(j.Body) + int(j.Stored)
}

// load gets the bodies that are in the journal alone, and waits for the journal
// to know of the jobs. If it fails, they go back.
func (r *Reservation) load(ctx context.Context) (err error) {
	defer func() {
		if err != nil {
			r.Return()
		}
	}()
	kept := r.Jobs[:0]
	for _, h := range r.Jobs {
		if h.job.Stored > 0 {
			h.Body, err = r.manager.server.Fetch(ctx, h.job)
			switch {
			case err == nil:
			case errors.Is(err, queue.ErrNotFound): // deleted by others, who may
				continue
			case ctx.Err() != nil:
				return err
			default: // it cannot be read, and would come back to everybody in turn
				r.setAside(h.job.ID)
				continue
			}
		}
		kept = append(kept, h)
	}
	r.Jobs = kept
	return r.manager.server.Await(ctx, r.batch)
}

// setAside buries a job of which the body cannot be read.
func (r *Reservation) setAside(id uint64) {
	r.manager.server.Do(func(e *queue.Engine, now int64) {
		if s, err := e.JobStats(now, id); err == nil && s.Owner == r.client {
			_ = e.Bury(r.client, id, s.Pri) // without room in the journal it stays reserved, and goes back
		}
	})
}

// Lease has the jobs be reserved under leases from now on. Those that the
// reservation has lost in the meantime, because their time has run out, are
// left out.
func (r *Reservation) Lease() {
	m := r.manager
	r.each(func(e *queue.Engine, now int64, s *queue.JobStats) bool {
		return e.Hand(now, r.client, m.holder, s.ID) == nil
	})
	r.leased = true
	for i := range r.Jobs {
		h := &r.Jobs[i]
		h.Lease = m.lease(h.ID, h.Reserves)
	}
}

// Delete deletes the jobs. Those that the reservation has lost in the meantime
// are left out.
func (r *Reservation) Delete(ctx context.Context) error {
	batch := r.each(func(e *queue.Engine, now int64, s *queue.JobStats) bool {
		return e.Delete(now, r.client, s.ID) == nil
	})
	return r.manager.server.Await(ctx, batch)
}

// each calls f for the jobs that the reservation still has, keeps those for which
// it returns true, and lets the client go. The mutex is held for a portion of them
// at a time. It returns the batch that has what was done.
func (r *Reservation) each(f func(e *queue.Engine, now int64, s *queue.JobStats) bool) (batch uint64) {
	kept, left := r.Jobs[:0], r.Jobs
	for done := false; !done; {
		n := min(len(left), portionJobs)
		done = n == len(left)
		newest := r.manager.server.Do(func(e *queue.Engine, now int64) {
			for _, h := range left[:n] {
				s, err := e.JobStats(now, h.job.ID)
				if err != nil || s.Owner != r.client || !f(e, now, &s) {
					continue
				}
				h.JobStats = s
				kept = append(kept, h)
			}
			if done {
				r.leave(e, now)
			}
		})
		left, batch = left[n:], max(batch, newest)
	}
	r.Jobs = kept
	return batch
}

// Return makes the jobs ready again, also those that are leased; not those that
// are deleted.
func (r *Reservation) Return() {
	m := r.manager
	if r.client != nil {
		m.server.Do(r.leave)
	} else if r.leased {
		for jobs := range slices.Chunk(r.Jobs, portionJobs) {
			m.server.Do(func(e *queue.Engine, now int64) {
				r.attach(e)
				for _, h := range jobs {
					if s, err := e.JobStats(now, h.ID); err == nil && s.Owner == m.holder && s.Reserves == h.Reserves {
						_ = e.Hand(now, m.holder, r.client, h.ID) // it has the job
					}
				}
				r.leave(e, now)
			})
		}
	}
	r.leased = false
}

// leave ends the client, and what it still has is ready again.
func (r *Reservation) leave(e *queue.Engine, now int64) {
	if r.client != nil {
		e.Disconnect(now, r.client)
		r.client = nil
	}
}
