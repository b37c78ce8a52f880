package metrics

import (
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"go.uber.org/zap"

	"spoked/internal/journal"
	"spoked/internal/server"
	"spoked/queue"
)

// fake is a server that is nothing but an engine, and a time that stands still.
type fake struct {
	mu      sync.Mutex
	t       *testing.T
	engine  *queue.Engine
	client  *queue.Client
	now     int64
	figures server.Figures
	log     *zap.Logger
	views   int
	kept    []int // KeepTimes was called with
}

func newFake(t *testing.T) *fake {
	f := &fake{t: t, engine: queue.New(0), now: int64(time.Hour)}
	f.figures.Started = time.Unix(1e9, 0)
	f.client = f.engine.Connect()
	f.engine.KeepTimes(1000)
	return f
}

func (f *fake) View(look func(e *queue.Engine, now int64)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.views++
	look(f.engine, f.now)
}

func (f *fake) Figures() server.Figures { return f.figures }

func (f *fake) KeepTimes(tubes int) { f.kept = append(f.kept, tubes) }

func (f *fake) metrics(t *testing.T, maxTubes int) *Metrics {
	h := new(Health)
	h.Serve(f)
	return New(Options{
		MaxTubes: maxTubes, MaxJobSize: 65535, Version: "1.2.3", ID: "id", PID: "1", Hostname: "host", OS: "os", Platform: "platform",
		Protocol: "1.13", SegmentSize: 10 << 20, Health: h, Log: f.log,
	})
}

// put puts jobs.
func (f *fake) put(tube string, jobs int) {
	f.t.Helper()
	f.engine.Use(f.client, []byte(tube))
	for range jobs {
		d, err := f.engine.Begin(f.now, f.client, 5, 0, time.Hour, 1)
		if err != nil {
			f.t.Fatal(err)
		}
		if _, err := f.engine.Insert(f.now, &d); err != nil {
			f.t.Fatal(err)
		}
	}
}

// work reserves a job when it has waited for so long, and deletes it after having
// run for so long.
func (f *fake) work(tube string, wait, run time.Duration) {
	f.t.Helper()
	c := f.engine.Connect()
	defer f.engine.Disconnect(f.now, c)
	f.engine.Watch(c, []byte(tube))
	if tube != "default" {
		if err := f.engine.Ignore(c, []byte("default")); err != nil {
			f.t.Fatal(err)
		}
	}
	f.now += int64(wait)
	f.engine.Advance(f.now, 1000)
	job, outcome := f.engine.Reserve(f.now, c, 0)
	f.now += int64(run)
	f.engine.Advance(f.now, 1000)
	if err := f.engine.Delete(f.now, c, job.ID); err != nil {
		f.t.Fatal(outcome, err)
	}
}

// gather returns the values of all metrics by their names, such as
// spoked_tube_jobs{state="ready",tube="a"}; of a histogram that is its count.
func gather(t *testing.T, m *Metrics) map[string]float64 {
	t.Helper()
	families, err := m.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]float64{}
	for _, f := range families {
		for _, one := range f.Metric {
			var labels []string
			for _, l := range one.Label {
				labels = append(labels, fmt.Sprintf("%s=%q", l.GetName(), l.GetValue()))
			}
			name := f.GetName()
			if len(labels) > 0 {
				name += "{" + strings.Join(labels, ",") + "}"
			}
			switch {
			case one.Counter != nil:
				all[name] = one.Counter.GetValue()
			case one.Gauge != nil:
				all[name] = one.Gauge.GetValue()
			case one.Histogram != nil:
				all[name] = float64(one.Histogram.GetSampleCount())
				all[name+" sum"] = one.Histogram.GetSampleSum()
			}
		}
	}
	return all
}

func wantValues(t *testing.T, got, want map[string]float64) {
	t.Helper()
	for name, value := range want {
		if v, ok := got[name]; !ok || v != value {
			t.Errorf("got %s %v (%v), want %v", name, v, ok, value)
		}
	}
}

// busy has a bit of everything happen.
func busy(t *testing.T) *fake {
	f := newFake(t)
	f.put("a", 3)
	f.work("a", 2*time.Second, 4*time.Second)
	f.put("a", 1)
	f.put("b", 5)
	f.put("c", 1)
	if err := f.engine.Pause(f.now, []byte("b"), 10*time.Second); err != nil {
		t.Fatal(err)
	}
	f.now += int64(4 * time.Second)
	f.engine.Advance(f.now, 1000)
	worker := f.engine.Connect()
	f.engine.Watch(worker, []byte("idle"))
	if _, outcome := f.engine.Reserve(f.now, worker, queue.Forever); outcome != queue.Waiting {
		t.Fatal(outcome)
	}
	f.figures.AcceptFailures = 2
	f.figures.Commands = []server.CommandFigures{{Name: "put", Count: 10}, {Name: "peek"}}
	f.figures.Commands[0].Latency.Add(time.Millisecond)
	f.figures.Loops = []server.LoopFigures{{Connections: 2, Turns: 7, Longest: time.Second}}
	f.figures.Journal = &journal.Figures{Newest: 9, Settled: 7, Chores: 3}
	f.figures.Journal.Segments, f.figures.Journal.Full = 4, true
	return f
}

// TestCollect compares what is told with what has happened.
func TestCollect(t *testing.T) {
	f := busy(t)
	m := f.metrics(t, 10)
	got := gather(t, m)
	wantValues(t, got, map[string]float64{
		`spoked_build_info{goversion="` + runtime.Version() + `",version="1.2.3"}`:                        1,
		`spoked_server_info{hostname="host",id="id",os="os",pid="1",platform="platform",protocol="1.13"}`: 1,
		`spoked_ready`:                                      1,
		`spoked_replay_ratio`:                               1,
		`spoked_start_time_seconds`:                         1e9,
		`spoked_draining`:                                   0,
		`spoked_max_job_size_bytes`:                         65535,
		`spoked_jobs{state="ready"}`:                        9,
		`spoked_jobs{state="reserved"}`:                     0,
		`spoked_jobs_urgent`:                                9,
		`spoked_jobs_put_total`:                             10,
		`spoked_jobs_deleted_total`:                         1,
		`spoked_job_bodies_bytes`:                           9,
		`spoked_commands_total{command="put"}`:              10,
		`spoked_commands_total{command="peek"}`:             0,
		`spoked_command_duration_seconds{command="put"}`:    1,
		`spoked_tubes`:                                      5,
		`spoked_connections`:                                2,
		`spoked_workers_waiting`:                            1,
		`spoked_accept_failures_total`:                      2,
		`spoked_loop_turns_total{loop="0"}`:                 7,
		`spoked_loop_turn_longest_seconds{loop="0"}`:        1,
		`spoked_journal_enabled`:                            1,
		`spoked_journal_segments`:                           4,
		`spoked_journal_full`:                               1,
		`spoked_journal_unsettled_batches`:                  2,
		`spoked_tube_jobs{state="ready",tube="a"}`:          3,
		`spoked_tube_jobs{state="buried",tube="a"}`:         0,
		`spoked_tube_jobs_put_total{tube="a"}`:              4,
		`spoked_tube_jobs_deleted_total{tube="a"}`:          1,
		`spoked_tube_oldest_ready_age_seconds{tube="a"}`:    10,
		`spoked_tube_oldest_ready_age_seconds{tube="b"}`:    4,
		`spoked_tube_oldest_ready_age_seconds{tube="idle"}`: 0,
		`spoked_tube_wait_seconds{tube="a"}`:                1,
		`spoked_tube_wait_seconds{tube="a"} sum`:            2,
		`spoked_tube_run_seconds{tube="a"} sum`:             4,
		`spoked_tube_waiting{tube="idle"}`:                  1,
		`spoked_tube_using{tube="c"}`:                       1,
		`spoked_tube_pause_seconds{tube="b"}`:               10,
		`spoked_tube_pause_left_seconds{tube="b"}`:          6,
		`spoked_tube_pauses_total{tube="b"}`:                1,
		`spoked_other_tubes`:                                0,
		`spoked_other_tubes_jobs{state="ready"}`:            0,
		`spoked_other_tubes_jobs_put_total`:                 0,
	})
	if _, ok := got[`spoked_command_duration_seconds{command="peek"}`]; ok {
		t.Error("got the times of a command that was never used")
	}

	if !slices.Equal(f.kept, []int{10}) {
		t.Errorf("times were kept of %v tubes, want 10, asked for once", f.kept)
	}

	m.SetMaxTubes(1)
	m.SetMaxJobSize(1)
	f.engine.Drain()
	got = gather(t, m)
	wantValues(t, got, map[string]float64{
		`spoked_ready`:                             0,
		`spoked_draining`:                          1,
		`spoked_max_job_size_bytes`:                1,
		`spoked_tube_jobs{state="ready",tube="b"}`: 5,
		`spoked_other_tubes`:                       4,
		`spoked_other_tubes_paused`:                0,
		`spoked_other_tubes_jobs{state="ready"}`:   4,
		`spoked_other_tubes_watching`:              3, // default by two, and idle
		`spoked_other_tubes_waiting`:               2,

		`spoked_other_tubes_oldest_ready_age_seconds`: 10, // in a
	})
	for name := range got {
		if strings.Contains(name, `tube="a"`) {
			t.Errorf("got %s, and only b should have metrics of its own", name)
		}
	}
}

// TestCollectStarting has no server yet.
func TestCollectStarting(t *testing.T) {
	h := new(Health)
	h.Progress(1, 4)
	got := gather(t, New(Options{Health: h}))
	wantValues(t, got, map[string]float64{"spoked_ready": 0, "spoked_replay_ratio": 0.25})
	if _, ok := got["spoked_jobs"]; ok || got["go_goroutines"] == 0 {
		t.Errorf("got %v", got)
	}
}

// TestFamilies has everything in the table told, nothing that is not, and by the
// rules for names.
func TestFamilies(t *testing.T) {
	f := busy(t)
	families, err := f.metrics(t, 2).registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	told := map[string]*dto.MetricFamily{}
	for _, f := range families {
		told[f.GetName()] = f
	}
	for _, want := range Families() {
		got := told[want.Name]
		if got == nil {
			t.Errorf("%s is not told", want.Name)
			continue
		}
		delete(told, want.Name)
		if kind := strings.ToLower(got.GetType().String()); kind != want.Kind.String() {
			t.Errorf("%s is a %s, want a %s", want.Name, kind, want.Kind)
		}
		var labels []string
		for _, l := range got.Metric[0].Label {
			labels = append(labels, l.GetName())
		}
		if !slices.Equal(labels, slices.Sorted(slices.Values(want.Labels))) {
			t.Errorf("%s has labels %v, want %v", want.Name, labels, want.Labels)
		}
		if counter := strings.HasSuffix(want.Name, "_total"); counter != (want.Kind == Counter) {
			t.Errorf("%s is a %s", want.Name, want.Kind)
		}
		if !regexp.MustCompile(`^[A-Z1].*[^.]$`).MatchString(want.Help) {
			t.Errorf("%s: %q is not a sentence without its full stop", want.Name, want.Help)
		}
	}
	for name := range maps.Keys(told) {
		if strings.HasPrefix(name, "spoked_") {
			t.Errorf("%s is told, and not in Families", name)
		}
	}
}

// TestPortions has a collection of many tubes and jobs let go of the engine.
func TestPortions(t *testing.T) {
	f := newFake(t)
	for i := range 20_000 {
		f.put(fmt.Sprint("t", i), 1)
	}
	f.put("t7", 20_000)
	m := f.metrics(t, 100)
	got := gather(t, m)
	wantValues(t, got, map[string]float64{
		`spoked_tubes`:       20_001,
		`spoked_other_tubes`: 19_901,
		`spoked_tube_jobs{state="ready",tube="t7"}`: 20_001,
	})
	if f.views < 10 {
		t.Errorf("the engine was asked %d times, want it let go in between", f.views)
	}
}

// TestHandler asks in each of the formats.
func TestHandler(t *testing.T) {
	m := busy(t).metrics(t, 10)
	for _, test := range []struct{ accept, contentType, want string }{
		{"", "text/plain", `spoked_tube_run_seconds_bucket{tube="a",le="4"} 1`},
		{"application/openmetrics-text; version=1.0.0", "application/openmetrics-text", "# EOF\n"},
		{
			"application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited",
			"application/vnd.google.protobuf", "spoked_tube_run_seconds",
		},
	} {
		r := httptest.NewRequest(http.MethodGet, "/metrics", nil)
		r.Header.Set("Accept", test.accept)
		w := httptest.NewRecorder()
		m.Handler().ServeHTTP(w, r)
		if got := w.Header().Get("Content-Type"); w.Code != http.StatusOK || !strings.HasPrefix(got, test.contentType) {
			t.Errorf("%q: got %d, %s, want %s", test.accept, w.Code, got, test.contentType)
		}
		if !strings.Contains(w.Body.String(), test.want) {
			t.Errorf("%q: got %d bytes without %q", test.accept, w.Body.Len(), test.want)
		}
	}
	for _, h := range []http.Handler{m.Handler(), m.opts.Health.LiveHandler(), m.opts.Health.ReadyHandler()} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/", nil))
		if w.Code != http.StatusMethodNotAllowed || w.Header().Get("Allow") != "GET, HEAD" {
			t.Errorf("got %d to a POST", w.Code)
		}
	}
}
