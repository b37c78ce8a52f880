package daemon

import (
	"context"
	"net/http"
	"time"

	"go.uber.org/zap"

	"spoked/internal/config"
	"spoked/internal/console"
	"spoked/internal/history"
	"spoked/internal/httpapi"
	"spoked/internal/journal"
	"spoked/queue"
)

// openConsole makes the console, which says that the server is starting until the
// door is open.
func (d *httpDoor) openConsole(cfg config.Config) (err error) {
	d.history = history.New(viewer{d})
	opts := console.Options{
		History: d.history, Who: d.rights, Session: sessionOf, Remote: remoteOf,
		Version: config.Version, Address: func() string { return d.address }, Started: time.Now(),
		MaxJobSize: uint32(cfg.MaxJobSize),
		Journal:    func() *journal.Figures { return d.main.Load().Figures().Journal },
		JournalDir: cfg.Journal, SegmentSize: cfg.JournalSegmentSize, Sync: syncWords(cfg),
		Failed: func(r *http.Request, err error) {
			d.log.Error("a page of the console has failed", zap.String("path", r.URL.Path), zap.Error(err))
		},
	}
	if cfg.Journal != "" {
		opts.Backup = func(ctx context.Context, to string) (int, int64, error) {
			copied, err := d.copyJournal(ctx, to)
			return copied.Segments, copied.Bytes, err
		}
	}
	d.console, err = console.New(opts)
	return err
}

// viewer is the server as the history looks at it, once there is one.
type viewer struct{ door *httpDoor }

// View calls f while nobody else uses the engine.
func (v viewer) View(f func(e *queue.Engine, now int64)) { v.door.main.Load().View(f) }

// rights returns what the holder of a token may do in the console: the role work is
// for workers, and here may only look.
func (d *httpDoor) rights(token string) (r console.Rights, ok, needed bool) {
	name, role, needed := d.handler.Who(token)
	r = console.Rights{Name: name, Put: role.Allows(httpapi.Produce), Change: role.Allows(httpapi.Admin)}
	return r, role != httpapi.Anybody, needed
}

// syncWords says when the journal is synced.
func syncWords(cfg config.Config) string {
	switch {
	case cfg.NoFsync:
		return "when the system does it"
	case cfg.FsyncInterval == 0:
		return "before each reply that depends on it"
	}
	return "at most " + cfg.FsyncInterval.String() + " after it was written"
}
