package daemon

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"spoked/internal/config"
	"spoked/internal/session"
)

// reloading returns a reloader of a server that was started with a file with this
// text, what it logs, and a function that writes the file anew and reloads it.
func reloading(t *testing.T, text string) (r *reloader, again func(text string) (logged []string)) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "spoked.toml")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(text)
	inv, err := config.Parse([]string{"--config", path}, nil)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	log, _ := newLogger(config.Config{LogFormat: config.LogJSON}, &out)
	r = newReloader(&inv, log)
	return r, func(text string) (logged []string) {
		t.Helper()
		write(text)
		out.Reset()
		r.reload()
		for line := range strings.Lines(out.String()) {
			var event struct {
				Level, Msg, Setting, Error, Problem string
			}
			if err := json.Unmarshal([]byte(line), &event); err != nil {
				t.Fatal(err)
			}
			if event.Setting == "" {
				event.Setting = strings.TrimPrefix(event.Problem, path)
			}
			logged = append(logged, strings.TrimRight(strings.Join([]string{event.Level, event.Msg, event.Setting, event.Error}, "; "), "; "))
		}
		return logged
	}
}

// TestReloader has appliers that do what they are asked for, refuse, and fail.
func TestReloader(t *testing.T) {
	r, again := reloading(t, "")
	failure := error(nil)
	var called []string
	r.on("max-job-size", func(running, next *config.Config) error {
		called = append(called, "first")
		running.MaxJobSize = next.MaxJobSize
		return nil
	})
	r.on("max-job-size", func(running, next *config.Config) error {
		called = append(called, "second")
		running.MaxJobSize = next.MaxJobSize
		return failure
	})
	r.reread(func(cfg *config.Config) error {
		called = append(called, "reread")
		return failure
	})
	tests := []struct {
		text           string
		failure        error
		logged, called []string
	}{
		{"", nil, []string{"info; reloaded: no setting has changed"}, []string{"reread"}},
		{"max-job-size = 1\nloops = 2", nil, []string{
			"info; reloaded; max-job-size",
			"warn; not reloaded: this setting needs a restart; loops",
		}, []string{"first", "second", "reread"}},
		{"max-job-size = 1\nloops = 2", nil, []string{"warn; not reloaded: this setting needs a restart; loops"}, []string{"reread"}},
		{"max-job-size = 2", errRestart, []string{
			"warn; not reloaded: this setting needs a restart; max-job-size",
			"error; not reloaded; ; it needs a restart",
		}, []string{"first", "second", "reread"}},
		{"max-job-size = 3", errors.New("no"), []string{
			"error; not reloaded; max-job-size; no",
			"error; not reloaded; ; no",
		}, []string{"first", "second", "reread"}},
		{"max-job-size = 3\nprot = 1\nloops = 0", nil, []string{
			"error; not reloaded: a mistake in the file of settings; :2: unknown key: prot (did you mean port?)",
			"error; not reloaded: a mistake in the file of settings; :3: loops: invalid number: 0 (want 1 to 256)",
		}, nil},
		{"max-job-size = 1", nil, []string{"info; reloaded: no setting has changed"}, []string{"reread"}},
	}
	for _, test := range tests {
		failure, called = test.failure, nil
		if got := again(test.text); !slices.Equal(got, test.logged) {
			t.Errorf("%q: got %q, want %q", test.text, got, test.logged)
		}
		if !slices.Equal(called, test.called) {
			t.Errorf("%q: got %q called, want %q", test.text, called, test.called)
		}
	}
	if got, want := r.running.MaxJobSize, 1; got != want {
		t.Errorf("got %d in force, want %d", got, want)
	}
}

// TestLiveSettings wants an applier for whatever the table says can be reloaded, and
// for nothing else.
func TestLiveSettings(t *testing.T) {
	r := newReloader(&config.Invocation{}, zap.NewNop())
	_, book := newLogger(config.Default(), io.Discard)
	r.changeServer(nil, book)
	(&httpDoor{}).reload(r)
	newWatch(&config.Config{}, &session.Host{}, zap.NewNop()).reload(r)
	for _, o := range config.Options() {
		_, ok := r.appliers[o.Key()]
		if ok != o.Live {
			t.Errorf("%s: has an applier: got %v, want %v", o.Long, ok, o.Live)
		}
	}
}

// TestLogbook has lines with fields before and after a change of their layout.
func TestLogbook(t *testing.T) {
	var out bytes.Buffer
	log, book := newLogger(config.Default(), &out)
	log = log.With(zap.Int("a", 1)).With(zap.Int("b", 2))
	log.Debug("no")
	log.Info("one", zap.Int("c", 3))
	book.setFormat(config.LogJSON)
	book.setVerbosity(1)
	log.Debug("two", zap.Int("c", 3))
	if got, want := log.Level(), zapcore.DebugLevel; got != want {
		t.Errorf("got level %v, want %v", got, want)
	}
	if err := log.Sync(); err != nil {
		t.Error(err)
	}
	lines := strings.Split(out.String(), "\n")
	if len(lines) != 3 {
		t.Fatalf("got %q, want two lines", out.String())
	}
	if want := `  INFO  one  {"a": 1, "b": 2, "c": 3}`; !strings.HasSuffix(lines[0], want) {
		t.Errorf("got %q, want %q", lines[0], want)
	}
	if want := `,"msg":"two","a":1,"b":2,"c":3}`; !strings.HasSuffix(lines[1], want) {
		t.Errorf("got %q, want %q", lines[1], want)
	}
}
