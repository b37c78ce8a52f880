package control_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"spoked/internal/control"
)

// patience is how long to wait for what should happen at once.
const patience = 20 * time.Second

// socket returns a path for a socket, which is short.
func socket(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "c")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return filepath.Join(dir, control.Name)
}

func listen(t *testing.T, path string, ops map[string]control.Op) *control.Server {
	t.Helper()
	s, err := control.Listen(path, ops)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// echo answers with what it was asked for.
func echo(_ context.Context, req control.Request) (any, error) {
	if req.To == "nowhere" {
		return nil, errors.New("there is no such place")
	}
	return req, nil
}

func TestCall(t *testing.T) {
	path := socket(t)
	if err := control.Call(path, control.Request{Op: "echo"}, nil); !errors.Is(err, control.ErrNoServer) {
		t.Errorf("without a server: got error %v", err)
	}
	s := listen(t, path, map[string]control.Op{"echo": echo})
	if info, err := os.Lstat(path); err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Errorf("got %v, %v, want a socket for the owner alone", info.Mode(), err)
	}
	var got control.Request
	want := control.Request{Op: "echo", To: "/a \"b\"\n/é"}
	if err := control.Call(path, want, &got); err != nil || got != want {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
	err := control.Call(path, control.Request{Op: "echo", To: "nowhere"}, &got)
	if !errors.Is(err, control.ErrRefused) || !strings.Contains(err.Error(), "there is no such place") {
		t.Errorf("got error %v", err)
	}
	if err := control.Call(path, control.Request{Op: "dance"}, &got); err == nil || !strings.Contains(err.Error(), `unknown operation "dance"`) {
		t.Errorf("got error %v", err)
	}
	s.Close()
	if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the socket is left behind: %v", err)
	}
}

// TestLongPath has a socket whose path does not fit its address.
func TestLongPath(t *testing.T) {
	dir := filepath.Join(t.TempDir(), strings.Repeat("x", 120))
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, control.Name)
	s, err := control.Listen(path, map[string]control.Op{"echo": echo})
	if runtime.GOOS != "linux" {
		if err == nil {
			s.Close()
			t.Error("got no error")
		}
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	var got control.Request
	if err := control.Call(path, control.Request{Op: "echo"}, &got); err != nil || got.Op != "echo" {
		t.Errorf("got %+v, %v", got, err)
	}
	s.Close()
	if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the socket is left behind: %v", err)
	}
}

func TestListenReplaces(t *testing.T) {
	path := socket(t)
	dead, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	dead.(*net.UnixListener).SetUnlinkOnClose(false)
	dead.Close()
	if _, err := os.Lstat(path); err != nil {
		t.Fatal(err)
	}
	listen(t, path, map[string]control.Op{"echo": echo})
	var got control.Request
	if err := control.Call(path, control.Request{Op: "echo"}, &got); err != nil {
		t.Errorf("got error %v", err)
	}

	path = socket(t)
	if err := os.WriteFile(path, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if s, err := control.Listen(path, nil); err == nil {
		s.Close()
		t.Error("a file that is no socket was replaced")
	}
}

// TestGarbage sends what is no request, and wants an answer, or the end, and a
// server that goes on.
func TestGarbage(t *testing.T) {
	path := socket(t)
	listen(t, path, map[string]control.Op{"echo": echo})
	tests := []struct{ send, want string }{
		{"", ""},
		{"\n", "cannot be understood"},
		{"hello\n", "cannot be understood"},
		{"{}\n", "unknown operation"},
		{"[1]\n", "cannot be understood"},
		{`{"op":["echo"]}` + "\n", "cannot be understood"},
		{`{"op":"echo"`, "unexpected EOF"},
		{strings.Repeat("x", 64<<10), "longer than"},
		{"\x00\xff\xfe\n", "cannot be understood"},
	}
	for _, test := range tests {
		conn, err := net.Dial("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		conn.SetDeadline(time.Now().Add(patience))
		io.WriteString(conn, test.send)
		conn.(*net.UnixConn).CloseWrite()
		line, err := bufio.NewReader(conn).ReadString('\n')
		if err != nil && test.want != "" || !strings.Contains(line, test.want) {
			t.Errorf("%.20q: got %q, %v, want one with %q", test.send, line, err, test.want)
		}
		conn.Close()
	}
	var got control.Request
	if err := control.Call(path, control.Request{Op: "echo"}, &got); err != nil {
		t.Errorf("after all that: %v", err)
	}
}

// TestTooMany has many callers that say nothing. They must not keep the server
// from ending.
func TestTooMany(t *testing.T) {
	path := socket(t)
	s := listen(t, path, nil)
	for range 100 {
		conn, err := net.Dial("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
	}
	s.Close()
}

// TestGone has a caller go while it waits, and the server end while an
// operation is under way: the operation is told of both.
func TestGone(t *testing.T) {
	path := socket(t)
	begun, ended := make(chan bool), make(chan error)
	s := listen(t, path, map[string]control.Op{"wait": func(ctx context.Context, _ control.Request) (any, error) {
		begun <- true
		<-ctx.Done()
		ended <- ctx.Err()
		return nil, ctx.Err()
	}})
	conn, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(conn, `{"op":"wait"}`+"\n")
	<-begun
	conn.Close()
	if err := <-ended; err == nil {
		t.Error("got no error")
	}

	answer := make(chan error)
	go func() { answer <- control.Call(path, control.Request{Op: "wait"}, nil) }()
	<-begun
	closed := make(chan bool)
	go func() { s.Close(); close(closed) }()
	<-ended
	if err := <-answer; err == nil || !strings.Contains(err.Error(), "cancel") {
		t.Errorf("got error %v, want that it was cancelled", err)
	}
	<-closed
}
