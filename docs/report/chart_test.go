package main

import (
	"slices"
	"strings"
	"testing"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"
)

func TestNumbers(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{number(0), "0"},
		{number(512), "512"},
		{number(1_000_000), "1,000,000"},
		{number(0.25), "0.25"},
		{number(1500.5), "1,500.5"},
		{fixed(1234.56, 1), "1,234.6"},
		{fixed(-1234, 0), "-1,234"},
		{fixed(-123, 0), "-123"},
		{micros(20), "20 µs"},
		{micros(1000), "1 ms"},
		{micros(2.5e6), "2.5 s"},
	} {
		if c.got != c.want {
			t.Errorf("got %q, want %q", c.got, c.want)
		}
	}
}

func labels(ticks []plot.Tick) string {
	var list []string
	for _, t := range ticks {
		list = append(list, t.Label)
	}
	return strings.Join(list, " ")
}

func TestTicks(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{labels(linearTicks(95, number)), "0 20 40 60 80"},
		{labels(linearTicks(18, number)), "0 5 10 15"},
		{labels(linearTicks(600, number)), "0 100 200 300 400 500 600"},
		{labels(linearTicks(0.5, number)), "0 0.1 0.2 0.3 0.4 0.5"},
		{labels(logTicks(5, 60, number)), "5 10 20 50"},
		{labels(logTicks(20, 90_000, number)), "100 1,000 10,000"},
	} {
		if c.got != c.want {
			t.Errorf("got %q, want %q", c.got, c.want)
		}
	}
}

func TestSpread(t *testing.T) {
	for _, c := range []struct{ centres, heights, want []vg.Length }{
		{[]vg.Length{10, 50}, []vg.Length{10, 10}, []vg.Length{10, 50}},
		{[]vg.Length{50, 48}, []vg.Length{10, 10}, []vg.Length{54, 44}},
		{[]vg.Length{48, 50}, []vg.Length{10, 10}, []vg.Length{44, 54}},
		{[]vg.Length{50, 50}, []vg.Length{10, 20}, []vg.Length{57.5, 42.5}},
		{nil, nil, nil},
	} {
		if got := spread(c.centres, c.heights); !slices.Equal(got, c.want) {
			t.Errorf("spread of %v: got %v, want %v", c.centres, got, c.want)
		}
	}
}
