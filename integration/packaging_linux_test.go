package integration

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestUnits has systemd read the units, and judge how well the service is shut in.
func TestUnits(t *testing.T) {
	t.Parallel()
	tool, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("systemd-analyze is not on PATH")
	}
	dir := t.TempDir()
	var units []string
	for _, name := range []string{"spoked.service", "spoked.socket"} {
		data, err := os.ReadFile(filepath.Join("..", "packaging", name))
		if err != nil {
			t.Fatal(err)
		}
		unit := filepath.Join(dir, name)
		data = bytes.ReplaceAll(data, []byte("ExecStart=/usr/bin/spoked"), []byte("ExecStart="+spokedPath(t)))
		if err := os.WriteFile(unit, data, 0o600); err != nil {
			t.Fatal(err)
		}
		units = append(units, unit)
	}
	for _, args := range [][]string{
		append([]string{"verify", "--man=no"}, units...),
		{"security", "--offline=true", "--threshold=15", "--no-pager", units[0]}, // 1.5 of 10
	} {
		out, err := exec.Command(tool, args...).CombinedOutput()
		var about []string // us: a machine may have units of its own with mistakes
		for line := range strings.Lines(string(out)) {
			if strings.Contains(line, "spoked") {
				about = append(about, line)
			}
		}
		if err != nil || args[0] == "verify" && len(about) > 0 {
			t.Errorf("systemd-analyze %s: %v\n%s", args[0], err, strings.Join(about, ""))
		}
	}
}

// TestRelease has goreleaser read its settings, and checks that what they name is
// there.
func TestRelease(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("../.goreleaser.yaml")
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for line := range strings.Lines(string(data)) {
		path := strings.TrimPrefix(strings.TrimSpace(line), "- ")
		if key, value, ok := strings.Cut(path, ": "); ok && (key == "src" || strings.HasPrefix(value, "packaging/")) {
			path = value
		} else if !strings.HasPrefix(path, "packaging/") && !strings.HasPrefix(path, "docs/") {
			continue
		}
		if strings.HasPrefix(path, "dist/") {
			continue // made by the hooks
		}
		found++
		if files, err := filepath.Glob(filepath.Join("..", path)); err != nil || len(files) == 0 {
			t.Errorf("there is no %s (%v)", path, err)
		}
	}
	if found < 12 {
		t.Errorf("found %d paths", found)
	}
	tool, err := exec.LookPath("goreleaser")
	if err != nil {
		t.Skip("goreleaser is not on PATH")
	}
	cmd := exec.Command(tool, "check")
	cmd.Dir = ".."
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("goreleaser check: %v\n%s", err, out)
	}
}

// TestImage has the Dockerfile be what cannot be tried without Docker: the health
// check is a command that there is, and settings are variables that there are.
func TestImage(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("../packaging/Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	help, err := exec.Command(spokedPath(t), "-h").Output()
	if err != nil {
		t.Fatal(err)
	}
	variables := 0
	for _, word := range strings.FieldsFunc(string(data), func(r rune) bool { return r == ' ' || r == '=' || r == '\n' }) {
		if strings.HasPrefix(word, "SPOKED_") && word != "SPOKED_*" {
			variables++
			if !bytes.Contains(help, []byte(word)) {
				t.Errorf("there is no setting %s", word)
			}
		}
	}
	if variables == 0 {
		t.Error("found no settings")
	}
	const check = `CMD ["/usr/bin/spoked", "ping", "--timeout", "2s"]`
	if !bytes.Contains(data, []byte(check)) {
		t.Fatalf("the health check is not %s", check)
	}
	s := startServer(t, spokedPath(t), "--http", "off")
	ping := func(addr string) error {
		cmd := exec.Command(spokedPath(t), "ping", "--timeout", "2s")
		cmd.Env = append(os.Environ(), "SPOKED_SERVER="+addr)
		return cmd.Run()
	}
	if err := ping(s.Addr); err != nil {
		t.Errorf("got %v of a server that is well", err)
	}
	if err := ping("127.0.0.1:1"); err == nil {
		t.Error("got no error where there is no server")
	}
}
