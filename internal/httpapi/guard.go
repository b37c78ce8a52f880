package httpapi

import (
	"fmt"
	"net"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"

	"spoked/internal/api"
)

// guard refuses requests that are not what they seem to be. It looks at nothing
// but the head.
func (h *Handler) guard(r *http.Request) error {
	if p := r.URL.EscapedPath(); r.Method == http.MethodConnect || p == "" || p[0] != '/' || !isClean(p) || strings.Contains(r.URL.Path, slashOnly) {
		return problem(api.NoSuchPath, "there is no call with the path %.200q", p)
	}
	if h.opts.Local && h.tokens.Load() == nil {
		host := r.Host
		if name, _, err := net.SplitHostPort(host); err == nil {
			host = name
		}
		if !isLoopback(strings.Trim(host, "[]")) {
			return problem(api.Misdirected, "this server answers requests to localhost alone, and this one is to %.200q; "+
				"to serve under other names it needs tokens (--http-token-file)", r.Host)
		}
	}
	if err := h.origins.Check(r); err != nil {
		return problem(api.CrossOrigin, "the request comes from the page of another site")
	}
	return nil
}

// isClean reports whether a path is in the one form that names what it names.
func isClean(p string) bool {
	clean := path.Clean(p)
	return p == clean || p == clean+"/" && clean != "/"
}

// slashOnly stands in a path for a tube that is called "/": the mux takes a segment that
// is nothing but %2F for the end of the path. No request has it of its own accord.
const slashOnly = "\x00"

// markSlash puts slashOnly where it belongs.
func markSlash(u *url.URL) {
	segments := strings.Split(u.EscapedPath(), "/")
	i := slices.IndexFunc(segments, func(s string) bool { return strings.EqualFold(s, "%2F") })
	if i < 0 {
		return
	}
	segments[i] = "%00"
	marked := strings.Join(segments, "/")
	if p, err := url.PathUnescape(marked); err == nil {
		u.Path, u.RawPath = p, marked
	}
}

// failure is a panic.
type failure struct {
	value any
	stack []byte
}

// Error returns the panic's value and where it happened.
func (f *failure) Error() string { return fmt.Sprintf("panic: %v\n%s", f.value, f.stack) }
