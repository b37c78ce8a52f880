package session

import (
	"errors"
	"time"

	"spoked/proto"
	"spoked/queue"
)

// batchBytes is from how many bytes of bodies on no further job is added to a batch.
const batchBytes = 1 << 20

// A batch is a reserve-batch under way. First it takes jobs, all at once but for the
// first, which it may have to wait for. Then it makes the reply of them, and reads the
// bodies that are in the journal alone, one after the other.
type batch struct {
	left    int           // jobs that it may have more
	size    int           // bytes of the bodies
	outcome queue.Outcome // of the last wake, or the last reserve

	taken  []taken
	bodies []byte // of those that are in memory
	next   int    // the first of taken that is not in the reply
	out    []byte // the replies
	count  int    // how many
	broken bool   // the body of one could not be read
}

// taken is a job of a batch. Its body is in bodies from begin to end, or Stored.
type taken struct {
	job        queue.Job
	begin, end int
}

func reserveBatch(s *Session, now int64, cmd *proto.Command) {
	timeout := time.Duration(cmd.Timeout) * time.Second
	if s.halfClosed {
		timeout = 0
	}
	b := &batch{left: int(cmd.Count)}
	b.reserve(s, now, timeout)
	s.service.extra = len(b.taken)
}

// reserve takes jobs as long as there are any, and waits for the first if it must.
func (b *batch) reserve(s *Session, now int64, timeout time.Duration) {
	s.under = nil
	for b.left > 0 && b.size < batchBytes {
		j, o := s.service.engine.Reserve(now, s.client, timeout)
		if o == queue.Waiting {
			s.under = b
			return
		}
		if b.outcome = o; o != queue.Given {
			break
		}
		b.take(j)
		timeout = 0
	}
	b.reply(s)
}

func (b *batch) take(j queue.Job) {
	t := taken{job: j, begin: len(b.bodies)}
	b.bodies = append(b.bodies, j.Body...)
	b.size += len(j.Body) + int(j.Stored)
	t.job.Body, t.end = nil, len(b.bodies)
	b.taken = append(b.taken, t)
	b.left--
}

func (b *batch) woken(_ *Session, w queue.Wake) {
	if b.outcome = w.Outcome; w.Outcome == queue.Given {
		b.take(w.Job)
	}
}

func (b *batch) goOn(s *Session, now int64) {
	if b.outcome == queue.Given {
		b.reserve(s, now, 0)
		return
	}
	s.under = nil
	b.reply(s)
}

// reply makes the reply, as far as the bodies are there.
func (b *batch) reply(s *Session) {
	for b.next < len(b.taken) {
		t := &b.taken[b.next]
		body := b.bodies[t.begin:t.end]
		if t.job.Stored > 0 {
			var ok bool
			if body, ok = s.service.opts.Journal.Body(t.job); !ok {
				s.busy = true
				s.service.opts.Journal.Fetch(t.job, func(body []byte, err error) { b.fetched(s, body, err) })
				return
			}
		}
		b.add(s, body)
	}
	switch {
	case b.count > 0:
		s.out = proto.AppendReservedBatch(s.out, b.count)
		s.out = append(s.out, b.out...)
	case b.broken:
		s.reply(proto.InternalError)
	case len(b.taken) == 0 && b.outcome == queue.DeadlineSoon:
		s.reply(proto.DeadlineSoon)
	default:
		s.out = proto.AppendReservedBatch(s.out, 0)
	}
}

// add adds the next job to the reply.
func (b *batch) add(s *Session, body []byte) {
	id := b.taken[b.next].job.ID
	s.needJob(id)
	b.out = proto.AppendReserved(b.out, id, body)
	b.count++
	b.next++
}

// fetched goes on with the reply, now that the next body has been read.
func (b *batch) fetched(s *Session, body []byte, err error) {
	s.busy = false
	if s.closed {
		return // the jobs are not the client's any more
	}
	switch {
	case err == nil:
		b.add(s, body)
	case errors.Is(err, queue.ErrNotFound):
		s.need()
		b.next++ // somebody has deleted it since
	default:
		s.setAside(b.taken[b.next].job.ID)
		b.broken = true
		b.next++
	}
	begin := s.open()
	if b.reply(s); !s.busy {
		s.service.given(s, begin)
	}
}
