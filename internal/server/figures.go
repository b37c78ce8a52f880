package server

import (
	"sync"
	"time"

	"spoked/internal/journal"
	"spoked/internal/session"
	"spoked/proto"
	"spoked/queue"
)

// Figures are what a server counts itself; the engine has those of jobs, tubes and
// clients. They begin at 0 with the server.
type Figures struct {
	Started        time.Time
	Uptime         time.Duration
	Commands       []CommandFigures // of all commands, those never used included
	Loops          []LoopFigures    // of each event loop, or one of all goroutines
	AcceptFailures uint64           // times that a connection could not be accepted
	Journal        *journal.Figures // nil without a journal
}

// CommandFigures are those of a command.
type CommandFigures struct {
	Name  string // as it is sent
	Count uint64 // as stats counts them

	// Latency is how long the turns took in which the command was executed, from
	// when it had arrived until the replies of the turn were sent or found to have
	// to wait: the time that the server adds to each. A reserve that waits is
	// counted when its wait begins. It is empty before KeepTimes.
	Latency queue.Histogram
}

// LoopFigures are those of an event loop.
type LoopFigures struct {
	Connections int
	Turns       uint64
	Latency     queue.Histogram // of turns; empty before KeepTimes
	Longest     time.Duration   // of these
}

// Figures returns the server's figures. O(commands + loops + segments of the
// journal), some ten microseconds, of which the server is held up by one or two.
func (s *Server) Figures() Figures {
	f := Figures{AcceptFailures: s.unaccepted.Load(), Commands: make([]CommandFigures, proto.NumOps-1)}
	for i := range f.Commands {
		f.Commands[i].Name = proto.Op(i + 1).String()
	}
	for _, t := range s.count(&f) {
		for i := range f.Commands {
			t.addTo(&f.Commands[i].Latency, proto.Op(i+1))
		}
	}
	return f
}

// KeepTimes has the time measured from now on that turns take, and commands, and
// how long jobs wait and run, in that many tubes one by one. Until then none of it
// costs anything.
func (s *Server) KeepTimes(tubes int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.latencies.Store(true)
	s.service.Engine().KeepTimes(tubes)
}

// count fills in what the mutex guards, and returns where the times are kept.
func (s *Server) count(f *Figures) []*timing {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.clock.now()
	f.Started = s.clock.start
	f.Uptime = time.Duration(now - f.Started.UnixNano())
	for i := range f.Commands {
		f.Commands[i].Count = s.service.Count(proto.Op(i + 1))
	}
	if s.serving != nil {
		f.Loops = s.serving.figures()
	}
	if j := s.opts.Journal; j != nil {
		kept := j.Figures()
		f.Journal = &kept
	}
	if s.serving == nil || !s.latencies.Load() {
		return nil
	}
	return s.serving.timings()
}

// timing keeps how long turns take.
type timing struct {
	// For a loop alone:
	tally    session.Tally // of this turn
	began    int64         // instant of this turn
	finished int64         // instant of the end of the last

	mu       sync.Mutex // guards what follows; never held for long
	turn     queue.Histogram
	longest  time.Duration
	commands [proto.NumOps]queue.Histogram
}

// turned tells that a turn has ended.
func (t *timing) turned(now int64) {
	t.took(&t.tally, now-t.began)
	t.finished = now
}

// took tells that so many commands took so many ns.
func (t *timing) took(tally *session.Tally, ns int64) {
	d := time.Duration(ns)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.turn.Add(d)
	t.longest = max(t.longest, d)
	if !tally.Empty() {
		tally.Take(func(op proto.Op, n uint32) { t.commands[op].AddMany(d, uint64(n)) })
	}
}

// addTo adds the times of a command to h.
func (t *timing) addTo(h *queue.Histogram, op proto.Op) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if c := &t.commands[op]; c.Count > 0 {
		h.Merge(c)
	}
}

// figures returns the times of turns.
func (t *timing) figures() LoopFigures {
	t.mu.Lock()
	defer t.mu.Unlock()
	return LoopFigures{Latency: t.turn, Longest: t.longest}
}
