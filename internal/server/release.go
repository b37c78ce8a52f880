package server

import (
	"runtime/debug"
	"time"
)

const (
	// muchGone is how many connections and tubes have to go before memory is given
	// back: 5 MB or so.
	muchGone = 8192

	// releaseAfter is how long after that it happens: when many go, more follow.
	releaseAfter = 2 * time.Second
)

// A tide watches how many connections and tubes there are. They are all that the
// collector keeps of what clients bring, and when a great many of them have gone it
// would be minutes before it looked: it waits for new ones.
type tide struct {
	high   int  // most since memory was given back
	ebbing bool // it will be given back
}

// ebb has the memory of what has gone given back to the system soon, if it is much.
// The mutex is held.
func (s *Server) ebb() {
	level := s.level()
	switch {
	case level > s.tide.high:
		s.tide.high = level
	case s.tide.high-level >= muchGone && !s.tide.ebbing:
		s.tide.ebbing = true
		time.AfterFunc(releaseAfter, s.release)
	}
}

func (s *Server) level() int {
	stats := s.service.Engine().Stats()
	return stats.Connections + stats.Tubes
}

// release gives memory back. That collects garbage, as would happen anyway, and
// holds up nobody for longer.
func (s *Server) release() {
	s.mu.Lock()
	s.tide = tide{high: s.level()}
	s.mu.Unlock()
	debug.FreeOSMemory()
}
