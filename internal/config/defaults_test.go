package config_test

import (
	"flag"
	"os"
	"regexp"
	"strings"
	"testing"

	"spoked/internal/config"
)

var update = flag.Bool("update", false, "write docs/config.md anew")

// TestDefaults wants what Defaults says to be true: with every # taken away, it
// comes to the defaults, and to the examples where there are none.
func TestDefaults(t *testing.T) {
	for _, format := range []config.Format{config.FormatTOML, config.FormatYAML} {
		text := config.Defaults(format)
		path := write(t, "spoked."+string(format), text)
		inv, err := config.Parse([]string{"--config", path}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got, want := inv.Config, config.Default(); got != want {
			t.Errorf("%s:\n got %+v\nwant %+v", format, got, want)
		}
		text = regexp.MustCompile(`(?m)^#([^ ])`).ReplaceAllString(text, "$1")
		inv, err = config.Parse([]string{"--config", write(t, "all."+string(format), text)}, nil)
		if err != nil {
			t.Fatalf("%v:\n%s", err, text)
		}
		want := with(func(c *config.Config) {
			c.HTTPExplicit, c.Listen = true, "0.0.0.0"
			c.User, c.Journal, c.HTTPTokens, c.StatsD = "nobody", "/var/lib/spoked", "/etc/spoked/tokens", "127.0.0.1:8125"
		})
		if got := inv.Config; got != want {
			t.Errorf("%s:\n got %+v\nwant %+v", format, got, want)
		}
		for _, s := range config.Effective(&inv) {
			if s.From.Level != config.LevelFile {
				t.Errorf("%s: Defaults does not have %s", format, s.Name)
			}
		}
		for line := range strings.Lines(text) {
			if got := len(strings.TrimSuffix(line, "\n")); got > 90 {
				t.Errorf("%s: a line of %d columns: %s", format, got, line)
			}
		}
	}
}

// TestOptionsInFiles wants a key of whatever is a setting.
func TestOptionsInFiles(t *testing.T) {
	for _, o := range config.Options() {
		if got, want := o.Key() != "", o.Env != "" && o.Long != "--config"; got != want {
			t.Errorf("%s: has a key: got %v, want %v", o.Long, got, want)
		}
		if o.Live && o.Key() == "" {
			t.Errorf("%s: can be reloaded, but is in no file", o.Long)
		}
		if o.Key() != "" && o.Value != "" && (o.Default == "") == (o.Example == "") {
			t.Errorf("%s: want either a default or an example", o.Long)
		}
	}
}

// TestManual wants the page about configuration to be up to date. With -update it
// writes it.
func TestManual(t *testing.T) {
	const page = "../../docs/config.md"
	if *update {
		if err := os.WriteFile(page, []byte(config.Manual()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := string(text), config.Manual(); got != want {
		t.Error("docs/config.md is not what the table of options says; go test ./internal/config -run TestManual -update writes it anew")
	}
	// Its examples are in order.
	for _, match := range regexp.MustCompile("(?s)```(toml|yaml)\n(.*?)```").FindAllStringSubmatch(string(text), -1) {
		if err := config.Validate(write(t, "example."+match[1], match[2])); err != nil {
			t.Error(err)
		}
	}
}
