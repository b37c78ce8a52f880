package main

import (
	"os"
	"slices"
	"strings"
	"testing"
)

func TestMedian(t *testing.T) {
	for _, c := range []struct {
		values []float64
		want   float64
	}{
		{nil, 0},
		{[]float64{3}, 3},
		{[]float64{9, 1, 5}, 5},
		{[]float64{4, 1, 3, 2}, 2.5},
	} {
		if got := median(c.values); got != c.want {
			t.Errorf("median of %v: got %g, want %g", c.values, got, c.want)
		}
	}
}

func TestParseResult(t *testing.T) {
	const out = `{"type":"result","commands_per_second":1234.5,"latency_us":{"p99":7},"server_cpu_us_per_command":0.25,"new":1}
{"type":"comparison","commands_per_second":{"median":1}}
`
	raw, r, err := parseResult([]byte(out))
	if err != nil {
		t.Fatal(err)
	}
	if r.CommandsPS != 1234.5 || r.Latency.P99 != 7 || r.ServerCPU == nil || *r.ServerCPU != 0.25 {
		t.Errorf("got %+v", r)
	}
	if want := strings.SplitN(out, "\n", 2)[0]; string(raw) != want {
		t.Errorf("got %s, want the line as it stands", raw)
	}
	for _, bad := range []string{"", "spoked: bench: no such server\n", `{"type":"comparison"}` + "\n"} {
		if _, _, err := parseResult([]byte(bad)); err == nil {
			t.Errorf("%q: no error", bad)
		}
	}
}

const someSamples = `{"type":"about","series":"connections","quick":true}
{"type":"sample","server":"spoked","x":8,"round":1,"bench":{"commands":1000,"commands_per_second":3000}}
{"type":"sample","server":"spoked","x":8,"round":2,"bench":{"commands":1000,"commands_per_second":1000,"unsent":500}}
{"type":"sample","server":"spoked","x":8,"round":3,"bench":{"commands":1000,"commands_per_second":2000,"unsent":11}}
{"type":"sample","server":"spoked","x":8,"round":4,"failed":true,"bench":{"commands_per_second":9000}}
{"type":"sample","server":"spoked","x":1,"round":1,"bench":{"commands_per_second":500}}
{"type":"sample","server":"spoked","case":"other","x":1,"round":1,"value":7,"unit":"bytes"}
{"type":"sample","server":"beanstalkd","x":1,"round":1,"bench":{"commands_per_second":400}}
`

func TestPoints(t *testing.T) {
	s, err := parseSet([]byte(someSamples))
	if err != nil {
		t.Fatal(err)
	}
	want := []point{
		{x: 1, y: 0.5, lo: 0.5, hi: 0.5},
		{x: 8, y: 2, lo: 1, hi: 3, fellBack: true},
	}
	if got := s.points(ours, "", throughput); !slices.Equal(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if got := s.points(ours, "other", value); len(got) != 1 || got[0].y != 7 {
		t.Errorf("the other case: got %+v", got)
	}
	groups := s.groups("", throughput)
	if len(groups) != 2 || len(groups[0].bars) != 2 || len(groups[1].bars) != 1 || groups[1].name != "8" {
		t.Errorf("groups: got %+v", groups)
	}
	if !s.about.Quick || s.rounds() != 4 {
		t.Errorf("got about %+v, %d rounds", s.about, s.rounds())
	}
}

func TestSetIsReadAsWritten(t *testing.T) {
	s, err := parseSet([]byte(someSamples))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := s.write(dir); err != nil {
		t.Fatal(err)
	}
	again, err := readSet(dir, "connections")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := again.points(ours, "", throughput), s.points(ours, "", throughput); !slices.Equal(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if none, err := readSet(dir, "depth"); none != nil || err != nil {
		t.Errorf("a series that has not been measured: got %v, %v", none, err)
	}
}

func TestParseSetComplains(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"", "does not say"},
		{`{"type":"sample"}`, "does not say"},
		{"{\"type\":\"about\"}\n{", "line 2"},
		{`{"type":"result"}`, "unknown type"},
	} {
		if _, err := parseSet([]byte(c.text)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: got %v, want %q", c.text, err, c.want)
		}
	}
}

// What is committed can be drawn, and whatever is measured is.
func TestRenderCommitted(t *testing.T) {
	dir := t.TempDir()
	var log strings.Builder
	if err := render("data", dir, &log); err != nil {
		t.Fatal(err)
	}
	images, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(images) != len(allDrawings()) {
		t.Errorf("%d images of %d:\n%s", len(images), len(allDrawings()), log.String())
	}
	drawn := map[string]bool{}
	for _, d := range allDrawings() {
		drawn[d.series] = true
	}
	for _, name := range seriesNames() {
		if !drawn[name] {
			t.Errorf("%s is measured, but not drawn", name)
		}
	}
}

// Without beanstalkd, there are figures of spoked alone.
func TestRenderAlone(t *testing.T) {
	alone, images := t.TempDir(), t.TempDir()
	for _, name := range seriesNames() {
		s, err := readSet("data", name)
		if err != nil || s == nil {
			t.Fatal(name, err)
		}
		s.samples = slices.DeleteFunc(s.samples, func(x sample) bool { return x.Server != ours })
		if err := s.write(alone); err != nil {
			t.Fatal(err)
		}
	}
	var log strings.Builder
	if err := render(alone, images, &log); err != nil || log.String() != "" {
		t.Errorf("got %v, %s", err, log.String())
	}
}
