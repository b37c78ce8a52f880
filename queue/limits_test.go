package queue_test

import "spoked/queue"

// relimit gives the engine more or less memory, or another place for bodies, and has
// it do what that comes to.
func (s *sim) relimit() {
	l := &s.p.limits
	l.Memory = []int64{0, 6 << 20, 8 << 20, 16 << 20}[s.r.IntN(4)]
	l.Bodies = []queue.Bodies{queue.InMemoryIfRoom, queue.InJournal}[s.r.IntN(2)]
	s.did("limits: %+v", *l)
	s.engine.SetLimits(*l)
	for range 1 + 2*s.engine.Len()/queue.TrimPortion {
		s.engine.Trim()
	}
}
