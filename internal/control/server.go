package control

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"sync"
	"time"
)

// An Op does what a request asks for, until ctx ends: the caller has gone, or
// the server stops. It returns what is to be answered. Several may run at once.
type Op func(ctx context.Context, req Request) (result any, err error)

// A Server answers requests.
type Server struct {
	ops     map[string]Op
	l       net.Listener
	release func() // of the address
	ctx     context.Context
	cancel  context.CancelFunc
	group   sync.WaitGroup
	slots   chan struct{} // one for each connection
}

// Listen makes the socket path, for the owner alone, and begins to answer. The
// caller must have seen to it that no other server uses the path: a socket that
// is there is a dead one's, and is replaced.
func Listen(path string, ops map[string]Op) (*Server, error) {
	if info, err := os.Lstat(path); err == nil {
		if info.Mode().Type() != os.ModeSocket {
			return nil, fmt.Errorf("%s exists, and is no socket", path)
		}
		if err := os.Remove(path); err != nil {
			return nil, err
		}
	}
	address, release, err := shorten(path)
	if err != nil {
		return nil, err
	}
	s := &Server{ops: ops, release: release, slots: make(chan struct{}, maxConns)}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	lc := net.ListenConfig{Control: keepPrivate}
	if s.l, err = lc.Listen(s.ctx, "unix", address); err != nil {
		s.cancel()
		release()
		return nil, err
	}
	if err := os.Chmod(path, 0o600); err != nil {
		s.cancel()
		s.l.Close()
		release()
		return nil, err
	}
	s.group.Go(s.accept)
	return s, nil
}

// Close ends what is being done, and removes the socket. It blocks until all
// operations have returned.
func (s *Server) Close() {
	s.cancel()
	s.l.Close()
	s.group.Wait()
	s.release()
}

// acceptRetry is how long accepting pauses after it has failed.
const acceptRetry = 100 * time.Millisecond

func (s *Server) accept() {
	for {
		conn, err := s.l.Accept()
		if s.ctx.Err() != nil {
			if err == nil {
				conn.Close()
			}
			return
		}
		if err != nil { // no descriptor is left, perhaps
			select {
			case <-s.ctx.Done():
			case <-time.After(acceptRetry):
			}
			continue
		}
		select {
		case s.slots <- struct{}{}:
			s.group.Go(func() {
				defer func() { <-s.slots }()
				s.serve(conn)
			})
		default:
			conn.Close() // too many
		}
	}
}

// serve answers one request.
func (s *Server) serve(conn net.Conn) {
	defer conn.Close()
	ctx, cancel := context.WithCancel(s.ctx)
	defer cancel()
	defer context.AfterFunc(s.ctx, func() { conn.SetReadDeadline(time.Unix(1, 0)) })()
	conn.SetReadDeadline(time.Now().Add(patience))
	if s.ctx.Err() != nil {
		return
	}
	line, err := readLine(conn)
	var result any
	if err == nil {
		result, err = s.do(ctx, cancel, conn, line)
	}
	r := reply{}
	if err == nil {
		r.Result, err = json.Marshal(result)
	}
	if err != nil {
		r = reply{Error: err.Error()}
	}
	if line, err = json.Marshal(r); err == nil {
		conn.SetWriteDeadline(time.Now().Add(patience))
		_, _ = conn.Write(append(line, '\n'))
	}
}

// do does what a request asks for. If the caller closes the connection, or its
// side of it, it calls cancel.
func (s *Server) do(ctx context.Context, cancel func(), conn net.Conn, line []byte) (any, error) {
	var req Request
	if err := json.Unmarshal(line, &req); err != nil {
		return nil, fmt.Errorf("the request cannot be understood: %w", err)
	}
	op := s.ops[req.Op]
	if op == nil {
		return nil, fmt.Errorf("unknown operation %q", req.Op)
	}
	conn.SetReadDeadline(time.Time{})
	if s.ctx.Err() != nil { // the deadline may have been set in between
		return nil, s.ctx.Err()
	}
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		var b [512]byte // of no interest
		for {
			if _, err := conn.Read(b[:]); err != nil {
				cancel()
				return
			}
		}
	}()
	defer func() {
		conn.SetReadDeadline(time.Unix(1, 0))
		<-gone
	}()
	return op(ctx, req)
}
