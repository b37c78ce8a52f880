//go:build unix

package integration

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"spoked/internal/config"
)

// TestStop has signals end the server. A client that is owed replies gets them
// before the end, and none of them in part.
func TestStop(t *testing.T) {
	t.Parallel()
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		t.Run(sig.String(), func(t *testing.T) {
			t.Parallel()
			for _, args := range transports {
				t.Run(args, func(t *testing.T) {
					t.Parallel()
					s := startServer(t, spokedPath(t), strings.Fields(args)...)
					waiting := connect(t, s)
					waiting.ask("watch nothing\r\nignore default\r\n", "WATCHING 2\r\nWATCHING 1\r\n")
					waiting.send("reserve-with-timeout 1000\r\n")
					awaitStats(connect(t, s), stats{"current-waiting": "1"})
					owed, reply := connectOwed(t, s)

					s.ending.Store(true)
					s.signal(t, sig)
					awaitLog(t, s, "stopping")
					waiting.expectEnd()
					if _, err := net.Dial("tcp", s.Addr); err == nil {
						t.Error("got a connection to a server that stops")
					}
					got := owed.rest()
					if n := len(got) / len(reply); n == 0 || got != strings.Repeat(reply, n) {
						t.Errorf("got %d bytes, want one or more replies of %d bytes", len(got), len(reply))
					}
					s.wantExit(t, 0)
				})
			}
		})
	}
}

// TestStopAtOnce has a second signal end a server that waits for a client to
// read.
func TestStopAtOnce(t *testing.T) {
	t.Parallel()
	for _, args := range transports {
		t.Run(args, func(t *testing.T) {
			t.Parallel()
			s := startServer(t, spokedPath(t), strings.Fields(args)...)
			connectOwed(t, s)
			s.ending.Store(true)
			s.signal(t, syscall.SIGTERM)
			awaitLog(t, s, "stopping")
			s.signal(t, syscall.SIGTERM)
			s.wantExit(t, 0)
			awaitLog(t, s, "stopping at once")
		})
	}
}

// connectOwed returns a client that has asked for more than the connection
// holds and read nothing, and the reply that is repeated. The connection is
// made to hold little, so that a slow machine carries the rest in a fraction of
// the time that a stopping server allows.
func connectOwed(t *testing.T, s *server) (c *client, reply string) {
	t.Helper()
	const n = 100
	c = connect(t, s)
	if err := c.Conn.(*net.TCPConn).SetReadBuffer(64 << 10); err != nil {
		t.Fatal(err)
	}
	body := strings.Repeat("x", 65535)
	id := c.put(body)
	c.send(strings.Repeat(fmt.Sprintf("peek %d\r\n", id), n))
	probe, last := connect(t, s), ""
	await(t, func() error {
		got := probe.stats()["cmd-peek"]
		if got == "0" || got != last {
			last = got
			return fmt.Errorf("got %s peeks executed, and more to come", got)
		}
		return nil
	})
	if last == strconv.Itoa(n) {
		t.Fatalf("got all of %d peeks answered, want less", n)
	}
	return c, fmt.Sprintf("FOUND %d %d\r\n%s\r\n", id, len(body), body)
}

// TestDrain has a signal refuse puts, for good.
func TestDrain(t *testing.T) {
	t.Parallel()
	for _, args := range transports {
		t.Run(args, func(t *testing.T) {
			t.Parallel()
			s := startServer(t, spokedPath(t), strings.Fields(args)...)
			c := connect(t, s)
			id := c.put("before")
			s.signal(t, syscall.SIGUSR1)
			awaitStats(c, stats{"draining": "true"})
			c.ask("put 0 0 60 5\r\nafter\r\n", "DRAINING\r\n")
			c.ask("reserve\r\n", fmt.Sprintf("RESERVED %d 6\r\nbefore\r\n", id))
			c.ask(fmt.Sprintf("release %d 0 0\r\n", id), "RELEASED\r\n")
			c.ask(fmt.Sprintf("delete %d\r\n", id), "DELETED\r\n")
		})
	}
}

func TestUnixSocket(t *testing.T) {
	t.Parallel()
	for _, args := range transports {
		t.Run(args, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(socketDir(t), "socket")
			serve := func() *server { return spawn(t, append(strings.Fields(args), "-l", "unix:"+path)...) }
			ask := func() { connectTo(t, "unix", path).ask("list-tube-used\r\n", "USING default\r\n") }

			first := serve()
			awaitLog(t, first, "listening")
			ask()

			second := serve()
			second.wantExit(t, config.ExitSocket)
			second.wantStderr(t, "a server is listening on "+path)
			ask() // of the first

			if err := first.Stop(os.Kill); err == nil {
				t.Fatal("got exit code 0 of a server killed")
			}
			third := serve()
			awaitLog(t, third, "listening")
			ask()
		})
	}
}

// TestUnixSocketPath tries paths where there can be no socket, and the longest
// where there can be one.
func TestUnixSocketPath(t *testing.T) {
	t.Parallel()
	const longest = 107
	dir := socketDir(t)
	fill := func(n int) string { return filepath.Join(dir, strings.Repeat("x", n-len(dir)-1)) }

	awaitLog(t, spawn(t, "-l", "unix:"+fill(longest)), "listening")
	tests := []struct{ path, want string }{
		{fill(longest + 1), "is too long (108 characters), where maximum allowed is 107"},
		{dir, "another file already exists in the given path: " + dir},
		{filepath.Join(dir, "file"), "another file already exists in the given path"},
		{filepath.Join(dir, "nowhere", "socket"), "no such file or directory"},
	}
	if err := os.WriteFile(filepath.Join(dir, "file"), []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range tests {
		s := spawn(t, "-l", "unix:"+test.path)
		s.wantExit(t, config.ExitSocket)
		s.wantStderr(t, test.want)
	}
	if got, err := os.ReadFile(filepath.Join(dir, "file")); string(got) != "precious" {
		t.Errorf("got %q (%v) in the file that was in the way, want it as it was", got, err)
	}
}

func TestCannotListen(t *testing.T) {
	t.Parallel()
	_, port, err := net.SplitHostPort(startServer(t, spokedPath(t)).Addr)
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct{ host, port, want string }{
		{"127.0.0.1", port, "address already in use"},
		{"192.0.2.1", "0", "cannot assign requested address"}, // an address for examples
		{"no..host", "0", "no such host"},
	}
	for _, test := range tests {
		s := spawn(t, "-l", test.host, "-p", test.port)
		s.wantExit(t, config.ExitSocket)
		s.wantStderr(t, test.want)
	}
}

// TestInherit hands sockets over as systemd does.
func TestInherit(t *testing.T) {
	t.Parallel()
	for _, args := range transports {
		for _, network := range []string{"tcp", "unix"} {
			t.Run(args+" "+network, func(t *testing.T) {
				t.Parallel()
				address := "127.0.0.1:0"
				if network == "unix" {
					address = filepath.Join(socketDir(t), "socket")
				}
				l, err := net.Listen(network, address)
				if err != nil {
					t.Fatal(err)
				}
				defer l.Close()
				f, err := l.(interface{ File() (*os.File, error) }).File()
				if err != nil {
					t.Fatal(err)
				}
				s := spawnWith(t, []*os.File{f}, append(strings.Fields(args), "-l", "192.0.2.1", "-p", "1")...)
				connectTo(t, network, l.Addr().String()).ask("list-tube-used\r\n", "USING default\r\n")
				awaitLog(t, s, "inherited listen fd; ignoring option: -l 192.0.2.1")
				awaitLog(t, s, "inherited listen fd; ignoring option: -p 1")
			})
		}
	}
	t.Run("two", func(t *testing.T) {
		t.Parallel()
		var files []*os.File
		var address string
		for range 2 {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			f, err := l.(*net.TCPListener).File()
			if err := errors.Join(err, l.Close()); err != nil {
				t.Fatal(err)
			}
			if files == nil {
				address = l.Addr().String()
			}
			files = append(files, f)
		}
		s := spawnWith(t, files)
		connectTo(t, "tcp", address).ask("list-tube-used\r\n", "USING default\r\n")
		awaitLog(t, s, "inherited more than one listen socket; ignoring all but the first")
	})
	t.Run("no socket", func(t *testing.T) {
		t.Parallel()
		f, err := os.Open(os.DevNull)
		if err != nil {
			t.Fatal(err)
		}
		s := spawnWith(t, []*os.File{f})
		s.wantExit(t, config.ExitSocket)
		s.wantStderr(t, "inherited fd is not a TCP or UNIX listening socket")
	})
}

func TestMaxJobSize(t *testing.T) {
	t.Parallel()
	s := startServer(t, spokedPath(t), "-z", "10")
	c := connect(t, s)
	c.ask("put 0 0 60 10\r\n0123456789\r\nput 0 0 60 11\r\n01234567890\r\n", "INSERTED 1\r\nJOB_TOO_BIG\r\n")
	awaitStats(c, stats{"max-job-size": "10"})

	s = startServer(t, spokedPath(t), "-z", "1073741825")
	awaitLog(t, s, "maximum job size was set to 1073741824")
	awaitStats(connect(t, s), stats{"max-job-size": "1073741824"})
}

func TestEnvironment(t *testing.T) {
	t.Parallel()
	launching.Lock()
	port := strconv.Itoa(freePort(t))
	cmd := exec.Command(spokedPath(t))
	cmd.Env = append(os.Environ(), "SPOKED_PORT="+port, "SPOKED_LISTEN=192.0.2.1", "SPOKED_MAX_JOB_SIZE=7", "SPOKED_NOTHING=1")
	cmd.Args = append(cmd.Args, "-l", "127.0.0.1") // beats the variable
	s := start(t, cmd)
	launching.Unlock()
	s.Addr = net.JoinHostPort("127.0.0.1", port)
	awaitLog(t, s, "listening")
	awaitLog(t, s, "ignoring unknown variable: SPOKED_NOTHING")
	awaitStats(connect(t, s), stats{"max-job-size": "7"})
}

// TestLog wants to read of everything that was asked for, and of no more.
func TestLog(t *testing.T) {
	t.Parallel()
	tests := []struct {
		flags string
		want  []string // messages; those of a client's visit
	}{
		{"", nil},
		{"-V", []string{"accepted", "closed"}},
		{"-VV", []string{"accepted", "command", "command", "closed"}},
	}
	for _, args := range transports {
		for _, test := range tests {
			t.Run(args+" "+test.flags, func(t *testing.T) {
				t.Parallel()
				s := startServer(t, spokedPath(t), strings.Fields(args+" --log-format json "+test.flags)...)
				awaitLog(t, s, "listening")
				if test.want != nil {
					awaitLog(t, s, "closed") // the connection by which startServer knows
				}
				begin := len(s.Stderr())

				c := connect(t, s)
				c.ask("list-tube-used\r\nnonsense\r\n", "USING default\r\nUNKNOWN_COMMAND\r\n")
				c.Close()
				await(t, func() error {
					var got []string
					for line := range strings.Lines(s.Stderr()[begin:]) {
						var event struct{ Level, TS, Msg string }
						if err := json.Unmarshal([]byte(line), &event); err != nil {
							return fmt.Errorf("%s: %w", line, err)
						}
						if event.Level == "" || event.TS == "" {
							return fmt.Errorf("%s: no level or time", line)
						}
						got = append(got, event.Msg)
					}
					if !slices.Equal(got, test.want) {
						return fmt.Errorf("got events %q, want %q", got, test.want)
					}
					return nil
				})
			})
		}
	}
}

func TestAnswers(t *testing.T) {
	t.Parallel()
	tests := []struct {
		args           []string
		code           int
		stdout, stderr string // the first lines
	}{
		{[]string{"-v"}, config.ExitOK, "spoked " + config.Version + " (beanstalkd protocol 1.13)\n", ""},
		{[]string{"-p", "65536"}, config.ExitUsage, "", "spoked: invalid port: 65536\n"},
	}
	for _, test := range tests {
		var stdout, stderr bytes.Buffer
		cmd := exec.Command(spokedPath(t), test.args...)
		cmd.Args[0], cmd.Stdout, cmd.Stderr = "spoked", &stdout, &stderr
		if err := cmd.Run(); cmd.ProcessState == nil {
			t.Fatal(err)
		}
		if got := cmd.ProcessState.ExitCode(); got != test.code {
			t.Errorf("%q: got exit code %d, want %d", test.args, got, test.code)
		}
		for _, out := range []struct{ got, want string }{{stdout.String(), test.stdout}, {stderr.String(), test.stderr}} {
			if first, _, _ := strings.Cut(out.got, "\n"); first != strings.TrimSuffix(out.want, "\n") {
				t.Errorf("%q: got %q, want %q first", test.args, out.got, out.want)
			}
		}
	}
}

// spawn starts spoked with these arguments and no others. It may end.
func spawn(t *testing.T, args ...string) *server {
	t.Helper()
	launching.Lock()
	defer launching.Unlock()
	return start(t, exec.Command(spokedPath(t), args...))
}

// spawnWith is spawn with sockets to listen on, which it closes here.
func spawnWith(t *testing.T, sockets []*os.File, args ...string) *server {
	t.Helper()
	script := fmt.Sprintf(`LISTEN_PID=$$ LISTEN_FDS=%d exec "$0" "$@"`, len(sockets))
	cmd := exec.Command("sh", append([]string{"-c", script, spokedPath(t)}, args...)...)
	cmd.ExtraFiles = sockets
	launching.Lock()
	defer launching.Unlock()
	s := start(t, cmd)
	for _, f := range sockets {
		f.Close()
	}
	return s
}

// socketDir returns a temporary directory with a path short enough for a
// socket.
func socketDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "spoked-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func awaitLog(t *testing.T, s *server, want string) {
	t.Helper()
	await(t, func() error {
		if got := s.Stderr(); !strings.Contains(got, want) {
			return fmt.Errorf("got log %q, want %q", got, want)
		}
		return nil
	})
}

// wantStderr is awaitLog for a process that has ended: what it has written is
// known then.
func (s *server) wantStderr(t *testing.T, want string) {
	t.Helper()
	if got := s.Stderr(); !strings.Contains(got, want) {
		t.Errorf("got %q on stderr, want %q", got, want)
	}
}

func (s *server) signal(t *testing.T, sig os.Signal) {
	t.Helper()
	if err := s.cmd.Process.Signal(sig); err != nil {
		t.Fatal(err)
	}
}

// wantExit waits until the process has ended.
func (s *server) wantExit(t *testing.T, want int) {
	t.Helper()
	select {
	case <-s.ended:
	case <-time.After(patience):
		t.Fatalf("%s has not ended:\n%s", s.cmd, s.Stderr())
	}
	if got := s.cmd.ProcessState.ExitCode(); got != want {
		t.Errorf("%s: got exit code %d, want %d:\n%s", s.cmd, got, want, s.Stderr())
	}
}
