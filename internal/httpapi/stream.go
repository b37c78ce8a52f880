package httpapi

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"math"
	"net/http"
	"slices"
	"sync"
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
	// begin is called before a line is read; nil for nothing.
	begin func()
}

// errLong is a line that has too many bytes.
var errLong = errors.New("httpapi: line too long")

// next returns the next line that is not empty; it is borrowed. The error is
// io.EOF after the last, and errLong for one that was skipped.
func (l *lines) next() ([]byte, error) {
	if l.begin != nil {
		l.begin()
	}
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

// endless reads a request of any length. Each of its lines has to arrive at some
// rate, as a request that is not a stream, but may be longer in coming.
type endless struct {
	c    *call
	read int64 // bytes of a line
	from time.Time
	stop chan struct{} // nobody reads any more
	done sync.WaitGroup
}

// streamPatience is how many times as long the next line of a stream may take
// as a single request.
const streamPatience = 2

// Read reads. When the server stops, the error is manage.ErrStopping.
func (e *endless) Read(b []byte) (int, error) {
	const slowest = 16 << 10 // bytes in a second
	until := e.from.Add(streamPatience*e.c.h.opts.Patience + time.Duration(e.read/slowest)*time.Second)
	_ = http.NewResponseController(e.c.w).SetReadDeadline(until)
	if e.stopping() { // looked at when the deadline is set: it may have been set back
		return 0, manage.ErrStopping
	}
	n, err := e.c.r.Body.Read(b)
	e.read += int64(n)
	if err != nil && !errors.Is(err, io.EOF) && e.stopping() {
		err = manage.ErrStopping
	}
	return n, err
}

// begin has the time of a line begin.
func (e *endless) begin() { e.read, e.from = 0, time.Now() }

func (e *endless) stopping() bool {
	select {
	case <-e.c.m.Stopping():
		return true
	default:
		return false
	}
}

// watch ends what is being read when the server stops.
func (e *endless) watch() {
	e.done.Go(func() {
		select {
		case <-e.c.m.Stopping():
			_ = http.NewResponseController(e.c.w).SetReadDeadline(time.Now())
		case <-e.stop:
		}
	})
}

// lines begins to read a request that is NDJSON. Leave must be called when it has
// been read: it gives back one of the few places for such requests.
func (c *call) lines() (in *lines, leave func(), err error) {
	t, err := c.mediaType()
	if err != nil {
		return nil, nil, err
	}
	if !slices.Contains([]string{api.NDJSON, "application/ndjson", "application/jsonl"}, t) {
		return nil, nil, problem(api.UnsupportedType, "the request's type is %.100q, and must be %s", t, api.NDJSON)
	}
	free, err := enter(c.h.incoming, "puts of many and imports")
	if err != nil {
		return nil, nil, err
	}
	most := 2*int(c.h.maxJob.Load()) + maxSmall
	e := &endless{c: c, stop: make(chan struct{})}
	e.watch()
	leave = func() {
		close(e.stop)
		e.done.Wait()
		free()
	}
	return &lines{r: bufio.NewReaderSize(e, portionBytes), most: most, begin: e.begin}, leave, nil
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

// export answers with all jobs that there are when it begins, in a line each.
func (c *call) export() error {
	p := c.params()
	s := manage.Search{Tube: p.tube(), States: p.states("state", 0), Bytes: math.MaxInt}
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
	c.h.writeWithin(c.w, out.Buffered()>>16)
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
	tube := p.tube()
	if err := p.end(); err != nil {
		return err
	}
	if err := c.accepts(api.JSON); err != nil {
		return err
	}
	in, leave, err := c.lines()
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
			if !errors.Is(err, manage.ErrStopping) {
				err = problem(api.BadRequest, "the request has ended early, or a line was too long in coming")
			}
			return c.told(err, func(p *api.Error) { p.Imported = &result.Imported })
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
				return c.told(err, func(p *api.Error) { p.Imported = &result.Imported })
			}
		}
	}
	if err := c.flushImport(batch, &result); err != nil {
		return c.told(err, func(p *api.Error) { p.Imported = &result.Imported })
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
