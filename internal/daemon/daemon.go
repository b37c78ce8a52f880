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
	log := newLogger(cfg, stderr)
	defer log.Sync()

	l, err := listen(cfg, log)
	if err != nil {
		return &config.ExitError{Code: config.ExitSocket, Err: err}
	}
	defer l.Close()
	if cfg.User != "" {
		if err := becomeUser(cfg.User); err != nil {
			return err
		}
	}
	opts := serverOptions(cfg, log)
	if cfg.Journal != "" {
		j, err := openJournal(cfg, log, stderr)
		if err != nil {
			return &config.ExitError{Code: config.ExitJournal, Err: err}
		}
		opts.Journal = j
	} else {
		opts.Session.Limits = limits(cfg)
	}
	address := addressOf(l)
	stopControl := func() {}
	opts.Ready = func() {
		if opts.Journal != nil {
			stopControl = startControl(cfg.Journal, opts.Journal, log)
		}
		log.Info("listening",
			zap.String("address", address),
			zap.String("version", config.Version),
			zap.String("protocol", "beanstalkd "+string(cfg.Compat)),
			zap.Int("pid", os.Getpid()))
		_, _ = sdnotify.SdNotify(false, sdnotify.SdNotifyReady)
	}
	s := server.New(opts)
	defer s.Close()
	stop := handleSignals(s, log)
	defer stop()

	if err = s.Serve(l); errors.Is(err, server.ErrServerClosed) {
		err = nil
	}
	stopControl()
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
			Host:       hostFacts(),
		},
		Loops: cfg.Loops,
		Log:   log,
	}
	opts.Session.Host.BinlogMaxSize = cfg.JournalSegmentSize
	if cfg.Transport == config.TransportNet {
		opts.Transport = server.Goroutines
	}
	if cfg.Verbosity >= 2 {
		opts.Session.Trace = func(s *session.Session, command string, reply []byte) {
			const most = 64 // bytes of a reply
			log.Debug("command", zap.Uint64("session", s.ID()), zap.String("command", command),
				zap.ByteString("reply", reply[:min(len(reply), most)]))
		}
	}
	return opts
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
// at once, and USR1 drain it, until the function returned is called.
func handleSignals(s *server.Server, log *zap.Logger) (stop func()) {
	signals, done := make(chan os.Signal, 4), make(chan struct{})
	notify(signals)
	go func() {
		stopping := false
		for {
			select {
			case <-done:
				return
			case sig := <-signals:
				switch {
				case isDrain(sig):
					s.Drain()
					log.Info("draining: puts are refused from now on")
				case stopping:
					log.Info("stopping at once", zap.Stringer("signal", sig))
					s.Close()
				default:
					stopping = true
					log.Info("stopping", zap.Stringer("signal", sig))
					_, _ = sdnotify.SdNotify(false, sdnotify.SdNotifyStopping)
					ctx, cancel := context.WithTimeout(context.Background(), gracePeriod)
					defer cancel() // this happens once
					s.Shutdown(ctx)
				}
			}
		}
	}()
	return func() {
		ignore(signals)
		close(done)
	}
}
