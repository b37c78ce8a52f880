package top

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Wire returns a source that speaks beanstalkd's protocol with the server at addr,
// which is HOST:PORT or unix:PATH. It connects when it is first asked, and keeps one
// connection. All commands of a question are sent ahead, so that ten thousand tubes
// take one round trip.
func Wire(addr string) Source { return &wire{addr: addr} }

// wire is the source that speaks the protocol.
type wire struct {
	addr string

	mu   sync.Mutex
	conn net.Conn // nil: not connected
	in   *bufio.Reader
	can  []byte // what the server answers to capabilities, nil if it does not know that
}

// errForeign is of a server that answers what this protocol does not have.
var errForeign = errors.New("it does not speak beanstalkd's protocol")

// maxReply is the most bytes that a reply may have: more than any list of tubes and
// any body that a server lets through as a rule.
const maxReply = 1 << 28

func (w *wire) Close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.hangUp()
}

func (w *wire) hangUp() error {
	if w.conn == nil {
		return nil
	}
	err := w.conn.Close()
	w.conn, w.in = nil, nil
	return err
}

// talk has f talk to the server, through a connection that is closed when f fails:
// nobody knows then what is still to be read of it.
func (w *wire) talk(ctx context.Context, f func() error) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	fresh := w.conn == nil
	if fresh {
		if err := w.dial(ctx); err != nil {
			return fmt.Errorf("cannot reach %s: %w", w.addr, plain(err))
		}
	}
	conn := w.conn
	defer context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })()
	var err error
	if fresh {
		err = w.greet()
	}
	if err == nil {
		err = f()
	}
	switch {
	case err == nil || errors.Is(err, ErrNoTube) || isRefusal(err):
		return err
	case ctx.Err() != nil:
		err = fmt.Errorf("%s does not answer: %w", w.addr, context.Cause(ctx))
	case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
		err = fmt.Errorf("%s has closed the connection", w.addr)
	default:
		err = fmt.Errorf("%s: %w", w.addr, plain(err))
	}
	w.hangUp()
	return err
}

func isRefusal(err error) bool {
	_, ok := errors.AsType[*refusal](err)
	return ok
}

// A refusal is a reply that says no. The conversation goes on.
type refusal struct{ command, reply string }

func (r *refusal) Error() string { return fmt.Sprintf("%s: the server says %s", r.command, r.reply) }

// dial connects.
func (w *wire) dial(ctx context.Context) error {
	network, addr := "tcp", w.addr
	if path, ok := strings.CutPrefix(addr, "unix:"); ok {
		network, addr = "unix", path
	}
	conn, err := new(net.Dialer).DialContext(ctx, network, addr)
	if err == nil {
		w.conn, w.in = conn, bufio.NewReaderSize(conn, 1<<16)
	}
	return err
}

// greet asks what the server can do that beanstalkd cannot.
func (w *wire) greet() error {
	line, body, err := w.ask("capabilities")
	w.can = nil
	if is(line, "OK") {
		w.can = body
	}
	return err
}

// adds reports whether the server has a command that beanstalkd has not.
func (w *wire) adds(command string) bool { return slices.Contains(readList(w.can), command) }

// plain takes off what the net package puts in front of an error and the message
// says anyway.
func plain(err error) error {
	if op, ok := errors.AsType[*net.OpError](err); ok {
		return op.Err
	}
	return err
}

// ask sends a command, and reads its reply.
func (w *wire) ask(command string) (line string, body []byte, err error) {
	if _, err := io.WriteString(w.conn, command+"\r\n"); err != nil {
		return "", nil, err
	}
	return w.reply()
}

// reply reads a reply: its line, and its body if it has one. The body is the caller's.
func (w *wire) reply() (line string, body []byte, err error) {
	text, err := w.in.ReadSlice('\n')
	if err != nil {
		if errors.Is(err, bufio.ErrBufferFull) {
			return "", nil, errForeign
		}
		return "", nil, err
	}
	line = strings.TrimRight(string(text), "\r\n")
	if word, _, _ := strings.Cut(line, " "); strings.Trim(word, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_") != "" || word == "" {
		return "", nil, fmt.Errorf("%w: %.60q", errForeign, line)
	}
	if !is(line, "OK") && !is(line, "FOUND") {
		return line, nil, nil
	}
	size, err := strconv.Atoi(line[strings.LastIndexByte(line, ' ')+1:])
	if err != nil || size < 0 || size > maxReply {
		return "", nil, fmt.Errorf("%w: %q", errForeign, line)
	}
	body = make([]byte, size+len("\r\n"))
	if _, err := io.ReadFull(w.in, body); err != nil {
		return "", nil, err
	}
	return line, body[:size], nil
}

// is reports whether a reply begins with that word.
func is(line, word string) bool {
	first, _, _ := strings.Cut(line, " ")
	return first == word
}

// askAll sends n commands ahead, and has each called with the reply to each.
func (w *wire) askAll(n int, command func(b *bytes.Buffer, i int), each func(i int, line string, body []byte) error) error {
	sent := make(chan error, 1)
	conn := w.conn
	go func() {
		var b bytes.Buffer
		for i := range n {
			command(&b, i)
			b.WriteString("\r\n")
			if b.Len() < 1<<15 && i < n-1 {
				continue
			}
			if _, err := conn.Write(b.Bytes()); err != nil {
				sent <- err
				return
			}
			b.Reset()
		}
		sent <- nil
	}()
	for i := range n {
		line, body, err := w.reply()
		if err == nil {
			err = each(i, line, body)
		}
		if err != nil {
			w.hangUp() // so that the sender, too, comes to an end
			<-sent
			return err
		}
	}
	return <-sent
}

func (w *wire) Snapshot(ctx context.Context) (*Snapshot, error) {
	s := new(Snapshot)
	return s, w.talk(ctx, func() error {
		stats, err := w.yaml("stats")
		if err != nil {
			return err
		}
		s.Server = w.server(readFields(stats))
		list, err := w.yaml("list-tubes")
		if err != nil {
			return err
		}
		names := readList(list)
		s.Tubes = make([]TubeFigures, 0, len(names))
		return w.askAll(len(names), func(b *bytes.Buffer, i int) {
			b.WriteString("stats-tube ")
			b.WriteString(names[i])
		}, func(i int, line string, body []byte) error {
			if is(line, "OK") { // else it has gone meanwhile
				s.Tubes = append(s.Tubes, readTube(names[i], body))
			}
			return nil
		})
	})
}

// yaml asks for what is answered by a document.
func (w *wire) yaml(command string) ([]byte, error) {
	line, body, err := w.ask(command)
	switch {
	case err != nil:
		return nil, err
	case line == "NOT_FOUND":
		return nil, ErrNoTube
	case !is(line, "OK"):
		return nil, &refusal{command, line}
	}
	return body, nil
}

// server makes figures of what stats has said.
func (w *wire) server(f fields) Server {
	s := Server{
		Version:     f["version"],
		Host:        f["hostname"],
		Address:     w.addr,
		Uptime:      f.seconds("uptime"),
		Draining:    f["draining"] == "true",
		Connections: f.count("current-connections"),
		Producers:   f.count("current-producers"),
		Workers:     f.count("current-workers"),
		Waiting:     f.count("current-waiting"),
		Ready:       f.count("current-jobs-ready"),
		Delayed:     f.count("current-jobs-delayed"),
		Reserved:    f.count("current-jobs-reserved"),
		Buried:      f.count("current-jobs-buried"),
		Puts:        f.count("total-jobs"),
		Reserves:    f.count("cmd-reserve"),
		Timeouts:    f.count("job-timeouts"),
		CPU:         Unknown,
		Bodies:      Unknown,

		JournalRecords: Unknown,
		JournalBytes:   Unknown,
	}
	if n := f.count("cmd-reserve-with-timeout"); n > 0 {
		s.Reserves += n
	}
	if user, system := f.seconds("rusage-utime"), f.seconds("rusage-stime"); user != Unknown && system != Unknown {
		s.CPU = user + system
	}
	if f.count("binlog-current-index") > 0 { // 0 is: no journal
		s.JournalRecords = f.count("binlog-records-written")
	}
	if w.can == nil {
		s.Name = "beanstalkd"
		return s
	}
	can := readFields(w.can)
	s.Name = can["server"]
	if v := can["version"]; v != "" {
		s.Version = v
	}
	return s
}

// head is how much of a body is kept.
const head = 512

func (w *wire) Tube(ctx context.Context, name string, jobs int) (*Tube, error) {
	t := new(Tube)
	return t, w.talk(ctx, func() error {
		stats, err := w.yaml("stats-tube " + name)
		if err != nil {
			return err
		}
		t.TubeFigures = readTube(name, stats)
		if jobs <= 0 {
			return nil
		}
		if err := w.peek(t); err != nil {
			return err
		}
		if err := w.describe(t); err != nil || !w.adds("list-jobs") {
			return err
		}
		return w.list(t, jobs)
	})
}

// peek looks at the next job of each state. The tube is used for it only as long as
// that takes, so that looking at a tube does not keep it.
func (w *wire) peek(t *Tube) error {
	looks := []string{"", stateReady, stateDelayed, stateBuried, ""}
	return w.askAll(len(looks), func(b *bytes.Buffer, i int) {
		switch i {
		case 0:
			b.WriteString("use " + t.Name)
		case len(looks) - 1:
			b.WriteString("use default")
		default:
			b.WriteString("peek-" + looks[i])
		}
	}, func(i int, line string, body []byte) error {
		var id uint64
		var size int
		if _, err := fmt.Sscanf(line, "FOUND %d %d", &id, &size); err == nil {
			t.Jobs = append(t.Jobs, Job{
				ID: id, State: looks[i], Size: int64(size), Body: bytes.Clone(body[:min(size, head)]),
				Age: Unknown, Left: Unknown, Reserves: Unknown,
			})
		}
		return nil
	})
}

// describe fills in what stats-job says of the jobs of t. One that has gone, or got
// another state, is taken out.
func (w *wire) describe(t *Tube) error {
	found := t.Jobs
	t.Jobs = nil
	return w.askAll(len(found), func(b *bytes.Buffer, i int) {
		b.WriteString("stats-job ")
		b.WriteString(strconv.FormatUint(found[i].ID, 10))
	}, func(i int, line string, body []byte) error {
		f := readFields(body)
		if j := found[i]; is(line, "OK") && f["state"] == j.State {
			j.Pri = uint32(f.count("pri"))
			j.Age = f.seconds("age")
			j.Reserves = f.count("reserves")
			if j.State == stateDelayed {
				j.Left = f.seconds("time-left")
			}
			t.Jobs = append(t.Jobs, j)
		}
		return nil
	})
}

// list adds jobs of each state to t, in the order of their ids, where the server has the
// command for it.
func (w *wire) list(t *Tube, n int) error {
	var listed []Job
	all := states()
	err := w.askAll(len(all), func(b *bytes.Buffer, i int) {
		fmt.Fprintf(b, "list-jobs %s %s 0 %d", t.Name, all[i], n)
	}, func(i int, line string, body []byte) error {
		t.Lists = t.Lists || is(line, "OK")
		for _, f := range readMappings(body) {
			j := Job{
				ID: uint64(max(0, f.count("id"))), State: f["state"], Pri: uint32(f.count("pri")), Age: f.seconds("age"),
				Left: Unknown, Reserves: f.count("reserves"), Size: f.count("size"),
			}
			if j.State == stateDelayed || j.State == stateReserved {
				j.Left = f.seconds("time-left")
			}
			if !slices.ContainsFunc(t.Jobs, func(other Job) bool { return other.ID == j.ID }) {
				listed = append(listed, j)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	// Bodies come whole: those of large jobs are not worth it.
	const large = 16 << 10
	var small []*Job
	for i := range listed {
		if j := &listed[i]; j.Size >= 0 && j.Size <= large {
			small = append(small, j)
		}
	}
	err = w.askAll(len(small), func(b *bytes.Buffer, i int) {
		b.WriteString("peek ")
		b.WriteString(strconv.FormatUint(small[i].ID, 10))
	}, func(i int, line string, body []byte) error {
		if is(line, "FOUND") {
			small[i].Body = bytes.Clone(body[:min(len(body), head)])
		}
		return nil
	})
	t.Jobs = append(t.Jobs, listed...)
	return err
}

func (w *wire) Pause(ctx context.Context, name string, d time.Duration) error {
	return w.talk(ctx, func() error {
		command := fmt.Sprintf("pause-tube %s %d", name, d/time.Second)
		line, _, err := w.ask(command)
		switch {
		case err != nil:
			return err
		case line == "NOT_FOUND":
			return ErrNoTube
		case line != "PAUSED":
			return &refusal{command, line}
		}
		return nil
	})
}

func (w *wire) Kick(ctx context.Context, name string, n int) (kicked int, err error) {
	err = w.talk(ctx, func() error {
		if _, err := w.yaml("stats-tube " + name); err != nil { // use would make the tube
			return err
		}
		command := "kick " + strconv.Itoa(n)
		commands := []string{"use " + name, command, "use default"}
		var refused error
		err := w.askAll(len(commands), func(b *bytes.Buffer, i int) { b.WriteString(commands[i]) },
			func(i int, line string, _ []byte) error {
				if i != 1 {
					return nil
				}
				if _, err := fmt.Sscanf(line, "KICKED %d", &kicked); err != nil {
					refused = &refusal{command, line}
				}
				return nil
			})
		if err != nil {
			return err
		}
		return refused
	})
	return kicked, err
}
