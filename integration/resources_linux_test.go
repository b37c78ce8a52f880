package integration

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestUnreadReplies has clients ask for far more than fits anywhere, and read
// nothing. The server must not store it, and must serve others as ever.
func TestUnreadReplies(t *testing.T) {
	const (
		each = 8        // clients of a kind
		most = 32 << 20 // bytes of memory
	)
	eachTransport(t, func(t *testing.T, s *server) {
		other := connect(t, s)
		large := strings.Repeat("x", 65535)
		id := other.put(large)
		before := residentMemory(t, s.Pid)
		for range each {
			for _, kind := range []string{"peek", "stats", "reserve"} {
				c := connect(t, s)
				var requests string
				switch kind {
				case "peek":
					requests = strings.Repeat(fmt.Sprintf("peek %d\r\n", id), 5_000) // 320 MB of replies
				case "stats":
					requests = strings.Repeat("stats\r\n", 50_000) // 50 MB
				case "reserve":
					own := c.put(large)
					requests = strings.Repeat(fmt.Sprintf("reserve-job %d\r\nrelease %d 0 0\r\n", own, own), 5_000)
				}
				if err := c.Conn.(*net.TCPConn).SetReadBuffer(4096); err != nil {
					t.Fatal(err)
				}
				go func() { _, _ = io.WriteString(c, requests) }() // until it is closed
			}
		}
		// Until all have begun, and nothing more is done.
		executed := func() float64 {
			now := other.stats()
			return now.number(t, "cmd-peek") + now.number(t, "cmd-release")
		}
		for last, same := 0.0, 0; same < 20; {
			if now := executed(); now == last && now > 2*each {
				same++
			} else {
				last, same = now, 0
			}
		}
		if got := residentMemory(t, s.Pid) - before; got > most {
			t.Errorf("got %d KB more memory in use, want %d KB at most", got>>10, most>>10)
		}
		got := other.stats()
		for _, key := range []string{"cmd-peek", "cmd-release"} {
			if n := got.number(t, key); n >= each*5_000 {
				t.Errorf("%s: got %v, want fewer than were asked for", key, n)
			}
		}
	})
}

// TestDescriptorsRunOut has more clients connect than the server may have
// descriptors for. Those it has are served, those it has not wait.
func TestDescriptorsRunOut(t *testing.T) {
	t.Parallel()
	const (
		spare    = 10 // descriptors
		request  = "list-tube-used\r\n"
		reply    = "USING default\r\n"
		complain = "cannot accept connections"
	)
	eachTransport(t, func(t *testing.T, s *server) {
		first := connect(t, s)
		awaitStats(first, stats{"current-connections": "1"})
		files, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", s.Pid))
		if err != nil {
			t.Fatal(err)
		}
		limit := unix.Rlimit{Cur: uint64(len(files) + spare), Max: uint64(len(files) + spare)}
		if err := unix.Prlimit(s.Pid, unix.RLIMIT_NOFILE, &limit, nil); err != nil {
			t.Fatal(err)
		}
		var clients []*client
		for range 3 * spare {
			c := connect(t, s)
			c.send(request)
			clients = append(clients, c)
		}
		await(t, func() error {
			if log := s.Stderr(); !strings.Contains(log, complain) {
				return fmt.Errorf("got log %q, want %q", log, complain)
			}
			return nil
		})

		before := first.stats()
		served := int(before.number(t, "current-connections")) - 1
		if served == 0 || served == len(clients) {
			t.Fatalf("got %d of %d clients connected, want about %d", served, len(clients), spare)
		}
		for _, c := range clients[:served] {
			c.expect(reply)
		}
		const window = 500 * time.Millisecond
		time.Sleep(window)
		used := first.stats().cpu(t) - before.cpu(t)
		if most := window / 4; used > most {
			t.Errorf("got %v of CPU time used in %v, want %v at most", used, window, most)
		}
		if got := strings.Count(s.Stderr(), complain); got != 1 {
			t.Errorf("got %d complaints in the log, want 1:\n%s", got, s.Stderr())
		}

		// Those that wait are served as others leave, in the order they came.
		for i, c := range clients[served:] {
			clients[i].Close()
			c.expect(reply)
		}
	})
}

// TestIdle wants a server to use no CPU time while clients wait and jobs are
// not due.
func TestIdle(t *testing.T) {
	t.Parallel()
	const later, ticks = 100_000, 2 // seconds; and what measuring may cost
	requests := []string{
		"reserve\r\n",
		fmt.Sprintf("reserve-with-timeout %d\r\n", later),
		fmt.Sprintf("put 0 0 %d 1\r\nx\r\nreserve\r\nlist-tube-used\r\n", later),
		strings.Repeat(fmt.Sprintf("put 0 %d 1 1\r\nx\r\n", later), 100),
		fmt.Sprintf("pause-tube default %d\r\n", later),
	}
	eachTransport(t, func(t *testing.T, s *server) {
		for range 20 {
			for i, request := range requests {
				c := connect(t, s)
				c.send(fmt.Sprintf("use idle-%d\r\nwatch idle-%d\r\nignore default\r\n%s", i, i, request))
			}
		}
		awaitStats(connect(t, s), stats{
			"current-waiting": "40", "current-jobs-reserved": "20", "current-jobs-delayed": "2000", "cmd-pause-tube": "20",
		})
		var got int
		for range 3 { // it may have had something to finish
			before := cpuTicks(t, s.Pid)
			time.Sleep(time.Second)
			if got = cpuTicks(t, s.Pid) - before; got <= ticks {
				return
			}
		}
		t.Errorf("got %d ticks of CPU time used in a second, want %d at most", got, ticks)
	})
}

// cpu returns how much CPU time the server has used.
func (s stats) cpu(t *testing.T) time.Duration {
	t.Helper()
	return time.Duration((s.number(t, "rusage-utime") + s.number(t, "rusage-stime")) * float64(time.Second))
}

// cpuTicks returns how much CPU time a process has used, in the kernel's ticks
// of usually 10 ms.
func cpuTicks(t *testing.T, pid int) int {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	// The second field, a name in brackets, may hold blanks; utime and stime
	// are the 14th and 15th.
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	user, err := strconv.Atoi(fields[11])
	system, err2 := strconv.Atoi(fields[12])
	if err := errors.Join(err, err2); err != nil {
		t.Fatal(err)
	}
	return user + system
}

// residentMemory returns how many bytes of memory a process has.
func residentMemory(t *testing.T, pid int) int {
	t.Helper()
	value := processStatus(t, pid, "VmRSS")
	kilobytes, err := strconv.Atoi(strings.TrimSuffix(value, " kB"))
	if err != nil {
		t.Fatal(err)
	}
	return kilobytes << 10
}

// processStatus returns what /proc says of a process under a key.
func processStatus(t *testing.T, pid int, key string) string {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, key+":"); ok {
			return strings.TrimSpace(value)
		}
	}
	t.Fatalf("no %s in the status of process %d", key, pid)
	return ""
}
