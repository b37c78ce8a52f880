package console

import (
	"bytes"
	"errors"
	"net/http"
	"strings"
	"sync"
	"time"

	"spoked/internal/history"
	"spoked/queue"
)

// A live part of a page is a template with "-live" behind the page's name. Its
// stream sends it again when there is a new sample, if it is not the same as
// before. All who look at the same, with the same rights, share what is rendered.

// frames are the live parts that somebody looks at, by their addresses.
type frames struct {
	mu       sync.Mutex
	of       map[string]*frame
	watchers int // of all
}

// mostStreams is how many streams there are at a time.
const mostStreams = 1000

// errTooMany says that there are as many streams as there may be.
var errTooMany = errors.New("console: too many pages are open")

// frame is a live part.
type frame struct {
	watchers int // under frames.mu

	mu   sync.Mutex // held while it is rendered
	made *history.Snapshot
	html []byte
}

func (f *frames) open() { f.of = map[string]*frame{} }

// watch returns the part of an address, nil if too many look already. Otherwise
// leave must follow.
func (f *frames) watch(key string) *frame {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.watchers == mostStreams {
		return nil
	}
	f.watchers++
	k := f.of[key]
	if k == nil {
		k = &frame{}
		f.of[key] = k
	}
	k.watchers++
	return k
}

func (f *frames) leave(key string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.watchers--
	if k := f.of[key]; k.watchers == 1 {
		delete(f.of, key)
	} else {
		k.watchers--
	}
}

// get returns the part as of the newest sample.
func (f *frame) get(now *history.Snapshot, render func() ([]byte, error)) ([]byte, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.made != now {
		html, err := render()
		if err != nil {
			return nil, err // it may be that who has asked for it has gone
		}
		f.html, f.made = html, now
	}
	return f.html, nil
}

// livePart returns what renders the data of a page's live part, and after how many
// samples it does so again.
func livePart(name string) (f func(*call) (any, error), every int, ok bool) {
	switch name {
	case "overview":
		return (*call).overview, 1, true
	case "tubes":
		return (*call).tubes, 2, true
	case "tube":
		return (*call).tubeLive, 1, true
	case "job":
		return (*call).jobLive, 1, true
	case "workers":
		return (*call).workers, 2, true
	case "journal":
		return (*call).journal, 2, true
	}
	return nil, 0, false
}

// jobLive is the page of a job without the body, which does not change.
func (c *call) jobLive() (any, error) {
	c.r.SetPathValue("id", c.r.URL.Query().Get("id"))
	p, err := c.jobOf(-1)
	if errors.Is(err, queue.ErrNotFound) {
		return jobPage{Gone: true}, nil
	}
	return p, err
}

// heartbeat is how often a stream says something, so that it is known to be there.
const heartbeat = 15 * time.Second

// live answers with the stream of a page.
func (c *call) live() error {
	name := c.r.PathValue("page")
	data, every, ok := livePart(name)
	if !ok {
		return errNoPage
	}
	if name == "tube" {
		defer c.h.opts.History.Want(c.r.URL.Query().Get("name"))()
	}
	key := c.r.URL.RequestURI() + "\x00" + boolKey(c.rights.Put) + boolKey(c.rights.Change)
	f := c.h.frames.watch(key)
	if f == nil {
		return errTooMany
	}
	defer c.h.frames.leave(key)

	header := c.w.Header()
	header.Set("Content-Type", "text/event-stream")
	header.Set("X-Accel-Buffering", "no") // a proxy is not to gather it
	control := http.NewResponseController(c.w)
	var sent []byte
	render := func() ([]byte, error) {
		v, err := data(c)
		if err != nil {
			return nil, err
		}
		return c.h.frameOf(name+"-live", v)
	}
	beat := time.NewTicker(heartbeat)
	defer beat.Stop()
	for {
		changed := c.h.opts.History.Changed()
		html, err := f.get(c.h.opts.History.Now(), render)
		if err != nil && sent == nil {
			return err
		}
		if _, ok, tokens := c.h.who(c.r); err != nil || tokens && !ok {
			return nil // the page asks again, and is told
		}
		if !bytes.Equal(html, sent) {
			if err := send(c.w, control, event(html)); err != nil {
				return nil // nobody is there any more
			}
			sent = html
		}
		for n := 0; n < every; {
			select {
			case <-changed:
				n++
				changed = c.h.opts.History.Changed()
			case <-beat.C:
				if err := send(c.w, control, []byte(":\n\n")); err != nil {
					return nil
				}
			case <-c.manager.Stopping():
				return nil
			case <-c.r.Context().Done():
				return nil
			}
		}
	}
}

func boolKey(b bool) string {
	if b {
		return "1"
	}
	return "0"
}

// sendPatience is how long somebody may take to take what is sent.
const sendPatience = 20 * time.Second

func send(w http.ResponseWriter, control *http.ResponseController, b []byte) error {
	_ = control.SetWriteDeadline(time.Now().Add(sendPatience))
	if _, err := w.Write(b); err != nil {
		return err
	}
	return control.Flush()
}

// event returns HTML as an event of a stream.
func event(html []byte) []byte {
	var b strings.Builder
	b.Grow(len(html) + len(html)/16)
	for line := range bytes.Lines(html) {
		if line = bytes.TrimSpace(line); len(line) > 0 {
			b.WriteString("data: ")
			b.Write(line)
			b.WriteByte('\n')
		}
	}
	b.WriteByte('\n')
	return []byte(b.String())
}
