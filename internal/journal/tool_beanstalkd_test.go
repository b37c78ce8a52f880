package journal_test

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
	"testing"
	"time"
)

// patience is how long to wait for what should happen at once.
const patience = 20 * time.Second

// beanstalkd is one that runs, and a connection to it.
type beanstalkd struct {
	t     *testing.T
	cmd   *exec.Cmd
	ended chan struct{} // closed when it has
	conn  net.Conn
	in    *bufio.Reader
}

// runBeanstalkd runs beanstalkd on a directory until end, or the end of the
// test.
func runBeanstalkd(t *testing.T, path, dir string) *beanstalkd {
	t.Helper()
	short, err := os.MkdirTemp("", "b") // t.TempDir is too long for the name of a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(short) })
	socket := filepath.Join(short, "s")
	b := &beanstalkd{t: t, ended: make(chan struct{})}
	var stderr bytes.Buffer
	b.cmd = exec.Command(path, "-b", dir, "-l", "unix:"+socket)
	b.cmd.Stderr = &stderr
	if err := b.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		b.cmd.Wait()
		close(b.ended)
	}()
	t.Cleanup(b.end)
	for limit := time.Now().Add(patience); ; {
		if b.conn, err = net.Dial("unix", socket); err == nil {
			break
		}
		select {
		case <-b.ended:
			t.Fatalf("beanstalkd ended: %s", &stderr)
		case <-time.After(time.Millisecond):
		}
		if time.Now().After(limit) {
			t.Fatal(err)
		}
	}
	b.conn.SetDeadline(time.Now().Add(patience))
	b.in = bufio.NewReader(b.conn)
	return b
}

// end ends beanstalkd as a crash does.
func (b *beanstalkd) end() {
	b.cmd.Process.Kill()
	<-b.ended
	if b.conn != nil {
		b.conn.Close()
	}
}

// ask sends a command and returns the reply, without the last CR LF.
func (b *beanstalkd) ask(command string) string {
	b.t.Helper()
	io.WriteString(b.conn, command)
	line, err := b.in.ReadString('\n')
	if err != nil {
		b.t.Fatalf("beanstalkd does not answer %q: %v", command, err)
	}
	var id, n int
	if _, err := fmt.Sscanf(line, "FOUND %d %d", &id, &n); err != nil {
		if _, err := fmt.Sscanf(line, "OK %d", &n); err != nil {
			return strings.TrimSuffix(line, "\r\n")
		}
	}
	data := make([]byte, n+2)
	if _, err := io.ReadFull(b.in, data); err != nil {
		b.t.Fatal(err)
	}
	return line + string(data[:n])
}
