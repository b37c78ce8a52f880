package top

import (
	"context"
	"fmt"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A terminal is one end of a pseudo terminal; the program has the other.
type terminal struct {
	t    *testing.T
	tty  *os.File // the program's
	here *os.File

	mu   sync.Mutex
	text strings.Builder // all that has been written to it
}

func newTerminal(t *testing.T, width, height uint16) *terminal {
	t.Helper()
	here, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skip(err)
	}
	n, err := unix.IoctlGetInt(int(here.Fd()), unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(int(here.Fd()), unix.TIOCSPTLCK, 0)
	}
	if err == nil {
		err = unix.IoctlSetWinsize(int(here.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: height, Col: width})
	}
	if err != nil {
		t.Fatal(err)
	}
	tty, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	x := &terminal{t: t, tty: tty, here: here}
	read := make(chan struct{})
	go func() {
		defer close(read)
		b := make([]byte, 4096)
		for {
			n, err := here.Read(b)
			x.mu.Lock()
			x.text.Write(b[:n])
			x.mu.Unlock()
			if err != nil {
				return
			}
		}
	}()
	t.Cleanup(func() {
		tty.Close() // the last that has it open: the reader gets an error
		<-read
		here.Close()
	})
	return x
}

func (x *terminal) written() string {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.text.String()
}

// await waits until text has been written in one piece, which of what is on the screen
// can be said of its first picture alone: later only what changes is written.
func (x *terminal) await(text string) {
	x.t.Helper()
	for end := time.Now().Add(20 * time.Second); !strings.Contains(x.written(), text); {
		if time.Now().After(end) {
			got := x.written()
			x.t.Fatalf("got %.2000q (%d bytes), want %q in it", got, len(got), text)
		}
		time.Sleep(time.Millisecond)
	}
}

func (x *terminal) press(keys string) {
	if _, err := x.here.WriteString(keys); err != nil {
		x.t.Fatal(err)
	}
}

// run runs it on the terminal.
func (x *terminal) run(ctx context.Context, source Source, env ...string) <-chan error {
	ended := make(chan error, 1)
	go func() {
		ended <- Run(ctx, Options{
			Source: source, Address: "db:11300", Interval: 50 * time.Millisecond, Input: x.tty, Output: x.tty,
			Env: append([]string{"TERM=xterm-256color"}, env...),
		})
	}()
	return ended
}

func (x *terminal) wantEnd(ended <-chan error) {
	x.t.Helper()
	select {
	case err := <-ended:
		if err != nil {
			x.t.Errorf("got %v, want no error", err)
		}
	case <-time.After(20 * time.Second):
		x.t.Fatalf("got no end; on the terminal is %.2000q", x.written())
	}
	x.await("\x1b[?1049l") // the terminal is as it was
}

// TestRun plays with it on a terminal.
func TestRun(t *testing.T) {
	x := newTerminal(t, 90, 20)
	ended := x.run(t.Context(), shop())
	x.await("newsletter")
	x.await("\x1b[38;5;") // in color
	x.press("/mon")
	x.await("/mon")
	x.press("\r\r")
	x.await("RESERVED") // of the tube
	x.press("\x1b[Dq")  // the arrow to the left
	x.wantEnd(ended)
}

// TestRunNoColor has the environment forbid colors.
func TestRunNoColor(t *testing.T) {
	x := newTerminal(t, 90, 20)
	ended := x.run(t.Context(), shop(), "NO_COLOR=1")
	x.await("newsletter")
	x.press("j?\x03")
	x.wantEnd(ended)
	if got := regexp.MustCompile(`\x1b\[[0-9;]*[34][0-9](;[0-9;]*)?m`).FindString(x.written()); got != "" {
		t.Errorf("got a color, %q", got)
	}
}

// TestRunEnds has the context end it.
func TestRunEnds(t *testing.T) {
	x := newTerminal(t, 60, 12)
	ctx, end := context.WithCancel(t.Context())
	ended := x.run(ctx, shop())
	x.await("emails")
	end()
	x.wantEnd(ended)
}

// TestRunDumb refuses a terminal that can do nothing.
func TestRunDumb(t *testing.T) {
	x := newTerminal(t, 60, 12)
	err := Run(t.Context(), Options{Source: shop(), Input: x.tty, Output: x.tty, Env: []string{"TERM=dumb"}})
	if err != ErrNoTerminal {
		t.Errorf("got %v, want %v", err, ErrNoTerminal)
	}
}
