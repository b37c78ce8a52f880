package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// A server is a process that has been started here.
type server struct {
	name string // spoked or beanstalkd
	addr string
	cmd  *exec.Cmd
	said bytes.Buffer  // to be read when it has ended
	done chan struct{} // closed when it has ended
	held *conn         // to be kept as long as the server; may be nil
	// ready is how long it took from the start to the first reply.
	ready time.Duration
}

// start starts a server on a free port and waits for its first reply.
func (m *measurer) start(ctx context.Context, name string, args ...string) (*server, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &server{name: name, addr: l.Addr().String(), done: make(chan struct{})}
	l.Close()
	host, port, _ := net.SplitHostPort(s.addr)
	s.cmd = exec.CommandContext(ctx, m.programs[name], append([]string{"-l", host, "-p", port}, args...)...)
	s.cmd.Stdout, s.cmd.Stderr = &s.said, &s.said
	began := time.Now()
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		s.cmd.Wait()
		close(s.done)
	}()
	const patience = time.Minute
	for {
		err := s.ask(began.Add(patience))
		s.ready = time.Since(began)
		if err == nil {
			return s, nil
		}
		select {
		case <-s.done:
			return nil, fmt.Errorf("%s has ended: %s\n%s", name, s.cmd.ProcessState, s.said.String())
		case <-time.After(time.Millisecond):
		}
		if s.ready > patience {
			s.stop()
			return nil, fmt.Errorf("%s does not answer: %w\n%s", name, err, s.said.String())
		}
	}
}

// ask has the server answer once.
func (s *server) ask(deadline time.Time) error {
	c, err := dial(s.addr, deadline)
	if err != nil {
		return err
	}
	defer c.Close()
	return c.command("list-tube-used\r\n", "USING ")
}

// stop ends the server at once. What it has written to files stays.
func (s *server) stop() {
	s.cmd.Process.Kill()
	<-s.done
	if s.held != nil {
		s.held.Close()
	}
}

// resident returns the size of the server's resident set in bytes.
func (s *server) resident() (float64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", s.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	fields := strings.Fields(string(b))
	if len(fields) < 2 {
		return 0, errors.New("/proc has no memory size")
	}
	pages, err := strconv.Atoi(fields[1])
	return float64(pages) * float64(os.Getpagesize()), err
}
