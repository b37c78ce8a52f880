package httpapi

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"spoked/internal/api"
	"spoked/internal/manage"
)

// A route is one call of the API.
type route struct {
	method, path string // the path behind api.Prefix
	role         Role
	does         func(c *call) error
}

// routes is the table of all calls. Each has an operation in openapi.yaml.
func routes() []route {
	return []route{
		{"GET", "", Read, (*call).status},
		{"GET", "/openapi.yaml", Anybody, (*call).openapiYAML},
		{"GET", "/openapi.json", Anybody, (*call).openapiJSON},
		{"GET", "/events", Read, (*call).events},
		{"GET", "/connections", Read, (*call).connections},
		{"POST", "/drain", Admin, (*call).drain},
		{"POST", "/undrain", Admin, (*call).undrain},
		{"POST", "/backup", Admin, (*call).backup},

		{"GET", "/tubes", Read, (*call).tubes},
		{"GET", "/tubes/{tube}", Read, (*call).getTube},
		{"DELETE", "/tubes/{tube}", Admin, (*call).deleteTube},
		{"POST", "/tubes/{tube}/pause", Admin, (*call).pause},
		{"POST", "/tubes/{tube}/resume", Admin, (*call).resume},
		{"POST", "/tubes/{tube}/clear", Admin, (*call).clear},
		{"POST", "/tubes/{tube}/kick", Admin, (*call).kick},
		{"GET", "/tubes/{tube}/peek", Read, (*call).peek},
		{"GET", "/tubes/{tube}/jobs", Read, (*call).tubeJobs},
		{"POST", "/tubes/{tube}/jobs", Produce, (*call).put},

		{"GET", "/jobs", Read, (*call).jobs},
		{"POST", "/jobs", Produce, (*call).putMany},
		{"GET", "/jobs/{id}", Read, (*call).getJob},
		{"DELETE", "/jobs/{id}", Admin, (*call).deleteJob},
		{"PATCH", "/jobs/{id}", Admin, (*call).changeJob},
		{"GET", "/jobs/{id}/body", Read, (*call).getBody},
		{"POST", "/jobs/{id}/kick", Admin, (*call).kickJob},
		{"POST", "/jobs/{id}/reserve", Work, (*call).reserveJob},
		{"POST", "/bulk", Admin, (*call).bulk},
		{"GET", "/export", Read, (*call).export},
		{"POST", "/import", Admin, (*call).importJobs},

		{"POST", "/reserve", Work, (*call).reserve},
		{"POST", "/leases/{lease}/delete", Work, (*call).deleteLease},
		{"POST", "/leases/{lease}/release", Work, (*call).release},
		{"POST", "/leases/{lease}/bury", Work, (*call).bury},
		{"POST", "/leases/{lease}/touch", Work, (*call).touch},
	}
}

// call is one request that is answered.
type call struct {
	h    *Handler
	m    *manage.Manager // nil for calls that need none and have come before there is one
	w    http.ResponseWriter
	r    *http.Request
	name string // of the token, or ""
	what string // that the call is about, for the message that it is not there
}

// route has the mux know all calls.
func (h *Handler) route() {
	methods := map[string][]string{}
	for _, t := range routes() {
		path := api.Prefix + t.path
		h.mux.HandleFunc(t.method+" "+path, func(w http.ResponseWriter, r *http.Request) { h.answer(w, r, &t) })
		methods[path] = append(methods[path], t.method)
		if t.method == http.MethodGet {
			methods[path] = append(methods[path], http.MethodHead)
		}
	}
	for path, allowed := range methods {
		slices.Sort(allowed)
		h.mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Allow", strings.Join(allowed, ", "))
			h.fail(w, r, problem(api.MethodNotAllowed, "%s %.100s is no call; here are %s", r.Method, r.URL.Path, strings.Join(allowed, ", ")))
		})
	}
	nothing := func(w http.ResponseWriter, r *http.Request) {
		h.fail(w, r, problem(api.NoSuchPath, "there is no call with the path %.200q", r.URL.Path))
	}
	for path, m := range h.opts.Mounts {
		if without, ok := strings.CutSuffix(path, "/"); ok && without != "" {
			h.mux.HandleFunc(without, nothing) // instead of a redirect
		}
		h.mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
			if _, err := h.authorize(w, r, m.Role); err != nil {
				h.fail(w, r, err)
				return
			}
			m.Handler.ServeHTTP(w, r)
		})
	}
	if h.opts.Mounts["/"].Handler == nil {
		h.mux.HandleFunc("/", nothing)
	} else {
		h.mux.HandleFunc(api.Prefix+"/", nothing)
	}
}

// answer does a call.
func (h *Handler) answer(w http.ResponseWriter, r *http.Request, t *route) {
	c := &call{h: h, m: h.manager.Load(), w: w, r: r}
	var err error
	if c.name, err = h.authorize(w, r, t.role); err == nil {
		if c.m == nil && t.role != Anybody {
			err = problem(api.Stopping, "the server is starting")
		} else {
			err = t.does(c)
		}
	}
	if err != nil {
		if p := explain(err, c.what); p != nil && p.Status != http.StatusInternalServerError {
			err = p
			if c.m != nil {
				_ = c.m.Settle(r.Context()) // what is not there may have gone a moment ago
			}
		}
		h.fail(w, r, err)
	}
}

// ok answers with a JSON value.
func (c *call) ok(v any) error { return c.created(http.StatusOK, v) }

// created answers with a status and a JSON value, when the journal knows of all that
// it tells.
func (c *call) created(status int, v any) error {
	if c.m != nil {
		if err := c.m.Settle(c.r.Context()); err != nil {
			return err
		}
	}
	c.h.write(c.w, status, api.JSON, v)
	return nil
}

// done answers with nothing.
func (c *call) done() error {
	_ = c.h.send(c.w, http.StatusNoContent, "", nil)
	return nil
}

// stream takes one of the few places for what goes on for long, and returns what
// gives it back.
func (c *call) stream() (leave func(), err error) {
	select {
	case c.h.streams <- struct{}{}:
		return func() { <-c.h.streams }, nil
	default:
		return nil, problem(api.TooManyRequests, "%d searches, exports, imports and the like are under way already", cap(c.h.streams))
	}
}

// writeWithin gives the client so many seconds more than the usual to take what
// is written next.
func (h *Handler) writeWithin(w http.ResponseWriter, seconds int) {
	until := time.Now().Add(h.opts.Patience + time.Duration(seconds)*time.Second)
	_ = http.NewResponseController(w).SetWriteDeadline(until)
}
