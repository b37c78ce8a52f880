package server

import (
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"spoked/internal/session"
)

// TestRelease has a client watch many tubes and leave. Memory is given back then,
// and not before.
func TestRelease(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := New(Options{Transport: Goroutines, Session: session.Options{MaxJobSize: 65535}})
	defer s.Close()
	go s.Serve(l)
	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	go io.Copy(io.Discard, conn)

	now := func() tide {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.tide
	}
	wait := func(what string, ok func(tide) bool) {
		t.Helper()
		for end := time.Now().Add(10 * time.Second); !ok(now()); time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("%s: got %+v", what, now())
			}
		}
	}
	var watches strings.Builder
	for i := range muchGone {
		fmt.Fprintf(&watches, "watch %d\r\n", i)
	}
	if _, err := io.WriteString(conn, watches.String()); err != nil {
		t.Fatal(err)
	}
	wait("tubes made", func(d tide) bool { return d.high == muchGone+2 }) // default, and the client
	if now().ebbing {
		t.Error("memory is to be given back, but nothing has gone")
	}
	conn.Close()
	wait("tubes gone", func(d tide) bool { return d.ebbing })
	wait("memory given back", func(d tide) bool { return !d.ebbing && d.high <= 2 })
}
