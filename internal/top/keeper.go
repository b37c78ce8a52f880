package top

import (
	"math"
	"time"
)

// A frame is one state of a server with its rates, ready to be shown. Nobody changes
// a frame, so that one can be shown while the next is made.
type frame struct {
	at     time.Time
	took   time.Duration // to ask for it
	server Server
	rates  rates
	tubes  []row
}

// rates are a server's, a second, NaN where they are not known; with what they have
// been before, oldest first.
type rates struct {
	puts, reserves, deletes, timeouts float64
	cpu                               float64 // of one processor, 1 is all of it
	records                           float64 // written to the journal

	putTrend, reserveTrend, deleteTrend, timeoutTrend []float32
}

// row is a line of the table.
type row struct {
	TubeFigures
	in, out float64   // jobs put and deleted a second; NaN if that is not known
	ready   []float32 // how many were ready, oldest first
	ins     []float32 // what in and out have been
	outs    []float32
}

// trendLength is how many values a trend has: what fits into the widest little picture.
const trendLength = 32

// A keeper makes frames of snapshots, one after the other. It remembers the last
// frame alone; so tubes that have gone are forgotten.
type keeper struct {
	last   *frame
	byName map[string]int32 // place in last.tubes
}

// frame takes a snapshot, which was asked for at an instant and took that long.
func (k *keeper) frame(at time.Time, took time.Duration, s *Snapshot) *frame {
	f := &frame{at: at, took: took, server: s.Server, tubes: make([]row, len(s.Tubes))}
	unknown := math.NaN()
	f.rates = rates{puts: unknown, reserves: unknown, deletes: unknown, timeouts: unknown, cpu: unknown, records: unknown}
	seconds := 0.0
	if l := k.last; l != nil && s.Server.Uptime >= l.server.Uptime { // else it has been started anew
		seconds = at.Sub(l.at).Seconds()
	}
	if seconds > 0 {
		k.rates(f, seconds)
	}
	store := make([]float32, 0, 3*trendLength*len(s.Tubes)) // one piece: ten thousand tubes are not ten thousand allocations
	byName := make(map[string]int32, len(s.Tubes))
	for i, t := range s.Tubes {
		r := &f.tubes[i]
		*r = row{TubeFigures: t, in: unknown, out: unknown}
		byName[t.Name] = int32(i)
		var before row
		if seconds > 0 {
			if j, ok := k.byName[t.Name]; ok {
				before = k.last.tubes[j]
				r.in, r.out = rate(t.Puts, before.Puts, seconds), rate(t.Deletes, before.Deletes, seconds)
			} else { // new since then
				r.in, r.out = rate(t.Puts, 0, seconds), rate(t.Deletes, 0, seconds)
			}
		}
		r.ready, store = extend(store, before.ready, float64(t.Ready))
		r.ins, store = extend(store, before.ins, r.in)
		r.outs, store = extend(store, before.outs, r.out)
	}
	k.last, k.byName = f, byName
	return f
}

// rates computes the rates of f, which is so much later than the last.
func (k *keeper) rates(f *frame, seconds float64) {
	now, then, old := &f.server, &k.last.server, &k.last.rates
	r := &f.rates
	r.puts = rate(now.Puts, then.Puts, seconds)
	r.reserves = rate(now.Reserves, then.Reserves, seconds)
	// Whatever was put and is no more has been deleted, in whichever way.
	r.deletes = max(0, float64(now.Puts-then.Puts-now.jobs()+then.jobs())/seconds)
	r.timeouts = rate(now.Timeouts, then.Timeouts, seconds)
	r.cpu = rate(int64(now.CPU), int64(then.CPU), seconds) / 1e9
	r.records = rate(now.JournalRecords, then.JournalRecords, seconds)
	r.putTrend, _ = extend(nil, old.putTrend, r.puts)
	r.reserveTrend, _ = extend(nil, old.reserveTrend, r.reserves)
	r.deleteTrend, _ = extend(nil, old.deleteTrend, r.deletes)
	r.timeoutTrend, _ = extend(nil, old.timeoutTrend, r.timeouts)
}

// rate is by how much a count has grown in a second. A tube that has gone and come
// again in between begins at 0.
func rate(now, before int64, seconds float64) float64 {
	if now < 0 || before < 0 {
		return math.NaN()
	}
	if now < before {
		before = 0
	}
	return float64(now-before) / seconds
}

// extend returns a trend with one more value behind those of old, stored in store.
// A value that is not known is none.
func extend(store, old []float32, v float64) (trend, rest []float32) {
	if math.IsNaN(v) {
		return old, store
	}
	old = old[max(0, len(old)-trendLength+1):]
	from := len(store)
	store = append(append(store, old...), float32(v))
	return store[from:len(store):len(store)], store
}
