package persist_test

import (
	"strings"
	"time"

	"spoked/queue"
)

// edit does what is not done by a client.
func (s *crashSim) edit() {
	switch s.r.IntN(12) {
	case 0:
		_, _, _ = s.engine.Clear(s.now, nil, []byte(s.tube()), queue.StateSet(s.r.IntN(int(queue.AllStates)+1)))
	case 1, 2, 3:
		_ = s.engine.Change(s.now, s.anyJob(), queue.Change{Pri: new(s.r.Uint32N(3000))})
	case 4, 5:
		_ = s.engine.Change(s.now, s.anyJob(), queue.Change{Delay: new(s.delay())})
	case 6:
		if len(s.current.jobs) > s.mix.jobs {
			return
		}
		i := queue.Imported{
			Tube: s.tube(), State: []queue.State{queue.Ready, queue.Delayed, queue.Buried}[s.r.IntN(3)], Pri: s.r.Uint32N(3000),
			Delay: s.delay(), TTR: time.Minute, Created: s.now - s.r.Int64N(int64(time.Hour)), At: s.now + int64(s.delay()),
			Body: []byte(strings.Repeat("i", s.r.IntN(200))), Reserves: s.r.Uint32N(3), Kicks: s.r.Uint32N(3),
		}
		if _, err := s.engine.Import(s.now, &i); err != nil && !s.journal.Full() && s.limits.Memory == 0 {
			s.failf("Import: got %v, and the disk is not full", err)
		}
	default:
		_ = s.engine.Move(s.now, s.anyJob(), []byte(s.tube()))
	}
}
