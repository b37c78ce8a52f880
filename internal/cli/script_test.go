//go:build unix

package cli_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"spoked/internal/cli"
)

// TestMain runs the tests, or as what serve starts, is the server, or as what is
// called spoked, is the program.
func TestMain(m *testing.M) {
	if dir := os.Getenv("TEST_SERVE"); dir != "" {
		os.Exit(cli.Run([]string{"spoked", "-b", dir, "-l", "unix:" + os.Getenv("TEST_SOCKET")}, nil, os.Stdout, os.Stderr))
	}
	testscript.Main(m, map[string]func(){"spoked": func() { os.Exit(cli.Run(os.Args, os.Environ(), os.Stdout, os.Stderr)) }})
}

// TestScripts runs the scripts in testdata/script, with the program as it is and
// servers of their own.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"serve":      func(ts *testscript.TestScript, _ bool, args []string) { startScripted(ts, args) },
			"beanstalkd": func(ts *testscript.TestScript, _ bool, _ []string) { startReference(ts) },
			"await":      await,
			"capture":    capture,
		},
		RequireUniqueNames: true,
	})
}

// scripted is where a test says what it needs: a testscript or a test.
type scripted interface {
	Defer(func())
	Fatalf(format string, args ...any)
	Setenv(name, value string)
	Getenv(name string) string
	MkAbs(name string) string
}

// startScripted is the command serve: it starts spoked with some options, and sets
// SPOKED_SERVER to the address of the wire, and API to the URL of the API if there is
// one.
func startScripted(ts scripted, args []string) {
	cmd := exec.Command(filepath.Join(filepath.Dir(spokedInPath(ts)), "spoked"),
		append([]string{"-l", "127.0.0.1", "-p", "0", "--http", "127.0.0.1:0", "--log-format", "json"}, args...)...)
	cmd.Dir = ts.MkAbs(".")
	cmd.Env = []string{"PATH=" + ts.Getenv("PATH")}
	log, err := cmd.StderrPipe()
	if err != nil {
		ts.Fatalf("%v", err)
	}
	if err := cmd.Start(); err != nil {
		ts.Fatalf("%v", err)
	}
	ended := make(chan struct{})
	ts.Defer(func() {
		cmd.Process.Kill()
		<-ended
	})
	var listening struct{ Address, HTTP string }
	lines, said := bufio.NewScanner(log), ""
	for listening.Address == "" && lines.Scan() {
		said += lines.Text() + "\n"
		var line struct{ Msg, Address, HTTP string }
		if json.Unmarshal(lines.Bytes(), &line) == nil && line.Msg == "listening" {
			listening.Address, listening.HTTP = line.Address, line.HTTP
		}
	}
	go func() {
		io.Copy(io.Discard, log)
		cmd.Wait()
		close(ended)
	}()
	if listening.Address == "" {
		ts.Fatalf("the server does not serve: %s", said)
	}
	ts.Setenv("SPOKED_SERVER", listening.Address)
	ts.Setenv("API", "http://"+listening.HTTP)
	ts.Setenv("PID", fmt.Sprint(cmd.Process.Pid))
}

// spokedInPath returns the program that testscript has put into PATH.
func spokedInPath(ts scripted) string {
	for _, dir := range filepath.SplitList(ts.Getenv("PATH")) {
		name := filepath.Join(dir, "spoked")
		if info, err := os.Stat(name); err == nil && !info.IsDir() {
			return name
		}
	}
	ts.Fatalf("no spoked in PATH")
	return ""
}

// startReference is the command beanstalkd: it starts the real one, and sets
// SPOKED_SERVER to its address.
func startReference(ts scripted) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		ts.Fatalf("%v", err)
	}
	addr := l.Addr().String()
	l.Close()
	_, port, _ := net.SplitHostPort(addr)
	cmd := exec.Command("beanstalkd", "-l", "127.0.0.1", "-p", port)
	if err := cmd.Start(); err != nil {
		ts.Fatalf("%v", err)
	}
	ts.Defer(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	for limit := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		if conn, err := net.Dial("tcp", addr); err == nil {
			conn.Close()
			break
		} else if time.Now().After(limit) {
			ts.Fatalf("%v", err)
		}
	}
	ts.Setenv("SPOKED_SERVER", addr)
}

// await is the command of that name: it runs a command line of spoked until its
// standard output has a text in it. Usage: await TEXT ARGS...
func await(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) < 2 {
		ts.Fatalf("usage: await TEXT ARGS...")
	}
	program := spokedInPath(ts)
	for limit := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		cmd := exec.Command(program, args[1:]...)
		cmd.Env = []string{"SPOKED_SERVER=" + ts.Getenv("SPOKED_SERVER")}
		out, _ := cmd.Output()
		if strings.Contains(string(out), args[0]) {
			return
		}
		if time.Now().After(limit) {
			ts.Fatalf("no %q in\n%s", args[0], out)
		}
	}
}

// capture is the command of that name: it sets a variable to a member of the JSON
// object that the last command has printed. Usage: capture VARIABLE MEMBER
func capture(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: capture VARIABLE MEMBER")
	}
	var v map[string]any
	if err := json.Unmarshal([]byte(ts.ReadFile("stdout")), &v); err != nil {
		ts.Fatalf("%v in %q", err, ts.ReadFile("stdout"))
	}
	if v[args[1]] == nil {
		ts.Fatalf("no member %s in %q", args[1], ts.ReadFile("stdout"))
	}
	ts.Setenv(args[0], fmt.Sprint(v[args[1]]))
}
