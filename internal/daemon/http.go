package daemon

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"sync/atomic"

	"go.uber.org/zap"

	"spoked/internal/api"
	"spoked/internal/config"
	"spoked/internal/console"
	"spoked/internal/history"
	"spoked/internal/httpapi"
	"spoked/internal/journal"
	"spoked/internal/manage"
	"spoked/internal/server"
	"spoked/internal/session"
	"spoked/queue"
)

// httpDoor is the HTTP listener and what is behind it. All methods of nil, which
// is none, do nothing.
type httpDoor struct {
	log      *zap.Logger
	listener net.Listener
	local    bool
	handler  *httpapi.Handler
	server   *http.Server
	serving  sync.WaitGroup
	once     sync.Once // of stop
	stopped  chan struct{}

	main    atomic.Pointer[server.Server] // once it serves
	manager atomic.Pointer[manage.Manager]
	host    session.Host
	console *console.Handler
	history *history.History
	lasting context.Context // of the history
	end     context.CancelFunc
	address string // of the wire protocol
	compat  config.Compat
	journal *journal.Journal
}

// maxHTTPConns is how many connections the HTTP listener has at a time. The next
// have to wait, so that they take no file descriptors from those of the wire
// protocol.
const maxHTTPConns = 12_000

// openHTTP makes the listener that cfg asks for, or returns nil if that is none, or
// the usual address is taken and was not asked for.
func openHTTP(cfg config.Config, mounts map[string]httpapi.Mount, log *zap.Logger) (*httpDoor, error) {
	if cfg.HTTP == config.HTTPOff {
		return nil, nil
	}
	d := &httpDoor{log: log, stopped: make(chan struct{}), compat: cfg.Compat}
	d.lasting, d.end = context.WithCancel(context.Background())
	var tokens *httpapi.Tokens
	if cfg.HTTPTokens != "" {
		var err error
		if tokens, err = httpapi.LoadTokens(cfg.HTTPTokens); err != nil {
			return nil, &config.ExitError{Code: config.ExitUsage, Err: fmt.Errorf("tokens: %w", err)}
		}
	}
	l, err := net.Listen("tcp", cfg.HTTP)
	if err != nil && !cfg.HTTPExplicit {
		log.Warn("no HTTP: its usual address cannot be had; --http ADDR names another, and --http off asks for none", zap.Error(err))
		return nil, nil
	}
	if err != nil {
		return nil, &config.ExitError{Code: config.ExitSocket, Err: fmt.Errorf("HTTP: %w", err)}
	}
	d.local = l.Addr().(*net.TCPAddr).IP.IsLoopback()
	if !d.local && tokens == nil && !cfg.HTTPInsecure {
		l.Close()
		return nil, &config.ExitError{Code: config.ExitUsage, Err: fmt.Errorf("HTTP at %s can be reached from other hosts, and anybody could do anything: "+
			"it needs --http-token-file, or --http-insecure if that is wanted", l.Addr())}
	}
	if !d.local && tokens == nil {
		log.Warn("HTTP can be reached from other hosts, and needs no token: whoever reaches it may do anything", zap.Stringer("address", l.Addr()))
	}
	d.listener = narrow(l, maxHTTPConns)
	if err := d.openConsole(cfg); err != nil {
		l.Close()
		return nil, err
	}
	opts := d.options(cfg, tokens)
	if mounts == nil {
		mounts = map[string]httpapi.Mount{}
	}
	mounts["/"] = httpapi.Mount{Role: httpapi.Anybody, Handler: d.console}
	opts.Mounts = mounts
	d.handler = httpapi.New(opts)
	return d, nil
}

func (d *httpDoor) options(cfg config.Config, tokens *httpapi.Tokens) httpapi.Options {
	opts := httpapi.Options{
		Local: d.local, Tokens: tokens, MaxJobSize: uint32(cfg.MaxJobSize),
		Facts: d.facts, Session: sessionOf, Remote: remoteOf,
		Failed: func(r *http.Request, err error) {
			d.log.Error("an HTTP request has failed", zap.String("method", r.Method), zap.String("path", r.URL.Path), zap.Error(err))
		},
	}
	if cfg.Journal != "" {
		opts.Backup = d.backup
	}
	return opts
}

// Address returns where the listener is, or "".
func (d *httpDoor) Address() string {
	if d == nil {
		return ""
	}
	return d.listener.Addr().String()
}

// serve begins to answer; calls of the API with 503 until open.
func (d *httpDoor) serve() {
	if d == nil {
		return
	}
	d.server = d.handler.Server(zap.NewStdLog(d.log.WithOptions(zap.IncreaseLevel(zap.ErrorLevel))))
	d.serving.Go(func() {
		if err := d.server.Serve(d.listener); !errors.Is(err, http.ErrServerClosed) {
			d.log.Error("HTTP has failed", zap.Error(err))
		}
	})
}

// open has the calls of the API be answered, by s, which serves.
func (d *httpDoor) open(s *server.Server, opts *server.Options, address string) {
	if d == nil {
		return
	}
	d.address, d.host, d.journal = address, opts.Session.Host, opts.Journal
	d.main.Store(s)
	m := manage.New(inside{s}, manage.Options{})
	d.manager.Store(m)
	d.handler.Open(m)
	d.console.Open(inside{s}, m)
	d.serving.Go(func() { d.history.Run(d.lasting) })
}

// reload has r change what can be while the door is open.
func (d *httpDoor) reload(r *reloader) {
	if d == nil {
		return
	}
	r.on("max-job-size", func(running, next *config.Config) error {
		running.MaxJobSize = next.MaxJobSize
		d.handler.SetMaxJobSize(uint32(next.MaxJobSize))
		d.console.SetMaxJobSize(uint32(next.MaxJobSize))
		return nil
	})
	r.on("http-token-file", func(running, next *config.Config) error {
		if next.HTTPTokens == "" && !d.local && !running.HTTPInsecure {
			return errors.New("without tokens, other hosts could do anything")
		}
		running.HTTPTokens = next.HTTPTokens
		if next.HTTPTokens == "" {
			d.handler.SetTokens(nil)
		}
		return nil
	})
	r.reread(func(cfg *config.Config) error {
		if cfg.HTTPTokens == "" {
			return nil
		}
		tokens, err := httpapi.LoadTokens(cfg.HTTPTokens)
		if err != nil {
			return fmt.Errorf("tokens: %w", err)
		}
		d.handler.SetTokens(tokens)
		d.log.Info("reloaded the tokens", zap.String("file", cfg.HTTPTokens), zap.Int("tokens", tokens.Len()))
		return nil
	})
}

// stop ends everything: what waits or listens now, and what is being answered when
// it is done, or at the end of the grace period. It returns at once.
func (d *httpDoor) stop() {
	if d == nil {
		return
	}
	d.once.Do(func() {
		if m := d.manager.Load(); m != nil {
			m.Stop()
		}
		d.end()
		go func() {
			defer close(d.stopped)
			if d.server == nil {
				d.listener.Close()
				return
			}
			ctx, cancel := context.WithTimeout(context.Background(), gracePeriod)
			defer cancel()
			_ = d.server.Shutdown(ctx)
			_ = d.server.Close()
		}()
	})
}

// abort breaks off what is still being answered.
func (d *httpDoor) abort() {
	if d != nil && d.server != nil {
		_ = d.server.Close()
	}
}

// close stops, and blocks until that is done.
func (d *httpDoor) close() {
	if d == nil {
		return
	}
	d.stop()
	<-d.stopped
	d.serving.Wait()
}

// facts returns what a status says besides what the engine knows.
func (d *httpDoor) facts() api.Status {
	f := d.main.Load().Figures()
	v := api.Status{
		Name: "spoked", Version: config.Version, Protocol: "beanstalkd " + string(d.compat),
		Address: d.address, ID: d.host.ID, Hostname: d.host.Hostname, PID: d.host.PID,
		Started: f.Started.UTC(), Uptime: api.Duration(f.Uptime), Commands: map[string]uint64{},
	}
	user, system := d.host.Usage()
	v.CPUUser, v.CPUSystem = api.Duration(user), api.Duration(system)
	for _, c := range f.Commands {
		if c.Count > 0 {
			v.Commands[c.Name] = c.Count
		}
	}
	if j := f.Journal; j != nil {
		v.Journal = &api.Journal{
			Segments: j.Segments, Oldest: j.Oldest, Head: j.Head, Live: j.Live, Disk: j.Disk,
			Written: j.Written, Copied: j.Copied, Full: j.Full,
		}
	}
	return v
}

// sessionOf returns the number of a connection of the wire protocol.
func sessionOf(data any) uint64 {
	if s, ok := data.(*session.Session); ok {
		return s.ID()
	}
	return 0
}

// remoteOf returns where a connection of the wire protocol comes from.
func remoteOf(data any) string {
	if s, ok := data.(*session.Session); ok {
		return server.RemoteOf(s)
	}
	return ""
}

// backup copies the journal.
func (d *httpDoor) backup(r *http.Request, to string) (api.Backup, error) {
	copied, err := d.copyJournal(r.Context(), to)
	return api.Backup{Segments: copied.Segments, Bytes: copied.Bytes}, err
}

func (d *httpDoor) copyJournal(ctx context.Context, to string) (journal.Copied, error) {
	copied, err := d.journal.Backup(ctx, to)
	if err != nil {
		d.log.Warn("backup failed", zap.String("to", to), zap.Error(err))
		return journal.Copied{}, err
	}
	d.log.Info("backed up", zap.String("to", to), zap.Int("segments", copied.Segments), zap.Int64("bytes", copied.Bytes))
	return copied, nil
}

// inside is a server as manage wants it.
type inside struct{ *server.Server }

// Await blocks until an answer may be given.
func (s inside) Await(ctx context.Context, batch uint64) error {
	return stopping(s.Server.Await(ctx, batch))
}

func stopping(err error) error {
	if errors.Is(err, server.ErrServerClosed) {
		return manage.ErrStopping
	}
	return err
}

// Fetch returns the body of a job.
func (s inside) Fetch(ctx context.Context, j queue.Job) ([]byte, error) {
	b, err := s.Server.Fetch(ctx, j)
	return b, stopping(err)
}

// narrowListener has so many connections at a time as there is room.
type narrowListener struct {
	net.Listener
	room   chan struct{}
	closed chan struct{} // by Close
	once   sync.Once
}

func narrow(l net.Listener, conns int) *narrowListener {
	return &narrowListener{Listener: l, room: make(chan struct{}, conns), closed: make(chan struct{})}
}

// Accept waits until there is room, and then for a connection.
func (l *narrowListener) Accept() (net.Conn, error) {
	select {
	case l.room <- struct{}{}:
	case <-l.closed:
		return nil, net.ErrClosed
	}
	c, err := l.Listener.Accept()
	if err != nil {
		<-l.room
		return nil, err
	}
	return &narrowConn{Conn: c, leave: sync.OnceFunc(func() { <-l.room })}, nil
}

// Close ends Accept.
func (l *narrowListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return l.Listener.Close()
}

type narrowConn struct {
	net.Conn
	leave func()
}

// Close closes the connection and makes room.
func (c *narrowConn) Close() error {
	err := c.Conn.Close()
	c.leave()
	return err
}
