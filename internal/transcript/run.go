package transcript

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A Driver is the server and the way to it, as a script sees them. Run calls
// it from one goroutine. An error from any method ends the run.
type Driver interface {
	// Open connects a client. The names of connected clients are distinct.
	Open(client string) error
	// Send sends bytes, which the driver must not keep.
	Send(client string, p []byte) error
	// Shut half-closes the connection: the client sends no more, but reads.
	Shut(client string) error
	// Close hangs up. The client's name may be opened again.
	Close(client string) error

	// Receive returns what has arrived for the client since the last call:
	// nothing, if nothing has. With wait, something is expected, and a live
	// driver gives it time to arrive. The error is io.EOF when the server
	// has hung up and all that it sent has been returned.
	Receive(client string, wait bool) ([]byte, error)
	// Settle returns when the server has dealt with all that happened so
	// far, so that what does not arrive now will not arrive at all.
	Settle() error

	// Advance lets time pass, all of it: what falls due on the way happens
	// then, and not at the end.
	Advance(d time.Duration) error
	// Signal sends the server process a signal, such as "USR1".
	Signal(name string) error
}

// Run plays a script against a server that was started for it. Steps that have
// tags count if the run has them all. The error tells which line the server did
// not keep to, what was expected, what came, and the conversation up to there.
func Run(s *Script, d Driver, tags ...string) error {
	p := player{script: s, driver: d}
	var steps []step
	for _, st := range s.steps {
		if st.counts(tags) {
			steps = append(steps, st)
		}
	}
	for len(steps) > 0 {
		n := together(steps)
		if err := p.play(steps[:n]); err != nil {
			return err
		}
		steps = steps[n:]
	}
	return p.quiet(step{line: p.line, text: "the end"})
}

// together is the number of steps that make up one move: the lines sent in one
// write, or a reply with the lines of its body.
func together(steps []step) int {
	n := 1
	switch steps[0].op {
	case sendLine:
		for n < len(steps) && steps[n].op == sendLine && steps[n].client == steps[0].client {
			n++
		}
	case wantLine, wantMatch:
		for n < len(steps) && bodyAfter[steps[n].op] != nil {
			n++
		}
	}
	return n
}

// A player is the state of one run.
type player struct {
	script  *Script
	driver  Driver
	clients []*client // connected, in the order they came
	line    int       // of the last step played
	log     []string  // the conversation so far
}

// A client is one connection.
type client struct {
	name string
	in   []byte // arrived, but not yet mentioned by the script
	eof  bool   // the server has hung up
}

// play makes one move: a step and what belongs to it.
func (p *player) play(steps []step) error {
	st := steps[0]
	p.line = st.line
	if !st.expects() {
		if err := p.quiet(st); err != nil {
			return err
		}
	}
	var c *client
	if st.client != "" {
		var err error
		if c, err = p.client(st); err != nil {
			return err
		}
	}
	switch st.op {
	case wantLine, wantMatch:
		return p.reply(c, st, steps[1:])
	case wantRaw:
		return p.raw(c, st)
	case connection:
		return p.connection(c, st)
	}

	var data []byte
	for _, st := range steps {
		data = append(data, st.data...)
		p.note("%s", st.text)
	}
	var err error
	switch st.op {
	case sendLine, sendRaw:
		err = p.driver.Send(c.name, data)
	case advance:
		err = p.driver.Advance(st.delay)
	case signal:
		err = p.driver.Signal(st.arg)
	}
	if err != nil {
		return p.fail(st, "%v", err)
	}
	return nil
}

// client finds the step's client, or connects it.
func (p *player) client(st step) (*client, error) {
	for _, c := range p.clients {
		if c.name == st.client {
			return c, nil
		}
	}
	if err := p.driver.Open(st.client); err != nil {
		return nil, p.fail(st, "%v", err)
	}
	c := &client{name: st.client}
	p.clients = append(p.clients, c)
	return c, nil
}

func (p *player) connection(c *client, st step) error {
	var err error
	switch st.arg {
	case "shut":
		err = p.driver.Shut(c.name)
	case "close":
		err = p.driver.Close(c.name)
	case "eof":
		if err = p.awaitEOF(c, st); err != nil {
			return err
		}
		err = p.driver.Close(c.name)
	}
	if err != nil {
		return p.fail(st, "%v", err)
	}
	if st.arg != "shut" {
		p.clients = slices.DeleteFunc(p.clients, func(x *client) bool { return x == c })
	}
	p.note("%s", st.text)
	return nil
}

func (p *player) awaitEOF(c *client, st step) error {
	for len(c.in) == 0 && !c.eof {
		more, err := p.receive(c, true)
		if err != nil {
			return p.fail(st, "%v", err)
		}
		if !more && !c.eof {
			return p.fail(st, "the connection is still open")
		}
	}
	if len(c.in) > 0 {
		return p.fail(st, "came %s", show(c.in))
	}
	return nil
}

// announcesBody is the form of the replies that a body follows, and the number
// in them is its length.
var announcesBody = regexp.MustCompile(`^(OK|RESERVED \d+|FOUND \d+) (\d+)$`)

// reply takes the next reply and, if that announces one, its body.
func (p *player) reply(c *client, st step, want []step) error {
	end := -1
	err := p.await(c, st, func() bool {
		end = bytes.Index(c.in, []byte("\r\n"))
		return end >= 0
	})
	if err != nil {
		return err
	}
	line := string(c.in[:end])
	if !st.matches(line) {
		return p.fail(st, "came %s", show(c.in[:end]))
	}
	c.in = c.in[end+2:]
	p.note("%s< %s", c.name, line)

	m := announcesBody.FindStringSubmatch(line)
	if m == nil {
		if len(want) > 0 {
			return p.fail(want[0], "%q has no body", line)
		}
		return nil
	}
	size, err := strconv.Atoi(m[2])
	if err != nil {
		return p.fail(st, "%v", err)
	}
	if err := p.await(c, st, func() bool { return len(c.in) >= size+2 }); err != nil {
		return err
	}
	body := c.in[:size]
	if after := c.in[size : size+2]; string(after) != "\r\n" {
		return p.fail(st, "the body %s is followed by %q", show(body), after)
	}
	c.in = c.in[size+2:]
	if len(want) == 0 && size > 0 {
		return p.fail(st, "came with the body %s", show(body))
	}
	if len(want) > 0 && want[0].op == bodyRaw {
		return p.rawBody(c, body, want)
	}
	return p.body(c, string(body), m[1] == "OK", want)
}

func (p *player) rawBody(c *client, got []byte, want []step) error {
	var data []byte
	for _, st := range want {
		data = append(data, st.data...)
	}
	p.note("%s|| %s", c.name, show(got))
	if !bytes.Equal(got, data) {
		return p.fail(want[0], "came %s", show(got))
	}
	return nil
}

// body compares a body line by line. The lines of a list or of statistics are
// all ended by a line feed; in a job's body line feeds only separate.
func (p *player) body(c *client, body string, list bool, want []step) error {
	if len(want) == 0 {
		return nil
	}
	if list {
		rest, ok := strings.CutSuffix(body, "\n")
		if !ok {
			return p.fail(want[0], "the last line of %s is not ended", show([]byte(body)))
		}
		body = rest
	}
	got := strings.Split(body, "\n")
	for _, line := range got {
		p.note("%s| %s", c.name, line)
	}

	skip := false
	for _, st := range want {
		if st.op == bodyLine && st.arg == elided {
			skip = true
			continue
		}
		for skip && len(got) > 0 && !st.matches(got[0]) {
			got = got[1:]
		}
		if len(got) == 0 {
			return p.fail(st, "no such line in what is left of the body")
		}
		if !st.matches(got[0]) {
			return p.fail(st, "came %s", got[0])
		}
		got, skip = got[1:], false
	}
	if len(got) > 0 && !skip {
		return p.fail(want[len(want)-1], "the body goes on: %s", got[0])
	}
	return nil
}

// raw takes exactly these bytes.
func (p *player) raw(c *client, st step) error {
	if err := p.await(c, st, func() bool { return len(c.in) >= len(st.data) }); err != nil {
		return err
	}
	if !bytes.HasPrefix(c.in, st.data) {
		return p.fail(st, "came %s", show(c.in))
	}
	c.in = c.in[len(st.data):]
	p.note("%s", st.text)
	return nil
}

// await receives until enough has arrived.
func (p *player) await(c *client, st step, enough func() bool) error {
	for !enough() {
		more, err := p.receive(c, true)
		switch {
		case err != nil:
			return p.fail(st, "%v", err)
		case more:
		case c.eof:
			return p.fail(st, "came %s and the server hung up", show(c.in))
		case len(c.in) > 0:
			return p.fail(st, "came only %s", show(c.in))
		default:
			return p.fail(st, "nothing came")
		}
	}
	return nil
}

// quiet checks that no client has been sent anything that the script does not
// mention before st.
func (p *player) quiet(st step) error {
	if err := p.driver.Settle(); err != nil {
		return p.fail(st, "%v", err)
	}
	for _, c := range p.clients {
		if _, err := p.receive(c, false); err != nil {
			return p.fail(st, "%v", err)
		}
		if len(c.in) > 0 {
			return p.fail(st, "before this, %s was sent %s", c.name, show(c.in))
		}
		if c.eof {
			return p.fail(st, "before this, the server hung up on %s", c.name)
		}
	}
	return nil
}

// receive moves what has arrived to the client, and reports whether that was
// anything.
func (p *player) receive(c *client, wait bool) (bool, error) {
	if c.eof {
		return false, nil
	}
	got, err := p.driver.Receive(c.name, wait)
	c.in = append(c.in, got...)
	if errors.Is(err, io.EOF) {
		c.eof, err = true, nil
	}
	return len(got) > 0, err
}

func (p *player) note(format string, args ...any) {
	p.log = append(p.log, clip(fmt.Sprintf(format, args...)))
}

// fail makes an error of where we are, what was wanted, and what came.
func (p *player) fail(st step, format string, args ...any) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s:%d: %s\n\t%s\nthe conversation so far:\n", p.script.Name, st.line, clip(st.text), fmt.Sprintf(format, args...))
	for _, line := range p.log {
		fmt.Fprintf(&b, "\t%s\n", line)
	}
	return errors.New(b.String())
}

// show quotes bytes for a message.
func show(p []byte) string { return clip(strconv.Quote(string(p))) }

// clip shortens a line that nobody would read to its end.
func clip(s string) string {
	const most = 200
	if len(s) <= most {
		return s
	}
	return fmt.Sprintf("%s...(%d bytes)", s[:most], len(s))
}
