package httpapi

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"math"
	"net/http"
	"slices"
	"time"

	"spoked/internal/api"
	"spoked/internal/manage"
	"spoked/queue"
)

// A portion of lines is done at once: so many, or bodies with so many bytes.
const (
	portionLines = 256
	portionBytes = 256 << 10
	keptErrors   = 100 // of an import
)

// lines reads the lines of a request of any length, each of which may have most
// bytes, with little more memory than one of them.
type lines struct {
	r    *bufio.Reader
	most int
	n    int // lines read
	line []byte
}

// errLong is a line that has too many bytes.
var errLong = errors.New("httpapi: line too long")

// next returns the next line that is not empty; it is borrowed. The error is
// io.EOF after the last, and errLong for one that was skipped.
func (l *lines) next() ([]byte, error) {
	for {
		line, err := l.read()
		if err == nil || errors.Is(err, errLong) || len(line) > 0 && errors.Is(err, io.EOF) {
			l.n++
		}
		line = bytes.TrimSpace(line)
		switch {
		case len(line) > 0 && (err == nil || errors.Is(err, io.EOF)):
			return line, nil
		case err != nil:
			return nil, err
		}
	}
}

func (l *lines) read() ([]byte, error) {
	l.line = l.line[:0]
	long := false
	for {
		part, err := l.r.ReadSlice('\n')
		if long = long || len(l.line)+len(part) > l.most; !long {
			l.line = append(l.line, part...)
		}
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case long && (err == nil || errors.Is(err, io.EOF)):
			return nil, errLong
		}
		return l.line, err
	}
}

// idle reports whether there is no further line to be had without waiting.
func (l *lines) idle() bool {
	b, _ := l.r.Peek(l.r.Buffered()) // never fails
	return bytes.IndexByte(b, '\n') < 0
}

// endless reads a request of any length, the next piece of which may be long in
// coming.
type endless struct{ c *call }

// Read reads.
func (e endless) Read(b []byte) (int, error) {
	_ = http.NewResponseController(e.c.w).SetReadDeadline(time.Now().Add(streamPatience * e.c.h.opts.Patience))
	return e.c.r.Body.Read(b)
}

// streamPatience is how many times as long the next piece of a stream may take
// as that of a single request.
const streamPatience = 10

// lines begins to read a request that is NDJSON.
func (c *call) lines() (*lines, error) {
	t, err := c.mediaType()
	if err != nil {
		return nil, err
	}
	if !slices.Contains([]string{api.NDJSON, "application/ndjson", "application/jsonl"}, t) {
		return nil, problem(api.UnsupportedType, "the request's type is %.100q, and must be %s", t, api.NDJSON)
	}
	most := 2*int(c.h.maxJob.Load()) + maxSmall
	return &lines{r: bufio.NewReaderSize(endless{c}, portionBytes), most: most}, nil
}

// problemOf returns the problem of one line.
func (c *call) problemOf(err error, what string) *api.Error {
	if errors.Is(err, errLong) {
		return problem(api.TooLarge, "the line may have %d bytes, and has more", 2*int(c.h.maxJob.Load())+maxSmall)
	}
	if p := explain(err, what); p != nil {
		return p
	}
	return problem(api.Stopping, "the server is stopping")
}

// putMany puts a job for each line, and answers with a line for each, as soon as
// the journal has it.
func (c *call) putMany() error {
	p := c.params()
	tube := p.text("tube")
	if tube != "" {
		p.fail(checkTube("tube", tube))
	}
	if err := p.end(); err != nil {
		return err
	}
	if err := c.accepts(api.NDJSON); err != nil {
		return err
	}
	in, err := c.lines()
	if err != nil {
		return err
	}
	leave, err := c.stream()
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
		var j *manage.NewJob
		if err == nil {
			j, err = c.jobFrom(line, tube, true)
		}
		batch.add(in.n, j, err)
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

// putBatch is a portion of lines, each of which is a job or an error.
type putBatch struct {
	lines []int
	jobs  []*manage.NewJob // nil if there is none
	errs  []error
	bytes int
}

func (b *putBatch) add(line int, j *manage.NewJob, err error) {
	b.lines, b.jobs, b.errs = append(b.lines, line), append(b.jobs, j), append(b.errs, err)
	if j != nil {
		b.bytes += len(j.Body)
	}
}

func (b *putBatch) full() bool { return len(b.lines) >= portionLines || b.bytes >= portionBytes }

// flushPuts puts the jobs of a portion, which is empty then, and writes what came
// of each line.
func (c *call) flushPuts(b *putBatch, out *bufio.Writer) {
	var jobs []*manage.NewJob
	for _, j := range b.jobs {
		if j != nil {
			jobs = append(jobs, j)
		}
	}
	ids, errs := make([]uint64, len(jobs)), make([]error, len(jobs))
	if len(jobs) > 0 {
		if err := c.m.PutMany(c.r.Context(), jobs, ids, errs); err != nil {
			c.abort()
		}
	}
	c.h.writeWithin(c.w, 0)
	n := 0
	for i, line := range b.lines {
		r := api.PutResult{Line: line}
		err := b.errs[i]
		if b.jobs[i] != nil {
			if err = errs[n]; err == nil {
				r.ID = ids[n]
			}
			n++
		}
		if err != nil {
			r.Error = c.problemOf(err, "the tube")
		}
		_, _ = out.Write(encode(r))
	}
	if out.Flush() != nil || http.NewResponseController(c.w).Flush() != nil {
		c.abort()
	}
	*b = putBatch{lines: b.lines[:0], jobs: b.jobs[:0], errs: b.errs[:0]}
}

// export answers with all jobs that there are when it begins, in a line each.
func (c *call) export() error {
	p := c.params()
	s := manage.Search{Tube: p.text("tube"), States: p.states("state", 0), Bytes: math.MaxInt}
	if s.Tube != "" {
		p.fail(checkTube("tube", s.Tube))
	}
	if err := p.end(); err != nil {
		return err
	}
	if err := c.accepts(api.NDJSON); err != nil {
		return err
	}
	leave, err := c.stream()
	if err != nil {
		return err
	}
	defer leave()
	c.w.Header().Set("Content-Type", api.NDJSON)
	c.h.writeWithin(c.w, 0)
	if c.r.Method == http.MethodHead {
		return nil
	}
	out := bufio.NewWriterSize(c.w, 256<<10)
	err = c.m.Each(c.r.Context(), s, func(l *manage.Listed) error {
		if len(l.Body) < int(l.Size) {
			return manage.ErrStopping // a body that cannot be read: the log says so
		}
		c.h.writeWithin(c.w, len(l.Body)>>16)
		_, err := out.Write(encode(exportOf(l)))
		return err
	})
	if err != nil || out.Flush() != nil {
		c.abort() // so that nobody takes it for whole
	}
	return nil
}

func exportOf(l *manage.Listed) api.Export {
	v := api.Export{
		ID: l.ID, Tube: l.Tube, State: l.State.String(), Pri: l.Pri, Created: instant(l.Created),
		Delay: api.Duration(l.Delay), TTR: api.Duration(l.TTR),
		Reserves: l.Reserves, Timeouts: l.Timeouts, Releases: l.Releases, Buries: l.Buries, Kicks: l.Kicks,
		Content: api.Bytes(l.Body),
	}
	if l.State == queue.Delayed {
		v.DelayLeft = api.Duration(max(0, l.TimeLeft))
	}
	return v
}

// importJobs makes a job of each line, and answers when it has come to the end.
func (c *call) importJobs() error {
	p := c.params()
	tube := p.text("tube")
	if tube != "" {
		p.fail(checkTube("tube", tube))
	}
	if err := p.end(); err != nil {
		return err
	}
	if err := c.accepts(api.JSON); err != nil {
		return err
	}
	in, err := c.lines()
	if err != nil {
		return err
	}
	leave, err := c.stream()
	if err != nil {
		return err
	}
	defer leave()
	var result api.Imported
	batch := &importBatch{}
	for {
		line, err := in.next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil && !errors.Is(err, errLong) {
			c.w.Header().Set("Connection", "close")
			return problem(api.BadRequest, "the request has ended early; %d jobs have been imported", result.Imported)
		}
		var j *queue.Imported
		if err == nil {
			j, err = c.importFrom(line, tube)
		}
		if err != nil {
			addError(&result, in.n, c.problemOf(err, ""))
			continue
		}
		batch.add(in.n, j)
		if batch.full() {
			if err := c.flushImport(batch, &result); err != nil {
				return err
			}
		}
	}
	if err := c.flushImport(batch, &result); err != nil {
		return err
	}
	return c.ok(result)
}

type importBatch struct {
	lines []int
	jobs  []*queue.Imported
	bytes int
}

func (b *importBatch) add(line int, j *queue.Imported) {
	b.lines, b.jobs, b.bytes = append(b.lines, line), append(b.jobs, j), b.bytes+len(j.Body)
}

func (b *importBatch) full() bool { return len(b.lines) >= portionLines || b.bytes >= portionBytes }

func (c *call) flushImport(b *importBatch, result *api.Imported) error {
	if len(b.jobs) == 0 {
		return nil
	}
	ids, errs := make([]uint64, len(b.jobs)), make([]error, len(b.jobs))
	if err := c.m.Import(c.r.Context(), b.jobs, ids, errs); err != nil {
		return err
	}
	for i, err := range errs {
		if err != nil {
			addError(result, b.lines[i], c.problemOf(err, ""))
		} else {
			result.Imported++
		}
	}
	*b = importBatch{lines: b.lines[:0], jobs: b.jobs[:0]}
	return nil
}

// importFrom returns the job that a line of an export describes; tube, unless it
// is "", is where it goes.
func (c *call) importFrom(line []byte, tube string) (*queue.Imported, error) {
	v := api.Export{Pri: api.DefaultPri, TTR: api.DefaultTTR} // of a line that was written by hand
	if err := decode(line, &v); err != nil {
		return nil, err
	}
	if tube != "" {
		v.Tube = tube
	}
	if err := checkTube("tube", v.Tube); err != nil {
		return nil, err
	}
	state, ok := stateOf(v.State)
	if !ok {
		return nil, about("state", api.BadValue, "%.40q is no state; states are ready, delayed, reserved and buried", v.State)
	}
	if err := checkTimes(v.Delay, v.TTR); err != nil {
		return nil, err
	}
	if err := checkSeconds("delay_left", v.DelayLeft); err != nil {
		return nil, err
	}
	body, err := bytesOf(v.Content)
	if err != nil {
		return nil, err
	}
	if len(body) > int(c.h.maxJob.Load()) {
		return nil, problem(api.TooLarge, "the job has %d bytes, and may have %d", len(body), c.h.maxJob.Load())
	}
	if state == queue.Delayed && v.DelayLeft == 0 {
		v.DelayLeft = v.Delay
	}
	now := time.Now()
	if state == queue.Reserved {
		state = queue.Ready
	}
	if v.Created.IsZero() || v.Created.After(now) {
		v.Created = now
	}
	if v.Created.Year() < 1970 {
		return nil, about("created", api.BadValue, "the job is older than any can be")
	}
	return &queue.Imported{
		Tube: v.Tube, State: state, Pri: v.Pri, Delay: time.Duration(v.Delay), TTR: time.Duration(v.TTR),
		Created: v.Created.UnixNano(), At: now.UnixNano() + int64(v.DelayLeft), Body: body,
		Reserves: v.Reserves, Timeouts: v.Timeouts, Releases: v.Releases, Buries: v.Buries, Kicks: v.Kicks,
	}, nil
}

// addError adds that a line has failed.
func addError(r *api.Imported, line int, p *api.Error) {
	if r.Failed++; len(r.Errors) < keptErrors {
		r.Errors = append(r.Errors, api.PutResult{Line: line, Error: p})
	}
}
