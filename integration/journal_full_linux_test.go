package integration

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"spoked/internal/config"
)

// smallDisk returns a directory on a disk of its own of so many bytes.
func smallDisk(t *testing.T, size int) string {
	t.Helper()
	dir := t.TempDir()
	if err := unix.Mount("spoked-test", dir, "tmpfs", 0, fmt.Sprint("size=", size)); err != nil {
		t.Skip("no disk to be filled: only root can mount one, and not in every container: ", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// fillDisk takes the room that is left on the disk that dir is on.
func fillDisk(t *testing.T, dir string) (name string) {
	t.Helper()
	f, err := os.Create(filepath.Join(dir, "somebody-elses"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for block := make([]byte, 4096); ; {
		if _, err := f.Write(block); errors.Is(err, unix.ENOSPC) {
			return f.Name()
		} else if err != nil {
			t.Fatal(err)
		}
	}
}

// fullDisk is a server on a disk that gets full.
type fullDisk struct {
	t    *testing.T
	dir  string
	args string
	s    *server
	c    *client
	jobs []int // ids
}

func (d *fullDisk) start() {
	d.t.Helper()
	d.s = startJournal(d.t, d.dir, d.args)
	d.c = connect(d.t, d.s)
	d.c.use("full")
}

// fill puts jobs until one is refused, and wants the next ones to be refused
// as well.
func (d *fullDisk) fill() {
	d.t.Helper()
	const batch = 50
	for refused := 0; refused == 0; {
		var b strings.Builder
		for range batch {
			b.WriteString("put 1 0 60 1000\r\n" + fullBody(0) + "\r\n")
		}
		sendAside(d.c, b.String())
		for range batch {
			switch line := d.c.line(); {
			case strings.HasPrefix(line, "INSERTED "):
				var id int
				if _, err := fmt.Sscanf(line, "INSERTED %d\r\n", &id); err != nil {
					d.t.Fatal(err)
				}
				d.jobs = append(d.jobs, id)
			case line == "OUT_OF_MEMORY\r\n":
				refused++
			default:
				d.t.Fatalf("put: got %q", line)
			}
		}
		if len(d.jobs) > 100_000 {
			d.t.Fatal("got more jobs put than there is room for")
		}
	}
}

// each sends a command for each of some jobs, all at once, and wants that reply.
func (d *fullDisk) each(ids []int, format, reply string) {
	d.t.Helper()
	var b strings.Builder
	for _, id := range ids {
		fmt.Fprintf(&b, format, id)
	}
	sendAside(d.c, b.String())
	d.c.expect(strings.Repeat(reply, len(ids)))
}

// reserve reserves jobs.
func (d *fullDisk) reserve(ids []int) {
	d.t.Helper()
	var requests, want strings.Builder
	for _, id := range ids {
		fmt.Fprintf(&requests, "reserve-job %d\r\n", id)
		fmt.Fprintf(&want, "RESERVED %d 1000\r\n%s\r\n", id, fullBody(0))
	}
	sendAside(d.c, requests.String())
	d.c.expect(want.String())
}

// change has jobs go through all changes, and ends with them as they were.
func (d *fullDisk) change(ids []int, rounds int) {
	d.t.Helper()
	for range rounds {
		d.reserve(ids)
		d.each(ids, "release %d 1 0\r\n", "RELEASED\r\n")
		d.reserve(ids)
		d.each(ids, "release %d 1 1000\r\n", "RELEASED\r\n")
		d.each(ids, "kick-job %d\r\n", "KICKED\r\n")
		d.reserve(ids)
		d.each(ids, "bury %d 1\r\n", "BURIED\r\n")
		d.c.ask(fmt.Sprintf("kick %d\r\n", len(ids)), fmt.Sprintf("KICKED %d\r\n", len(ids)))
	}
}

// restart kills the server, starts the next one, and wants all jobs to be there.
func (d *fullDisk) restart() {
	d.t.Helper()
	endServer(d.t, d.s, syscall.SIGKILL)
	d.start()
	if n := int(d.c.stats().number(d.t, "current-jobs-ready")); n != len(d.jobs) {
		d.t.Errorf("got %d jobs after a restart, want %d", n, len(d.jobs))
	}
	var requests, want strings.Builder
	for _, id := range d.jobs {
		fmt.Fprintf(&requests, "peek %d\r\n", id)
		fmt.Fprintf(&want, "FOUND %d 1000\r\n%s\r\n", id, fullBody(0))
	}
	sendAside(d.c, requests.String())
	d.c.expect(want.String())
}

// putAgain waits until a put works.
func (d *fullDisk) putAgain() {
	d.t.Helper()
	await(d.t, func() error {
		d.c.send("put 1 0 60 1000\r\n" + fullBody(0) + "\r\n")
		line := d.c.line()
		var id int
		if _, err := fmt.Sscanf(line, "INSERTED %d\r\n", &id); err != nil {
			return fmt.Errorf("put: got %q, want INSERTED", line)
		}
		d.jobs = append(d.jobs, id)
		return nil
	})
}

// delete deletes the first n jobs.
func (d *fullDisk) delete(n int) {
	d.t.Helper()
	d.each(d.jobs[:n], "delete %d\r\n", "DELETED\r\n")
	d.jobs = d.jobs[n:]
}

// TestJournalFullDisk fills a disk. Puts are refused, and nothing else is that
// there is room for.
func TestJournalFullDisk(t *testing.T) {
	t.Parallel()
	const size = 24 << 20
	some := func(d *fullDisk) []int { return d.jobs[:min(len(d.jobs), 500)] }
	scenarios := []struct {
		name string
		play func(t *testing.T, d *fullDisk)
	}{
		{"alone", func(t *testing.T, d *fullDisk) {
			d.fill()
			if n := len(d.jobs); n < size/2/1000 {
				t.Errorf("got %d jobs put, and then no more; want at least %d", n, size/2/1000)
			}
			awaitLog(t, d.s, "the disk is full")
			d.change(some(d), 2)
			d.delete(len(d.jobs) * 3 / 4)
			d.putAgain()
			awaitLog(t, d.s, "the disk has room again")
			d.fill()
			d.restart()
		}},
		{"restart", func(t *testing.T, d *fullDisk) {
			d.fill()
			d.restart()
			d.change(some(d), 1)
			d.delete(len(d.jobs) * 3 / 4)
			d.putAgain()
		}},
		{"other files", func(t *testing.T, d *fullDisk) {
			d.fill()
			d.delete(len(d.jobs) * 3 / 4)
			d.putAgain()
			// What is not cleaned yet when others take all there is may leave no
			// room for changes, but for deletes.
			name := fillDisk(t, d.dir)
			d.fill()
			d.restart()
			d.delete(len(d.jobs) / 2)
			if err := os.Remove(name); err != nil {
				t.Fatal(err)
			}
			d.putAgain()
			d.change(some(d), 2)
			d.restart()
		}},
	}
	for i, transport := range transports {
		for k, scenario := range scenarios {
			args := transport + " " + syncModes[(i+k)%len(syncModes)] + " -s 1048576" + placesOfBodies[k%2]
			t.Run(scenario.name+" "+args, func(t *testing.T) {
				t.Parallel()
				d := &fullDisk{t: t, dir: smallDisk(t, size), args: args}
				t.Cleanup(func() {
					if t.Failed() {
						t.Log(d.s.Stderr())
					}
				})
				d.start()
				scenario.play(t, d)
				endServer(t, d.s, syscall.SIGTERM)
			})
		}
	}
}

// TestJournalWriteFails has the system refuse to write to the journal. What
// cannot be kept must not be acknowledged: the server ends.
func TestJournalWriteFails(t *testing.T) {
	t.Parallel()
	for i, transport := range transports {
		for k := range 2 {
			args := transport + " " + syncModes[(i+k)%len(syncModes)]
			t.Run(args, func(t *testing.T) {
				t.Parallel()
				dir := t.TempDir()
				s := startJournal(t, dir, args)
				c, waiting := connect(t, s), connect(t, s)
				ids := putMany(c, 100)
				waiting.ask("watch w\r\nignore default\r\n", "WATCHING 2\r\nWATCHING 1\r\n")
				waiting.send("reserve\r\n")
				awaitStats(c, stats{"current-waiting": "1"})
				c.use("w")
				c.ask("stats-job 1000\r\n", "NOT_FOUND\r\n")

				s.ending.Store(true)
				limit := unix.Rlimit{Cur: 1, Max: 1 << 40} // bytes in a file
				if err := unix.Prlimit(s.Pid, unix.RLIMIT_FSIZE, &limit, nil); err != nil {
					t.Skip("cannot limit another process: ", err)
				}
				c.send(fmt.Sprintf("put 0 0 60 1\r\nx\r\ndelete %d\r\n", ids[99]))
				c.expectEnd()
				waiting.expectEnd() // nor has it been given the job
				s.wantExit(t, config.ExitJournalFailed)
				s.wantStderr(t, "journal: write "+dir)

				s = startJournal(t, dir, args)
				c = connect(t, s)
				checkMany(c, ids[:99])
			})
		}
	}
}
