// Package wire is a client of the wire protocol, for the command line. It sends
// lines and reads replies, one by one or many at once, and knows which replies
// have a body; what a command means is its caller's business.
//
// It speaks to any server of the protocol. Names are read from YAML as beanstalkd
// 1.12 (plain) and 1.13 (quoted) write them.
package wire

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"
)

// bufferSize is the size of the buffers for reading and writing, in bytes; also
// the longest line of a reply.
const bufferSize = 64 << 10

// largestBody is the largest body of a reply that is read, in bytes.
const largestBody = 2 << 30

// Conn is a connection. One goroutine may send while another receives; beyond
// that it is for one goroutine at a time.
type Conn struct {
	ctx     context.Context
	conn    net.Conn
	in      *bufio.Reader
	out     *bufio.Writer
	addr    string
	timeout time.Duration
	unbind  func() bool
}

// Dial connects to HOST:PORT or unix:PATH. A reply may take as long as timeout, 0
// for no limit; so may connecting. When ctx ends, the connection is closed, and
// what waits for it fails.
func Dial(ctx context.Context, addr string, timeout time.Duration) (*Conn, error) {
	network, address := "tcp", addr
	if path, ok := strings.CutPrefix(addr, "unix:"); ok {
		network, address = "unix", path
	}
	d := net.Dialer{Timeout: timeout}
	conn, err := d.DialContext(ctx, network, address)
	if err != nil {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		return nil, &UnreachableError{Addr: addr, Err: err}
	}
	c := &Conn{
		ctx:     ctx,
		conn:    conn,
		in:      bufio.NewReaderSize(conn, bufferSize),
		out:     bufio.NewWriterSize(conn, bufferSize),
		addr:    addr,
		timeout: timeout,
	}
	c.unbind = context.AfterFunc(ctx, func() { conn.Close() })
	return c, nil
}

// UnreachableError is the error of a server that cannot be reached, or no longer.
type UnreachableError struct {
	Addr string
	Err  error
}

// Error says which server it is and why.
func (e *UnreachableError) Error() string { return fmt.Sprintf("no server at %s: %v", e.Addr, e.Err) }

// Unwrap returns the reason.
func (e *UnreachableError) Unwrap() error { return e.Err }

// Close closes the connection. Jobs that are reserved in it become ready again.
func (c *Conn) Close() error {
	c.unbind()
	return c.conn.Close()
}

// Addr returns the address as it was given.
func (c *Conn) Addr() string { return c.addr }

// Send writes a line, without its end, and a body if body is not nil. It is sent
// with the next Flush, or earlier.
func (c *Conn) Send(line string, body []byte) error {
	if c.out.Available() < len(line)+len(body)+4 {
		c.limit(c.conn.SetWriteDeadline, 0)
	}
	c.out.WriteString(line)
	_, err := c.out.WriteString("\r\n")
	if body != nil {
		c.out.Write(body)
		_, err = c.out.WriteString("\r\n")
	}
	return c.explain(err)
}

// Flush sends what Send has written.
func (c *Conn) Flush() error {
	c.limit(c.conn.SetWriteDeadline, 0)
	return c.explain(c.out.Flush())
}

// limit sets a deadline: the time that is allowed from now on, and extra.
func (c *Conn) limit(set func(time.Time) error, extra time.Duration) {
	if c.timeout > 0 {
		set(time.Now().Add(c.timeout + extra))
	}
}

// explain adds the server's name to an error of the connection.
func (c *Conn) explain(err error) error {
	switch {
	case err == nil:
		return nil
	case c.ctx.Err() != nil:
		return context.Cause(c.ctx)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return &UnreachableError{Addr: c.addr, Err: errors.New("it has closed the connection")}
	}
	if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() {
		return &UnreachableError{Addr: c.addr, Err: fmt.Errorf("no answer within %v", c.timeout)}
	}
	return &UnreachableError{Addr: c.addr, Err: err}
}

// Reply is what the server says to one command.
type Reply struct {
	// Word is the first word of the line, Args are the others.
	Word string
	Args []string
	// Body is what follows the line, the caller's to keep; nil if nothing does.
	Body []byte
}

// String returns the line.
func (r Reply) String() string { return strings.Join(append([]string{r.Word}, r.Args...), " ") }

// Uint returns the argument at index i as a number, or 0.
func (r Reply) Uint(i int) uint64 {
	if i >= len(r.Args) {
		return 0
	}
	n, _ := strconv.ParseUint(r.Args[i], 10, 64)
	return n
}

// Receive reads the next reply. extra is how much longer than usual it may take;
// less than 0 is for ever.
func (c *Conn) Receive(extra time.Duration) (r Reply, err error) {
	if c.in.Buffered() == 0 {
		if extra < 0 {
			c.conn.SetReadDeadline(time.Time{})
		} else {
			c.limit(c.conn.SetReadDeadline, extra)
		}
	}
	line, err := c.in.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		return r, c.nonsense("a line that does not end")
	}
	if err != nil {
		return r, c.explain(err)
	}
	text, ok := strings.CutSuffix(string(line), "\r\n")
	words := strings.Fields(text)
	if !ok || len(words) == 0 {
		return r, c.nonsense(strconv.Quote(string(line[:min(len(line), 40)])))
	}
	r.Word, r.Args = words[0], words[1:]
	switch r.Word {
	case "OK", "RESERVED", "FOUND":
	default:
		return r, nil
	}
	if len(r.Args) == 0 {
		return r, c.nonsense(strconv.Quote(text))
	}
	n, err := strconv.ParseUint(r.Args[len(r.Args)-1], 10, 64)
	if err != nil || n > largestBody {
		return r, c.nonsense(strconv.Quote(text))
	}
	c.limit(c.conn.SetReadDeadline, max(extra, 0))
	body := make([]byte, n+2)
	if _, err := io.ReadFull(c.in, body); err != nil {
		return r, c.explain(err)
	}
	if string(body[n:]) != "\r\n" {
		return r, c.nonsense("a body that is longer than it says")
	}
	r.Body = body[:n:n]
	return r, nil
}

// nonsense is the error of what is no reply of this protocol.
func (c *Conn) nonsense(what string) error {
	return fmt.Errorf("%s does not speak beanstalkd's protocol: it sent %s", c.addr, what)
}

// Do sends a command and returns the reply.
func (c *Conn) Do(line string, body []byte) (Reply, error) { return c.DoWithin(0, line, body) }

// DoWithin is Do for a reply that may take longer than usual, as Receive has it.
func (c *Conn) DoWithin(extra time.Duration, line string, body []byte) (Reply, error) {
	if err := c.Send(line, body); err != nil {
		return Reply{}, err
	}
	if err := c.Flush(); err != nil {
		return Reply{}, err
	}
	return c.Receive(extra)
}

// All sends lines in portions and hands each reply to take, in order. An error of
// take stops it; the connection is then of no more use.
func (c *Conn) All(lines []string, take func(i int, r Reply) error) error {
	const portion = 512 // so that neither side waits for the other with full buffers
	for from := 0; from < len(lines); from += portion {
		to := min(from+portion, len(lines))
		for _, line := range lines[from:to] {
			if err := c.Send(line, nil); err != nil {
				return err
			}
		}
		if err := c.Flush(); err != nil {
			return err
		}
		for i := from; i < to; i++ {
			r, err := c.Receive(0)
			if err != nil {
				return err
			}
			if err := take(i, r); err != nil {
				return err
			}
		}
	}
	return nil
}
