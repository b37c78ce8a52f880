package cli_test

import (
	"bytes"
	"context"
	"errors"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"
)

// answer is what a command line that does not serve comes to.
type answer struct {
	code int
	// messages are the lines on stderr, without the program's name and
	// without the help text.
	messages []string
	// help says that the help text follows them.
	help bool
}

func (a answer) equal(b answer) bool {
	return a.code == b.code && slices.Equal(a.messages, b.messages) && a.help == b.help
}

// usage is the answer to a mistake.
func usage(messages ...string) answer { return answer{code: 5, messages: messages, help: true} }

// ok is the answer to -v, at the end of a command line that is in order.
func ok(messages ...string) answer { return answer{messages: messages} }

// commandLine is a row of the contract between the two programs.
type commandLine struct {
	args []string
	want answer
	// beanstalkd is its answer where ours is another on purpose, and why the
	// reason for that. Without a reason the answers are the same.
	beanstalkd answer
	why        string
}

// commandLines returns the contract. Command lines that beanstalkd finds in
// order end in -v, so that it does not stay.
func commandLines() []commandLine {
	const (
		strict  = "a number is digits and nothing else"
		wraps   = "a port that wraps around is a server that nobody finds"
		early   = "a port is looked up before anything is started"
		nothing = "an empty value is a variable that somebody forgot to set"
		long    = "flags have long names"
	)
	const clamped = "maximum job size was set to 1073741824"
	return []commandLine{
		// Flags.
		{args: []string{"-x"}, want: usage("unknown flag: -x")},
		{args: []string{"-Vxyz"}, want: usage("unknown flag: Vxyz")},
		{args: []string{"-VVx"}, want: usage("unknown flag: Vx")},
		{args: []string{"-V-"}, want: usage("unknown flag: V-")},
		{args: []string{"-é"}, want: usage("unknown flag: -é")},
		{args: []string{"-B"}, want: usage("unknown flag: -B")},
		{args: []string{"--"}, want: usage("unknown flag: --")},
		{args: []string{"---"}, want: usage("unknown flag: ---")},
		{args: []string{"--nonsense"}, want: usage("unknown flag: --nonsense")},
		{args: []string{"--port=x", "-v"}, want: usage("--port: invalid port: x"), beanstalkd: usage("unknown flag: --port=x"), why: long},
		{args: []string{"--port", "1", "-v"}, want: ok(), beanstalkd: usage("unknown flag: --port"), why: long},
		{args: []string{"--version"}, want: ok(), beanstalkd: usage("unknown flag: --version"), why: long},

		// Words that are no flags.
		{args: []string{"foo"}, want: usage("unknown argument: foo")},
		{args: []string{"-"}, want: usage("unknown argument: -")},
		{args: []string{""}, want: usage("unknown argument: ")},
		{args: []string{"-p12", "-VV", "foo"}, want: usage("unknown argument: foo")},
		{args: []string{"-V", "1", "-v"}, want: usage("unknown argument: 1")},

		// Values: missing ones, in the word, the next word whatever it is.
		{args: []string{"-b"}, want: usage("flag requires an argument: -b")},
		{args: []string{"-f"}, want: usage("flag requires an argument: -f")},
		{args: []string{"-l"}, want: usage("flag requires an argument: -l")},
		{args: []string{"-p"}, want: usage("flag requires an argument: -p")},
		{args: []string{"-s"}, want: usage("flag requires an argument: -s")},
		{args: []string{"-u"}, want: usage("flag requires an argument: -u")},
		{args: []string{"-z"}, want: usage("flag requires an argument: -z")},
		{args: []string{"-Vp"}, want: usage("flag requires an argument: -p")},
		{args: []string{"-p", "1", "-p"}, want: usage("flag requires an argument: -p")},
		{args: []string{"-VFVukr", "-v"}, want: ok()},
		{args: []string{"-l", "-x", "-v"}, want: ok()},
		{args: []string{"-l-x", "-u", "-x", "-b", "-x", "-v"}, want: ok()},
		{args: []string{"-z", "-v"}, want: usage("invalid size: -v")},

		// Left to right, at once.
		{args: []string{"-v", "-x"}, want: ok()},
		{args: []string{"-vx"}, want: ok()},
		{args: []string{"-x", "-v"}, want: usage("unknown flag: -x")},
		{args: []string{"-h", "-x"}, want: ok(), beanstalkd: answer{help: true}, why: "help that was asked for belongs on stdout"},

		// Flags that do nothing any more.
		{args: []string{"-cv"}, want: ok("-c flag was removed. binlog is always compacted.")},
		{args: []string{"-nc", "-x"}, want: usage(
			"-n flag was removed. binlog is always compacted.",
			"-c flag was removed. binlog is always compacted.",
			"unknown flag: -x",
		)},

		// Sizes.
		{args: []string{"-f", "50", "-F", "-f0", "-s4096", "-z", "007", "-v"}, want: ok()},
		{args: []string{"-f", "x"}, want: usage("invalid size: x")},
		{args: []string{"-s", "4k"}, want: usage("invalid size: 4k")},
		{args: []string{"-z0x10"}, want: usage("invalid size: 0x10")},
		{args: []string{"-z", "1_0"}, want: usage("invalid size: 1_0")},
		{args: []string{"-z", "1.5"}, want: usage("invalid size: 1.5")},
		{args: []string{"-z", "10 "}, want: usage("invalid size: 10 ")},
		{args: []string{"-z", ""}, want: usage("invalid size: ")},
		{args: []string{"-z", "1073741824", "-v"}, want: ok()},
		{args: []string{"-z", "1073741825", "-v"}, want: ok(clamped)},
		{args: []string{"-z", "99999999999999999999999", "-v"}, want: ok(clamped)},
		{args: []string{"-z", "1073741825", "-x"}, want: usage(clamped, "unknown flag: -x")},
		{args: []string{"-z", "-1", "-v"}, want: usage("invalid size: -1"), beanstalkd: ok(clamped), why: strict},
		{args: []string{"-z", "+1", "-v"}, want: usage("invalid size: +1"), beanstalkd: ok(), why: strict},
		{args: []string{"-f", " 1", "-v"}, want: usage("invalid size:  1"), beanstalkd: ok(), why: strict},
		{args: []string{"-s", "-1", "-v"}, want: usage("invalid size: -1"), beanstalkd: ok(), why: strict},
		{args: []string{"-s", "9223372036854775808", "-v"}, want: usage("invalid size: 9223372036854775808"), beanstalkd: ok(),
			why: "a size that does not fit would be another size"},
		{args: []string{"-f", "9223372036855", "-v"}, want: usage("invalid size: 9223372036855"), beanstalkd: ok(),
			why: "an interval that does not fit would be another interval"},

		// Ports, addresses, users, directories.
		{args: []string{"-p", "0", "-p", "http", "-p65535", "-v"}, want: ok()},
		{args: []string{"-p", "65536", "-v"}, want: usage("invalid port: 65536"), beanstalkd: ok(), why: wraps},
		{args: []string{"-p", "-1", "-v"}, want: usage("invalid port: -1"), beanstalkd: ok(), why: wraps},
		{args: []string{"-p", "no-such-service", "-v"}, want: usage("invalid port: no-such-service"), beanstalkd: ok(), why: early},
		{args: []string{"-p", "", "-v"}, want: usage("invalid port: "), beanstalkd: ok(), why: nothing},
		{args: []string{"-l", "", "-v"}, want: usage("invalid address: "), beanstalkd: ok(), why: nothing},
		{args: []string{"-u", "", "-v"}, want: usage("invalid user: "), beanstalkd: ok(), why: nothing},
		{args: []string{"-b", "", "-v"}, want: usage("invalid directory: "), beanstalkd: ok(), why: nothing},
	}
}

func TestCommandLines(t *testing.T) {
	for _, line := range commandLines() {
		code, _, stderr := run(t, line.args, nil)
		if got := parseAnswer("spoked", code, stderr); !got.equal(line.want) {
			t.Errorf("%q: got %+v, want %+v", line.args, got, line.want)
		}
	}
}

func TestCommandLinesOfBeanstalkd(t *testing.T) {
	if _, err := exec.LookPath("beanstalkd"); err != nil {
		t.Skip("beanstalkd is not installed")
	}
	for _, line := range commandLines() {
		want := line.want
		if line.why != "" {
			want = line.beanstalkd
		}
		if got := runBeanstalkd(t, line.args); !got.equal(want) {
			t.Errorf("beanstalkd %q: got %+v, want %+v", line.args, got, want)
		}
		if line.why != "" && line.want.equal(line.beanstalkd) {
			t.Errorf("%q: the answers are the same, but there is a reason: %s", line.args, line.why)
		}
	}
}

// runBeanstalkd runs beanstalkd for as long as a command line takes.
func runBeanstalkd(t *testing.T, args []string) answer {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	var stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, "beanstalkd", args...)
	cmd.Dir = t.TempDir()
	cmd.Stderr = &stderr
	err := cmd.Run()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		t.Fatalf("beanstalkd %q: %v", args, err)
	}
	return parseAnswer("beanstalkd", cmd.ProcessState.ExitCode(), stderr.String())
}

// parseAnswer takes apart what a program of this name has left on stderr.
func parseAnswer(name string, code int, stderr string) answer {
	complaints, _, help := strings.Cut(stderr, "Use: "+name+" [OPTIONS]\n")
	a := answer{code: code, help: help}
	for line := range strings.Lines(complaints) {
		line = strings.TrimPrefix(line, name+": ")
		a.messages = append(a.messages, strings.TrimSuffix(line, "\n"))
	}
	return a
}
