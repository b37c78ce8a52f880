package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"spoked/internal/bench"
)

const benchLong = `Measures a server that speaks beanstalkd's protocol, from outside. It uses tubes
of its own, with names that begin with spoked-bench-, and removes its jobs at
the end.

Scenarios (default: put and work):
 put        each connection puts jobs, which are removed afterwards
 work       each connection puts, reserves and deletes jobs
 fanout     workers wait in a reserve, producers put at a rate; how long is it
            from a put to the job's arrival? Does each job arrive exactly once?
 delayed    the same with delays; how late does a job fire?
 tubes      as work, over many tubes
 reconnect  a new connection for each job put and for each job taken: connect,
            use, watch, ignore, list-tubes-watched, put or reserve and delete,
            quit

With a rate, latency counts from when each command was to be sent. Without one,
commands are sent as fast as replies come.`

const benchExits = ` 0           done
 1           a server failed, commands failed, jobs were lost or came twice, or
             it was interrupted
 5           the command line makes no sense
`

// benchLine is a command line of bench.
type benchLine struct {
	options       bench.Options
	json, csv     bool
	vs            bench.Target
	body, delay   span
	time, warmup  seconds
	set           *pflag.FlagSet
	givenScenario []string
}

// benchCommand returns the benchmark client.
func (p *Program) benchCommand() *cobra.Command {
	o := bench.Defaults()
	l := &benchLine{
		options: o, body: span{o.BodyMin, o.BodyMax}, delay: span{o.DelayMin, o.DelayMax},
		time: seconds(o.Time), warmup: seconds(o.Warmup),
	}
	c := &cobra.Command{
		Use:         "bench [OPTIONS] [SCENARIO ...]",
		Short:       "measure a server",
		Long:        benchLong,
		Example:     "  spoked bench -c 64 work\n  spoked bench fanout --workers 500 --rate 2000",
		Args:        cobra.ArbitraryArgs,
		Annotations: map[string]string{"exit": benchExits},

		DisableFlagsInUseLine: true,
	}
	if s := p.variable("SPOKED_SERVER"); s != "" {
		l.options.Server.Addr = s
	}
	l.set = c.Flags()
	l.flags()
	c.RunE = func(c *cobra.Command, _ []string) (err error) {
		r := remote{server: l.options.Server.Addr, token: p.variable("SPOKED_TOKEN"), timeout: seconds(defaultTimeout)}
		if l.options.Server.Addr, err = r.wireAddr(c.Context()); err != nil {
			return err
		}
		if err := l.finish(); err != nil {
			return err
		}
		return p.bench(l, c.Root().Name())
	}
	return c
}

// flags defines the options.
func (l *benchLine) flags() {
	o, f := l.options, l.set
	f.SortFlags = false
	f.StringVarP(&l.options.Server.Addr, "server", "s", o.Server.Addr, "the server `ADDR`: HOST:PORT or unix:PATH, or http://HOST:PORT of its API, which is asked; SPOKED_SERVER")
	f.StringVar(&l.options.Server.Label, "label", "", "`NAME` of the server in reports")
	f.IntVar(&l.options.Server.PID, "pid", 0, "the process `PID`, whose CPU time and memory are to be measured; Linux only")
	f.StringVar(&l.vs.Addr, "vs", "", "`ADDR` of a second server, which does the same work in turn")
	f.StringVar(&l.vs.Label, "vs-label", "", "`NAME` of that")
	f.IntVar(&l.vs.PID, "vs-pid", 0, "process `PID` of that")
	f.IntVar(&l.options.Rounds, "rounds", o.Rounds, "`N`: how often each of the two is measured")
	f.StringSliceVar(&l.givenScenario, "scenario", nil, "`NAMES` of scenarios, with commas between; the same as arguments")
	f.IntVarP(&l.options.Connections, "connections", "c", o.Connections, "`N` clients; of fanout and delayed, workers")
	f.IntVarP(&l.options.Pipeline, "pipeline", "P", o.Pipeline, "`N` commands that a connection sends at once")
	f.VarP(&l.body, "body", "b", "bytes in a job")
	f.VarP(&l.time, "time", "t", "how long to measure, as 10, 10s or 1m; no limit if -n is given")
	f.IntVarP(&l.options.Count, "count", "n", 0, "stop after `N` jobs")
	f.Var(&l.warmup, "warmup", "how long to play before measuring; 0 if -n is given")
	f.Float64VarP(&l.options.Rate, "rate", "r", 0, "`R` a second in all: puts of put, fanout (default 1000) and delayed (1000), commands of work and tubes, connections of reconnect")
	f.IntVar(&l.options.Tubes, "tubes", o.Tubes, "`N` of tubes")
	f.IntVar(&l.options.Workers, "workers", 0, "`N` of fanout and delayed (default -c)")
	f.IntVar(&l.options.Producers, "producers", o.Producers, "`N` of fanout and delayed")
	f.Var(&l.delay, "delay", "seconds, of delayed")
	f.BoolVar(&l.json, "json", false, "print an object a line for each result")
	f.BoolVar(&l.csv, "csv", false, "print a row for each result")
}

// finish makes options of what has been given.
func (l *benchLine) finish() error {
	given := l.set.Changed
	o := &l.options
	names := l.givenScenario
	for _, arg := range l.set.Args() {
		names = append(names, strings.Split(arg, ",")...)
	}
	if len(names) > 0 {
		o.Scenarios = names
	}
	o.BodyMin, o.BodyMax = l.body.lo, l.body.hi
	o.DelayMin, o.DelayMax = l.delay.lo, l.delay.hi
	o.Time, o.Warmup = time.Duration(l.time), time.Duration(l.warmup)
	if given("count") {
		if o.Count == 0 {
			return misuse("--count: 0 is out of range: it must be at least 1")
		}
		if !given("time") {
			o.Time = 0
		}
		if !given("warmup") {
			o.Warmup = 0
		}
	}
	if given("vs") {
		o.Against = &l.vs
	}
	for _, name := range []string{"vs-label", "vs-pid", "rounds"} {
		if given(name) && !given("vs") {
			return misuse("--%s: without --vs it has no meaning", name)
		}
	}
	if l.json && l.csv {
		return misuse("--csv: it cannot be printed together with --json")
	}
	if err := o.Check(); err != nil {
		return misuse("%w", err)
	}
	return nil
}

// bench runs the benchmark client.
func (p *Program) bench(l *benchLine, name string) error {
	report := bench.Table(p.Stdout)
	switch {
	case l.json:
		report = bench.JSON(p.Stdout)
	case l.csv:
		report = bench.CSV(p.Stdout)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	live := &liveLine{w: p.Stderr, on: isTerminal(p.Stderr)}
	// A second signal ends the process at once.
	defer context.AfterFunc(ctx, func() {
		stop()
		fmt.Fprintf(p.Stderr, "\n%s: interrupted; removing the jobs (again to leave them in the tubes spoked-bench-*)\n", name)
	})()
	failed := false
	err := bench.Bench(ctx, l.options, bench.Observer{
		Result: func(r *bench.Result) error {
			live.clear()
			failed = failed || r.Failed()
			return report.Result(r)
		},
		Comparison: func(c *bench.Comparison) error {
			live.clear()
			return report.Comparison(c)
		},
		Progress: live.show(),
		Warning: func(text string) {
			live.clear()
			p.complain(name, "bench: "+text)
		},
	})
	live.clear()
	if err != nil {
		return err
	}
	if failed {
		return errors.New("not everything went well: see the results")
	}
	return nil
}

// liveLine is a line on a terminal that is overwritten again and again.
type liveLine struct {
	w     io.Writer
	on    bool
	shown bool
}

// show returns the function that shows progress, or nil if there is no terminal.
func (l *liveLine) show() func(bench.Progress) {
	if !l.on {
		return nil
	}
	return func(p bench.Progress) {
		l.shown = true
		io.WriteString(l.w, "\r\x1b[K"+bench.ProgressLine(p))
	}
}

func (l *liveLine) clear() {
	if l.shown {
		l.shown = false
		io.WriteString(l.w, "\r\x1b[K")
	}
}

// span is the value of a flag that is a number, or two with a colon between.
type span struct{ lo, hi int }

func (s *span) Set(text string) error {
	lo, hi, two := strings.Cut(text, ":")
	if !two {
		hi = lo
	}
	a, err := strconv.Atoi(lo)
	if err != nil {
		return errors.New("it must be a number, or two as LO:HI")
	}
	b, err := strconv.Atoi(hi)
	if err != nil {
		return errors.New("it must be a number, or two as LO:HI")
	}
	if a > b {
		return errors.New("LO must not be more than HI")
	}
	s.lo, s.hi = a, b
	return nil
}

func (s *span) String() string {
	if s.lo == s.hi {
		return strconv.Itoa(s.lo)
	}
	return fmt.Sprintf("%d:%d", s.lo, s.hi)
}
func (s *span) Type() string { return "N|LO:HI" }

// seconds is the value of a flag that is a duration; a mere number is seconds.
type seconds time.Duration

func (s *seconds) Set(text string) error {
	if n, err := strconv.ParseFloat(text, 64); err == nil && n >= 0 && n <= math.MaxInt32 {
		*s = seconds(n * float64(time.Second))
		return nil
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 {
		return errors.New("it must be a duration, as 10, 10s or 1m30s")
	}
	*s = seconds(d)
	return nil
}

func (s *seconds) String() string { return time.Duration(*s).String() }
func (s *seconds) Type() string   { return "duration" }
