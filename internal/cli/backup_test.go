//go:build unix

package cli_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// patience is how long to wait for what should happen at once.
const patience = 20 * time.Second

// serve runs a server on a directory, and returns a function that sends a
// command and returns the line that answers it, and one that stops the server.
func serve(t *testing.T, dir string) (ask func(string) string, stop func() string) {
	t.Helper()
	short, err := os.MkdirTemp("", "s") // t.TempDir is too long for the name of a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(short) })
	socket := filepath.Join(short, "s")
	var log bytes.Buffer
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "TEST_SERVE="+dir, "TEST_SOCKET="+socket)
	cmd.Stderr = &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		cmd.Wait()
		close(ended)
	}()
	t.Cleanup(func() {
		cmd.Process.Kill()
		<-ended
	})
	var conn net.Conn
	for limit := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		if conn, err = net.Dial("unix", socket); err == nil {
			break
		}
		if time.Now().After(limit) {
			t.Fatalf("%v: %s", err, &log)
		}
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(patience))
	in := bufio.NewReader(conn)
	ask = func(command string) string {
		t.Helper()
		io.WriteString(conn, command+"\r\n")
		line, err := in.ReadString('\n')
		if err != nil {
			t.Fatalf("%q: %v", command, err)
		}
		return strings.TrimSpace(line)
	}
	return ask, func() string {
		cmd.Process.Signal(syscall.SIGTERM)
		<-ended
		return log.String()
	}
}

// TestBackup copies the journal of a server that goes on, and starts another
// with the copy.
func TestBackup(t *testing.T) {
	dir, top := t.TempDir(), t.TempDir()
	ask, stop := serve(t, dir)
	if got, want := ask("put 1 0 60 5\r\nhello"), "INSERTED 1"; got != want {
		t.Fatalf("got %q, want %q", got, want)
	}
	code, stdout, stderr := run(t, []string{"backup", "-b", dir, top + "/one"}, nil)
	if code != 0 || stderr != "" || !strings.HasPrefix(stdout, "copied 1 segments, ") ||
		!strings.HasSuffix(stdout, fmt.Sprintf("to %s/one; to restore it: spoked -b %[1]s/one\n", top)) {
		t.Fatalf("got exit code %d, stdout %q, stderr %q", code, stdout, stderr)
	}
	if got, want := ask("put 1 0 60 5\r\nworld"), "INSERTED 2"; got != want {
		t.Fatalf("got %q, want %q", got, want)
	}
	code, _, stderr = run(t, []string{"backup", top + "/one"}, []string{"SPOKED_JOURNAL=" + dir})
	if code != 1 || !strings.Contains(stderr, "the server says: ") || !strings.Contains(stderr, "is not empty") {
		t.Errorf("over another copy: got exit code %d, stderr %q", code, stderr)
	}

	for _, command := range []string{"check " + dir, "repair " + dir + " " + top + "/new", "export " + dir + " " + top + "/new"} {
		code, _, stderr := run(t, append([]string{"journal"}, strings.Fields(command)...), nil)
		if code != 10 || !strings.Contains(stderr, "another server uses it; stop it first, or copy the journal with `spoked backup -b "+dir+" COPY`") {
			t.Errorf("%s: got exit code %d, stderr %q", command, code, stderr)
		}
	}
	if code, stdout, _ := run(t, []string{"journal", "stat", dir}, nil); code != 0 || !strings.Contains(stdout, "server     is using it\n") {
		t.Errorf("stat: got exit code %d, stdout %q", code, stdout)
	}

	// Without the socket, nobody can be asked, and the journal is in use.
	if err := os.Remove(filepath.Join(dir, "control")); err != nil {
		t.Fatal(err)
	}
	code, _, stderr = run(t, []string{"backup", "-b", dir, top + "/two"}, nil)
	if code != 10 || !strings.Contains(stderr, "another server uses it, and cannot be asked for a copy: no server answers on "+dir) {
		t.Errorf("without the socket: got exit code %d, stderr %q", code, stderr)
	}
	if log := stop(); !strings.Contains(log, "backed up") || !strings.Contains(log, "backup failed") {
		t.Errorf("got the log\n%s", log)
	}

	if code, _, stderr := run(t, []string{"backup", "-b" + dir, top + "/two"}, nil); code != 0 {
		t.Errorf("of a server that was stopped: got exit code %d, stderr %q", code, stderr)
	}
	for copied, next := range map[string]string{"one": "INSERTED 2", "two": "INSERTED 3"} {
		ask, _ := serve(t, filepath.Join(top, copied))
		if got, want := ask("put 1 0 60 1\r\nx"), next; got != want {
			t.Errorf("%s: got %q, want %q", copied, got, want)
		}
	}
}
