package metrics

import (
	"math"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"spoked/queue"
)

// The native histograms are the engine's own, bucket by bucket: of schema 2, in
// which the upper bound of a bucket is the fourth root of 2 times that of the
// one before, and bucket 0 ends at a second.
const (
	schema    = 2
	perDouble = 1 << schema // buckets
)

// A scale says which buckets a classic histogram has. Their upper bounds are
// powers of 2, in seconds: they fall on bounds of native buckets, and so the
// counts are exact.
type scale struct{ first, last, step int } // exponents

func turnScale() scale  { return scale{-18, 2, 1} }  // 4 us to 4 s
func syncScale() scale  { return scale{-14, 4, 1} }  // 61 us to 16 s
func queueScale() scale { return scale{-10, 18, 2} } // 1 ms to 3 days

// histogram is a metric that is both a native and a classic histogram: which of
// the two is told depends on what the one who asks can read.
type histogram struct {
	prometheus.Metric // native alone
	classic           []*dto.Bucket
}

// Write has both in out.
func (h *histogram) Write(out *dto.Metric) error {
	if err := h.Metric.Write(out); err != nil {
		return err
	}
	out.Histogram.Bucket = h.classic
	return nil
}

// newHistogram returns a metric with what h has now, which has counted since
// began.
func newHistogram(desc *prometheus.Desc, h *queue.Histogram, bounds scale, began time.Time, labels ...string) (prometheus.Metric, error) {
	native := map[int]int64{}
	var classic []*dto.Bucket
	below, next := h.Zero, bounds.first // counted so far, and the next bound's exponent
	reach := func(index int) {          // all bounds below that bucket
		for next <= bounds.last && next*perDouble < index {
			bound, n := math.Ldexp(1, next), below
			classic = append(classic, &dto.Bucket{UpperBound: &bound, CumulativeCount: &n})
			next += bounds.step
		}
	}
	for index, n := range h.Buckets() {
		reach(index)
		below += n
		native[index] = int64(n)
	}
	reach(math.MaxInt)
	seconds := h.Sum / float64(time.Second)
	m, err := prometheus.NewConstNativeHistogram(desc, h.Count, seconds, native, nil, h.Zero, schema, queue.ZeroThreshold, began, labels...)
	return &histogram{m, classic}, err
}
