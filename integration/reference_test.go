//go:build unix

// Package integration looks at spoked from outside: it builds the program, runs
// it and talks to it, as it does to a real beanstalkd where one is installed.
package integration

import (
	"bytes"
	"flag"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// spoked is the server under test, built once for all tests.
var spoked struct {
	path string
	err  error
}

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(runTests(m))
}

func runTests(m *testing.M) int {
	// Most of these tests wait for a server or for time to pass, so many more
	// of them can run side by side than there are processors.
	parallel := "32"
	flag.Visit(func(f *flag.Flag) {
		if f.Name == "test.parallel" {
			parallel = f.Value.String()
		}
	})
	if err := flag.Set("test.parallel", parallel); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}

	dir, err := os.MkdirTemp("", "spoked-integration-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	defer os.RemoveAll(dir)
	spoked.path = filepath.Join(dir, "spoked")
	args := []string{"build", "-o", spoked.path}
	if raceDetector {
		args = append(args, "-race")
	}
	if out, err := exec.Command("go", append(args, "../cmd/spoked")...).CombinedOutput(); err != nil {
		spoked.err = fmt.Errorf("building spoked: %v\n%s", err, out)
	}
	return m.Run()
}

// spokedPath returns the path of the spoked that was built for these tests.
func spokedPath(t testing.TB) string {
	t.Helper()
	if spoked.err != nil {
		t.Fatal(spoked.err)
	}
	return spoked.path
}

// transports are the ways in which spoked can serve, as arguments.
var transports = []string{"--transport epoll", "--transport epoll --loops 2", "--transport net"}

// referencePath returns the path of the beanstalkd that spoked is compared with.
func referencePath(t testing.TB) string {
	t.Helper()
	path, err := exec.LookPath("beanstalkd")
	if err != nil {
		t.Skip("no beanstalkd to compare with (apt-get install beanstalkd): ", err)
	}
	out, err := exec.Command(path, "-v").Output()
	if want := "beanstalkd 1.12\n"; err != nil || string(out) != want {
		t.Skipf("%s -v says %q (%v), and the transcripts are about %q", path, out, err, want)
	}
	return path
}

// A server is a running server process.
type server struct {
	Addr string
	Pid  int

	cmd    *exec.Cmd
	stderr output
	ended  chan struct{} // closed when the process has ended; err is set then
	err    error
	ending atomic.Bool // the test wants it to end
}

// startServer starts a server on a free port of 127.0.0.1 and returns when it
// listens. The process is killed when the test is over, and if it has ended
// before that without being told to, the test fails.
func startServer(t testing.TB, command string, args ...string) *server {
	t.Helper()
	s := launch(t, command, args)
	t.Cleanup(func() {
		select {
		case <-s.ended:
			if !s.ending.Load() {
				t.Errorf("%s ended by itself: %v\n%s", s.cmd, s.err, s.Stderr())
			}
		default:
		}
	})
	if err := s.awaitListening(); err != nil {
		s.ending.Store(true) // that it ended need not be said twice
		t.Fatalf("%s: %v\n%s", s.cmd, err, s.Stderr())
	}
	return s
}

// launching is held while a port is tried out and while a process starts. From
// fork to exec, a new process has a copy of every socket that is open here, and
// would keep the port from the server it was tried out for.
var launching sync.Mutex

// launch starts the process of a server on a free port.
func launch(t testing.TB, command string, args []string) *server {
	t.Helper()
	launching.Lock()
	defer launching.Unlock()
	port := strconv.Itoa(freePort(t))
	s := start(t, exec.Command(command, append([]string{"-l", "127.0.0.1", "-p", port}, args...)...))
	s.Addr = net.JoinHostPort("127.0.0.1", port)
	return s
}

// start starts the process of a server, which is killed when the test is over.
// launching is held. Without a flag that says otherwise it serves no HTTP: of many
// servers only one can have the usual address.
func start(t testing.TB, cmd *exec.Cmd) *server {
	t.Helper()
	cmd.Env = append(cmd.Environ(), "SPOKED_HTTP=off")
	s := &server{cmd: cmd, ended: make(chan struct{})}
	cmd.Stderr = &s.stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	s.Pid = cmd.Process.Pid
	go func() {
		s.err = cmd.Wait()
		close(s.ended)
	}()
	t.Cleanup(func() {
		_ = s.Stop(os.Kill) // it may have ended already
		if strings.Contains(s.Stderr(), "DATA RACE") {
			t.Errorf("%s:\n%s", s.cmd, s.Stderr())
		}
	})
	return s
}

func (s *server) awaitListening() error {
	deadline := time.After(10 * time.Second)
	for {
		conn, err := net.Dial("tcp", s.Addr)
		if err == nil {
			return conn.Close()
		}
		select {
		case <-s.ended:
			return fmt.Errorf("ended before it listened: %v", s.err)
		case <-deadline:
			return fmt.Errorf("does not listen: %v", err)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// Stop sends the process a signal that ends it, waits until it has ended, and
// returns what Wait said.
func (s *server) Stop(sig os.Signal) error {
	s.ending.Store(true)
	if err := s.cmd.Process.Signal(sig); err != nil {
		return err
	}
	<-s.ended
	return s.err
}

// Stderr returns what the process has written to its standard error so far.
func (s *server) Stderr() string { return s.stderr.String() }

// freePort finds a port for a server, and keeps others from finding it until the
// test is over. A port from the kernel could be given to somebody else, perhaps
// to a client as its own, before the server has it; so ports come from below the
// range for that, and the UDP port of the same number is the sign that one is
// taken, for other test processes as well.
func freePort(t testing.TB) int {
	t.Helper()
	const first, count, tries = 20000, 12000, 1000
	for range tries {
		port := first + rand.IntN(count)
		addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
		sign, err := net.ListenPacket("udp", addr)
		if err != nil {
			continue
		}
		l, err := net.Listen("tcp", addr)
		if err != nil {
			sign.Close()
			continue
		}
		l.Close()
		t.Cleanup(func() { sign.Close() })
		return port
	}
	t.Fatal("no free port")
	return 0
}

// output is a buffer that may be read while a process writes to it.
type output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}
