package top

import (
	"bytes"
	"context"
	"errors"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"
)

// TestOnce prints a frame.
func TestOnce(t *testing.T) {
	once := func(o Options) string {
		t.Helper()
		var b bytes.Buffer
		o.Once, o.Output, o.Interval = true, &b, time.Millisecond
		if o.Source == nil {
			o.Source = shop()
		}
		if err := Run(t.Context(), o); err != nil {
			t.Fatal(err)
		}
		// How long a millisecond was is another matter, and what time it is.
		got := regexp.MustCompile(`\d\d:\d\d:\d\d`).ReplaceAllString(b.String(), "12:00:00")
		got = regexp.MustCompile(`(put|reserve|delete|timeout|cpu|journal) [0-9.kM]+`).ReplaceAllString(got, "$1 1")
		if strings.ContainsRune(got, '\x1b') || strings.Contains(got, " \n") {
			t.Errorf("got control characters or blanks at ends of lines: %q", got)
		}
		return got
	}
	for _, test := range []struct {
		options Options
		lines   int
		want    string // a regular expression
	}{
		{Options{}, 12, `(?s)^spoked 1\.0 .* ready 12352 .*\nthumbnails\.large-pi.*\nemails .*reports\.monthly`},
		{Options{Width: 40}, 12, `\nthumbnails`},
		{Options{Sort: "buried"}, 12, `(?s)BURIED▼.*reports\.monthly.*emails`},
		{Options{Sort: "Tube", Reverse: true}, 12, `(?s)TUBE▼.*thumbnails.*default`},
		{Options{Filter: "mail"}, 8, `PAUSE.*\nemails.*\n$`},
		{Options{Height: 6}, 6, `(?s)^spoked.*PAUSE.*\nemails.*newsletter`},
		{Options{Source: many(500)}, 507, `tube-00499`},
	} {
		got := once(test.options)
		if n := strings.Count(got, "\n"); n != test.lines {
			t.Errorf("%+v: got %d lines, want %d", test.options, n, test.lines)
		}
		if !regexp.MustCompile(test.want).MatchString(got) {
			t.Errorf("%+v: got\n%s\nwant %s", test.options, got, test.want)
		}
	}
}

// TestRunFails has all that ends it at once.
func TestRunFails(t *testing.T) {
	down := &made{snapshot: func(int) (*Snapshot, error) { return nil, errors.New("cannot reach db:11300") }}
	ended, end := context.WithCancel(t.Context())
	end()
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	for _, test := range []struct {
		ctx     context.Context
		options Options
		want    string
	}{
		{t.Context(), Options{}, "there is no terminal to draw on; --once prints one frame as text"},
		{t.Context(), Options{Input: null, Output: null}, "there is no terminal to draw on"},
		{t.Context(), Options{Sort: "size"}, `there is no column "size" to sort by; there are tube, ready, `},
		{t.Context(), Options{Once: true, Source: down}, "cannot reach db:11300"},
		{ended, Options{Once: true}, "context canceled"},
	} {
		if test.options.Source == nil {
			test.options.Source = shop()
		}
		if test.options.Output == nil {
			test.options.Output = new(bytes.Buffer)
		}
		if err := Run(test.ctx, test.options); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%+v: got %v, want %q", test.options, err, test.want)
		}
	}
}

// TestPace is how often a server is asked.
func TestPace(t *testing.T) {
	m := &model{interval: time.Second}
	for took, want := range map[time.Duration]time.Duration{
		0:                      time.Second,
		100 * time.Millisecond: 900 * time.Millisecond,
		time.Second:            3 * time.Second, // a quarter of the time
	} {
		if got := m.rest(took); got != want {
			t.Errorf("got %v of rest after %v, want %v", got, took, want)
		}
	}
}

func TestFormat(t *testing.T) {
	for _, test := range []struct{ got, want string }{
		{count(-1), "-"}, {count(0), "0"}, {count(99_999), "99999"}, {count(100_000), "100k"}, {count(999_499), "999k"},
		{count(999_500), "1.00M"}, {count(9_995_000), "10.0M"}, {count(123_456_789), "123M"}, {count(1 << 62), "4.61E"},
		{perSecond(0), "0"}, {perSecond(0.01), "<0.1"}, {perSecond(0.5), "0.5"}, {perSecond(9.94), "9.9"}, {perSecond(9.96), "10"}, {perSecond(1e6), "1.00M"},
		{size(-1), "-"}, {size(0), "0B"}, {size(1023), "1023B"}, {size(1024), "1.00KiB"}, {size(65_535), "64.0KiB"}, {size(1 << 40), "1.00TiB"},
		{span(Unknown), "-"}, {span(999 * time.Millisecond), "0s"}, {span(59 * time.Second), "59s"}, {span(61 * time.Second), "1m01s"},
		{span(time.Hour), "1h00m"}, {span(25 * time.Hour), "1d01h"}, {span(100 * 24 * time.Hour), "100d"}, {span(1<<63 - 1), "ages"},
		{percent(0.125), "12%"}, {percent(2), "200%"}, {plural(1, "job", "jobs"), "1 job"}, {plural(0, "job", "jobs"), "0 jobs"},
		{spark(nil, 3), "   "}, {spark([]float32{0, 0}, 3), " ▁▁"}, {spark([]float32{0, 1, 8}, 2), "▂█"}, {spark([]float32{1}, 0), ""},
		{fit("abc", 2), "a…"}, {fit("abc", 5), "abc  "}, {right("abc", 5), "  abc"}, {fit("漢字漢字", 5), "漢字…"}, {fit("漢字", 2), "… "}, {fit("x", 0), ""},
		{printable([]byte("a\x00b\nc\xff\u202e")), "a·b c··"},
	} {
		if test.got != test.want {
			t.Errorf("got %q, want %q", test.got, test.want)
		}
	}
}
