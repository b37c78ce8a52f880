package config_test

import (
	"os"
	"strings"
	"testing"

	"spoked/internal/config"
)

func TestOptionNames(t *testing.T) {
	seen := make(map[string]bool)
	for _, o := range config.Options() {
		for _, name := range []string{o.Short, o.Long, o.Env} {
			if name != "" && seen[name] {
				t.Errorf("%s: there are two", name)
			}
			seen[name] = true
		}
		if o.Short != "" && (len(o.Short) != 2 || o.Short[0] != '-') {
			t.Errorf("%s: want a dash and one letter", o.Short)
		}
		if o.Env == "" {
			continue
		}
		want := "SPOKED_" + strings.ToUpper(strings.ReplaceAll(strings.TrimPrefix(o.Long, "--"), "-", "_"))
		if got := o.Env; got != want {
			t.Errorf("%s: got variable %s, want %s", o.Long, got, want)
		}
	}
}

// TestOptionDefaults keeps what the table says about defaults true.
func TestOptionDefaults(t *testing.T) {
	for _, o := range config.Options() {
		value, _, _ := strings.Cut(o.Default, " on Linux")
		if value == "" {
			continue
		}
		inv, err := config.Parse([]string{o.Long, value}, nil)
		if err != nil {
			t.Errorf("%s %s: %v", o.Long, value, err)
			continue
		}
		got, want := inv.Config, config.Default()
		if o.Long == "--listen" {
			want.Listen = value // which an empty one stands for
		}
		want.HTTPExplicit = o.Long == "--http"
		if got != want {
			t.Errorf("%s %s:\n got %+v\nwant %+v", o.Long, value, got, want)
		}
	}
}

func TestHelpNamesEveryOption(t *testing.T) {
	help := config.Help("spoked")
	for _, o := range config.Options() {
		for _, text := range []string{o.Short, o.Long, o.Env, o.Default, o.Group} {
			if !strings.Contains(help, text) {
				t.Errorf("help does not have %q", text)
			}
		}
	}
	for line := range strings.Lines(help) {
		if got := len(strings.TrimSuffix(line, "\n")); got > 80 {
			t.Errorf("a line of %d columns, want at most 80: %s", got, line)
		}
	}
}

// TestHelp compares with a copy of the help text, which makes a change to the
// layout visible in review. To write it anew:
//
//	go build -o /tmp/spoked ./cmd/spoked
//	PATH=/tmp:$PATH spoked -h > internal/config/testdata/help.txt
func TestHelp(t *testing.T) {
	want, err := os.ReadFile("testdata/help.txt")
	if err != nil {
		t.Fatal(err)
	}
	if got := config.Help("spoked"); got != string(want) {
		t.Errorf("help differs from testdata/help.txt:\n%s", got)
	}
}
