package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// An about is the first line of a file of figures: how they came about.
type about struct {
	Type       string `json:"type"` // "about"
	Series     string `json:"series"`
	Date       string `json:"date"`
	Quick      bool   `json:"quick"`
	CPU        string `json:"cpu"`
	Cores      int    `json:"cores"`
	System     string `json:"system"`
	Go         string `json:"go"`
	Spoked     string `json:"spoked"`
	Beanstalkd string `json:"beanstalkd,omitempty"`
}

// A sample is one figure of one server in one round: a result of spoked bench, or
// a value that this program has measured itself.
type sample struct {
	Type   string  `json:"type"`   // "sample"
	Server string  `json:"server"` // spoked or beanstalkd
	Case   string  `json:"case,omitempty"`
	X      float64 `json:"x"`
	Round  int     `json:"round"`
	Value  float64 `json:"value,omitempty"`
	Unit   string  `json:"unit,omitempty"` // of Value
	// Failed is a result that spoked bench itself calls one.
	Failed bool            `json:"failed,omitempty"`
	Bench  json.RawMessage `json:"bench,omitempty"`

	result result // what Bench says
}

// A result is what is read of an object of spoked bench --json.
type result struct {
	Type       string   `json:"type"`
	Commands   float64  `json:"commands"`
	CommandsPS float64  `json:"commands_per_second"`
	JobsPS     float64  `json:"jobs_per_second"`
	Errors     int      `json:"errors"`
	FirstError string   `json:"first_error"`
	Unsent     float64  `json:"unsent"`
	Latency    latency  `json:"latency_us"`
	Lateness   latency  `json:"lateness_us"`
	ServerCPU  *float64 `json:"server_cpu_us_per_command"`
}

// latency is a distribution in microseconds.
type latency struct {
	P50   float64 `json:"p50"`
	P90   float64 `json:"p90"`
	P99   float64 `json:"p99"`
	P999  float64 `json:"p999"`
	P9999 float64 `json:"p9999"`
}

// parseResult returns the one result in what spoked bench --json has printed, as it
// stands and as it is read.
func parseResult(out []byte) (json.RawMessage, result, error) {
	for line := range bytes.Lines(out) {
		var r result
		if err := json.Unmarshal(line, &r); err != nil {
			return nil, result{}, fmt.Errorf("spoked bench: %w: %.100s", err, line)
		}
		if r.Type == "result" {
			return bytes.TrimSpace(line), r, nil
		}
	}
	return nil, result{}, errors.New("spoked bench has printed no result")
}

// A set is a file of figures.
type set struct {
	about   about
	samples []sample
}

func dataFile(dir, series string) string { return filepath.Join(dir, series+".jsonl") }

// write replaces the file of the series.
func (s *set) write(dir string) error {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(s.about); err != nil {
		return err
	}
	for _, x := range s.samples {
		if err := e.Encode(x); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return err
	}
	return os.WriteFile(dataFile(dir, s.about.Series), b.Bytes(), 0o666)
}

// readSet returns nil if there is no such file.
func readSet(dir, series string) (*set, error) {
	text, err := os.ReadFile(dataFile(dir, series))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	s, err := parseSet(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", dataFile(dir, series), err)
	}
	return s, nil
}

func parseSet(text []byte) (*set, error) {
	s := &set{}
	lines := bufio.NewScanner(bytes.NewReader(text))
	lines.Buffer(nil, 1<<20)
	for n := 1; lines.Scan(); n++ {
		var kind struct {
			Type string `json:"type"`
		}
		err := json.Unmarshal(lines.Bytes(), &kind)
		switch {
		case err != nil:
		case kind.Type == "about":
			err = json.Unmarshal(lines.Bytes(), &s.about)
		case kind.Type == "sample":
			var x sample
			if err = json.Unmarshal(lines.Bytes(), &x); err == nil && x.Bench != nil {
				err = json.Unmarshal(x.Bench, &x.result)
			}
			s.samples = append(s.samples, x)
		default:
			err = fmt.Errorf("unknown type: %q", kind.Type)
		}
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
	}
	if s.about.Type == "" {
		return nil, errors.New("it does not say what it is about")
	}
	return s, lines.Err()
}

// A point is what the rounds of one case come to.
type point struct {
	x        float64
	y        float64 // the median
	lo, hi   float64
	fellBack bool // could not keep up with the rate it was given
}

// points returns the median of a figure over the rounds, by x, of one server and
// case. What has failed is left out.
func (s *set) points(server, name string, figure func(*sample) float64) []point {
	byX := map[float64][]float64{}
	late := map[float64]int{}
	for i := range s.samples {
		x := &s.samples[i]
		if x.Server != server || x.Case != name || x.Failed {
			continue
		}
		byX[x.X] = append(byX[x.X], figure(x))
		if x.result.Unsent > x.result.Commands/100 {
			late[x.X]++
		}
	}
	var list []point
	for x, values := range byX {
		list = append(list, point{
			x: x, y: median(values), lo: slices.Min(values), hi: slices.Max(values),
			fellBack: 2*late[x] > len(values),
		})
	}
	slices.SortFunc(list, func(a, b point) int {
		if a.x < b.x {
			return -1
		}
		return 1
	})
	return list
}

// rounds returns how many rounds there are.
func (s *set) rounds() int {
	n := 0
	for _, x := range s.samples {
		n = max(n, x.Round)
	}
	return n
}

// median returns the middle of values, of an even number the mean of the two.
func median(values []float64) float64 {
	s := slices.Sorted(slices.Values(values))
	if len(s) == 0 {
		return 0
	}
	return (s[(len(s)-1)/2] + s[len(s)/2]) / 2
}
