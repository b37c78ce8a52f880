package metrics

import (
	"math"
	"runtime"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"spoked/internal/journal"
	"spoked/internal/server"
	"spoked/queue"
)

const (
	// hold is after how long a portion of a collection lets go of the engine, and
	// pause for how long at least, on an idle machine a millisecond: who waits for
	// it goes first, and has most of the time.
	hold  = 80 * time.Microsecond
	pause = 200 * time.Microsecond

	// glance is how many tubes are looked at between two looks at the clock, and
	// scan how many ready jobs. The latter are all over the memory.
	glance = 8
	scan   = 128

	// mostScanned is how many ready jobs are looked at in a collection, shared by
	// all tubes, and leastScanned how many at least of each.
	mostScanned  = 2 << 20
	leastScanned = 1024
)

// A collection is one of all metrics.
type collection struct {
	metrics *Metrics
	out     chan<- prometheus.Metric
	began   time.Time // the histograms
	longest time.Duration
}

// send sends a metric that has a row in Families.
func (c *collection) send(name string, value float64, labels ...string) {
	f := c.metrics.families[name]
	c.out <- prometheus.MustNewConstMetric(f.desc, f.kind, value, labels...)
}

// sendHistogram does so for a histogram.
func (c *collection) sendHistogram(name string, h *queue.Histogram, bounds scale, labels ...string) {
	desc := c.metrics.families[name].desc
	m, err := newHistogram(desc, h, bounds, c.began, labels...)
	if err != nil {
		m = prometheus.NewInvalidMetric(desc, err)
	}
	c.out <- m
}

// view runs f while nobody else uses the engine, and takes the time.
func (c *collection) view(s Server, f func(e *queue.Engine, now int64)) {
	s.View(func(e *queue.Engine, now int64) {
		begin := time.Now()
		f(e, now)
		c.longest = max(c.longest, time.Since(begin))
	})
}

// portions runs step while nobody else uses the engine, until it reports that
// there is no more. In between others have it.
func (c *collection) portions(s Server, step func(e *queue.Engine, now int64) (more bool)) {
	for more := true; more; {
		c.view(s, func(e *queue.Engine, now int64) {
			begin := time.Now()
			for more = step(e, now); more && time.Since(begin) < hold; {
				more = step(e, now)
			}
		})
		if more {
			time.Sleep(pause)
		}
	}
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// process sends what can be told without a server.
func (c *collection) process(phase Phase, done, total int64) {
	c.send("spoked_build_info", 1, c.metrics.opts.Version, runtime.Version())
	read := 1.0
	if phase == Starting {
		read = 0
		if total > 0 {
			read = float64(done) / float64(total)
		}
	}
	c.send("spoked_replay_ratio", read)
}

// server sends what is told of the server as a whole.
func (c *collection) server(s Server, phase Phase) {
	opts := &c.metrics.opts
	figures := s.Figures()
	var st queue.Stats
	var bodies int64
	var draining bool
	c.view(s, func(e *queue.Engine, _ int64) {
		st, bodies, draining = e.Stats(), e.BodyBytes(), e.Draining()
	})
	c.send("spoked_ready", truth(phase == Serving && !draining))
	c.send("spoked_server_info", 1, opts.ID, opts.PID, opts.Hostname, opts.OS, opts.Platform, opts.Protocol)
	c.send("spoked_start_time_seconds", float64(figures.Started.UnixNano())/1e9)
	c.send("spoked_draining", truth(draining))
	c.send("spoked_max_job_size_bytes", float64(c.metrics.maxJobSize.Load()))
	for state, n := range st.Jobs {
		c.send("spoked_jobs", float64(n), queue.State(state).String())
	}
	c.send("spoked_jobs_urgent", float64(st.Urgent))
	c.send("spoked_jobs_put_total", float64(st.TotalJobs))
	c.send("spoked_jobs_deleted_total", float64(st.Deletes))
	c.send("spoked_job_timeouts_total", float64(st.Timeouts))
	c.send("spoked_job_bodies_bytes", float64(bodies))
	c.send("spoked_tubes", float64(st.Tubes))
	c.send("spoked_connections", float64(st.Connections))
	c.send("spoked_connections_accepted_total", float64(st.TotalConnections))
	c.send("spoked_producers", float64(st.Producers))
	c.send("spoked_workers", float64(st.Workers))
	c.send("spoked_workers_waiting", float64(st.Waiting))
	c.figures(&figures)
}

// figures sends what the server counts besides the engine.
func (c *collection) figures(f *server.Figures) {
	c.send("spoked_accept_failures_total", float64(f.AcceptFailures))
	for i := range f.Commands {
		cmd := &f.Commands[i]
		c.send("spoked_commands_total", float64(cmd.Count), cmd.Name)
		if cmd.Latency.Count > 0 {
			c.sendHistogram("spoked_command_duration_seconds", &cmd.Latency, turnScale(), cmd.Name)
		}
	}
	for i := range f.Loops {
		loop, name := &f.Loops[i], strconv.Itoa(i)
		c.send("spoked_loop_connections", float64(loop.Connections), name)
		c.send("spoked_loop_turns_total", float64(loop.Turns), name)
		c.send("spoked_loop_turn_longest_seconds", loop.Longest.Seconds(), name)
		c.sendHistogram("spoked_loop_turn_duration_seconds", &loop.Latency, turnScale(), name)
	}
	c.journal(f.Journal)
}

// journal sends what is told of the journal; 0, as stats does, if there is none.
func (c *collection) journal(j *journal.Figures) {
	c.send("spoked_journal_enabled", truth(j != nil))
	if j == nil {
		j = new(journal.Figures)
	}
	c.send("spoked_journal_oldest_segment", float64(j.Oldest))
	c.send("spoked_journal_current_segment", float64(j.Head))
	c.send("spoked_journal_segments", float64(j.Segments))
	c.send("spoked_journal_segment_size_bytes", float64(c.metrics.opts.SegmentSize))
	c.send("spoked_journal_live_bytes", float64(j.Live))
	c.send("spoked_journal_disk_bytes", float64(j.Disk))
	c.send("spoked_journal_records_written_total", float64(j.Written))
	c.send("spoked_journal_records_migrated_total", float64(j.Copied))
	c.send("spoked_journal_full", truth(j.Full))
	c.send("spoked_journal_failed", truth(j.Failed))
	c.send("spoked_journal_batches_total", float64(j.Newest))
	c.send("spoked_journal_unsettled_batches", float64(j.Newest-min(j.Newest, j.Settled)))
	c.send("spoked_journal_chores_total", float64(j.Chores))
	c.send("spoked_journal_fetches", float64(j.Fetches))
	c.sendHistogram("spoked_journal_sync_duration_seconds", &j.Syncs, syncScale())
}

// tubes sends what is told of tubes.
func (c *collection) tubes(s Server) {
	own, others, put, deleted := c.walk(s)
	for _, t := range own {
		c.tube(&t.stats)
	}
	c.ages(s, own)
	c.times(s, own)

	c.send("spoked_other_tubes", float64(others.tubes))
	c.send("spoked_other_tubes_oldest_ready_age_seconds", c.otherAge(s, others))
	for state, n := range others.jobs {
		c.send("spoked_other_tubes_jobs", float64(n), queue.State(state).String())
	}
	c.send("spoked_other_tubes_jobs_urgent", float64(others.urgent))
	c.send("spoked_other_tubes_jobs_put_total", float64(put))
	c.send("spoked_other_tubes_jobs_deleted_total", float64(deleted))
	c.send("spoked_other_tubes_using", float64(others.using))
	c.send("spoked_other_tubes_watching", float64(others.watching))
	c.send("spoked_other_tubes_waiting", float64(others.waiting))
	c.send("spoked_other_tubes_paused", float64(others.paused))
}

// walk looks at all tubes, and returns those that have metrics of their own, the
// sums of the others, and what was put into these and deleted of them.
func (c *collection) walk(s Server) (own []*place, others *sums, put, deleted uint64) {
	var st queue.Stats
	c.view(s, func(e *queue.Engine, _ int64) { st = e.Stats() })
	w := c.metrics.places.begin(st.Tubes, int(c.metrics.maxTubes.Load()))
	at := math.MaxInt
	c.portions(s, func(e *queue.Engine, now int64) (more bool) {
		st = e.Stats()
		n := 0
		for i, t := range e.TubesBelow(now, at) {
			w.see(t)
			at = i
			if n++; n == glance {
				return true
			}
		}
		return false
	})
	own = w.end()
	put, deleted = c.metrics.places.rest(st.TotalJobs, st.Deletes)
	return own, &w.others, put, deleted
}

func (c *collection) tube(t *queue.TubeStats) {
	for state, n := range t.Jobs {
		c.send("spoked_tube_jobs", float64(n), t.Name, queue.State(state).String())
	}
	c.send("spoked_tube_jobs_urgent", float64(t.Urgent), t.Name)
	c.send("spoked_tube_jobs_put_total", float64(t.TotalJobs), t.Name)
	c.send("spoked_tube_jobs_deleted_total", float64(t.Deletes), t.Name)
	c.send("spoked_tube_using", float64(t.Using), t.Name)
	c.send("spoked_tube_watching", float64(t.Watching), t.Name)
	c.send("spoked_tube_waiting", float64(t.Waiting), t.Name)
	c.send("spoked_tube_pauses_total", float64(t.Pauses), t.Name)
	c.send("spoked_tube_pause_seconds", t.Pause.Seconds(), t.Name)
	c.send("spoked_tube_pause_left_seconds", max(0, t.PauseLeft).Seconds(), t.Name)
}

// ages sends how old the oldest ready jobs are. Of a long queue only the jobs
// are looked at that are first in the heap. The oldest is among them if all have
// the same priority, since it is the very first then, and most likely otherwise.
func (c *collection) ages(s Server, own []*place) {
	if len(own) == 0 {
		return
	}
	limit := max(leastScanned, mostScanned/len(own))
	i, pos, oldest := 0, 0, int64(math.MaxInt64) // the tube, and how far it has been looked at
	ages := make([]float64, len(own))
	c.portions(s, func(e *queue.Engine, now int64) (more bool) {
		created, end := e.OldestReady(own[i].stats.Name, &pos, scan)
		oldest = min(oldest, created)
		if !end && pos < limit {
			return true
		}
		if oldest != math.MaxInt64 {
			ages[i] = time.Duration(max(0, now-oldest)).Seconds()
		}
		i, pos, oldest = i+1, 0, math.MaxInt64
		return i < len(own)
	})
	for i, t := range own {
		c.send("spoked_tube_oldest_ready_age_seconds", ages[i], t.stats.Name)
	}
}

// otherAge returns how old the oldest job is of those that are the next in tubes
// without metrics of their own, in seconds.
func (c *collection) otherAge(s Server, others *sums) (age float64) {
	if others.jobs[queue.Ready] == 0 {
		return 0
	}
	at, own := math.MaxInt, c.metrics.places.byName
	c.portions(s, func(e *queue.Engine, now int64) (more bool) {
		n := 0
		for i, t := range e.TubesBelow(now, at) {
			if pos := 0; t.Jobs[queue.Ready] > 0 && own[t.Name] == nil {
				created, _ := e.OldestReady(t.Name, &pos, 1)
				age = max(age, time.Duration(now-created).Seconds())
			}
			at = i
			if n++; n == glance {
				return true
			}
		}
		return false
	})
	return age
}

// times sends the histograms of tubes of which there is one, and of the others.
func (c *collection) times(s Server, own []*place) {
	var copies [glance]queue.Times // of tubes, and which these are
	var names [glance]string
	for i := 0; i < len(own); {
		n := 0
		c.view(s, func(e *queue.Engine, _ int64) {
			for last := min(len(own), i+scan); i < last && n < glance; i++ {
				if t, ok := e.TimesOf(own[i].stats.Name); ok {
					copies[n], names[n] = *t, own[i].stats.Name
					n++
				}
			}
		})
		for k := range n {
			c.sendHistogram("spoked_tube_wait_seconds", &copies[k].Wait, queueScale(), names[k])
			c.sendHistogram("spoked_tube_run_seconds", &copies[k].Run, queueScale(), names[k])
		}
	}
	var rest *queue.Times
	c.view(s, func(e *queue.Engine, _ int64) {
		if t := e.RestTimes(); t != nil {
			rest = new(*t)
		}
	})
	if rest != nil {
		c.sendHistogram("spoked_other_tubes_wait_seconds", &rest.Wait, queueScale())
		c.sendHistogram("spoked_other_tubes_run_seconds", &rest.Run, queueScale())
	}
}
