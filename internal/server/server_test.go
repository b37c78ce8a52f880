package server_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"spoked/internal/server"
	"spoked/internal/session"
)

// patience is how long these tests wait for what must come.
const patience = 20 * time.Second

// eachTransport runs f with the options of each kind of server.
func eachTransport(t *testing.T, f func(t *testing.T, opts server.Options)) {
	kinds := []struct {
		name string
		opts server.Options
	}{
		{"one loop", server.Options{Loops: 1}},
		{"four loops", server.Options{Loops: 4}},
		{"goroutines", server.Options{Transport: server.Goroutines}},
	}
	for _, kind := range kinds {
		if kind.opts.Transport == server.EventLoop && runtime.GOOS != "linux" {
			continue
		}
		kind.opts.Session = session.Options{MaxJobSize: 65535}
		t.Run(kind.name, func(t *testing.T) { f(t, kind.opts) })
	}
}

// A process is a server that serves in this one.
type process struct {
	*server.Server
	addr   string
	served chan error // what Serve returned
}

// serve starts a server, which is closed when the test is over. Then it must
// have left nothing behind.
func serve(t *testing.T, opts server.Options) *process {
	t.Helper()
	goroutines, files := runtime.NumGoroutine(), openFiles()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &process{Server: server.New(opts), addr: l.Addr().String(), served: make(chan error, 1)}
	go func() {
		p.served <- p.Serve(l)
		close(p.served)
	}()
	t.Cleanup(func() {
		p.Close()
		for range p.served {
		}
		await(t, func() error {
			if got := runtime.NumGoroutine(); got > goroutines {
				buf := make([]byte, 1<<20)
				return fmt.Errorf("got %d goroutines, want %d:\n%s", got, goroutines, buf[:runtime.Stack(buf, true)])
			}
			if got := openFiles(); got > files {
				return fmt.Errorf("got %d open files, want %d", got, files)
			}
			return nil
		})
	})
	return p
}

// openFiles returns how many descriptors this process has, where the system
// tells.
func openFiles() int {
	files, _ := os.ReadDir("/proc/self/fd")
	return len(files)
}

// await calls f until it returns no error.
func await(t *testing.T, f func() error) {
	t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		err := f()
		if err == nil {
			return
		}
		if time.Now().After(end) {
			t.Fatal(err)
		}
	}
}

// wantServed waits until Serve has returned.
func (p *process) wantServed(t *testing.T) {
	t.Helper()
	select {
	case err := <-p.served:
		if !errors.Is(err, server.ErrServerClosed) {
			t.Errorf("Serve: got %v, want %v", err, server.ErrServerClosed)
		}
	case <-time.After(patience):
		t.Fatal("Serve has not returned")
	}
}

// dial connects a client, which is closed when the test is over.
func (p *process) dial(t *testing.T) *client {
	t.Helper()
	conn, err := net.Dial("tcp", p.addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return &client{conn, bufio.NewReader(conn)}
}

// A client speaks to a server in bytes.
type client struct {
	net.Conn
	in *bufio.Reader
}

// ask sends a request and wants this reply.
func (c *client) ask(request, want string) error {
	if _, err := io.WriteString(c, request); err != nil {
		return err
	}
	got := make([]byte, len(want))
	if n, err := io.ReadFull(c.in, got); string(got) != want {
		return fmt.Errorf("%q: got %q (%v), want %q", request, got[:n], err, want)
	}
	return nil
}

// mustAsk is ask for the test's own goroutine.
func (c *client) mustAsk(t *testing.T, request, want string) {
	t.Helper()
	if err := c.ask(request, want); err != nil {
		t.Fatal(err)
	}
}

// owed makes c a client that has asked for more than its connection holds, and
// returns the reply that is repeated.
func (c *client) owed(t *testing.T, p *process) (reply string) {
	t.Helper()
	body := strings.Repeat("x", 65535)
	c.mustAsk(t, fmt.Sprintf("put 0 0 60 %d\r\n%s\r\n", len(body), body), "INSERTED 1\r\n")
	if _, err := io.WriteString(c, strings.Repeat("peek 1\r\n", 500)); err != nil {
		t.Fatal(err)
	}
	// The server is busy with it until it has answered no more for a while.
	probe, last, same := p.dial(t), "", 0
	await(t, func() error {
		if err := probe.ask("stats\r\n", "OK "); err != nil {
			return err
		}
		got := ""
		for line := ""; line != "\r\n"; {
			var err error
			if line, err = probe.in.ReadString('\n'); err != nil {
				return err
			}
			if strings.HasPrefix(line, "cmd-peek:") {
				got = line
			}
		}
		if same++; got != last || got == "cmd-peek: 0\n" {
			last, same = got, 0
		}
		if same < 3 {
			return fmt.Errorf("still busy: %s", got)
		}
		return nil
	})
	return fmt.Sprintf("FOUND 1 %d\r\n%s\r\n", len(body), body)
}

func TestShutdownDeliversWhatIsOwed(t *testing.T) {
	eachTransport(t, func(t *testing.T, opts server.Options) {
		p := serve(t, opts)
		c, idle := p.dial(t), p.dial(t)
		idle.mustAsk(t, "list-tube-used\r\n", "USING default\r\n")
		reply := c.owed(t, p)
		p.Shutdown(context.Background())
		if got, err := io.ReadAll(idle); len(got) > 0 || err != nil {
			t.Errorf("got %q (%v) on an idle connection, want the end", got, err)
		}
		select {
		case err := <-p.served:
			t.Errorf("Serve has returned before all was delivered: %v", err)
		default:
		}
		got, err := io.ReadAll(c.in)
		if n := len(got) / len(reply); err != nil || n == 0 || string(got) != strings.Repeat(reply, n) {
			t.Errorf("got %d bytes (%v), want one or more replies of %d bytes", len(got), err, len(reply))
		}
		p.wantServed(t)
	})
}

// TestShutdownEndsWithContext has a client that never reads keep the server
// from ending by itself.
func TestShutdownEndsWithContext(t *testing.T) {
	eachTransport(t, func(t *testing.T, opts server.Options) {
		p := serve(t, opts)
		p.dial(t).owed(t, p)
		ctx, cancel := context.WithCancel(t.Context())
		p.Shutdown(ctx)
		cancel()
		p.wantServed(t)
	})
}

func TestCloseIsAbrupt(t *testing.T) {
	eachTransport(t, func(t *testing.T, opts server.Options) {
		p := serve(t, opts)
		p.dial(t).owed(t, p)
		p.Close()
		p.wantServed(t)
		if _, err := net.Dial("tcp", p.addr); err == nil {
			t.Error("got a connection to a closed server")
		}
	})
}

// TestCloseBeforeServe wants the listener to be closed even so.
func TestCloseBeforeServe(t *testing.T) {
	stops := map[string]func(s *server.Server){
		"Close":    (*server.Server).Close,
		"Shutdown": func(s *server.Server) { s.Shutdown(context.Background()) },
	}
	eachTransport(t, func(t *testing.T, opts server.Options) {
		for name, stop := range stops {
			t.Run(name, func(t *testing.T) {
				files := openFiles()
				l, err := net.Listen("tcp", "127.0.0.1:0")
				if err != nil {
					t.Fatal(err)
				}
				s := server.New(opts)
				stop(s)
				if err := s.Serve(l); !errors.Is(err, server.ErrServerClosed) {
					t.Errorf("Serve: got %v, want %v", err, server.ErrServerClosed)
				}
				if _, err := net.Dial("tcp", l.Addr().String()); err == nil {
					t.Error("got a connection to a closed server")
				}
				if got := openFiles(); got > files {
					t.Errorf("got %d open files, want %d", got, files)
				}
			})
		}
	})
}

// TestCloseAgain closes a server that is no more. What it had is others' now.
func TestCloseAgain(t *testing.T) {
	eachTransport(t, func(t *testing.T, opts server.Options) {
		p := serve(t, opts)
		p.dial(t).mustAsk(t, "list-tube-used\r\n", "USING default\r\n")
		p.Close()
		p.wantServed(t)

		var files []*os.File // which have its descriptors
		for range 40 {
			f, err := os.CreateTemp(t.TempDir(), "")
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			files = append(files, f)
		}
		p.Close()
		p.Shutdown(t.Context())
		for _, f := range files {
			if got, err := os.ReadFile(f.Name()); len(got) > 0 || err != nil {
				t.Errorf("got %q (%v) written to a stranger's file, want nothing", got, err)
			}
		}
	})
}

func TestCloseConcurrently(t *testing.T) {
	eachTransport(t, func(t *testing.T, opts server.Options) {
		p := serve(t, opts)
		for range 20 {
			p.dial(t).mustAsk(t, "use a\r\n", "USING a\r\n")
		}
		var group sync.WaitGroup
		for i := range 8 {
			group.Go(func() {
				if i%2 == 0 {
					p.Shutdown(context.Background())
				} else {
					p.Close()
				}
			})
		}
		group.Wait()
		p.wantServed(t)
	})
}

// TestConnectWhileClosing has clients arrive while the server ends.
func TestConnectWhileClosing(t *testing.T) {
	eachTransport(t, func(t *testing.T, opts server.Options) {
		for range 20 {
			p := serve(t, opts)
			var group sync.WaitGroup
			for range 4 {
				group.Go(func() {
					for {
						conn, err := net.Dial("tcp", p.addr)
						if err != nil {
							return
						}
						_, _ = io.WriteString(conn, "put 0 0 1 1\r\nx\r\nreserve\r\n")
						conn.Close()
					}
				})
			}
			p.dial(t).mustAsk(t, "use a\r\n", "USING a\r\n")
			p.Shutdown(context.Background())
			p.wantServed(t)
			group.Wait()
		}
	})
}

func TestDrain(t *testing.T) {
	eachTransport(t, func(t *testing.T, opts server.Options) {
		p := serve(t, opts)
		c := p.dial(t)
		c.mustAsk(t, "put 0 0 1 1\r\nx\r\n", "INSERTED 1\r\n")
		p.Drain()
		c.mustAsk(t, "put 0 0 1 1\r\nx\r\n", "DRAINING\r\n")
		c.mustAsk(t, "delete 1\r\n", "DELETED\r\n")
	})
}

// TestJobsGoToOneWorkerEach puts jobs through some connections for workers
// that wait on others, which with several loops are on other threads.
func TestJobsGoToOneWorkerEach(t *testing.T) {
	eachTransport(t, func(t *testing.T, opts server.Options) {
		const producers, workers, jobs = 4, 16, 100 // of each producer
		p := serve(t, opts)
		var group sync.WaitGroup
		var mu sync.Mutex
		got := map[string]int{} // jobs, by how often they were reserved
		for range workers {
			c := p.dial(t)
			group.Go(func() {
				for {
					var id, size int
					if err := c.ask("reserve\r\n", "RESERVED "); err != nil {
						return // closed: there are no more
					}
					if _, err := fmt.Fscanf(c.in, "%d %d\r\n", &id, &size); err != nil {
						t.Error(err)
						return
					}
					body, err := c.in.ReadString('\n')
					if err != nil {
						t.Error(err)
						return
					}
					if err := c.ask(fmt.Sprintf("delete %d\r\n", id), "DELETED\r\n"); err != nil {
						t.Error(err)
						return
					}
					mu.Lock()
					got[body]++
					mu.Unlock()
				}
			})
		}
		for i := range producers {
			c := p.dial(t)
			group.Go(func() {
				for j := range jobs {
					body := fmt.Sprintf("%d-%d", i, j)
					if err := c.ask(fmt.Sprintf("put 0 0 60 %d\r\n%s\r\n", len(body), body), "INSERTED "); err != nil {
						t.Error(err)
						return
					}
					if _, err := c.in.ReadString('\n'); err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		await(t, func() error {
			mu.Lock()
			defer mu.Unlock()
			if len(got) != producers*jobs {
				return fmt.Errorf("got %d jobs, want %d", len(got), producers*jobs)
			}
			return nil
		})
		p.Close()
		group.Wait()
		for body, n := range got {
			if n != 1 {
				t.Errorf("job %q: got it %d times, want once", body, n)
			}
		}
	})
}
