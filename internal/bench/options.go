package bench

import (
	"fmt"
	"net"
	"strings"
	"time"
)

// Limits of what can be asked for.
const (
	MaxConnections = 60_000
	MaxPipeline    = 10_000
	MaxBody        = 1 << 30 // bytes
	MaxTubes       = 1_000_000
	MaxRounds      = 1000
	MaxRate        = 1e9 // a second
	MaxTime        = 24 * time.Hour
	MaxDelay       = 24 * 60 * 60 // seconds

	maxBatch  = MaxBody // bytes
	stampSize = 16      // bytes; see stamp
)

// A Target is a server to be measured.
type Target struct {
	// Addr is HOST:PORT, HOST, or unix:PATH.
	Addr string
	// Label names the server in reports. It may be empty.
	Label string
	// PID, unless 0, is the server's process on this machine, whose CPU time and
	// memory are measured too. Linux only.
	PID int
}

// Options say what is to be measured. [Defaults] has values for all of them that
// have a default.
type Options struct {
	Scenarios []string
	Server    Target
	// Against, unless nil, is a second server that does the same work in turn.
	Against *Target
	Rounds  int // with Against: how often each of the two is measured

	Connections int
	Pipeline    int // commands that a connection sends at once
	BodyMin     int // bytes; each body's size is random between the two
	BodyMax     int

	Time   time.Duration // how long to measure; 0: until Count is reached
	Count  int           // jobs after which to stop; 0: when Time is over
	Warmup time.Duration // how long to play before measuring
	Rate   float64       // see [Scenario.Paced]; 0: as fast as replies come, if the scenario has no rate of its own

	Tubes     int // of the scenario tubes
	Workers   int // of fanout and delayed; 0: Connections
	Producers int // of fanout and delayed
	DelayMin  int // seconds; of delayed
	DelayMax  int

	// Patience is how long to wait for a reply before giving the server up.
	Patience time.Duration
	// Portable has the clients use package net and goroutines, as on systems
	// that have no transport of their own.
	Portable bool
}

// Defaults returns options that give a useful result.
func Defaults() Options {
	return Options{
		Scenarios:   []string{"put", "work"},
		Server:      Target{Addr: "127.0.0.1:11300"},
		Rounds:      5,
		Connections: 50,
		Pipeline:    1,
		BodyMin:     16,
		BodyMax:     16,
		Time:        5 * time.Second,
		Warmup:      500 * time.Millisecond,
		Tubes:       1000,
		Producers:   4,
		DelayMin:    1,
		DelayMax:    2,
		Patience:    30 * time.Second,
	}
}

// An OptionError is a value that cannot be used.
type OptionError struct {
	// Option is the name of the option on the command line, without dashes.
	Option string
	Err    error
}

// Error names the option and what is wrong.
func (e *OptionError) Error() string { return "--" + e.Option + ": " + e.Err.Error() }

// Unwrap returns the error without the option's name.
func (e *OptionError) Unwrap() error { return e.Err }

func badOption(name, format string, args ...any) error {
	return &OptionError{Option: name, Err: fmt.Errorf(format, args...)}
}

// Check returns an [*OptionError] if o makes no sense.
func (o *Options) Check() error {
	numbers := []struct {
		option        string
		value, lo, hi int
	}{
		{"connections", o.Connections, 1, MaxConnections},
		{"pipeline", o.Pipeline, 1, MaxPipeline},
		{"body", o.BodyMin, 0, MaxBody},
		{"body", o.BodyMax, o.BodyMin, MaxBody},
		{"count", o.Count, 0, 1 << 40},
		{"tubes", o.Tubes, 1, MaxTubes},
		{"workers", o.Workers, 0, MaxConnections},
		{"producers", o.Producers, 1, MaxConnections},
		{"delay", o.DelayMin, 0, MaxDelay},
		{"delay", o.DelayMax, o.DelayMin, MaxDelay},
		{"rounds", o.Rounds, 1, MaxRounds},
		{"pid", o.Server.PID, 0, 1 << 31},
	}
	for _, n := range numbers {
		if n.value < n.lo || n.value > n.hi {
			return badOption(n.option, "%d is out of range: it must be from %d to %d", n.value, n.lo, n.hi)
		}
	}
	switch {
	case o.Rate < 0 || o.Rate > MaxRate || o.Rate != o.Rate:
		return badOption("rate", "%g is out of range: it must be from 0 to %d a second", o.Rate, int(MaxRate))
	case o.Time < 0 || o.Time > MaxTime:
		return badOption("time", "%v is out of range: it must be from 0 to %v", o.Time, MaxTime)
	case o.Time == 0 && o.Count == 0:
		return badOption("time", "it is 0, and no --count is given: it would never end")
	case o.Warmup < 0 || o.Warmup > MaxTime:
		return badOption("warmup", "%v is out of range: it must be from 0 to %v", o.Warmup, MaxTime)
	case o.Pipeline*o.BodyMax > maxBatch:
		return badOption("pipeline", "%d bodies of %d bytes are more than can be sent at once: at most %d bytes", o.Pipeline, o.BodyMax, maxBatch)
	case len(o.Scenarios) == 0:
		return badOption("scenario", "none is given")
	}
	if err := o.checkScenarios(); err != nil {
		return err
	}
	return o.checkTargets()
}

func (o *Options) checkScenarios() error {
	for _, name := range o.Scenarios {
		s, ok := findScenario(name)
		if !ok {
			return badOption("scenario", "unknown scenario: %s; there are %s", name, strings.Join(scenarioNames(), ", "))
		}
		if s.stamped && o.BodyMin < stampSize {
			return badOption("body", "%d is too small for %s, whose bodies hold a number and a time: at least %d bytes", o.BodyMin, name, stampSize)
		}
	}
	return nil
}

func (o *Options) checkTargets() error {
	if _, _, err := o.Server.network(); err != nil {
		return badOption("server", "%w", err)
	}
	if err := checkPID(o.Server.PID); err != nil {
		return badOption("pid", "%w", err)
	}
	if o.Against == nil {
		return nil
	}
	if _, _, err := o.Against.network(); err != nil {
		return badOption("vs", "%w", err)
	}
	if err := checkPID(o.Against.PID); err != nil {
		return badOption("vs-pid", "%w", err)
	}
	return nil
}

// network returns the network and address for package net.
func (t *Target) network() (network, addr string, err error) {
	if path, ok := strings.CutPrefix(t.Addr, "unix:"); ok {
		if path == "" {
			return "", "", fmt.Errorf("invalid address: %s", t.Addr)
		}
		return "unix", path, nil
	}
	host, port, err := net.SplitHostPort(t.Addr)
	if err != nil {
		host, port = strings.Trim(t.Addr, "[]"), "11300"
		if strings.Contains(host, ":") && net.ParseIP(host) == nil {
			return "", "", fmt.Errorf("invalid address: %s", t.Addr)
		}
	}
	if host == "" {
		host = "127.0.0.1"
	}
	if t.Addr == "" || port == "" || strings.ContainsAny(host, " /") {
		return "", "", fmt.Errorf("invalid address: %q", t.Addr)
	}
	return "tcp", net.JoinHostPort(host, port), nil
}

// String returns the label, or the address of a server without one.
func (t Target) String() string {
	if t.Label != "" {
		return t.Label
	}
	return t.Addr
}
