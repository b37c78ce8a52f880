package bench

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strconv"
)

// client is one of the clients of a run.
type client struct {
	index int
	role  *role
	step  int // in role.steps; -1 in the setup
	state clientState

	due     int64 // ns: when the batch was to be sent
	opened  int64 // ns: when the connection was to be opened
	want    reply // which replies are in order
	pending int   // replies still to come
	skip    int   // bytes of a body still to come
	part    []byte
	own     []byte // holds a batch that is not the same for all
	deletes int    // commands in own that delete what has been reserved
	puts    int    // of the last batch
	tube    int    // stepUsePut: the next one, of tubes
	tubes   []string
}

type clientState uint8

const (
	closed clientState = iota
	connecting
	busy    // waits for replies
	waiting // waits for a job, in a reserve
	idle    // waits for its place in the schedule
	finished
)

// reply is a set of kinds of replies.
type reply uint16

const (
	inserted reply = 1 << iota
	reserved
	deleted
	using
	watching
	okBody
	refused // any reply that tells of a failure; the conversation goes on
)

// begin sends c's next batch, which was due at that instant.
func (r *run) begin(c *client, due int64) error {
	c.due = due
	c.state = busy
	c.pending = 1
	var out []byte
	switch c.role.steps[c.step] {
	case stepPut, stepUsePut:
		out = r.putBatch(c)
	case stepReserve:
		c.want, c.pending, c.deletes, c.own = reserved, c.puts, 0, c.own[:0]
		out = r.reserves[:c.pending*len(reserveNow)]
	case stepWait:
		c.want, c.deletes, c.own = reserved, 0, c.own[:0]
		c.state = waiting
		out = r.wait
	case stepDelete:
		c.want, c.pending = deleted, c.deletes
		out = c.own
	case stepDial:
		if c.step == 0 {
			r.jobsLeft-- // which is going to be put
		}
		c.state, c.opened = connecting, due
		r.busy++
		return r.tr.dial(c.index)
	case stepUse:
		c.want, out = using, r.use
	case stepWatch:
		c.want, out = watching, r.watch
	case stepIgnore:
		c.want, out = watching, r.ignore
	case stepList:
		c.want, out = okBody, r.list
	case stepQuit:
		c.want, out = 0, r.quit
	}
	if c.state == busy {
		r.busy++
	}
	return r.send(c, out)
}

// send sends p, which must not change until it has been sent.
func (r *run) send(c *client, p []byte) error {
	if err := r.tr.send(c.index, p); err != nil {
		return fmt.Errorf("connection %d: %w", c.index+1, &LostError{err})
	}
	return nil
}

// putBatch returns the puts that c is to send, and says how many replies they get.
func (r *run) putBatch(c *client) []byte {
	n := 1
	if c.role.pipeline {
		n = min(r.opts.Pipeline, r.jobsLeft)
	}
	if c.role.steps[0] != stepDial {
		r.jobsLeft -= n
	}
	c.want, c.pending, c.puts = inserted, n, n
	if r.puts != nil && c.tubes == nil {
		return r.puts[:n*len(r.puts)/r.opts.Pipeline]
	}
	b := c.own[:0]
	for range n {
		if c.tubes != nil {
			b = append(b, "use "...)
			b = append(b, c.tubes[c.tube]...)
			b = append(b, "\r\n"...)
			c.tube = (c.tube + 1) % len(c.tubes)
		}
		b = r.appendPut(b, c.due)
	}
	if c.tubes != nil {
		c.want, c.pending = inserted|using, 2*n
	}
	c.own = b
	return b
}

// appendPut appends a put that was due at that instant.
func (r *run) appendPut(b []byte, due int64) []byte {
	size, delay := r.opts.BodyMin, 0
	if d := r.opts.BodyMax - size; d > 0 {
		size += r.random.IntN(d + 1)
	}
	if r.scenario.delayed {
		delay = r.opts.DelayMin + r.random.IntN(r.opts.DelayMax-r.opts.DelayMin+1)
	}
	b = append(b, "put 1024 "...)
	b = strconv.AppendInt(b, int64(delay), 10)
	b = append(b, ttrAndSize...)
	b = strconv.AppendInt(b, int64(size), 10)
	b = append(b, "\r\n"...)
	body := len(b)
	b = append(b, r.filler[:size]...)
	if r.scenario.stamped {
		r.stamp(b[body:], due, delay)
	}
	return append(b, "\r\n"...)
}

// serve reads what has come for c, and has it go on.
func (r *run) serve(c *client) error {
	for c.state == busy || c.state == waiting {
		kept := copy(r.in, c.part)
		n, err := r.tr.read(c.index, r.in[kept:])
		if err != nil {
			if errors.Is(err, io.EOF) && c.state == busy && c.role.steps[max(c.step, 0)] == stepQuit {
				return r.hungUp(c)
			}
			return fmt.Errorf("connection %d: %w", c.index+1, lost(err))
		}
		if n > 0 {
			r.heard = r.now()
			before := c.pending
			if err := r.receive(c, r.in[:kept+n]); err != nil {
				return err
			}
			if k := before - c.pending; k > 0 {
				r.answered(c, k)
			}
		}
		if c.pending == 0 && c.skip == 0 {
			if r.tr.unsent(c.index) {
				return nil // an event will tell
			}
			return r.complete(c)
		}
		if kept+n < len(r.in) {
			return nil // an event will tell of more
		}
	}
	return nil
}

func lost(err error) error {
	if errors.Is(err, io.EOF) {
		err = errors.New("the server has closed it")
	}
	return &LostError{err}
}

// answered records that k replies have come.
func (r *run) answered(c *client, k int) {
	r.commands += k
	if c.state == busy && c.step >= 0 {
		record(r.latency, r.heard-c.due, k)
	}
}

// receive takes note of the replies in p, which is everything that has been read
// and not been dealt with.
func (r *run) receive(c *client, p []byte) error {
	c.part = c.part[:0]
	for {
		if c.skip > 0 {
			n := min(c.skip, len(p))
			c.skip -= n
			p = p[n:]
		}
		if len(p) == 0 {
			return nil
		}
		end := bytes.IndexByte(p, '\n')
		if end < 0 {
			if len(p) > maxLine {
				return fmt.Errorf("the server does not speak beanstalkd's protocol: %q", p[:64])
			}
			c.part = append(c.part, p...)
			return nil
		}
		line, rest := p[:end+1], p[end+1:]
		if c.pending == 0 {
			return fmt.Errorf("connection %d: a reply to nothing: %q", c.index+1, line)
		}
		enough, err := r.reply(c, line, rest)
		if err != nil {
			return err
		}
		if !enough {
			c.part = append(c.part, p...)
			return nil
		}
		c.pending--
		p = rest
	}
}

// maxLine is more than any line of a reply has.
const maxLine = 1024

// reply takes note of the first line of a reply. It reports whether there was
// enough behind it, which is its body.
func (r *run) reply(c *client, line, rest []byte) (enough bool, err error) {
	switch {
	case line[0] == 'I' && c.want&inserted != 0 && has(line, "INSERTED "):
		r.inserted++
		return true, nil
	case line[0] == 'D' && c.want&deleted != 0 && string(line) == "DELETED\r\n":
		r.deleted++
		return true, nil
	case line[0] == 'R' && c.want&reserved != 0 && has(line, "RESERVED "):
		return r.take(c, line, rest)
	case line[0] == 'U' && c.want&using != 0 && has(line, "USING "):
		return true, nil
	case line[0] == 'W' && c.want&watching != 0 && has(line, "WATCHING "):
		return true, nil
	case line[0] == 'O' && c.want&okBody != 0 && has(line, "OK "):
		size, ok := number(line[len("OK "):])
		c.skip = size + len("\r\n")
		if !ok {
			break
		}
		return true, nil
	}
	return true, r.refusal(line)
}

func has(line []byte, prefix string) bool {
	return len(line) >= len(prefix) && string(line[:len(prefix)]) == prefix
}

// take takes note of a job that has been reserved: it is to be deleted.
func (r *run) take(c *client, line, body []byte) (enough bool, err error) {
	const word = len("RESERVED ")
	id := line[word:]
	space := bytes.IndexByte(id, ' ')
	if space < 0 {
		return true, r.refusal(line)
	}
	size, ok := number(id[space+1:])
	if !ok {
		return true, r.refusal(line)
	}
	if r.scenario.stamped {
		if len(body) < stampSize {
			return false, nil
		}
		r.arrived(body[:stampSize])
	}
	c.skip = size + len("\r\n")
	c.own = append(c.own, "delete "...)
	c.own = append(c.own, id[:space]...)
	c.own = append(c.own, "\r\n"...)
	c.deletes++
	return true, nil
}

// number returns the number that p begins with, up to the end of the line.
func number(p []byte) (n int, ok bool) {
	for i, ch := range p {
		if ch < '0' || ch > '9' {
			return n, i > 0 && ch == '\r'
		}
		if n = 10*n + int(ch-'0'); n > MaxBody {
			return 0, false
		}
	}
	return 0, false
}

// refusal counts a reply that tells of a failure after which the conversation can
// go on. Any other is an error.
func (r *run) refusal(line []byte) error {
	text := string(bytes.TrimRight(line, "\r\n"))
	word, _, _ := bytes.Cut(line[:len(text)], []byte(" "))
	switch string(word) {
	case "OUT_OF_MEMORY", "INTERNAL_ERROR", "DRAINING", "JOB_TOO_BIG", "BURIED", "NOT_FOUND", "TIMED_OUT", "DEADLINE_SOON":
		r.errors++
		if r.firstError == "" {
			r.firstError = text
		}
		return nil
	}
	return fmt.Errorf("unexpected reply: %q", text)
}

// A stamp is what a body begins with: the number of the job, and when it is to
// arrive, in nanoseconds of the run's clock.

func (r *run) stamp(body []byte, due int64, delay int) {
	binary.LittleEndian.PutUint64(body, r.nextJob)
	binary.LittleEndian.PutUint64(body[8:], uint64(due+int64(delay)*1e9))
	r.nextJob++
}

// arrived takes note of a stamped job.
func (r *run) arrived(stamp []byte) {
	number := binary.LittleEndian.Uint64(stamp)
	due := int64(binary.LittleEndian.Uint64(stamp[8:]))
	if number >= r.nextJob {
		r.strange++
		return
	}
	for int(number/64) >= len(r.seen) {
		r.seen = append(r.seen, 0)
	}
	bit := uint64(1) << (number % 64)
	if r.seen[number/64]&bit != 0 {
		r.duplicates++
		return
	}
	r.seen[number/64] |= bit
	r.received++
	if number < r.firstJob {
		return // of the warm-up
	}
	late := r.heard - due
	if late < 0 {
		r.early++
		late = 0
	}
	record(r.second, late, 1)
}
