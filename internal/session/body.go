package session

import (
	"errors"

	"spoked/proto"
	"spoked/queue"
)

// send replies with a job, which has been reserved or just found. If the body is
// in the journal alone and must be read from the disk, the client waits for that,
// and nobody else.
func (s *Session) send(j queue.Job, reserved bool) {
	s.needJob(j.ID)
	if j.Stored > 0 {
		body, ok := s.service.opts.Journal.Body(j)
		if !ok {
			s.busy = true
			s.service.opts.Journal.Fetch(j, func(body []byte, err error) { s.fetched(j.ID, reserved, body, err) })
			return
		}
		j.Body = body
	}
	s.write(j.ID, reserved, j.Body)
}

func (s *Session) write(id uint64, reserved bool, body []byte) {
	if reserved {
		s.out = proto.AppendReserved(s.out, id, body)
	} else {
		s.out = proto.AppendFound(s.out, id, body)
	}
}

// fetched replies with what has been read.
func (s *Session) fetched(id uint64, reserved bool, body []byte, err error) {
	s.busy = false
	if s.closed {
		return // the job is not the client's any more
	}
	begin := s.open()
	switch {
	case err == nil:
		s.needJob(id)
		s.write(id, reserved, body)
	case errors.Is(err, queue.ErrNotFound):
		s.need()
		s.reply(proto.NotFound) // somebody has deleted it since
	default:
		if reserved {
			s.setAside(id)
		}
		s.reply(proto.InternalError)
	}
	s.service.given(s, begin)
}

// setAside buries a job whose body cannot be read, if the client still has it: it
// would come back to every client in turn.
func (s *Session) setAside(id uint64) {
	e := s.service.engine
	if r, ok := e.Describe(id); ok {
		_ = e.Bury(s.client, id, r.Pri) // it may be another's, or nobody's
		s.need()
	}
}
