// Package daemon runs a server as a process: it makes the socket, gives up
// privileges, serves, and stops when a signal says so. Everything is built in
// order in Run, and unwound in reverse.
package daemon

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"sync"
	"time"

	sdnotify "github.com/coreos/go-systemd/v22/daemon"
	"go.uber.org/zap"

	"spoked/internal/config"
	"spoked/internal/journal"
	"spoked/internal/server"
	"spoked/internal/session"
)

// gracePeriod is how long clients have to take what they are owed when the
// server stops.
const gracePeriod = 5 * time.Second

// Run serves as inv says until the process is told to stop, and logs to
// stderr. Its error may hold a config.ExitError.
func Run(inv *config.Invocation, stderr io.Writer) error {
	cfg := inv.Config
	log, book := newLogger(cfg, stderr)
	defer log.Sync()
	signals := make(chan os.Signal, 4)
	notifyReload(signals) // which does not end the process, from here on
	defer ignore(signals)

	l, err := listen(cfg, log)
	if err != nil {
		return &config.ExitError{Code: config.ExitSocket, Err: err}
	}
	defer l.Close()
	opts := serverOptions(cfg, log)
	watch := newWatch(&cfg, &opts.Session.Host, log)
	door, err := openHTTP(cfg, watch.mounts(), log)
	if err != nil {
		return err
	}
	defer door.close()
	if cfg.User != "" {
		if err := becomeUser(cfg.User); err != nil {
			return err
		}
	}
	door.serve()
	opts.Session.About.HTTP = door.Address()
	if cfg.Journal != "" {
		j, err := openJournal(cfg, watch.health.Progress, log, stderr)
		if err != nil {
			return &config.ExitError{Code: config.ExitJournal, Err: err}
		}
		opts.Journal = j
	} else {
		opts.Session.Limits = limits(cfg)
	}
	address := addressOf(l)
	stopControl := func() {}
	ready := make(chan struct{})
	var s *server.Server
	opts.Ready = func() {
		defer close(ready)
		door.open(s, &opts, address)
		watch.serve(s, cfg.StatsD)
		if opts.Journal != nil {
			stopControl = startControl(cfg.Journal, opts.Journal, log)
		}
		log.Info("listening",
			zap.String("address", address),
			zap.String("version", config.Version),
			zap.String("protocol", "beanstalkd "+string(cfg.Compat)),
			zap.Int("pid", os.Getpid()),
			zap.String("http", door.Address()))
		_, _ = sdnotify.SdNotify(false, sdnotify.SdNotifyReady)
	}
	s = server.New(opts)
	defer s.Close()
	r := newReloader(inv, log)
	r.changeServer(s, book)
	door.reload(r)
	watch.reload(r)
	defer watch.close()
	stop := handleSignals(signals, s, func(atOnce bool) {
		watch.health.Stop()
		door.stop()
		if atOnce {
			door.abort()
		}
	}, r, ready)
	defer stop()

	if err = s.Serve(l); errors.Is(err, server.ErrServerClosed) {
		err = nil
	}
	stopControl()
	door.close()
	if j := opts.Journal; j != nil {
		if err = errors.Join(err, j.Stop()); errors.Is(err, journal.ErrFailed) {
			return &config.ExitError{Code: config.ExitJournalFailed, Err: err}
		}
	}
	if err == nil {
		log.Info("stopped")
	}
	return err
}

func serverOptions(cfg config.Config, log *zap.Logger) server.Options {
	opts := server.Options{
		Session: session.Options{
			MaxJobSize: uint32(cfg.MaxJobSize),
			Compat112:  cfg.Compat == config.Compat112,
			Strict:     cfg.Strict,
			Host:       hostFacts(),
			About:      session.About{Server: "spoked", Version: config.Version},
		},
		Loops: cfg.Loops,
		Log:   log,
	}
	opts.Session.Host.BinlogMaxSize = cfg.JournalSegmentSize
	if cfg.Transport == config.TransportNet {
		opts.Transport = server.Goroutines
	}
	opts.Session.Trace = tracer(cfg, log)
	return opts
}

// tracer returns what is told of each command, or nil if they are not to be logged.
func tracer(cfg config.Config, log *zap.Logger) func(*session.Session, string, []byte) {
	if cfg.Verbosity < 2 {
		return nil
	}
	return func(s *session.Session, command string, reply []byte) {
		const most = 64 // bytes of a reply
		log.Debug("command", zap.Uint64("session", s.ID()), zap.String("command", command),
			zap.ByteString("reply", reply[:min(len(reply), most)]))
	}
}

// hostFacts gathers what the reply to stats says of the process.
func hostFacts() session.Host {
	var id [8]byte
	_, _ = rand.Read(id[:]) // never fails
	h := session.Host{PID: os.Getpid(), ID: hex.EncodeToString(id[:]), Usage: usage}
	h.Hostname, h.Version, h.Machine = uname()
	return h
}

// handleSignals has TERM and INT stop s, the first gracefully and the second
// at once, USR1 drain it, and HUP reload r once ready is closed, until the function
// returned is called. HUP also tells that the terminal has gone from which the process
// was started: then it stops. Before it stops s it calls others. The signals come from
// the channel, which gets all of them from now on. The function waits for a reload
// that is under way.
func handleSignals(signals chan os.Signal, s *server.Server, others func(atOnce bool), r *reloader, ready <-chan struct{}) (stop func()) {
	done, hups := make(chan struct{}), make(chan struct{}, 1)
	notify(signals)
	var working sync.WaitGroup
	working.Go(func() {
		for range hups { // apart, so that it holds up no other signal
			select {
			case <-ready:
			case <-done:
			}
			select {
			case <-done:
			default:
				r.reload()
			}
		}
	})
	working.Go(func() {
		defer close(hups)
		stopping := false
		for {
			select {
			case <-done:
				return
			case sig := <-signals:
				switch {
				case isReload(sig) && stopping:
				case isReload(sig) && !isTerminalGone():
					select {
					case hups <- struct{}{}:
					default: // one that has not begun will do
					}
				case isDrain(sig):
					s.Drain()
					r.log.Info("draining: puts are refused from now on")
				case stopping:
					r.log.Info("stopping at once", zap.Stringer("signal", sig))
					others(true)
					s.Close()
				default:
					stopping = true
					r.log.Info("stopping", zap.Stringer("signal", sig))
					_, _ = sdnotify.SdNotify(false, sdnotify.SdNotifyStopping)
					ctx, cancel := context.WithTimeout(context.Background(), gracePeriod)
					defer cancel() // this happens once
					others(false)
					s.Shutdown(ctx)
				}
			}
		}
	})
	return func() {
		ignore(signals)
		close(done)
		working.Wait()
	}
}
