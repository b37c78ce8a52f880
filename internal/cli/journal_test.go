package cli_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"

	"spoked/internal/cli"
	"spoked/internal/config"
	"spoked/internal/journal"
	"spoked/persist"
)

// keep makes a journal with jobs that have these bodies, and the tube "slow"
// paused.
func keep(t *testing.T, bodies ...string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	now := time.Now().UnixNano()
	j, err := journal.Open(journal.Options{Dir: dir, Log: zap.NewNop()}, now)
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	if err := j.Start(&mu, func() {}, func() {}, func(err error) { t.Error(err) }); err != nil {
		t.Fatal(err)
	}
	mu.Lock()
	e := j.Engine()
	c := e.Connect()
	e.Use(c, []byte("slow"))
	if err := e.Pause(now, []byte("slow"), time.Hour); err != nil {
		t.Error(err)
	}
	for _, body := range bodies {
		d, err := e.Begin(now, c, 1, 0, time.Minute, uint32(len(body)))
		if err != nil {
			t.Fatal(err)
		}
		copy(e.Body(&d), body)
		if _, err := e.Insert(now, &d); err != nil {
			t.Error(err)
		}
		j.Commit(true) // a write of its own
	}
	mu.Unlock()
	if err := j.Stop(); err != nil {
		t.Fatal(err)
	}
	return dir
}

// damage changes a byte of the last body with these bytes.
func damage(t *testing.T, dir, body string) {
	t.Helper()
	name := filepath.Join(dir, "journal", persist.SegmentName(1))
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	at := strings.LastIndex(string(data), body)
	if at < 0 {
		t.Fatalf("%q is not in %s", body, name)
	}
	data[at] ^= 1
	if err := os.WriteFile(name, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestToolUsage(t *testing.T) {
	tests := []struct {
		args, env, want string
	}{
		{"journal", "", "journal: a command is missing"},
		{"journal dance", "", "journal: unknown command: dance"},
		{"journal --json", "", "journal: unknown flag: --json"},
		{"journal stat", "", "journal stat: an argument is missing: it takes DIR"},
		{"journal stat a b", "", "journal stat: unknown argument: b"},
		{"journal stat --jobs a", "", "journal stat: unknown flag: --jobs"},
		{"journal repair a", "", "journal repair: an argument is missing: it takes DIR NEW"},
		{"journal repair a b c", "", "journal repair: unknown argument: c"},
		{"journal export a", "", "journal export: an argument is missing: it takes DIR DEST"},
		{"journal export a b --to c", "", "journal export: unknown argument: c"},
		{"journal export a --to", "", "journal export: flag needs an argument: --to"},
		{"journal export a --to=", "", "journal export: invalid value of --to: it is empty"},
		{"journal export a b --format=redis", "", "journal export: unknown format: redis (want beanstalkd)"},
		{"backup a", "", "backup: -b is missing, and SPOKED_JOURNAL is not set"},
		{"backup -b d", "", "backup: an argument is missing: it takes DEST"},
		{"backup", "SPOKED_JOURNAL=d", "backup: an argument is missing: it takes DEST"},
		{"backup -b d a b", "", "backup: unknown argument: b"},
		{"backup -x a", "", "backup: unknown shorthand flag: 'x' in -x"},
	}
	for _, test := range tests {
		args := strings.Fields(test.args)
		code, stdout, stderr := run(t, args, []string{test.env})
		if code != config.ExitUsage || stdout != "" {
			t.Errorf("%s: got exit code %d and stdout %q, want %d and none", test.args, code, stdout, config.ExitUsage)
		}
		message, help, _ := strings.Cut(stderr, "\n")
		if message != "spoked: "+test.want || !strings.HasPrefix(help, "Use: spoked "+args[0]) {
			t.Errorf("%s: got stderr %q, want %q and the help", test.args, stderr, test.want)
		}
	}
	for _, args := range []string{"journal -h", "journal --help", "journal stat -h", "journal repair a --help", "backup -h"} {
		code, stdout, stderr := run(t, strings.Fields(args), nil)
		if code != config.ExitOK || stderr != "" || !strings.HasPrefix(stdout, "Use: spoked "+strings.Fields(args)[0]) {
			t.Errorf("%s: got exit code %d, stdout %q, stderr %q", args, code, stdout, stderr)
		}
	}
}

// TestJournalTools runs each tool on a journal, whole and damaged.
func TestJournalTools(t *testing.T) {
	long := strings.Repeat("y", 100)
	whole := keep(t, "hello", long)
	broken := keep(t, "hello", "damaged", "world")
	damage(t, broken, "damaged")
	large := keep(t, strings.Repeat("z", 65534))
	top := t.TempDir()
	tests := []struct {
		args   []string
		code   int
		stdout []string // parts, in order
		stderr string
	}{
		{args: []string{"stat", whole}, stdout: []string{
			"server     none; the last one was stopped", "next id    3", "jobs       2: 2 ready, 0 delayed, 0 buried",
			"2          0          0  slow (paused until ",
		}},
		{args: []string{"stat", broken}, code: 1, stderr: "the journal is damaged"},
		{args: []string{"stat", top}, code: 10, stderr: "no journal: "},
		{args: []string{"check", whole}, stdout: []string{"1 segments, ", "fine: a server starts with it, and has 2 jobs\n"}},
		{args: []string{"check", broken}, code: 1, stdout: []string{
			".segment:", "no whole frame, though others follow (", "damaged: `spoked journal repair " + broken + " NEW` makes",
		}},
		{args: []string{"dump", whole}, stdout: []string{
			"kind=mark", "kind=pause tube=slow length=1h0m0s", "kind=job id=1 tube=slow state=ready pri=1", `body="hello"` + "\n",
			`body="` + long[:64] + `"... (100 bytes)` + "\n", "stopped=true\n",
		}},
		{args: []string{"dump", "--bodies", whole}, stdout: []string{`body="` + long + `"` + "\n"}},
		{args: []string{"dump", broken}, code: 1, stdout: []string{"id=1", "stray=true id=3"}, stderr: "no whole frame"},
		{args: []string{"dump", "--jobs", whole}, stdout: []string{"id=1 tube=slow state=ready pri=1 ", "id=2 tube=slow"}},
		{args: []string{"repair", broken, top + "/new"}, stdout: []string{
			"lost: ", "no whole frame, though others follow (", "wrote 2 jobs to " + top + "/new; the next id is 4", "warning: jobs that were deleted",
		}},
		{args: []string{"check", top + "/new"}, stdout: []string{"fine"}},
		{args: []string{"repair", whole, top + "/new"}, code: 1, stderr: "is not empty"},
		{args: []string{"export", whole, top + "/binlog"}, stdout: []string{
			"warning: beanstalkd does not keep pauses; left out: that of slow\n", "wrote 2 jobs to 1 files", "the next id is 3",
		}},
		{args: []string{"export", "--format", "beanstalkd", "--to=" + top + "/large", large}, stdout: []string{
			"warning: without -z 65536 beanstalkd leaves out 1 jobs, whose bodies are larger than 65533 bytes: 1\n",
			"beanstalkd -b " + top + "/large -z 65536\n",
		}},
		{args: []string{"export", broken, top + "/never"}, code: 1, stderr: "the journal is damaged"},
	}
	for _, test := range tests {
		code, stdout, stderr := run(t, append([]string{"journal"}, test.args...), nil)
		if code != test.code {
			t.Errorf("%q: got exit code %d, want %d", test.args, code, test.code)
		}
		rest := stdout
		for _, part := range test.stdout {
			_, behind, ok := strings.Cut(rest, part)
			if !ok {
				t.Errorf("%q: got no %q at its place in\n%s", test.args, part, stdout)
				break
			}
			rest = behind
		}
		if test.stderr == "" && stderr != "" || !strings.Contains(stderr, test.stderr) {
			t.Errorf("%q: got stderr %q, want %q", test.args, stderr, test.stderr)
		}
	}
}

// TestJournalJSON wants to be able to read it.
func TestJournalJSON(t *testing.T) {
	dir := keep(t, "hello", "\xff", "é")
	top := t.TempDir()
	tests := []struct {
		args []string
		want string // of the last object
	}{
		{[]string{"stat", dir}, "map[buried:0 delayed:0 ready:3]"},
		{[]string{"check", dir}, "map[dir:" + dir + "/journal frames:"},
		{[]string{"dump", dir}, "kind:mark"},
		{[]string{"dump", "--jobs", dir}, "body:é body_bytes:2"},
		{[]string{"repair", dir, top + "/new"}, "lost:[] lost_bytes:0 new:" + top + "/new next_id:4"},
		{[]string{"export", dir, top + "/binlog"}, "pauses_left_out:[slow]"},
	}
	for _, test := range tests {
		code, stdout, stderr := run(t, append([]string{"journal"}, append(test.args, "--json")...), nil)
		if code != 0 || stderr != "" {
			t.Errorf("%q: got exit code %d, stderr %q", test.args, code, stderr)
		}
		var last any
		for d := json.NewDecoder(strings.NewReader(stdout)); d.More(); {
			last = nil
			if err := d.Decode(&last); err != nil {
				t.Fatalf("%q: %v in\n%s", test.args, err, stdout)
			}
		}
		if got := fmt.Sprint(last); !strings.Contains(got, test.want) {
			t.Errorf("%q: got %s, want %s in it", test.args, got, test.want)
		}
	}
	_, stdout, _ := run(t, []string{"journal", "dump", "--jobs", "--json", dir}, nil)
	if want := `"body_bytes":1,"body_base64":"/w=="`; !strings.Contains(stdout, want) {
		t.Errorf("got no %s in\n%s", want, stdout)
	}
}

// TestJournalOutput wants a script to learn that it did not get everything.
func TestJournalOutput(t *testing.T) {
	dir := keep(t, "hello")
	closed, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	for _, args := range [][]string{{"stat", dir}, {"check", dir}, {"dump", dir}, {"dump", "--json", "--jobs", dir}} {
		var stderr strings.Builder
		p := cli.Program{Stdout: closed, Stderr: &stderr}
		if got, want := p.Run(append([]string{"spoked", "journal"}, args...)), config.ExitFailure; got != want {
			t.Errorf("%q: got exit code %d, want %d: %s", args, got, want, &stderr)
		}
	}
}

// TestCutRune cuts a body in the middle of a rune.
func TestCutRune(t *testing.T) {
	dir := keep(t, strings.Repeat("x", 63)+"é", strings.Repeat("x", 63)+"\xff\xff")
	_, stdout, _ := run(t, []string{"journal", "dump", "--jobs", "--json", dir}, nil)
	if strings.Count(stdout, `"body":"xxx`) != 1 || strings.Count(stdout, `"body_base64"`) != 1 {
		t.Errorf("got\n%s", stdout)
	}
}
