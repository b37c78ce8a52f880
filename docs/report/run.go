package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	ours   = "spoked"
	theirs = "beanstalkd"
)

// A measurer measures the servers that there are.
type measurer struct {
	programs map[string]string // by server
	servers  []string
	work     string // directory for journals
	quick    bool
	log      io.Writer
	about    about
}

func newMeasurer(ctx context.Context, spoked, work string, quick bool, log io.Writer) (*measurer, error) {
	m := &measurer{
		programs: map[string]string{ours: spoked}, servers: []string{ours}, work: work, quick: quick, log: log,
		about: about{
			Type: "about", Date: time.Now().UTC().Format(time.DateOnly), Quick: quick,
			CPU: cpuName(), Cores: runtime.NumCPU(), System: systemName(), Go: runtime.Version(),
		},
	}
	var err error
	if m.about.Spoked, err = version(ctx, spoked); err != nil {
		return nil, err
	}
	path, err := exec.LookPath(theirs)
	if err != nil {
		fmt.Fprintln(log, "note: beanstalkd is not on PATH; spoked is measured alone")
		return m, nil
	}
	m.programs[theirs], m.servers = path, append(m.servers, theirs)
	m.about.Beanstalkd, err = version(ctx, path)
	return m, err
}

// version returns what a server calls itself, without its name.
func version(ctx context.Context, program string) (string, error) {
	out, err := exec.CommandContext(ctx, program, "-v").Output()
	if err != nil {
		return "", fmt.Errorf("%s -v: %w", program, err)
	}
	_, v, _ := strings.Cut(strings.TrimSpace(string(out)), " ")
	v, _, _ = strings.Cut(v, " ")
	return v, nil
}

// cpuName returns the processor's name as Linux gives it.
func cpuName() string {
	b, err := os.ReadFile("/proc/cpuinfo")
	if found := regexp.MustCompile(`(?m)^model name\s*: (.*)$`).FindSubmatch(b); err == nil && found != nil {
		return string(found[1])
	}
	return runtime.GOARCH
}

// systemName returns the system's name and version, without what a vendor adds.
func systemName() string {
	b, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if found := regexp.MustCompile(`^\d+\.\d+`).Find(b); err == nil && found != nil {
		return "Linux " + string(found)
	}
	return runtime.GOOS
}

// run measures all series, or those that are named, and writes a file of each.
func (m *measurer) run(ctx context.Context, data, only string) error {
	list := allSeries()
	if only != "" {
		var some []series
		for _, name := range strings.Split(only, ",") {
			i := slices.IndexFunc(list, func(s series) bool { return s.name == name })
			if i < 0 {
				return fmt.Errorf("there is no series %q; there are %s", name, strings.Join(seriesNames(), ", "))
			}
			some = append(some, list[i])
		}
		list = some
	}
	began := time.Now()
	for _, s := range list {
		of := &set{about: m.about}
		of.about.Series = s.name
		start := time.Now()
		if err := m.measure(ctx, s, of); err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		if err := of.write(data); err != nil {
			return err
		}
		fmt.Fprintf(m.log, "%-12s %3d figures in %4.0f s\n", s.name, len(of.samples), time.Since(start).Seconds())
	}
	fmt.Fprintf(m.log, "measured for %.0f s\n", time.Since(began).Seconds())
	return nil
}

// measure plays the rounds of a series: in each, every case on every server. A
// round that would begin when the series has had its time is left out.
func (m *measurer) measure(ctx context.Context, s series, of *set) error {
	rounds, limit := s.rounds, s.limit
	if m.quick {
		rounds, limit = 1, s.limit/4
	}
	cases := s.cases(m.quick)
	var kept map[string]*server // nil for one that could not be made ready
	if s.keep {
		kept = map[string]*server{}
		defer func() {
			for _, srv := range kept {
				if srv != nil {
					srv.stop()
				}
			}
		}()
	}
	deadline := time.Now().Add(limit)
	for round := 1; round <= rounds; round++ {
		if time.Now().After(deadline) {
			fmt.Fprintf(m.log, "note: %s: time for %d of %d rounds only\n", s.name, round-1, rounds)
			break
		}
		for i, c := range cases {
			for _, name := range m.turn(round + i) {
				if c.only != "" && c.only != name {
					continue
				}
				found, err := m.one(ctx, s, c, name, kept)
				if ctx.Err() != nil {
					return errors.New("interrupted, or out of time; what was measured before is kept")
				}
				if err != nil {
					return fmt.Errorf("%s, %s at %g: %w", name, c.name, c.x, err)
				}
				for _, x := range found {
					x.Type, x.Server, x.Case, x.Round = "sample", name, c.name, round
					of.samples = append(of.samples, x)
				}
			}
		}
	}
	return nil
}

// turn returns the servers in the order of that turn.
func (m *measurer) turn(n int) []string {
	list := slices.Clone(m.servers)
	if n%2 == 0 {
		slices.Reverse(list)
	}
	return list
}

// one measures one case on one server. It starts a server, unless one is kept.
func (m *measurer) one(ctx context.Context, s series, c oneCase, name string, kept map[string]*server) ([]sample, error) {
	if s.own != nil {
		return s.own(ctx, m, c, name)
	}
	key := fmt.Sprint(name, " ", c.name, " ", c.x)
	srv, isKept := kept[key]
	if isKept && srv == nil {
		return nil, nil
	}
	if !isKept {
		var err error
		if srv, err = m.start(ctx, name); err != nil {
			return nil, err
		}
		if kept == nil {
			defer srv.stop()
		} else {
			kept[key] = srv
		}
		if c.prepare != nil {
			if err := c.prepare(srv); errors.Is(err, os.ErrDeadlineExceeded) {
				fmt.Fprintf(m.log, "note: %s: %s at %g was not ready in time, and is left out\n", s.name, name, c.x)
				srv.stop()
				kept[key] = nil
				return nil, nil
			} else if err != nil {
				return nil, err
			}
		}
	}
	x, err := m.bench(ctx, srv, c.args)
	if err != nil {
		return nil, err
	}
	x.X = c.x
	return []sample{x}, nil
}

// bench runs spoked bench on a server.
func (m *measurer) bench(ctx context.Context, s *server, args []string) (sample, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	args = append([]string{"bench", "--json", "-s", s.addr, "--label", s.name, "--warmup", "300ms",
		"--pid", strconv.Itoa(s.cmd.Process.Pid)}, args...)
	cmd := exec.CommandContext(ctx, m.programs[ours], args...)
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	out, failed := cmd.Output()
	raw, r, err := parseResult(out)
	if err != nil {
		return sample{}, errors.Join(err, failed, errors.New(complaints.String()))
	}
	if failed != nil {
		fmt.Fprintf(m.log, "note: %s: left out, since not all went well: %d errors: %s %s\n",
			s.name, r.Errors, r.FirstError, strings.TrimSpace(complaints.String()))
	}
	return sample{Failed: failed != nil, Bench: raw}, nil
}
