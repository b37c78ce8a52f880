package cli_test

import (
	"encoding/json"
	"net"
	"runtime"
	"strings"
	"testing"

	"spoked/internal/config"
	"spoked/internal/server"
	"spoked/internal/session"
)

func TestBenchHelp(t *testing.T) {
	code, stdout, stderr := run(t, []string{"bench", "-h"}, nil)
	if code != config.ExitOK || stderr != "" || !strings.HasPrefix(stdout, "Use: spoked bench [OPTIONS]") {
		t.Errorf("got exit code %d, stdout %q, stderr %q", code, stdout, stderr)
	}
	for line := range strings.Lines(stdout) {
		if got := len(strings.TrimSuffix(line, "\n")); got > 80 {
			t.Errorf("a line of %d columns, want at most 80: %s", got, line)
		}
	}
}

// TestBenchMisuse wants to be told which flag is wrong.
func TestBenchMisuse(t *testing.T) {
	tests := []struct {
		args string
		want string
	}{
		{"--nonsense", "unknown flag: --nonsense"},
		{"-x", "unknown shorthand flag: 'x' in -x"},
		{"-c", "flag needs an argument: 'c' in -c"},
		{"-c many", `invalid argument "many" for "-c, --connections" flag`},
		{"-c 0", "--connections: 0 is out of range: it must be from 1 to 60000"},
		{"-P0", "--pipeline: 0 is out of range"},
		{"-b x", `invalid argument "x" for "-b, --body" flag: it must be a number, or two as LO:HI`},
		{"-b 9:8", `invalid argument "9:8" for "-b, --body" flag: LO must not be more than HI`},
		{"-b 15 fanout", "--body: 15 is too small for fanout"},
		{"-t soon", `invalid argument "soon" for "-t, --time" flag: it must be a duration`},
		{"-t 0", "--time: it is 0, and no --count is given"},
		{"-n 0", "--count: 0 is out of range"},
		{"-n -5", "--count: -5 is out of range"},
		{"-r x", `invalid argument "x" for "-r, --rate" flag`},
		{"--rate=-1", "--rate: -1 is out of range"},
		{"--delay 2:1 delayed", `for "--delay" flag: LO must not be more than HI`},
		{"-s unix:", "--server: unix:: the path is missing"},
		{"--vs=", "--vs: invalid address"},
		{"--vs-pid 1", "--vs-pid: without --vs it has no meaning"},
		{"--rounds 3", "--rounds: without --vs it has no meaning"},
		{"--rounds 0 --vs x", "--rounds: 0 is out of range"},
		{"--json --csv", "--csv: it cannot be printed together with --json"},
		{"put gett", "--scenario: unknown scenario: gett; there are put, work, fanout, delayed, tubes, reconnect"},
		{"--scenario put,", "--scenario: unknown scenario: ;"},
		{"--pid 2147483646", "--pid: "},
	}
	for _, test := range tests {
		code, stdout, stderr := run(t, append([]string{"bench"}, strings.Fields(test.args)...), nil)
		if code != config.ExitUsage || stdout != "" {
			t.Errorf("%s: got exit code %d, stdout %q", test.args, code, stdout)
		}
		message, help, _ := strings.Cut(stderr, "\n")
		if !strings.HasPrefix(message, "spoked: bench: "+test.want) && !strings.Contains(message, test.want) || !strings.HasPrefix(help, "Use: spoked bench") {
			t.Errorf("%s: got %q, want %q", test.args, message, test.want)
		}
	}
}

// TestBench runs it against a server.
func TestBench(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	opts := server.Options{Session: session.Options{MaxJobSize: 65535}}
	if runtime.GOOS != "linux" {
		opts.Transport = server.Goroutines
	}
	s := server.New(opts)
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	t.Cleanup(func() {
		s.Close()
		<-served
	})
	addr := l.Addr().String()

	code, stdout, stderr := run(t, []string{"bench", "-s", addr, "-c4", "-n100", "--label", "mine", "--json", "put", "--scenario", "work,fanout"}, nil)
	if code != config.ExitOK || stderr != "" {
		t.Fatalf("got exit code %d, stderr %q", code, stderr)
	}
	names := ""
	for line := range strings.Lines(stdout) {
		var r struct {
			Scenario, Label string
			Jobs            int
		}
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatal(err)
		}
		if r.Jobs != 100 || r.Label != "mine" {
			t.Errorf("got %s", line)
		}
		names += r.Scenario + " "
	}
	if want := "work fanout put "; names != want {
		t.Errorf("got the results of %s, want %s", names, want)
	}

	code, stdout, stderr = run(t, []string{"bench", "-s", addr, "--vs", addr, "--rounds", "2", "-c4", "-n100", "--csv", "work"}, nil)
	if code != config.ExitOK || stderr != "" || strings.Count(stdout, "\nresult,work,") != 4 || strings.Count(stdout, "\ncomparison,work,") != 1 {
		t.Errorf("got exit code %d, stderr %q, stdout\n%s", code, stderr, stdout)
	}

	// Jobs that the server refuses.
	code, stdout, stderr = run(t, []string{"bench", "-s", addr, "-c4", "-n10", "-b70000", "put"}, nil)
	if code != config.ExitFailure || !strings.Contains(stdout, "! 10 commands failed; the first reply: JOB_TOO_BIG") ||
		stderr != "spoked: bench: not everything went well: see the results\n" {
		t.Errorf("got exit code %d, stderr %q, stdout\n%s", code, stderr, stdout)
	}
}

func TestBenchNobodyThere(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	code, stdout, stderr := run(t, []string{"bench", "-s", l.Addr().String()}, nil)
	if want := "spoked: bench: put: " + l.Addr().String() + ": connect to "; code != config.ExitUnreachable || stdout != "" || !strings.HasPrefix(stderr, want) {
		t.Errorf("got exit code %d, stdout %q, stderr %q", code, stdout, stderr)
	}
}
