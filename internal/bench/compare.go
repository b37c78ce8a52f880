package bench

import "slices"

// A Comparison is what the rounds of a scenario on two servers come to: of each
// figure, the median over the rounds of the ratio within a round, the server's
// divided by the other's.
type Comparison struct {
	Type       string `json:"type"` // "comparison"
	Scenario   string `json:"scenario"`
	Server     string `json:"server"`
	Label      string `json:"label"`
	VsServer   string `json:"vs_server"`
	VsLabel    string `json:"vs_label"`
	Rounds     int    `json:"rounds"`
	Throughput Ratio  `json:"commands_per_second"`
	P99        Ratio  `json:"p99"`
	// Second is of the end to end latency, the lateness or the duration of a
	// connection, in scenarios that have one.
	Second *Ratio `json:"second_p99,omitempty"`
	// CPU is there if both processes are known.
	CPU *Ratio `json:"server_cpu_us_per_command,omitempty"`
}

// A Ratio is one figure of two servers.
type Ratio struct {
	Median float64 `json:"median"` // of the ratios
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`
	Server float64 `json:"server"` // median of the figure itself
	Vs     float64 `json:"vs"`
}

// compare compares results of the same rounds. There is at least one.
func compare(ours, theirs []*Result) *Comparison {
	a, b := ours[0], theirs[0]
	c := &Comparison{
		Type: "comparison", Scenario: a.Scenario, Server: a.Server, Label: a.Label,
		VsServer: b.Server, VsLabel: b.Label, Rounds: len(ours),
	}
	of := func(figure func(*Result) float64) Ratio { return newRatio(ours, theirs, figure) }
	c.Throughput = of(func(r *Result) float64 { return r.CommandsPS })
	c.P99 = of(func(r *Result) float64 { return r.Latency.P99 })
	if a.second() != nil {
		second := of(func(r *Result) float64 { return r.second().P99 })
		c.Second = &second
	}
	if a.ServerCPU != nil && b.ServerCPU != nil {
		cpu := of(func(r *Result) float64 {
			if r.ServerCPU == nil {
				return 0
			}
			return *r.ServerCPU
		})
		c.CPU = &cpu
	}
	return c
}

// second returns the distribution that the scenario has besides latency, or nil.
func (r *Result) second() *Latency {
	for _, l := range []*Latency{r.EndToEnd, r.Lateness, r.Connection} {
		if l != nil {
			return l
		}
	}
	return nil
}

func newRatio(ours, theirs []*Result, figure func(*Result) float64) Ratio {
	var ratios, a, b []float64
	for i := range ours {
		x, y := figure(ours[i]), figure(theirs[i])
		a, b = append(a, x), append(b, y)
		if y > 0 {
			ratios = append(ratios, x/y)
		}
	}
	r := Ratio{Server: rounded(median(a), 1e3), Vs: rounded(median(b), 1e3)}
	if len(ratios) > 0 {
		r.Median, r.Min, r.Max = rounded(median(ratios), 1e4), rounded(slices.Min(ratios), 1e4), rounded(slices.Max(ratios), 1e4)
	}
	return r
}

// median returns the middle of values, of an even number the mean of the two.
func median(values []float64) float64 {
	s := slices.Sorted(slices.Values(values))
	if len(s) == 0 {
		return 0
	}
	return (s[(len(s)-1)/2] + s[len(s)/2]) / 2
}
