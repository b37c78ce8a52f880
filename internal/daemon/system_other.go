//go:build !unix

package daemon

import (
	"errors"
	"net"
	"os"
	"os/signal"
	"runtime"
	"time"

	"spoked/internal/config"
)

func notify(c chan<- os.Signal) { signal.Notify(c, os.Interrupt) }

func notifyReload(chan<- os.Signal) {}

func isReload(os.Signal) bool { return false }

func isTerminalGone() bool { return false }

func ignore(c chan<- os.Signal) { signal.Stop(c) }

func isDrain(os.Signal) bool { return false }

func usage() (user, system time.Duration) { return 0, 0 }

func uname() (hostname, version, machine string) {
	hostname, _ = os.Hostname()
	return hostname, runtime.GOOS, runtime.GOARCH
}

func isListening(net.Listener) bool { return true }

func becomeUser(string) error {
	return &config.ExitError{Code: config.ExitSetUser, Err: errors.New("-u: this system has no users to become")}
}
