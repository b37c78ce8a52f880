package bench

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"math"
	"os"
	"slices"
	"strings"
	"testing"
)

// example returns a result with everything in it.
func example() *Result {
	cpu, rss := 5.25, int64(12_345_678)
	l := Latency{Min: 1, Mean: 2.5, P50: 2, P90: 30, P99: 400, P999: 5000, P9999: 6000, Max: 1234567}
	return &Result{
		Type: "result", Scenario: "delayed", Server: "127.0.0.1:11300", Label: "mine", Round: 1, Conns: 54, Workers: 50, Producers: 4,
		Tubes: 1, Pipeline: 2, BodyMin: 16, BodyMax: 32, DelayMin: 1, DelayMax: 2, RateAsked: 1000, Seconds: 5.5, Commands: 15000,
		CommandsPS: 2727.3, Jobs: 5000, JobsPS: 909.1, Errors: 1, FirstError: "OUT_OF_MEMORY", Unsent: 2, LeftBehind: 3,
		Latency: l, Lateness: &l, EndToEnd: &l, Connection: &l,
		Deliveries: &Deliveries{Accepted: 5000, Received: 4999, Lost: 1, Duplicates: 2, Early: 3, Strange: 4},
		ServerCPU:  &cpu, ServerRSS: &rss, ClientCPU: 4.5,
	}
}

// keys returns the names of the fields, those of fields in fields too.
func keys(v any, prefix string) (names []string) {
	m, ok := v.(map[string]any)
	if !ok {
		return nil
	}
	for name, value := range m {
		names = append(names, prefix+name)
		names = append(names, keys(value, prefix+name+".")...)
	}
	return names
}

// TestSchema compares what is printed with what is promised: nothing may vanish
// or change its name, and all of it is documented.
func TestSchema(t *testing.T) {
	of := func(parent string, names ...string) []string {
		all := []string{parent}
		for _, name := range names {
			all = append(all, parent+"."+name)
		}
		return all
	}
	want := []string{
		"type", "scenario", "server", "label", "round", "connections", "workers", "producers", "tubes", "pipeline", "body_min",
		"body_max", "delay_min", "delay_max", "rate_asked", "seconds", "commands", "commands_per_second", "jobs", "jobs_per_second",
		"errors", "first_error", "unsent", "interrupted", "left_behind",
		"server_cpu_us_per_command", "server_rss_bytes", "client_cpu_us_per_command",
	}
	for _, l := range []string{"latency_us", "end_to_end_us", "lateness_us", "connection_us"} {
		want = append(want, of(l, "min", "mean", "p50", "p90", "p99", "p999", "p9999", "max")...)
	}
	want = append(want, of("deliveries", "accepted", "received", "duplicates", "lost", "early", "strange")...)
	wantSchema(t, want, func(r Report) error { return r.Result(example()) })

	r := Ratio{1, 2, 3, 4, 5}
	want = []string{"type", "scenario", "server", "label", "vs_server", "vs_label", "rounds"}
	for _, figure := range []string{"commands_per_second", "p99", "second_p99", "server_cpu_us_per_command"} {
		want = append(want, of(figure, "median", "min", "max", "server", "vs")...)
	}
	wantSchema(t, want, func(report Report) error {
		return report.Comparison(&Comparison{Type: "comparison", Throughput: r, P99: r, Second: &r, CPU: &r})
	})
}

func wantSchema(t *testing.T, want []string, print func(Report) error) {
	t.Helper()
	var out bytes.Buffer
	if err := print(JSON(&out)); err != nil {
		t.Fatal(err)
	}
	if strings.Count(out.String(), "\n") != 1 {
		t.Errorf("got more than a line: %s", &out)
	}
	var v any
	if err := json.Unmarshal(out.Bytes(), &v); err != nil {
		t.Fatal(err)
	}
	got := keys(v, "")
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("got the fields\n%q, want\n%q", got, want)
	}
	text, err := os.ReadFile("../../docs/bench.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range want {
		name = name[strings.LastIndexByte(name, '.')+1:]
		if !strings.Contains(string(text), "`"+name+"`") {
			t.Errorf("docs/bench.md does not explain `%s`", name)
		}
	}
}

// TestPlainResult leaves out what there is not.
func TestPlainResult(t *testing.T) {
	var out bytes.Buffer
	if err := JSON(&out).Result(&Result{Type: "result", Scenario: "put"}); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"workers", "end_to_end_us", "lateness_us", "connection_us", "deliveries", "server_cpu", "server_rss"} {
		if strings.Contains(out.String(), name) {
			t.Errorf("got %s in %s", name, &out)
		}
	}
	for _, part := range []string{`"label":""`, `"errors":0`, `"rate_asked":0`, `"interrupted":false`} {
		if !strings.Contains(out.String(), part) {
			t.Errorf("got no %s in %s", part, &out)
		}
	}
}

func TestCSV(t *testing.T) {
	var out bytes.Buffer
	report := CSV(&out)
	ratio := Ratio{Median: 1.5}
	for _, err := range []error{
		report.Result(example()),
		report.Result(&Result{Type: "result", Scenario: "put", Server: "a,b"}),
		report.Comparison(&Comparison{Type: "comparison", Server: "a", VsServer: "b", Rounds: 3, Throughput: ratio, P99: ratio}),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	rows, err := csv.NewReader(&out).ReadAll() // which wants all rows to be of a length
	if err != nil {
		t.Fatal(err)
	}
	get := func(row int, name string) string { return rows[row][slices.Index(rows[0], name)] }
	tests := []struct {
		row        int
		name, want string
	}{
		{1, "type", "result"}, {1, "commands_per_second", "2727.3"}, {1, "latency_us_p999", "5000"}, {1, "second_us_max", "1234567"},
		{1, "lost", "1"}, {1, "server_cpu_us_per_command", "5.25"}, {1, "server_rss_bytes", "12345678"},
		{2, "server", "a,b"}, {2, "second_us_max", ""}, {2, "lost", ""}, {2, "server_rss_bytes", ""},
		{3, "type", "comparison"}, {3, "server", "a / b"}, {3, "round", "3"}, {3, "commands_per_second", "1.5"}, {3, "latency_us_p99", "1.5"},
		{3, "latency_us_p50", ""}, {3, "server_cpu_us_per_command", ""},
	}
	for _, test := range tests {
		if got := get(test.row, test.name); got != test.want {
			t.Errorf("row %d, %s: got %q, want %q", test.row, test.name, got, test.want)
		}
	}
}

func TestTable(t *testing.T) {
	var out bytes.Buffer
	report := Table(&out)
	if err := report.Result(example()); err != nil {
		t.Fatal(err)
	}
	if err := report.Comparison(&Comparison{Scenario: "work", Server: "a", VsServer: "b", VsLabel: "other", Rounds: 3,
		Throughput: Ratio{1.5, 1, 2, 123456, 99}}); err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{
		"commands/s", "delayed    mine ", "2,727", "1,234,567", "5.25", "lateness", "end to end",
		"54 connections, pipeline 2, bodies of 16 to 32 bytes, 5.5 s, 1,000 a second asked for, server has 12.3 MB",
		"! 1 commands failed; the first reply: OUT_OF_MEMORY", "! 3 jobs could not be removed", "1 lost, 2 twice",
		"work: a / other, median over 3 rounds", "1.50 x  (1.00 to 2.00; 123,456 / 99.00)",
	} {
		if part == "lateness" {
			continue // a result has one second distribution at most
		}
		if !strings.Contains(out.String(), part) {
			t.Errorf("got no %q in\n%s", part, &out)
		}
	}
}

func TestCompare(t *testing.T) {
	results := func(rates, cpus []float64) (all []*Result) {
		for i := range rates {
			all = append(all, &Result{CommandsPS: rates[i], ServerCPU: &cpus[i], Latency: Latency{P99: rates[i] * 2}})
		}
		return all
	}
	// The machine is ten times as fast in the second round: what counts is the
	// ratio in each.
	c := compare(
		results([]float64{100, 1000, 90}, []float64{1, 2, 3}),
		results([]float64{50, 800, 30}, []float64{2, 8, 0}),
	)
	want := Ratio{Median: 2, Min: 1.25, Max: 3, Server: 100, Vs: 50}
	if c.Throughput != want {
		t.Errorf("got %+v, want %+v", c.Throughput, want)
	}
	if want := (Ratio{Median: 2, Min: 1.25, Max: 3, Server: 200, Vs: 100}); c.P99 != want {
		t.Errorf("got %+v, want %+v", c.P99, want)
	}
	// There is no ratio to nothing.
	if want := (Ratio{Median: 0.375, Min: 0.25, Max: 0.5, Server: 2, Vs: 2}); c.CPU == nil || *c.CPU != want {
		t.Errorf("got %+v, want %+v", c.CPU, want)
	}
	if c.Rounds != 3 || c.Second != nil {
		t.Errorf("got %+v", c)
	}
	for _, test := range []struct {
		values []float64
		want   float64
	}{{nil, 0}, {[]float64{3}, 3}, {[]float64{3, 1}, 2}, {[]float64{3, 1, 2}, 2}, {[]float64{9, 1, 2, 4}, 3}} {
		if got := median(test.values); math.Abs(got-test.want) > 1e-9 {
			t.Errorf("%v: got the median %v, want %v", test.values, got, test.want)
		}
	}
}

func TestProgressLine(t *testing.T) {
	got := ProgressLine(Progress{Scenario: "put", Server: "mine", Doing: "measuring", Elapsed: 1.26e9, Commands: 12345, Rate: 10000.4})
	if want := "put on mine: measuring for 1.3s, 12,345 commands, 10,000/s"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
