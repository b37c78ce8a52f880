//go:build unix

package integration

import (
	"bufio"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

var kills = flag.Int("kills", 0, "how many times TestJournalKill kills a server in each mode; 0: as often as takes no time")

// TestJournalKill kills servers at random moments, again and again on the same
// directory, while clients do everything that can be done to jobs. Each of
// them but those of the shared tube has a tube of its own, and knows exactly
// what it must find there: all that was acknowledged, and of what was not, a
// part from the beginning.
func TestJournalKill(t *testing.T) {
	t.Parallel()
	modes := slices.Clone(syncModes)
	for i, where := range placesOfBodies[1:] {
		modes = append(modes, syncModes[i]+where)
	}
	for _, mode := range modes {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			rounds := *kills
			if rounds == 0 {
				rounds = 5
				if mode == "-f 0" && !testing.Short() {
					rounds = 15
				}
			}
			dir, err := os.MkdirTemp("", "spoked-kill-")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				if t.Failed() {
					t.Logf("the directory is kept: %s", dir)
					return
				}
				os.RemoveAll(dir)
			})
			k := &killing{r: random(t), dir: dir, socket: filepath.Join(dir, "socket"), mode: mode, nextID: 1}
			k.shared.jobs = map[string]*sharedJob{}
			for i := range 4 {
				k.owners = append(k.owners, newOwner(i))
			}
			for k.round < rounds && !t.Failed() {
				k.round++
				k.once(t)
			}
			t.Logf("%d kills: %d commands acknowledged, %d in flight, of which %d were found done; %d segments at the end",
				k.round, k.acknowledged, k.flying, k.found, len(segmentFiles(t, dir)))
		})
	}
}

// killing is a series of kills on one directory.
type killing struct {
	r      *rand.Rand
	dir    string
	socket string
	mode   string
	round  int
	owners []*owner
	shared sharedTube
	nextID int // no job of an earlier round has this id or a later one

	pid                         atomic.Int64
	countdown                   atomic.Int64 // acknowledged commands, until the server is killed
	acknowledged, flying, found int
}

// once starts a server, checks what it has restored, has clients use it, and
// kills it.
func (k *killing) once(t *testing.T) {
	args := append(strings.Fields(transports[k.r.IntN(len(transports))]), strings.Fields(k.mode)...)
	args = append(args, "-s", []string{"16384", "65536"}[k.r.IntN(2)], "-b", k.dir, "-l", "unix:"+k.socket)
	s := spawn(t, args...)
	defer func() {
		if t.Failed() {
			t.Logf("round %d, %s:\n%s", k.round, s.cmd, s.Stderr())
		}
	}()
	conn, err := dialSoon(k.socket)
	if err != nil {
		t.Fatal(err, s.Stderr())
	}
	defer conn.Close()
	k.check(t, &client{Conn: conn, t: t, in: bufio.NewReaderSize(conn, 64<<10)})
	if t.Failed() {
		return
	}

	k.pid.Store(int64(s.Pid))
	k.countdown.Store(int64(1 + k.r.IntN(800)))
	works := []func(conn net.Conn, in *bufio.Reader, r *rand.Rand) error{k.produce, k.consume, k.consume}
	for _, o := range k.owners {
		works = append(works, func(conn net.Conn, in *bufio.Reader, r *rand.Rand) error { return o.work(k, conn, in, r) })
	}
	var conns []net.Conn
	for range works {
		conn, err := net.Dial("unix", k.socket)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		conns = append(conns, conn)
	}
	var group sync.WaitGroup
	errs := make(chan error, len(works))
	for i, work := range works {
		conn, r := conns[i], rand.New(rand.NewPCG(k.r.Uint64(), 0))
		group.Go(func() {
			if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
				errs <- err
			} else if err := work(conn, bufio.NewReaderSize(conn, 64<<10), r); !hungUp(err) {
				errs <- err
			}
		})
	}
	group.Wait()
	close(errs)
	for err := range errs {
		t.Error(err)
	}
	s.wantExit(t, -1)
}

// hungUp reports whether err is what there is to be seen of a server that was
// killed.
func hungUp(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

// ack counts a reply, and kills the server if it is the one.
func (k *killing) ack() {
	if k.countdown.Add(-1) == 0 {
		_ = syscall.Kill(int(k.pid.Load()), syscall.SIGKILL)
	}
}

// restored is a job that a server has restored.
type restored struct {
	id    int
	body  string
	stats stats
}

// check compares what c's server has restored with what there must be, and has
// the clients go on from there.
func (k *killing) check(t *testing.T, c *client) {
	next := c.put("probe")
	c.ask(fmt.Sprintf("delete %d\r\n", next), "DELETED\r\n")
	ids := map[int]bool{}
	for _, o := range k.owners {
		for _, j := range o.base.jobs {
			ids[j.id] = true
		}
	}
	for _, j := range k.shared.jobs {
		ids[j.id] = true
	}
	delete(ids, 0) // of those that nobody has been told
	for id := range ids {
		if id >= next {
			t.Errorf("got id %d again, which job %d had before", next, id)
		}
	}
	for id := k.nextID; id < next; id++ {
		ids[id] = true
	}
	k.nextID = next + 1

	found := peekAll(c, slices.Sorted(maps.Keys(ids)))
	perOwner := make([]map[int]*restored, len(k.owners))
	for i := range perOwner {
		perOwner[i] = map[int]*restored{}
	}
	shared := map[string]*restored{}
	for _, j := range found {
		who, rest, _ := strings.Cut(j.body, "-")
		number, _, _ := strings.Cut(rest, "-")
		seq, err := strconv.Atoi(number)
		i, err2 := strconv.Atoi(who)
		switch {
		case who == "shared" && shared[j.body] == nil:
			shared[j.body] = j
		case err == nil && err2 == nil && perOwner[i][seq] == nil:
			perOwner[i][seq] = j
		default:
			t.Errorf("got job %d, which nobody has put, or for a second time: %.40q", j.id, j.body)
		}
	}
	all := c.stats()
	n := all.number(t, "current-jobs-ready") + all.number(t, "current-jobs-delayed") + all.number(t, "current-jobs-buried")
	if int(n) != len(found) || all["current-jobs-reserved"] != "0" {
		t.Errorf("got %v jobs in the stats, and %s reserved, want %d and 0", n, all["current-jobs-reserved"], len(found))
	}
	for i, o := range k.owners {
		k.acknowledged += o.acknowledged
		k.flying += len(o.flight)
		done, err := o.recover(perOwner[i], c)
		if err != nil {
			t.Errorf("tube of client %d: %v", i, err)
			continue
		}
		k.found += done
	}
	k.shared.check(t, shared, c)
}

// peekAll returns those of the jobs with these ids that there are, with their
// stats.
func peekAll(c *client, ids []int) (found []*restored) {
	c.t.Helper()
	const batch = 500
	for part := range slices.Chunk(ids, batch) {
		var b strings.Builder
		for _, id := range part {
			fmt.Fprintf(&b, "peek %d\r\n", id)
		}
		sendAside(c, b.String())
		for _, id := range part {
			line := c.line()
			if line == "NOT_FOUND\r\n" {
				continue
			}
			var got, size int
			if _, err := fmt.Sscanf(line, "FOUND %d %d\r\n", &got, &size); err != nil || got != id {
				c.t.Fatalf("peek %d: got %q", id, line)
			}
			body := make([]byte, size+len("\r\n"))
			if _, err := io.ReadFull(c.in, body); err != nil {
				c.t.Fatal(err)
			}
			found = append(found, &restored{id: id, body: string(body[:size])})
		}
	}
	for part := range slices.Chunk(found, batch) {
		var b strings.Builder
		for _, j := range part {
			fmt.Fprintf(&b, "stats-job %d\r\n", j.id)
		}
		sendAside(c, b.String())
		for _, j := range part {
			j.stats = c.readStats(fmt.Sprintf("stats-job %d", j.id))
		}
	}
	return found
}

// sendAside sends text while replies are read.
func sendAside(c *client, text string) {
	c.t.Helper()
	c.hurry()
	go func() { _, _ = io.WriteString(c, text) }() // reading tells if it fails
}

// sharedTube is a tube that one client fills and others empty.
type sharedTube struct {
	mu    sync.Mutex
	jobs  map[string]*sharedJob // by body
	queue []string              // puts that have been sent, and not answered
	seq   int
	alive int
}

// sharedJob is what clients know of a job.
type sharedJob struct {
	id                int // 0 if nobody has been told
	deleting, deleted bool
	burying, buried   bool
}

const sharedName = "shared"

// produce puts jobs as long as there are not too many.
func (k *killing) produce(conn net.Conn, in *bufio.Reader, r *rand.Rand) error {
	if err := exchange(conn, in, "use shared\r\n", "USING shared\r\n"); err != nil {
		return err
	}
	v := &k.shared
	for {
		var b strings.Builder
		v.mu.Lock()
		n := min(1+r.IntN(16), 100-v.alive)
		for range n {
			v.seq++
			body := fmt.Sprintf("shared-%d-%s", v.seq, strings.Repeat("s", r.IntN(300)))
			v.jobs[body] = &sharedJob{}
			v.queue = append(v.queue, body)
			v.alive++
			fmt.Fprintf(&b, "put %d 0 100000 %d\r\n%s\r\n", r.IntN(3), len(body), body)
		}
		v.mu.Unlock()
		if n <= 0 {
			// Others will delete some, or kill the server.
			if err := exchange(conn, in, "list-tube-used\r\n", "USING shared\r\n"); err != nil {
				return err
			}
			continue
		}
		if _, err := io.WriteString(conn, b.String()); err != nil {
			return err
		}
		for range n {
			line, err := in.ReadString('\n')
			if err != nil {
				return err
			}
			var id int
			if _, err := fmt.Sscanf(line, "INSERTED %d\r\n", &id); err != nil {
				return fmt.Errorf("put: got %q", line)
			}
			v.mu.Lock()
			v.jobs[v.queue[0]].id = id
			v.queue = v.queue[1:]
			v.mu.Unlock()
			k.ack()
		}
	}
}

// consume waits for jobs, and deletes, releases or buries them.
func (k *killing) consume(conn net.Conn, in *bufio.Reader, r *rand.Rand) error {
	if err := exchange(conn, in, "watch shared\r\nignore default\r\n", "WATCHING 2\r\nWATCHING 1\r\n"); err != nil {
		return err
	}
	v := &k.shared
	request, want := "", ""
	var last *sharedJob
	for {
		if _, err := io.WriteString(conn, request+"reserve\r\n"); err != nil {
			return err
		}
		if last != nil {
			line, err := in.ReadString('\n')
			if err != nil {
				return err
			}
			if line != want {
				return fmt.Errorf("%q: got %q, want %q", request, line, want)
			}
			v.mu.Lock()
			// Not all that is true of the job by now: it may be another's.
			last.deleted = last.deleted || strings.HasPrefix(request, "delete")
			last.buried = last.buried || strings.HasPrefix(request, "bury")
			v.mu.Unlock()
			k.ack()
		}
		line, err := in.ReadString('\n')
		if err != nil {
			return err
		}
		var id, size int
		if _, err := fmt.Sscanf(line, "RESERVED %d %d\r\n", &id, &size); err != nil {
			return fmt.Errorf("reserve: got %q", line)
		}
		body := make([]byte, size+len("\r\n"))
		if _, err := io.ReadFull(in, body); err != nil {
			return err
		}
		v.mu.Lock()
		last = v.jobs[string(body[:size])]
		if last == nil || last.deleting || last.burying || last.id != 0 && last.id != id {
			v.mu.Unlock()
			return fmt.Errorf("got job %d reserved (%.40q), which is %+v", id, body, last)
		}
		last.id = id
		switch r.IntN(10) {
		case 0, 1:
			request, want = fmt.Sprintf("release %d 1 0\r\n", id), "RELEASED\r\n"
		case 2:
			request, want = fmt.Sprintf("bury %d 1\r\n", id), "BURIED\r\n"
			last.burying = true
		default:
			request, want = fmt.Sprintf("delete %d\r\n", id), "DELETED\r\n"
			last.deleting = true
			v.alive--
		}
		v.mu.Unlock()
		k.ack()
	}
}

// check compares what was restored of the tube with what is known of it.
func (v *sharedTube) check(t *testing.T, found map[string]*restored, c *client) {
	t.Helper()
	for body, j := range v.jobs {
		got := found[body]
		switch {
		case got == nil && j.id != 0 && !j.deleting:
			t.Errorf("job %d of the shared tube is lost: %+v", j.id, j)
		case got != nil && j.deleted:
			t.Errorf("job %d of the shared tube is back", j.id)
		case got != nil && j.id != 0 && got.id != j.id:
			t.Errorf("job %d of the shared tube has become %d", j.id, got.id)
		case got != nil && (j.buried && got.stats["state"] != "buried" || !j.burying && got.stats["state"] != "ready"):
			t.Errorf("job %d of the shared tube is %s: %+v", j.id, got.stats["state"], j)
		}
	}
	v.queue, v.alive = nil, len(found)
	old := v.jobs
	v.jobs = map[string]*sharedJob{}
	for body, got := range found {
		if old[body] == nil {
			t.Errorf("job %d of the shared tube was not put", got.id)
		}
		v.jobs[body] = &sharedJob{id: got.id}
	}
	c.use(sharedName)
	c.send("kick 1000000\r\n")
	c.line()
	c.use("default")
}

// exchange sends a request and wants that reply.
func exchange(conn net.Conn, in *bufio.Reader, request, want string) error {
	if _, err := io.WriteString(conn, request); err != nil {
		return err
	}
	got := make([]byte, len(want))
	if _, err := io.ReadFull(in, got); err != nil {
		return err
	}
	if string(got) != want {
		return fmt.Errorf("%q: got %q, want %q", request, got, want)
	}
	return nil
}
