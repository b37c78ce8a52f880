//go:build unix

package daemon

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/signal"
	"os/user"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"spoked/internal/config"
)

func notify(c chan<- os.Signal) {
	signal.Ignore(syscall.SIGPIPE) // the reader of the log has gone: that is no reason to end
	signal.Notify(c, syscall.SIGTERM, syscall.SIGINT, syscall.SIGUSR1)
}

// notifyReload has c get the signal to reload, whether or not it is ignored, as it
// is after nohup.
func notifyReload(c chan<- os.Signal) { signal.Notify(c, syscall.SIGHUP) }

func isReload(s os.Signal) bool { return s == syscall.SIGHUP }

// isTerminalGone reports whether the process has been started from a terminal that
// is no longer there.
func isTerminalGone() bool {
	for _, f := range []*os.File{os.Stdin, os.Stdout, os.Stderr} {
		fds := []unix.PollFd{{Fd: int32(f.Fd())}}
		if n, err := unix.Poll(fds, 0); isTerminal(f) && err == nil && n == 1 && fds[0].Revents&unix.POLLHUP != 0 {
			return true
		}
	}
	return false
}

// ignore has c get nothing any more. A hangup, of which there may be several, does
// not end a process that is about to.
func ignore(c chan<- os.Signal) {
	signal.Ignore(syscall.SIGHUP)
	signal.Stop(c)
}

func isDrain(s os.Signal) bool { return s == syscall.SIGUSR1 }

// usage returns the CPU time that the process has used.
func usage() (user, system time.Duration) {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		return 0, 0
	}
	return time.Duration(u.Utime.Nano()), time.Duration(u.Stime.Nano())
}

func uname() (hostname, version, machine string) {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return "", "", ""
	}
	return unix.ByteSliceToString(u.Nodename[:]), unix.ByteSliceToString(u.Version[:]), unix.ByteSliceToString(u.Machine[:])
}

// isListening reports whether l's socket accepts connections.
func isListening(l net.Listener) bool {
	sc, ok := l.(syscall.Conn)
	if !ok {
		return false
	}
	rc, err := sc.SyscallConn()
	if err != nil {
		return false
	}
	listening := 0
	err = rc.Control(func(fd uintptr) { listening, _ = unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_ACCEPTCONN) })
	return err == nil && listening != 0
}

// becomeUser gives up the privileges of the process for those of the named
// user, its groups included.
func becomeUser(name string) error {
	u, err := user.Lookup(name)
	if _, unknown := errors.AsType[user.UnknownUserError](err); unknown {
		return &config.ExitError{Code: config.ExitNoUser, Err: fmt.Errorf("no such user: %s", name)}
	}
	if err != nil {
		return &config.ExitError{Code: config.ExitUserLookup, Err: err}
	}
	uid, _ := strconv.Atoi(u.Uid) // numeric on Unix
	gid, _ := strconv.Atoi(u.Gid)
	if uid != 0 && os.Getuid() == uid && os.Getgid() == gid {
		return nil // already, and without the right to set groups
	}
	groups, err := groupsOf(u)
	if err != nil {
		return &config.ExitError{Code: config.ExitUserLookup, Err: err}
	}
	for _, step := range []struct {
		call string
		err  error
	}{
		{"setgroups", syscall.Setgroups(groups)},
		{"setgid", syscall.Setgid(gid)},
		{"setuid", syscall.Setuid(uid)},
	} {
		if step.err != nil {
			return &config.ExitError{Code: config.ExitSetUser, Err: fmt.Errorf("becoming user %s: %s: %w", name, step.call, step.err)}
		}
	}
	return nil
}

func groupsOf(u *user.User) ([]int, error) {
	ids, err := u.GroupIds()
	if err != nil {
		return nil, err
	}
	var groups []int
	for _, id := range ids {
		if gid, err := strconv.Atoi(id); err == nil {
			groups = append(groups, gid)
		}
	}
	return groups, nil
}
