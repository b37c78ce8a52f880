//go:build unix

package persist_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"spoked/persist"
	"spoked/queue"
)

// The tests in this file have a real beanstalkd write binlog files and read
// them, and the other way round.

// patience is how long to wait for what should happen at once.
const patience = 20 * time.Second

// beanstalkd is one that runs, and a connection to it.
type beanstalkd struct {
	t      *testing.T
	cmd    *exec.Cmd
	stderr bytes.Buffer
	ended  chan struct{} // closed when it has
	conn   net.Conn
	in     *bufio.Reader
}

// startBeanstalkd starts beanstalkd on a directory, with small files. It is
// killed at the latest when the test ends.
func startBeanstalkd(t *testing.T, dir string) *beanstalkd {
	t.Helper()
	path, err := exec.LookPath("beanstalkd")
	if err != nil {
		t.Skip("no beanstalkd to compare with (apt-get install beanstalkd): ", err)
	}
	tmp, err := os.MkdirTemp("", "binlog-") // t.TempDir is too long for the name of a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(tmp) })
	socket := filepath.Join(tmp, "s")

	b := &beanstalkd{t: t, ended: make(chan struct{})}
	b.cmd = exec.Command(path, "-b", dir, "-s", "4096", "-z", "70000", "-l", "unix:"+socket)
	b.cmd.Stderr = &b.stderr
	if err := b.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		b.cmd.Wait()
		close(b.ended)
	}()
	t.Cleanup(func() {
		b.cmd.Process.Kill()
		<-b.ended
	})
	for limit := time.Now().Add(patience); ; {
		if b.conn, err = net.Dial("unix", socket); err == nil {
			break
		}
		select {
		case <-b.ended:
			t.Fatalf("beanstalkd ended: %s", &b.stderr)
		case <-time.After(time.Millisecond):
		}
		if time.Now().After(limit) {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() { b.conn.Close() })
	b.conn.SetDeadline(time.Now().Add(patience))
	b.in = bufio.NewReader(b.conn)
	return b
}

// kill ends beanstalkd as a crash does, and returns what it has complained
// about.
func (b *beanstalkd) kill() string {
	b.cmd.Process.Kill()
	<-b.ended
	return b.stderr.String()
}

// do sends a command and returns the line that answers it, and what follows it
// if it ends in a count of bytes.
func (b *beanstalkd) do(format string, args ...any) (line, data string) {
	b.t.Helper()
	fmt.Fprintf(b.conn, format+"\r\n", args...)
	line, err := b.in.ReadString('\n')
	if err != nil {
		b.t.Fatalf("beanstalkd does not answer %q: %v", format, err)
	}
	words := strings.Fields(line)
	switch words[0] {
	case "OK", "RESERVED", "FOUND":
		n, err := strconv.Atoi(words[len(words)-1])
		if err != nil {
			b.t.Fatal(err)
		}
		buf := make([]byte, n+2)
		if _, err := io.ReadFull(b.in, buf); err != nil {
			b.t.Fatal(err)
		}
		data = string(buf[:n])
	}
	return strings.TrimSpace(line), data
}

// ok is do for a command that must succeed.
func (b *beanstalkd) ok(want, format string, args ...any) {
	b.t.Helper()
	if line, _ := b.do(format, args...); !strings.HasPrefix(line, want) {
		b.t.Fatalf("%s: %q, want %q", fmt.Sprintf(format, args...), line, want)
	}
}

func (b *beanstalkd) put(pri uint32, delay, ttr int, body string) uint64 {
	b.t.Helper()
	line, _ := b.do("put %d %d %d %d\r\n%s", pri, delay, ttr, len(body), body)
	var id uint64
	if _, err := fmt.Sscanf(line, "INSERTED %d", &id); err != nil {
		b.t.Fatalf("put: %q", line)
	}
	return id
}

// job returns what beanstalkd knows of a job, but for its times, and how many
// seconds are left until it is ready if it is delayed.
func (b *beanstalkd) job(id uint64) (j queue.Record, left int64) {
	b.t.Helper()
	_, stats := b.do("stats-job %d", id)
	if stats == "" {
		b.t.Fatalf("beanstalkd has no job %d", id)
	}
	number := func(s string) uint64 {
		n, err := strconv.ParseUint(s, 10, 64)
		if err != nil {
			b.t.Fatal(err)
		}
		return n
	}
	for line := range strings.Lines(stats) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
		switch key {
		case "id":
			j.ID = number(value)
		case "tube":
			j.Tube = strings.Trim(value, `"`)
		case "state":
			for j.State = 0; j.State.String() != value; {
				j.State++
			}
		case "pri":
			j.Pri = uint32(number(value))
		case "delay":
			j.Delay = int64(number(value)) * second
		case "ttr":
			j.TTR = int64(number(value)) * second
		case "time-left":
			left = int64(number(value))
		case "reserves":
			j.Reserves = uint32(number(value))
		case "timeouts":
			j.Timeouts = uint32(number(value))
		case "releases":
			j.Releases = uint32(number(value))
		case "buries":
			j.Buries = uint32(number(value))
		case "kicks":
			j.Kicks = uint32(number(value))
		}
	}
	_, body := b.do("peek %d", id)
	j.Body = []byte(body)
	return j, left
}

// toldOf describes what beanstalkd can tell of a job.
func toldOf(j queue.Record) string {
	return fmt.Sprintf("%d %s %s pri %d delay %d ttr %d, %d reserves %d timeouts %d releases %d buries %d kicks, %q",
		j.ID, j.Tube, j.State, j.Pri, j.Delay, j.TTR, j.Reserves, j.Timeouts, j.Releases, j.Buries, j.Kicks, j.Body)
}

// readDir reads the binlog files of a directory.
func readDir(t *testing.T, dir string) (r *persist.BinlogReader, problems []persist.Problem, files int) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	r = persist.NewBinlogReader()
	list := persist.ListBinlog(names)
	for _, f := range list {
		data, err := os.ReadFile(filepath.Join(dir, f.Name))
		if err != nil {
			t.Fatal(err)
		}
		p, err := r.Read(f.Name, data)
		if err != nil {
			t.Fatal(err)
		}
		problems = append(problems, p...)
	}
	return r, problems, len(list)
}

func TestBinlogOfBeanstalkd(t *testing.T) {
	dir := t.TempDir()
	b := startBeanstalkd(t, dir)
	b.put(10, 0, 60, "hello")
	b.ok("USING", "use emails")
	b.put(1024, 3600, 120, "\x00\x01\r\n\xfe\xff")
	b.ok("USING", "use default")
	for i := range 12 {
		b.put(uint32(20+i), 0, i, strings.Repeat("x", 100*i)) // 3 to 14
	}
	b.put(99, 0, 1, strings.Repeat("y", 65535)) // 15, too large for its file
	for _, id := range []int{9, 3, 6, 4} {
		b.ok("RESERVED", "reserve-job %d", id)
		b.ok("BURIED", "bury %d %d", id, 100+id)
	}
	b.ok("KICKED", "kick-job 6")
	b.ok("RESERVED", "reserve-job 9")
	b.ok("BURIED", "bury 9 200")
	b.ok("RESERVED", "reserve-job 5")
	b.ok("RELEASED", "release 5 41 7200")
	b.ok("KICKED", "kick-job 2")
	b.ok("DELETED", "delete 7")
	b.ok("RESERVED", "reserve-job 8")
	b.ok("DELETED", "delete 8")
	b.ok("DELETED", "delete 4")
	want := map[uint64]queue.Record{}
	for _, id := range []uint64{1, 2, 3, 5, 6, 9, 10, 11, 12, 13, 14, 15} {
		want[id], _ = b.job(id)
	}
	// What beanstalkd does not write down.
	b.ok("RESERVED", "reserve-job 10")
	b.ok("RELEASED", "release 10 7 0")
	b.ok("RESERVED", "reserve-job 11")
	next := b.put(0, 0, 0, "")
	b.ok("DELETED", "delete %d", next)
	_, left := b.job(5)
	now := time.Now().UnixNano()
	b.kill()

	r, problems, files := readDir(t, dir)
	if len(problems) > 0 {
		t.Error(problems)
	}
	if files < 2 {
		t.Errorf("%d files: the test is too small", files)
	}
	var buried []queue.Record
	for j := range r.Jobs() {
		if got, want := toldOf(*j), toldOf(want[j.ID]); got != want {
			t.Errorf("\n got %s\nwant %s", got, want)
		}
		delete(want, j.ID)
		if j.State == queue.Buried {
			buried = append(buried, *j)
		}
		if age := now - j.Created; age < 0 || age > int64(patience) {
			t.Errorf("job %d was put at %d, and it is %d", j.ID, j.Created, now)
		}
		if d := (j.At-now)/second - left; j.ID == 5 && (d < -60 || d > 60) {
			t.Errorf("job 5 is ready at %d, which is %d, and beanstalkd said %d s", j.At, now, left)
		}
	}
	for id := range want {
		t.Errorf("no job %d", id)
	}
	slices.SortFunc(buried, func(a, b queue.Record) int { return int(a.Burial) - int(b.Burial) })
	if len(buried) != 2 || buried[0].ID != 3 || buried[1].ID != 9 {
		t.Errorf("buried %+v, want 3 and 9", buried)
	}
	if got := r.NextID(); got != next+1 {
		t.Errorf("NextID %d, want %d", got, next+1)
	}
}

// Clients do one thing after the other to a beanstalkd that is killed and
// started again now and then. It moves jobs and deletes files meanwhile.
func TestBinlogOfBusyBeanstalkd(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	dir := t.TempDir()
	var ids []uint64
	restarted := map[uint64]bool{} // jobs to whose burial a restart has added one
	for range 4 {
		b := startBeanstalkd(t, dir)
		for _, id := range ids {
			if j, _ := b.job(id); j.State == queue.Buried {
				restarted[id] = true
			}
		}
		for range 60 + random.IntN(40) {
			if len(ids) < 10 || random.IntN(3) == 0 {
				b.ok("USING", "use tube%d", random.IntN(3))
				ids = append(ids, b.put(random.Uint32N(100), random.IntN(2)*5000, random.IntN(200), strings.Repeat("b", random.IntN(300))))
				continue
			}
			k := random.IntN(len(ids))
			id, pri := ids[k], random.Uint32N(100)
			touched := true
			switch random.IntN(4) {
			case 0:
				if random.IntN(2) == 0 {
					b.ok("RESERVED", "reserve-job %d", id)
				}
				b.ok("DELETED", "delete %d", id)
				ids = slices.Delete(ids, k, k+1)
			case 1:
				b.ok("RESERVED", "reserve-job %d", id)
				b.ok("BURIED", "bury %d %d", id, pri)
			case 2:
				b.ok("RESERVED", "reserve-job %d", id)
				b.ok("RELEASED", "release %d %d %d", id, pri, 6000+random.IntN(1000))
			case 3:
				line, _ := b.do("kick-job %d", id)
				touched = line == "KICKED"
			}
			if touched {
				delete(restarted, id)
			}
		}
		want := map[uint64]queue.Record{}
		for _, id := range ids {
			want[id], _ = b.job(id)
		}
		b.kill()

		r, problems, _ := readDir(t, dir)
		if len(problems) > 0 {
			t.Error(problems)
		}
		for j := range r.Jobs() {
			want, ok := want[j.ID]
			if !ok {
				t.Errorf("job %d, which beanstalkd does not have", j.ID)
				continue
			}
			ids = slices.DeleteFunc(ids, func(id uint64) bool { return id == j.ID })
			if restarted[j.ID] && j.Buries+1 == want.Buries { // not written down until the job moves
				want.Buries--
			}
			if got, want := toldOf(*j), toldOf(want); got != want {
				t.Errorf("\n got %s\nwant %s", got, want)
			}
		}
		if len(ids) > 0 {
			t.Errorf("no jobs %d", ids)
		}
		for j := range r.Jobs() {
			ids = append(ids, j.ID)
		}
	}
}

func TestBinlogForBeanstalkd(t *testing.T) {
	now := time.Now().UnixNano()
	random := rand.New(rand.NewPCG(1, 2))
	jobs := randomJobs(random, 60)
	for i := range jobs {
		jobs[i].Created = now - random.Int64N(1e6)*second
		if jobs[i].State == queue.Delayed {
			jobs[i].At = now + 10000*second + random.Int64N(1e6)*second
		}
	}
	jobs[30].Body = bytes.Repeat([]byte("x"), 65535)
	const nextID = 1234
	dir := t.TempDir()
	w := persist.NewBinlogWriter(func(index int) (io.WriteCloser, error) {
		return os.Create(filepath.Join(dir, fmt.Sprint("binlog.", index)))
	}, 4096)
	for i := range jobs {
		if err := w.Job(&jobs[i]); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(nextID); err != nil {
		t.Fatal(err)
	}
	if _, _, files := readDir(t, dir); files < 2 {
		t.Errorf("%d files: the test is too small", files)
	}

	b := startBeanstalkd(t, dir)
	if got, _ := b.do("peek %d", nextID-1); got != "NOT_FOUND" {
		t.Errorf("the job before the next: %q", got)
	}
	buried := map[string][]uint64{}
	for _, j := range jobs {
		got, left := b.job(j.ID)
		if got, want := toldOf(got), toldOf(j); got != want {
			t.Errorf("\n got %s\nwant %s", got, want)
		}
		if d := (j.At-now)/second - left; j.State == queue.Delayed && (d < -60 || d > 60) {
			t.Errorf("job %d: delayed for %d s, want %d ns", j.ID, left, j.At-now)
		}
		if j.State == queue.Buried {
			buried[j.Tube] = append(buried[j.Tube], j.ID)
		}
	}
	_, stats := b.do("stats")
	for _, want := range []string{"current-jobs-ready", "current-jobs-delayed", "current-jobs-buried"} {
		state := strings.TrimPrefix(want, "current-jobs-")
		n := 0
		for _, j := range jobs {
			if j.State.String() == state {
				n++
			}
		}
		if want = fmt.Sprintf("\n%s: %d\n", want, n); !strings.Contains(stats, want) {
			t.Errorf("stats without %q:\n%s", want, stats)
		}
	}
	for tube, ids := range buried {
		b.ok("USING", "use %s", tube)
		for _, id := range ids {
			b.ok(fmt.Sprintf("FOUND %d ", id), "peek-buried")
			b.ok("KICKED 1", "kick 1")
		}
		b.ok("NOT_FOUND", "peek-buried")
	}
	if got := b.put(0, 0, 0, ""); got != nextID {
		t.Errorf("the next id is %d, want %d", got, nextID)
	}
	if said := b.kill(); said != "" {
		t.Errorf("beanstalkd said %q", said)
	}
}
