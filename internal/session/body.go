package session

import (
	"errors"

	"spoked/proto"
	"spoked/queue"
)

// send replies with a job, as write does it. If the body is in the journal alone
// and must be read from the disk, the client waits for that, and nobody else.
func (s *Session) send(write func(out []byte, id uint64, body []byte) []byte, j queue.Job) {
	s.needJob(j.ID)
	if j.Stored > 0 {
		body, ok := s.service.opts.Journal.Body(j)
		if !ok {
			s.fetching = true
			s.service.opts.Journal.Fetch(j, func(body []byte, err error) { s.fetched(write, j.ID, body, err) })
			return
		}
		j.Body = body
	}
	s.out = write(s.out, j.ID, j.Body)
}

// fetched replies with what has been read.
func (s *Session) fetched(write func(out []byte, id uint64, body []byte) []byte, id uint64, body []byte, err error) {
	s.fetching = false
	if s.closed {
		return // the job is not the client's any more
	}
	s.open()
	begin := len(s.out)
	switch {
	case err == nil:
		s.needJob(id)
		s.out = write(s.out, id, body)
	case errors.Is(err, queue.ErrNotFound):
		s.need()
		s.reply(proto.NotFound) // somebody has deleted it since
	default:
		s.setAside(id)
		s.reply(proto.InternalError)
	}
	if f := s.service.opts.Trace; f != nil {
		f(s, "", s.out[begin:])
	}
	s.service.rouse(s)
}

// setAside buries a job whose body cannot be read, if the client has reserved
// it: it would come back to every client in turn.
func (s *Session) setAside(id uint64) {
	e := s.service.engine
	if r, ok := e.Describe(id); ok {
		_ = e.Bury(s.client, id, r.Pri) // it may be another's, or nobody's
		s.need()
	}
}
