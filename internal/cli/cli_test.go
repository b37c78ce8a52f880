package cli_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	"spoked/internal/cli"
	"spoked/internal/config"
)

// run runs a command line of spoked with a server that must not be reached.
func run(t *testing.T, args, env []string) (code int, stdout, stderr string) {
	t.Helper()
	var out, complaints bytes.Buffer
	p := cli.Program{
		Env:    env,
		Stdout: &out,
		Stderr: &complaints,
		Serve: func(*config.Invocation, io.Writer) error {
			t.Errorf("%q: served", args)
			return nil
		},
	}
	code = p.Run(append([]string{"spoked"}, args...))
	return code, out.String(), complaints.String()
}

func TestVersion(t *testing.T) {
	code, stdout, stderr := run(t, []string{"-v"}, nil)
	if got, want := code, config.ExitOK; got != want {
		t.Errorf("got exit code %d, want %d", got, want)
	}
	if got, want := stdout, "spoked "+config.Version+" (beanstalkd protocol 1.13)\n"; got != want {
		t.Errorf("got stdout %q, want %q", got, want)
	}
	if stderr != "" {
		t.Errorf("got stderr %q, want none", stderr)
	}
}

func TestHelp(t *testing.T) {
	code, stdout, stderr := run(t, []string{"--help"}, nil)
	if got, want := code, config.ExitOK; got != want {
		t.Errorf("got exit code %d, want %d", got, want)
	}
	if got, want := stdout, config.Help("spoked"); got != want {
		t.Errorf("got stdout %q, want %q", got, want)
	}
	if stderr != "" {
		t.Errorf("got stderr %q, want none", stderr)
	}
}

// TestFailedOutput wants a script to learn that it did not get the text.
func TestFailedOutput(t *testing.T) {
	closed, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	for _, flag := range []string{"-v", "-h"} {
		p := cli.Program{Stdout: closed, Stderr: io.Discard}
		if got, want := p.Run([]string{"spoked", flag}), config.ExitFailure; got != want {
			t.Errorf("%s: got exit code %d, want %d", flag, got, want)
		}
	}
}

func TestBadVariable(t *testing.T) {
	code, _, stderr := run(t, nil, []string{"SPOKED_PROT=1", "SPOKED_PORT=99999"})
	if got, want := code, config.ExitUsage; got != want {
		t.Errorf("got exit code %d, want %d", got, want)
	}
	want := "spoked: SPOKED_PORT: invalid port: 99999\n" + config.Help("spoked")
	if got := stderr; got != want {
		t.Errorf("got stderr %q, want %q", got, want)
	}
}

func TestServe(t *testing.T) {
	tests := []struct {
		name   string
		err    error // from the server
		code   int
		stderr string
	}{
		{"stopped", nil, 0, ""},
		{"failed", errors.New("out of luck"), 1, "/bin/spoked: out of luck\n"},
		{"with a code", &config.ExitError{Code: config.ExitSocket, Err: errors.New("bind: in use")}, 111, "/bin/spoked: bind: in use\n"},
		{"with a code inside", fmt.Errorf("-u: %w", &config.ExitError{Code: config.ExitNoUser, Err: errors.New("no such user")}),
			33, "/bin/spoked: -u: no such user\n"},
	}
	for _, test := range tests {
		var stdout, stderr bytes.Buffer
		var served config.Config
		p := cli.Program{
			Env:    []string{"SPOKED_LOOPS=2"},
			Stdout: &stdout,
			Stderr: &stderr,
			Serve: func(inv *config.Invocation, w io.Writer) error {
				served = inv.Config
				if w != &stderr {
					t.Errorf("%s: the server does not write to stderr", test.name)
				}
				return test.err
			},
		}
		if got, want := p.Run([]string{"/bin/spoked", "-p1"}), test.code; got != want {
			t.Errorf("%s: got exit code %d, want %d", test.name, got, want)
		}
		if got, want := stderr.String(), test.stderr; got != want {
			t.Errorf("%s: got stderr %q, want %q", test.name, got, want)
		}
		if stdout.Len() > 0 {
			t.Errorf("%s: got stdout %q, want none", test.name, stdout.String())
		}
		want := config.Default()
		want.Port, want.Loops = 1, 2
		if got := served; got != want {
			t.Errorf("%s:\n got %+v\nwant %+v", test.name, got, want)
		}
	}
}

// TestNoArgv covers a process started without even a name.
func TestNoArgv(t *testing.T) {
	var stderr strings.Builder
	p := cli.Program{
		Stderr: &stderr,
		Serve:  func(*config.Invocation, io.Writer) error { return errors.New("out of luck") },
	}
	if got, want := p.Run(nil), config.ExitFailure; got != want {
		t.Errorf("got exit code %d, want %d", got, want)
	}
	if got, want := stderr.String(), "spoked: out of luck\n"; got != want {
		t.Errorf("got stderr %q, want %q", got, want)
	}
}
