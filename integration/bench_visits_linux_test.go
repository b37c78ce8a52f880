package integration

import (
	"bytes"
	"fmt"
	"io"
	"net/netip"
	"os"
	"runtime"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// BenchmarkVisits has clients connect for each job, as those do that are written
// in PHP: 16 at a time, each with one command under way.
func BenchmarkVisits(b *testing.B) {
	const visitors = 16
	contend := contenders(b)
	t := newTable("x-rate", "x-CPU", "spoked-visits/s", "beanstalkd-visits/s", "spoked-CPU-us/visit", "beanstalkd-CPU-us/visit")
	b.Run(fmt.Sprintf("visitors=%d", visitors), func(b *testing.B) {
		servers := [2]*server{contend[0].start(b), contend[1].start(b)}
		var rate, cpu [2][]float64
		for b.Loop() {
			for range max(1, *rounds) {
				for _, i := range []int{1, 0} {
					before := cpuTime(b, servers[i])
					visits, elapsed, err := visitAll(servers[i].Addr, visitors, 500*time.Millisecond)
					if err != nil {
						b.Fatal(err)
					}
					rate[i] = append(rate[i], float64(visits)/elapsed.Seconds())
					cpu[i] = append(cpu[i], micros(cpuTime(b, servers[i])-before)/float64(visits))
				}
			}
		}
		n := len(rate[0])
		values := []float64{
			median(n, func(i int) float64 { return rate[0][i] / rate[1][i] }),
			median(n, func(i int) float64 { return cpu[0][i] / cpu[1][i] }),
		}
		for _, of := range [][2][]float64{rate, cpu} {
			for _, v := range of {
				values = append(values, median(n, func(i int) float64 { return v[i] }))
			}
		}
		t.row(b, values...)
	})
	t.print(b)
}

// A visitor connects, does the commands of a visit and says quit, and then begins
// the next visit. In turn it puts a job, and reserves and deletes one.
type visitor struct {
	fd     int
	visits int
	step   int
	sent   string
	in     []byte // part of a reply
	id     uint64 // reserved
}

// visitSteps are the commands of a visit; where there are two, of one that brings a
// job and of one that takes a job.
func visitSteps() [][2]string {
	return [][2]string{
		{"use visits\r\n"},
		{"watch visits\r\n"},
		{"ignore default\r\n"},
		{"list-tubes-watched\r\n"},
		{"put 1024 0 60 16\r\nxxxxxxxxxxxxxxxx\r\n", "reserve-with-timeout 0\r\n"},
		{"", "delete"},
		{"quit\r\n"},
	}
}

// visitAll has visitors come and go until limit has passed, and returns how often one
// was there, and how long all of it took.
func visitAll(addr string, visitors int, limit time.Duration) (visits int, elapsed time.Duration, err error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	ap, err := netip.ParseAddrPort(addr)
	if err != nil {
		return 0, 0, err
	}
	to := &unix.SockaddrInet4{Addr: ap.Addr().As4(), Port: int(ap.Port())}
	ep, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return 0, 0, err
	}
	defer unix.Close(ep)
	all, steps := make([]visitor, visitors), visitSteps()
	start := time.Now()
	for i := range all {
		if err := all[i].arrive(ep, i, to, steps); err != nil {
			return 0, 0, err
		}
	}
	in, present := make([]byte, 4096), visitors
	var events [64]unix.EpollEvent
	for present > 0 {
		n, err := unix.EpollWait(ep, events[:], 10_000)
		if err != nil && err != unix.EINTR || n == 0 {
			return 0, 0, fmt.Errorf("waiting for replies: %d, %v", n, err)
		}
		for _, ev := range events[:max(n, 0)] {
			v := &all[ev.Fd]
			gone, err := v.receive(in, steps)
			if err != nil {
				return 0, 0, err
			}
			if !gone {
				continue
			}
			visits++
			if time.Since(start) > limit && v.visits%2 == 0 { // what it brought it has taken
				present--
				continue
			}
			if err := v.arrive(ep, int(ev.Fd), to, steps); err != nil {
				return 0, 0, err
			}
		}
	}
	return visits, time.Since(start), nil
}

// arrive begins a visit.
func (v *visitor) arrive(ep, number int, to unix.Sockaddr, steps [][2]string) (err error) {
	v.fd, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return os.NewSyscallError("socket", err)
	}
	if err := unix.Connect(v.fd, to); err != nil {
		return os.NewSyscallError("connect", err)
	}
	ev := unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(number)}
	if err := unix.EpollCtl(ep, unix.EPOLL_CTL_ADD, v.fd, &ev); err != nil {
		return os.NewSyscallError("epoll_ctl", err)
	}
	v.step, v.in = 0, v.in[:0]
	return v.send(steps)
}

// send sends the command of the step.
func (v *visitor) send(steps [][2]string) error {
	v.sent = steps[v.step][0]
	if two := steps[v.step][1]; two != "" && v.visits%2 == 1 {
		v.sent = two
	}
	switch v.sent {
	case "":
		v.step++
		return v.send(steps)
	case "delete":
		v.sent = "delete " + strconv.FormatUint(v.id, 10) + "\r\n"
	}
	if n, errno := transfer(unix.SYS_WRITE, v.fd, []byte(v.sent)); errno != 0 || n < len(v.sent) {
		return fmt.Errorf("write: %d, %w", n, errno)
	}
	return nil
}

// receive reads a reply and sends the next command. It reports whether that was
// the end of the visit.
func (v *visitor) receive(in []byte, steps [][2]string) (gone bool, err error) {
	n, errno := transfer(unix.SYS_READ, v.fd, in)
	switch {
	case errno != 0:
		return false, os.NewSyscallError("read", errno)
	case n == 0 && v.step == len(steps)-1:
		v.visits++
		return true, os.NewSyscallError("close", unix.Close(v.fd))
	case n == 0:
		return false, io.ErrUnexpectedEOF
	}
	v.in = append(v.in, in[:n]...)
	line, rest, whole := bytes.Cut(v.in, []byte("\r\n"))
	if !whole {
		return false, nil
	}
	word, numbers, _ := bytes.Cut(line, []byte(" "))
	switch string(word) {
	case "RESERVED":
		id, size := leadingNumber(numbers)
		want, _ := leadingNumber(size)
		v.id, whole = id, len(rest) == int(want)+len("\r\n")
	case "OK":
		want, _ := leadingNumber(numbers)
		whole = len(rest) == int(want)+len("\r\n")
	case "USING", "WATCHING", "INSERTED", "DELETED":
	default:
		return false, fmt.Errorf("unexpected reply to %q: %q", v.sent, line)
	}
	if !whole {
		return false, nil
	}
	v.in = v.in[:0]
	v.step++
	return false, v.send(steps)
}
