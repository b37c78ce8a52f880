package integration

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// TestTerminalGone closes the terminal of a server, which is told so by the signal
// that has it reload otherwise.
func TestTerminalGone(t *testing.T) {
	t.Parallel()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skip(err)
	}
	defer master.Close()
	fd := int(master.Fd())
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	number, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	terminal, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	launching.Lock()
	cmd := exec.Command(spokedPath(t), "-l", "127.0.0.1", "-p", strconv.Itoa(freePort(t)))
	cmd.Stdin = terminal
	s := start(t, cmd)
	launching.Unlock()
	terminal.Close()
	awaitLog(t, s, "listening")
	reload(t, s, "no setting has changed")
	master.Close()
	await(t, func() error { // a process that another test is about to start may have the terminal for a moment
		_ = s.cmd.Process.Signal(syscall.SIGHUP) // unless it has ended
		select {
		case <-s.ended:
			return nil
		default:
			return errors.New("the server has not ended")
		}
	})
	s.wantExit(t, 0)
	s.wantStderr(t, "stopping")
}
