// Package httpapi answers the calls of the JSON API: docs/api.md is its
// description for people, openapi.yaml here that for programs, and
// internal/api has its values. What is done to the queue, internal/manage
// does.
//
// A call goes through these, in this order: the guard, which refuses what does
// not come from where it should (guard.go); the table of routes (routes.go);
// the role that the caller's token has (token.go); what reads the request
// strictly, so that a mistake is not overlooked (input.go); and the call's own
// method of call. Whatever is refused is answered with a problem document
// (problem.go).
package httpapi

import (
	"errors"
	"log"
	"net/http"
	"net/netip"
	"runtime/debug"
	"sync/atomic"
	"time"

	"spoked/internal/api"
	"spoked/internal/manage"
)

// Options say what a Handler serves.
type Options struct {
	// Local says that the listener is on a loopback address. Without tokens,
	// only requests to a name of this machine are answered then, so that no
	// page can reach the server by a name of its own that leads here.
	Local bool
	// Tokens say who may do what; nil lets everybody do everything.
	Tokens *Tokens

	MaxJobSize uint32 // bytes

	// Facts returns the members of a Status that do not come from the queue. It is
	// called for each, and may be nil.
	Facts func() api.Status
	// Session returns the number of a connection by the Data of its client, which
	// is one. It may be nil. The server's mutex is held.
	Session func(data any) (id uint64)
	// Remote returns where a connection comes from, likewise, or "".
	Remote func(data any) string
	// Backup copies the journal; nil if there is none.
	Backup func(r *http.Request, to string) (api.Backup, error)

	// Mounts are further handlers by their paths, with which they are called
	// for any method.
	Mounts map[string]Mount

	// Failed is told of what ends with the answer 500. It may be nil.
	Failed func(r *http.Request, err error)

	// Patience is how long a client may keep the server waiting for what it
	// sends or takes; default 30 s.
	Patience time.Duration
	// MaxStreams is how many puts of many, exports, imports and searches may be
	// under way at a time; default 64.
	MaxStreams int
	// Heartbeat is how often one who listens to events hears something;
	// default 15 s.
	Heartbeat time.Duration
}

// A Mount is a handler of another package.
type Mount struct {
	Role    Role
	Handler http.Handler
}

// The limits of requests and connections.
const (
	maxHeader   = 16 << 10 // bytes
	idleTime    = 2 * time.Minute
	maxSmall    = 512 << 10 // bytes of a request other than a put
	maxWait     = 10 * time.Minute
	maxCount    = 1000 // jobs of one reserve
	maxTubes    = 1000 // of one reserve
	maxPage     = 1000
	maxTubePage = 10_000
)

// A Handler answers requests. It answers those of the API with 503 until Open
// has been called.
type Handler struct {
	opts    Options
	mux     *http.ServeMux
	origins *http.CrossOriginProtection
	tokens  atomic.Pointer[Tokens]
	manager atomic.Pointer[manage.Manager]
	maxJob  atomic.Uint32
	streams chan struct{} // has one for each that is under way
	keys    keys
	spec    spec
}

// New returns a handler.
func New(opts Options) *Handler {
	if opts.Patience <= 0 {
		opts.Patience = 30 * time.Second
	}
	if opts.MaxStreams <= 0 {
		opts.MaxStreams = 64
	}
	if opts.Heartbeat <= 0 {
		opts.Heartbeat = 15 * time.Second
	}
	h := &Handler{opts: opts, mux: http.NewServeMux(), origins: http.NewCrossOriginProtection(), streams: make(chan struct{}, opts.MaxStreams)}
	h.tokens.Store(opts.Tokens)
	h.maxJob.Store(opts.MaxJobSize)
	h.keys.open()
	h.route()
	return h
}

// Open has the calls be answered from now on, by m.
func (h *Handler) Open(m *manage.Manager) { h.manager.Store(m) }

// SetTokens has other tokens be valid from the next request on.
func (h *Handler) SetTokens(t *Tokens) { h.tokens.Store(t) }

// SetMaxJobSize has jobs be as large as that, in bytes, from now on.
func (h *Handler) SetMaxJobSize(n uint32) { h.maxJob.Store(n) }

// Server returns an HTTP server for h with the limits that it needs. It logs
// nothing of its own accord.
func (h *Handler) Server(errorLog *log.Logger) *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: min(10*time.Second, h.opts.Patience),
		IdleTimeout:       idleTime,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          errorLog,
	}
}

// ServeHTTP answers a request.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	header.Set("Cross-Origin-Resource-Policy", "same-origin")
	header.Set("Referrer-Policy", "no-referrer")
	header.Set("Cache-Control", "no-store")

	begun := &begun{ResponseWriter: w}
	w = begun
	defer func() {
		v := recover()
		if v == nil {
			return
		}
		if err, ok := v.(error); ok && errors.Is(err, http.ErrAbortHandler) {
			panic(v)
		}
		err := &failure{v, debug.Stack()}
		if !begun.answer {
			h.fail(w, r, err)
			return
		}
		if h.opts.Failed != nil {
			h.opts.Failed(r, err)
		}
		panic(http.ErrAbortHandler) // so that nobody takes the answer for whole
	}()
	control := http.NewResponseController(w)
	_ = control.SetWriteDeadline(time.Time{}) // of the request before on this connection
	if r.ContentLength != 0 {
		_ = control.SetReadDeadline(time.Now().Add(h.opts.Patience))
	}
	if err := h.guard(r); err != nil {
		h.fail(w, r, err)
		return
	}
	markSlash(r.URL)
	h.mux.ServeHTTP(w, r)
}

// begun is a response of which something may have been written.
type begun struct {
	http.ResponseWriter
	answer bool
}

// WriteHeader begins the answer.
func (b *begun) WriteHeader(status int) {
	b.answer = true
	b.ResponseWriter.WriteHeader(status)
}

// Write writes a part of the answer.
func (b *begun) Write(p []byte) (int, error) {
	b.answer = true
	return b.ResponseWriter.Write(p)
}

// Unwrap is for http.ResponseController.
func (b *begun) Unwrap() http.ResponseWriter { return b.ResponseWriter }

// isLoopback reports whether host is a name or an address of this machine.
func isLoopback(host string) bool {
	if host == "localhost" {
		return true
	}
	a, err := netip.ParseAddr(host)
	return err == nil && a.Unmap().IsLoopback()
}
