package server

import (
	"time"

	"spoked/internal/session"
	"spoked/queue"
)

// What can be changed while the server runs. Each change is between two turns: what
// a client has sent is executed with the settings before it or those after it.

// SetMaxJobSize bounds the bodies of jobs put from now on to n bytes. One that is
// arriving may still be larger.
func (s *Server) SetMaxJobSize(n uint32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.service.SetMaxJobSize(n)
}

// SetTrace has f told of commands from now on, or nobody if it is nil; see
// [session.Options].
func (s *Server) SetTrace(f func(c *session.Session, command string, reply []byte)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.service.SetTrace(f)
}

// SetLimits bounds the memory of the queue anew; [queue.Engine.SetLimits] says what
// may be changed. If less memory is allowed than is used, bodies are left to the
// journal before it returns, in portions between which clients are served, or as time
// goes by if Serve is not serving yet. O(jobs) if there is too little memory.
func (s *Server) SetLimits(l queue.Limits) {
	s.mu.Lock()
	e := s.service.Engine()
	e.SetLimits(l)
	portions := 1 + 2*e.Len()/queue.TrimPortion // once round, from anywhere in the midst of a round
	s.mu.Unlock()
	if l.Memory == 0 || l.Bodies == queue.AlwaysInMemory {
		return // there is nothing that could be left to anybody
	}
	for ; portions > 0; portions-- {
		s.mu.Lock()
		done := !s.started || s.ended || s.failure != nil || e.Memory() <= l.Memory
		if !done {
			s.commit(false)
		}
		s.mu.Unlock()
		if done {
			return
		}
	}
}

// SetFsyncInterval changes the longest that a record waits for its fsync, and
// reports whether that could be done: not without a journal, nor to or from an
// interval of 0 or none, for then it is another thread that syncs.
func (s *Server) SetFsyncInterval(d time.Duration) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	j := s.opts.Journal
	return j != nil && j.SetInterval(d)
}
