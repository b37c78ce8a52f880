package metrics

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cactus/go-statsd-client/v5/statsd"
	dto "github.com/prometheus/client_model/go"
	"go.uber.org/zap"

	"spoked/queue"
)

// StatsDInterval is how often a StatsD daemon is told.
const StatsDInterval = 10 * time.Second

// PushStatsD tells the StatsD daemon at address, a host and a port, all metrics
// each time the interval has passed, until ctx ends. It has no way to learn
// whether anybody listens. What goes wrong is logged, once for each kind of
// error, and tried again.
//
// A gauge is sent as one. A counter is sent as what it has grown by, and of a
// histogram so are its count and its sum; of the values of the interval there
// are percentiles, as gauges. What was counted before a counter is first seen
// is not sent.
//
// Names are those of Prometheus with the values of their labels, the tube first:
// spoked.tube_jobs.default.ready. Labels that do not change are left out, and a
// byte that has a meaning to StatsD is replaced by an underscore.
func (m *Metrics) PushStatsD(ctx context.Context, address string, interval time.Duration) {
	p := pusher{}
	if err := p.gather(m, nil); err != nil { // what to count from
		m.opts.Log.Warn("metrics for StatsD", zap.Error(err))
	}
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	complaint := ""
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		err := p.push(m, address)
		switch {
		case err == nil:
			complaint = ""
		case err.Error() != complaint:
			complaint = err.Error()
			m.opts.Log.Warn("sending metrics to StatsD", zap.String("address", address), zap.Error(err))
		}
	}
}

// A pusher knows what it has told.
type pusher struct {
	counted    map[string]float64
	histograms map[string]map[int]int64 // native buckets
	present    map[string]bool          // names of the present collection
}

// push sends everything in one go. The name of the daemon is looked up each
// time, since it may have moved.
func (p *pusher) push(m *Metrics, address string) error {
	to, err := statsd.NewClientWithConfig(&statsd.ClientConfig{
		Address: address, Prefix: "spoked", UseBuffered: true, FlushInterval: time.Second,
	})
	if err != nil {
		return err
	}
	return errors.Join(p.gather(m, to), to.Close())
}

// gather has all metrics collected, and sends them to to, unless that is nil.
func (p *pusher) gather(m *Metrics, to statsd.Statter) error {
	p.present = map[string]bool{}
	families, err := m.registry.Gather() // as much as there is, and what was wrong with the rest
	for _, f := range families {
		for _, one := range f.Metric {
			name, ok := statName(f.GetName(), one.Label)
			if !ok {
				continue
			}
			err = errors.Join(err, p.tell(to, name, one))
		}
	}
	gone := func(name string, _ float64) bool { return !p.present[name] }
	maps.DeleteFunc(p.counted, gone)
	maps.DeleteFunc(p.histograms, func(name string, _ map[int]int64) bool { return !p.present[name] })
	return err
}

// tell sends what there is to tell about a metric.
func (p *pusher) tell(to statsd.Statter, name string, m *dto.Metric) error {
	switch {
	case m.Counter != nil:
		return p.count(to, name, m.Counter.GetValue())
	case m.Gauge != nil:
		return gauge(to, name, m.Gauge.GetValue())
	case m.Summary != nil:
		err := errors.Join(
			p.count(to, name+".count", float64(m.Summary.GetSampleCount())),
			p.count(to, name+".sum", m.Summary.GetSampleSum()))
		for _, q := range m.Summary.Quantile {
			err = errors.Join(err, gauge(to, name+percentile(q.GetQuantile()), q.GetValue()))
		}
		return err
	case m.Histogram != nil:
		return errors.Join(
			p.count(to, name+".count", float64(m.Histogram.GetSampleCount())),
			p.count(to, name+".sum", m.Histogram.GetSampleSum()),
			p.spread(to, name, m.Histogram))
	}
	return nil
}

// count sends what a counter has grown by.
func (p *pusher) count(to statsd.Statter, name string, value float64) error {
	if p.counted == nil {
		p.counted = map[string]float64{}
	}
	before, known := p.counted[name]
	p.counted[name] = value
	p.present[name] = true
	switch {
	case to == nil || !known:
		return nil
	case value < before: // it has begun anew
		before = 0
	}
	return to.Raw(name, number(value-before)+"|c", 1)
}

func gauge(to statsd.Statter, name string, value float64) error {
	if to == nil || math.IsNaN(value) || math.IsInf(value, 0) || value < 0 { // a sign would mean a change
		return nil
	}
	return to.Raw(name, number(value)+"|g", 1)
}

func number(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) }

func percentile(q float64) string {
	return ".p" + strings.ReplaceAll(number(100*q), ".", "_")
}

// spread sends percentiles of the values that are new in a histogram.
func (p *pusher) spread(to statsd.Statter, name string, h *dto.Histogram) error {
	if h.Schema == nil {
		return nil // a classic one
	}
	if p.histograms == nil {
		p.histograms = map[string]map[int]int64{}
	}
	now := nativeBuckets(h)
	before, known := p.histograms[name]
	p.histograms[name] = now
	p.present[name] = true
	if to == nil || !known {
		return nil
	}
	total, grown := int64(0), map[int]int64{}
	for index, n := range now {
		if n -= before[index]; n > 0 {
			grown[index] = n
			total += n
		}
	}
	var err error
	for _, q := range []float64{0.5, 0.95, 0.99} {
		if total > 0 {
			err = errors.Join(err, gauge(to, name+percentile(q), quantile(grown, total, q)))
		}
	}
	return err
}

// zeroBucket is the index of the bucket of values that count as 0.
const zeroBucket = math.MinInt

// nativeBuckets returns how many values are in which bucket: a histogram has runs
// of buckets, with the gaps between them, and of each the difference to the last.
func nativeBuckets(h *dto.Histogram) map[int]int64 {
	buckets := map[int]int64{}
	if n := h.GetZeroCount(); n > 0 {
		buckets[zeroBucket] = int64(n)
	}
	index, n, deltas := 0, int64(0), h.PositiveDelta
	for _, span := range h.PositiveSpan {
		index += int(span.GetOffset())
		for range span.GetLength() {
			n += deltas[0]
			deltas = deltas[1:]
			buckets[index] = n
			index++
		}
	}
	return buckets
}

// quantile returns about which value that part of all values does not exceed.
func quantile(buckets map[int]int64, total int64, part float64) float64 {
	rank := part * float64(total)
	for _, index := range slices.Sorted(maps.Keys(buckets)) {
		n := float64(buckets[index])
		if rank > n {
			rank -= n
			continue
		}
		if index == zeroBucket {
			return queue.ZeroThreshold
		}
		return math.Exp2((float64(index) - 1 + rank/n) / perDouble)
	}
	return 0
}

// statName returns what StatsD is to call a metric, and false if it is not for
// StatsD: text that does not change.
func statName(name string, labels []*dto.LabelPair) (string, bool) {
	if strings.HasSuffix(name, "_info") {
		return "", false
	}
	name = strings.TrimSuffix(strings.TrimPrefix(name, "spoked_"), "_total")
	var tube, others string
	for _, l := range labels {
		if part := "." + plain(l.GetValue()); l.GetName() == "tube" {
			tube = part
		} else {
			others += part
		}
	}
	return fmt.Sprint(name, tube, others), true
}

// plain replaces what a name of StatsD must not have.
func plain(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '-', r == '_':
			return r
		}
		return '_'
	}, s)
}
