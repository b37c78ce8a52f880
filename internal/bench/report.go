package bench

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

// A Report prints results as they come.
type Report interface {
	// Result prints a result.
	Result(*Result) error
	// Comparison prints a comparison.
	Comparison(*Comparison) error
}

// JSON returns a report with one object a line.
func JSON(w io.Writer) Report {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	return jsonReport{e}
}

type jsonReport struct{ *json.Encoder }

func (j jsonReport) Result(r *Result) error         { return j.Encode(r) }
func (j jsonReport) Comparison(c *Comparison) error { return j.Encode(c) }

// CSV returns a report with one row for each result, below a row with the names
// of the columns. A row of the type comparison has ratios in it.
func CSV(w io.Writer) Report { return &csvReport{w: csv.NewWriter(w)} }

type csvReport struct {
	w      *csv.Writer
	titled bool
}

// column is a column of the CSV form: what stands in it for a result, and for a
// comparison, if that has it.
type column struct {
	name string
	of   func(*Result) string
	in   func(*Comparison) string
}

func columns() []column {
	count := func(n int) string { return strconv.Itoa(n) }
	number := func(x float64) string { return strconv.FormatFloat(x, 'f', -1, 64) }
	all := []column{
		{"type", func(r *Result) string { return r.Type }, func(c *Comparison) string { return c.Type }},
		{"scenario", func(r *Result) string { return r.Scenario }, func(c *Comparison) string { return c.Scenario }},
		{"server", func(r *Result) string { return r.Server }, func(c *Comparison) string { return c.Server + " / " + c.VsServer }},
		{"label", func(r *Result) string { return r.Label }, func(c *Comparison) string {
			if c.Label == "" && c.VsLabel == "" {
				return ""
			}
			return c.Label + " / " + c.VsLabel
		}},
		{"round", func(r *Result) string { return count(r.Round) }, func(c *Comparison) string { return count(c.Rounds) }},
		{"connections", func(r *Result) string { return count(r.Conns) }, nil},
		{"tubes", func(r *Result) string { return count(r.Tubes) }, nil},
		{"pipeline", func(r *Result) string { return count(r.Pipeline) }, nil},
		{"body_min", func(r *Result) string { return count(r.BodyMin) }, nil},
		{"body_max", func(r *Result) string { return count(r.BodyMax) }, nil},
		{"rate_asked", func(r *Result) string { return number(r.RateAsked) }, nil},
		{"seconds", func(r *Result) string { return number(r.Seconds) }, nil},
		{"commands", func(r *Result) string { return count(r.Commands) }, nil},
		{"commands_per_second", func(r *Result) string { return number(r.CommandsPS) }, func(c *Comparison) string { return number(c.Throughput.Median) }},
		{"jobs", func(r *Result) string { return count(r.Jobs) }, nil},
		{"jobs_per_second", func(r *Result) string { return number(r.JobsPS) }, nil},
		{"errors", func(r *Result) string { return count(r.Errors) }, nil},
		{"unsent", func(r *Result) string { return count(r.Unsent) }, nil},
		{"left_behind", func(r *Result) string { return count(r.LeftBehind) }, nil},
		{"interrupted", func(r *Result) string { return strconv.FormatBool(r.Interrupted) }, nil},
	}
	for i, name := range latencyNames() {
		c := column{name: "latency_us_" + name, of: func(r *Result) string { return number(r.Latency.values()[i]) }}
		if name == "p99" {
			c.in = func(c *Comparison) string { return number(c.P99.Median) }
		}
		all = append(all, c)
	}
	for i, name := range latencyNames() {
		c := column{name: "second_us_" + name, of: func(r *Result) string {
			if s := r.second(); s != nil {
				return number(s.values()[i])
			}
			return ""
		}}
		if name == "p99" {
			c.in = func(c *Comparison) string {
				if c.Second == nil {
					return ""
				}
				return number(c.Second.Median)
			}
		}
		all = append(all, c)
	}
	deliveries := func(of func(*Deliveries) int) func(*Result) string {
		return func(r *Result) string {
			if r.Deliveries == nil {
				return ""
			}
			return count(of(r.Deliveries))
		}
	}
	return append(all,
		column{"duplicates", deliveries(func(d *Deliveries) int { return d.Duplicates }), nil},
		column{"lost", deliveries(func(d *Deliveries) int { return d.Lost }), nil},
		column{"early", deliveries(func(d *Deliveries) int { return d.Early }), nil},
		column{"server_cpu_us_per_command", func(r *Result) string {
			if r.ServerCPU == nil {
				return ""
			}
			return number(*r.ServerCPU)
		}, func(c *Comparison) string {
			if c.CPU == nil {
				return ""
			}
			return number(c.CPU.Median)
		}},
		column{"server_rss_bytes", func(r *Result) string {
			if r.ServerRSS == nil {
				return ""
			}
			return strconv.FormatInt(*r.ServerRSS, 10)
		}, nil},
		column{"client_cpu_us_per_command", func(r *Result) string { return number(r.ClientCPU) }, nil},
	)
}

func latencyNames() []string {
	return []string{"min", "mean", "p50", "p90", "p99", "p999", "p9999", "max"}
}

// values returns the figures in the order of latencyNames.
func (l *Latency) values() []float64 {
	return []float64{l.Min, l.Mean, l.P50, l.P90, l.P99, l.P999, l.P9999, l.Max}
}

func (c *csvReport) Result(r *Result) error {
	return c.row(func(col column) string { return col.of(r) })
}

func (c *csvReport) Comparison(cmp *Comparison) error {
	return c.row(func(col column) string {
		if col.in == nil {
			return ""
		}
		return col.in(cmp)
	})
}

func (c *csvReport) row(of func(column) string) error {
	var names, values []string
	for _, col := range columns() {
		names, values = append(names, col.name), append(values, of(col))
	}
	if !c.titled {
		c.titled = true
		if err := c.w.Write(names); err != nil {
			return err
		}
	}
	if err := c.w.Write(values); err != nil {
		return err
	}
	c.w.Flush()
	return c.w.Error()
}

// Table returns a report for people.
func Table(w io.Writer) Report { return &tableReport{w: w} }

type tableReport struct {
	w      io.Writer
	titled bool
}

const tableRow = "%-10s %-20s %10s %9s %9s %9s %9s %9s %9s %7s %7s\n"

func (t *tableReport) Result(r *Result) error {
	var b strings.Builder
	if !t.titled {
		t.titled = true
		fmt.Fprintf(&b, "%-52s  %-48s %s\n", "", "latency in us", "CPU us a command")
		fmt.Fprintf(&b, tableRow, "scenario", "server", "commands/s", "jobs/s", "p50", "p90", "p99", "p99.9", "max", "server", "client")
	}
	server := "-"
	if r.ServerCPU != nil {
		server = strconv.FormatFloat(*r.ServerCPU, 'f', 2, 64)
	}
	name := Target{Addr: r.Server, Label: r.Label}.String()
	row := func(a, b1, c, d string, l *Latency, e, f string) {
		fmt.Fprintf(&b, tableRow, a, b1, c, d, micros(l.P50), micros(l.P90), micros(l.P99), micros(l.P999), micros(l.Max), e, f)
	}
	row(r.Scenario, name, grouped(r.CommandsPS), grouped(r.JobsPS), &r.Latency, server, strconv.FormatFloat(r.ClientCPU, 'f', 2, 64))
	if s := r.second(); s != nil {
		row("", r.secondName(), "", "", s, "", "")
	}
	for _, line := range r.remarks() {
		fmt.Fprintf(&b, "%-10s %s\n", "", line)
	}
	_, err := io.WriteString(t.w, b.String())
	return err
}

func (r *Result) secondName() string {
	switch {
	case r.EndToEnd != nil:
		return "  end to end"
	case r.Lateness != nil:
		return "  lateness"
	}
	return "  whole connection"
}

// remarks returns what there is to say besides the figures.
func (r *Result) remarks() []string {
	body := strconv.Itoa(r.BodyMin)
	if r.BodyMax != r.BodyMin {
		body += " to " + strconv.Itoa(r.BodyMax)
	}
	how := fmt.Sprintf("%d connections, pipeline %d, bodies of %s bytes, %.1f s", r.Conns, r.Pipeline, body, r.Seconds)
	if r.Tubes > 1 {
		how += fmt.Sprintf(", %d tubes", r.Tubes)
	}
	if r.RateAsked > 0 {
		how += fmt.Sprintf(", %s a second asked for", grouped(r.RateAsked))
	}
	if r.ServerRSS != nil {
		how += fmt.Sprintf(", server has %.1f MB", float64(*r.ServerRSS)/1e6)
	}
	lines := []string{how}
	say := func(n int, format string, args ...any) {
		if n > 0 {
			lines = append(lines, "! "+fmt.Sprintf(format, args...))
		}
	}
	say(r.Errors, "%d commands failed; the first reply: %s", r.Errors, r.FirstError)
	say(r.Unsent, "%d commands were due and not sent when time was up: the rate was too high", r.Unsent)
	say(r.LeftBehind, "%d jobs could not be removed", r.LeftBehind)
	if d := r.Deliveries; d != nil {
		lines = append(lines, fmt.Sprintf("%s jobs accepted, %s received, %d lost, %d twice", grouped(float64(d.Accepted)), grouped(float64(d.Received)), d.Lost, d.Duplicates))
		say(d.Early, "%d jobs fired before they were due", d.Early)
		say(d.Strange, "%d jobs arrived that nobody had put", d.Strange)
	}
	if r.Interrupted {
		lines = append(lines, "! interrupted")
	}
	return lines
}

func (t *tableReport) Comparison(c *Comparison) error {
	ours, theirs := Target{Addr: c.Server, Label: c.Label}, Target{Addr: c.VsServer, Label: c.VsLabel}
	var b strings.Builder
	fmt.Fprintf(&b, "\n%s: %s / %s, median over %d rounds of the ratio within a round\n", c.Scenario, ours, theirs, c.Rounds)
	line := func(name string, r *Ratio) {
		if r != nil {
			fmt.Fprintf(&b, "  %-18s %7.2f x  (%.2f to %.2f; %s / %s)\n", name, r.Median, r.Min, r.Max, figure(r.Server), figure(r.Vs))
		}
	}
	line("commands/s", &c.Throughput)
	line("p99", &c.P99)
	line("p99 "+c.secondName(), c.Second)
	line("server CPU", c.CPU)
	b.WriteString("\n")
	t.titled = false
	_, err := io.WriteString(t.w, b.String())
	return err
}

func (c *Comparison) secondName() string {
	switch c.Scenario {
	case "fanout":
		return "end to end"
	case "delayed":
		return "lateness"
	}
	return "connection"
}

// micros formats microseconds as a column of the table.
func micros(us float64) string {
	if us < 100 {
		return strconv.FormatFloat(us, 'f', 1, 64)
	}
	return grouped(us)
}

// figure formats a number of any size.
func figure(x float64) string {
	if x < 100 {
		return strconv.FormatFloat(x, 'f', 2, 64)
	}
	return grouped(x)
}

// grouped formats a number without a fraction, in groups of three digits.
func grouped(x float64) string {
	s := strconv.FormatFloat(x, 'f', 0, 64)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// ProgressLine returns p as a line without an end.
func ProgressLine(p Progress) string {
	line := fmt.Sprintf("%s on %s: %s", p.Scenario, p.Server, p.Doing)
	if p.Elapsed > 0 {
		line += fmt.Sprintf(" for %v, %s commands, %s/s", p.Elapsed.Round(100*time.Millisecond), grouped(float64(p.Commands)), grouped(p.Rate))
	}
	return line
}
