package httpapi

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net/http"
	"time"

	"spoked/internal/api"
	"spoked/internal/manage"
)

// putMany puts a job for each line, and answers with a line for each, as soon as
// the journal has it.
func (c *call) putMany() error {
	p := c.params()
	tube := p.tube()
	if err := p.end(); err != nil {
		return err
	}
	if err := c.accepts(api.NDJSON); err != nil {
		return err
	}
	if c.r.Header.Get(api.IdempotencyKey) != "" {
		return about(api.IdempotencyKey, api.BadRequest, "this call has no header %s; each line can have a member idempotency_key", api.IdempotencyKey)
	}
	in, leave, err := c.lines()
	if err != nil {
		return err
	}
	defer leave()
	_ = http.NewResponseController(c.w).EnableFullDuplex() // HTTP/1.1 can; without it, answers come later
	c.w.Header().Set("Content-Type", api.NDJSON)
	out := bufio.NewWriterSize(c.w, 64<<10)
	batch := &putBatch{}
	for {
		line, err := in.next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil && !errors.Is(err, errLong) {
			c.abort() // what came before has been put, and the client knows of it
		}
		put := putLine{n: in.n, err: err}
		if err == nil {
			put.job, put.key, put.err = c.jobFrom(line, tube, true)
		}
		batch.add(put)
		if batch.full() || in.idle() {
			c.flushPuts(batch, out)
		}
	}
	c.flushPuts(batch, out)
	return nil
}

// abort ends the connection, so that the client sees that the answer is not
// whole.
func (c *call) abort() { panic(http.ErrAbortHandler) }

// A putLine is a line of a request that puts many.
type putLine struct {
	n     int
	job   *manage.NewJob // or
	err   error
	key   string   // "" is none
	put   *attempt // with the key, by whomever
	fresh bool     // by this request
	id    uint64
}

// putBatch is a portion of lines.
type putBatch struct {
	lines []putLine
	bytes int
}

func (b *putBatch) add(l putLine) {
	if l.err != nil {
		l.job = nil
	}
	b.lines = append(b.lines, l)
	if l.job != nil {
		b.bytes += len(l.job.Body)
	}
}

func (b *putBatch) full() bool { return len(b.lines) >= portionLines || b.bytes >= portionBytes }

// flushPuts puts the jobs of a portion, which is empty then, and writes what came
// of each line.
func (c *call) flushPuts(b *putBatch, out *bufio.Writer) {
	if err := c.putLines(b.lines); err != nil {
		c.abort()
	}
	c.h.writeWithin(c.w, 0)
	for i := range b.lines {
		l := &b.lines[i]
		r := api.PutResult{Line: l.n, ID: l.id}
		if l.err != nil {
			r.ID, r.Error = 0, c.problemOf(l.err, "the tube")
		} else {
			r.Replayed = l.put != nil && !l.fresh
		}
		_, _ = out.Write(encode(r))
	}
	if out.Flush() != nil || http.NewResponseController(c.w).Flush() != nil {
		c.abort()
	}
	clear(b.lines)
	*b = putBatch{lines: b.lines[:0]}
}

// putLines puts the jobs of lines, but those with keys with which that was done
// before, or is being done. Only when its own are done it waits for others'.
func (c *call) putLines(lines []putLine) error {
	ctx := c.r.Context()
	var own []*putLine
	err := error(http.ErrAbortHandler) // that of a panic
	defer func() {
		for _, l := range own {
			c.endLine(l, err)
		}
	}()
	for i := range lines {
		l := &lines[i]
		if l.job == nil {
			continue
		}
		if l.key != "" {
			if l.put, l.fresh, _, l.err = c.begin(l.key, l.job); l.err != nil || !l.fresh {
				continue
			}
			ctx = context.WithoutCancel(ctx)
		}
		own = append(own, l)
	}
	if len(own) > 0 {
		jobs, ids, errs := make([]*manage.NewJob, len(own)), make([]uint64, len(own)), make([]error, len(own))
		for i, l := range own {
			jobs[i] = l.job
		}
		if err = c.m.PutMany(ctx, jobs, ids, errs); err != nil {
			return err
		}
		for i, l := range own {
			l.id, l.err = ids[i], errs[i]
			c.endLine(l, l.err)
		}
		own = nil
	}
	for i := range lines {
		l := &lines[i]
		if l.put == nil || l.fresh {
			continue
		}
		if l.id, l.err = c.outcome(l.put); l.err != nil && c.r.Context().Err() != nil {
			return l.err
		}
	}
	return nil
}

// endLine ends the attempt that a line has begun, if it has.
func (c *call) endLine(l *putLine, err error) {
	if l.fresh {
		c.h.keys.end(l.put, l.id, err, time.Now())
	}
}
