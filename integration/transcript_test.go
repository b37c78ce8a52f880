//go:build unix

package integration

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"spoked/internal/transcript"
	"spoked/proto"
)

const (
	// liveLimit is how much time may pass in a transcript for it to be played
	// against a live server. Longer ones are for virtual time only.
	liveLimit = 5 * time.Second

	// patience is how long an expected reply may take. Only a failing test
	// ever waits that long.
	patience = 20 * time.Second
)

// TestTranscriptsReference shows that the transcripts tell the truth.
func TestTranscriptsReference(t *testing.T) {
	t.Parallel()
	playAll(t, "transcripts", referencePath(t), nil, "beanstalkd", "1.12")
}

// TestTranscripts plays the transcripts against spoked, in each of the ways it
// can be run: the bytes on the wire must never depend on that.
func TestTranscripts(t *testing.T) {
	t.Parallel()
	for _, version := range []string{"1.13", "1.12"} {
		for _, args := range transports {
			if version == "1.12" {
				args += " --compat 1.12"
			}
			t.Run(args, func(t *testing.T) {
				t.Parallel()
				playAll(t, "transcripts", spokedPath(t), strings.Fields(args), "spoked", version)
			})
		}
	}
	t.Run("strict", func(t *testing.T) {
		t.Parallel()
		playAll(t, "transcripts", spokedPath(t), []string{"--strict"}, "spoked", "1.13")
	})
}

// TestAddedCommands plays those of the commands that beanstalkd does not have.
func TestAddedCommands(t *testing.T) {
	t.Parallel()
	for _, args := range transports {
		t.Run(args, func(t *testing.T) {
			t.Parallel()
			playAll(t, "added", spokedPath(t), strings.Fields(args), "spoked", "1.13")
		})
	}
}

// TestProtocolPage plays the examples of docs/protocol.md against spoked, and those that
// have no command of its own against beanstalkd.
func TestProtocolPage(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile(filepath.Join("..", "docs", "protocol.md"))
	if err != nil {
		t.Fatal(err)
	}
	examples, err := transcript.Page("protocol.md", string(page))
	if err != nil {
		t.Fatal(err)
	}
	var shared, ours []*transcript.Script
	for _, script := range examples {
		sent := strings.Join(script.Sent(), "\n") + "\n"
		theirs := true
		for op := range proto.Op(proto.NumOps) {
			theirs = theirs && !(op.Added() && strings.Contains(sent, op.String()))
		}
		if strings.Contains(sent, "stats") || strings.Contains(sent, "capabilities") {
			continue // they tell about the server, and all connections
		}
		if ours = append(ours, script); theirs {
			shared = append(shared, script)
		}
	}
	t.Run("spoked", func(t *testing.T) {
		t.Parallel()
		playScripts(t, ours, spokedPath(t), nil, "spoked", "1.13")
	})
	t.Run("beanstalkd", func(t *testing.T) {
		t.Parallel()
		playScripts(t, shared, referencePath(t), nil, "beanstalkd", "1.12")
	})
}

// playAll plays every transcript of a directory against a server process of its own.
func playAll(t *testing.T, dir, command string, args []string, tags ...string) {
	scripts, err := transcript.ReadDir(filepath.Join("testdata", dir))
	if err != nil {
		t.Fatal(err)
	}
	if len(scripts) == 0 {
		t.Fatal("no transcripts")
	}
	playScripts(t, scripts, command, args, tags...)
}

func playScripts(t *testing.T, scripts []*transcript.Script, command string, args []string, tags ...string) {
	for _, script := range scripts {
		if script.Duration() > liveLimit {
			continue
		}
		name := strings.TrimSuffix(filepath.Base(script.Name), ".txt")
		if name == "stats" && slices.Contains(tags, "journal") {
			continue // it has the figures of none
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const tries = 10 // a busy machine lets more time pass than the script says
			for try := range tries {
				args := append(args[:len(args):len(args)], script.Flags...)
				if slices.Contains(tags, "journal") {
					args = append(args, "-b", t.TempDir())
				}
				s := startServer(t, command, args...)
				err := play(s, script, tags)
				if err == nil {
					return
				}
				if try == tries-1 {
					t.Errorf("%v\nstandard error of %s:\n%s", err, s.cmd, s.Stderr())
				}
			}
		})
	}
}

func play(s *server, script *transcript.Script, tags []string) error {
	d, err := newLive(s)
	if err != nil {
		return err
	}
	d.journal = slices.Contains(tags, "journal")
	defer d.close()
	return transcript.Run(script, d, append(tags[:len(tags):len(tags)], "live")...)
}

// live is a transcript's view of a running server.
type live struct {
	server  *server
	clients map[string]*net.TCPConn
	probe   *net.TCPConn
	hungUp  bool // somebody has, since the last Settle
	journal bool // the server has one, of which jobs are in the first segment
}

// newLive connects to a server. The driver keeps one connection of its own.
func newLive(s *server) (*live, error) {
	d := &live{
		server:  s,
		clients: make(map[string]*net.TCPConn),
		hungUp:  true, // startServer has, which connected to see if it can
	}
	var err error
	d.probe, err = d.dial()
	return d, err
}

func (d *live) dial() (*net.TCPConn, error) {
	conn, err := net.Dial("tcp", d.server.Addr)
	if err != nil {
		return nil, err
	}
	return conn.(*net.TCPConn), nil
}

func (d *live) close() {
	d.probe.Close()
	for _, conn := range d.clients {
		conn.Close()
	}
}

func (d *live) Open(client string) error {
	conn, err := d.dial()
	if err != nil {
		return err
	}
	d.clients[client] = conn
	return nil
}

func (d *live) Send(client string, p []byte) error {
	_, err := d.clients[client].Write(p)
	return err
}

func (d *live) Shut(client string) error {
	d.hungUp = true
	return d.clients[client].CloseWrite()
}

func (d *live) Close(client string) error {
	err := d.clients[client].Close()
	delete(d.clients, client)
	d.hungUp = true
	return err
}

func (d *live) Receive(client string, wait bool) ([]byte, error) {
	timeout := time.Millisecond // Settle has waited for what is to come
	if wait {
		timeout = patience
	}
	conn := d.clients[client]
	if err := conn.SetReadDeadline(time.Now().Add(timeout)); err != nil {
		return nil, err
	}
	buf := make([]byte, 128<<10)
	n, err := conn.Read(buf)
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		err = nil
	case errors.Is(err, syscall.ECONNRESET):
		// A server that closes with bytes unread resets the connection.
		err = io.EOF
	}
	if d.journal { // the transcripts are without one
		copy(buf, bytes.ReplaceAll(buf[:n], []byte("\nfile: 1\n"), []byte("\nfile: 0\n")))
	}
	return buf[:n], err
}

// Settle asks something on a connection of its own: a server that answers this
// has got round to what was sent before it, or nearly so. The network does not
// keep order between connections, and a server may need several turns for one
// thing and serve others in between. So Settle asks again after a moment, a
// longer one after a hang-up, which no reply ever confirms.
func (d *live) Settle() error {
	const turns = 3
	moment := time.Millisecond
	if d.hungUp {
		moment = 10 * time.Millisecond
		d.hungUp = false
	}
	for range turns {
		if err := d.ask(); err != nil {
			return err
		}
		time.Sleep(moment)
	}
	return nil
}

func (d *live) ask() error {
	const question, answer = "settled?\r\n", "UNKNOWN_COMMAND\r\n"
	if err := d.probe.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	if _, err := io.WriteString(d.probe, question); err != nil {
		return err
	}
	got := make([]byte, len(answer))
	if _, err := io.ReadFull(d.probe, got); err != nil {
		return fmt.Errorf("the server does not answer: %w", err)
	}
	if string(got) != answer {
		return fmt.Errorf("the server answers %q with %q", question, got)
	}
	return nil
}

func (d *live) Advance(t time.Duration) error {
	time.Sleep(t)
	return nil
}

func (d *live) Signal(name string) error {
	signals := map[string]syscall.Signal{"USR1": syscall.SIGUSR1}
	sig, ok := signals[name]
	if !ok {
		return fmt.Errorf("unknown signal %q", name)
	}
	if err := syscall.Kill(d.server.Pid, sig); err != nil {
		return err
	}
	// Nothing tells when a process has taken note of a signal.
	time.Sleep(50 * time.Millisecond)
	return nil
}
