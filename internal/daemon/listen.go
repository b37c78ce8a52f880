package daemon

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"syscall"

	"github.com/coreos/go-systemd/v22/activation"
	"go.uber.org/zap"

	"spoked/internal/config"
)

// longestSocketPath is what fits a socket address on Linux.
const longestSocketPath = 107

// listen returns the socket that systemd has handed over, or else makes the
// one that cfg asks for.
func listen(cfg config.Config, log *zap.Logger) (net.Listener, error) {
	if files := activation.Files(true); len(files) > 0 {
		return inherit(files, cfg, log)
	}
	if path, ok := strings.CutPrefix(cfg.Listen, "unix:"); ok {
		return listenUnix(path, log)
	}
	return listenTCP(cfg.Listen, cfg.Port)
}

// listenTCP makes a socket at host, by default all IPv4 addresses, and no
// others, as with beanstalkd on Linux.
func listenTCP(host string, port int) (net.Listener, error) {
	if host == "" {
		host = "0.0.0.0"
	}
	network := "tcp"
	if ip, err := netip.ParseAddr(host); err == nil && ip.Is4() {
		network = "tcp4"
	}
	var lc net.ListenConfig
	lc.SetMultipathTCP(false)
	return lc.Listen(context.Background(), network, net.JoinHostPort(host, strconv.Itoa(port)))
}

func inherit(files []*os.File, cfg config.Config, log *zap.Logger) (net.Listener, error) {
	if len(files) > 1 {
		log.Warn("inherited more than one listen socket; ignoring all but the first")
	}
	if cfg.Listen != "" {
		log.Warn("inherited listen fd; ignoring option: -l " + cfg.Listen)
	}
	if cfg.Port != config.Default().Port {
		log.Warn("inherited listen fd; ignoring option: -p " + strconv.Itoa(cfg.Port))
	}
	l, err := net.FileListener(files[0])
	for _, f := range files {
		f.Close()
	}
	if err != nil || !isListening(l) {
		return nil, errors.New("inherited fd is not a TCP or UNIX listening socket")
	}
	return l, nil
}

// listenUnix makes a socket at path. It replaces one that a dead server has
// left behind, but not that of a live one, as beanstalkd would.
func listenUnix(path string, log *zap.Logger) (net.Listener, error) {
	if n := len(path); n > longestSocketPath {
		return nil, fmt.Errorf("socket path %s is too long (%d characters), where maximum allowed is %d", path, n, longestSocketPath)
	}
	if path == "" {
		return nil, errors.New("unix: needs a path")
	}
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
	case err != nil:
		return nil, err
	case info.Mode().Type() != os.ModeSocket:
		return nil, fmt.Errorf("another file already exists in the given path: %s", path)
	default:
		c, err := net.Dial("unix", path)
		if err == nil {
			c.Close()
		}
		if !errors.Is(err, syscall.ECONNREFUSED) { // alive, if perhaps too busy to answer
			return nil, fmt.Errorf("a server is listening on %s", path)
		}
		log.Info("removing the socket that another server has left behind", zap.String("path", path))
		if err := os.Remove(path); err != nil {
			return nil, err
		}
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, err
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	return l, nil
}

func addressOf(l net.Listener) string {
	if l.Addr().Network() == "unix" {
		return "unix:" + l.Addr().String()
	}
	return l.Addr().String()
}
