package journal_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"spoked/internal/journal"
	"spoked/persist"
	"spoked/queue"
)

// heldFS is the system's files, of which reading can be held up.
type heldFS struct {
	persist.OS
	mu      sync.Mutex
	now     bool                   // what is read is in the page cache
	short   int                    // OpenRead has no descriptor so many times
	hold    func(name string) bool // whether a ReadAt is to be held
	held    chan struct{}          // told of each that is
	release chan struct{}
	open    int
	most    int // that were open
}

func newHeldFS() *heldFS {
	return &heldFS{held: make(chan struct{}, 100), release: make(chan struct{}, 100)}
}

func (f *heldFS) set(do func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	do()
}

// holdOnce holds the next ReadAt.
func (f *heldFS) holdOnce() {
	f.set(func() {
		f.hold = func(string) bool { f.hold = nil; return true }
	})
}

func (f *heldFS) OpenRead(name string) (persist.Reader, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.short > 0 {
		f.short--
		return nil, &fs.PathError{Op: "open", Path: name, Err: syscall.EMFILE}
	}
	r, err := f.OS.OpenRead(name)
	if err != nil {
		return nil, err
	}
	f.open++
	f.most = max(f.most, f.open)
	return &heldReader{Reader: r, fs: f, name: name}, nil
}

type heldReader struct {
	persist.Reader
	fs     *heldFS
	name   string
	closed bool
}

func (r *heldReader) ReadNow(b []byte, at int64) (int, bool) {
	now := false
	r.fs.set(func() { now = r.fs.now })
	if !now {
		return 0, false
	}
	n, _ := r.Reader.ReadAt(b, at)
	return n, true
}

func (r *heldReader) ReadAt(b []byte, at int64) (int, error) {
	wait := false
	r.fs.set(func() { wait = r.fs.hold != nil && r.fs.hold(r.name) })
	if wait {
		r.fs.held <- struct{}{}
		<-r.fs.release
	}
	return r.Reader.ReadAt(b, at)
}

func (r *heldReader) Close() error {
	r.fs.set(func() {
		if r.closed {
			panic("closed twice")
		}
		r.closed = true
		r.fs.open--
	})
	return r.Reader.Close()
}

// stored returns a journal with bodies in it alone.
func stored(t *testing.T, files *heldFS, log *zap.Logger) *live {
	return start(t, journal.Options{
		Dir: t.TempDir(), Interval: time.Millisecond, FS: files, Log: log,
		Limits: queue.Limits{Bodies: queue.InJournal},
	})
}

// result is what a fetch has come to.
type result struct {
	body string
	err  error
}

// fetch has a body fetched, in a turn that is under way.
func (l *live) fetch(j queue.Job) <-chan result {
	c := make(chan result, 1)
	l.j.Fetch(j, func(body []byte, err error) { c <- result{string(body), err} })
	return c
}

func wantBody(t *testing.T, c <-chan result, want string) {
	t.Helper()
	select {
	case r := <-c:
		if r.err != nil || r.body != want {
			t.Fatalf("Fetch: got %d bytes, %v, want %d", len(r.body), r.err, len(want))
		}
	case <-time.After(time.Minute):
		t.Fatal("Fetch has not ended")
	}
}

func (l *live) peek(e *queue.Engine, id uint64) queue.Job {
	j, err := e.Peek(id)
	if err != nil {
		l.t.Errorf("Peek %d: %v", id, err)
	}
	if j.Stored == 0 {
		l.t.Errorf("job %d is not stored", id)
	}
	return j
}

// churn has what lives in the oldest segments copied, until job id is
// elsewhere.
func (l *live) churn(id uint64) {
	l.t.Helper()
	var from, to queue.Place
	l.turn(func(e *queue.Engine) { from = l.peek(e, id).Place })
	gone := false
	for range 5000 {
		l.turn(func(e *queue.Engine) {
			e.Delete(l.now, l.user, l.put(e, "churn", 0, strings.Repeat("c", 500)))
			to = l.peek(e, id).Place
			gone = l.j.Stats().Oldest > uint64(from.Segment)
		})
		if gone && to != from {
			return
		}
		time.Sleep(100 * time.Microsecond)
	}
	l.t.Fatalf("job %d is still at %v", id, from)
}

func TestBody(t *testing.T) {
	files := newHeldFS()
	l := stored(t, files, nil)
	defer l.stop()
	want := strings.Repeat("b", 100)
	var id uint64
	body := func(when string, ok bool) (c <-chan result) {
		t.Helper()
		l.turn(func(e *queue.Engine) {
			j := l.peek(e, id)
			b, got := l.j.Body(j)
			if got != ok || ok && string(b) != want {
				t.Errorf("%s: Body: got %q, %v, want %v", when, b, got, ok)
			}
			if !ok {
				c = l.fetch(j)
			}
		})
		return c
	}
	l.turn(func(e *queue.Engine) {
		id = l.put(e, "default", 0, want)
		if b, ok := l.j.Body(l.peek(e, id)); !ok || string(b) != want {
			t.Errorf("in the turn of the put: Body: got %q, %v", b, ok)
		}
	})
	wantBody(t, body("file not open", false), want)
	wantBody(t, body("not in the cache", false), want)
	files.set(func() { files.now = true })
	body("in the cache", true)
}

func TestFetchOfWhatMoves(t *testing.T) {
	files := newHeldFS()
	l := stored(t, files, nil)
	defer l.stop()
	want := strings.Repeat("b", 100)
	for range 3 {
		var id uint64
		var c <-chan result
		l.turn(func(e *queue.Engine) { id = l.put(e, "default", 0, want) })
		files.holdOnce()
		l.turn(func(e *queue.Engine) { c = l.fetch(l.peek(e, id)) })
		<-files.held
		l.churn(id)
		files.release <- struct{}{}
		wantBody(t, c, want)
		l.churn(id)
		l.turn(func(e *queue.Engine) { c = l.fetch(l.peek(e, id)) })
		wantBody(t, c, want)
	}
}

func TestFetchOfWhatIsDeleted(t *testing.T) {
	for _, again := range []bool{false, true} { // the segment has been used again, or not
		files := newHeldFS()
		l := stored(t, files, nil)
		var id, other uint64
		var c <-chan result
		l.turn(func(e *queue.Engine) {
			id, other = l.put(e, "default", 0, "body"), l.put(e, "default", 0, "other")
		})
		files.holdOnce()
		l.turn(func(e *queue.Engine) { c = l.fetch(l.peek(e, id)) })
		<-files.held
		l.turn(func(e *queue.Engine) { e.Delete(l.now, l.user, id) })
		if again {
			l.churn(other)
		}
		files.release <- struct{}{}
		if r := <-c; !errors.Is(r.err, queue.ErrNotFound) && (r.err != nil || r.body != "body") {
			t.Errorf("used again %v: Fetch: got %q, %v, want it or %v", again, r.body, r.err, queue.ErrNotFound)
		}
		files.set(func() { files.now = true })
		l.turn(func(e *queue.Engine) { // as if it had not been deleted while somebody asks
			c = l.fetch(queue.Job{ID: id, Stored: 4, Place: queue.Place{Segment: 1 << 20, Offset: 99}})
		})
		if r := <-c; !errors.Is(r.err, queue.ErrNotFound) {
			t.Errorf("Fetch of what is nowhere: got %q, %v, want %v", r.body, r.err, queue.ErrNotFound)
		}
		l.stop()
	}
}

func TestFetchOfDamage(t *testing.T) {
	core, logs := observer.New(zap.ErrorLevel)
	files := newHeldFS()
	dir := t.TempDir()
	l := start(t, journal.Options{
		Dir: dir, Interval: time.Millisecond, FS: files, Log: zap.New(core), Limits: queue.Limits{Bodies: queue.InJournal},
	})
	var id, other uint64
	l.turn(func(e *queue.Engine) {
		id, other = l.put(e, "default", 0, strings.Repeat("b", 100)), l.put(e, "default", 0, "other")
	})
	var c, d <-chan result
	var place queue.Place
	l.turn(func(e *queue.Engine) { place = l.peek(e, id).Place })
	edit(t, dir, uint64(place.Segment), func(b []byte) []byte {
		b[bytes.IndexByte(b, 'b')+5] ^= 1
		return b
	})
	l.turn(func(e *queue.Engine) { c, d = l.fetch(l.peek(e, id)), l.fetch(l.peek(e, other)) })
	if r := <-c; r.err == nil || errors.Is(r.err, queue.ErrNotFound) || !strings.Contains(r.err.Error(), "checksum") {
		t.Errorf("Fetch: got %q, %v, want that the checksum is wrong", r.body, r.err)
	}
	wantBody(t, d, "other")
	if n := logs.Len(); n != 1 {
		t.Fatalf("got %d errors in the log, want 1", n)
	}
	said := logs.All()[0].ContextMap()
	if said["file"] != segmentPath(dir, uint64(place.Segment)) || said["offset"] != place.Offset || said["job"] != id {
		t.Errorf("the log says %v, want job %d, offset %d, and the file", said, id, place.Offset)
	}
	l.stop()
}

// A server that stops waits for what is being read, and answers no other.
func TestStopWhileFetching(t *testing.T) {
	files := newHeldFS()
	l := stored(t, files, nil)
	l.turn(func(e *queue.Engine) {
		for range 30 {
			l.put(e, "default", 0, "body")
		}
	})
	files.set(func() { files.hold = func(string) bool { return true } })
	l.turn(func(e *queue.Engine) {
		for id := uint64(1); id <= 30; id++ {
			l.fetch(l.peek(e, id))
		}
	})
	<-files.held
	done := make(chan error)
	go func() { done <- l.j.Stop() }()
	for range 30 {
		files.release <- struct{}{}
	}
	select {
	case err := <-done:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(time.Minute):
		t.Fatal("Stop has not returned")
	}
	if files.open != 0 {
		t.Errorf("%d files are open after Stop", files.open)
	}
}

// manySegments puts a job into each of so many segments.
func (l *live) manySegments(n int) (ids []uint64) {
	l.t.Helper()
	seen := map[uint32]bool{}
	for len(ids) < n {
		l.turn(func(e *queue.Engine) {
			id := l.put(e, "default", 0, fmt.Sprint("body of a job, and then ", strings.Repeat("x", 2500)))
			if p := l.peek(e, id).Place; !seen[p.Segment] {
				seen[p.Segment] = true
				ids = append(ids, id)
			}
		})
		time.Sleep(100 * time.Microsecond)
	}
	return ids
}

const manyBody = "body of a job, and then "

// No more than a few files are open, whatever is fetched, and that one is closed
// while it is needed does no harm.
func TestOpenFilesAreFew(t *testing.T) {
	files := newHeldFS()
	l := stored(t, files, nil)
	ids := l.manySegments(150)
	want := manyBody + strings.Repeat("x", 2500)
	for range 3 {
		var all []<-chan result
		l.turn(func(e *queue.Engine) {
			for _, id := range ids {
				all = append(all, l.fetch(l.peek(e, id)))
			}
		})
		for _, c := range all {
			wantBody(t, c, want)
		}
	}
	if most := 64 + 8 + 2; files.most > most {
		t.Errorf("got %d files open, want %d at most", files.most, most)
	}
	if files.open == 0 {
		t.Error("no file is kept open")
	}

	// Its file is closed before it is read from.
	var c <-chan result
	last := ids[len(ids)-1]
	l.turn(func(e *queue.Engine) { c = l.fetch(l.peek(e, last)) })
	wantBody(t, c, want)
	files.holdOnce()
	l.turn(func(e *queue.Engine) { c = l.fetch(l.peek(e, last)) })
	<-files.held
	for _, id := range ids[:100] {
		var d <-chan result
		l.turn(func(e *queue.Engine) { d = l.fetch(l.peek(e, id)) })
		wantBody(t, d, want)
	}
	files.release <- struct{}{}
	wantBody(t, c, want)
	l.stop()
	if files.open != 0 {
		t.Errorf("%d files are open after Stop", files.open)
	}
}

// Without a file descriptor a body is not lost, but comes later.
func TestFetchWithoutDescriptors(t *testing.T) {
	core, logs := observer.New(zap.ErrorLevel)
	files := newHeldFS()
	l := stored(t, files, zap.New(core))
	defer l.stop()
	var c <-chan result
	l.turn(func(e *queue.Engine) { l.put(e, "default", 0, "body") })
	files.set(func() { files.short = 2 })
	l.turn(func(e *queue.Engine) { c = l.fetch(l.peek(e, 1)) })
	wantBody(t, c, "body")
	if n := logs.Len(); n != 0 {
		t.Errorf("got %d errors in the log, want none", n)
	}
}

// What cleaning has moved, and what it has not, is all there again after a
// restart, with bodies in memory or not, and the tools see it.
func TestStoredBodiesOutliveARestart(t *testing.T) {
	dir := t.TempDir()
	want := map[uint64]string{}
	limits := []queue.Limits{{Bodies: queue.InJournal}, {}, {Bodies: queue.InMemoryIfRoom, Memory: 16 << 20}, {Bodies: queue.InMemoryIfRoom}}
	for n, limit := range limits {
		files := newHeldFS()
		l := start(t, journal.Options{Dir: dir, Interval: time.Millisecond, FS: files, Limits: limit})
		for i := range 200 {
			l.turn(func(e *queue.Engine) {
				if i%10 == 0 {
					body := fmt.Sprint("body ", n, i, strings.Repeat("y", i))
					want[l.put(e, "kept", time.Duration(i%20)*time.Hour, body)] = body
				}
				e.Delete(l.now, l.user, l.put(e, "churn", 0, strings.Repeat("c", 300)))
			})
			time.Sleep(50 * time.Microsecond)
		}
		for id, body := range want {
			var c <-chan result
			l.turn(func(e *queue.Engine) {
				j, err := e.Peek(id)
				if err != nil {
					t.Errorf("Peek %d: %v", id, err)
				} else if j.Stored == 0 {
					if string(j.Body) != body {
						t.Errorf("job %d: got %q, want %q", id, j.Body, body)
					}
				} else {
					c = l.fetch(j)
				}
			})
			if c != nil {
				wantBody(t, c, body)
			}
		}
		l.stop()
	}
	report, err := journal.Check(dir, time.Now().UnixNano())
	if err != nil || !report.OK {
		t.Errorf("Check: got %+v, %v", report, err)
	}
	repaired, exported := t.TempDir(), t.TempDir()
	if _, err := journal.Repair(dir, repaired, segmentSize, time.Now().UnixNano()); err != nil {
		t.Errorf("Repair: %v", err)
	}
	if _, err := journal.Export(dir, exported, time.Now().UnixNano()); err != nil {
		t.Errorf("Export: %v", err)
	}
	for what, d := range map[string]string{"the journal": dir, "what is repaired": repaired} {
		all := strings.Join(jobsOf(t, d), "\n")
		for id, body := range want {
			if !strings.Contains(all, fmt.Sprintf("%q", body)) {
				t.Errorf("%s: the body of job %d is missing: %q", what, id, body)
			}
		}
	}
	l := start(t, journal.Options{Dir: exported, Interval: time.Millisecond, Limits: queue.Limits{Bodies: queue.InJournal}}) // it is taken over
	n := 0
	for id, body := range want {
		var c <-chan result
		l.turn(func(e *queue.Engine) { c = l.fetch(l.peek(e, id)) })
		wantBody(t, c, body)
		n++
	}
	if n != len(want) || n == 0 {
		t.Errorf("got %d jobs, want %d", n, len(want))
	}
	l.stop()
}
