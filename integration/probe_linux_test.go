package integration

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

var scale = flag.Float64("scale", 1, "part of their full sizes at which benchmarks of large sizes are run")

// scaled returns that part of n that the benchmarks are to be run at.
func scaled(n int) int { return max(64, int(float64(n)*(*scale))) }

// A probe is a client that always has one command under way, and notes how long
// it waits for each reply, while others keep the server busy. It puts, reserves
// and deletes a job in a tube of its own.
type probe struct {
	fd    int
	stop  atomic.Bool
	ended chan error
	trips []time.Duration
}

// startProbe has a new probe begin.
func startProbe(b *testing.B, s *server) *probe {
	b.Helper()
	p := newProbe(b, s)
	p.begin()
	return p
}

// newProbe connects a probe.
func newProbe(b *testing.B, s *server) *probe {
	b.Helper()
	fd, err := dialRaw(s.Addr)
	if err != nil {
		b.Fatal(err)
	}
	if err := converse(fd, "use probe\r\nwatch probe\r\nignore default\r\n"); err != nil {
		b.Fatal(err)
	}
	// For a read that blocks, which a signal shall interrupt.
	err = errors.Join(unix.SetNonblock(fd, false), unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: 60}))
	if err != nil {
		b.Fatal(err)
	}
	return &probe{fd: fd, ended: make(chan error, 1), trips: make([]time.Duration, 0, 1<<21)}
}

func (p *probe) begin() {
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		p.ended <- p.run()
	}()
}

func (p *probe) run() error {
	in := make([]byte, 4096)
	var own []byte
	for !p.stop.Load() {
		reply, err := p.ask([]byte("put 1 0 100 1\r\nx\r\n"), in)
		if err != nil {
			return err
		}
		id := strings.TrimSuffix(strings.TrimPrefix(string(reply), "INSERTED "), "\r\n")
		if _, err := p.ask([]byte("reserve-with-timeout 0\r\n"), in); err != nil {
			return err
		}
		own = append(append(append(own[:0], "delete "...), id...), "\r\n"...)
		if reply, err = p.ask(own, in); err != nil {
			return err
		}
		if string(reply) != "DELETED\r\n" {
			return fmt.Errorf("probe: got reply %q to %q", reply, own)
		}
	}
	return nil
}

// ask sends a command and returns its reply, which is short enough to come in
// one piece.
func (p *probe) ask(command, in []byte) ([]byte, error) {
	sent := time.Now()
	if _, errno := transfer(unix.SYS_WRITE, p.fd, command); errno != 0 {
		return nil, os.NewSyscallError("write", errno)
	}
	for {
		n, _, errno := syscall.Syscall(unix.SYS_READ, uintptr(p.fd), uintptr(unsafe.Pointer(&in[0])), uintptr(len(in)))
		switch {
		case errno == unix.EINTR:
			continue
		case errno != 0:
			return nil, os.NewSyscallError("read", errno)
		case n == 0:
			return nil, io.ErrUnexpectedEOF
		}
		p.trips = append(p.trips, time.Since(sent))
		return in[:n], nil
	}
}

// finish ends the probe and returns what it has seen.
func (p *probe) finish(b *testing.B) *loadResult {
	b.Helper()
	p.stop.Store(true)
	if err := <-p.ended; err != nil {
		b.Fatal(err)
	}
	unix.Close(p.fd)
	slices.Sort(p.trips)
	return &loadResult{Commands: len(p.trips), trips: p.trips}
}

// askServer sends commands to a server from one connection, which it returns, and
// waits for their replies.
func askServer(b *testing.B, s *server, commands string) (fd int) {
	b.Helper()
	fd, err := dialRaw(s.Addr)
	if err != nil {
		b.Fatal(err)
	}
	if err := converse(fd, commands); err != nil {
		b.Fatal(err)
	}
	return fd
}

const (
	mega = 1 << 20

	// allowance is how much more memory than an empty server one may have when all
	// that it had is gone.
	allowance = 30 * mega
)

// drained is for a server that has been emptied. It returns how long it takes until
// its memory is down to the allowance, at most ten seconds, and how much it has when
// these have passed.
func drained(b *testing.B, s *server, before float64) (took time.Duration, bytes float64) {
	b.Helper()
	const limit = 10 * time.Second
	start := time.Now()
	for residentBytes(b, s) > before+allowance && time.Since(start) < limit {
		time.Sleep(100 * time.Millisecond)
	}
	took = time.Since(start)
	time.Sleep(limit - took)
	return took, residentBytes(b, s)
}

// kernelBytes returns what the kernel has in memory for itself that it could not
// free at once: sockets, above all, and what is in them.
func kernelBytes(b *testing.B) float64 {
	b.Helper()
	text, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		b.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, "SUnreclaim:"); ok {
			kilobytes, err := strconv.Atoi(strings.TrimSuffix(strings.TrimSpace(value), " kB"))
			if err != nil {
				b.Fatal(err)
			}
			return float64(kilobytes << 10)
		}
	}
	b.Fatal("no SUnreclaim in /proc/meminfo")
	return 0
}
