//go:build !linux

package server

import (
	"errors"
	"net"
)

func newLoops(*Server, net.Listener) (transport, error) {
	return nil, errors.New("epoll is Linux only")
}
