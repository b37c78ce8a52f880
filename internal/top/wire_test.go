package top

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/beanstalkd/go-beanstalk"

	"spoked/internal/server"
	"spoked/internal/session"
)

// eachServer runs f against spoked, with and without the commands that beanstalkd does not
// have, and against a real beanstalkd if there is one.
func eachServer(t *testing.T, f func(t *testing.T, addr string)) {
	t.Run("spoked", func(t *testing.T) {
		_, addr := serve(t, false)
		f(t, addr)
	})
	t.Run("strict", func(t *testing.T) {
		_, addr := serve(t, true)
		f(t, addr)
	})
	t.Run("beanstalkd", func(t *testing.T) {
		path, err := exec.LookPath("beanstalkd")
		if err != nil {
			t.Skip("beanstalkd is not on PATH")
		}
		f(t, reference(t, path))
	})
}

// serve starts a server in this process, which ends with the test.
func serve(t *testing.T, strict bool) (*server.Server, string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	opts := server.Options{Session: session.Options{MaxJobSize: 65535, Strict: strict}}
	if runtime.GOOS != "linux" {
		opts.Transport = server.Goroutines
	}
	s := server.New(opts)
	done := make(chan error, 1)
	go func() { done <- s.Serve(l) }()
	t.Cleanup(func() {
		s.Close()
		<-done
	})
	return s, l.Addr().String()
}

// reference starts a beanstalkd, which ends with the test.
func reference(t *testing.T, path string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close()
	_, port, _ := net.SplitHostPort(addr)
	cmd := exec.Command(path, "-l", "127.0.0.1", "-p", port)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	for end := time.Now().Add(10 * time.Second); ; {
		c, err := net.Dial("tcp", addr)
		if err == nil {
			c.Close()
			return addr
		}
		if time.Now().After(end) {
			t.Fatal(err)
		}
		time.Sleep(time.Millisecond)
	}
}

// fill makes a server's tubes: some jobs of each state in "work", and a pause of
// "paused". The connection returned holds a job.
func fill(t *testing.T, addr string) *beanstalk.Conn {
	t.Helper()
	c, err := beanstalk.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	tube := beanstalk.NewTube(c, "work")
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	put := func(pri uint32, delay time.Duration, body string) uint64 {
		t.Helper()
		id, err := tube.Put([]byte(body), pri, delay, time.Minute)
		must(err)
		return id
	}
	set := beanstalk.NewTubeSet(c, "work")
	buried := put(5, 0, "buried")
	id, _, err := set.Reserve(time.Second)
	must(err)
	if id != buried {
		t.Fatalf("got job %d, want %d", id, buried)
	}
	must(c.Bury(id, 7))
	put(5, 0, "held")
	_, _, err = set.Reserve(time.Second)
	must(err)
	put(2000, 0, "second")
	put(10, 0, "next \x1b[2J"+strings.Repeat("x", 1000))
	put(10, time.Hour, "later")
	other := beanstalk.NewTube(c, "paused")
	_, err = other.Put([]byte("x"), 0, 0, time.Minute)
	must(err)
	must(other.Pause(time.Hour))
	return c
}

func TestWire(t *testing.T) {
	eachServer(t, func(t *testing.T, addr string) {
		fill(t, addr)
		ctx := t.Context()
		w := Wire(addr)
		defer w.Close()
		s, err := w.Snapshot(ctx)
		if err != nil {
			t.Fatal(err)
		}
		v := s.Server
		got := fmt.Sprint(v.Address, v.Connections, v.Ready, v.Reserved, v.Delayed, v.Buried, v.Puts, v.Reserves, v.Draining, v.Bodies, v.JournalRecords)
		want := fmt.Sprint(addr, 2, 3, 1, 1, 1, 6, 2, false, Unknown, Unknown)
		if got != want {
			t.Errorf("server: got %s, want %s", got, want)
		}
		if v.Version == "" || v.CPU < 0 || v.Uptime < 0 {
			t.Errorf("got version %q, CPU %v, uptime %v", v.Version, v.CPU, v.Uptime)
		}
		var names []string
		for _, f := range s.Tubes {
			names = append(names, f.Name)
			if f.Name == "work" && (f.Ready != 2 || f.Reserved != 1 || f.Delayed != 1 || f.Buried != 1 || f.Puts != 5 || f.Urgent != 1 || f.Oldest != Unknown) {
				t.Errorf("got figures %+v", f)
			}
			if f.Name == "paused" && f.PauseLeft < 59*time.Minute {
				t.Errorf("got a pause of %v, want one of nearly an hour", f.PauseLeft)
			}
		}
		slices.Sort(names)
		if got := strings.Join(names, " "); got != "default paused work" {
			t.Errorf("got tubes %q", got)
		}

		tube, err := w.Tube(ctx, "work", jobsShown)
		if err != nil {
			t.Fatal(err)
		}
		lists := strings.HasSuffix(t.Name(), "/spoked")
		if tube.Ready != 2 || tube.Lists != lists {
			t.Errorf("got tube %+v", tube)
		}
		var jobs []string
		for _, j := range tube.Jobs {
			body, _ := cut(printable(j.Body), 10)
			jobs = append(jobs, fmt.Sprintf("%d %s %d %s %d", j.ID, j.State, j.Pri, body, j.Size))
			if (j.State == stateDelayed) != (j.Left > 59*time.Minute) || (j.State == stateReserved) != (j.Left > 50*time.Second && j.Left < 61*time.Second) || j.Age < 0 || len(j.Body) > head {
				t.Errorf("got job %+v", j)
			}
		}
		want = "4 ready 10 next ·[2J… 1009, 5 delayed 10 later 5, 1 buried 7 buried 6"
		if lists {
			want += ", 3 ready 2000 second 6, 2 reserved 5 held 4"
		}
		if got := strings.Join(jobs, ", "); got != want {
			t.Errorf("got jobs %q, want %q", got, want)
		}
	})
}

// TestWireCommands pauses, resumes and kicks, and is refused.
func TestWireCommands(t *testing.T) {
	eachServer(t, func(t *testing.T, addr string) {
		fill(t, addr)
		ctx := t.Context()
		w := Wire(addr)
		defer w.Close()
		tube := func(name string) *Tube {
			t.Helper()
			v, err := w.Tube(ctx, name, 0)
			if err != nil {
				t.Fatal(err)
			}
			return v
		}
		if err := w.Pause(ctx, "work", 100*time.Second); err != nil {
			t.Error(err)
		}
		if v := tube("work"); v.PauseLeft < 90*time.Second || v.Pauses != 1 {
			t.Errorf("got %+v after a pause", v)
		}
		if err := w.Pause(ctx, "work", 0); err != nil {
			t.Error(err)
		}
		if v := tube("work"); v.PauseLeft != 0 {
			t.Errorf("got %v left of a pause that was ended", v.PauseLeft)
		}
		for _, want := range []int{1, 1, 0} { // the buried one, the delayed one, and none
			if n, err := w.Kick(ctx, "work", 5); n != want || err != nil {
				t.Errorf("got %d jobs kicked, %v, want %d", n, err, want)
			}
		}
		for what, err := range map[string]error{
			"pause": w.Pause(ctx, "nothing", time.Second),
			"kick":  func() error { _, err := w.Kick(ctx, "nothing", 1); return err }(),
			"tube":  func() error { _, err := w.Tube(ctx, "nothing", 1); return err }(),
		} {
			if !errors.Is(err, ErrNoTube) {
				t.Errorf("%s: got %v of a tube that there is not, want %v", what, err, ErrNoTube)
			}
		}
		s, err := w.Snapshot(ctx)
		if err != nil || len(s.Tubes) != 3 {
			t.Errorf("got %v, %v, want three tubes: none is made by looking for it", s, err)
		}
		if err := w.Pause(ctx, "bad name", time.Second); !isRefusal(err) || !strings.Contains(err.Error(), "BAD_FORMAT") {
			t.Errorf("got %v of a bad name, want a refusal", err)
		}
		if v := tube("work"); v.Ready != 4 {
			t.Errorf("got %d ready jobs after a refusal, want 4", v.Ready)
		}
	})
}

// TestWireMany has many tubes, whose replies do not fit into the buffers of the
// connection.
func TestWireMany(t *testing.T) {
	const n = 3000
	eachServer(t, func(t *testing.T, addr string) {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		go func() {
			var b bytes.Buffer
			for i := range n {
				fmt.Fprintf(&b, "watch tube-%04d%s\r\n", i, strings.Repeat("x", 100))
			}
			c.Write(b.Bytes())
		}()
		in := bufio.NewReader(c)
		for range n {
			if line, err := in.ReadString('\n'); err != nil || !strings.HasPrefix(line, "WATCHING") {
				t.Fatal(line, err)
			}
		}
		w := Wire(addr)
		defer w.Close()
		s, err := w.Snapshot(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if got, want := len(s.Tubes), n+1; got != want {
			t.Errorf("got %d tubes, want %d", got, want)
		}
		for _, f := range s.Tubes {
			if f.Watching != 1 && f.Name != "default" {
				t.Fatalf("got %+v", f)
			}
		}
	})
}

// TestWireReconnects has the connection break, and servers that are none.
func TestWireReconnects(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	answers := make(chan string, 10)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				answer := <-answers
				io.WriteString(c, answer)
				if answer != "" {
					c.(*net.TCPConn).CloseWrite()
				}
				io.Copy(io.Discard, c)
			}()
		}
	}()
	w := Wire(l.Addr().String())
	defer w.Close()
	const stats = "OK 19\r\n---\nversion: \"1.0\"\n\r\n"
	for _, test := range []struct{ answer, want string }{
		{"HTTP/1.1 400 Bad Request\r\n\r\n", `does not speak beanstalkd's protocol: "HTTP/1.1 400 Bad Request"`},
		{"\r\n", "does not speak"},
		{"OK x\r\n", "does not speak beanstalkd's protocol"},
		{"OK 99999999999\r\n", "does not speak beanstalkd's protocol"},
		{strings.Repeat("x", 1<<17), "does not speak beanstalkd's protocol"},
		{"UNKNOWN_COMMAND\r\n" + stats, "has closed the connection"},
		{"UNKNOWN_COMMAND\r\n" + stats + "OK 14\r\n---\n- default\n\r\nOK 20\r\n", "has closed the connection"},
		{"UNKNOWN_COMMAND\r\n" + stats + "OK 14\r\n---\n- default\n\r\nNOT_FOUND\r\n", ""},
		{"UNKNOWN_COMMAND\r\n", "has closed the connection"},
		{"OK 32\r\n---\nserver: spoked\nversion: 2.0\n\r\n" + stats + "OK 4\r\n---\n\r\n", ""},
	} {
		answers <- test.answer
		s, err := w.Snapshot(t.Context())
		if test.want == "" && err == nil {
			name := s.Server.Name + " " + s.Server.Version
			if len(s.Tubes) != 0 || name != "beanstalkd 1.0" && name != "spoked 2.0" || s.Server.CPU != Unknown {
				t.Errorf("%q: got %+v", test.answer, s)
			}
			w.Close()
			continue
		}
		if err == nil || test.want == "" || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%.50q: got %v, want %q", test.answer, err, test.want)
		}
	}
	answers <- ""
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := w.Snapshot(ctx); err == nil || !strings.Contains(err.Error(), "does not answer") {
		t.Errorf("got %v of a server that is silent", err)
	}
	l.Close()
	if _, err := w.Snapshot(t.Context()); err == nil || !strings.Contains(err.Error(), "cannot reach") || !strings.Contains(err.Error(), "refused") {
		t.Errorf("got %v of a server that is gone", err)
	}
}

// TestWireKept has a tube looked into while it vanishes: the view keeps none.
func TestWireKept(t *testing.T) {
	eachServer(t, func(t *testing.T, addr string) {
		c := fill(t, addr)
		w := Wire(addr)
		defer w.Close()
		if _, err := w.Tube(t.Context(), "paused", 5); err != nil {
			t.Fatal(err)
		}
		if err := c.Delete(6); err != nil {
			t.Fatal(err)
		}
		c.Close()
		for end := time.Now().Add(10 * time.Second); ; {
			s, err := w.Snapshot(t.Context())
			if err == nil && len(s.Tubes) == 2 {
				return
			}
			if time.Now().After(end) {
				t.Fatalf("got %+v, %v, want the tubes default and work", s, err)
			}
		}
	})
}

func FuzzYAML(f *testing.F) {
	f.Add([]byte("---\nname: \"default\"\ncurrent-jobs-ready: 12\npause-time-left: 3\n"))
	f.Add([]byte("---\n- a\n- \"b\"\n"))
	f.Fuzz(func(t *testing.T, doc []byte) {
		fields := readFields(doc)
		tube := readTube("x", doc)
		if tube.Ready < Unknown || tube.PauseLeft < 0 {
			t.Errorf("got %+v", tube)
		}
		if v := fields.seconds("uptime"); v < Unknown {
			t.Errorf("got %v", v)
		}
		readList(doc)
		readMappings(doc)
		text := printable(doc)
		for _, r := range text {
			if !strconv.IsPrint(r) {
				t.Errorf("got %q of %q", text, doc)
			}
		}
		for _, cells := range []int{0, 1, 5, 20} {
			if _, n := cut(text, cells); n > cells {
				t.Errorf("got %d cells of %d of %q", n, cells, text)
			}
		}
	})
}
