package integration

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"spoked/internal/config"
)

// Attacks that servers like this have fallen to, this one on its way included.

// TestUnreadAtPace has a client that does not read its replies wait in a
// reserve with much to be answered behind it. When it has its job, nothing is
// left to do for the server, and it must do nothing.
func TestUnreadAtPace(t *testing.T) {
	const ticks = 5 // hundredths of a second; and what measuring may cost
	eachTransport(t, func(t *testing.T, s *server) {
		boss, worker := connect(t, s), connect(t, s)
		id := boss.put(strings.Repeat("x", 60_000))
		boss.ask(fmt.Sprintf("reserve-job %d\r\n", id), fmt.Sprintf("RESERVED %d 60000\r\n", id))
		boss.expect(strings.Repeat("x", 60_000) + "\r\n")
		worker.send("reserve\r\n" + strings.Repeat(fmt.Sprintf("peek %d\r\n", id), 2000))
		awaitStats(boss, stats{"current-waiting": "1"})
		boss.put("x")
		var got int
		for range 3 { // it may have had something to finish
			before := cpuTicks(t, s.Pid)
			time.Sleep(300 * time.Millisecond)
			if got = cpuTicks(t, s.Pid) - before; got <= ticks {
				return
			}
		}
		t.Errorf("got %d ticks of CPU time used in 300 ms, want %d at most", got, ticks)
	})
}

// TestUrgentData sends a byte of urgent data between two commands while the
// server is held up: a read stops short there, and what follows must not be
// forgotten.
func TestUrgentData(t *testing.T) {
	eachTransport(t, func(t *testing.T, s *server) {
		c := connect(t, s)
		c.ask("list-tube-used\r\n", "USING default\r\n")
		hold := func(sig syscall.Signal) {
			if err := syscall.Kill(s.Pid, sig); err != nil {
				t.Fatal(err)
			}
		}
		hold(syscall.SIGSTOP)
		c.send("list-tube-used\r\n")
		raw, err := c.Conn.(*net.TCPConn).SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		err = raw.Write(func(fd uintptr) bool { return unix.Send(int(fd), []byte("!"), unix.MSG_OOB) == nil })
		if err != nil {
			t.Fatal(err)
		}
		c.send("list-tube-used\r\n")
		hold(syscall.SIGCONT)
		c.expect("USING default\r\nUSING default\r\n")
	})
}

// TestLogReaderGone takes away the reader of the log: that is no reason to end.
func TestLogReaderGone(t *testing.T) {
	t.Parallel()
	launching.Lock()
	port := strconv.Itoa(freePort(t))
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(spokedPath(t), "-V", "-l", "127.0.0.1", "-p", port)
	cmd.Stderr = w
	err = cmd.Start()
	w.Close()
	launching.Unlock()
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		cmd.Process.Kill()
		cmd.Wait()
	}()
	if line, err := bufio.NewReader(r).ReadString('\n'); !strings.Contains(line, "listening") {
		t.Fatalf("got %q (%v), want that it listens", line, err)
	}
	r.Close()
	for range 3 { // each is a line of the log
		c := connectTo(t, "tcp", net.JoinHostPort("127.0.0.1", port))
		c.ask("list-tube-used\r\n", "USING default\r\n")
		c.Close()
	}
}

// TestBusySocket has a second server come to the socket of one that does not
// answer at the moment, and has no room for another connection. It is not dead.
func TestBusySocket(t *testing.T) {
	t.Parallel()
	path := filepath.Join(socketDir(t), "socket")
	first := spawn(t, "-l", "unix:"+path)
	awaitLog(t, first, "listening")
	if err := syscall.Kill(first.Pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	for {
		c, err := net.Dial("unix", path)
		if err != nil {
			break // EAGAIN: the backlog is full
		}
		defer c.Close()
	}
	second := spawn(t, "-l", "unix:"+path)
	second.wantExit(t, config.ExitSocket)
	second.wantStderr(t, "a server is listening on "+path)
}
