package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"gonum.org/v1/plot"
)

// render draws all figures that there are figures for.
func render(data, images string, log io.Writer) error {
	if err := os.MkdirAll(images, 0o777); err != nil {
		return err
	}
	for _, d := range allDrawings() {
		s, err := readSet(data, d.series)
		if err != nil {
			return err
		}
		if s == nil {
			fmt.Fprintf(log, "note: %s has not been measured\n", d.series)
			continue
		}
		f := d.draw(s)
		f.drop()
		if len(f.panels) == 0 {
			fmt.Fprintf(log, "note: %s has nothing for %s\n", d.series, d.file)
			continue
		}
		f.note = s.note()
		if err := f.write(filepath.Join(images, d.file+".png")); err != nil {
			return fmt.Errorf("%s: %w", d.file, err)
		}
	}
	return nil
}

// drop leaves out lines, groups and panels without points.
func (f *figure) drop() {
	var panels []panel
	for _, p := range f.panels {
		var some []line
		for _, l := range p.lines {
			if len(l.points) > 0 {
				some = append(some, l)
			}
		}
		if p.lines = some; len(p.all()) > 0 {
			panels = append(panels, p)
		}
	}
	f.panels = panels
}

// note says how the figures came about.
func (s *set) note() string {
	a := s.about
	parts := []string{"spoked " + a.Spoked}
	if a.Beanstalkd != "" {
		parts = append(parts, "beanstalkd "+a.Beanstalkd)
	}
	parts = append(parts, fmt.Sprintf("%s, %d cores, %s", a.CPU, a.Cores, a.System), a.Date)
	if n := s.rounds(); n > 1 {
		parts = append(parts, fmt.Sprintf("median of %d rounds; thin lines: lowest to highest", n))
	} else {
		parts = append(parts, "one round")
	}
	if a.Quick {
		parts = append(parts, "a quick run")
	}
	return strings.Join(parts, "  ·  ")
}

// A drawing makes a figure of a series.
type drawing struct {
	file, series string
	draw         func(*set) *figure
}

func allDrawings() []drawing {
	return []drawing{
		{"throughput", "connections", drawThroughput},
		{"cpu", "connections", drawCPU},
		{"pipeline", "depth", drawDepth},
		{"latency", "latency", drawLatency},
		{"lateness", "lateness", drawLateness},
		{"tubes", "tubes", drawTubes},
		{"reconnect", "reconnect", drawReconnect},
		{"memory", "memory", drawMemory},
		{"growth", "growth", drawGrowth},
		{"recovery", "recovery", drawRecovery},
	}
}

func throughput(x *sample) float64 { return x.result.CommandsPS / 1e3 }
func jobs(x *sample) float64       { return x.result.JobsPS / 1e3 }
func value(x *sample) float64      { return x.Value }

func serverCPU(x *sample) float64 {
	if x.result.ServerCPU == nil {
		return 0
	}
	return *x.result.ServerCPU
}

// groups makes a group of each x of a case.
func (s *set) groups(name string, figure func(*sample) float64) (list []group) {
	at := map[float64]int{}
	for _, server := range []string{ours, theirs} {
		for _, p := range s.points(server, name, figure) {
			i, ok := at[p.x]
			if !ok {
				i = len(list)
				at[p.x] = i
				list = append(list, group{name: number(p.x)})
			}
			list[i].bars = append(list[i].bars, bar{server, p})
		}
	}
	return list
}

// lines makes a line of each server.
func (s *set) lines(name string, figure func(*sample) float64) []line {
	return []line{
		{name: ours, server: ours, points: s.points(ours, name, figure)},
		{name: theirs, server: theirs, points: s.points(theirs, name, figure)},
	}
}

func drawThroughput(s *set) *figure {
	return &figure{
		title: "Throughput by number of connections",
		about: "Put, reserve, delete; 16-byte bodies; one command at a time on each connection.",
		panels: []panel{{
			x: "connections", y: "thousand commands per second", ticks: number,
			groups: s.groups("", throughput),
		}},
	}
}

func drawCPU(s *set) *figure {
	return &figure{
		title: "Server CPU time per command",
		about: "Of the same runs as the throughput: put, reserve, delete. Less is better.",
		panels: []panel{{
			x: "connections", y: "µs of CPU per command", ticks: number, digits: 1,
			groups: s.groups("", serverCPU),
		}},
	}
}

func drawDepth(s *set) *figure {
	return &figure{
		title: "Throughput by pipeline depth",
		about: fmt.Sprintf("Put, reserve, delete on %d connections, each sending that many commands at once. Both axes are logarithmic.", depthConnections),
		panels: []panel{{
			x: "commands in a pipeline", y: "thousand commands per second", logX: true, logY: true, ticks: number,
			lines: s.lines("", throughput),
		}},
	}
}

// percentiles are the horizontal axis of a distribution: 0.3 for half, then one for
// each nine.
func percentiles() []plot.Tick {
	return []plot.Tick{
		{Value: 0.301, Label: "p50"}, {Value: 1, Label: "p90"}, {Value: 2, Label: "p99"},
		{Value: 3, Label: "p99.9"}, {Value: 4, Label: "p99.99"},
	}
}

// distribution returns the percentiles of a rate, each the median over the rounds,
// and whether the server fell back.
func (s *set) distribution(server string, rate int, of func(*result) *latency) (list []point, fellBack bool) {
	figures := []func(*latency) float64{
		func(l *latency) float64 { return l.P50 }, func(l *latency) float64 { return l.P90 },
		func(l *latency) float64 { return l.P99 }, func(l *latency) float64 { return l.P999 },
		func(l *latency) float64 { return l.P9999 },
	}
	for i, tick := range percentiles() {
		for _, p := range s.points(server, "", func(x *sample) float64 { return figures[i](of(&x.result)) }) {
			if p.x == float64(rate) {
				fellBack = fellBack || p.fellBack
				p.x = tick.Value
				list = append(list, p)
			}
		}
	}
	return list, fellBack
}

func micros(x float64) string {
	if x >= 1e6 {
		return number(x/1e6) + " s"
	}
	if x >= 1000 {
		return number(x/1000) + " ms"
	}
	return number(x) + " µs"
}

func drawLatency(s *set) *figure {
	f := &figure{
		title: "Latency at a fixed load",
		about: "Put, reserve, delete on 64 connections; from when a command was due, so a stall counts for all that wait behind it.",
	}
	for _, rate := range latencyRates {
		p := panel{
			title: number(float64(rate)) + " commands per second", x: "percentile", y: "latency", logY: true,
			ticks: micros, xTicks: percentiles(),
		}
		for _, server := range []string{ours, theirs} {
			points, fellBack := s.distribution(server, rate, func(r *result) *latency { return &r.Latency })
			name := server
			if fellBack {
				name += "\n(fell behind)"
			}
			p.lines = append(p.lines, line{name: name, server: server, points: points})
		}
		f.panels = append(f.panels, p)
	}
	sameRange(f.panels)
	return f
}

// sameRange gives panels the same vertical axis.
func sameRange(panels []panel) {
	var all []point
	for i := range panels {
		all = append(all, panels[i].all()...)
	}
	for i := range panels {
		panels[i].shown = all
	}
}

func drawLateness(s *set) *figure {
	p := panel{x: "percentile", y: "lateness", logY: true, ticks: micros, xTicks: percentiles()}
	for i, rate := range latenessRates {
		for _, server := range []string{ours, theirs} {
			points, fellBack := s.distribution(server, rate, func(r *result) *latency { return &r.Lateness })
			name := fmt.Sprintf("%s\n%s/s", server, number(float64(rate)))
			if fellBack {
				name += " (fell behind)"
			}
			p.lines = append(p.lines, line{name: name, server: server, dash: i, points: points})
		}
	}
	return &figure{
		title:  "How late delayed jobs arrive",
		about:  fmt.Sprintf("Delays of 1 or 2 s, 64 workers that wait; from when a job was due until a worker had it. At %s/s, puts go out %d at once.", number(float64(latenessRates[1])), latenessPipeline),
		panels: []panel{p},
	}
}

func drawTubes(s *set) *figure {
	return &figure{
		title: "Cost of a command by number of tubes",
		about: "Put, reserve, delete in one tube, while an idle connection watches all the others. Both axes are logarithmic.",
		panels: []panel{{
			x: "tubes in the server", y: "µs of CPU per command", logX: true, logY: true, ticks: number,
			lines: s.lines("", serverCPU),
		}},
	}
}

func drawReconnect(s *set) *figure {
	return &figure{
		title: "A new connection for each job",
		about: "Connect, use, watch, ignore, list-tubes-watched, put or reserve and delete, quit.",
		panels: []panel{{
			x: "clients at a time", y: "thousand jobs per second", ticks: number, digits: 1,
			groups: s.groups("", jobs),
		}},
	}
}

func drawMemory(s *set) *figure {
	overhead := func(x *sample) float64 { return x.Value - x.X }
	p := panel{
		title: "ready jobs, by size of the body", x: "bytes in the body", y: "bytes per job, without the body", ticks: number,
		groups: s.groups(stateReady, overhead),
	}
	states := panel{title: fmt.Sprintf("bodies of %d bytes, by state", stateBody), x: "state", y: "bytes per job, without the body", ticks: number}
	for _, state := range []string{stateReady, stateDelayed, stateReserved, stateBuried} {
		for _, g := range s.groups(state, overhead) {
			if g.bars[0].x == stateBody {
				g.name = state
				states.groups = append(states.groups, g)
			}
		}
	}
	f := &figure{
		title:  "Memory of a job beyond its body",
		about:  "Growth of the resident set for each job, less the bytes of its body.",
		panels: []panel{p, states},
	}
	sameRange(f.panels)
	return f
}

func drawGrowth(s *set) *figure {
	const mb = 1e6
	p := panel{x: "jobs put, MB of bodies (1,000 bytes each)", y: "resident memory, MB", ticks: number}
	for i, name := range []string{caseMemory, caseJournal, caseBound} {
		for _, server := range []string{theirs, ours} {
			points := s.points(server, name, value)
			for j := range points {
				points[j].x /= mb
				points[j].y /= mb
				points[j].lo /= mb
				points[j].hi /= mb
			}
			label := server
			switch name {
			case caseJournal:
				label += ", journal"
			case caseBound:
				label += fmt.Sprintf(", journal,\n--memory %dMB", growthBound(s.about.Quick))
			}
			p.lines = append(p.lines, line{name: label, server: server, dash: i, points: points})
		}
	}
	top := 0.0
	for _, x := range p.all() {
		top = max(top, x.x)
	}
	p.xTicks = linearTicks(top, number)
	return &figure{
		title:  "Memory as jobs pile up",
		about:  "Jobs are put and stay. With a journal and a bound, bodies beyond the bound are left to the journal.",
		panels: []panel{p},
	}
}

func drawRecovery(s *set) *figure {
	return &figure{
		title: "Restart after kill -9",
		about: "From the start of the process to its first reply, over a journal with that many jobs. Both axes are logarithmic.",
		panels: []panel{{
			x: "jobs of 100 bytes in the journal", y: "time to the first reply", logX: true, logY: true,
			ticks: func(x float64) string { return micros(x * 1e6) },
			lines: s.lines("", value),
		}},
	}
}
