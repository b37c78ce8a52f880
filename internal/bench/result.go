package bench

import (
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// A Result is what one scenario came to on one server, once. Its JSON form, and
// the meaning of each field, are described in docs/bench.md and only ever added to.
type Result struct {
	Type       string  `json:"type"` // "result"
	Scenario   string  `json:"scenario"`
	Server     string  `json:"server"`
	Label      string  `json:"label"`
	Round      int     `json:"round"`
	Conns      int     `json:"connections"`
	Workers    int     `json:"workers,omitempty"`
	Producers  int     `json:"producers,omitempty"`
	Tubes      int     `json:"tubes"`
	Pipeline   int     `json:"pipeline"`
	BodyMin    int     `json:"body_min"`
	BodyMax    int     `json:"body_max"`
	DelayMin   int     `json:"delay_min,omitempty"`
	DelayMax   int     `json:"delay_max,omitempty"`
	RateAsked  float64 `json:"rate_asked"`
	Seconds    float64 `json:"seconds"`
	Commands   int     `json:"commands"`
	CommandsPS float64 `json:"commands_per_second"`
	Jobs       int     `json:"jobs"`
	JobsPS     float64 `json:"jobs_per_second"`
	Errors     int     `json:"errors"`
	FirstError string  `json:"first_error,omitempty"`
	// Unsent is how many commands were due at the given rate and had not been
	// sent when time was up.
	Unsent      int  `json:"unsent"`
	Interrupted bool `json:"interrupted"`
	// LeftBehind is how many jobs could not be removed from the server.
	LeftBehind int `json:"left_behind"`

	Latency Latency `json:"latency_us"`
	// EndToEnd is of fanout, Lateness of delayed, Connection of reconnect.
	EndToEnd   *Latency `json:"end_to_end_us,omitempty"`
	Lateness   *Latency `json:"lateness_us,omitempty"`
	Connection *Latency `json:"connection_us,omitempty"`

	// Deliveries is of fanout and delayed.
	Deliveries *Deliveries `json:"deliveries,omitempty"`

	ServerCPU *float64 `json:"server_cpu_us_per_command,omitempty"`
	ServerRSS *int64   `json:"server_rss_bytes,omitempty"`
	ClientCPU float64  `json:"client_cpu_us_per_command"`
}

// Deliveries are counts of a whole run, warm-up included.
type Deliveries struct {
	Accepted   int `json:"accepted"`   // puts that were answered with INSERTED
	Received   int `json:"received"`   // jobs that arrived, each counted once
	Duplicates int `json:"duplicates"` // that arrived again
	Lost       int `json:"lost"`       // accepted and never seen
	Early      int `json:"early"`      // arrived before they were due
	Strange    int `json:"strange"`    // bodies that nobody had put
}

// Latency is a distribution, in microseconds.
type Latency struct {
	Min   float64 `json:"min"`
	Mean  float64 `json:"mean"`
	P50   float64 `json:"p50"`
	P90   float64 `json:"p90"`
	P99   float64 `json:"p99"`
	P999  float64 `json:"p999"`
	P9999 float64 `json:"p9999"`
	Max   float64 `json:"max"`
}

// newLatency makes microseconds of nanoseconds.
func newLatency(h *hdrhistogram.Histogram) Latency {
	if h.TotalCount() == 0 {
		return Latency{}
	}
	us := func(ns int64) float64 { return float64(ns) / 1e3 }
	at := func(p float64) float64 { return us(h.ValueAtPercentile(p)) }
	return Latency{
		Min: us(h.Min()), Mean: rounded(h.Mean()/1e3, 1e3), Max: us(h.Max()),
		P50: at(50), P90: at(90), P99: at(99), P999: at(99.9), P9999: at(99.99),
	}
}

// rounded returns x without what is behind 1/unit.
func rounded(x, unit float64) float64 { return float64(int64(x*unit+0.5)) / unit }

// Failed reports whether anything went wrong that the figures alone do not show.
func (r *Result) Failed() bool {
	d := r.Deliveries
	return r.Errors > 0 || r.LeftBehind > 0 || r.Interrupted ||
		d != nil && (d.Duplicates > 0 || d.Lost > 0 || d.Strange > 0)
}

// result returns what the run came to, apart from what is left behind.
func (r *run) result() (*Result, error) {
	used, err := readUsage(r.target.PID)
	if err != nil {
		return nil, err
	}
	o := r.opts
	seconds := time.Duration(r.ended - r.began).Seconds()
	res := &Result{
		Type: "result", Scenario: r.scenario.Name, Server: r.target.Addr, Label: r.target.Label, Round: 1,
		Conns: len(r.clients), Tubes: len(r.tubes), Pipeline: 1, BodyMin: o.BodyMin, BodyMax: o.BodyMax, RateAsked: r.rate,
		Seconds: rounded(seconds, 1e6), Commands: r.commands, Jobs: r.deleted,
		Errors: r.errors, FirstError: r.firstError, Unsent: r.unsent, Interrupted: r.broken,
		Latency: newLatency(r.latency),
	}
	second := newLatency(r.second)
	for i := range r.scenario.roles {
		switch role := &r.scenario.roles[i]; {
		case role.kind == producer:
			res.Producers = o.clientsOf(producer)
		case role.kind == worker:
			res.Workers = o.clientsOf(worker)
		case role.steps[0] == stepDial:
			res.Connection = &second
		case len(role.steps) == 1:
			res.Jobs = r.inserted
		}
		if r.scenario.roles[i].pipeline {
			res.Pipeline = o.Pipeline
		}
	}
	if r.scenario.delayed {
		res.Lateness, res.DelayMin, res.DelayMax = &second, o.DelayMin, o.DelayMax
	} else if r.scenario.stamped {
		res.EndToEnd = &second
	}
	if r.scenario.stamped {
		accepted := r.allInserted + r.inserted
		res.Deliveries = &Deliveries{
			Accepted: accepted, Received: r.received, Duplicates: r.duplicates, Early: r.early, Strange: r.strange,
		}
		if !r.broken {
			res.Deliveries.Lost = max(0, accepted-r.received)
		}
	}
	if seconds > 0 {
		res.CommandsPS = rounded(float64(r.commands)/seconds, 10)
		res.JobsPS = rounded(float64(res.Jobs)/seconds, 10)
	}
	if r.commands > 0 {
		perCommand := func(d time.Duration) float64 { return rounded(float64(d)/1e3/float64(r.commands), 1e4) }
		res.ClientCPU = perCommand(used.client - r.usedBefore.client)
		if r.target.PID != 0 {
			cpu := perCommand(used.server - r.usedBefore.server)
			res.ServerCPU = &cpu
		}
	}
	if r.target.PID != 0 {
		res.ServerRSS = &used.resident
	}
	return res, nil
}
