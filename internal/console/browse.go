package console

import (
	"bytes"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"spoked/internal/manage"
	"spoked/queue"
)

// browser is a list of jobs that can be looked through, searched, and have things
// done to.
type browser struct {
	Tube     string // "" for all
	State    string // "" for any
	Contains string
	Tabs     []tab
	Known    bool   // Total is how many there are
	Total    int    // of that state
	NextID   uint64 // of the next job
	Rows     rows
	Path     string // address of rows, without where they begin
	Here     string // address of the page
	Rights   Rights
	Actions  []action
}

// tab is a link to the jobs of a state.
type tab struct {
	State, Label, Link string
	Count              int
	Chosen             bool
}

// action is something that can be done to the jobs that are chosen.
type action struct{ Deed, Label, Title string }

// rows are some jobs, in the order of their ids.
type rows struct {
	Jobs     []row
	Next     uint64 // the id to go on after
	Complete bool   // there are no more
	Looked   int    // at so many jobs, about
	Tubes    bool   // the jobs may be of several tubes
	Rights   Rights
}

type row struct {
	manage.Listed
	Preview string
	Binary  bool

	// What was searched for, if it is in what is shown: Preview is then before it,
	// and Rest behind.
	Match, Rest string
}

// rowsAtOnce is how many jobs a list gets at a time, and previewBytes how much of
// each body. The script knows the first, too.
const (
	rowsAtOnce   = 100
	previewBytes = 160

	// Of bodies that are searched, more is looked at for what to show, and a little
	// of what is before that is shown.
	searchedBytes = 4 << 10
	beforeMatch   = 12
)

// stateOf returns the state of that name.
func stateOf(name string) (queue.State, bool) {
	for _, s := range jobStates {
		if s.String() == name {
			return s, true
		}
	}
	return 0, false
}

// browserOf returns the browser that an address asks for. It has no rows yet.
func (c *call) browserOf(tube string) browser {
	q := c.r.URL.Query()
	b := browser{Tube: tube, State: q.Get("state"), Contains: q.Get("contains"), Rights: c.rights, Here: c.r.URL.RequestURI()}
	if _, ok := stateOf(b.State); !ok {
		b.State = ""
	}
	b.Path = query("/rows", "tube", b.Tube, "state", b.State, "contains", b.Contains)
	c.server.View(func(e *queue.Engine, _ int64) { b.NextID = e.NextID() })
	b.Actions = actionsFor(b.State)
	return b
}

// actionsFor returns what can be done to jobs of a state, or of any.
func actionsFor(state string) (list []action) {
	add := func(deed, label, title string, states ...string) {
		if state == "" || slices.Contains(states, state) {
			list = append(list, action{deed, label, title})
		}
	}
	add("kick", "Kick", "have buried or delayed jobs be ready now", "buried", "delayed")
	add("release", "Release", "take jobs from the workers that have them, so that others can", "reserved")
	add("move", "Move…", "put jobs into another tube", "ready", "delayed", "buried")
	add("change", "Priority…", "change the priority of jobs", "ready", "delayed", "buried")
	add("delete", "Delete", "delete jobs", "ready", "delayed", "buried")
	return list
}

// count fills in how many jobs there are of each state.
func (b *browser) count(jobs *[queue.NumStates]int) {
	link := func(state string) string {
		if b.Tube == "" {
			return query("/search", "contains", b.Contains, "state", state)
		}
		return tubePath(b.Tube, "state", state, "contains", b.Contains)
	}
	all := 0
	for _, s := range jobStates {
		all += jobs[s]
	}
	b.Tabs = append(b.Tabs, tab{"", "All", link(""), all, b.State == ""})
	b.Total = all
	for _, s := range jobStates {
		name := s.String()
		t := tab{name, strings.ToUpper(name[:1]) + name[1:], link(name), jobs[s], b.State == name}
		if t.Chosen {
			b.Total = t.Count
		}
		b.Tabs = append(b.Tabs, t)
	}
	b.Known = b.Contains == ""
}

// search returns what a browser's list is of.
func (b *browser) search(after uint64, limit int) manage.Search {
	s := manage.Search{Tube: b.Tube, Contains: []byte(b.Contains), After: after, Limit: limit, Bytes: previewBytes}
	if len(b.Contains) > 0 {
		s.Bytes = searchedBytes
	}
	if state, ok := stateOf(b.State); ok {
		s.States = queue.States(state)
	}
	return s
}

// patience is how long a page waits for jobs to be found, and patienceMore how
// long the parts of it that come later do.
const (
	patience     = 400 * time.Millisecond
	patienceMore = 2 * time.Second
)

// firstRows finds the first rows of a browser. If that takes long, the page comes
// without, and asks for them itself.
func (c *call) firstRows(b *browser) error {
	after, _ := strconv.ParseUint(c.r.URL.Query().Get("after"), 10, 64)
	r, err := c.find(b, after, patience)
	b.Rows = r
	return err
}

// find returns rows after an id: fewer, if it takes longer than patience.
func (c *call) find(b *browser, after uint64, patience time.Duration) (rows, error) {
	out := rows{Next: after, Tubes: b.Tube == "", Rights: c.rights}
	s := b.search(after, rowsAtOnce)
	s.Patience = patience
	l, err := c.manager.Jobs(c.r.Context(), s)
	if err != nil {
		return out, err
	}
	out.Next, out.Complete, out.Looked = l.Last, l.Complete, l.Examined
	for _, j := range l.Jobs {
		out.Jobs = append(out.Jobs, rowOf(j, b.Contains))
	}
	return out, nil
}

// rowOf returns the row of a job, whose body is cut short: around what was searched
// for, if that is there.
func rowOf(j manage.Listed, contains string) row {
	r := row{Listed: j}
	body, before := j.Body, ""
	at := -1
	if contains != "" {
		at = bytes.Index(body, []byte(contains))
	}
	if at > beforeMatch {
		start := at - beforeMatch
		for start > 0 && !utf8.RuneStart(body[start]) {
			start--
		}
		body, at, before = body[start:], at-start, "…"
	}
	end := ""
	if len(body) > previewBytes || int(j.Size) > len(j.Body) && len(j.Body) > 0 {
		end = "…"
	}
	body = body[:min(len(body), previewBytes)]
	if r.Preview, r.Binary = preview(body); !r.Binary && at >= 0 && at+len(contains) <= len(body) {
		// Each is put on one line, as a space at an end of it is not.
		first, _ := preview(append(body[:at:at], '|'))
		rest, _ := preview(append([]byte{'|'}, body[at+len(contains):]...))
		r.Preview, r.Match, r.Rest = strings.TrimSuffix(first, "|"), contains, strings.TrimPrefix(rest, "|")
	}
	r.Preview = before + r.Preview
	if r.Match == "" {
		r.Preview += end
	} else {
		r.Rest += end
	}
	r.Body = nil
	return r
}

// preview returns bytes as one line of text, and whether they are not text: then it
// is their beginning in hexadecimal.
func preview(b []byte) (line string, binary bool) {
	for len(b) > 0 && len(b) >= previewBytes-utf8.UTFMax { // a character may have been cut
		if r, n := utf8.DecodeLastRune(b); r != utf8.RuneError || n != 1 {
			break
		}
		b = b[:len(b)-1]
	}
	if !utf8.Valid(b) || slices.ContainsFunc([]rune(string(b)), func(r rune) bool { return r < ' ' && !unicode.IsSpace(r) }) {
		const most = 24
		return fmt.Sprintf("% x", b[:min(len(b), most)]), true
	}
	return strings.Join(strings.Fields(string(b)), " "), false
}

// rows answers with more rows of a browser's list.
func (c *call) rows() error {
	q := c.r.URL.Query()
	b := c.browserOf(q.Get("tube"))
	after, err := strconv.ParseUint(q.Get("after"), 10, 64)
	if err != nil && q.Get("after") != "" {
		return wrong("%q is no id of a job.", q.Get("after"))
	}
	r, err := c.find(&b, after, patienceMore)
	if err != nil {
		return err
	}
	return c.fragment(http.StatusOK, "rows", r)
}

// searchPage is the page of jobs of all tubes.
type searchPage struct {
	Query   string
	Browser browser
	Tubes   []string // whose names have it
}

// search finds what somebody has typed: a job by its id, or jobs by what is in
// their bodies, and tubes by their names.
func (c *call) search() error {
	q := c.r.URL.Query()
	text := strings.TrimSpace(q.Get("q"))
	if id, err := strconv.ParseUint(strings.TrimPrefix(text, "#"), 10, 64); err == nil && q.Get("state") == "" {
		if _, err := c.manager.Job(c.r.Context(), id, -1); err == nil {
			http.Redirect(c.w, c.r, fmt.Sprintf("/job/%d", id), http.StatusSeeOther)
			return nil
		}
	}
	if text == "" {
		text = q.Get("contains")
	}
	// From here on it is as if the text had been asked for alone.
	c.r.URL.RawQuery = url.Values{"q": {text}, "contains": {text}, "state": {q.Get("state")}, "after": {q.Get("after")}}.Encode()
	p := searchPage{Query: text, Browser: c.browserOf("")}
	now := c.h.opts.History.Now()
	p.Browser.count(&now.Stats.Jobs)
	const mostTubes = 8
	if text != "" {
		for name := range now.Tubes {
			if strings.Contains(strings.ToLower(name), strings.ToLower(text)) {
				p.Tubes = append(p.Tubes, name)
			}
		}
		slices.Sort(p.Tubes)
		p.Tubes = p.Tubes[:min(len(p.Tubes), mostTubes)]
	}
	if err := c.firstRows(&p.Browser); err != nil {
		return err
	}
	return c.page(http.StatusOK, "search", p)
}
