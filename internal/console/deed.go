package console

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"spoked/internal/manage"
	"spoked/proto"
	"spoked/queue"
)

// A deed changes something. First ask returns what is asked of whoever wants it,
// or nil if nothing need be; then do does it, and returns what to say of it.
type deed struct {
	ask func(c *call) (*question, error)
	do  func(c *call) (string, error)
}

// deedOf returns the deed of that name.
func deedOf(name string) (d deed, ok bool) {
	switch name {
	case "pause":
		return deed{(*call).askPause, (*call).doPause}, true
	case "resume":
		return deed{nil, (*call).doResume}, true
	case "clear":
		return deed{(*call).askClear, (*call).doClear}, true
	case "kick-tube":
		return deed{(*call).askKickTube, (*call).doKickTube}, true
	case "kick", "delete", "move", "change", "release":
		return deed{
			func(c *call) (*question, error) { return c.askJobs(name) },
			func(c *call) (string, error) { return c.doJobs(name) },
		}, true
	case "backup":
		return deed{(*call).askBackup, (*call).doBackup}, true
	case "drain":
		return deed{(*call).askDrain, func(c *call) (string, error) {
			c.manager.Drain(true)
			return "The server is draining: it takes no new jobs.", nil
		}}, true
	case "undrain":
		return deed{nil, func(c *call) (string, error) {
			c.manager.Drain(false)
			return "The server takes jobs again.", nil
		}}, true
	}
	return deed{}, false
}

// question is a dialog.
type question struct {
	Deed    string
	Title   string
	Text    string
	Warning string // what to think of before
	Undo    string // how it can be undone, "" if it cannot
	Fields  []field
	Hidden  []hidden
	Back    string
	Button  string // "" if there is nothing to do
	Danger  bool
	Sum     bool // the button counts the boxes that are ticked
}

// field is one to be filled in.
type field struct {
	Name, Label, Type, Value, Hint string
	Options                        []string
	Ticked                         bool
	Count                          int
}

type hidden struct{ Name, Value string }

// ask answers with a dialog.
func (c *call) ask() error {
	name := c.r.PathValue("deed")
	d, ok := deedOf(name)
	if !ok {
		return errNoPage
	}
	if err := asComplaint(c.r.ParseForm()); err != nil {
		return err
	}
	if d.ask == nil {
		return c.do()
	}
	q, err := d.ask(c)
	if err != nil {
		return err
	}
	q.Deed = name
	q.Back = backTo(c.r.PostForm.Get("back"), "/")
	if c.partial() {
		return c.fragment(http.StatusOK, "question", q)
	}
	return c.page(http.StatusOK, "ask", q)
}

func (q *question) title() string { return q.Title }

// do does a deed, and goes back to where it was asked for.
func (c *call) do() error {
	d, ok := deedOf(c.r.PathValue("deed"))
	if !ok {
		return errNoPage
	}
	if err := asComplaint(c.r.ParseForm()); err != nil {
		return err
	}
	said, err := d.do(c)
	if err != nil {
		return err
	}
	note(c.w, said)
	back := backTo(c.r.PostForm.Get("back"), "/")
	if c.partial() {
		c.w.Header().Set("HX-Redirect", back)
		return nil
	}
	http.Redirect(c.w, c.r, back, http.StatusSeeOther)
	return nil
}

// asComplaint returns what to say of a form that could not be read.
func asComplaint(err error) error {
	var tooLong *http.MaxBytesError
	if err == nil || errors.As(err, &tooLong) {
		return err
	}
	return wrong("The form cannot be read: %v.", err)
}

// checkTube complains about what cannot be the name of a tube.
func checkTube(name string) error {
	if name == "" {
		return wrong("A tube has a name.")
	}
	if !proto.ValidTube([]byte(name)) {
		return wrong("%q cannot be the name of a tube: it has letters, digits and -+/;.$_(), does not begin with a -, and is not longer than 200.", name)
	}
	return nil
}

func readPri(s string) (uint32, error) {
	n, err := strconv.ParseUint(strings.TrimSpace(s), 10, 32)
	if err != nil {
		return 0, wrong("%q is no priority: it is a number from 0, the most urgent, to 4,294,967,295.", s)
	}
	return uint32(n), nil
}

// readDuration reads a duration such as 30s, or a number of seconds.
func readDuration(what, s string) (time.Duration, error) {
	s = strings.ReplaceAll(strings.TrimSpace(s), " ", "")
	if s == "" {
		return 0, nil
	}
	if n, err := strconv.ParseUint(s, 10, 32); err == nil {
		return time.Duration(n) * time.Second, nil
	}
	d, err := time.ParseDuration(s)
	if err != nil || d < 0 || d > 1<<32*time.Second {
		return 0, wrong("%q is no %s: it is written such as 30s, 5m or 2h.", s, what)
	}
	return d, nil
}

// tubeAsked returns the tube that a form is about.
func (c *call) tubeAsked() (string, error) {
	name := c.r.PostForm.Get("tube")
	return name, checkTube(name)
}

func (c *call) askPause() (*question, error) {
	tube, err := c.tubeAsked()
	if err != nil {
		return nil, err
	}
	return &question{
		Title: "Pause " + tube + "?", Text: "No worker gets a job of this tube while it is paused. Jobs can still be put.",
		Undo:   "Resume ends the pause at once.",
		Hidden: []hidden{{"tube", tube}},
		Fields: []field{{Name: "for", Label: "For", Type: "text", Value: "10m", Hint: "such as 30s, 10m or 2h", Options: []string{"1m", "10m", "1h", "24h"}}},
		Button: "Pause",
	}, nil
}

func (c *call) doPause() (string, error) {
	tube, err := c.tubeAsked()
	if err != nil {
		return "", err
	}
	d, err := readDuration("duration", c.r.PostForm.Get("for"))
	if err != nil {
		return "", err
	}
	if d <= 0 {
		return "", wrong("How long is the pause to be?")
	}
	_, err = c.manager.Pause(c.r.Context(), tube, d)
	return fmt.Sprintf("%s is paused for %s.", tube, duration(d)), err
}

func (c *call) doResume() (string, error) {
	tube, err := c.tubeAsked()
	if err != nil {
		return "", err
	}
	_, err = c.manager.Pause(c.r.Context(), tube, 0)
	return tube + " goes on.", err
}

func (c *call) askClear() (*question, error) {
	tube, err := c.tubeAsked()
	if err != nil {
		return nil, err
	}
	s, err := c.manager.Tube(tube)
	if err != nil {
		return nil, err
	}
	q := &question{Title: "Clear " + tube + "?", Hidden: []hidden{{"tube", tube}}, Danger: true, Sum: true}
	chosen := c.r.PostForm.Get("state")
	n := 0
	for _, state := range jobStates {
		name, k := state.String(), s.Jobs[state]
		if k == 0 {
			continue
		}
		f := field{Name: "states", Type: "checkbox", Value: name, Label: fmt.Sprintf("%s %s", number(k), name), Count: k}
		if f.Ticked = chosen == name || chosen == "" && state != queue.Reserved; f.Ticked {
			n += k
		}
		if state == queue.Reserved {
			f.Hint = "workers have them, and will find them gone"
		}
		q.Fields = append(q.Fields, f)
	}
	if len(q.Fields) == 0 {
		q.Text = "There is no job in this tube."
		return q, nil
	}
	q.Text = fmt.Sprintf("Of the jobs in %s, those in these states are deleted:", tube)
	q.Button = fmt.Sprintf("Delete %s", count(n, "job"))
	return q, nil
}

func (c *call) doClear() (string, error) {
	tube, err := c.tubeAsked()
	if err != nil {
		return "", err
	}
	set := queue.StateSet(0)
	for _, name := range c.r.PostForm["states"] {
		s, ok := stateOf(name)
		if !ok {
			return "", wrong("%q is no state of a job.", name)
		}
		set |= queue.States(s)
	}
	if set == 0 {
		return "", wrong("No state is ticked, so there is nothing to clear.")
	}
	n, err := c.manager.Clear(c.r.Context(), tube, set)
	return fmt.Sprintf("%s deleted from %s.", count(n, "job"), tube), err
}

func (c *call) askKickTube() (*question, error) {
	tube, err := c.tubeAsked()
	if err != nil {
		return nil, err
	}
	s, err := c.manager.Tube(tube)
	if err != nil {
		return nil, err
	}
	what, n := "buried", s.Jobs[queue.Buried]
	if n == 0 {
		what, n = "delayed", s.Jobs[queue.Delayed]
	}
	q := &question{Title: "Kick jobs of " + tube + "?", Hidden: []hidden{{"tube", tube}}}
	if n == 0 {
		q.Text = "No job in this tube is buried or delayed, so there is nothing to kick."
		return q, nil
	}
	q.Text = fmt.Sprintf("%s %s. Kicked, they are ready at once, the first first.", countIs(n), what)
	q.Fields = []field{{Name: "count", Label: "Jobs", Type: "number", Value: strconv.Itoa(n)}}
	q.Button = "Kick"
	return q, nil
}

func (c *call) doKickTube() (string, error) {
	tube, err := c.tubeAsked()
	if err != nil {
		return "", err
	}
	n, err := strconv.ParseUint(c.r.PostForm.Get("count"), 10, 32)
	if err != nil {
		return "", wrong("%q is no number of jobs.", c.r.PostForm.Get("count"))
	}
	kicked, err := c.manager.Kick(c.r.Context(), tube, uint32(n))
	return fmt.Sprintf("%s of %s kicked.", count(kicked, "job"), tube), err
}

func (c *call) askBackup() (*question, error) {
	to := c.r.PostForm.Get("to")
	if c.h.opts.Backup == nil {
		return nil, wrong("There is no journal, so there is nothing to back up.")
	}
	return &question{
		Title: "Back up the journal?", Text: "All that has been acknowledged by then is copied. The server goes on meanwhile.",
		Undo: "nothing is changed.",
		Fields: []field{{Name: "to", Label: "Directory", Type: "text", Value: to,
			Hint: "an absolute path on the server's machine, which is not there yet or is empty"}},
		Button: "Back up",
	}, nil
}

func (c *call) doBackup() (string, error) {
	to := strings.TrimSpace(c.r.PostForm.Get("to"))
	if c.h.opts.Backup == nil {
		return "", wrong("There is no journal, so there is nothing to back up.")
	}
	if !filepath.IsAbs(to) {
		return "", wrong("%q is not an absolute path.", to)
	}
	if !c.h.backing.CompareAndSwap(false, true) {
		return "", wrong("A backup is being made already.")
	}
	// It goes on if the page is closed.
	ctx := context.WithoutCancel(c.r.Context())
	done := make(chan *lastBackup, 1)
	go func() {
		segments, n, err := c.h.opts.Backup(ctx, to)
		b := &lastBackup{At: time.Now(), To: to, Segments: segments, Bytes: n}
		if err != nil {
			b.Error = err.Error()
		}
		c.h.backup.Store(b)
		c.h.backing.Store(false)
		done <- b
	}()
	const quick = 2 * time.Second
	select {
	case b := <-done:
		if b.Error != "" {
			return "", wrong("The backup has failed: %s.", b.Error)
		}
		return fmt.Sprintf("Backed up to %s: %s in %s.", to, size(b.Bytes), count(b.Segments, "segment")), nil
	case <-time.After(quick):
		return "The backup is being made. This page says when it is done.", nil
	}
}

func (c *call) askDrain() (*question, error) {
	return &question{
		Title: "Drain the server?", Text: "It takes no new jobs: every put is refused. Workers go on until all is done.",
		Undo: "Take jobs again ends it at once.", Button: "Drain", Danger: true,
	}, nil
}

// aim is the jobs that a deed is about.
type aim struct {
	search manage.Search
	ids    []uint64 // if they were chosen one by one
	state  string
}

// aimOf returns the jobs that a form is about.
func (c *call) aimOf() (a aim, err error) {
	f := c.r.PostForm
	a.search.Tube = f.Get("tube")
	a.search.Contains = []byte(f.Get("contains"))
	a.state = f.Get("state")
	if s, ok := stateOf(a.state); ok {
		a.search.States = queue.States(s)
	} else if a.state != "" {
		return a, wrong("%q is no state of a job.", a.state)
	}
	if until := f.Get("until"); until != "" {
		if a.search.Until, err = strconv.ParseUint(until, 10, 64); err != nil {
			return a, wrong("%q is no id of a job.", until)
		}
	}
	if f.Get("all") != "" {
		return a, nil
	}
	for _, list := range f["id"] {
		for text := range strings.SplitSeq(list, ",") {
			id, err := strconv.ParseUint(text, 10, 64)
			if err != nil {
				return a, wrong("%q is no id of a job.", text)
			}
			a.ids = append(a.ids, id)
		}
	}
	if len(a.ids) == 0 {
		return a, wrong("No job is chosen. Tick some, or all that match.")
	}
	return a, nil
}

// hidden returns the fields by which a form is about the same.
func (a *aim) hidden(f url.Values) (list []hidden) {
	list = []hidden{{"tube", a.search.Tube}, {"state", a.state}, {"contains", string(a.search.Contains)}}
	if len(a.ids) == 0 {
		return append(list, hidden{"all", "1"}, hidden{"until", strconv.FormatUint(a.search.Until, 10)})
	}
	return append(list, hidden{"id", strings.Join(f["id"], ",")})
}

// String returns what the jobs are, such as "buried jobs of email".
func (a *aim) describe(n int) string {
	s := number(n)
	if a.state != "" {
		s += " " + a.state
	}
	s += " job"
	if n != 1 {
		s += "s"
	}
	if len(a.ids) == 1 {
		return fmt.Sprintf("job %d", a.ids[0])
	}
	if a.search.Tube != "" {
		s += " of " + a.search.Tube
	} else if len(a.ids) == 0 {
		s += " of all tubes"
	}
	if len(a.search.Contains) > 0 && len(a.ids) == 0 {
		s += fmt.Sprintf(" with “%s” in the body", a.search.Contains)
	}
	return s
}

// bulk returns what a deed does to jobs, as far as that is known before it is
// asked.
func bulkOf(name string) manage.Bulk {
	switch name {
	case "delete":
		return manage.Bulk{Action: manage.DeleteJobs}
	case "kick":
		return manage.Bulk{Action: manage.KickJobs}
	case "release":
		return manage.Bulk{Action: manage.ReleaseJobs}
	case "move":
		return manage.Bulk{Action: manage.MoveJobs}
	}
	return manage.Bulk{Action: manage.ChangeJobs}
}

// askJobs counts what a deed would do to jobs.
func (c *call) askJobs(name string) (*question, error) {
	a, err := c.aimOf()
	if err != nil {
		return nil, err
	}
	if len(a.ids) == 0 {
		c.server.View(func(e *queue.Engine, _ int64) { a.search.Until = e.NextID() })
	}
	b := bulkOf(name)
	b.Search, b.DryRun = a.search, true
	pri := uint32(0)
	b.Change.Pri = &pri
	r, err := c.tally(name, &a, b)
	if err != nil {
		return nil, err
	}
	q := &question{Hidden: a.hidden(c.r.PostForm)}
	q.Warning = leftAlone(name, r)
	verb := map[string]string{"delete": "Delete", "kick": "Kick", "release": "Release", "move": "Move", "change": "Change the priority of"}[name]
	q.Title = fmt.Sprintf("%s %s?", verb, a.describe(r.Changed))
	if r.Changed == 0 {
		q.Title = "Nothing to " + strings.ToLower(strings.Fields(verb)[0])
		q.Text = "None of these jobs can have that done to it."
		if r.Matched == 0 {
			q.Text = "There are no such jobs any more."
		}
		return q, nil
	}
	q.Button = fmt.Sprintf("%s %s", strings.Fields(verb)[0], count(r.Changed, "job"))
	switch name {
	case "delete":
		q.Text, q.Danger = "They are gone then, with their bodies.", true
		if r.Changed == 1 {
			q.Text = "It is gone then, with its body."
		}
	case "kick":
		q.Text = "They are ready at once, and workers may take them at once."
	case "release":
		q.Text = "They are ready for other workers. Those that have them now may still be working on them, so that they could be done twice; they find them gone."
	case "move":
		q.Text, q.Undo = "They keep their state, their priority and their age.", "move them back."
		q.Fields = []field{{Name: "to", Label: "To tube", Type: "text", Options: someTubes(c.h.opts.History.Now().Tubes)}}
	case "change":
		q.Text, q.Undo = "Those with the smallest number are reserved first.", "give them the priority that they have had, if you know it."
		q.Fields = []field{{Name: "pri", Label: "Priority", Type: "number", Value: "1024", Hint: "0 is the most urgent; below 1024 counts as urgent"}}
	}
	return q, nil
}

// tally counts the jobs that a deed is about, and would be done to. Where their
// states say that, it takes no time.
func (c *call) tally(name string, a *aim, b manage.Bulk) (*manage.BulkResult, error) {
	if len(a.ids) > 0 || len(a.search.Contains) > 0 {
		return c.bulk(a, b)
	}
	jobs := c.manager.Status().Jobs
	if a.search.Tube != "" {
		s, err := c.manager.Tube(a.search.Tube)
		if err != nil {
			return nil, err
		}
		jobs = s.Jobs
	}
	r := &manage.BulkResult{Complete: true}
	for _, s := range jobStates {
		if a.search.States != 0 && !a.search.States.Has(s) {
			continue
		}
		r.Matched += jobs[s]
		if (s == queue.Reserved) != (name == "release") || name == "kick" && s == queue.Ready {
			r.Skipped += jobs[s]
		} else {
			r.Changed += jobs[s]
		}
	}
	return r, nil
}

// leftAlone says what a deed does not touch.
func leftAlone(name string, r *manage.BulkResult) string {
	s := ""
	if r.Skipped > 0 {
		they, are := "they", "are"
		if r.Skipped == 1 {
			they, are = "it", "is"
		}
		why := "reserved by a worker"
		switch name {
		case "kick":
			why = "ready already, or reserved by a worker"
		case "release":
			why = "not reserved"
		}
		s = fmt.Sprintf("%s left alone: %s %s %s, or gone.", countIs(r.Skipped), they, are, why)
	}
	if !r.Complete {
		s += " There are more than could be counted in time."
	}
	return strings.TrimSpace(s)
}

// bulk does it to those that were chosen, or to all that match.
func (c *call) bulk(a *aim, b manage.Bulk) (*manage.BulkResult, error) {
	if len(a.ids) > 0 {
		return c.manager.Chosen(c.r.Context(), a.ids, b)
	}
	return c.manager.Bulk(c.r.Context(), b)
}

// doJobs does a deed to jobs.
func (c *call) doJobs(name string) (string, error) {
	a, err := c.aimOf()
	if err != nil {
		return "", err
	}
	b := bulkOf(name)
	b.Search = a.search
	said := map[string]string{"delete": "deleted", "kick": "kicked", "release": "released"}[name]
	switch name {
	case "move":
		to := strings.TrimSpace(c.r.PostForm.Get("to"))
		if err := checkTube(to); err != nil {
			return "", err
		}
		b.Change.Tube = &to
		said = "moved to " + to
	case "change":
		pri, err := readPri(c.r.PostForm.Get("pri"))
		if err != nil {
			return "", err
		}
		b.Change.Pri = &pri
		said = fmt.Sprintf("given the priority %d", pri)
	}
	r, err := c.bulk(&a, b)
	if err != nil {
		return "", err
	}
	s := fmt.Sprintf("%s %s.", count(r.Changed, "job"), said)
	if r.Skipped > 0 {
		s += fmt.Sprintf(" %s left alone.", countIs(r.Skipped))
	}
	if !r.Complete {
		s += " That is not all of them: do it again to go on."
	}
	return s, nil
}
