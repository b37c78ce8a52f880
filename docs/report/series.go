package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"
)

// A series is what becomes one file of figures.
type series struct {
	name   string
	rounds int
	limit  time.Duration // after which no new round begins
	cases  func(quick bool) []oneCase
	// keep says that each case has one server for all rounds, and not a new one
	// each time.
	keep bool
	// own measures a case without spoked bench, if it is not nil.
	own func(ctx context.Context, m *measurer, c oneCase, name string) ([]sample, error)
}

// A oneCase is measured once in each round on each server.
type oneCase struct {
	name string
	x    float64
	only string // the only server, if not empty
	args []string
	// prepare makes a new server ready for spoked bench. If that ends with a
	// deadline, the server is left out.
	prepare func(*server) error

	jobs, body int      // of series that put jobs themselves
	options    []string // of the server
	journal    bool
}

func seriesNames() []string {
	var names []string
	for _, s := range allSeries() {
		names = append(names, s.name)
	}
	return names
}

func allSeries() []series {
	return []series{
		{name: "connections", rounds: 5, limit: 70 * time.Second, cases: connectionCases},
		{name: "depth", rounds: 3, limit: 45 * time.Second, cases: depthCases},
		{name: "latency", rounds: 3, limit: 55 * time.Second, cases: latencyCases},
		{name: "lateness", rounds: 3, limit: 60 * time.Second, cases: latenessCases},
		{name: "tubes", rounds: 3, limit: 110 * time.Second, cases: tubeCases, keep: true},
		{name: "reconnect", rounds: 5, limit: 50 * time.Second, cases: reconnectCases},
		{name: "memory", rounds: 1, limit: 50 * time.Second, cases: memoryCases, own: memoryPerJob},
		{name: "growth", rounds: 1, limit: 40 * time.Second, cases: growthCases, own: memoryGrowth},
		{name: "recovery", rounds: 3, limit: 60 * time.Second, cases: recoveryCases, own: recovery},
	}
}

// pick returns the first of two values for a quick report.
func pick[T any](quick bool, short, long T) T {
	if quick {
		return short
	}
	return long
}

func connectionCases(quick bool) (list []oneCase) {
	for _, n := range []int{1, 8, 64, 512} {
		list = append(list, oneCase{x: float64(n), args: []string{
			"work", "-c", fmt.Sprint(n), "-t", pick(quick, "0.5", "1")}})
	}
	return list
}

// depthConnections is how many connections send several commands at once.
const depthConnections = 64

func depthCases(quick bool) (list []oneCase) {
	for _, n := range []int{1, 4, 16, 64, 256} {
		list = append(list, oneCase{x: float64(n), args: []string{
			"work", "-c", fmt.Sprint(depthConnections), "-P", fmt.Sprint(n), "-t", pick(quick, "0.5", "1")}})
	}
	return list
}

// latencyRates are in commands a second.
var latencyRates = []int{20_000, 60_000}

func latencyCases(quick bool) (list []oneCase) {
	for _, rate := range latencyRates {
		list = append(list, oneCase{x: float64(rate), args: []string{
			"work", "-c", "64", "--rate", fmt.Sprint(rate), "-t", pick(quick, "1", "4")}})
	}
	return list
}

// latenessRates are in jobs a second.
var latenessRates = []int{10_000, 50_000}

// latenessPipeline is how many puts are sent at once at the higher rate.
const latenessPipeline = 16

func latenessCases(quick bool) (list []oneCase) {
	for _, rate := range latenessRates {
		c := oneCase{x: float64(rate), args: []string{
			"delayed", "--rate", fmt.Sprint(rate), "--delay", "1:2", "--workers", "64", "--producers", "4",
			"-t", pick(quick, "1", "4")}}
		if rate > latenessRates[0] {
			// More than beanstalkd can do, and than the client can with one at a time.
			c.only = ours
			c.args = append(c.args, "--pipeline", fmt.Sprint(latenessPipeline))
		}
		list = append(list, c)
	}
	return list
}

func tubeCases(quick bool) (list []oneCase) {
	for _, n := range pick(quick, []int{1, 1000, 10_000}, []int{1, 1000, 10_000, 100_000}) {
		list = append(list, oneCase{
			x:    float64(n),
			args: []string{"work", "-c", "8", "-t", pick(quick, "0.5", "1")},
			prepare: func(s *server) error {
				c, err := dial(s.addr, time.Now().Add(110*time.Second))
				if err != nil {
					return err
				}
				s.held = c
				return c.watchTubes(n - 1) // spoked bench adds its own
			},
		})
	}
	return list
}

func reconnectCases(quick bool) (list []oneCase) {
	for _, n := range []int{1, 8, 64} {
		list = append(list, oneCase{x: float64(n), args: []string{
			"reconnect", "-c", fmt.Sprint(n), "-t", pick(quick, "0.5", "1")}})
	}
	return list
}

// What memory is measured for. Ready jobs are measured for all sizes, the other
// states for one.
const (
	stateReady    = "ready"
	stateDelayed  = "delayed"
	stateReserved = "reserved"
	stateBuried   = "buried"
	stateBody     = 256
)

func memoryCases(quick bool) (list []oneCase) {
	add := func(state string, body int) {
		n := min(pick(quick, 100_000, 300_000), pick(quick, 100, 400)<<20/body)
		list = append(list, oneCase{name: state, x: float64(body), body: body, jobs: n})
	}
	for _, body := range []int{16, 64, stateBody, 1024, 4096} {
		add(stateReady, body)
	}
	for _, state := range []string{stateDelayed, stateReserved, stateBuried} {
		add(state, stateBody)
	}
	return list
}

// memoryPerJob measures by how much a server grows for each job.
func memoryPerJob(ctx context.Context, m *measurer, c oneCase, name string) ([]sample, error) {
	s, err := m.start(ctx, name)
	if err != nil {
		return nil, err
	}
	defer s.stop()
	empty, err := s.resident()
	if err != nil {
		return nil, err
	}
	client, err := dial(s.addr, time.Now().Add(time.Minute))
	if err != nil {
		return nil, err
	}
	defer client.Close()
	if err := client.putInState(c.jobs, c.body, c.name); err != nil {
		return nil, err
	}
	full, err := s.resident()
	return []sample{{X: c.x, Value: (full - empty) / float64(c.jobs), Unit: "bytes per job"}}, err
}

// putInState puts jobs and takes them to a state.
func (c *conn) putInState(n, body int, state string) error {
	if state == stateDelayed {
		return c.put(n, body, 3600)
	}
	if err := c.put(n, body, 0); err != nil || state == stateReady {
		return err
	}
	if state == stateReserved {
		_, err := c.reserve(n)
		return err
	}
	// A few at a time: what a connection of beanstalkd's has reserved costs time.
	for left := n; left > 0; {
		ids, err := c.reserve(min(left, 100))
		if err != nil {
			return err
		}
		if err := c.bury(ids); err != nil {
			return err
		}
		left -= len(ids)
	}
	return nil
}

// Names of the cases of growth.
const (
	caseMemory  = "in memory"
	caseJournal = "with a journal"
	caseBound   = "with a journal and a bound"
)

// growthBound is what the servers of caseBound get as --memory, in megabytes.
func growthBound(quick bool) int { return pick(quick, 32, 128) }

func growthCases(quick bool) []oneCase {
	n := pick(quick, 100_000, 500_000)
	bound := fmt.Sprintf("%dMB", growthBound(quick))
	return []oneCase{
		{name: caseMemory, jobs: n, body: 1000},
		{name: caseJournal, jobs: n, body: 1000, journal: true},
		{name: caseBound, jobs: n, body: 1000, journal: true, only: ours, options: []string{"--memory", bound}},
	}
}

// memoryGrowth measures the size of a server as jobs pile up in it.
func memoryGrowth(ctx context.Context, m *measurer, c oneCase, name string) (list []sample, err error) {
	options := c.options
	if c.journal {
		dir, err := os.MkdirTemp(m.work, "report-")
		if err != nil {
			return nil, err
		}
		defer os.RemoveAll(dir)
		options = append([]string{"-b", dir}, options...)
	}
	s, err := m.start(ctx, name, options...)
	if err != nil {
		return nil, err
	}
	defer s.stop()
	client, err := dial(s.addr, time.Now().Add(time.Minute))
	if err != nil {
		return nil, err
	}
	defer client.Close()
	const steps = 25
	for i := range steps + 1 {
		if i > 0 {
			if err := client.put(c.jobs/steps, c.body, 0); err != nil {
				return nil, err
			}
		}
		size, err := s.resident()
		if err != nil {
			return nil, err
		}
		list = append(list, sample{X: float64(i * (c.jobs / steps) * c.body), Value: size, Unit: "bytes"})
	}
	return list, nil
}

func recoveryCases(quick bool) (list []oneCase) {
	for _, n := range pick(quick, []int{10_000, 100_000}, []int{10_000, 100_000, 1_000_000}) {
		list = append(list, oneCase{x: float64(n), jobs: n, body: 100, journal: true})
	}
	return list
}

// recovery measures how long a server takes from its start to its first reply, over
// the journal that another has left behind when it was killed.
func recovery(ctx context.Context, m *measurer, c oneCase, name string) ([]sample, error) {
	dir, err := os.MkdirTemp(m.work, "report-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	if err := m.fillAndKill(ctx, c, name, dir); err != nil {
		return nil, err
	}
	s, err := m.start(ctx, name, "-b", dir)
	if err != nil {
		return nil, err
	}
	defer s.stop()
	client, err := dial(s.addr, time.Now().Add(10*time.Second))
	if err != nil {
		return nil, err
	}
	defer client.Close()
	n, err := client.ready()
	if err != nil {
		return nil, err
	}
	if n != c.jobs {
		return nil, fmt.Errorf("%d of %d jobs are there again", n, c.jobs)
	}
	return []sample{{X: c.x, Value: s.ready.Seconds(), Unit: "seconds"}}, nil
}

// fillAndKill leaves the journal of a killed server in dir.
func (m *measurer) fillAndKill(ctx context.Context, c oneCase, name, dir string) error {
	s, err := m.start(ctx, name, "-b", dir)
	if err != nil {
		return err
	}
	defer s.stop()
	client, err := dial(s.addr, time.Now().Add(time.Minute))
	if err != nil {
		return err
	}
	err = client.put(c.jobs, c.body, 0)
	return errors.Join(err, client.Close())
}
