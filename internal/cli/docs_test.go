//go:build unix

package cli_test

import (
	"bytes"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"spoked/internal/cli"
)

var updateDocs = flag.Bool("update", false, "write what commands print into docs/cli.md")

// docScene is a section of a document that is played with a server of its own.
type docScene struct {
	t   *testing.T
	dir string
	env map[string]string
}

func (d *docScene) Defer(f func())                    { d.t.Cleanup(f) }
func (d *docScene) Fatalf(format string, args ...any) { d.t.Helper(); d.t.Fatalf(format, args...) }
func (d *docScene) Setenv(name, value string)         { d.env[name] = value }
func (d *docScene) Getenv(name string) string         { return d.env[name] }
func (d *docScene) MkAbs(name string) string          { return filepath.Join(d.dir, name) }

// sh runs a line of a shell, and returns all that it prints.
func (d *docScene) sh(line string) string {
	d.t.Helper()
	cmd := exec.Command("sh", "-c", line)
	cmd.Dir = d.dir
	for name, value := range d.env {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	out, err := cmd.CombinedOutput()
	if err != nil && cmd.ProcessState == nil {
		d.t.Fatalf("%s: %v", line, err)
	}
	return strings.NewReplacer(d.dir, "/srv", d.env["API"], "http://127.0.0.1:11301", d.env["SPOKED_SERVER"], "127.0.0.1:11300").Replace(string(out))
}

// TestDocs plays the examples of docs/cli.md. A line that begins with "$ " is run by a
// shell, what follows is what it prints; "..." stands for anything in a line. Each
// section has a server of its own, with a journal, for which "<!-- run: " lines are run
// first.
func TestDocs(t *testing.T) {
	if raced {
		t.Skip("the scripts go the same ways, and each command takes half a second to start")
	}
	if _, err := exec.LookPath("sh"); err != nil {
		t.Skip("there is no sh")
	}
	const name = "../../docs/cli.md"
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	var scene *docScene
	inside, command, printed := false, "", ""
	end := func() {
		if command == "" {
			return
		}
		got := scene.sh(command)
		if got != "" && !strings.HasSuffix(got, "\n") {
			got += "\n"
		}
		if matches(printed, got) || !*updateDocs {
			if !matches(printed, got) {
				t.Errorf("%s: $ %s\ngot\n%swant\n%s", name, command, got, printed)
			}
			got = printed
		}
		out.WriteString(got)
		command, printed = "", ""
	}
	for line := range strings.Lines(string(text)) {
		isFence := strings.HasPrefix(line, "```")
		switch {
		case strings.HasPrefix(line, "#"):
			if !inside {
				scene = newScene(t)
			}
		case strings.HasPrefix(line, "<!-- run: "):
			scene.sh(strings.TrimSuffix(strings.TrimPrefix(strings.TrimSpace(line), "<!-- run: "), " -->"))
		}
		if inside && (isFence || strings.HasPrefix(line, "$ ")) {
			end()
		}
		if isFence {
			inside = line == "```console\n"
		}
		switch {
		case inside && strings.HasPrefix(line, "$ "):
			command = strings.TrimSpace(line[2:])
			out.WriteString(line)
		case inside && command != "":
			printed += line
		default:
			out.WriteString(line)
		}
	}
	if *updateDocs {
		if err := os.WriteFile(name, []byte(out.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	undocumented(t, string(text))
}

// newScene starts a server for a section.
func newScene(t *testing.T) *docScene {
	const name = "spoked"
	program, err := exec.LookPath(name) // testscript has put it there
	if err != nil {
		t.Fatal(err)
	}
	d := &docScene{t: t, dir: t.TempDir(), env: map[string]string{"PATH": filepath.Dir(program) + ":" + os.Getenv("PATH"), "TZ": "UTC"}}
	if err := os.Mkdir(d.MkAbs("jobs"), 0o700); err != nil {
		t.Fatal(err)
	}
	startScripted(d, []string{"-b", d.MkAbs("jobs")})
	return d
}

// matches reports whether got is what is wanted, in which "..." is anything in a line.
// Instants, durations, leases and the like may be others, and columns of other widths.
func matches(want, got string) bool {
	pattern := strings.ReplaceAll(regexp.QuoteMeta(alike(want)), regexp.QuoteMeta("..."), ".*")
	return regexp.MustCompile("^" + pattern + "$").MatchString(alike(got))
}

// alike has what is different each time be the same.
func alike(text string) string {
	for _, r := range []struct{ pattern, with string }{
		{`\d{4}-\d\d-\d\dT[0-9:.]+Z`, "INSTANT"},
		{`\b\d\d:\d\d:\d\d\.\d\d\d\b`, "TIME"},
		{`"lease":"[^"]+"`, "LEASE"},
		{`lease [A-Za-z0-9_-]+`, "LEASE"},
		{`"seconds":[0-9.e-]+`, "SECONDS"},
		{`host +\S+, pid \d+`, "HOST"},
		{`\b(\d+d)?(\d+h)?(\d+m)?\d+(\.\d+)?(ns|µs|ms|s)\b`, "DURATION"},
		{` +`, " "},
	} {
		text = regexp.MustCompile(r.pattern).ReplaceAllString(text, r.with)
	}
	return text
}

// undocumented complains of commands without a section and an example.
func undocumented(t *testing.T, text string) {
	var stdout bytes.Buffer
	p := cli.Program{Stdout: &stdout, Stderr: &stdout}
	p.Run([]string{"spoked", cobra.ShellCompNoDescRequestCmd, ""})
	for line := range strings.Lines(stdout.String()) {
		command := strings.TrimSpace(line)
		if strings.HasPrefix(command, ":") {
			break
		}
		if command == "help" {
			continue
		}
		if !strings.Contains(text, "\n## "+command+"\n") {
			t.Errorf("docs/cli.md has no section ## %s", command)
		}
		if !regexp.MustCompile(`(?m)^\$ .*\bspoked `+command+`\b`).MatchString(text) && command != "top" {
			t.Errorf("docs/cli.md has no example of spoked %s", command)
		}
	}
}
