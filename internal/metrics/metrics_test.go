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

func (f *fake) metrics(t *testing.T, maxTubes int) *Metrics {
	h := new(Health)
	h.Serve(f)
	return New(Options{
		MaxTubes: maxTubes, MaxJobSize: 65535, Version: "1.2.3", ID: "id", Hostname: "host", OS: "os", Platform: "platform",
		Protocol: "1.13", SegmentSize: 10 << 20, Health: h, Log: f.log,
	})
}

// put puts jobs.
func (f *fake) put(tube string, jobs int) {
	f.t.Helper()
	f.engine.Use(f.client, []byte(tube))
	for range jobs {
		d, err := f.engine.Begin(f.client, 1)
		if err != nil {
			f.t.Fatal(err)
		}
		if _, err := f.engine.Insert(f.now, d, 5, 0, time.Hour); err != nil {
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
		f.engine.Ignore(f.now, c, []byte("default"))
	}
	f.now += int64(wait)
	f.engine.Advance(f.now, 1000)
	job, outcome := f.engine.Reserve(f.now, c, queue.NoWait)
	f.now += int64(run)
	f.engine.Advance(f.now, 1000)
	if err := f.engine.Delete(f.now, c, job.ID); err != nil {
		f.t.Fatal(outcome, err)
	}
}
