package console

import (
	"math"
	"time"

	"spoked/internal/history"
	"spoked/queue"
)

// tubePage is the page of one tube.
type tubePage struct {
	*history.Tube
	Now     *history.Snapshot
	Gone    bool // there is no such tube, now
	Signs   []sign
	Times   []percentiles
	Chart   chart
	Browser browser
	Rights  Rights
	Here    string
}

func (p tubePage) title() string { return p.Name }

// percentiles are those of a kind of time.
type percentiles struct {
	Label, Title  string
	Count         uint64
	P50, P90, P99 time.Duration
	Mean          time.Duration
}

// quantile returns the time that a share q of the times in h do not exceed, to
// within a fifth.
func quantile(h *queue.Histogram, q float64) time.Duration {
	rank := uint64(math.Ceil(q * float64(h.Count)))
	if h.Count == 0 {
		return 0
	}
	seen := h.Zero
	if seen >= rank {
		return time.Microsecond
	}
	for k, n := range h.Buckets() {
		if seen += n; seen >= rank {
			// The middle of the bucket, where the scale is logarithmic.
			return time.Duration(math.Exp2((float64(k)-0.5)/4) * float64(time.Second))
		}
	}
	return 0
}

func percentilesOf(label, title string, h *queue.Histogram) percentiles {
	p := percentiles{Label: label, Title: title, Count: h.Count,
		P50: quantile(h, 0.5), P90: quantile(h, 0.9), P99: quantile(h, 0.99)}
	if h.Count > 0 {
		p.Mean = time.Duration(h.Sum / float64(h.Count))
	}
	return p
}

// timesOf returns the percentiles of a tube's times.
func timesOf(t *queue.Times) []percentiles {
	return []percentiles{
		percentilesOf("Wait", "from when a job was ready for the first time until a worker got it", &t.Wait),
		percentilesOf("Run", "from when a worker got a job until it deleted it", &t.Run),
	}
}

// tubeLive is the page of a tube without its jobs.
func (c *call) tubeLive() (any, error) {
	p, err := c.tubeNow()
	return p, err
}

// tubeNow returns the page of a tube without its jobs.
func (c *call) tubeNow() (tubePage, error) {
	q := c.r.URL.Query()
	name := q.Get("name")
	if err := checkTube(name); err != nil {
		return tubePage{}, err
	}
	p := tubePage{Now: c.h.opts.History.Now(), Rights: c.rights, Tube: &history.Tube{}}
	if t := p.Now.Tubes[name]; t != nil {
		*p.Tube = *t
	}
	c.server.View(func(e *queue.Engine, now int64) {
		s, err := e.TubeStats(now, []byte(name))
		p.TubeStats, p.Gone = s, err != nil
		if t, ok := e.TimesOf(name); ok {
			p.Times = timesOf(t)
		}
	})
	p.Name = name
	p.Signs = signsOf(p.Tube, p.Now)
	p.Chart = c.tubeChart(name)
	p.Browser = c.browserOf(name)
	p.Browser.count(&p.Jobs)
	p.Here = tubePath(name, "state", p.Browser.State, "contains", p.Browser.Contains)
	return p, nil
}

func (c *call) tube() (any, error) {
	p, err := c.tubeNow()
	if err != nil {
		return nil, err
	}
	return p, c.firstRows(&p.Browser)
}

// tubeChart returns the chart of a tube.
func (c *call) tubeChart(name string) chart {
	h := c.h.opts.History
	k := chartOf(c.r, name, history.Point{})
	if recent, ok := h.Of(name, 3*time.Second); ok && len(recent) > 0 {
		k.Newest = columns(recent[len(recent)-1:], 0)
	} else {
		k.Kept, k.Newest = ok, ""
	}
	return k
}
