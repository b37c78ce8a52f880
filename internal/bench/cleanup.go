package bench

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"
)

// cleanupBatch is how many commands a cleaner sends at once.
const cleanupBatch = 500

// A cleaner deletes all jobs in some tubes, over a connection of its own.
type cleaner struct {
	target   Target
	patience time.Duration // for a reply
	limit    time.Duration // for everything
	kick     bool          // there may be delayed jobs

	conn net.Conn
	in   *bufio.Reader
	end  time.Time
	gone int // jobs deleted
}

// remove deletes all jobs in tubes that nobody else uses. The connections that
// have put them must be closed. After an error there may be jobs left.
func (c *cleaner) remove(tubes []string) error {
	network, addr, err := c.target.network()
	if err != nil {
		return err
	}
	if c.conn, err = net.DialTimeout(network, addr, c.patience); err != nil {
		return err
	}
	defer c.conn.Close()
	c.in = bufio.NewReaderSize(c.conn, 64<<10)
	c.end = time.Now().Add(c.limit)
	for {
		left, err := c.sweep(tubes)
		if err != nil || left == 0 {
			return err
		}
		// What the connections of the run have reserved comes back when the
		// server has seen that they are closed.
		time.Sleep(10 * time.Millisecond)
	}
}

// sweep deletes what is ready, and returns how many jobs there are still.
func (c *cleaner) sweep(tubes []string) (left int, err error) {
	if err := c.watchOnly(tubes); err != nil {
		return 0, err
	}
	if c.kick {
		for _, tube := range tubes {
			if _, err := c.ask("use " + tube); err != nil {
				return 0, err
			}
			if _, err := c.ask("kick 4000000000"); err != nil {
				return 0, err
			}
		}
	}
	for more := true; more; {
		if more, err = c.deleteSome(); err != nil {
			return 0, err
		}
	}
	for _, tube := range tubes {
		n, err := c.jobsIn(tube)
		if err != nil {
			return 0, err
		}
		left += n
	}
	return left, nil
}

// watchOnly has the connection watch tubes and no others.
func (c *cleaner) watchOnly(tubes []string) error {
	for len(tubes) > 0 {
		n := min(len(tubes), cleanupBatch)
		var b strings.Builder
		for _, tube := range tubes[:n] {
			b.WriteString("watch " + tube + "\r\n")
		}
		if err := c.say(b.String()); err != nil {
			return err
		}
		for range n {
			if _, err := c.line(); err != nil {
				return err
			}
		}
		tubes = tubes[n:]
	}
	_, err := c.ask("ignore default")
	return err
}

// deleteSome reserves and deletes a batch of jobs, and reports whether there may
// be more.
func (c *cleaner) deleteSome() (more bool, err error) {
	if err := c.say(strings.Repeat(reserveNow, cleanupBatch)); err != nil {
		return false, err
	}
	var deletes strings.Builder
	n := 0
	for range cleanupBatch {
		line, err := c.line()
		if err != nil {
			return false, err
		}
		f := strings.Fields(line)
		if len(f) != 3 || f[0] != "RESERVED" {
			continue // TIMED_OUT
		}
		size, err := strconv.Atoi(f[2])
		if err != nil {
			return false, fmt.Errorf("unexpected reply: %q", line)
		}
		if _, err := c.in.Discard(size + len("\r\n")); err != nil {
			return false, err
		}
		deletes.WriteString("delete " + f[1] + "\r\n")
		n++
	}
	if n == 0 {
		return false, nil
	}
	if err := c.say(deletes.String()); err != nil {
		return false, err
	}
	for range n {
		line, err := c.line()
		if err != nil {
			return false, err
		}
		if line == "DELETED" {
			c.gone++
		}
	}
	return true, nil
}

// jobsIn returns how many jobs there are in a tube.
func (c *cleaner) jobsIn(tube string) (int, error) {
	line, err := c.ask("stats-tube " + tube)
	if err != nil || line == "NOT_FOUND" {
		return 0, err
	}
	text, ok := strings.CutPrefix(line, "OK ")
	size, err := strconv.Atoi(text)
	if !ok || err != nil {
		return 0, fmt.Errorf("unexpected reply: %q", line)
	}
	body := make([]byte, size+len("\r\n"))
	if _, err := io.ReadFull(c.in, body); err != nil {
		return 0, err
	}
	n := 0
	for line := range strings.Lines(string(body)) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
		switch key {
		case "current-jobs-ready", "current-jobs-reserved", "current-jobs-delayed", "current-jobs-buried":
			k, err := strconv.Atoi(value)
			if err != nil {
				return 0, fmt.Errorf("stats-tube %s: unexpected line: %q", tube, line)
			}
			n += k
		}
	}
	return n, nil
}

// ask sends a command and returns the line that answers it.
func (c *cleaner) ask(command string) (string, error) {
	if err := c.say(command + "\r\n"); err != nil {
		return "", err
	}
	return c.line()
}

// say sends commands, whose replies have to come before the patience ends.
func (c *cleaner) say(text string) error {
	now := time.Now()
	if now.After(c.end) {
		return fmt.Errorf("it took longer than %v", c.limit)
	}
	if err := c.conn.SetDeadline(now.Add(c.patience)); err != nil {
		return err
	}
	_, err := io.WriteString(c.conn, text)
	return err
}

func (c *cleaner) line() (string, error) {
	line, err := c.in.ReadString('\n')
	return strings.TrimRight(line, "\r\n"), err
}
