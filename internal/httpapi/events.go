package httpapi

import (
	"bytes"
	"context"
	"errors"
	"math"
	"net/http"
	"strconv"
	"time"

	"spoked/internal/api"
	"spoked/internal/manage"
)

const (
	eventBatch   = 256 // events that are written at a time
	maxInterests = 100 // tubes, and kinds
)

// events answers with what happens, as it happens, until the client hangs up.
func (c *call) events() error {
	p := c.params()
	in := manage.Interest{Tubes: p.list("tube"), Kinds: p.list("kind"), After: p.number("after", 0, 1, math.MaxUint64-1)}
	for name, values := range map[string][]string{"tube": in.Tubes, "kind": in.Kinds} {
		if len(values) > maxInterests {
			p.fail(about(name, api.BadValue, "the parameter %s is there %d times, and may be there %d times", name, len(values), maxInterests))
		}
	}
	for _, t := range in.Tubes {
		p.fail(checkTube("tube", t))
	}
	for _, k := range in.Kinds {
		if !manage.CheckKind(k) {
			p.fail(about("kind", api.BadValue, "%.40q is no kind of event; kinds are such as job.put, job.* and tube.paused", k))
		}
	}
	if err := p.end(); err != nil {
		return err
	}
	if err := c.accepts(api.SSE); err != nil {
		return err
	}
	if id := c.r.Header.Get("Last-Event-ID"); id != "" {
		n, err := strconv.ParseUint(id, 10, 64)
		if err != nil || n == math.MaxUint64 {
			return about("Last-Event-ID", api.BadValue, "the Last-Event-ID is %.40q, and must be the id of an event", id)
		}
		in.After = n
	}
	if c.r.Method == http.MethodHead {
		c.w.Header().Set("Content-Type", api.SSE)
		return nil
	}
	l, err := c.m.Listen(in)
	if errors.Is(err, manage.ErrTooMany) {
		return problem(api.TooManyRequests, "%d clients listen to events already, as many as may", manage.MostListeners)
	}
	if err != nil {
		return err
	}
	defer l.Close()
	c.w.Header().Set("Content-Type", api.SSE)
	c.listen(l)
	return nil
}

// listen writes what l hears, as long as the client may know of it.
func (c *call) listen(l *manage.Listener) {
	control := http.NewResponseController(c.w)
	var out bytes.Buffer
	out.WriteString("retry: 2000\n\n")
	events := make([]manage.Event, 0, eventBatch)
	var tokens *Tokens // that the client's was found in
	for {
		if t := c.h.tokens.Load(); t != tokens {
			if _, err := c.h.authorize(c.w, c.r, Read); err != nil {
				return // it may not listen any more
			}
			tokens = t
		}
		c.h.writeWithin(c.w, 0)
		if _, err := c.w.Write(out.Bytes()); err != nil || control.Flush() != nil {
			return
		}
		out.Reset()
		ctx, cancel := context.WithTimeout(c.r.Context(), c.h.opts.Heartbeat)
		var dropped uint64
		var err error
		events, dropped, err = l.Next(ctx, c.m, events[:0])
		cancel()
		switch {
		case err == nil:
		case errors.Is(err, context.DeadlineExceeded) && c.r.Context().Err() == nil:
			out.WriteString(": nothing new\n\n")
		default:
			return // nobody listens, or the server stops
		}
		// Nobody hears of what a power cut could undo.
		if err == nil && l.Settle(c.r.Context(), c.m) != nil {
			return
		}
		if dropped > 0 {
			v := api.Event{Event: api.Dropped, At: time.Now().UTC()}
			if dropped != manage.Unknown {
				v.Count = dropped
			}
			writeEvent(&out, v)
		}
		for i := range events {
			writeEvent(&out, eventOf(&events[i]))
		}
	}
}

func eventOf(v *manage.Event) api.Event {
	e := api.Event{
		Seq: v.Seq, Event: v.Kind.String(), At: instant(v.At), ID: v.ID, Tube: v.Tube,
		Pri: v.Pri, Delay: api.Duration(v.Delay), TTR: api.Duration(v.TTR),
	}
	if v.ID != 0 {
		e.State = v.State.String()
	}
	return e
}

// writeEvent writes an event as server-sent events are; its data is one line.
func writeEvent(out *bytes.Buffer, e api.Event) {
	if e.Seq != 0 {
		out.WriteString("id: ")
		out.WriteString(strconv.FormatUint(e.Seq, 10))
		out.WriteByte('\n')
	}
	out.WriteString("event: ")
	out.WriteString(e.Event)
	out.WriteString("\ndata: ")
	out.Write(encode(e)) // ends with a newline
	out.WriteByte('\n')
}
