package bench

import (
	"errors"
	"math"
	"testing"
	"time"
)

func TestCheck(t *testing.T) {
	tests := []struct {
		option string // "" for options that are in order
		change func(*Options)
	}{
		{"", func(o *Options) {}},
		{"connections", func(o *Options) { o.Connections = 0 }},
		{"", func(o *Options) { o.Connections = MaxConnections }},
		{"connections", func(o *Options) { o.Connections = MaxConnections + 1 }},
		{"pipeline", func(o *Options) { o.Pipeline = 0 }},
		{"pipeline", func(o *Options) { o.Pipeline, o.BodyMax = MaxPipeline, MaxBody }},
		{"body", func(o *Options) { o.BodyMin = -1 }},
		{"body", func(o *Options) { o.BodyMin, o.BodyMax = 20, 19 }},
		{"", func(o *Options) { o.BodyMin = 0 }},
		{"body", func(o *Options) { o.BodyMin, o.Scenarios = stampSize-1, []string{"fanout"} }},
		{"", func(o *Options) { o.BodyMin, o.Scenarios = stampSize, []string{"delayed"} }},
		{"count", func(o *Options) { o.Count = -1 }},
		{"time", func(o *Options) { o.Time = 0 }},
		{"", func(o *Options) { o.Time, o.Count = 0, 1 }},
		{"time", func(o *Options) { o.Time = -time.Second }},
		{"time", func(o *Options) { o.Time = MaxTime + 1 }},
		{"warmup", func(o *Options) { o.Warmup = -1 }},
		{"rate", func(o *Options) { o.Rate = -1 }},
		{"rate", func(o *Options) { o.Rate = math.NaN() }},
		{"rate", func(o *Options) { o.Rate = math.Inf(1) }},
		{"tubes", func(o *Options) { o.Tubes = 0 }},
		{"workers", func(o *Options) { o.Workers = -1 }},
		{"producers", func(o *Options) { o.Producers = 0 }},
		{"delay", func(o *Options) { o.DelayMin, o.DelayMax = 3, 2 }},
		{"rounds", func(o *Options) { o.Rounds = 0 }},
		{"scenario", func(o *Options) { o.Scenarios = nil }},
		{"scenario", func(o *Options) { o.Scenarios = []string{"put", "get"} }},
		{"server", func(o *Options) { o.Server.Addr = "" }},
		{"server", func(o *Options) { o.Server.Addr = "unix:" }},
		{"server", func(o *Options) { o.Server.Addr = "a:b:c" }},
		{"", func(o *Options) { o.Server.Addr = "unix:/run/x" }},
		{"vs", func(o *Options) { o.Against = &Target{} }},
		{"pid", func(o *Options) { o.Server.PID = -1 }},
		{"pid", func(o *Options) { o.Server.PID = 1<<31 - 1 }},
		{"vs-pid", func(o *Options) { o.Against = &Target{Addr: "x", PID: 1<<31 - 1} }},
	}
	for i, test := range tests {
		o := Defaults()
		test.change(&o)
		err := o.Check()
		wrong, _ := errors.AsType[*OptionError](err)
		if test.option == "" && err != nil || test.option != "" && (wrong == nil || wrong.Option != test.option) {
			t.Errorf("%d: got the error %v, want one about %q", i, err, test.option)
		}
	}
}

func TestNetwork(t *testing.T) {
	tests := []struct{ addr, network, want string }{
		{"127.0.0.1:1", "tcp", "127.0.0.1:1"},
		{"localhost", "tcp", "localhost:11300"},
		{":1", "tcp", "127.0.0.1:1"},
		{"::1", "tcp", "[::1]:11300"},
		{"[::1]", "tcp", "[::1]:11300"},
		{"[::1]:1", "tcp", "[::1]:1"},
		{"unix:/run/x", "unix", "/run/x"},
		{"unix:", "", ""},
		{"", "", ""},
		{"a b", "", ""},
		{"127.0.0.1:", "", ""},
	}
	for _, test := range tests {
		target := Target{Addr: test.addr}
		network, got, err := target.network()
		if network != test.network || got != test.want || (err != nil) != (test.want == "") {
			t.Errorf("%q: got %q, %q, %v", test.addr, network, got, err)
		}
	}
}
