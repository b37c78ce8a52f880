package console

import (
	"fmt"
	"html/template"
	"net/url"
	"path"
	"strings"
	"time"

	"spoked/internal/history"
	"spoked/queue"
)

// layout is what every page has around what is its own.
type layout struct {
	Page    string // the template of what is its own
	Title   string
	Nav     string // which entry is the current one
	Theme   string // "dark", "light", or "" for what the system has
	Notice  string // what has been done before
	Rights  Rights
	Tokens  bool // one can sign out
	Host    string
	Version string
	Assets  string // where they are
	Here    string // the address of this page
	Query   string // in the field for searching
	Data    any
}

// titled is data that has a title of its own for its page.
type titled interface{ title() string }

// titles are those of the pages that always have the same.
var titles = map[string]string{
	"overview": "Overview", "tubes": "Tubes", "workers": "Workers", "journal": "Journal", "put": "Put a job",
	"login": "Sign in", "problem": "Problem", "search": "Search", "again": "One moment",
}

// navOf is the entry of the navigation that a page belongs to, if it is not that of
// its own.
var navOf = map[string]string{"tube": "tubes", "worker": "workers"}

// page answers with a page.
func (c *call) page(status int, name string, data any) error {
	l := layout{
		Page: name, Title: titles[name], Nav: name, Rights: c.rights, Tokens: c.tokens,
		Host: c.h.host, Version: c.h.opts.Version, Assets: "/assets/" + c.h.assets.version,
		Here: c.r.URL.RequestURI(), Data: data,
		Notice: takeNotice(c.w, c.r),
	}
	if n, ok := navOf[name]; ok {
		l.Nav = n
	}
	if t, ok := data.(titled); ok {
		l.Title = t.title()
	}
	if t, err := c.r.Cookie(themeCookie); err == nil && (t.Value == "dark" || t.Value == "light") {
		l.Theme = t.Value
	}
	if name == "search" {
		l.Query = c.r.URL.Query().Get("q")
	}
	body, err := c.h.frameOf("layout", &l)
	if err != nil {
		return err
	}
	return c.send(status, body)
}

// parse reads the templates.
func (h *Handler) parse() (*template.Template, error) {
	t := template.New("console").Funcs(template.FuncMap{
		"num": number, "short": short, "rate": rate, "dur": duration, "brief": brief, "bytes": size, "clock": clock, "ago": ago, "since": since,
		"count": count, "tube": tubePath, "query": query, "spark": spark, "states": func() []queue.State { return jobStates },
		"asset": func(name string) string { return "/assets/" + h.assets.version + "/" + name },
		"last":  path.Base, "list": func(v ...any) []any { return v }, "pairs": pairs, "lower": strings.ToLower,
	})
	// A page names the template of what is its own; templates cannot.
	t.Funcs(template.FuncMap{"part": func(name string, data any) (template.HTML, error) {
		b, err := h.frameOf(name, data)
		return template.HTML(b), err // it has been escaped
	}})
	return t.ParseFS(files, "pages/*.html")
}

// jobStates are the states of jobs in the order in which they are shown.
var jobStates = []queue.State{queue.Ready, queue.Delayed, queue.Reserved, queue.Buried}

// pairs makes a map of names and values, for templates that need several.
func pairs(v ...any) (map[string]any, error) {
	m := map[string]any{}
	for i := 0; i+1 < len(v); i += 2 {
		name, ok := v[i].(string)
		if !ok {
			return nil, fmt.Errorf("%v is no name", v[i])
		}
		m[name] = v[i+1]
	}
	return m, nil
}

// query returns a path with parameters, of which empty ones are left out.
func query(path string, v ...any) string {
	q := url.Values{}
	for i := 0; i+1 < len(v); i += 2 {
		if s := fmt.Sprint(v[i+1]); s != "" {
			q.Add(fmt.Sprint(v[i]), s)
		}
	}
	if len(q) == 0 {
		return path
	}
	return path + "?" + q.Encode()
}

// tubePath returns the address of a tube's page. The name is no part of the path:
// a tube may be called "..".
func tubePath(name string, v ...any) string {
	return query("/tube", append([]any{"name", name}, v...)...)
}

// number returns an integer with a comma between thousands.
func number(v any) string {
	s := fmt.Sprint(v)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// short returns a number in a few characters, such as 1.2M.
func short(v any) string {
	var n float64
	_, _ = fmt.Sscan(fmt.Sprint(v), &n)
	for _, u := range []struct {
		unit float64
		name string
	}{{1e9, "G"}, {1e6, "M"}, {1e3, "k"}} {
		if n >= u.unit*0.99995 {
			return trimZero(fmt.Sprintf("%.1f", n/u.unit)) + u.name
		}
	}
	return fmt.Sprintf("%.0f", n)
}

func trimZero(s string) string { return strings.TrimSuffix(s, ".0") }

// rate returns a number of things a second.
func rate(v any) string {
	var n float64
	_, _ = fmt.Sscan(fmt.Sprint(v), &n)
	sign := ""
	if n < 0 {
		sign, n = "−", -n
	}
	switch {
	case n < 0.005:
		return "0"
	case n < 1:
		return sign + fmt.Sprintf("%.2f", n)
	case n < 10:
		return sign + trimZero(fmt.Sprintf("%.1f", n))
	}
	return sign + number(fmt.Sprintf("%.0f", n))
}

// count returns a number of things, such as "1 job" or "2 jobs".
func count(n any, one string) string {
	s := number(n)
	if s == "1" {
		return s + " " + one
	}
	return s + " " + one + "s"
}

// duration returns about how long something takes, in two units at most.
func duration(d time.Duration) string {
	sign := ""
	if d < 0 {
		sign, d = "−", -d
	}
	switch {
	case d == 0:
		return "0 s"
	case d < time.Millisecond:
		return sign + fmt.Sprintf("%d µs", d.Microseconds())
	case d < time.Second:
		return sign + fmt.Sprintf("%d ms", d.Milliseconds())
	case d < 10*time.Second:
		return sign + trimZero(fmt.Sprintf("%.1f", d.Seconds())) + " s"
	case d < time.Minute:
		return sign + fmt.Sprintf("%d s", int(d.Seconds()))
	}
	units := []struct {
		unit time.Duration
		name string
	}{{365 * 24 * time.Hour, "y"}, {24 * time.Hour, "d"}, {time.Hour, "h"}, {time.Minute, "min"}, {time.Second, "s"}}
	for i, u := range units[:4] {
		if d >= u.unit {
			s := fmt.Sprintf("%d %s", d/u.unit, u.name)
			if rest := d % u.unit / units[i+1].unit; rest > 0 {
				s += fmt.Sprintf(" %d %s", rest, units[i+1].name)
			}
			return sign + s
		}
	}
	return sign + d.String()
}

// brief returns about how long something takes, in one unit.
func brief(d time.Duration) string {
	if s := duration(d); strings.Count(s, " ") > 1 {
		n, rest, _ := strings.Cut(s, " ")
		unit, _, _ := strings.Cut(rest, " ")
		return n + " " + unit
	}
	return duration(d)
}

// size returns a number of bytes.
func size(v any) string {
	var n float64
	_, _ = fmt.Sscan(fmt.Sprint(v), &n)
	for _, u := range []struct {
		unit float64
		name string
	}{{1 << 40, "TiB"}, {1 << 30, "GiB"}, {1 << 20, "MiB"}, {1 << 10, "KiB"}} {
		if n >= u.unit {
			return trimZero(fmt.Sprintf("%.1f", n/u.unit)) + " " + u.name
		}
	}
	return fmt.Sprintf("%.0f B", n)
}

// clock returns an instant or a time, to the second.
func clock(v any) string {
	switch t := v.(type) {
	case int64:
		return time.Unix(0, t).UTC().Format("2006-01-02 15:04:05 UTC")
	case time.Time:
		return t.UTC().Format("2006-01-02 15:04:05 UTC")
	}
	return ""
}

// ago returns how long before now an instant was; since that of a time.
func ago(now, at int64) string { return duration(time.Duration(now - at)) }

func since(t time.Time) string { return duration(time.Since(t)) }

// spark returns the points of a line in a box of 100 by 24.
func spark(line []uint32) string {
	most := uint32(1)
	for _, v := range line {
		most = max(most, v)
	}
	var b strings.Builder
	for i, v := range line {
		x := 100 - float64(len(line)-1-i)*100/(history.LineLength-1)
		fmt.Fprintf(&b, "%.1f,%.1f ", x, 22.5-float64(v)*21/float64(most))
	}
	return strings.TrimSpace(b.String())
}
