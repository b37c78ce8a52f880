package console

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"spoked/internal/history"
	"spoked/internal/journal"
	"spoked/internal/manage"
	"spoked/queue"
)

// Rights are what somebody may do besides looking.
type Rights struct {
	Name   string // of the token; "" if none is needed
	Put    bool   // put jobs
	Change bool   // all else
}

// Options say what a Handler shows.
type Options struct {
	History *history.History

	// Who returns the rights of the holder of a token, and false if the token is
	// none. tokens tells that tokens are needed; if they are not, anybody may do
	// everything. Nil is for none.
	Who func(token string) (r Rights, ok, tokens bool)

	// Session returns the number of a connection by the Data of its client, 0 if it
	// is none, and Remote its address. The server's mutex is held.
	Session func(data any) uint64
	Remote  func(data any) string

	Version string        // of the program
	Address func() string // of the wire protocol
	Started time.Time     // the process

	MaxJobSize uint32 // bytes
	Sync       string // when the journal is synced, in words

	// Journal returns the journal's figures; nil if there is no journal.
	Journal func() *journal.Figures
	// JournalDir is where the journal is, "" if there is none, and SegmentSize
	// how long its segments are.
	JournalDir  string
	SegmentSize int64
	// Backup copies the journal to an absolute path; nil if there is none.
	Backup func(ctx context.Context, to string) (segments int, bytes int64, err error)

	// Failed is told of what should not happen. It may be nil.
	Failed func(r *http.Request, err error)
}

// A Handler answers with pages.
type Handler struct {
	opts    Options
	mux     *http.ServeMux
	origins *http.CrossOriginProtection
	pages   *template.Template
	assets  *assets
	frames  frames
	backing atomic.Bool // a backup is being made
	backup  atomic.Pointer[lastBackup]
	host    string
	maxJob  atomic.Uint32 // bytes

	core  atomic.Pointer[core]
	timed sync.Once // the engine keeps times
}

// core is what there is once the server serves.
type core struct {
	server  manage.Server
	manager *manage.Manager
}

// lastBackup is what came of the last backup.
type lastBackup struct {
	At       time.Time
	To       string
	Segments int
	Bytes    int64
	Error    string
}

// New returns a handler, which answers that the server is starting until Open is
// called.
func New(opts Options) (*Handler, error) {
	if opts.Who == nil {
		opts.Who = func(string) (Rights, bool, bool) { return Rights{}, false, false }
	}
	if opts.Session == nil {
		opts.Session = func(any) uint64 { return 0 }
	}
	if opts.Remote == nil {
		opts.Remote = func(any) string { return "" }
	}
	if opts.Journal == nil {
		opts.Journal = func() *journal.Figures { return nil }
	}
	if opts.Failed == nil {
		opts.Failed = func(*http.Request, error) {}
	}
	h := &Handler{opts: opts, mux: http.NewServeMux(), origins: http.NewCrossOriginProtection()}
	h.host, _ = os.Hostname()
	var err error
	if h.assets, err = loadAssets(); err != nil {
		return nil, err
	}
	if h.pages, err = h.parse(); err != nil {
		return nil, err
	}
	h.frames.open()
	h.maxJob.Store(opts.MaxJobSize)
	h.route()
	return h, nil
}

// Open has pages be answered from now on, with what s and m have.
func (h *Handler) Open(s manage.Server, m *manage.Manager) { h.core.Store(&core{s, m}) }

// SetMaxJobSize has bodies be so many bytes long at most from now on.
func (h *Handler) SetMaxJobSize(n uint32) { h.maxJob.Store(n) }

// policy is the content-security policy of every page: all comes from here, and
// nothing is in the page itself.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// longestForm is how many bytes a form has at most, one with a body of a job
// excepted.
const longestForm = 1 << 20

// ServeHTTP answers a request.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	header.Set("Content-Security-Policy", policy)
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("X-Frame-Options", "DENY")
	header.Set("Referrer-Policy", "same-origin")
	header.Set("Cross-Origin-Opener-Policy", "same-origin")
	header.Set("Cross-Origin-Resource-Policy", "same-origin")
	header.Set("Cache-Control", "no-store")
	if err := h.origins.Check(r); err != nil {
		http.Error(w, "This request comes from the page of another site.", http.StatusForbidden)
		return
	}
	h.mux.ServeHTTP(w, r)
}

// call is one request that is answered.
type call struct {
	*core
	h      *Handler
	w      http.ResponseWriter
	r      *http.Request
	rights Rights
	tokens bool // are needed, so that one can sign out
}

// right is what a request needs.
type right uint8

const (
	look right = iota
	put
	change
)

func (r Rights) has(need right) bool {
	return need == look || need == put && r.Put || need == change && r.Change
}

// route has the mux know all addresses.
func (h *Handler) route() {
	h.mux.HandleFunc("GET /assets/{version}/{file...}", h.assets.serve)
	h.mux.HandleFunc("GET /favicon.ico", h.assets.icon)
	h.mux.HandleFunc("GET /login", h.loginPage)
	h.mux.HandleFunc("POST /login", h.login)
	h.mux.HandleFunc("POST /logout", h.logout)
	for pattern, f := range map[string]func(*call) error{
		"GET /{$}":      page("overview", (*call).overview),
		"GET /tubes":    page("tubes", (*call).tubes),
		"GET /tube":     page("tube", (*call).tube),
		"GET /job/{id}": page("job", (*call).job),
		"GET /search":   (*call).search,
		"GET /workers":  page("workers", (*call).workers),
		"GET /worker":   page("worker", (*call).worker),
		"GET /journal":  page("journal", (*call).journal),
		"GET /rows":     (*call).rows,
		"GET /points":   (*call).points,

		"GET /job/{id}/body": (*call).body,
		"GET /live/{page}":   (*call).live,
	} {
		h.mux.HandleFunc(pattern, h.with(look, f))
	}
	h.mux.HandleFunc("GET /put", h.with(put, page("put", (*call).putForm)))
	h.mux.HandleFunc("POST /put", h.with(put, (*call).put))
	h.mux.HandleFunc("POST /ask/{deed}", h.with(change, (*call).ask))
	h.mux.HandleFunc("POST /do/{deed}", h.with(change, (*call).do))
	h.mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		h.with(look, func(*call) error { return errNoPage })(w, r)
	})
}

// page renders a page with what f returns.
func page(name string, f func(*call) (any, error)) func(*call) error {
	return func(c *call) error {
		data, err := f(c)
		if err != nil {
			return err
		}
		return c.page(http.StatusOK, name, data)
	}
}

// with calls f for those who have the right.
func (h *Handler) with(need right, f func(*call) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		rights, ok, tokens := h.who(r)
		if tokens && !ok {
			h.sendToLogin(w, r)
			return
		}
		c := &call{core: h.core.Load(), h: h, w: w, r: r, rights: rights, tokens: tokens}
		err := errStarting
		if !rights.has(need) {
			err = errForbidden
		} else if c.core != nil {
			h.timed.Do(c.keepTimes)
			if r.Method == http.MethodPost && need == change {
				r.Body = http.MaxBytesReader(w, r.Body, longestForm)
			}
			err = f(c)
		}
		if err != nil {
			c.fail(err)
		}
	}
}

// timedTubes is of how many tubes times are kept one by one.
const timedTubes = 1000

// keepTimes has the engine keep how long jobs take, unless somebody has it do so
// already. That costs it a little, so it begins when the first page is asked for.
func (c *call) keepTimes() {
	c.server.Do(func(e *queue.Engine, _ int64) {
		if e.RestTimes() == nil {
			e.KeepTimes(timedTubes)
		}
	})
}

// Complaints to whoever looks.
type complaint struct {
	status int
	title  string
	text   string
}

// Error returns the complaint's text.
func (c *complaint) Error() string { return c.text }

var (
	errNoPage    = errors.New("console: no such page")
	errForbidden = errors.New("console: not allowed")
	errStarting  = errors.New("console: the server is starting")
)

func wrong(format string, args ...any) error {
	return &complaint{http.StatusBadRequest, "That does not work", fmt.Sprintf(format, args...)}
}

// explain turns an error into what somebody can understand.
func explain(err error) *complaint {
	c, ok := errors.AsType[*complaint](err)
	var tooLong *http.MaxBytesError
	switch {
	case ok:
		return c
	case errors.Is(err, errNoPage):
		return &complaint{http.StatusNotFound, "No such page", "There is nothing at this address."}
	case errors.Is(err, errForbidden):
		return &complaint{http.StatusForbidden, "Not allowed",
			"The token that you are signed in with does not allow this. An operator who has one that does can do it."}
	case errors.Is(err, errStarting):
		return &complaint{http.StatusServiceUnavailable, "The server is starting", "It reads its journal. This page is there as soon as it has done so."}
	case errors.Is(err, errTooMany):
		return &complaint{http.StatusServiceUnavailable, "Too many pages are open", "This page does not tell what is new. Close some, and open it again."}
	case errors.As(err, &tooLong):
		return &complaint{http.StatusRequestEntityTooLarge, "Too long", fmt.Sprintf("A form like this has %d bytes at most.", tooLong.Limit)}
	case errors.Is(err, queue.ErrNotFound):
		return &complaint{http.StatusNotFound, "Not there", "It is not there any more. Somebody has deleted it meanwhile, or it has never been there."}
	case errors.Is(err, queue.ErrReserved):
		return &complaint{http.StatusConflict, "A worker has it", "The job is reserved. Release it first, or wait until its time is over."}
	case errors.Is(err, queue.ErrOutOfMemory):
		return &complaint{http.StatusInsufficientStorage, "No room", "The server has no room for that, in memory or in its journal."}
	case errors.Is(err, queue.ErrDraining):
		return &complaint{http.StatusServiceUnavailable, "The server is draining", "It takes no new jobs until draining is ended."}
	case errors.Is(err, manage.ErrBadState):
		return &complaint{http.StatusConflict, "Not in this state", "The job is in a state in which that cannot be done."}
	case errors.Is(err, manage.ErrStopping):
		return &complaint{http.StatusServiceUnavailable, "The server is stopping", "Try again when it is back."}
	}
	return nil
}

// fail answers with an error.
func (c *call) fail(err error) {
	if c.r.Context().Err() != nil {
		return // nobody is there to read it
	}
	e := explain(err)
	if e == nil {
		c.h.opts.Failed(c.r, err)
		e = &complaint{http.StatusInternalServerError, "That went wrong", err.Error()}
	}
	data := problem{Title: e.title, Text: e.text, Part: c.partial()}
	if data.Part {
		_ = c.fragment(e.status, "problem", data)
		return
	}
	_ = c.page(e.status, "problem", data)
}

// problem is a page that says what is wrong.
type problem struct {
	Title, Text string
	Part        bool // it is shown in a dialog
}

// partial reports whether a part of a page is wanted.
func (c *call) partial() bool { return c.r.Header.Get("HX-Request") == "true" }

// frameOf renders a template on its own.
func (h *Handler) frameOf(name string, data any) ([]byte, error) {
	var b bytes.Buffer
	err := h.pages.ExecuteTemplate(&b, name, data)
	return b.Bytes(), err
}

// fragment answers with a part of a page.
func (c *call) fragment(status int, name string, data any) error {
	b, err := c.h.frameOf(name, data)
	if err != nil {
		return err
	}
	return c.send(status, b)
}

// send answers with HTML.
func (c *call) send(status int, b []byte) error {
	c.w.Header().Set("Content-Type", "text/html; charset=utf-8")
	writeZipped(c.w, c.r, status, b)
	return nil
}

// backTo returns a path of this site that was asked for as the next page, or a
// default.
func backTo(path, otherwise string) string {
	if strings.HasPrefix(path, "/") && !strings.HasPrefix(path, "//") && !strings.ContainsAny(path, "\\\r\n") {
		return path
	}
	return otherwise
}
