package journal_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"

	"spoked/internal/journal"
	"spoked/persist"
	"spoked/queue"
)

const segmentSize = persist.MinSegmentSize

// live is a journal that is in use, with the mutex of its server.
type live struct {
	t    *testing.T
	mu   sync.Mutex
	j    *journal.Journal
	now  int64
	user *queue.Client
}

// start opens the journal in a directory.
func start(t *testing.T, opts journal.Options) *live {
	t.Helper()
	opts.SegmentSize = segmentSize
	if opts.Log == nil {
		opts.Log = zap.NewNop()
	}
	l := &live{t: t, now: time.Now().UnixNano()}
	var err error
	if l.j, err = journal.Open(opts, l.now); err != nil {
		t.Fatal(err)
	}
	if err := l.j.Start(&l.mu, func() {}, func() {}, func(err error) { t.Error(err) }); err != nil {
		t.Fatal(err)
	}
	l.turn(func(e *queue.Engine) { l.user = e.Connect() })
	return l
}

// turn does what a turn of a server does.
func (l *live) turn(f func(e *queue.Engine)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f(l.j.Engine())
	l.j.Commit(false)
}

// put puts a job, in a turn that is under way.
func (l *live) put(e *queue.Engine, tube string, delay time.Duration, body string) uint64 {
	e.Use(l.user, []byte(tube))
	d, err := e.Begin(l.now, l.user, 5, delay, time.Minute, uint32(len(body)))
	if err != nil {
		l.t.Error(err)
		return 0
	}
	copy(e.Body(&d), body)
	id, err := e.Insert(l.now, &d)
	if err != nil {
		l.t.Error(err)
	}
	return id
}

// bury buries a job, in a turn that is under way.
func (l *live) bury(e *queue.Engine, id uint64) {
	if _, err := e.ReserveJob(l.now, l.user, id); err != nil {
		l.t.Error(err)
	}
	if err := e.Bury(l.user, id, 3); err != nil {
		l.t.Error(err)
	}
}

func (l *live) stop() {
	l.t.Helper()
	if err := l.j.Stop(); err != nil {
		l.t.Fatal(err)
	}
}

// filled makes a journal with jobs in every state, in four segments or five,
// and returns its directory. Jobs 1 to 4 are ready, delayed, buried second and
// buried first; 5 and 18 are gone, and 6 to 17 are ready.
func filled(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	segments := filepath.Join(dir, "journal")
	if err := os.Mkdir(segments, 0o700); err != nil {
		t.Fatal(err)
	}
	l := &live{t: t, now: time.Now().UnixNano()}
	e := queue.New(l.now)
	l.user = e.Connect()
	// Without a server, which would make segments when it gets round to it.
	k, err := persist.Open(persist.OS{}, persist.Options{Dir: segments, SegmentSize: segmentSize}, &persist.Recovery{Engine: e})
	if err != nil {
		t.Fatal(err)
	}
	turn := func() {
		if b := k.Cut(); b != nil {
			if err := b.Write(); err != nil {
				t.Fatal(err)
			}
			k.Settle(b)
		}
		if p := k.Unsynced(); p != nil {
			k.Synced(p.Position)
		}
		for c := k.Chore(); c != nil; c = k.Chore() {
			if err := k.Done(c, c.Run()); err != nil {
				t.Fatal(err)
			}
		}
	}
	l.put(e, "emails", 0, "hello")
	l.put(e, "emails", time.Hour, "later")
	l.put(e, "default", 0, "second")
	l.put(e, "default", 0, "\xff\x00")
	l.put(e, "default", 0, "gone")
	l.bury(e, 4)
	l.bury(e, 3)
	if err := errors.Join(e.Delete(l.now, l.user, 5), e.Pause(l.now, []byte("emails"), time.Hour)); err != nil {
		t.Fatal(err)
	}
	turn()
	for range 12 {
		l.put(e, "bulk", 0, strings.Repeat("x", 1000))
		turn()
	}
	if err := e.Delete(l.now, l.user, l.put(e, "bulk", 0, "")); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(k.Finish((*persist.Batch).Write), k.Close()); err != nil {
		t.Fatal(err)
	}
	return dir
}

// jobsOf returns the jobs that a server has when it starts with a directory.
func jobsOf(t *testing.T, dir string) []string {
	t.Helper()
	l := start(t, journal.Options{Dir: dir, Never: true})
	defer l.stop()
	var jobs []string
	l.turn(func(e *queue.Engine) {
		if err := e.Check(); err != nil {
			t.Error(err)
		}
		for r := range e.Jobs() {
			jobs = append(jobs, fmt.Sprintf("%d %s %v pri %d delay %d ttr %d at %d created %d %d %d %d %d %d %q",
				r.ID, r.Tube, r.State, r.Pri, r.Delay, r.TTR, r.At, r.Created,
				r.Reserves, r.Timeouts, r.Releases, r.Buries, r.Kicks, r.Body))
		}
		c := e.Connect()
		e.Use(c, []byte("default"))
		if j, err := e.PeekBuried(c); err == nil {
			jobs = append(jobs, fmt.Sprintf("first buried %d", j.ID))
		}
		jobs = append(jobs, fmt.Sprintf("next %d", e.NextID()))
	})
	return jobs
}

// contents returns what is in the files under a directory.
func contents(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		files[path] = string(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func segmentPath(dir string, number uint64) string {
	return filepath.Join(dir, "journal", persist.SegmentName(number))
}

// edit changes the bytes of a segment.
func edit(t *testing.T, dir string, number uint64, f func([]byte) []byte) {
	t.Helper()
	name := segmentPath(dir, number)
	data, err := os.ReadFile(name)
	if err == nil {
		err = os.WriteFile(name, f(data), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// inspect returns a segment's frames.
func inspect(t *testing.T, dir string, number uint64) *persist.Inspection {
	t.Helper()
	data, err := os.ReadFile(segmentPath(dir, number))
	if err != nil {
		t.Fatal(err)
	}
	s, err := persist.Inspect(number, data)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// newest returns the number of the last segment.
func newest(t *testing.T, dir string) uint64 {
	t.Helper()
	s, err := journal.ReadStat(dir, time.Now().UnixNano())
	if err != nil {
		t.Fatal(err)
	}
	return s.Newest
}

// tear has the log end in the middle of a write.
func tear(t *testing.T, dir string) (number uint64, frame persist.Span) {
	t.Helper()
	number = newest(t, dir)
	frames := inspect(t, dir, number).Frames
	frame = frames[len(frames)-1]
	edit(t, dir, number, func(b []byte) []byte { return b[:frame.To-1] })
	return number, persist.Span{From: frame.From, To: frame.To - 1}
}

func TestReadStat(t *testing.T) {
	dir := filled(t)
	for _, dir := range []string{dir, filepath.Join(dir, "journal")} {
		s, err := journal.ReadStat(dir, time.Now().UnixNano())
		if err != nil {
			t.Fatal(err)
		}
		if s.InUse || !s.Stopped || s.Torn != nil {
			t.Errorf("got in use %v, stopped %v, torn %v, want a journal that was stopped", s.InUse, s.Stopped, s.Torn)
		}
		if s.Oldest != 1 || s.Newest < 4 || s.Segments != int(s.Newest) || s.NextID != 19 {
			t.Errorf("got segments %d to %d, %d of them, next id %d", s.Oldest, s.Newest, s.Segments, s.NextID)
		}
		const bytes = 5 + 5 + 6 + 2 + 12*1000 // of bodies
		if s.Live < bytes || s.Used < s.Live || s.Disk < s.Used {
			t.Errorf("got %d bytes live of %d of %d, want %d at least", s.Live, s.Used, s.Disk, bytes)
		}
		if got, want := s.Jobs, (journal.JobCounts{Ready: 13, Delayed: 1, Buried: 2}); got != want {
			t.Errorf("got jobs %+v, want %+v", got, want)
		}
		var tubes []string
		for _, tube := range s.Tubes {
			tubes = append(tubes, fmt.Sprintf("%s %v %v", tube.Name, tube.Jobs, tube.PausedUntil != nil))
		}
		if want := []string{"bulk {12 0 0} false", "default {0 0 2} false", "emails {1 1 0} true"}; !slices.Equal(tubes, want) {
			t.Errorf("got tubes %q, want %q", tubes, want)
		}
	}
	number, frame := tear(t, dir)
	s, err := journal.ReadStat(dir, time.Now().UnixNano())
	if err != nil {
		t.Fatal(err)
	}
	if s.Stopped || s.Torn == nil || *s.Torn != (journal.Torn{File: segmentPath(dir, number), Offset: frame.From}) {
		t.Errorf("got stopped %v, torn %+v, want it torn at %d", s.Stopped, s.Torn, frame.From)
	}
}

func TestNoJournal(t *testing.T) {
	empty, binlog := t.TempDir(), t.TempDir()
	if err := os.WriteFile(filepath.Join(binlog, "binlog.1"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	tests := []struct{ dir, want string }{
		{empty, "has no directory"},
		{filepath.Join(empty, "nowhere"), "no such file"},
		{binlog, "has files of beanstalkd"},
	}
	for _, test := range tests {
		_, err := journal.ReadStat(test.dir, 0)
		if !errors.Is(err, journal.ErrNoJournal) || !strings.Contains(err.Error(), test.want) {
			t.Errorf("got error %v, want one with %q", err, test.want)
		}
	}
}

// damages are ways to damage what filled has made. They return where.
var damages = map[string]func(t *testing.T, dir string) journal.Problem{
	"a byte in the middle": func(t *testing.T, dir string) journal.Problem {
		f := inspect(t, dir, 2).Frames[1]
		edit(t, dir, 2, func(b []byte) []byte { b[f.To-3] ^= 1; return b })
		return journal.Problem{File: segmentPath(dir, 2), From: f.From, To: f.To}
	},
	"a missing segment": func(t *testing.T, dir string) journal.Problem {
		if err := os.Remove(segmentPath(dir, 2)); err != nil {
			t.Fatal(err)
		}
		return journal.Problem{File: segmentPath(dir, 2)}
	},
	"zeros": func(t *testing.T, dir string) journal.Problem {
		f := inspect(t, dir, 1).Frames[0]
		edit(t, dir, 1, func(b []byte) []byte { clear(b[f.From:f.To]); return b })
		return journal.Problem{File: segmentPath(dir, 1), From: f.From, To: f.To}
	},
	"a header": func(t *testing.T, dir string) journal.Problem {
		edit(t, dir, 3, func(b []byte) []byte { b[17] ^= 1; return b })
		return journal.Problem{File: segmentPath(dir, 3), To: 32}
	},
}

func TestCheck(t *testing.T) {
	dir := filled(t)
	c, err := journal.Check(dir, time.Now().UnixNano())
	if err != nil {
		t.Fatal(err)
	}
	if !c.OK || len(c.Problems) > 0 || c.Jobs != 16 || c.Records < 17 || c.Segments < 3 {
		t.Errorf("got %+v of a journal that is fine", c)
	}
	number, frame := tear(t, dir)
	if c, err = journal.Check(dir, time.Now().UnixNano()); err != nil {
		t.Fatal(err)
	}
	if !c.OK || len(c.Problems) != 1 || !c.Problems[0].Tail || c.Problems[0].File != segmentPath(dir, number) || c.Problems[0].From != frame.From {
		t.Errorf("got %+v of a journal that is torn at %d", c, frame.From)
	}
	for name, damage := range damages {
		dir := filled(t)
		want := damage(t, dir)
		c, err := journal.Check(dir, time.Now().UnixNano())
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for i := range c.Problems {
			c.Problems[i].What = ""
		}
		if c.OK || !slices.Equal(c.Problems, []journal.Problem{want}) {
			t.Errorf("%s: got ok %v, %+v, want %+v", name, c.OK, c.Problems, want)
		}
	}
}

// TestCheckGoesOn wants to hear of all damage in all files.
func TestCheckGoesOn(t *testing.T) {
	dir := filled(t)
	var want []journal.Problem
	for _, name := range []string{"zeros", "a byte in the middle", "a header"} {
		want = append(want, damages[name](t, dir))
	}
	c, err := journal.Check(dir, time.Now().UnixNano())
	if err != nil {
		t.Fatal(err)
	}
	for i := range c.Problems {
		c.Problems[i].What = ""
	}
	if c.OK || !slices.Equal(c.Problems, want) {
		t.Errorf("got %+v, want %+v", c.Problems, want)
	}
}

func TestDump(t *testing.T) {
	dir := filled(t)
	dump := func(most int) (lines []string, problems []journal.Problem) {
		err := journal.Dump(dir, most, func(fields []journal.Field) error {
			var line []string
			for _, f := range fields {
				v := f.Value
				if b, ok := v.(journal.Body); ok {
					v = fmt.Sprintf("%q of %d", b.Data, b.Size)
				}
				line = append(line, fmt.Sprint(f.Name, "=", v))
			}
			lines = append(lines, strings.Join(line, " "))
			return nil
		}, func(p journal.Problem) { problems = append(problems, p) })
		if err != nil {
			t.Fatal(err)
		}
		return lines, problems
	}
	lines, problems := dump(2)
	if len(problems) > 0 {
		t.Errorf("got problems %v", problems)
	}
	all := strings.Join(lines, "\n")
	for _, want := range []string{
		"segment=1 offset=60 kind=mark next_id=",
		"kind=job id=1 tube=emails state=ready pri=5 ",
		`body="he" of 5`, `body="\xff\x00" of 2`, `body="xx" of 1000`,
		"kind=change id=4 state=buried pri=3 delay=0s burial=1 reserves=1",
		"kind=end id=5", "kind=pause tube=emails length=1h0m0s until=", "stopped=true",
	} {
		if !strings.Contains(all, want) {
			t.Errorf("got no %q in\n%s", want, all)
		}
	}
	damages["a byte in the middle"](t, dir)
	fewer, problems := dump(2)
	if got, want := len(fewer), len(lines)-1; got != want || len(problems) != 1 {
		t.Errorf("with a frame lost: got %d records and %v, want %d and a problem", got, problems, want)
	}
	if stray := strings.Count(strings.Join(fewer, "\n"), "stray=true"); stray == 0 || stray == len(fewer) {
		t.Errorf("got %d stray records of %d", stray, len(fewer))
	}
}

func TestDumpJobs(t *testing.T) {
	var got []string
	err := journal.DumpJobs(filled(t), time.Now().UnixNano(), 3, func(fields []journal.Field) error {
		m := map[string]any{}
		for _, f := range fields {
			m[f.Name] = f.Value
		}
		b := m["body"].(journal.Body)
		got = append(got, fmt.Sprintf("%v %v %v %q %d", m["id"], m["tube"], m["state"], b.Data, b.Size))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{`1 emails ready "hel" 5`, `2 emails delayed "lat" 5`, `3 default buried "sec" 6`, `4 default buried "\xff\x00" 2`, `6 bulk ready "xxx" 1000`}
	if len(got) != 16 || !slices.Equal(got[:5], want) {
		t.Errorf("got %q\nwant %q and 11 more", got, want)
	}
}

func TestRepair(t *testing.T) {
	for name, damage := range damages {
		dir, dest := filled(t), filepath.Join(t.TempDir(), "new")
		lost := damage(t, dir)
		before := contents(t, filepath.Join(dir, "journal"))
		r, err := journal.Repair(dir, dest, segmentSize, time.Now().UnixNano())
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if !maps.Equal(contents(t, filepath.Join(dir, "journal")), before) {
			t.Errorf("%s: the damaged journal was changed", name)
		}
		if len(r.Lost) != 1 || r.Lost[0].File != lost.File || r.Lost[0].From != lost.From || r.Lost[0].To != lost.To || r.Bytes != lost.Bytes() {
			t.Errorf("%s: lost %+v, %d bytes, want %+v", name, r.Lost, r.Bytes, lost)
		}
		c, err := journal.Check(dest, time.Now().UnixNano())
		if err != nil || !c.OK || len(c.Problems) > 0 || c.Jobs != r.Jobs {
			t.Errorf("%s: what was made: %+v, %v, want %d jobs", name, c, err, r.Jobs)
		}
		jobs := jobsOf(t, dest)
		if whole := jobsOf(t, filled(t)); name == "a header" && len(jobs) != len(whole) || name != "a header" && len(jobs) >= len(whole) {
			t.Errorf("%s: got %d lines about jobs, of %d", name, len(jobs), len(whole))
		}
	}
}

// TestRepairKeepsAll repairs what is not damaged.
func TestRepairKeepsAll(t *testing.T) {
	dir, dest := filled(t), filepath.Join(t.TempDir(), "new")
	r, err := journal.Repair(dir, dest, segmentSize, time.Now().UnixNano())
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Lost) > 0 || r.NextID != 19 {
		t.Errorf("got %+v", r)
	}
	if got, want := jobsOf(t, dest), jobsOf(t, dir); !slices.Equal(got, want) {
		t.Errorf("got\n%q\nwant\n%q", got, want)
	}
}

// TestDestination wants nothing to be touched that is there already.
func TestDestination(t *testing.T) {
	dir := filled(t)
	top := t.TempDir()
	full, busy := filepath.Join(top, "full"), filepath.Join(top, "busy")
	if err := errors.Join(os.MkdirAll(filepath.Join(full, "x"), 0o700), os.MkdirAll(busy+".partial/x", 0o700)); err != nil {
		t.Fatal(err)
	}
	tests := []struct{ dest, want string }{
		{full, "is not empty"},
		{busy, "busy.partial exists"},
		{filepath.Join(top, "nowhere", "new"), "no such file"},
		{segmentPath(dir, 1), "not a directory"},
	}
	for _, test := range tests {
		_, repaired := journal.Repair(dir, test.dest, segmentSize, 0)
		_, exported := journal.Export(dir, test.dest, 0)
		_, copied := journal.BackupStopped(t.Context(), dir, test.dest)
		for _, err := range []error{repaired, exported, copied} {
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got error %v, want one with %q", err, test.want)
			}
		}
	}
	for _, left := range []string{full + "/x", busy + ".partial/x"} {
		if _, err := os.Stat(left); err != nil {
			t.Errorf("it was removed: %v", err)
		}
	}
	empty := filepath.Join(top, "empty")
	if err := os.Mkdir(empty, 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := journal.Repair(dir, empty, segmentSize, time.Now().UnixNano()); err != nil {
		t.Errorf("an empty directory: %v", err)
	}
	entries, err := os.ReadDir(top)
	if err != nil || len(entries) != 3 {
		t.Errorf("got %v left, %v, want full, busy.partial and empty", entries, err)
	}
}

// TestMain runs the tests, or as what TestInUse starts, uses a journal until
// its standard input ends.
func TestMain(m *testing.M) {
	dir := os.Getenv("TEST_HOLD")
	if dir == "" {
		os.Exit(m.Run())
	}
	j, err := journal.Open(journal.Options{Dir: dir, Never: true, Log: zap.NewNop()}, time.Now().UnixNano())
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println("holding")
	io.Copy(io.Discard, os.Stdin)
	if err := j.Stop(); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}

func TestInUse(t *testing.T) {
	dir := filled(t)
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "TEST_HOLD="+dir)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	defer in.Close()
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "holding\n" {
		t.Fatalf("the process that is to use the journal says %q, %v", line, err)
	}

	now, dest := time.Now().UnixNano(), filepath.Join(t.TempDir(), "new")
	_, checked := journal.Check(dir, now)
	_, repaired := journal.Repair(dir, dest, segmentSize, now)
	_, exported := journal.Export(filepath.Join(dir, "journal"), dest, now)
	_, copied := journal.BackupStopped(t.Context(), dir, dest)
	for _, err := range []error{checked, repaired, exported, copied} {
		if !errors.Is(err, journal.ErrInUse) {
			t.Errorf("got error %v, want that it is in use", err)
		}
	}
	s, err := journal.ReadStat(dir, now)
	if err != nil || !s.InUse || s.Stopped || s.Jobs.Total() != 16 {
		t.Errorf("got %+v, %v, want 16 jobs in use", s, err)
	}
	records := 0
	err = journal.Dump(dir, 0, func([]journal.Field) error { records++; return nil }, func(p journal.Problem) { t.Errorf("got %+v", p) })
	if err != nil || records < 16 {
		t.Errorf("dumped %d records: %v", records, err)
	}
}

func TestExportToBeanstalkd(t *testing.T) {
	path, err := exec.LookPath("beanstalkd")
	if err != nil {
		t.Skip("beanstalkd is not installed")
	}
	dir, dest := filled(t), filepath.Join(t.TempDir(), "binlog")
	x, err := journal.Export(dir, dest, time.Now().UnixNano())
	if err != nil {
		t.Fatal(err)
	}
	if x.Jobs != 16 || x.NextID != 19 || len(x.Large) > 0 || x.Limit != 0 || !slices.Equal(x.Pauses, []string{"emails"}) {
		t.Errorf("got %+v", x)
	}
	b := runBeanstalkd(t, path, dest)
	for _, want := range []struct {
		id    uint64
		parts []string
	}{
		{1, []string{"tube: emails", "state: ready", "pri: 5", "delay: 0", "ttr: 60", "reserves: 0"}},
		{2, []string{"tube: emails", "state: delayed", "delay: 3600", "time-left: 35"}},
		{3, []string{"tube: default", "state: buried", "pri: 3", "reserves: 1", "buries: 1"}},
		{17, []string{"tube: bulk", "state: ready"}},
	} {
		stats := b.ask(fmt.Sprintf("stats-job %d\r\n", want.id))
		for _, part := range want.parts {
			if !strings.Contains(stats, part) {
				t.Errorf("job %d: got no %q in\n%s", want.id, part, stats)
			}
		}
	}
	if got, want := b.ask("peek-buried\r\n"), "FOUND 4 2\r\n\xff\x00"; got != want {
		t.Errorf("got %q buried first, want %q", got, want)
	}
	if got, want := b.ask("put 0 0 1 0\r\n\r\n"), "INSERTED 19"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got, want := b.ask("delete 19\r\n"), "DELETED"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	b.end()

	// And back. beanstalkd has given an id, and counts a burial when it starts,
	// without writing that down.
	got, want := jobsOf(t, dest), jobsOf(t, dir)
	if len(got) != len(want) {
		t.Fatalf("got\n%q\nwant\n%q", got, want)
	}
	want[len(want)-1] = "next 20"
	for i := range want {
		if strings.Contains(want[i], " buried ") {
			want[i] = strings.Replace(want[i], " 1 0 0 1 0 ", " 1 0 0 0 0 ", 1)
		}
		if got[i] != want[i] {
			t.Errorf("got  %s\nwant %s", got[i], want[i])
		}
	}
}

// TestExportLarge has jobs that beanstalkd takes only if it is told to, and
// sees to it that none that it takes is behind one of them.
func TestExportLarge(t *testing.T) {
	dir, dest := t.TempDir(), filepath.Join(t.TempDir(), "binlog")
	l := start(t, journal.Options{Dir: dir, Never: true})
	l.turn(func(e *queue.Engine) {
		for _, size := range []int{65534, 65533, 70000, 1} {
			l.put(e, "default", 0, strings.Repeat("x", size))
		}
	})
	l.stop()
	x, err := journal.Export(dir, dest, time.Now().UnixNano())
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(x.Large, []uint64{1, 3}) || x.Limit != 70002 || x.Files != 1 {
		t.Errorf("got %+v, want the jobs 1 and 3 to need 70002 bytes", x)
	}
	data, err := os.ReadFile(filepath.Join(dest, "binlog.1"))
	if err != nil {
		t.Fatal(err)
	}
	r := persist.NewBinlogReader()
	if problems, err := r.Read("binlog.1", data); err != nil || len(problems) > 0 {
		t.Fatal(problems, err)
	}
	var order []uint64
	for job := range r.Jobs() {
		order = append(order, job.ID)
	}
	if want := []uint64{2, 4, 1, 3}; !slices.Equal(order, want) {
		t.Errorf("got jobs in the order %v, want %v", order, want)
	}
}

// TestCopyOfSegments looks at segments that were copied away.
func TestCopyOfSegments(t *testing.T) {
	dir, away := filled(t), filepath.Join(t.TempDir(), "copy")
	if err := os.Rename(filepath.Join(dir, "journal"), away); err != nil {
		t.Fatal(err)
	}
	c, err := journal.Check(away, time.Now().UnixNano())
	if err != nil || !c.OK || c.Jobs != 16 {
		t.Errorf("got %+v, %v, want 16 jobs", c, err)
	}
	for name := range contents(t, away) {
		if !bytes.HasSuffix([]byte(name), []byte(".segment")) {
			t.Errorf("%s was made", name)
		}
	}
}
