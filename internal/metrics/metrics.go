// Package metrics tells how a server is doing: to Prometheus, which asks, to a
// StatsD daemon, which is told, and to whoever wants to know whether the process
// is alive and ready.
//
// Nothing is counted here. At each collection the engine and the server are
// asked for the counts that they keep anyway, in portions, so that they are held
// up for no longer than a tenth of a millisecond at a time, and nothing runs in
// between. Times alone are kept for the metrics' sake, from the first collection
// on: a server that nobody watches has no more to do. [Families] is the table of all
// metrics, and docs/metrics.md is made from it.
package metrics

import (
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.uber.org/zap"

	"spoked/internal/server"
	"spoked/queue"
)

// A Server is what metrics are of; a *server.Server is one.
type Server interface {
	// View runs f while nobody else uses the engine.
	View(f func(e *queue.Engine, now int64))
	// Figures returns what the server counts itself.
	Figures() server.Figures
	// KeepTimes has times kept from now on, of so many tubes one by one.
	KeepTimes(tubes int)
}

// Options say what is told.
type Options struct {
	// MaxTubes is how many tubes have metrics of their own.
	MaxTubes int
	// Version is that of the program.
	Version string
	// Labels of spoked_server_info: who the server is.
	ID, PID, Hostname, OS, Platform, Protocol string
	// SegmentSize is that of the journal's files in bytes.
	SegmentSize int64
	// MaxJobSize is the largest body in bytes.
	MaxJobSize int64

	// Health knows the server, from when there is one.
	Health *Health
	// Log is told of collections that fail; nil is nobody.
	Log *zap.Logger
}

// Metrics are all metrics of a process. They may be used by several goroutines
// at once; collections follow each other.
type Metrics struct {
	opts     Options
	families map[string]family
	registry *prometheus.Registry

	maxTubes   atomic.Int64
	maxJobSize atomic.Int64

	collecting sync.Mutex // guards what follows
	places     places
	kept       Server    // of which times are kept
	since      time.Time // when that began
}

// New returns the metrics of a process. Until Options.Health has a server, they
// are those of the process alone.
func New(opts Options) *Metrics {
	if opts.Log == nil {
		opts.Log = zap.NewNop()
	}
	m := &Metrics{opts: opts, families: describe(Families()), registry: prometheus.NewPedanticRegistry()}
	m.SetMaxTubes(opts.MaxTubes)
	m.SetMaxJobSize(opts.MaxJobSize)
	m.registry.MustRegister(
		m,
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	return m
}

// SetMaxTubes changes how many tubes have metrics of their own.
func (m *Metrics) SetMaxTubes(n int) { m.maxTubes.Store(int64(n)) }

// SetMaxJobSize changes what is told of the largest body, in bytes.
func (m *Metrics) SetMaxJobSize(n int64) { m.maxJobSize.Store(n) }

// mostScrapes is how many requests for metrics are answered at a time.
const mostScrapes = 4

// Handler answers with all metrics, in the format that the request asks for: as
// text, as OpenMetrics, or as protocol buffers, which have native histograms.
func (m *Metrics) Handler() http.Handler {
	log, err := zap.NewStdLogAt(m.opts.Log, zap.ErrorLevel)
	if err != nil {
		panic(err) // there is no such level
	}
	return reading(promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{
		ErrorLog:            log,
		ErrorHandling:       promhttp.HTTPErrorOnError,
		MaxRequestsInFlight: mostScrapes,
		EnableOpenMetrics:   true,
	}))
}

// Describe sends all there is in Families.
func (m *Metrics) Describe(out chan<- *prometheus.Desc) {
	for _, f := range m.families {
		out <- f.desc
	}
}

// Collect sends all metrics of the server as they are now.
func (m *Metrics) Collect(out chan<- prometheus.Metric) {
	m.collecting.Lock()
	defer m.collecting.Unlock()
	begin := time.Now()
	c := collection{metrics: m, out: out}
	phase, s, done, total := m.opts.Health.look()
	c.process(phase, done, total)
	if s == nil {
		c.send("spoked_ready", 0)
	} else {
		m.keepTimes(s)
		c.began = m.since
		c.server(s, phase)
		c.tubes(s)
	}
	c.send("spoked_collect_longest_hold_seconds", c.longest.Seconds())
	c.send("spoked_collect_duration_seconds", time.Since(begin).Seconds())
}

// keepTimes has times kept of s, if they are not yet. The mutex is held.
func (m *Metrics) keepTimes(s Server) {
	if m.kept != s {
		m.kept, m.since = s, time.Now()
		s.KeepTimes(int(m.maxTubes.Load()))
	}
}
