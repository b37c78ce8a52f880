package config_test

import (
	"math"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"spoked/internal/config"
)

// with returns the default settings after a change.
func with(change func(*config.Config)) config.Config {
	cfg := config.Default()
	change(&cfg)
	return cfg
}

func TestParseFlags(t *testing.T) {
	tests := []struct {
		args string // in words
		want config.Config
	}{
		{"", config.Default()},

		{"-b DIR", with(func(c *config.Config) { c.Journal = "DIR" })},
		{"-f 7", with(func(c *config.Config) { c.FsyncInterval = 7 * time.Millisecond })},
		{"-f0", with(func(c *config.Config) { c.FsyncInterval = 0 })},
		{"-F", with(func(c *config.Config) { c.NoFsync = true })},
		{"-F -f 50", config.Default()},
		{"-f 7 -F", with(func(c *config.Config) { c.FsyncInterval, c.NoFsync = 7*time.Millisecond, true })},
		{"-l ::1", with(func(c *config.Config) { c.Listen = "::1" })},
		{"-l unix:/s -p 1", with(func(c *config.Config) { c.Listen, c.Port = "unix:/s", 1 })},
		{"-p 0", with(func(c *config.Config) { c.Port = 0 })},
		{"-p 65535", with(func(c *config.Config) { c.Port = 65535 })},
		{"-p http", with(func(c *config.Config) { c.Port = 80 })},
		{"-u nobody", with(func(c *config.Config) { c.User = "nobody" })},
		{"-z 0", with(func(c *config.Config) { c.MaxJobSize = 0 })},
		{"-z 1073741824", with(func(c *config.Config) { c.MaxJobSize = config.MaxJobSizeLimit })},
		{"-z 1073741825", with(func(c *config.Config) { c.MaxJobSize = config.MaxJobSizeLimit })},
		{"-z 99999999999999999999", with(func(c *config.Config) { c.MaxJobSize = config.MaxJobSizeLimit })},
		{"-s 0", with(func(c *config.Config) { c.JournalSegmentSize = 0 })},
		{"-s 9223372036854775807", with(func(c *config.Config) { c.JournalSegmentSize = math.MaxInt64 })},
		{"--memory 0", with(func(c *config.Config) { c.Memory = 0 })},
		{"--memory 512MB --bodies disk", with(func(c *config.Config) { c.Memory, c.Bodies = 512_000_000, config.BodiesDisk })},
		{"--memory=2GiB --bodies=memory", with(func(c *config.Config) { c.Memory, c.Bodies = 2<<30, config.BodiesMemory })},
		{"-c -n", config.Default()},
		{"-V -VV", with(func(c *config.Config) { c.Verbosity = 3 })},

		// Words: shared ones, values inside and behind, repeats.
		{"-VFVukr", with(func(c *config.Config) { c.Verbosity, c.NoFsync, c.User = 2, true, "kr" })},
		{"-l -V", with(func(c *config.Config) { c.Listen = "-V" })},
		{"-Vl --", with(func(c *config.Config) { c.Verbosity, c.Listen = 1, "--" })},
		{"-p 1 -p2 --port=3 -p 4", with(func(c *config.Config) { c.Port = 4 })},

		{"--listen a --port 1 --user u --max-job-size 2", with(func(c *config.Config) {
			c.Listen, c.Port, c.User, c.MaxJobSize = "a", 1, "u", 2
		})},
		{"--listen=a=b --listen=--port", with(func(c *config.Config) { c.Listen = "--port" })},
		{"--listen=a=b", with(func(c *config.Config) { c.Listen = "a=b" })},
		{"--journal DIR --fsync-interval 3 --no-fsync --journal-segment-size 4096", with(func(c *config.Config) {
			c.Journal, c.FsyncInterval, c.NoFsync, c.JournalSegmentSize = "DIR", 3*time.Millisecond, true, 4096
		})},
		{"--compat 1.12", with(func(c *config.Config) { c.Compat = config.Compat112 })},
		{"--compat=1.12 --compat=1.13", config.Default()},
		{"--strict", with(func(c *config.Config) { c.Strict = true })},
		{"--loops 256", with(func(c *config.Config) { c.Loops = config.MaxLoops })},
		{"--transport net", with(func(c *config.Config) { c.Transport = config.TransportNet })},
		{"--http off", with(func(c *config.Config) { c.HTTP, c.HTTPExplicit = config.HTTPOff, true })},
		{"--http :0 --http-token-file F --http-insecure", with(func(c *config.Config) {
			c.HTTP, c.HTTPExplicit, c.HTTPTokens, c.HTTPInsecure = ":0", true, "F", true
		})},
		{"--http [::1]:80", with(func(c *config.Config) { c.HTTP, c.HTTPExplicit = "[::1]:80", true })},
		{"--metrics-tubes 0 --statsd a.example:8125", with(func(c *config.Config) { c.MetricsTubes, c.StatsD = 0, "a.example:8125" })},
		{"--verbose -V --log-format json", with(func(c *config.Config) { c.Verbosity, c.LogFormat = 2, config.LogJSON })},
	}
	for _, test := range tests {
		inv, err := config.Parse(strings.Fields(test.args), nil)
		if err != nil {
			t.Errorf("%q: %v", test.args, err)
			continue
		}
		if got, want := inv.Action, config.ActionServe; got != want {
			t.Errorf("%q: got action %v, want %v", test.args, got, want)
		}
		if got := inv.Config; got != test.want {
			t.Errorf("%q:\n got %+v\nwant %+v", test.args, got, test.want)
		}
	}
}

func TestParseActsFromLeftToRight(t *testing.T) {
	tests := []struct {
		args string
		want config.Action
	}{
		{"-v -x", config.ActionVersion},
		{"-vx", config.ActionVersion},
		{"-vh", config.ActionVersion},
		{"-hv", config.ActionHelp},
		{"-V --help foo", config.ActionHelp},
		{"--version --nonsense", config.ActionVersion},
	}
	for _, test := range tests {
		inv, err := config.Parse(strings.Fields(test.args), nil)
		if err != nil {
			t.Errorf("%q: %v", test.args, err)
		}
		if got := inv.Action; got != test.want {
			t.Errorf("%q: got action %v, want %v", test.args, got, test.want)
		}
	}
}

func TestParseErrors(t *testing.T) {
	tests := []struct {
		args []string
		want string
	}{
		{[]string{"--prot", "1"}, "unknown flag: --prot"},
		{[]string{"--prot=1"}, "unknown flag: --prot=1"},
		{[]string{"--=1"}, "unknown flag: --=1"},
		{[]string{"-V-port"}, "unknown flag: V-port"},
		{[]string{"-\x00"}, "unknown flag: -\x00"},
		{[]string{"--port"}, "flag requires an argument: --port"},
		{[]string{"--help=me"}, "flag takes no argument: --help=me"},
		{[]string{"--no-fsync="}, "flag takes no argument: --no-fsync="},

		{[]string{"-b", ""}, "invalid directory: "},
		{[]string{"-l", ""}, "invalid address: "},
		{[]string{"-u", ""}, "invalid user: "},
		{[]string{"-p", ""}, "invalid port: "},
		{[]string{"-p", "65536"}, "invalid port: 65536"},
		{[]string{"-p-1"}, "invalid port: -1"},
		{[]string{"-p", "no-such-service"}, "invalid port: no-such-service"},
		{[]string{"--memory", "lots"}, "--memory: invalid size: lots (want auto, bytes, or a number with KB, MB, GB, KiB, MiB or GiB)"},
		{[]string{"--bodies", "tape"}, "--bodies: invalid place for bodies: tape (want one of [memory auto disk])"},
		{[]string{"-s", "9223372036854775808"}, "invalid size: 9223372036854775808"},
		{[]string{"-f", "9223372036855"}, "invalid size: 9223372036855"},

		{[]string{"--listen="}, "--listen: invalid address: "},
		{[]string{"--port", "-1"}, "--port: invalid port: -1"},
		{[]string{"--max-job-size=1k"}, "--max-job-size: invalid size: 1k"},
		{[]string{"--compat", "1.11"}, "--compat: invalid version: 1.11 (want one of [1.12 1.13])"},
		{[]string{"--http", "localhost"}, "--http: invalid address: localhost (want HOST:PORT or off)"},
		{[]string{"--http", "h:65536"}, "--http: invalid address: h:65536 (want HOST:PORT or off)"},
		{[]string{"--http-token-file="}, "--http-token-file: invalid file: "},
		{[]string{"--statsd=off"}, "--statsd: invalid address: off (want HOST:PORT)"},
		{[]string{"--metrics-tubes", "-1"}, "--metrics-tubes: invalid number: -1"},
		{[]string{"--loops", "0"}, "--loops: invalid number: 0 (want 1 to 256)"},
		{[]string{"--loops", "257"}, "--loops: invalid number: 257 (want 1 to 256)"},
		{[]string{"--loops", "two"}, "--loops: invalid number: two (want 1 to 256)"},
		{[]string{"--transport", "tcp"}, "--transport: invalid transport: tcp (want one of [epoll net])"},
		{[]string{"--log-format", "xml"}, "--log-format: invalid log format: xml (want one of [console json])"},
	}
	for _, test := range tests {
		_, err := config.Parse(test.args, nil)
		if err == nil {
			t.Errorf("%q: got no error, want %q", test.args, test.want)
			continue
		}
		if got := err.Error(); got != test.want {
			t.Errorf("%q: got %q, want %q", test.args, got, test.want)
		}
	}
}

func TestEpollNeedsLinux(t *testing.T) {
	_, err := config.Parse([]string{"--transport=epoll"}, nil)
	if got, want := err == nil, runtime.GOOS == "linux"; got != want {
		t.Errorf("on %s: accepted: got %v, want %v (%v)", runtime.GOOS, got, want, err)
	}
}

func TestParseEnvironment(t *testing.T) {
	tests := []struct {
		env  []string
		args []string
		want config.Config
	}{
		{
			env:  []string{"HOME=/root", "SPOKED=1", "spoked_port=1", "PORT=2"},
			want: config.Default(),
		},
		{
			env: []string{
				"SPOKED_LISTEN=::1", "SPOKED_PORT=1", "SPOKED_USER=u", "SPOKED_MAX_JOB_SIZE=2",
				"SPOKED_JOURNAL=DIR", "SPOKED_JOURNAL_SEGMENT_SIZE=4", "SPOKED_COMPAT=1.12", "SPOKED_STRICT=1", "SPOKED_LOOPS=5",
				"SPOKED_TRANSPORT=net", "SPOKED_VERBOSE=2", "SPOKED_LOG_FORMAT=json",
				"SPOKED_NO_FSYNC=1", "SPOKED_FSYNC_INTERVAL=3",
				"SPOKED_MEMORY=7", "SPOKED_BODIES=disk",
				"SPOKED_HTTP=h:1", "SPOKED_HTTP_TOKEN_FILE=F", "SPOKED_HTTP_INSECURE=1",
				"SPOKED_METRICS_TUBES=2", "SPOKED_STATSD=h:3",
			},
			want: config.Config{
				Listen: "::1", Port: 1, User: "u", MaxJobSize: 2, Memory: 7, Bodies: config.BodiesDisk,
				Journal: "DIR", FsyncInterval: 3 * time.Millisecond, NoFsync: true, JournalSegmentSize: 4,
				Compat: config.Compat112, Strict: true, Transport: config.TransportNet, Loops: 5,
				HTTP: "h:1", HTTPExplicit: true, HTTPTokens: "F", HTTPInsecure: true, MetricsTubes: 2, StatsD: "h:3",
				Verbosity: 2, LogFormat: config.LogJSON,
			},
		},
		{ // A flag wins, and -V adds.
			env:  []string{"SPOKED_PORT=1", "SPOKED_VERBOSE=2", "SPOKED_NO_FSYNC=true"},
			args: []string{"-p2", "-V", "-f50"},
			want: with(func(c *config.Config) { c.Port, c.Verbosity = 2, 3 }),
		},
		{
			env:  []string{"SPOKED_NO_FSYNC=0", "SPOKED_VERBOSE=0"},
			want: config.Default(),
		},
		{ // Empty is unset.
			env:  []string{"SPOKED_PORT=", "SPOKED_LISTEN=", "SPOKED_PROT="},
			want: config.Default(),
		},
	}
	for _, test := range tests {
		inv, err := config.Parse(test.args, test.env)
		if err != nil {
			t.Errorf("%q: %v", test.env, err)
			continue
		}
		if got := inv.Config; got != test.want {
			t.Errorf("%q:\n got %+v\nwant %+v", test.env, got, test.want)
		}
		if len(inv.Warnings) > 0 {
			t.Errorf("%q: got warnings %q, want none", test.env, inv.Warnings)
		}
	}
}

func TestParseEnvironmentErrors(t *testing.T) {
	tests := []struct{ env, want string }{
		{"SPOKED_PORT=99999", "SPOKED_PORT: invalid port: 99999"},
		{"SPOKED_MAX_JOB_SIZE=-1", "SPOKED_MAX_JOB_SIZE: invalid size: -1"},
		{"SPOKED_NO_FSYNC=maybe", "SPOKED_NO_FSYNC: invalid switch: maybe (want 0 or 1)"},
		{"SPOKED_VERBOSE=very", "SPOKED_VERBOSE: invalid number: very"},
		{"SPOKED_COMPAT=2", "SPOKED_COMPAT: invalid version: 2 (want one of [1.12 1.13])"},
	}
	for _, test := range tests {
		_, err := config.Parse(nil, []string{test.env})
		if err == nil {
			t.Errorf("%q: got no error, want %q", test.env, test.want)
			continue
		}
		if got := err.Error(); got != test.want {
			t.Errorf("%q: got %q, want %q", test.env, got, test.want)
		}
	}
}

func TestParseEnvironmentWarnings(t *testing.T) {
	env := []string{
		"SPOKED_SERVICE_HOST=10.0.0.1",
		"SPOKED_PROT=1",
		"SPOKED_PORT=tcp://10.0.0.1:11300",
		"SPOKED_MAX_JOB_SIZE=1073741825",
	}
	want := []string{
		"SPOKED_PORT: ignoring a service link: tcp://10.0.0.1:11300",
		"maximum job size was set to 1073741824",
		"ignoring unknown variable: SPOKED_PROT",
		"ignoring unknown variable: SPOKED_SERVICE_HOST",
	}
	inv, err := config.Parse(nil, env)
	if err != nil {
		t.Fatal(err)
	}
	if got := inv.Warnings; !slices.Equal(got, want) {
		t.Errorf("got warnings %q, want %q", got, want)
	}
	if got, want := inv.Config.Port, config.Default().Port; got != want {
		t.Errorf("got port %d, want %d", got, want)
	}
}

// FuzzParse looks for words that make Parse panic or exceed a limit.
func FuzzParse(f *testing.F) {
	f.Add("-VFVukr\n-z\n-1", "SPOKED_PORT=1")
	f.Add("--port=\n--\n-\n--=\n-V-", "=")
	f.Fuzz(func(t *testing.T, args, env string) {
		inv, err := config.Parse(strings.Split(args, "\n"), strings.Split(env, "\n"))
		if err != nil {
			return
		}
		c := inv.Config
		if c.Port < 0 || c.Port > 65535 || c.MaxJobSize < 0 || c.MaxJobSize > config.MaxJobSizeLimit ||
			c.Loops < 1 || c.Loops > config.MaxLoops || c.FsyncInterval < 0 || c.JournalSegmentSize < 0 {
			t.Errorf("out of bounds: %+v", c)
		}
	})
}
