package console

import (
	"encoding/json"
	"math"
	"net/http"
	"time"

	"spoked/internal/history"
)

// spans are those that a chart can show, by their names in an address.
var spans = []struct {
	Name, Label string
	Span        time.Duration
}{
	{"10m", "10 min", 10 * time.Minute},
	{"1h", "1 hour", time.Hour},
	{"6h", "6 hours", 6 * time.Hour},
	{"24h", "1 day", 24 * time.Hour},
}

// spanOf returns the span that an address asks for.
func spanOf(r *http.Request) (name string, span time.Duration) {
	asked := r.URL.Query().Get("span")
	for _, s := range spans {
		if s.Name == asked {
			return s.Name, s.Span
		}
	}
	return spans[0].Name, spans[0].Span
}

// chart is what a page needs to draw one, or several with the same points.
type chart struct {
	Tube   string // "" for all
	Span   string
	Spans  any
	Path   string // of the page, to which the span is added
	Kept   bool   // there is a history
	Newest string // the newest point, for a script
}

func chartOf(r *http.Request, tube string, newest history.Point) chart {
	name, _ := spanOf(r)
	c := chart{Tube: tube, Span: name, Spans: spans, Kept: true, Newest: columns([]history.Point{newest}, 0)}
	q := r.URL.Query()
	q.Del("span")
	c.Path = r.URL.Path + "?" + q.Encode()
	if len(q) > 0 {
		c.Path += "&"
	}
	return c
}

// overview is the page to begin with.
type overview struct {
	Now     *history.Snapshot
	Trouble []trouble
	More    int // tubes in trouble besides
	Chart   chart
	Uptime  time.Duration
	Address string
	Rights  Rights
}

// mostTrouble is how many tubes in trouble are shown.
const mostTrouble = 12

func (c *call) overview() (any, error) {
	now := c.h.opts.History.Now()
	o := overview{Now: now, Address: c.h.opts.Address(), Rights: c.rights, Uptime: time.Since(c.h.opts.Started)}
	all := 0
	o.Trouble, all = troubled(now, mostTrouble)
	o.More = all - len(o.Trouble)
	o.Chart = chartOf(c.r, "", now.Point)
	return o, nil
}

// Quiet reports whether there is nothing at all, so that the page says how to
// begin.
func (o overview) Quiet() bool {
	return o.Now.Stats.TotalJobs == 0 && o.Now.Point.Ready == 0 && o.jobs() == 0
}

func (o overview) jobs() (n int) {
	for _, k := range o.Now.Stats.Jobs {
		n += k
	}
	return n
}

// mostPoints is how many points a chart has.
const mostPoints = 720

// points answers with the points of a chart, in columns.
func (c *call) points() error {
	_, span := spanOf(c.r)
	var p []history.Point
	if tube := c.r.URL.Query().Get("tube"); tube != "" {
		p, _ = c.h.opts.History.Of(tube, span)
	} else {
		p = c.h.opts.History.Total(span)
	}
	c.w.Header().Set("Content-Type", "application/json")
	writeZipped(c.w, c.r, http.StatusOK, []byte(columns(p, mostPoints)))
	return nil
}

// columns returns points as a JSON array of arrays: instants, and each figure.
// Where there are more than most, means stand for several; 0 is no bound.
func columns(p []history.Point, most int) string {
	each := 1
	if most > 0 {
		each = (len(p) + most - 1) / most
	}
	each = max(1, each)
	cols := make([][]any, 10)
	for i := 0; i < len(p); i += each {
		group := p[i:min(len(p), i+each)]
		mean := func(f func(*history.Point) float64) any {
			sum := 0.0
			for k := range group {
				sum += f(&group[k])
			}
			return math.Round(sum/float64(len(group))*100) / 100
		}
		row := []any{
			group[len(group)-1].At,
			mean(func(p *history.Point) float64 { return float64(p.Puts) }),
			mean(func(p *history.Point) float64 { return float64(p.Reserves) }),
			mean(func(p *history.Point) float64 { return float64(p.Deletes) }),
			mean(func(p *history.Point) float64 { return float64(p.Timeouts) }),
			mean(func(p *history.Point) float64 { return float64(p.Ready) }),
			mean(func(p *history.Point) float64 { return float64(p.Delayed) }),
			mean(func(p *history.Point) float64 { return float64(p.Reserved) }),
			mean(func(p *history.Point) float64 { return float64(p.Buried) }),
			mean(func(p *history.Point) float64 { return float64(p.Waiting) }),
		}
		for k := range cols {
			cols[k] = append(cols[k], row[k])
		}
	}
	for k := range cols {
		if cols[k] == nil {
			cols[k] = []any{}
		}
	}
	b, _ := json.Marshal(cols) // never fails
	return string(b)
}
