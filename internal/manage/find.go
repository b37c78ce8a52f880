package manage

import (
	"bytes"
	"cmp"
	"context"
	"time"

	"spoked/queue"
)

// Search says which jobs to list.
type Search struct {
	Tube     string // "" is any
	States   queue.StateSet
	Contains []byte        // in the body
	After    uint64        // an id; those above it
	Until    uint64        // an id; those below it; 0 is all there are now
	Limit    int           // jobs, at least 1
	Patience time.Duration // how long it may take; 0 is ten seconds
	Bytes    int           // of each body at most; less than 0 for none, MaxInt for all
}

// A Listed is a job in a list.
type Listed struct {
	queue.JobStats
	Size       uint32 // bytes of the whole body
	Body       []byte // the caller's; its beginning, if it is longer than asked for
	Unsearched bool   // the body could not be read

	job queue.Job // without the body, if that has to be fetched
}

// A List is a part of the jobs that there are.
type List struct {
	Jobs     []Listed
	Last     uint64 // the id that the search has come to
	Complete bool   // there are no more
	Examined int    // jobs, about
}

// Bounds of one search.
const (
	mostExamined = 5_000_000
	mostTime     = 10 * time.Second
	mostListed   = 16 << 20 // bytes of bodies
	mostFetched  = 64 << 20 // bytes of bodies that are in the journal alone
)

// tellTime is about how long a job of a list keeps a processor busy that those need who
// are to be left alone: it becomes JSON, goes through a socket, and is read.
const tellTime = 2 * time.Microsecond

// Jobs returns the first jobs that s asks for. It ends early, with a list that is
// not complete, when it has looked at as much as it may, and with ctx's error
// when ctx ends.
func (m *Manager) Jobs(ctx context.Context, s Search) (*List, error) {
	l := &List{Last: s.After, Jobs: []Listed{}}
	err := m.each(ctx, s, l, tellTime, func(j *Listed) bool {
		l.Jobs = append(l.Jobs, *j)
		return len(l.Jobs) < s.Limit
	})
	if err != nil {
		return nil, err
	}
	return l, nil
}

// Each calls f for all jobs that s asks for, without a bound on how long it
// takes, until f returns an error. What a job is, it was at some moment of that.
func (m *Manager) Each(ctx context.Context, s Search, f func(*Listed) error) error {
	l := &List{Last: s.After}
	for !l.Complete {
		var err error
		l.Examined = 0
		if e := m.each(ctx, s, l, 0, func(j *Listed) bool {
			err = f(j)
			return err == nil
		}); e != nil {
			return e
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// each calls f for the jobs that s asks for above l.Last, and keeps the rest of
// l, until f returns false or a bound is reached. A job found counts as so much
// time more.
func (m *Manager) each(ctx context.Context, s Search, l *List, more time.Duration, f func(*Listed) bool) error {
	s.bound(m)
	p := newPace()
	var found []Listed
	until := time.Now().Add(cmp.Or(s.Patience, mostTime))
	total, fetched := 0, 0
	for {
		found = found[:0]
		end := false
		err := m.portion(ctx, &p, m.view, func(e *queue.Engine, now int64) {
			found, end = s.portion(e, now, p.work, l, found)
			p.besides = time.Duration(len(found)) * more
		})
		if err == nil && len(found) > 0 {
			err = m.Settle(ctx)
		}
		if err != nil {
			return err
		}
		for i := range found {
			j := &found[i]
			matches, err := m.complete(ctx, &s, j, &fetched)
			if err != nil {
				return err
			}
			total += len(j.Body)
			if matches && !f(j) || total >= mostListed || fetched >= mostFetched {
				// What lies behind it will be looked at again.
				l.Last = j.ID
				l.Complete = end && i == len(found)-1
				return nil
			}
		}
		if l.Complete = end; end || l.Examined >= mostExamined || time.Now().After(until) {
			return nil
		}
	}
}

// bound has s end with the jobs that there are now.
func (s *Search) bound(m *Manager) {
	if s.Until == 0 {
		m.server.View(func(e *queue.Engine, _ int64) { s.Until = e.NextID() })
	}
}

// portion adds to found what is found in a portion. The mutex is held.
func (s *Search) portion(e *queue.Engine, now int64, work int, l *List, found []Listed) (_ []Listed, end bool) {
	q := queue.Query{Tube: s.Tube, States: s.States, Contains: s.Contains, Until: s.Until}
	room := portionBytes
	last, end := e.Find(now, &q, l.Last, work, func(k *queue.Found) bool {
		j := Listed{JobStats: k.JobStats, Size: uint32(len(k.Job.Body)) + k.Job.Stored, Unsearched: k.Unsearched}
		if k.Job.Stored > 0 {
			j.job = k.Job
		} else if s.Bytes > 0 {
			j.Body = bytes.Clone(k.Job.Body[:min(len(k.Job.Body), s.Bytes)])
			room -= len(j.Body)
		}
		found = append(found, j)
		return room > 0
	})
	l.Examined += min(work, int(last-l.Last))
	l.Last = last
	return found, end
}

// complete gets the body of j, if it is needed and in the journal alone, and
// reports whether j is what is searched for.
func (m *Manager) complete(ctx context.Context, s *Search, j *Listed, fetched *int) (matches bool, err error) {
	if j.job.Stored == 0 || s.Bytes <= 0 && !j.Unsearched {
		return true, nil
	}
	body, err := m.fetch(ctx, j.job)
	*fetched += int(j.job.Stored)
	if err != nil {
		// Gone, or not to be read: that is told.
		return !isGone(err), ctx.Err()
	}
	if j.Unsearched {
		j.Unsearched = false
		if !bytes.Contains(body, s.Contains) {
			return false, nil
		}
	}
	if s.Bytes > 0 {
		j.Body = body[:min(len(body), s.Bytes)]
	}
	return true, nil
}
