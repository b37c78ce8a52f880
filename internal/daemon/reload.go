package daemon

import (
	"errors"

	sdnotify "github.com/coreos/go-systemd/v22/daemon"
	"go.uber.org/zap"

	"spoked/internal/config"
	"spoked/internal/server"
)

// errRestart is the error of a setting that has a value now which the running server
// cannot change to, or from.
var errRestart = errors.New("it needs a restart")

// applier has the running server change to one setting of next, and takes it over
// into running, which is what the server goes by. With an error it does neither.
type applier func(running, next *config.Config) error

// reloader applies to a running server what its files say now. It is used from one
// goroutine, once the server serves.
type reloader struct {
	inv      config.Invocation // what the server was started by
	running  config.Config     // what it goes by now
	log      *zap.Logger
	appliers map[string][]applier // by the key of the setting
	rereads  []func(cfg *config.Config) error
}

func newReloader(inv *config.Invocation, log *zap.Logger) *reloader {
	return &reloader{inv: *inv, running: inv.Config, log: log, appliers: make(map[string][]applier)}
}

// on has f called when the setting of that key is to be changed. Several are called
// in the order in which they came; each must take the setting over.
func (r *reloader) on(key string, f applier) { r.appliers[key] = append(r.appliers[key], f) }

// reread has f called at each reload, after what has changed: it reads a file that
// the settings name. With an error, what was read before must be in force still.
func (r *reloader) reread(f func(cfg *config.Config) error) { r.rereads = append(r.rereads, f) }

// reload reads the files, applies what has changed and can be, and logs what comes
// of each. If anything is wrong with the file of settings, nothing is changed.
func (r *reloader) reload() {
	_, _ = sdnotify.SdNotify(false, sdnotify.SdNotifyReloading+"\n"+sdnotify.SdNotifyMonotonicUsec())
	defer func() { _, _ = sdnotify.SdNotify(false, sdnotify.SdNotifyReady) }()

	next, err := r.inv.Reload()
	if wrong, ok := errors.AsType[*config.FileError](err); ok {
		for _, problem := range wrong.Problems {
			r.log.Error("not reloaded: a mistake in the file of settings", zap.Stringer("problem", problem))
		}
		return
	}
	if err != nil {
		r.log.Error("not reloaded", zap.Error(err))
		return
	}
	for _, warning := range next.Warnings {
		r.log.Warn(warning)
	}
	changes := config.Changes(&r.running, &next)
	for _, c := range changes {
		r.apply(&c, &next.Config)
	}
	for _, f := range r.rereads {
		if err := f(&r.running); err != nil {
			r.log.Error("not reloaded", zap.Error(err))
		}
	}
	if len(changes) == 0 {
		r.log.Info("reloaded: no setting has changed", zap.String("file", next.File))
	}
}

// apply applies one change.
func (r *reloader) apply(c *config.Change, next *config.Config) {
	fields := []zap.Field{
		zap.String("setting", c.Name), zap.Any("old", c.Old), zap.Any("new", c.Value), zap.Stringer("from", c.From),
	}
	err := error(nil)
	if len(r.appliers[c.Name]) == 0 {
		err = errRestart
	}
	after := r.running
	for _, f := range r.appliers[c.Name] {
		after = r.running // for each of them it is new
		if err = f(&after, next); err != nil {
			break // of those before, too, it is asked again at the next reload
		}
	}
	switch {
	case err == nil:
		r.running = after
		r.log.Info("reloaded", fields...)
	case errors.Is(err, errRestart):
		r.log.Warn("not reloaded: this setting needs a restart", fields...)
	default:
		r.log.Error("not reloaded", append(fields, zap.Error(err))...)
	}
}

// changeServer has r change what s and its log can change while they are at work.
func (r *reloader) changeServer(s *server.Server, book *logbook) {
	r.on("verbose", func(running, next *config.Config) error {
		running.Verbosity = next.Verbosity
		book.setVerbosity(running.Verbosity)
		s.SetTrace(tracer(*running, r.log))
		return nil
	})
	r.on("log-format", func(running, next *config.Config) error {
		running.LogFormat = next.LogFormat
		book.setFormat(running.LogFormat)
		return nil
	})
	r.on("max-job-size", func(running, next *config.Config) error {
		running.MaxJobSize = next.MaxJobSize
		s.SetMaxJobSize(uint32(running.MaxJobSize))
		return nil
	})
	r.on("memory", func(running, next *config.Config) error {
		running.Memory = next.Memory
		s.SetLimits(limits(*running))
		return nil
	})
	r.on("bodies", func(running, next *config.Config) error {
		// Of what is to be read back, the journal has to know from the beginning.
		if running.Journal != "" && (running.Bodies == config.BodiesMemory || next.Bodies == config.BodiesMemory) {
			return errRestart
		}
		running.Bodies = next.Bodies
		s.SetLimits(limits(*running))
		return nil
	})
	r.on("fsync-interval", func(running, next *config.Config) error {
		if running.Journal != "" && !s.SetFsyncInterval(next.FsyncInterval) {
			return errRestart
		}
		running.FsyncInterval = next.FsyncInterval
		return nil
	})
}
