package session_test

import (
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"spoked/internal/session"
	"spoked/internal/transcript"
	"spoked/proto"
)

// TestTranscripts plays all transcripts, those that take years included, in
// virtual time, and has every invariant of the engine checked after each move.
func TestTranscripts(t *testing.T) { playAll(t, "transcripts", false) }

// TestStrict plays them with the commands of this server's own left out.
func TestStrict(t *testing.T) { playAll(t, "transcripts", true) }

// TestAdded plays those of these commands.
func TestAdded(t *testing.T) { playAll(t, "added", false) }

func playAll(t *testing.T, dir string, strict bool) {
	scripts, err := transcript.ReadDir(filepath.Join("..", "..", "integration", "testdata", dir))
	if err != nil {
		t.Fatal(err)
	}
	if len(scripts) == 0 {
		t.Fatal("no transcripts")
	}
	for _, version := range []string{"1.13", "1.12"} {
		for _, cut := range []int{0, 1, 7} {
			for _, script := range scripts {
				name := strings.TrimSuffix(filepath.Base(script.Name), ".txt")
				t.Run(fmt.Sprintf("%s/cut%d/%s", version, cut, name), func(t *testing.T) {
					t.Parallel()
					flags := script.Flags
					if strict {
						flags = append(flags[:len(flags):len(flags)], "--strict")
					}
					v := newVirtual(flags, version == "1.12", cut)
					if err := transcript.Run(script, v, "spoked", version, "virtual"); err != nil {
						t.Error(err)
					}
					v.closeAll()
					if err := v.service.Engine().Check(); err != nil {
						t.Error(err)
					}
					if s := v.service.Engine().Stats(); s.Connections != 0 {
						t.Errorf("%d connections left", s.Connections)
					}
				})
			}
		}
	}
}

// virtual is a transcript's view of a service without a server: connections
// are slices, and time passes when the script says so.
type virtual struct {
	service *session.Service
	now     int64
	cut     int // bytes fed at a time; 0: all
	clients map[string]*connection
}

type connection struct {
	session *session.Session
	in, out []byte
	eof     bool // the client has half-closed
	closed  bool // the server has closed
}

func newVirtual(flags []string, compat112 bool, cut int) *virtual {
	opts := session.Options{
		MaxJobSize: proto.DefaultMaxJobSize,
		Compat112:  compat112,
		Strict:     slices.Contains(flags, "--strict"),
		About:      session.About{Server: "spoked", Version: "0.1.0", HTTP: "127.0.0.1:11301"},
		Host: session.Host{
			PID: 1, ID: "0123456789abcdef", Hostname: "host", Version: "#1 SMP", Machine: "x86_64",
			BinlogMaxSize: 10 << 20,
			Usage:         func() (user, system time.Duration) { return time.Second, time.Millisecond },
		},
	}
	if i := slices.Index(flags, "-z"); i >= 0 {
		n, err := strconv.ParseUint(flags[i+1], 10, 32)
		if err != nil {
			panic(err)
		}
		opts.MaxJobSize = uint32(n)
	}
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).UnixNano()
	return &virtual{
		service: session.NewService(now, opts),
		now:     now,
		cut:     cut,
		clients: map[string]*connection{},
	}
}

func (v *virtual) Open(client string) error {
	c := &connection{}
	c.session = v.service.NewSession(c)
	v.clients[client] = c
	return nil
}

func (v *virtual) Send(client string, p []byte) error {
	c := v.clients[client]
	c.in = append(c.in, p...)
	return v.run()
}

func (v *virtual) Shut(client string) error {
	v.clients[client].eof = true
	return v.run()
}

func (v *virtual) Close(client string) error {
	c := v.clients[client]
	delete(v.clients, client)
	if !c.closed {
		c.session.Close(v.now)
	}
	return v.run()
}

func (v *virtual) closeAll() {
	for name := range v.clients {
		v.Close(name)
	}
}

func (v *virtual) Receive(client string, wait bool) ([]byte, error) {
	c := v.clients[client]
	out := c.out
	c.out = nil
	if len(out) == 0 && c.closed {
		return nil, io.EOF
	}
	return out, nil
}

func (v *virtual) Settle() error { return nil }

// Advance lets time pass from one event to the next, as it does for a server
// that is never late.
func (v *virtual) Advance(d time.Duration) error {
	end := v.now + int64(d)
	for {
		at, ok := v.service.Next()
		if !ok || at > end {
			v.now = end
			return v.run()
		}
		v.now = max(v.now, at)
		if err := v.run(); err != nil {
			return err
		}
	}
}

func (v *virtual) Signal(name string) error {
	if name != "USR1" {
		return fmt.Errorf("no signal %q in virtual time", name)
	}
	v.service.Drain()
	return nil
}

// run does what the turns of a server would do, until nothing moves.
func (v *virtual) run() error {
	for moved := true; moved; {
		moved = false
		for v.service.Advance(v.now, 1) {
		}
		v.service.TakeWoken(func(s *session.Session) { v.take(s.Owner.(*connection)) })
		for _, name := range slices.Sorted(maps.Keys(v.clients)) {
			for c := v.clients[name]; v.step(c); {
				moved = true
			}
		}
	}
	return v.service.Engine().Check()
}

// step feeds a connection once and reports whether that changed anything.
func (v *virtual) step(c *connection) bool {
	if c.closed {
		return false
	}
	n := len(c.in)
	if v.cut > 0 {
		n = min(n, v.cut)
	}
	fed, _ := c.session.Feed(v.now, c.in[:n], session.NoLimit)
	c.in = c.in[fed:]
	if c.eof {
		c.session.HalfClose(v.now)
	}
	moved := v.take(c) || fed > 0
	if c.session.Quit() || c.eof && len(c.in) == 0 && !c.session.Waiting() {
		c.session.Close(v.now)
		c.closed = true
		return true
	}
	return moved
}

func (v *virtual) take(c *connection) bool {
	out := c.session.TakeOutput()
	c.out = append(c.out, out...)
	return len(out) > 0
}
