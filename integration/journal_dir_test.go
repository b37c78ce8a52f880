//go:build unix

package integration

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"spoked/internal/config"
)

// startBeanstalkd starts a beanstalkd that keeps jobs in dir.
func startBeanstalkd(t *testing.T, dir string) *server {
	t.Helper()
	return startServer(t, referencePath(t), "-b", dir, "-f", "0")
}

// TestJournalInUse starts servers in a directory that another one uses.
func TestJournalInUse(t *testing.T) {
	t.Parallel()
	refuse := func(t *testing.T, dir string) {
		t.Helper()
		s := spawnJournal(t, dir)
		s.wantExit(t, config.ExitJournal)
		s.wantStderr(t, dir)
		s.wantStderr(t, "another server uses it")
	}
	t.Run("spoked", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		s := startJournal(t, dir, "")
		c := connect(t, s)
		id := c.put("x")
		refuse(t, dir)
		c.ask(fmt.Sprintf("peek %d\r\n", id), fmt.Sprintf("FOUND %d 1\r\nx\r\n", id))
		endServer(t, s, syscall.SIGKILL)
		s = startJournal(t, dir, "")
		connect(t, s).ask(fmt.Sprintf("peek %d\r\n", id), fmt.Sprintf("FOUND %d 1\r\nx\r\n", id))
	})
	t.Run("beanstalkd after spoked", func(t *testing.T) {
		t.Parallel()
		path, dir := referencePath(t), t.TempDir()
		s := startJournal(t, dir, "")
		launching.Lock()
		second := start(t, exec.Command(path, "-l", "unix:"+filepath.Join(socketDir(t), "socket"), "-b", dir))
		launching.Unlock()
		second.wantExit(t, config.ExitJournal)
		connect(t, s).put("x")
	})
	t.Run("spoked after beanstalkd", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		s := startBeanstalkd(t, dir)
		refuse(t, dir)
		connect(t, s).put("x")
	})
}

// TestJournalNoDirectory starts servers where there can be no journal.
func TestJournalNoDirectory(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	closed := filepath.Join(dir, "closed")
	if err := os.Mkdir(closed, 0o500); err != nil {
		t.Fatal(err)
	}
	tests := []struct{ name, dir, want string }{
		{"missing", filepath.Join(dir, "missing"), "no such file or directory"},
		{"file", file, "is not a directory"},
		{"below a file", filepath.Join(file, "below"), "not a directory"},
		{"closed", closed, "permission denied"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if test.dir == closed && os.Getuid() == 0 {
				t.Skip("root may do everything")
			}
			s := spawnJournal(t, test.dir)
			s.wantExit(t, config.ExitJournal)
			s.wantStderr(t, test.dir)
			s.wantStderr(t, test.want)
		})
	}
	if got, err := os.ReadFile(file); string(got) != "precious" {
		t.Errorf("got %q (%v) in the file that was in the way, want it as it was", got, err)
	}
}

// putMany puts jobs with bodies that can be told apart, and returns their ids.
// It does not put all at once: that would be one large segment.
func putMany(c *client, n int) (ids []int) {
	c.t.Helper()
	const batch = 25
	for i := 0; i < n; i += batch {
		var b strings.Builder
		for k := range batch {
			b.WriteString("put 0 0 60 1000\r\n" + fullBody(i+k) + "\r\n")
		}
		c.send(b.String())
		for range batch {
			ids = append(ids, c.inserted())
		}
	}
	return ids
}

// holder returns the segment that a job of putMany is in, and where its body
// begins there.
func holder(t *testing.T, dir string, n int) (file string, at int64) {
	t.Helper()
	for _, file := range segmentFiles(t, dir) {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if at := strings.Index(string(b), fullBody(n)); at >= 0 {
			return file, int64(at)
		}
	}
	t.Fatalf("job %d is nowhere", n)
	return "", 0
}

// checkMany wants the jobs that putMany has put to be there.
func checkMany(c *client, ids []int) {
	c.t.Helper()
	var requests, want strings.Builder
	for i, id := range ids {
		fmt.Fprintf(&requests, "peek %d\r\n", id)
		fmt.Fprintf(&want, "FOUND %d 1000\r\n%s\r\n", id, fullBody(i))
	}
	sendAside(c, requests.String())
	c.expect(want.String())
}

// TestJournalDamaged changes a byte in the middle of what a server has
// written. The next one must not guess.
func TestJournalDamaged(t *testing.T) {
	t.Parallel()
	const size = 65536
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} {
		t.Run(sig.String(), func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			s := startJournal(t, dir, fmt.Sprint("-f 0 -s ", size))
			ids := putMany(connect(t, s), 500)
			endServer(t, s, sig)
			if n := len(segmentFiles(t, dir)); n < 3 {
				t.Fatalf("got %d segments, want more", n)
			}
			file, at := holder(t, dir, 250)
			flip(t, file, at)
			for range 2 { // it must not have been "repaired"
				s = spawnJournal(t, dir)
				s.wantExit(t, config.ExitJournal)
				where := regexp.MustCompile(regexp.QuoteMeta(file) + `:(\d+)`).FindStringSubmatch(s.Stderr())
				if where == nil {
					t.Fatalf("got %q on stderr, want it to name %s", s.Stderr(), file)
				}
				// The frame that it is in begins before it.
				if offset, err := strconv.Atoi(where[1]); err != nil || int64(offset) > at {
					t.Errorf("got offset %s (%v), want %d or less", where[1], err, at)
				}
			}
			flip(t, file, at)
			checkMany(connect(t, startJournal(t, dir, "")), ids)
		})
	}
	t.Run("missing", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		s := startJournal(t, dir, fmt.Sprint("-f 0 -s ", size))
		putMany(connect(t, s), 500)
		endServer(t, s, syscall.SIGTERM)
		file, _ := holder(t, dir, 250)
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
		s = spawnJournal(t, dir)
		s.wantExit(t, config.ExitJournal)
		s.wantStderr(t, file)
		s.wantStderr(t, "missing")
	})
}

// flip inverts a byte of a file.
func flip(t *testing.T, name string, at int64) {
	t.Helper()
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var b [1]byte
	if _, err := f.ReadAt(b[:], at); err != nil {
		t.Fatal(err)
	}
	b[0] ^= 0xff
	if _, err := f.WriteAt(b[:], at); err != nil {
		t.Fatal(err)
	}
}

// TestJournalCut cuts off the end of what a server has written that was
// killed, as a power cut may.
func TestJournalCut(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := startJournal(t, dir, "-F -s 65536")
	c := connect(t, s)
	ids := putMany(c, 300)
	id := c.put("the last one")
	endServer(t, s, syscall.SIGKILL)

	files := segmentFiles(t, dir)
	cut := false
	for _, file := range slices.Backward(files) {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		end := strings.LastIndex(string(b), "the last one")
		if end < 0 {
			continue // a spare
		}
		if err := os.Truncate(file, int64(end+5)); err != nil {
			t.Fatal(err)
		}
		cut = true
		break
	}
	if !cut {
		t.Fatal("the last job is nowhere")
	}
	s = startJournal(t, dir, "")
	c = connect(t, s)
	checkMany(c, ids)
	c.ask(fmt.Sprintf("peek %d\r\n", id), "NOT_FOUND\r\n")
	awaitLog(t, s, "the journal ends in the middle of a write; cut there")
	next := c.put("x")
	endServer(t, s, syscall.SIGKILL)

	s = startJournal(t, dir, "")
	c = connect(t, s)
	checkMany(c, ids)
	c.ask(fmt.Sprintf("peek %d\r\n", next), fmt.Sprintf("FOUND %d 1\r\nx\r\n", next))
	if strings.Contains(s.Stderr(), "cut there") {
		t.Errorf("got %q on stderr: it was cut before", s.Stderr())
	}
}

// TestJournalTakesOver starts spoked in a directory that beanstalkd has left.
func TestJournalTakesOver(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := startBeanstalkd(t, dir)
	var h history
	h.live(t, s, false)
	endServer(t, s, syscall.SIGKILL)
	originals := readAll(t, dir, "binlog.*")
	if len(originals) == 0 {
		t.Fatal("beanstalkd has left no binlog")
	}
	time.Sleep(time.Until(h.dueAt))

	for range 2 {
		s = startJournal(t, dir, "")
		c := connect(t, s)
		checkTakenOver(t, &h, c)
		if kept := readAll(t, filepath.Join(dir, "binlog-imported"), "*"); !slices.Equal(kept, originals) {
			t.Error("beanstalkd's files were changed")
		}
		if left := readAll(t, dir, "binlog.*"); len(left) > 0 {
			t.Errorf("%d of beanstalkd's files are still there", len(left))
		}
		if got := c.put("x"); got < h.next {
			t.Errorf("got id %d for a new job, want %d", got, h.next)
		} else {
			c.ask(fmt.Sprintf("delete %d\r\n", got), "DELETED\r\n")
		}
		endServer(t, s, syscall.SIGTERM)
	}

	s = startBeanstalkd(t, dir) // which finds nothing
	c := connect(t, s)
	c.ask("peek 1\r\n", "NOT_FOUND\r\n")
	c.put("another")
	endServer(t, s, syscall.SIGKILL)
	s = spawnJournal(t, dir)
	s.wantExit(t, config.ExitJournal)
	for _, want := range []string{dir, "binlog.1", "beanstalkd seems to have been started here since", "move"} {
		s.wantStderr(t, want)
	}
	files, err := filepath.Glob(filepath.Join(dir, "binlog.*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files { // as it says
		if err := os.Rename(file, file+".old"); err != nil {
			t.Fatal(err)
		}
	}
	checkTakenOver(t, &h, connect(t, startJournal(t, dir, "")))
}

// checkTakenOver compares what was taken over with what there was. beanstalkd
// does not record reserves and timeouts as they happen, nor reserve-job, nor a
// release without delay.
func checkTakenOver(t *testing.T, h *history, c *client) {
	t.Helper()
	for id, body := range h.bodies {
		c.ask(fmt.Sprintf("peek %d\r\n", id), fmt.Sprintf("FOUND %d %d\r\n%s\r\n", id, len(body), body))
		got, before := c.statsJob(id), h.before[id]
		want := stats{}
		for _, key := range []string{"id", "pri", "delay", "ttr", "releases", "buries", "kicks", "state"} {
			want[key] = before[key]
		}
		if before["releases"] != "0" && before["delay"] == "0" { // not recorded either
			delete(want, "pri")
			delete(want, "releases")
		}
		want["tube"] = strconv.Quote(before["tube"]) // 1.12 does not
		passed := time.Since(h.asked).Seconds() + 2
		switch before["state"] {
		case "reserved":
			want["state"] = "ready"
			if id != h.due && got["state"] != "ready" { // reserved when it was something else
				want["state"] = got["state"]
				delete(want, "kicks")
			}
		case "delayed":
			checkRange(t, got, "time-left", before.number(t, "time-left")-passed, before.number(t, "time-left"))
		}
		if id == h.due {
			want["state"] = "ready"
		}
		checkRange(t, got, "age", before.number(t, "age")-1, before.number(t, "age")+passed)
		checkRange(t, got, "reserves", 0, before.number(t, "reserves"))
		if err := got.differ(want); err != nil {
			t.Errorf("job %d (%.20q): %v", id, body, err)
		}
	}
	n := 0
	all := c.stats()
	for _, state := range []string{"ready", "delayed", "buried"} {
		n += int(all.number(t, "current-jobs-"+state))
	}
	if n != len(h.bodies) {
		t.Errorf("got %d jobs, want %d", n, len(h.bodies))
	}
}

// readAll returns the names and contents of the files in dir that match
// pattern.
func readAll(t *testing.T, dir, pattern string) (all []string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, pattern))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, filepath.Base(file), string(b))
	}
	return all
}

// fullBody is the body of the job that is put after so many others.
func fullBody(n int) string { return fmt.Sprintf("%06d%s", n, strings.Repeat("x", 994)) }
