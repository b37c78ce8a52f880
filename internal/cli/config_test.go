package cli_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"spoked/internal/config"
)

// settings puts a file of settings into a directory of its own.
func settings(t *testing.T, name, text string) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestConfigShow has a setting from each place.
func TestConfigShow(t *testing.T) {
	path := settings(t, "spoked.toml", "\nloops = 2\nuser = 'u'\n")
	env := []string{"SPOKED_CONFIG=" + path, "SPOKED_LOOPS=3"}
	for _, args := range [][]string{{"config", "-p", "7"}, {"config", "show", "-p7"}} {
		code, stdout, stderr := run(t, args, env)
		if code != config.ExitOK || stderr != "" {
			t.Fatalf("%q: got exit code %d, stderr %q", args, code, stderr)
		}
		var got []string
		for line := range strings.Lines(stdout) {
			got = append(got, strings.Join(strings.Fields(line), " "))
		}
		for _, want := range []string{
			"NAME VALUE FROM", "port 7 -p", "loops 3 SPOKED_LOOPS", "user u " + path + ":3", "compat 1.13 default", "journal - default",
		} {
			if !slices.Contains(got, want) {
				t.Errorf("%q: got %q, want the line %q", args, got, want)
			}
		}
	}
	_, stdout, _ := run(t, []string{"config", "--json"}, env)
	var got struct {
		File     string
		Settings []config.Setting
	}
	if err := json.Unmarshal([]byte(stdout), &got); err != nil {
		t.Fatalf("%v: %s", err, stdout)
	}
	want := config.Setting{Name: "user", Value: "u", Default: "", From: config.Origin{Level: config.LevelFile, Where: path + ":3"}}
	if got.File != path || !slices.Contains(got.Settings, want) {
		t.Errorf("got %+v, want %+v in it", got, want)
	}
}

func TestConfigDefaults(t *testing.T) {
	for _, test := range []struct {
		args []string
		want config.Format
	}{
		{[]string{"config", "defaults"}, config.FormatTOML},
		{[]string{"config", "defaults", "--format", "toml"}, config.FormatTOML},
		{[]string{"config", "defaults", "--format=yaml"}, config.FormatYAML},
	} {
		code, stdout, stderr := run(t, test.args, nil)
		if code != config.ExitOK || stderr != "" || stdout != config.Defaults(test.want) {
			t.Errorf("%q: got exit code %d, stdout %q, stderr %q", test.args, code, stdout, stderr)
		}
	}
}

func TestConfigValidate(t *testing.T) {
	fine := settings(t, "fine.yaml", "port: 1\n")
	wrong := settings(t, "wrong.toml", "port = 65536\nprot = 1\n")
	tests := []struct {
		path           string
		code           int
		stdout, stderr string
	}{
		{fine, config.ExitOK, fine + ": nothing is wrong\n", ""},
		{wrong, config.ExitFailure, "", "spoked: " + wrong + ":1: port: invalid port: 65536\n" +
			"spoked: " + wrong + ":2: unknown key: prot (did you mean port?)\n"},
	}
	for _, test := range tests {
		code, stdout, stderr := run(t, []string{"config", "validate", test.path}, nil)
		if code != test.code || stdout != test.stdout || stderr != test.stderr {
			t.Errorf("%s: got exit code %d, stdout %q, stderr %q", test.path, code, stdout, stderr)
		}
	}
	code, stdout, stderr := run(t, []string{"config", "validate", "--json", wrong}, nil)
	var got struct{ Problems []config.Problem }
	if err := json.Unmarshal([]byte(stdout), &got); err != nil {
		t.Fatalf("%v: %s", err, stdout)
	}
	want := config.Problem{File: wrong, Line: 2, Text: "unknown key: prot (did you mean port?)"}
	if code != config.ExitFailure || stderr != "" || len(got.Problems) != 2 || got.Problems[1] != want {
		t.Errorf("got exit code %d, stderr %q, problems %+v", code, stderr, got.Problems)
	}
}

// TestConfigUsage has command lines and files that make no sense. A mistake in a
// file is told without the help text, which has nothing to do with it.
func TestConfigUsage(t *testing.T) {
	wrong := settings(t, "wrong.toml", "\nport = 65536\n")
	tests := []struct {
		args []string
		want string
		help bool
	}{
		{[]string{"--config", wrong}, wrong + ":2: port: invalid port: 65536", false},
		{[]string{"config", "show", "--config", wrong}, wrong + ":2: port: invalid port: 65536", false},
		{[]string{"--config", "spoked.conf"}, "--config: invalid file: spoked.conf (want a name that ends in .toml, .yaml or .yml)", true},
		{[]string{"config", "--prot"}, "config: unknown flag: --prot", true},
		{[]string{"config", "-v"}, "config: these options do not start a server", true},
		{[]string{"config", "edit"}, "config: unknown command: edit", true},
		{[]string{"config", "defaults", "--format", "ini"}, "config defaults: unknown format: ini (want toml or yaml)", true},
		{[]string{"config", "defaults", "x"}, "config defaults: unknown argument: x", true},
		{[]string{"config", "validate"}, "config validate: an argument is missing: it takes FILE", true},
		{[]string{"config", "validate", "a", "b"}, "config validate: unknown argument: b", true},
	}
	for _, test := range tests {
		code, _, stderr := run(t, test.args, nil)
		first, rest, _ := strings.Cut(stderr, "\n")
		if code != config.ExitUsage || first != "spoked: "+test.want || strings.HasPrefix(rest, "Use: ") != test.help {
			t.Errorf("%q: got exit code %d, stderr %q", test.args, code, stderr)
		}
	}
	code, stdout, _ := run(t, []string{"config", "-h"}, nil)
	if code != config.ExitOK || !strings.HasPrefix(stdout, "Use: spoked config COMMAND") {
		t.Errorf("got exit code %d, stdout %q", code, stdout)
	}
}
