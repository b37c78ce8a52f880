package console

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"
	"unicode/utf8"

	"spoked/internal/manage"
	"spoked/queue"
)

// jobPage is the page of one job.
type jobPage struct {
	manage.Listed
	Now      int64
	Holder   *holder // of a reserved job
	Timeline []moment
	Body     bodyView
	Actions  []action
	Rights   Rights
	Here     string
	Gone     bool
}

func (p jobPage) title() string { return fmt.Sprintf("Job %d", p.ID) }

// holder is who has a job.
type holder struct {
	ID        uint64 // of the connection; 0 if it is none
	Remote    string
	Lease     bool // over HTTP
	Since, At int64
}

// moment is something that has happened to a job, or is going to.
type moment struct {
	At    int64 // instant; 0 if it is not known
	Kind  string
	Text  string
	Later bool
}

// bodyView is a body in one of the ways to look at it.
type bodyView struct {
	View      string // text, json or hex
	Views     []viewLink
	Text      string
	Size      uint32
	Truncated bool // Text is its beginning
	Missing   string
}

type viewLink struct {
	Name, Label string
	Path        string
}

// mostBody is how many bytes of a body a page shows.
const mostBody = 64 << 10

// jobOf returns the page of the job that an address names, without its body.
func (c *call) jobOf(most int) (jobPage, error) {
	id, err := strconv.ParseUint(c.r.PathValue("id"), 10, 64)
	if err != nil {
		return jobPage{}, errNoPage
	}
	p := jobPage{Rights: c.rights, Here: fmt.Sprintf("/job/%d", id)}
	l, err := c.manager.Job(c.r.Context(), id, most)
	if err != nil {
		return p, err
	}
	p.Listed = *l
	c.server.View(func(e *queue.Engine, now int64) {
		p.Now = now
		// The owner may have left since, and somebody else have it.
		s, err := e.JobStats(now, id)
		if p.Gone = err != nil; p.Gone {
			return
		}
		if p.JobStats = s; s.Owner != nil {
			p.Holder = c.holderOf(s.Owner)
			p.Holder.Since, p.Holder.At = s.Since, s.At
		}
	})
	if p.Gone {
		return p, queue.ErrNotFound
	}
	if err := c.manager.Settle(c.r.Context()); err != nil {
		return p, err
	}
	p.Timeline = timelineOf(&p)
	p.Actions = actionsFor(p.State.String())
	return p, nil
}

// holderOf tells who a client is. The server's mutex is held.
func (c *call) holderOf(k *queue.Client) *holder {
	h := &holder{Lease: true}
	if id := c.h.opts.Session(k.Data); id != 0 {
		h.ID, h.Remote, h.Lease = id, c.h.opts.Remote(k.Data), false
	}
	return h
}

func (c *call) job() (any, error) {
	p, err := c.jobOf(mostBody)
	if err != nil {
		if explain(err) != nil && explain(err).status == http.StatusNotFound {
			return nil, &complaint{http.StatusNotFound, "No such job",
				"There is no job with this id. It has been done and deleted, or has never been there: ids begin at 1, and are never given twice."}
		}
		return nil, err
	}
	p.Body = viewOf(p.Listed, c.r.URL.Query().Get("view"), p.Here)
	p.Listed.Body = nil
	return p, nil
}

// timelineOf returns what is known to have happened to a job, in order.
func timelineOf(p *jobPage) []moment {
	s := &p.JobStats
	list := []moment{{At: s.Created, Kind: "put", Text: "Put into " + s.Tube + "."}}
	if s.Delay > 0 && s.Releases == 0 && s.State != queue.Delayed {
		list = append(list, moment{At: s.Created + int64(s.Delay), Kind: "ready", Text: "Ready, after a delay of " + duration(s.Delay) + "."})
	}
	times := func(n uint32, kind, format string) {
		if n > 0 {
			list = append(list, moment{Kind: kind, Text: fmt.Sprintf(format, howOften(n))})
		}
	}
	if s.State == queue.Reserved {
		times(s.Reserves-1, "reserved", "Reserved %s before.")
	} else {
		times(s.Reserves, "reserved", "Reserved %s.")
	}
	times(s.Timeouts, "timeouts", "Not done in its time to run %s, and ready again.")
	times(s.Releases, "ready", "Released %s.")
	times(s.Buries, "buried", "Buried %s.")
	times(s.Kicks, "ready", "Kicked %s.")
	switch s.State {
	case queue.Ready:
		list = append(list, moment{Kind: "ready", Text: "Now it is ready, and waits for a worker."})
	case queue.Delayed:
		list = append(list, moment{At: s.At, Kind: "delayed", Later: true, Text: "Ready in " + duration(s.TimeLeft) + "."})
	case queue.Reserved:
		list = append(list,
			moment{At: s.Since, Kind: "reserved", Text: "Reserved " + whoHas(p.Holder) + "."},
			moment{At: s.At, Kind: "timeouts", Later: true, Text: "Ready again in " + duration(s.TimeLeft) + ", unless it is done or touched."})
	case queue.Buried:
		list = append(list, moment{Kind: "buried", Text: "Now it is buried, and stays until somebody kicks or deletes it."})
	}
	return list
}

func howOften(n uint32) string {
	switch n {
	case 1:
		return "once"
	case 2:
		return "twice"
	}
	return number(n) + " times"
}

func whoHas(h *holder) string {
	switch {
	case h == nil:
		return "by somebody"
	case h.Lease:
		return "over HTTP, under a lease"
	case h.Remote == "":
		return fmt.Sprintf("by connection %d", h.ID)
	}
	return "by " + h.Remote
}

// viewOf returns a body in the way that was asked for, or the best for it.
func viewOf(j manage.Listed, view, path string) bodyView {
	v := bodyView{View: view, Size: j.Size, Truncated: int(j.Size) > len(j.Body)}
	for _, k := range [...]viewLink{{Name: "text", Label: "Text"}, {Name: "json", Label: "JSON"}, {Name: "hex", Label: "Hex"}} {
		k.Path = query(path, "view", k.Name)
		v.Views = append(v.Views, k)
	}
	var pretty bytes.Buffer
	isJSON := !v.Truncated && len(bytes.TrimSpace(j.Body)) > 0 && json.Indent(&pretty, bytes.TrimSpace(j.Body), "", "  ") == nil
	_, binary := preview(j.Body[:min(len(j.Body), previewBytes)])
	if v.View != "text" && v.View != "json" && v.View != "hex" {
		switch {
		case isJSON && (pretty.Bytes()[0] == '{' || pretty.Bytes()[0] == '['):
			v.View = "json"
		case binary:
			v.View = "hex"
		default:
			v.View = "text"
		}
	}
	switch v.View {
	case "json":
		if isJSON {
			v.Text = pretty.String()
		} else if v.Truncated {
			v.Missing = "The body is too long to be shown as JSON here. Download it."
		} else {
			v.Missing = "The body is not JSON."
		}
	case "hex":
		const most = 16 << 10
		v.Truncated = v.Truncated || len(j.Body) > most
		v.Text = hex.Dump(j.Body[:min(len(j.Body), most)])
	default:
		v.Text = readable(j.Body)
	}
	if j.Size == 0 {
		v.Missing = "The body is empty."
	}
	return v
}

// readable returns bytes as text in which what cannot be seen has a mark.
func readable(b []byte) string {
	out := make([]rune, 0, len(b))
	for len(b) > 0 {
		r, n := utf8.DecodeRune(b)
		switch {
		case r == utf8.RuneError && n == 1:
			r = '�'
		case r < ' ' && r != '\n' && r != '\t' && r != '\r':
			r += 0x2400 // the picture of the control character
		case r == 0x7f:
			r = 0x2421
		case r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069:
			r = '�' // it would have what follows be read in another direction
		}
		out = append(out, r)
		b = b[n:]
	}
	return string(out)
}

// body answers with the body of a job, to be kept in a file.
func (c *call) body() error {
	id, err := strconv.ParseUint(c.r.PathValue("id"), 10, 64)
	if err != nil {
		return errNoPage
	}
	j, err := c.manager.Job(c.r.Context(), id, 1<<31-1)
	if err != nil {
		return err
	}
	header := c.w.Header()
	header.Set("Content-Type", "application/octet-stream")
	header.Set("Content-Disposition", fmt.Sprintf(`attachment; filename="job-%d"`, id))
	header.Set("Content-Security-Policy", "default-src 'none'; sandbox")
	header.Set("Content-Length", strconv.Itoa(len(j.Body)))
	_, _ = c.w.Write(j.Body)
	return nil
}

// putPage is the form that puts a job.
type putPage struct {
	Tube, Pri, Delay, TTR string
	Body                  string
	Wrong                 string
	Most                  uint32
	Tubes                 []string
	Draining              bool
	Rights                Rights
}

func (c *call) putForm() (any, error) {
	q := c.r.URL.Query()
	p := putPage{Tube: q.Get("tube"), Pri: "1024", Delay: "0s", TTR: "60s", Most: c.h.maxJob.Load(), Rights: c.rights}
	if p.Tube == "" {
		p.Tube = "default"
	}
	now := c.h.opts.History.Now()
	p.Draining = now.Draining
	p.Tubes = someTubes(now.Tubes)
	return p, nil
}

// put puts a job, and goes on to its page.
func (c *call) put() error {
	form, err := c.putForm()
	if err != nil {
		return err
	}
	p := form.(putPage)
	const around = 64 << 10                                               // bytes of what is not the body
	c.r.Body = http.MaxBytesReader(c.w, c.r.Body, int64(p.Most)*3+around) // each byte may take three
	if err := c.r.ParseMultipartForm(int64(p.Most) + around); err != nil && err != http.ErrNotMultipart {
		return asComplaint(err)
	}
	p.Tube, p.Pri, p.Delay, p.TTR = c.r.FormValue("tube"), c.r.FormValue("pri"), c.r.FormValue("delay"), c.r.FormValue("ttr")
	p.Body = c.r.FormValue("body")
	j, err := c.readJob(&p)
	if err == nil {
		var id uint64
		if id, err = c.manager.Put(c.r.Context(), j); err == nil {
			note(c.w, fmt.Sprintf("Job %d is put into %s.", id, j.Tube))
			http.Redirect(c.w, c.r, fmt.Sprintf("/job/%d", id), http.StatusSeeOther)
			return nil
		}
	}
	e := explain(err)
	if e == nil {
		return err
	}
	p.Wrong = e.text
	return c.page(e.status, "put", p)
}

// readJob returns the job that a form is about.
func (c *call) readJob(p *putPage) (*manage.NewJob, error) {
	j := &manage.NewJob{Tube: p.Tube, Body: []byte(p.Body)}
	if err := checkTube(j.Tube); err != nil {
		return nil, err
	}
	// A form has its lines end in CR LF, which nobody has typed.
	j.Body = bytes.ReplaceAll(j.Body, []byte("\r\n"), []byte("\n"))
	if f, head, err := c.r.FormFile("file"); err == nil {
		defer f.Close()
		if head.Size > 0 {
			var b bytes.Buffer
			if _, err := b.ReadFrom(f); err != nil {
				return nil, err
			}
			j.Body = b.Bytes()
		}
	}
	if uint32(len(j.Body)) > p.Most {
		return nil, wrong("The body has %s bytes, and a job has %s at most.", number(len(j.Body)), number(p.Most))
	}
	pri, err := readPri(p.Pri)
	if err != nil {
		return nil, err
	}
	j.Pri = pri
	if j.Delay, err = readDuration("delay", p.Delay); err != nil {
		return nil, err
	}
	if j.TTR, err = readDuration("time to run", p.TTR); err != nil {
		return nil, err
	}
	j.TTR = max(j.TTR, time.Second)
	return j, nil
}
