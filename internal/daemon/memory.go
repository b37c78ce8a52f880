package daemon

import (
	"spoked/internal/config"
	"spoked/queue"
)

// limits returns what bounds the memory of the queue.
func limits(cfg config.Config) queue.Limits {
	l := queue.Limits{Memory: cfg.Memory}
	if l.Memory < 0 {
		l.Memory = systemMemory() / 100 * 80
	}
	if cfg.Journal == "" {
		return l
	}
	switch cfg.Bodies {
	case config.BodiesAuto:
		l.Bodies = queue.InMemoryIfRoom
	case config.BodiesDisk:
		l.Bodies = queue.InJournal
	}
	return l
}
