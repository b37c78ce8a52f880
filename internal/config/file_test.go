package config_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"spoked/internal/config"
)

// write puts text into a file of that name, in a directory of its own.
func write(t *testing.T, name, text string) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// everything is what the files below say.
func everything(c *config.Config) {
	*c = config.Config{
		Listen: "::1", Port: 80, User: "u", MaxJobSize: 1 << 20, Memory: 512_000_000, Bodies: config.BodiesDisk,
		Journal: "a b", FsyncInterval: 7 * time.Millisecond, NoFsync: true, JournalSegmentSize: 4096,
		HTTP: config.HTTPOff, HTTPExplicit: true, HTTPTokens: "#t", HTTPInsecure: true, MetricsTubes: 9, StatsD: "h:1",
		Compat: config.Compat112, Strict: true, Loops: 2, Transport: config.TransportNet,
		Verbosity: 1, LogFormat: config.LogJSON,
	}
}

func TestFiles(t *testing.T) {
	tests := []struct {
		name, text string
		want       config.Config
	}{
		{"all.toml", `
# A comment.
listen = "::1"
port = "http"
user = 'u'
max-job-size = 0x10_0000
memory = "512MB" # another
bodies = "disk"
"journal" = """a b"""
no-fsync = true
fsync-interval = 7
journal-segment-size = 4_096
http = "off"
http-token-file = "#t"
http-insecure = true
metrics-tubes = 9
statsd = "h:1"
compat = 1.12
strict = true
loops = 2
transport = "net"
verbose = 1
log-format = "json"
`, with(everything)},
		{"all.yaml", `---
# A comment.
listen: "::1"
port: http
user: u
max-job-size: 0x100000
memory: 512MB # another
"bodies": 'disk'
journal: >-
  a
  b
no-fsync: true
fsync-interval: 7
journal-segment-size: 4096
http: off
http-token-file: "#t"
http-insecure: true
metrics-tubes: 9
statsd: h:1
compat: 1.12
strict: true
loops: 2
transport: net
verbose: 1
log-format: json
`, with(everything)},
		{"one.yml", "port: 0\r\n", with(func(c *config.Config) { c.Port = 0 })},
		{"flow.yaml", "{port: 1, user: u}", with(func(c *config.Config) { c.Port, c.User = 1, "u" })},
		{"ONE.TOML", "port = 1\r\n\r\nloops = 2", with(func(c *config.Config) { c.Port, c.Loops = 1, 2 })},
		{"off.toml", "no-fsync = false", config.Default()},
		{"empty.toml", "", config.Default()},
		{"empty.yaml", "", config.Default()},
		{"comment.yaml", "# port: 1\n", config.Default()},
		{"document.yaml", "---\n", config.Default()},
	}
	for _, test := range tests {
		path := write(t, test.name, test.text)
		inv, err := config.Parse([]string{"--config", path}, nil)
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
			continue
		}
		if got := inv.Config; got != test.want {
			t.Errorf("%s:\n got %+v\nwant %+v", test.name, got, test.want)
		}
		if err := config.Validate(path); err != nil {
			t.Errorf("%s: %v", test.name, err)
		}
	}
}

// TestFilesWrong has the lines of all mistakes, and what was meant.
func TestFilesWrong(t *testing.T) {
	tests := []struct {
		name, text string
		want       []string // FILE is left out
	}{
		{"a.toml", "\nprot = 1\n\nmax_job_size = 2\nzzz = 3\n", []string{
			":2: unknown key: prot (did you mean port?)",
			":4: unknown key: max_job_size (did you mean max-job-size?)",
			":5: unknown key: zzz",
		}},
		{"a.yaml", "\nprot: 1\n\nmax_job_size: 2\nzzz: 3\n", []string{
			":2: unknown key: prot (did you mean port?)",
			":4: unknown key: max_job_size (did you mean max-job-size?)",
			":5: unknown key: zzz",
		}},
		{"a.toml", "port = 65536\nuser = \"\"\nloops = 0\nport = 1\n", []string{":4: key port is already defined"}},
		{"b.toml", "port = 65536\nuser = \"\"\nloops = 0\nverbose = true\nlisten = true\n", []string{
			":1: port: invalid port: 65536",
			":2: user: invalid user: ",
			":3: loops: invalid number: 0 (want 1 to 256)",
			":4: verbose: invalid number: true",
			":5: listen: want ADDR, not true",
		}},
		{"b.yaml", "loops: 0\nport: 65536\nuser:\nbodies: tape\nno-fsync: maybe\nlisten: true\n", []string{
			":1: loops: invalid number: 0 (want 1 to 256)",
			":2: port: invalid port: 65536",
			":3: user: it has no value",
			":4: bodies: invalid place for bodies: tape (want one of [memory auto disk])",
			":5: no-fsync: invalid switch: maybe (want 0 or 1)",
			":6: listen: want ADDR, not true",
		}},
		{"c.toml", "config = \"x.toml\"\nversion = true\n", []string{
			":1: config can only be a flag or a variable",
			":2: version can only be a flag or a variable",
		}},
		{"d.toml", "port = [1]\nuser = {a = 1}\n[http]\naddress = 1\n[[loops]]\n", []string{
			":1: port: want one value, not a list",
			":2: user: want a value, not a table: the keys are all on one level",
			":3: http: want a value, not a table: the keys are all on one level",
			":4: unknown key: http.address",
			":5: loops: want a value, not a table: the keys are all on one level",
		}},
		{"d.yaml", "port: [1]\nuser:\n  a: 1\nhttp: {}\nloops: &x 1\nlisten: *x\n", []string{
			":1: port: want one value, not a list",
			":2: user: want a value, not a table: the keys are all on one level",
			":4: http: want a value, not a table: the keys are all on one level",
			":5: loops: want a plain value, without anchors, aliases or tags",
			":6: listen: want a plain value, without anchors, aliases or tags",
		}},
		{"e.toml", "port = 1\nuser = \n", []string{":2: "}},
		{"e.yaml", "port: 1\nport: 2\n", []string{":2: "}},
		{"f.yaml", "port: 1\n  user: 2\n", []string{":"}},
		{"g.yaml", "- port\n", []string{":1: want a mapping of keys to values"}},
		{"h.yaml", "port: 1\n---\nport: 2\n", []string{":3: want one document, not several"}},
		{"i.yaml", "just words\n", []string{":1: want a mapping of keys to values"}},
		{"j.toml", strings.Repeat("#", 1<<20+1), []string{": larger than 1048576 bytes"}},
		{"k.json", "{}", []string{": invalid file: "}},
	}
	for _, test := range tests {
		path := write(t, test.name, test.text)
		err := config.Validate(path)
		wrong, ok := errors.AsType[*config.FileError](err)
		if !ok {
			t.Errorf("%s: got error %v, want a FileError", test.name, err)
			continue
		}
		got := strings.Split(strings.ReplaceAll(wrong.Error(), path, ""), "\n")
		if len(got) != len(test.want) {
			t.Errorf("%s: got %q, want %q", test.name, got, test.want)
			continue
		}
		for i := range got {
			if !strings.HasPrefix(got[i], test.want[i]) || len(got[i]) > len(test.want[i]) && !strings.HasSuffix(test.want[i], " ") && test.want[i] != ":" {
				t.Errorf("%s: got %q, want %q", test.name, got[i], test.want[i])
			}
		}
	}
}

func TestFileThatIsNone(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "dir.toml")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	missing := filepath.Join(dir, "missing.toml")
	tests := []struct{ path, want string }{
		{dir, dir + ": not a regular file"},
		{missing, missing + ": no such file or directory"},
	}
	for _, test := range tests {
		_, err := config.Parse([]string{"--config", test.path}, nil)
		if _, ok := errors.AsType[*config.FileError](err); !ok || err.Error() != test.want {
			t.Errorf("got error %v, want %q", err, test.want)
		}
		// What serves nothing needs no file.
		if _, err := config.Parse([]string{"--config", test.path, "-v"}, nil); err != nil {
			t.Errorf("%s -v: %v", test.path, err)
		}
	}
}

// TestPrecedence has the same options in several places.
func TestPrecedence(t *testing.T) {
	path := write(t, "spoked.toml", "port = 1\nloops = 1\nuser = 'file'\nno-fsync = true\nverbose = 1\ncompat = '1.12'\n")
	env := []string{"SPOKED_PORT=2", "SPOKED_LOOPS=2", "SPOKED_FSYNC_INTERVAL=9", "SPOKED_CONFIG=" + path}
	inv, err := config.Parse([]string{"-p3", "-V", "--bodies", "auto"}, env)
	if err != nil {
		t.Fatal(err)
	}
	want := with(func(c *config.Config) {
		c.Port, c.Loops, c.User, c.Verbosity, c.Compat = 3, 2, "file", 2, config.Compat112
		c.FsyncInterval = 9 * time.Millisecond
	})
	if got := inv.Config; got != want {
		t.Errorf("\n got %+v\nwant %+v", got, want)
	}
	from := map[string]string{
		"listen": "default", "port": "-p", "loops": "SPOKED_LOOPS", "user": path + ":3", "bodies": "--bodies",
		"fsync-interval": "SPOKED_FSYNC_INTERVAL", "no-fsync": "SPOKED_FSYNC_INTERVAL", "verbose": "-V", "compat": path + ":6",
	}
	for _, s := range config.Effective(&inv) {
		if want, ok := from[s.Name]; ok && s.From.String() != want {
			t.Errorf("%s: got from %s, want %s", s.Name, s.From, want)
		}
	}
	// The variable of the verbosity beats the file, where a flag adds to it.
	inv, err = config.Parse(nil, append(env, "SPOKED_VERBOSE=2"))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := inv.Config.Verbosity, 2; got != want {
		t.Errorf("got verbosity %d, want %d", got, want)
	}
	// A flag beats the variable for the file, too.
	other := write(t, "other.yaml", "port: 7")
	inv, err = config.Parse([]string{"--config=" + other}, []string{"SPOKED_CONFIG=" + path})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := inv.Config, with(func(c *config.Config) { c.Port = 7 }); got != want {
		t.Errorf("\n got %+v\nwant %+v", got, want)
	}
}

func TestReload(t *testing.T) {
	path := write(t, "spoked.yaml", "port: 1\nverbose: 1\nmemory: 1000\n")
	inv, err := config.Parse([]string{"--config", path, "-V"}, []string{"SPOKED_LOOPS=2"})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("\nverbose: 2\nloops: 5\nmemory: auto\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	again, err := inv.Reload()
	if err != nil {
		t.Fatal(err)
	}
	type change struct {
		name     string
		old, now any
		from     string
		live     bool
	}
	var got []change
	for _, c := range config.Changes(&inv.Config, &again) {
		got = append(got, change{c.Name, c.Old, c.Value, c.From.String(), c.Live})
	}
	want := []change{
		{"port", int64(1), int64(11300), "default", false},
		{"memory", int64(1000), "auto", path + ":4", true},
		{"verbose", int64(2), int64(3), "-V", true},
	}
	if len(got) != len(want) {
		t.Fatalf("got %v, want %v", got, want)
	}
	for i := range got {
		if got[i] != want[i] {
			t.Errorf("got %v, want %v", got[i], want[i])
		}
	}
	if err := os.WriteFile(path, []byte("prot: 1"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err = inv.Reload(); err == nil {
		t.Error("got no error of a bad file")
	}
}

// FuzzFile looks for files that make the decoders panic or Parse exceed a limit.
func FuzzFile(f *testing.F) {
	f.Add("port = 1\n[x]\ny = [1, {z = 2}]\n", true)
	f.Add("port: 1\nuser: |\n  x\n&a b: *a\n? c\n", false)
	f.Fuzz(func(t *testing.T, text string, isTOML bool) {
		name := "f.yaml"
		if isTOML {
			name = "f.toml"
		}
		path := write(t, name, text)
		inv, err := config.Parse([]string{"--config", path}, nil)
		if (err == nil) != (config.Validate(path) == nil) {
			t.Errorf("Validate disagrees with %v", err)
		}
		if c := inv.Config; c.Port < 0 || c.Port > 65535 || c.Loops < 1 || c.Loops > config.MaxLoops {
			t.Errorf("out of bounds: %+v", c)
		}
	})
}
