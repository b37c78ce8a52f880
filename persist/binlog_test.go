package persist_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"spoked/persist"
	"spoked/queue"
)

// The tests build binlog files byte by byte with what stands here, which is
// written after the format and knows nothing of the code under test.

// The states of a record.
const (
	logDeleted = iota
	logReady
	logReserved
	logBuried
	logDelayed
)

const (
	created = int64(1795332848761827000) // an instant, in ns
	second  = int64(time.Second)
)

// logged is a record of a binlog file. A tube makes it a whole one.
type logged struct {
	tube, body string

	id         uint64
	pri        uint32
	delay, ttr int64 // ns
	size       int32 // of the body with CR LF; if 0, that of body
	created    int64
	deadline   int64
	counts     [5]uint32 // reserves, timeouts, releases, buries, kicks
	state      byte
}

// bytes returns the record as version 7 or 5 has it.
func (l logged) bytes(version int) []byte {
	nameLen, structLen, unit := 4, 80, int64(1)
	if version == 5 {
		nameLen, structLen, unit = 8, 77, 1000
	}
	if l.size == 0 {
		l.size = int32(len(l.body) + 2)
	}
	name := make([]byte, nameLen)
	name[0] = byte(len(l.tube))
	s := make([]byte, structLen)
	le := binary.LittleEndian
	le.PutUint64(s[0:], l.id)
	le.PutUint32(s[8:], l.pri)
	le.PutUint64(s[16:], uint64(l.delay/unit))
	le.PutUint64(s[24:], uint64(l.ttr/unit))
	le.PutUint32(s[32:], uint32(l.size))
	le.PutUint64(s[40:], uint64(l.created/unit))
	le.PutUint64(s[48:], uint64(l.deadline/unit))
	for i, n := range l.counts {
		le.PutUint32(s[56+4*i:], n)
	}
	s[76] = l.state
	b := slices.Concat(name, []byte(l.tube), s)
	if l.tube != "" {
		b = append(b, l.body+"\r\n"...)
	}
	return b
}

// put returns the whole record of a ready job in "default" with a body of the
// id's digits.
func put(id uint64) logged {
	return logged{
		tube: "default", body: fmt.Sprint("job ", id), id: id, pri: 10, ttr: 60 * second,
		created: created + int64(id), state: logReady,
	}
}

// with returns l after a change.
func (l logged) with(change func(*logged)) logged {
	change(&l)
	return l
}

// short returns the short record of l after a change.
func (l logged) short(change func(*logged)) logged {
	if l.size == 0 {
		l.size = int32(len(l.body) + 2)
	}
	l.tube, l.body = "", ""
	return l.with(change)
}

func (l logged) delete() logged { return l.short(func(l *logged) { l.state = logDeleted }) }

// bury returns the short record of a reserve and bury with a new pri.
func (l logged) bury(pri uint32) logged {
	return l.short(func(l *logged) {
		l.state, l.pri, l.deadline = logBuried, pri, l.created+90*second
		l.counts[0]++
		l.counts[3]++
	})
}

// binlog returns a file of version 7.
func binlog(records ...logged) []byte {
	b := []byte{7, 0, 0, 0}
	for _, l := range records {
		b = append(b, l.bytes(7)...)
	}
	return b
}

// zeros appends a tail of zeros.
func zeros(b []byte, n int) []byte { return append(slices.Clone(b), make([]byte, n)...) }

// reading is what came of reading files.
type reading struct {
	jobs     []queue.Record
	problems []string
	nextID   uint64
}

// read reads files binlog.1 and so on.
func read(t *testing.T, files ...[]byte) reading {
	t.Helper()
	r := persist.NewBinlogReader()
	var got reading
	for i, data := range files {
		problems, err := r.Read(fmt.Sprint("binlog.", i+1), slices.Clip(data))
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range problems {
			got.problems = append(got.problems, p.String())
		}
	}
	for j := range r.Jobs() {
		got.jobs = append(got.jobs, *j)
	}
	got.nextID = r.NextID()
	return got
}

// told describes the jobs in a line each.
func (r reading) told() string {
	var b strings.Builder
	for _, j := range r.jobs {
		fmt.Fprintf(&b, "%d %s %s pri %d delay %d ttr %d", j.ID, j.Tube, j.State, j.Pri, j.Delay/second, j.TTR/second)
		if j.State == queue.Delayed {
			fmt.Fprintf(&b, " at +%d", (j.At-j.Created)/second)
		}
		if j.State == queue.Buried || j.Burial != 0 {
			fmt.Fprintf(&b, " burial %d", j.Burial)
		}
		if c := [5]uint32{j.Reserves, j.Timeouts, j.Releases, j.Buries, j.Kicks}; c != [5]uint32{} {
			fmt.Fprintf(&b, " counts %v", c)
		}
		fmt.Fprintf(&b, " %q\n", j.Body)
	}
	return b.String()
}

// expect compares what was read with jobs in told's form, and problems.
func (r reading) expect(t *testing.T, jobs string, problems ...string) {
	t.Helper()
	jobs = strings.TrimLeft(strings.ReplaceAll(jobs, "\t", ""), "\n")
	if got := r.told(); got != jobs {
		t.Errorf("jobs\n got:\n%s\nwant:\n%s", got, jobs)
	}
	if !slices.Equal(r.problems, problems) {
		t.Errorf("problems\n got %q\nwant %q", r.problems, problems)
	}
}

// A file of beanstalkd 1.12, with every kind of record.
func TestBinlogSample(t *testing.T) {
	at := func(i int64) int64 { return created + i*1000 }
	first := logged{tube: "default", body: "hello", id: 1, pri: 10, ttr: 60 * second, created: at(0), state: logReady}
	third := logged{tube: "default", body: "abcdef", id: 3, pri: 20, ttr: 60 * second, created: at(2), state: logReady}
	fourth := logged{tube: "default", body: "abc", id: 4, pri: 30, ttr: 60 * second, created: at(3), state: logReady}
	fifth := logged{tube: "default", body: "abc", id: 5, pri: 40, ttr: 60 * second, created: at(4), state: logReady}
	sixth := logged{tube: "default", body: "abcd", id: 6, pri: 50, ttr: 60 * second, created: at(5), state: logReady}
	second2 := logged{tube: "emails", body: "\x00\x01\r\n\xfe\xff", id: 2, pri: 1024, delay: 3600 * second, ttr: 120 * second,
		created: at(1), deadline: at(1) + 3600*second, state: logDelayed}
	seventh := logged{tube: "default", id: 7, pri: 60, ttr: second, created: at(6), state: logReady}
	data := binlog(
		first, second2, third, fourth, fifth, sixth, seventh,
		third.bury(21),
		fourth.delete(),
		fifth.short(func(l *logged) {
			l.pri, l.delay, l.deadline, l.state = 41, 7200*second, l.created+7200*second, logDelayed
			l.counts = [5]uint32{1, 0, 1, 0, 0}
		}),
		sixth.bury(51),
		sixth.bury(51).short(func(l *logged) { l.state, l.counts[4] = logReady, 1 }),
	)
	// The offsets at which the records of that file began.
	for offset, want := range map[int]string{
		0x00:  "\x07\x00\x00\x00\x07\x00\x00\x00default\x01\x00",
		0x27:  "\x00\x58\x47\xf8\x0d\x00\x00\x00\x07\x00\x00\x00",
		0x37:  "\xb8\xee\x09\xc0\xb6\x4d\xea\x18",
		0x5b:  "\x01\x00\x00\x00hello\r\n\x06\x00\x00\x00emails\x02\x00",
		0xc0:  "\x00\x01\r\n\xfe\xff\r\n",
		0x2a9: "\x00\x00\x00\x00\x03\x00\x00\x00\x00\x00\x00\x00\x15\x00\x00\x00\x00\x00\x00\x00",
		0x2e5: "\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x03\x00\x00\x00",
		0x2fd: "\x00\x00\x00\x00\x04", 0x351: "\x00\x00\x00\x00\x05", 0x3a5: "\x00\x00\x00\x00\x06", 0x3f9: "\x00\x00\x00\x00\x06",
	} {
		if got := string(data[offset : offset+len(want)]); got != want {
			t.Errorf("the test's file is wrong at %#x: %q, want %q", offset, got, want)
		}
	}
	if len(data) != 0x44d {
		t.Errorf("the test's file has %#x bytes", len(data))
	}

	got := read(t, zeros(data, 4096-len(data)))
	got.expect(t, `
		1 default ready pri 10 delay 0 ttr 60 "hello"
		2 emails delayed pri 1024 delay 3600 ttr 120 at +3600 "\x00\x01\r\n\xfe\xff"
		3 default buried pri 21 delay 0 ttr 60 burial 1 counts [1 0 0 1 0] "abcdef"
		5 default delayed pri 41 delay 7200 ttr 60 at +7200 counts [1 0 1 0 0] "abc"
		6 default ready pri 51 delay 0 ttr 60 counts [1 0 0 1 1] "abcd"
		7 default ready pri 60 delay 0 ttr 1 ""
	`)
	if got.nextID != 8 {
		t.Errorf("NextID %d, want 8", got.nextID)
	}
	if got := got.jobs[0].Created; got != created {
		t.Errorf("Created %d, want %d", got, created)
	}
}

// The rules of reading, one each.
var binlogRules = []struct {
	name     string
	files    [][]byte
	jobs     string
	problems []string
	nextID   uint64
}{
	{name: "nothing", nextID: 1},
	{name: "only a version", files: [][]byte{binlog()}, nextID: 1},
	{
		name:  "a file that was still empty",
		files: [][]byte{binlog(put(1)), {}, {7, 0, 0}, make([]byte, 4096), binlog(put(2))},
		jobs:  "1 default ready pri 10 delay 0 ttr 60 \"job 1\"\n2 default ready pri 10 delay 0 ttr 60 \"job 2\"\n",
		problems: []string{
			"binlog.2:0: too short to hold anything, 0 bytes", "binlog.3:0: too short to hold anything, 3 bytes",
			"binlog.4:0: nothing but zeros; it was being made when beanstalkd ended",
		},
		nextID: 3,
	},
	{
		name:   "the highest id is that of a deleted job",
		files:  [][]byte{binlog(put(1), put(9), put(9).delete())},
		jobs:   "1 default ready pri 10 delay 0 ttr 60 \"job 1\"\n",
		nextID: 10,
	},
	{
		name:   "changes of jobs whose file is gone",
		files:  [][]byte{binlog(put(20).bury(1), put(21).delete(), put(1))},
		jobs:   "1 default ready pri 10 delay 0 ttr 60 \"job 1\"\n",
		nextID: 22,
	},
	{
		name:   "reserved reads as ready",
		files:  [][]byte{binlog(put(1).with(func(l *logged) { l.state, l.counts[0] = logReserved, 1 }))},
		jobs:   "1 default ready pri 10 delay 0 ttr 60 counts [1 0 0 0 0] \"job 1\"\n",
		nextID: 2,
	},
	{
		name:   "a TTR below one second",
		files:  [][]byte{binlog(put(1).with(func(l *logged) { l.ttr = 0 }), put(2).with(func(l *logged) { l.ttr = second - 1 }))},
		jobs:   "1 default ready pri 10 delay 0 ttr 1 \"job 1\"\n2 default ready pri 10 delay 0 ttr 1 \"job 2\"\n",
		nextID: 3,
	},
	{
		name: "a job that moved with new numbers",
		files: [][]byte{binlog(put(1), put(2)), binlog(put(1).with(func(l *logged) {
			l.pri, l.delay, l.counts, l.state, l.deadline = 5, 7*second, [5]uint32{1, 2, 3, 4, 5}, logDelayed, l.created+9*second
		}))},
		jobs: "1 default delayed pri 5 delay 7 ttr 60 at +9 counts [1 2 3 4 5] \"job 1\"\n" +
			"2 default ready pri 10 delay 0 ttr 60 \"job 2\"\n",
		nextID: 3,
	},
	{
		name:  "a later file changes and deletes jobs of an earlier one",
		files: [][]byte{zeros(binlog(put(1), put(2), put(3)), 99), zeros(binlog(put(2).bury(7), put(4), put(1).delete()), 99)},
		jobs: "2 default buried pri 7 delay 0 ttr 60 burial 1 counts [1 0 0 1 0] \"job 2\"\n" +
			"3 default ready pri 10 delay 0 ttr 60 \"job 3\"\n4 default ready pri 10 delay 0 ttr 60 \"job 4\"\n",
		nextID: 5,
	},
	{
		name: "the order of burial is that of the last burial, and moving is none",
		files: [][]byte{
			binlog(put(1), put(2), put(3), put(1).bury(1), put(2).bury(1), put(3).bury(1), put(1).bury(1).bury(1)),
			binlog(put(3).with(func(l *logged) { l.state, l.counts = logBuried, [5]uint32{1, 0, 0, 2, 0} })),
		},
		jobs: "1 default buried pri 1 delay 0 ttr 60 burial 4 counts [2 0 0 2 0] \"job 1\"\n" +
			"2 default buried pri 1 delay 0 ttr 60 burial 2 counts [1 0 0 1 0] \"job 2\"\n" +
			"3 default buried pri 10 delay 0 ttr 60 burial 3 counts [1 0 0 2 0] \"job 3\"\n",
		nextID: 4,
	},
	{
		name: "an id that was given again",
		files: [][]byte{
			binlog(put(1), put(2)),
			binlog(put(1).with(func(l *logged) { l.created += 5; l.tube = "other"; l.body = "new" }), put(3)),
		},
		jobs: "2 default ready pri 10 delay 0 ttr 60 \"job 2\"\n1 other ready pri 10 delay 0 ttr 60 \"new\"\n" +
			"3 default ready pri 10 delay 0 ttr 60 \"job 3\"\n",
		problems: []string{"binlog.2:4: job 1 takes the place of an older one with that id"},
		nextID:   4,
	},
	{
		name: "a change of another job",
		files: [][]byte{binlog(
			put(1), put(1).bury(3).with(func(l *logged) { l.created++ }), put(1).bury(3).with(func(l *logged) { l.size++ }), put(2),
		)},
		jobs: "1 default ready pri 10 delay 0 ttr 60 \"job 1\"\n2 default ready pri 10 delay 0 ttr 60 \"job 2\"\n",
		problems: []string{
			"binlog.1:102: a change of another job with the id 1; skipped to the next record",
			"binlog.1:186: a change of another job with the id 1; skipped to the next record",
		},
		nextID: 3,
	},
	{
		name: "a delete of a job that nobody can have put",
		files: [][]byte{
			binlog(put(1), put(9).delete().with(func(l *logged) { l.created = 0 }), put(2)),
			binlog(put(3), put(1).delete().with(func(l *logged) { l.ttr = 0 }), put(4)),
		},
		jobs: "1 default ready pri 10 delay 0 ttr 60 \"job 1\"\n3 default ready pri 10 delay 0 ttr 60 \"job 3\"\n",
		problems: []string{
			"binlog.1:102: torn: job 9 would be deleted, but was never put",
			"binlog.2:102: torn: job 1 would be deleted, but was never put",
		},
		nextID: 4,
	},
	{
		name:     "bytes after the end",
		files:    [][]byte{append(zeros(binlog(put(1)), 500), 1, 0, 0)},
		jobs:     "1 default ready pri 10 delay 0 ttr 60 \"job 1\"\n",
		problems: []string{"binlog.1:602: something follows after the end of the log, which is at 102"},
		nextID:   2,
	},
	{
		name:  "the highest id of all",
		files: [][]byte{binlog(put(1<<64 - 2)), binlog(put(1<<64 - 1)), binlog(put(1))},
		jobs: "18446744073709551614 default ready pri 10 delay 0 ttr 60 \"job 18446744073709551614\"\n" +
			"1 default ready pri 10 delay 0 ttr 60 \"job 1\"\n",
		problems: []string{"binlog.2:4: damaged: job 18446744073709551615, after which there cannot be another"},
		nextID:   1<<64 - 1,
	},
}

func TestBinlogRules(t *testing.T) {
	for _, c := range binlogRules {
		t.Run(c.name, func(t *testing.T) {
			got := read(t, c.files...)
			got.expect(t, c.jobs, c.problems...)
			if got.nextID != c.nextID {
				t.Errorf("NextID %d, want %d", got.nextID, c.nextID)
			}
		})
	}
}

// What is damaged ends the file, but neither takes anything from what was
// before nor keeps the next file from being read.
func TestBinlogDamage(t *testing.T) {
	good := binlog(put(1), put(2))
	at := len(good)
	patch := func(offset int, bytes string) func([]byte) []byte {
		return func(b []byte) []byte { copy(b[at+offset:], bytes); return b }
	}
	const inStruct = 4 + len("default")
	for _, c := range []struct {
		name    string
		damage  func([]byte) []byte // of good and a record of job 3 at at
		problem string              // or "" if job 3 is fine
	}{
		{"none", patch(0, ""), ""},
		{"negative length of name", patch(0, "\xff\xff\xff\xff"), "no record: the name of its tube would be longer than 200 bytes"},
		{"name of 201 bytes", patch(0, "\xc9"), "no record: the name of its tube would be longer than 200 bytes"},
		{"space in name", patch(5, " "), "torn or damaged: byte 0x20 in the name of a tube"},
		{"NUL in name", patch(4, "\x00"), "torn or damaged: byte 0x00 in the name of a tube"},
		{"DEL in name", patch(10, "\x7f"), "torn or damaged: byte 0x7f in the name of a tube"},
		{"byte above ASCII in name", patch(10, "\xe9"), ""},
		{"id 0", patch(inStruct, "\x00"), `torn: a job without an id or a state, in tube "default"`},
		{"state 0", patch(inStruct+76, "\x00"), `torn: a job without an id or a state, in tube "default"`},
		{"state 5", patch(inStruct+76, "\x05"), "damaged: job 3 in state 5"},
		{"negative delay", patch(inStruct+16+7, "\x80"), "damaged: job 3 with a time that cannot be"},
		{"longest delay", patch(inStruct+16, "\x00\x36\x65\xc4\xff\xff\xff\x3b"), "damaged: job 3 with a time that cannot be"},
		{"negative TTR", patch(inStruct+24+7, "\x80"), "damaged: job 3 with a time that cannot be"},
		{"negative created", patch(inStruct+40+7, "\x80"), "damaged: job 3 with a time that cannot be"},
		{"negative deadline", patch(inStruct+48+7, "\x80"), "damaged: job 3 with a time that cannot be"},
		{"body_size 1", patch(inStruct+32, "\x01"), "damaged: job 3 with a body of -1 bytes"},
		{"negative body_size", patch(inStruct+32, "\xff\xff\xff\xff"), "damaged: job 3 with a body of -3 bytes"},
		{"largest body_size", patch(inStruct+32, "\xff\xff\xff\x7f"), "torn: the file ends within the body of job 3"},
		{"no CR", patch(inStruct+80+5, "x"), "torn: the body of job 3 does not end in CR LF"},
		{"no LF", patch(inStruct+80+6, "\x00"), "torn: the body of job 3 does not end in CR LF"},
	} {
		t.Run(c.name, func(t *testing.T) {
			bad := c.damage(append(slices.Clone(good), put(3).bytes(7)...))
			got := read(t, append(bad, put(4).bytes(7)...), binlog(put(5)))
			ids := []uint64{1, 2, 5}
			var problems []string
			if c.problem == "" {
				ids = []uint64{1, 2, 3, 4, 5}
			} else {
				problems = []string{fmt.Sprintf("binlog.1:%d: %s", at, c.problem)}
			}
			if got := got.ids(); !slices.Equal(got, ids) {
				t.Errorf("jobs %d, want %d", got, ids)
			}
			if !slices.Equal(got.problems, problems) {
				t.Errorf("problems %q, want %q", got.problems, problems)
			}
		})
	}
}

func (r reading) ids() (ids []uint64) {
	for _, j := range r.jobs {
		ids = append(ids, j.ID)
	}
	return ids
}

func TestBinlogNames(t *testing.T) {
	var got []string
	for _, f := range persist.ListBinlog([]string{
		"lock", "binlog.10", "binlog.9", "binlog.007", "binlog.", "binlog.0", "binlog.-1", "binlog.+1", "binlog.1x",
		"binlog.99999999999999999999", "binlog.11.bak", "xbinlog.1", "Binlog.2", "binlog.2",
	}) {
		got = append(got, fmt.Sprint(f.Index, " ", f.Name))
	}
	if want := []string{"2 binlog.2", "9 binlog.9", "10 binlog.10"}; !slices.Equal(got, want) {
		t.Errorf("ListBinlog: %q, want %q", got, want)
	}
}

func TestBinlogGaps(t *testing.T) {
	r := persist.NewBinlogReader()
	for _, c := range []struct{ name, problem, err string }{
		{name: "/var/lib/binlog.3"},
		{name: "/var/lib/binlog.4"},
		{name: "binlog.6", problem: "binlog.6:0: files are missing before this one, binlog.5 to binlog.5"},
		{name: "binlog.6", err: "binlog.6: out of order, after binlog.6"},
		{name: "binlog.5", err: "binlog.5: out of order, after binlog.6"},
		{name: "binlog.007", err: "binlog.007: not the name of a binlog file"},
		{name: "binlog.10", problem: "binlog.10:0: files are missing before this one, binlog.7 to binlog.9"},
	} {
		problems, err := r.Read(c.name, binlog(put(1)))
		var problem, failure string
		if len(problems) > 0 {
			problem = problems[0].String()
		}
		if err != nil {
			failure = err.Error()
		}
		if problem != c.problem || failure != c.err || len(problems) > 1 {
			t.Errorf("Read(%q): %q, %q, want %q, %q", c.name, problems, failure, c.problem, c.err)
		}
	}
}

func TestBinlogUnknownVersion(t *testing.T) {
	for version, data := range map[string][]byte{
		"8":         {8, 0, 0, 0},
		"6":         append([]byte{6, 0, 0, 0}, put(1).bytes(7)...),
		"0":         append([]byte{0, 0, 0, 0}, put(1).bytes(7)...),
		"-1":        {255, 255, 255, 255},
		"117440512": {0, 0, 0, 7}, // of a big-endian machine
	} {
		r := persist.NewBinlogReader()
		_, err := r.Read("dir/binlog.1", data)
		if want := "dir/binlog.1:0: unknown version " + version + " of beanstalkd's binlog"; err == nil || err.Error() != want {
			t.Errorf("version %s: %v, want %s", version, err, want)
		}
		for j := range r.Jobs() {
			t.Errorf("version %s: job %d", version, j.ID)
		}
	}
}

func TestBinlogVersion5(t *testing.T) {
	delayed := put(2).with(func(l *logged) {
		l.created, l.delay, l.deadline, l.state = created+5000, 30*second, created+40*second+5000, logDelayed
	})
	third := put(3).with(func(l *logged) { l.created = created })
	data := []byte{5, 0, 0, 0}
	for _, l := range []logged{put(1), delayed, third, third.bury(4), put(1).with(func(l *logged) { l.created = created }).delete()} {
		data = append(data, l.bytes(5)...)
	}
	for _, tail := range []int{0, 1, 84, 85, 4096} {
		got := read(t, zeros(data, tail), binlog(delayed.delete()))
		got.expect(t, "3 default buried pri 4 delay 0 ttr 60 burial 1 counts [1 0 0 1 0] \"job 3\"\n")
		if got.jobs[0].Created != created {
			t.Errorf("Created %d, want %d", got.jobs[0].Created, created)
		}
	}
	read(t, data).expect(t, `
		2 default delayed pri 10 delay 30 ttr 60 at +40 "job 2"
		3 default buried pri 4 delay 0 ttr 60 burial 1 counts [1 0 0 1 0] "job 3"
	`)

	// A time in microseconds that is none in nanoseconds.
	b := put(1).bytes(5)
	binary.LittleEndian.PutUint64(b[8+7+40:], 1<<62)
	read(t, append([]byte{5, 0, 0, 0}, b...)).expect(t, "", "binlog.1:4: damaged: job 1 with a time that cannot be")
}

// A record may be cut off at any byte, with the end of the file behind it or
// the zeros that the file was made of. A part of it must leave things as they
// were before it, unless nothing but zeros are missing of it. There is no
// telling a part that, with the zeros, is the delete of that job as it is.
func TestBinlogTorn(t *testing.T) {
	known := put(0x0201) // an id of which a part is another
	other := put(1)
	buried := known.bury(10)
	delayed := known.with(func(l *logged) {
		l.delay, l.deadline, l.state = 100*second, l.created+100*second, logDelayed
	})
	moved := func(reserves, timeouts, releases uint32) logged {
		return known.with(func(l *logged) {
			l.counts, l.deadline = [5]uint32{reserves, timeouts, releases, 0, 0}, l.created+second
		})
	}
	kick := func(l logged) logged {
		return l.short(func(l *logged) { l.state = logReady; l.counts[4]++ })
	}
	reserved := known.short(func(l *logged) { l.counts[0], l.deadline = 1, l.created+90*second })
	release := reserved.short(func(l *logged) {
		l.state, l.delay, l.deadline, l.counts[2] = logDelayed, 9*second, l.created+99*second, 1
	})
	for _, c := range []struct {
		name    string
		before  []logged // what is known of the job
		record  logged
		deletes []logged // records that a part of record may be
	}{
		{"put", nil, put(0x0302), nil},
		{"delayed put", nil, delayed, nil},
		{"move", []logged{known}, known.with(func(l *logged) { l.counts[0] = 1 }), nil},
		{"delete of a ready job", []logged{known}, known.delete(), nil},
		{"delete of a reserved job", []logged{known}, reserved.delete(), []logged{known.delete()}},
		{"delete of a delayed job", []logged{delayed}, delayed.delete(), nil},
		{"delete of a buried job", []logged{known, buried}, buried.delete(), nil},
		{"bury", []logged{known}, buried, []logged{known.delete(), reserved.delete()}},
		{"bury with another pri", []logged{known}, known.bury(0x0101), nil},
		{"bury of a job that was reserved before", []logged{moved(2, 0, 0)}, moved(2, 0, 0).bury(10), []logged{
			moved(3, 0, 0).with(func(l *logged) { l.deadline = known.bury(10).deadline }).delete(),
		}},
		{"bury of a job that timed out before", []logged{moved(2, 1, 0)}, moved(2, 1, 0).bury(10), []logged{
			moved(3, 1, 0).with(func(l *logged) { l.deadline = known.bury(10).deadline }).delete(),
		}},
		{"bury of a job that was released before", []logged{moved(2, 1, 1)}, moved(2, 1, 1).bury(10), []logged{
			moved(3, 1, 1).with(func(l *logged) { l.deadline = known.bury(10).deadline }).delete(),
		}},
		{"kick of a buried job", []logged{known, buried}, kick(buried), []logged{buried.delete()}},
		{"kick of a delayed job", []logged{delayed}, kick(delayed), []logged{delayed.delete()}},
		{"release with a delay", []logged{known}, release, nil},
	} {
		before := binlog(append([]logged{other}, c.before...)...)
		record := c.record.bytes(7)
		last := len(bytes.TrimRight(record, "\x00")) // what is behind it are zeros anyway
		var deletes []string
		for _, l := range c.deletes {
			deletes = append(deletes, string(l.bytes(7)))
		}
		unchanged, changed, deleted := read(t, before).told(), read(t, append(slices.Clone(before), record...)).told(), read(t, binlog(other)).told()
		if unchanged == changed {
			t.Fatalf("%s: the record changes nothing", c.name)
		}

		for n := range len(record) {
			part := append(slices.Clone(before), record[:n]...)
			if got := read(t, part); got.told() != unchanged {
				t.Errorf("%s, file ends after %d bytes:\n got %swant %s", c.name, n, got.told(), unchanged)
			} else if torn := len(bytes.Trim(record[:n], "\x00")) > 0; torn &&
				(len(got.problems) != 1 || !strings.Contains(got.problems[0], " torn: the file ends within")) || !torn && got.problems != nil {
				t.Errorf("%s, file ends after %d bytes: problems %q", c.name, n, got.problems)
			}

			got, want, silent := read(t, zeros(part, 5000)), unchanged, false
			switch {
			case n >= last:
				want, silent = changed, true
			case slices.Contains(deletes, string(zeros(record[:n], len(record)-n))):
				want, silent = deleted, true
			case len(bytes.Trim(record[:n], "\x00")) == 0:
				silent = true
			}
			if got.told() != want {
				t.Errorf("%s, zeros after %d bytes:\n got %swant %s", c.name, n, got.told(), want)
			} else if silent != (len(got.problems) == 0) {
				t.Errorf("%s, zeros after %d bytes: problems %q", c.name, n, got.problems)
			}
		}
	}
}

// beanstalkd sets the deadline of a delayed job again when it starts, and does
// not write that down until the job changes.
func TestBinlogDeleteAfterRestart(t *testing.T) {
	delayed := put(1).with(func(l *logged) { l.delay, l.deadline, l.state = 9*second, l.created+9*second, logDelayed })
	read(t, binlog(delayed, delayed.with(func(l *logged) { l.deadline += 1000 }).delete())).expect(t, "")
	// What was buried counts as buried again.
	buried := put(1).bury(7)
	read(t, binlog(put(1), buried, buried.with(func(l *logged) { l.counts[3]++ }).delete())).expect(t, "")
	// A release without a delay is not written down, though it has a pri.
	released := put(1).short(func(l *logged) { l.pri, l.counts, l.deadline = 99, [5]uint32{1, 0, 1, 0, 0}, created+second })
	read(t, binlog(put(1), released.delete())).expect(t, "")
	// Where another record follows, none is torn, whatever was lost before it.
	read(t, binlog(put(1), put(1).bury(5).bury(6).delete(), put(2).delete())).expect(t, "")
}

// The largest bodies that beanstalkd accepts by default, and larger ones.
func TestBinlogLargeBodies(t *testing.T) {
	var records []logged
	var sizes []int
	for i, size := range []int{65533, 65534, 65535, 65536, 1 << 20, 0} {
		records = append(records, put(uint64(i+1)).with(func(l *logged) { l.body = strings.Repeat("x", size) }))
		sizes = append(sizes, size)
	}
	got := read(t, zeros(binlog(records...), 100))
	if len(got.problems) > 0 {
		t.Error(got.problems)
	}
	for i, j := range got.jobs {
		if len(j.Body) != sizes[i] || cap(j.Body) != len(j.Body) {
			t.Errorf("job %d: body of %d bytes and room for %d, want %d", j.ID, len(j.Body), cap(j.Body), sizes[i])
		}
	}
	if len(got.jobs) != len(sizes) {
		t.Errorf("%d jobs, want %d", len(got.jobs), len(sizes))
	}
}

// Jobs can be left early.
func TestBinlogJobs(t *testing.T) {
	r := persist.NewBinlogReader()
	if _, err := r.Read("binlog.1", binlog(put(1), put(2), put(3), put(2).delete())); err != nil {
		t.Fatal(err)
	}
	seen := map[uint64]bool{}
	for j := range r.Jobs() {
		seen[j.ID] = true
		break
	}
	if want := map[uint64]bool{1: true}; !maps.Equal(seen, want) {
		t.Errorf("jobs %v, want %v", seen, want)
	}
}
