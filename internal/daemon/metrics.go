package daemon

import (
	"context"
	"strconv"
	"sync"

	"go.uber.org/zap"

	"spoked/internal/config"
	"spoked/internal/httpapi"
	"spoked/internal/metrics"
	"spoked/internal/server"
	"spoked/internal/session"
)

// watch tells how the server is doing: to those who ask over HTTP, and to a StatsD
// daemon.
type watch struct {
	health  *metrics.Health
	metrics *metrics.Metrics

	// Of telling a StatsD daemon; used by one goroutine at a time.
	hush    context.CancelFunc
	telling sync.WaitGroup
}

// newWatch returns a watch on a server that is about to start.
func newWatch(cfg *config.Config, host *session.Host, log *zap.Logger) *watch {
	health := new(metrics.Health)
	return &watch{
		health: health,
		metrics: metrics.New(metrics.Options{
			MaxTubes: cfg.MetricsTubes,
			Version:  config.Version,
			ID:       host.ID, PID: strconv.Itoa(host.PID),
			Hostname: host.Hostname, OS: host.Version, Platform: host.Machine,
			Protocol:    "beanstalkd " + string(cfg.Compat),
			SegmentSize: cfg.JournalSegmentSize,
			MaxJobSize:  int64(cfg.MaxJobSize),
			Health:      health,
			Log:         log,
		}),
	}
}

// mounts returns what is to be served over HTTP. The probes need no token: what
// asks them has none.
func (w *watch) mounts() map[string]httpapi.Mount {
	return map[string]httpapi.Mount{
		"/metrics":      {Role: httpapi.Read, Handler: w.metrics.Handler()},
		"/healthz":      {Role: httpapi.Anybody, Handler: w.health.LiveHandler()},
		"/readyz":       {Role: httpapi.Anybody, Handler: w.health.ReadyHandler()},
		"/debug/pprof/": {Role: httpapi.Admin, Handler: metrics.ProfileHandler()},
	}
}

// serve begins to tell of s, which serves.
func (w *watch) serve(s *server.Server, statsd string) {
	w.health.Serve(s)
	w.tell(statsd)
}

// tell has the StatsD daemon at address be told from now on, and no other; nobody
// if it is "".
func (w *watch) tell(address string) {
	w.close()
	if address == "" {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	w.hush = cancel
	w.telling.Go(func() { w.metrics.PushStatsD(ctx, address, metrics.StatsDInterval) })
}

// reload has r change what can be while the server is at work.
func (w *watch) reload(r *reloader) {
	r.on("max-job-size", func(running, next *config.Config) error {
		running.MaxJobSize = next.MaxJobSize
		w.metrics.SetMaxJobSize(int64(next.MaxJobSize))
		return nil
	})
	r.on("metrics-tubes", func(running, next *config.Config) error {
		running.MetricsTubes = next.MetricsTubes
		w.metrics.SetMaxTubes(next.MetricsTubes)
		return nil
	})
	r.on("statsd", func(running, next *config.Config) error {
		running.StatsD = next.StatsD
		w.tell(next.StatsD)
		return nil
	})
}

// close ends telling StatsD.
func (w *watch) close() {
	if w.hush != nil {
		w.hush()
		w.telling.Wait()
		w.hush = nil
	}
}
