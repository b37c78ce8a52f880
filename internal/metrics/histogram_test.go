package metrics

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"spoked/queue"
)

// TestHistogram compares both forms of a histogram with the values that were
// put into it.
func TestHistogram(t *testing.T) {
	desc := prometheus.NewDesc("x_seconds", "X.", []string{"tube"}, nil)
	began := time.Unix(1000, 0)
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(seed, 0))
		var h queue.Histogram
		var values []time.Duration
		for range r.IntN(300) {
			d := time.Duration(math.Exp2(45 * r.Float64())) // up to ten hours
			switch r.IntN(10) {
			case 0:
				d = 0
			case 1:
				d = time.Second >> r.IntN(8) // on a bound
			}
			values = append(values, d)
			h.Add(d)
		}
		m, err := newHistogram(desc, &h, queueScale(), began, "a")
		if err != nil {
			t.Fatal(err)
		}
		var out dto.Metric
		if err := m.Write(&out); err != nil {
			t.Fatal(err)
		}
		got := out.Histogram
		if int(got.GetSampleCount()) != len(values) || !got.CreatedTimestamp.AsTime().Equal(began) || out.Label[0].GetValue() != "a" {
			t.Fatalf("got %v, want %d values", &out, len(values))
		}
		if first, last := got.Bucket[0].GetUpperBound(), got.Bucket[len(got.Bucket)-1].GetUpperBound(); first != 1./1024 || last != 1<<18 {
			t.Errorf("got bounds from %v to %v", first, last)
		}
		for _, b := range got.Bucket {
			want := uint64(0)
			for _, d := range values {
				if d.Seconds() <= b.GetUpperBound() {
					want++
				}
			}
			if b.GetCumulativeCount() != want {
				t.Errorf("seed %d: got %d up to %v s, want %d", seed, b.GetCumulativeCount(), b.GetUpperBound(), want)
			}
		}
		native := nativeBuckets(got)
		for index, n := range native {
			want := int64(0)
			for _, d := range values {
				s := d.Seconds()
				if index == zeroBucket && s <= queue.ZeroThreshold ||
					s > queue.ZeroThreshold && s > math.Exp2(float64(index-1)/4) && s <= math.Exp2(float64(index)/4) {
					want++
				}
			}
			if n != want {
				t.Errorf("seed %d: got %d in bucket %d, want %d", seed, n, index, want)
			}
		}
	}
}

// TestQuantile looks for quantiles of a thousand equal steps.
func TestQuantile(t *testing.T) {
	var h queue.Histogram
	for i := range 1000 {
		h.Add(time.Duration(i+1) * time.Millisecond)
	}
	buckets := map[int]int64{}
	for index, n := range h.Buckets() {
		buckets[index] = int64(n)
	}
	for _, q := range []float64{0.01, 0.5, 0.95, 0.99} {
		if got := quantile(buckets, 1000, q); math.Abs(got-q) > q/8 {
			t.Errorf("got %v, want about %v", got, q)
		}
	}
	if got := quantile(map[int]int64{zeroBucket: 5}, 5, 0.5); got != queue.ZeroThreshold {
		t.Errorf("got %v of values that are nothing", got)
	}
}
