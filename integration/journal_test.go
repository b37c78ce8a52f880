//go:build unix

package integration

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// syncModes are the ways in which a journal is synced, as arguments. Whatever
// it is, a server that is killed loses nothing that it has acknowledged.
var syncModes = []string{"-f 50", "-f 0", "-F"}

// startJournal starts a spoked that keeps jobs in dir.
func startJournal(t testing.TB, dir, args string) *server {
	t.Helper()
	return startServer(t, spokedPath(t), append(strings.Fields(args), "-b", dir)...)
}

// endServer has a signal end a server, which must take it well.
func endServer(t *testing.T, s *server, sig os.Signal) {
	t.Helper()
	if err := s.Stop(sig); sig == syscall.SIGTERM && err != nil {
		t.Fatalf("%s: %v\n%s", s.cmd, err, s.Stderr())
	}
}

// putJob puts a job and returns its id.
func (c *client) putJob(pri uint32, delay, ttr int, body string) (id int) {
	c.t.Helper()
	c.send(fmt.Sprintf("put %d %d %d %d\r\n%s\r\n", pri, delay, ttr, len(body), body))
	return c.inserted()
}

// use has later puts go to a tube.
func (c *client) use(tube string) {
	c.t.Helper()
	c.ask("use "+tube+"\r\n", "USING "+tube+"\r\n")
}

// take reserves the job with that id.
func (c *client) take(id int, body string) {
	c.t.Helper()
	c.ask(fmt.Sprintf("reserve-job %d\r\n", id), fmt.Sprintf("RESERVED %d %d\r\n%s\r\n", id, len(body), body))
}

func (c *client) statsJob(id int) stats {
	c.t.Helper()
	return c.statsOf(fmt.Sprintf("stats-job %d\r\n", id))
}

// tubes returns the tubes that there are, sorted.
func (c *client) tubes() []string {
	c.t.Helper()
	c.send("list-tubes\r\n")
	var size int
	if line := c.line(); !strings.HasPrefix(line, "OK ") {
		c.t.Fatalf("list-tubes: got %q, want OK", line)
	} else if _, err := fmt.Sscanf(line, "OK %d\r\n", &size); err != nil {
		c.t.Fatal(err)
	}
	text := make([]byte, size+len("\r\n"))
	if _, err := io.ReadFull(c.in, text); err != nil {
		c.t.Fatal(err)
	}
	var tubes []string
	for line := range strings.Lines(string(text)) {
		if name, ok := strings.CutPrefix(strings.TrimSpace(line), "- "); ok {
			tubes = append(tubes, name)
		}
	}
	slices.Sort(tubes)
	return tubes
}

// history is what the jobs of a test have been through.
type history struct {
	bodies map[int]string
	before map[int]stats    // of stats-job
	killed map[int]stats    // how it differs if the server is killed
	pauses map[string]stats // of stats-tube
	buried []int            // in the order of burial
	due    int              // a job that is due while no server is running,
	dueAt  time.Time        // then
	next   int              // id
	tubes  []string         // sorted
	asked  time.Time        // when before was
	owner  *client          // of what is reserved
}

const allSorts = "orders" // the tube that most jobs are in

// live puts jobs and has them go through everything that can happen to one.
// With beanstalkd, none times out: its timers cannot be relied on.
func (h *history) live(t *testing.T, s *server, timeouts bool) {
	h.bodies, h.killed = map[int]string{}, map[int]stats{}
	boss, worker := connect(t, s), connect(t, s)
	h.owner = worker
	put := func(pri uint32, delay, ttr int, body string) int {
		t.Helper()
		id := boss.putJob(pri, delay, ttr, body)
		h.bodies[id] = body
		return id
	}
	takeAnd := func(id int, format, reply string) {
		t.Helper()
		worker.take(id, h.bodies[id])
		worker.ask(fmt.Sprintf(format, id), reply)
	}

	boss.use("due")
	ttr, timedOut := 60, stats{"timeouts": "0"}
	if timeouts {
		ttr, timedOut = 1, stats{"timeouts": "1"}
	}
	timed := put(0, 0, ttr, "times out")
	worker.take(timed, h.bodies[timed])
	h.killed[timed] = stats{"reserves": "0", "timeouts": "0"}

	boss.use(allSorts)
	large := strings.Repeat("\r\nput 0 0 60 5\r\n\x00\xff", 65535/18+1)[:65535]
	for i, body := range []string{"a\r\nb\x00c", "", large, "\r\n", "\x00", "delete 1\r\n"} {
		put([]uint32{7, 3, 4294967295, 3, 0, 1024}[i], 0, 60+i, body)
	}
	put(5, 1000, 4294967295, "delayed")
	put(5, 4294967295, 60, "delayed for a long time")
	var toBury []int
	for i := range 4 {
		toBury = append(toBury, put(uint32(i), 0, 60, fmt.Sprint("buried ", i)))
	}
	for _, i := range []int{2, 0, 3, 1} {
		takeAnd(toBury[i], "bury %d 77\r\n", "BURIED\r\n")
		h.buried = append(h.buried, toBury[i])
	}
	takeAnd(put(1, 0, 60, "released"), "release %d 2 0\r\n", "RELEASED\r\n")
	takeAnd(put(1, 0, 60, "released with delay"), "release %d 9 500\r\n", "RELEASED\r\n")
	kicked := put(1, 0, 60, "kicked")
	takeAnd(kicked, "bury %d 6\r\n", "BURIED\r\n")
	boss.ask(fmt.Sprintf("kick-job %d\r\n", kicked), "KICKED\r\n")
	kicked = put(1, 1000, 60, "kicked out of a delay")
	boss.ask(fmt.Sprintf("kick-job %d\r\n", kicked), "KICKED\r\n")
	takeAnd(put(1, 0, 60, "touched"), "touch %d\r\n", "TOUCHED\r\n")
	h.killed[kicked+1] = stats{"reserves": "0"}
	again := put(1, 0, 60, "reserved again")
	takeAnd(again, "release %d 1 0\r\n", "RELEASED\r\n")
	worker.take(again, h.bodies[again])
	h.killed[again] = stats{"reserves": "1"}
	dug := put(1, 0, 60, "reserved when it was buried")
	takeAnd(dug, "bury %d 1\r\n", "BURIED\r\n")
	worker.take(dug, h.bodies[dug])
	h.killed[dug] = stats{"reserves": "1"}
	early := put(1, 1000, 60, "reserved when it was delayed")
	worker.take(early, h.bodies[early])
	h.killed[early] = stats{"reserves": "0"}

	boss.use("held")
	held := put(1, 0, 60, "reserved")
	worker.ask("watch held\r\nreserve\r\n", fmt.Sprintf("WATCHING 2\r\nRESERVED %d 8\r\nreserved\r\n", held))
	h.killed[held] = stats{"reserves": "0"}
	boss.use("paused")
	put(1, 0, 60, "in a tube that is paused")
	boss.ask("pause-tube paused 1000\r\n", "PAUSED\r\n")
	boss.ask("pause-tube default 2000\r\n", "PAUSED\r\n")
	boss.ask("pause-tube held 3000\r\npause-tube held 0\r\n", "PAUSED\r\nPAUSED\r\n")

	await(t, func() error { return boss.statsJob(timed).differ(timedOut) })
	boss.use("due")
	h.due = put(1, 1, 60, "due soon")
	h.dueAt = time.Now().Add(time.Second)
	gone := boss.putJob(1, 0, 60, "deleted")
	boss.ask(fmt.Sprintf("delete %d\r\n", gone), "DELETED\r\n")
	h.next = gone + 1
	h.look(boss)
	h.tubes = []string{"default", "due", "held", allSorts, "paused"}
}

// look remembers how everything is.
func (h *history) look(c *client) {
	c.t.Helper()
	h.asked = time.Now()
	h.before, h.pauses = map[int]stats{}, map[string]stats{}
	for id := range h.bodies {
		h.before[id] = c.statsJob(id)
	}
	for _, tube := range []string{"default", "paused", "held"} {
		h.pauses[tube] = c.statsOf("stats-tube " + tube + "\r\n")
	}
}

// check compares what a server has restored with what there was before.
func (h *history) check(t *testing.T, s *server, killed bool) {
	t.Helper()
	c := connect(t, s)
	counts := map[string]int{}
	all := c.stats()
	for id, body := range h.bodies {
		c.ask(fmt.Sprintf("peek %d\r\n", id), fmt.Sprintf("FOUND %d %d\r\n%s\r\n", id, len(body), body))
		got, before := c.statsJob(id), h.before[id]
		want := stats{}
		for key, value := range before {
			want[key] = value
		}
		for key, value := range h.killed[id] {
			if killed {
				want[key] = value
			}
		}
		if want["state"] == "reserved" || id == h.due {
			want["state"], want["time-left"] = "ready", "0"
		}
		counts[want["state"]]++
		passed := time.Since(h.asked).Seconds() + 2
		checkRange(t, got, "age", before.number(t, "age"), before.number(t, "age")+passed)
		if want["state"] == "delayed" {
			checkRange(t, got, "time-left", before.number(t, "time-left")-passed, before.number(t, "time-left"))
			delete(want, "time-left")
		}
		checkRange(t, got, "file", all.number(t, "binlog-oldest-index"), all.number(t, "binlog-current-index"))
		delete(want, "age")
		delete(want, "file")
		if len(got) != len(before) {
			t.Errorf("job %d (%.20q): got stats %v, want those that there were: %v", id, body, got, before)
		}
		if err := got.differ(want); err != nil {
			t.Errorf("job %d (%.20q): %v", id, body, err)
		}
	}
	want := stats{"current-jobs-reserved": "0"}
	for state, n := range counts {
		want["current-jobs-"+state] = strconv.Itoa(n)
	}
	if err := all.differ(want); err != nil {
		t.Error(err)
	}
	checkRange(t, all, "binlog-oldest-index", 1, all.number(t, "binlog-current-index"))
	for tube, before := range h.pauses {
		got := c.statsOf("stats-tube " + tube + "\r\n")
		if err := got.differ(stats{"pause": before["pause"]}); err != nil {
			t.Errorf("tube %s: %v", tube, err)
		}
		left := before.number(t, "pause-time-left")
		checkRange(t, got, "pause-time-left", max(0, left-time.Since(h.asked).Seconds()-2), left)
	}
	if got := c.tubes(); !slices.Equal(got, h.tubes) {
		t.Errorf("got tubes %q, want %q", got, h.tubes)
	}
}

// checkRange wants a value to be in a range.
func checkRange(t *testing.T, s stats, key string, least, most float64) {
	t.Helper()
	if got := s.number(t, key); got < least || got > most {
		t.Errorf("%s: got %v, want %.0f to %.0f", key, got, least, most)
	}
}

// useUp takes all jobs out, in the order in which they must come.
func (h *history) useUp(t *testing.T, s *server) {
	t.Helper()
	c := connect(t, s)
	c.use(allSorts)
	for i, id := range h.buried {
		c.ask("peek-buried\r\n", fmt.Sprintf("FOUND %d %d\r\n%s\r\n", id, len(h.bodies[id]), h.bodies[id]))
		c.ask("kick 1\r\n", "KICKED 1\r\n")
		h.before[id]["state"] = "ready"
		if err := c.statsJob(id).differ(stats{"kicks": "1", "buries": "1", "state": "ready"}); err != nil {
			t.Errorf("the buried job no. %d: %v", i, err)
		}
	}
	c.ask("peek-buried\r\n", "NOT_FOUND\r\n")
	pri := func(id int) float64 { return h.before[id].number(t, "pri") }
	var ready []int
	for id, before := range h.before {
		if strings.Trim(before["tube"], `"`) == allSorts && before["state"] != "delayed" {
			ready = append(ready, id)
		}
	}
	slices.SortFunc(ready, func(a, b int) int { return cmp.Or(cmp.Compare(pri(a), pri(b)), cmp.Compare(a, b)) })
	c.ask("watch "+allSorts+"\r\nignore default\r\n", "WATCHING 2\r\nWATCHING 1\r\n")
	for _, id := range ready {
		c.ask("reserve-with-timeout 0\r\n", fmt.Sprintf("RESERVED %d %d\r\n%s\r\n", id, len(h.bodies[id]), h.bodies[id]))
	}
	c.ask("reserve-with-timeout 0\r\n", "TIMED_OUT\r\n")
	c.ask("watch paused\r\nreserve-with-timeout 0\r\n", "WATCHING 2\r\nTIMED_OUT\r\n")
	if got := c.put("next"); got != h.next {
		t.Errorf("got id %d for a new job, want %d", got, h.next)
	}
}

// TestJournalRestart ends a server that has jobs in every state, and wants the
// next one to know everything about them.
func TestJournalRestart(t *testing.T) {
	t.Parallel()
	for i, transport := range transports {
		for k, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} {
			args := transport + " " + syncModes[(i+k)%len(syncModes)]
			t.Run(fmt.Sprint(args, " ", sig), func(t *testing.T) {
				t.Parallel()
				dir := t.TempDir()
				s := startJournal(t, dir, args)
				var h history
				h.live(t, s, true)
				endServer(t, s, sig)
				time.Sleep(time.Until(h.dueAt)) // it must come due while nobody looks

				s = startJournal(t, dir, args)
				h.check(t, s, sig == syscall.SIGKILL)
				if t.Failed() {
					return
				}
				c := connect(t, s)
				h.look(c)
				endServer(t, s, syscall.SIGKILL)
				h.killed = nil

				s = startJournal(t, dir, args)
				h.check(t, s, true)
				h.useUp(t, s)
			})
		}
	}
}

// TestJournalPauseWithoutJobs pauses a tube that only a client keeps. The tube
// and its pause outlive the server; if nobody wants the tube, they are gone
// with the pause.
func TestJournalPauseWithoutJobs(t *testing.T) {
	t.Parallel()
	for i, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} {
		t.Run(sig.String(), func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			s := startJournal(t, dir, transports[i])
			c, left := connect(t, s), connect(t, s)
			c.ask("watch empty\r\npause-tube empty 1000\r\n", "WATCHING 2\r\nPAUSED\r\n")
			left.ask("watch left\r\npause-tube left 1000\r\n", "WATCHING 2\r\nPAUSED\r\n")
			left.Close()
			await(t, func() error {
				if got := c.tubes(); !slices.Equal(got, []string{"default", "empty"}) {
					return fmt.Errorf("got tubes %q after a client has left", got)
				}
				return nil
			})
			endServer(t, s, sig)
			s = startJournal(t, dir, transports[i])
			c = connect(t, s)
			if got, want := c.tubes(), []string{"default", "empty"}; !slices.Equal(got, want) {
				t.Fatalf("got tubes %q, want %q", got, want)
			}
			got := c.statsOf("stats-tube empty\r\n")
			if err := got.differ(stats{"pause": "1000", "current-watching": "0"}); err != nil {
				t.Error(err)
			}
			checkRange(t, got, "pause-time-left", 900, 1000)
			c.use("empty")
			id := c.put("x")
			c.ask("watch empty\r\nreserve-with-timeout 0\r\n", "WATCHING 2\r\nTIMED_OUT\r\n")
			c.ask(fmt.Sprintf("delete %d\r\n", id), "DELETED\r\n")
		})
	}
}

// TestJournalTranscripts plays transcripts against servers with a journal: to
// clients there is no difference.
func TestJournalTranscripts(t *testing.T) {
	t.Parallel()
	for i, mode := range syncModes {
		for k, where := range placesOfBodies {
			args := mode + " " + transports[(i+k)%len(transports)] + where
			t.Run(args, func(t *testing.T) {
				t.Parallel()
				for _, dir := range []string{"transcripts", "added"} {
					playAll(t, dir, spokedPath(t), strings.Fields(args), "spoked", "1.13", "journal")
				}
			})
		}
	}
}

// placesOfBodies are the ways to say where bodies are, as arguments. With less
// memory, which is taken in pages of a megabyte for long bodies, a few puts that
// arrive at the same time may be refused.
var placesOfBodies = []string{"", " --bodies disk", " --memory 5MB"}

// TestJournalAcknowledged kills a server the moment that it has acknowledged
// the last of many puts, or given a job to a worker that waited for it.
func TestJournalAcknowledged(t *testing.T) {
	t.Parallel()
	const conns, puts = 20, 50
	for i, transport := range transports {
		args := transport + " " + syncModes[(i+1)%len(syncModes)] + " -s 65536"
		t.Run("puts "+args, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			s := startJournal(t, dir, args)
			bodies := map[int]string{}
			var clients []*client
			for k := range conns {
				c := connect(t, s)
				var b strings.Builder
				for n := range puts {
					fmt.Fprintf(&b, "put %d 0 60 8\r\n%03d %04d\r\n", n, k, n)
				}
				c.send(b.String())
				clients = append(clients, c)
			}
			for k, c := range clients {
				for n := range puts {
					bodies[c.inserted()] = fmt.Sprintf("%03d %04d", k, n)
				}
			}
			endServer(t, s, syscall.SIGKILL)
			c := connect(t, startJournal(t, dir, args))
			if len(bodies) != conns*puts {
				t.Errorf("got %d ids for %d jobs", len(bodies), conns*puts)
			}
			for id, body := range bodies {
				c.ask(fmt.Sprintf("peek %d\r\n", id), fmt.Sprintf("FOUND %d %d\r\n%s\r\n", id, len(body), body))
			}
		})
		t.Run("waiting "+args, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			for range 3 {
				s := startJournal(t, dir, args)
				boss, worker := connect(t, s), connect(t, s)
				worker.send("reserve\r\n")
				awaitStats(boss, stats{"current-waiting": "1"})
				boss.send("put 0 0 60 1\r\nx\r\n") // the reply is never read
				var id int
				if line := worker.line(); !strings.HasPrefix(line, "RESERVED ") {
					t.Fatalf("got %q, want RESERVED", line)
				} else if _, err := fmt.Sscanf(line, "RESERVED %d 1\r\n", &id); err != nil {
					t.Fatal(err)
				}
				endServer(t, s, syscall.SIGKILL)
				s = startJournal(t, dir, args)
				c := connect(t, s)
				c.ask(fmt.Sprintf("peek %d\r\n", id), fmt.Sprintf("FOUND %d 1\r\nx\r\n", id))
				c.ask(fmt.Sprintf("delete %d\r\n", id), "DELETED\r\n")
				endServer(t, s, syscall.SIGKILL)
			}
		})
	}
}

// spawnJournal starts a spoked that is not expected to listen.
func spawnJournal(t *testing.T, dir string, args ...string) *server {
	t.Helper()
	return spawn(t, append([]string{"-l", "unix:" + filepath.Join(socketDir(t), "socket"), "-b", dir}, args...)...)
}

// segmentFiles returns the paths of the segments in dir, oldest first.
func segmentFiles(t *testing.T, dir string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "journal", "[0-9]*.segment"))
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// dialSoon connects to a unix socket as soon as there is one.
func dialSoon(path string) (net.Conn, error) {
	for end := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		conn, err := net.Dial("unix", path)
		if err == nil || time.Now().After(end) ||
			!errors.Is(err, syscall.ENOENT) && !errors.Is(err, syscall.ECONNREFUSED) {
			return conn, err
		}
	}
}
