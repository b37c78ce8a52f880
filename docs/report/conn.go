package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"
)

// A conn is a connection to a server, for what spoked bench has no scenario for:
// to fill a server and leave it full. It sends without waiting for replies.
type conn struct {
	net.Conn
	r *bufio.Reader
}

// dial connects. Everything that the connection is used for ends at the deadline.
func dial(addr string, deadline time.Time) (*conn, error) {
	c, err := (&net.Dialer{Deadline: deadline}).Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	c.SetDeadline(deadline)
	return &conn{c, bufio.NewReaderSize(c, 64<<10)}, nil
}

// command sends one command and reads a reply of one line.
func (c *conn) command(text, want string) error {
	if _, err := io.WriteString(c, text); err != nil {
		return err
	}
	_, err := c.reply(want)
	return err
}

// reply reads a line that begins with want and returns the rest of it.
func (c *conn) reply(want string) (string, error) {
	line, err := c.r.ReadString('\n')
	if err != nil {
		return "", err
	}
	rest, ok := strings.CutPrefix(strings.TrimSpace(line), strings.TrimSpace(want))
	if !ok {
		return "", fmt.Errorf("got %q, want %s", line, want)
	}
	return strings.TrimSpace(rest), nil
}

// exchange sends n things and has their replies read, both at the same time.
func (c *conn) exchange(n int, send func(w *bufio.Writer, i int), receive func(i int) error) error {
	sent := make(chan error, 1)
	go func() {
		w := bufio.NewWriterSize(c, 64<<10)
		for i := range n {
			send(w, i)
		}
		sent <- w.Flush()
	}()
	for i := range n {
		if err := receive(i); err != nil {
			c.Close() // which ends the sender too
			<-sent
			return err
		}
	}
	return <-sent
}

// jobTTR is long enough that no job is taken back here.
const jobTTR = "3600"

// put puts n jobs.
func (c *conn) put(n, body, delay int) error {
	job := fmt.Sprintf("put 0 %d %s %d\r\n%s\r\n", delay, jobTTR, body, strings.Repeat("x", body))
	return c.exchange(n,
		func(w *bufio.Writer, _ int) { w.WriteString(job) },
		func(int) error { _, err := c.reply("INSERTED "); return err })
}

// reserve takes n jobs and returns their numbers.
func (c *conn) reserve(n int) ([]string, error) {
	var ids []string
	err := c.exchange(n,
		func(w *bufio.Writer, _ int) { w.WriteString("reserve-with-timeout 0\r\n") },
		func(int) error {
			rest, err := c.reply("RESERVED ")
			if err != nil {
				return err
			}
			id, size, _ := strings.Cut(rest, " ")
			body, err := strconv.Atoi(size)
			if err != nil {
				return err
			}
			ids = append(ids, id)
			_, err = c.r.Discard(body + len("\r\n"))
			return err
		})
	return ids, err
}

// bury buries jobs that the connection has reserved.
func (c *conn) bury(ids []string) error {
	return c.exchange(len(ids),
		func(w *bufio.Writer, i int) { fmt.Fprintf(w, "bury %s 0\r\n", ids[i]) },
		func(int) error { _, err := c.reply("BURIED"); return err })
}

// watchTubes watches n tubes, which exist for as long as the connection does.
func (c *conn) watchTubes(n int) error {
	return c.exchange(n,
		func(w *bufio.Writer, i int) { fmt.Fprintf(w, "watch report-%d\r\n", i) },
		func(int) error { _, err := c.reply("WATCHING "); return err })
}

// ready returns how many jobs are ready.
func (c *conn) ready() (int, error) {
	if _, err := io.WriteString(c, "stats\r\n"); err != nil {
		return 0, err
	}
	rest, err := c.reply("OK ")
	if err != nil {
		return 0, err
	}
	size, err := strconv.Atoi(rest)
	if err != nil {
		return 0, err
	}
	text := make([]byte, size+len("\r\n"))
	if _, err := io.ReadFull(c.r, text); err != nil {
		return 0, err
	}
	return statOf(string(text), "current-jobs-ready")
}

// statOf returns a number of a reply to stats.
func statOf(text, name string) (int, error) {
	for line := range strings.Lines(text) {
		if key, value, ok := strings.Cut(line, ":"); ok && key == name {
			return strconv.Atoi(strings.Trim(strings.TrimSpace(value), `"`))
		}
	}
	return 0, fmt.Errorf("stats have no %s", name)
}
