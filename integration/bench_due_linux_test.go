package integration

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// BenchmarkLateness has jobs put with a delay of a second, 50,000 in each second and
// evenly, while workers wait for them. A job says when it was sent, so how late it
// is received can be told; that it had to get to the server first counts as well.
func BenchmarkLateness(b *testing.B) {
	const (
		rate    = 50_000
		workers = 64
		limit   = 3 * time.Second
	)
	contend := contenders(b)
	t := newTable("jobs/s", "CPU-us/job", "p50-us", "p99-us", "p99.9-us", "max-us")
	for _, c := range contend {
		b.Run(c.name, func(b *testing.B) {
			for b.Loop() {
				s := c.start(b)
				g := connectAll(b, s, load{Conns: workers + 1})
				before := cpuTime(b, s)
				r, err := g.delay(scaled(rate), limit)
				if err != nil {
					b.Fatal(err)
				}
				t.row(b, float64(r.Commands)/limit.Seconds(), micros(cpuTime(b, s)-before)/float64(r.Commands), micros(r.Trip(0.5)),
					micros(r.Trip(0.99)), micros(r.Trip(0.999)), micros(r.Trip(1)))
				g.Close()
				stopServer(b, s)
			}
		})
	}
	t.print(b)
}

// delay has g's first client put delayed jobs, rate of them a second until limit has
// passed, and all others reserve and delete them. It returns how late they were
// received.
func (g *generator) delay(rate int, limit time.Duration) (*loadResult, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	const (
		delay    = time.Second
		portion  = time.Millisecond
		idle     = 20 * time.Microsecond
		patience = 20 * time.Second
	)
	if err := g.Send("watch default\r\n"); err != nil { // from all, the first included
		return nil, err
	}
	for i := range g.clients[1:] {
		g.clients[1+i].out = []byte("reserve\r\n")
		if err := g.clients[1+i].flush(); err != nil {
			return nil, err
		}
	}
	total := rate * int(limit/time.Millisecond) / 1000
	late := make([]time.Duration, 0, total)
	start, sent := time.Now(), 0
	var puts []byte
	for len(late) < total {
		now := time.Since(start)
		if now > limit+patience {
			return nil, fmt.Errorf("%d of %d jobs received", len(late), total)
		}
		producer := &g.clients[0]
		if due := min(total, int(int64(now/portion*portion)*int64(rate)/int64(time.Second))); due > sent && len(producer.out) == 0 {
			puts = puts[:0]
			for ; sent < due; sent++ {
				puts = fmt.Appendf(puts, "put 1 1 100 20\r\n%020d\r\n", time.Since(start)+delay)
			}
			producer.out = puts
			if err := producer.flush(); err != nil {
				return nil, err
			}
		}
		n, err := unix.EpollWait(g.ep, g.events[:], 0)
		if err != nil && err != unix.EINTR {
			return nil, os.NewSyscallError("epoll_wait", err)
		}
		if n <= 0 {
			_ = unix.Nanosleep(&unix.Timespec{Nsec: int64(idle)}, nil) // epoll counts milliseconds
			continue
		}
		for _, ev := range g.events[:n] {
			c := &g.clients[ev.Fd]
			if err := c.flush(); err != nil {
				return nil, err
			}
			n, errno := transfer(unix.SYS_READ, c.fd, g.in)
			switch {
			case errno == unix.EAGAIN || c == producer:
				continue
			case errno != 0:
				return nil, os.NewSyscallError("read", errno)
			case n == 0:
				return nil, io.ErrUnexpectedEOF
			}
			late, err = c.take(g.in[:n], start, late)
			if err != nil {
				return nil, err
			}
		}
	}
	slices.Sort(late)
	return &loadResult{Commands: len(late), trips: late}, nil
}

// take takes note of the jobs in p, has them deleted and waits for the next.
func (c *loader) take(p []byte, start time.Time, late []time.Duration) ([]time.Duration, error) {
	c.part = append(c.part, p...)
	for {
		line, rest, ok := bytes.Cut(c.part, []byte("\r\n"))
		if !ok {
			return late, nil
		}
		numbers, reserved := bytes.CutPrefix(line, []byte("RESERVED "))
		if !reserved {
			c.part = append(c.part[:0], rest...) // to a delete, or to watch
			continue
		}
		body, rest, ok := bytes.Cut(rest, []byte("\r\n"))
		if !ok {
			return late, nil
		}
		due, err := strconv.ParseInt(string(body), 10, 64)
		if err != nil {
			return late, err
		}
		late = append(late, time.Since(start)-time.Duration(due))
		id, _ := leadingNumber(numbers)
		c.part = append(c.part[:0], rest...)
		c.own = strconv.AppendUint(append(c.own[:0], "delete "...), id, 10)
		c.own = append(c.own, "\r\nreserve\r\n"...)
		c.out = c.own
		if err := c.flush(); err != nil {
			return late, err
		}
	}
}
