package console

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"spoked/internal/history"
	"spoked/internal/manage"
	"spoked/queue"
)

func TestFormats(t *testing.T) {
	for _, k := range []struct{ got, want string }{
		{number(0), "0"}, {number(999), "999"}, {number(1000), "1,000"}, {number(-1234567), "-1,234,567"}, {number(uint32(4294967295)), "4,294,967,295"},
		{short(999), "999"}, {short(1000), "1k"}, {short(1234), "1.2k"}, {short(1_000_000), "1M"}, {short(999_999), "1M"}, {short(2_500_000_000), "2.5G"},
		{rate(0.0), "0"}, {rate(0.25), "0.25"}, {rate(1.0), "1"}, {rate(1.26), "1.3"}, {rate(1234.4), "1,234"}, {rate(-3.0), "−3"},
		{count(1, "job"), "1 job"}, {count(2000, "job"), "2,000 jobs"},
		{duration(0), "0 s"}, {duration(900 * time.Microsecond), "900 µs"}, {duration(15 * time.Millisecond), "15 ms"}, {duration(1500 * time.Millisecond), "1.5 s"},
		{duration(59 * time.Second), "59 s"}, {duration(time.Minute), "1 min"}, {duration(61 * time.Second), "1 min 1 s"}, {duration(25 * time.Hour), "1 d 1 h"},
		{duration(-2 * time.Second), "−2 s"}, {brief(25 * time.Hour), "1 d"}, {brief(90 * time.Second), "1 min"}, {brief(time.Second), "1 s"}, {duration(400 * 24 * time.Hour), "1 y 35 d"},
		{size(0), "0 B"}, {size(1023), "1023 B"}, {size(1536), "1.5 KiB"}, {size(int64(5) << 30), "5 GiB"},
		{tubePath(".."), "/tube?name=.."}, {tubePath("a/b+c;d$e", "state", "ready", "contains", ""), "/tube?name=a%2Fb%2Bc%3Bd%24e&state=ready"},
		{spark([]uint32{0, 2, 1}), "96.6,22.5 98.3,1.5 100.0,12.0"}, {spark(nil), ""},
		{howOften(1), "once"}, {howOften(2), "twice"}, {howOften(1000), "1,000 times"},
	} {
		if k.got != k.want {
			t.Errorf("got %q, want %q", k.got, k.want)
		}
	}
}

func TestPreview(t *testing.T) {
	long := strings.Repeat("ä", previewBytes/2)
	for _, k := range []struct {
		body, want string
		binary     bool
	}{
		{"", "", false},
		{"a\n  b\tc ", "a b c", false},
		{"\x00\xff", "00 ff", true},
		{"a\x1bb", "61 1b 62", true},
		{long, long, false},
		{long[:previewBytes-1], long[:previewBytes-2], false}, // a character is cut
	} {
		if got, binary := preview([]byte(k.body)); got != k.want || binary != k.binary {
			t.Errorf("%q: got %q, %v, want %q, %v", k.body, got, binary, k.want, k.binary)
		}
	}
}

func TestRowShowsWhatWasFound(t *testing.T) {
	far := strings.Repeat("x", 500)
	for _, k := range []struct{ body, contains, want string }{
		{"a needle b", "needle", "a [needle] b"},
		{"needle", "needle", "[needle]"},
		{far + " needle " + far, "needle", "…" + far[:11] + " [needle] " + far[:141] + "…"},
		{strings.Repeat("ä", 300) + "needle", "needle", "…" + strings.Repeat("ä", 6) + "[needle]"},
		{"a  b", "  ", "a[  ]b"},
		{"\x00needle", "needle", "00 6e 65 65 64 6c 65"},
		{"none", "", "none"},
	} {
		r := rowOf(manage.Listed{Body: []byte(k.body), Size: uint32(len(k.body))}, k.contains)
		got := r.Preview
		if r.Match != "" {
			got += "[" + r.Match + "]" + r.Rest
		}
		if got != k.want {
			t.Errorf("%.30q in %.30q: got %q, want %q", k.contains, k.body, got, k.want)
		}
	}
}

func TestReadable(t *testing.T) {
	for body, want := range map[string]string{
		"a\nb\t":       "a\nb\t",
		"\x00\x1b\x7f": "␀␛␡",
		"\xff":         "\ufffd",
		"a\u202eb":     "a\ufffdb",
		"\ufffd":       "\ufffd",
	} {
		if got := readable([]byte(body)); got != want {
			t.Errorf("%q: got %q, want %q", body, got, want)
		}
	}
}

func TestQuantile(t *testing.T) {
	var h queue.Histogram
	if got := quantile(&h, 0.5); got != 0 {
		t.Errorf("of nothing: got %v", got)
	}
	for i := range 1000 {
		h.Add(time.Duration(i+1) * time.Millisecond)
	}
	for q, want := range map[float64]time.Duration{0.5: 500 * time.Millisecond, 0.9: 900 * time.Millisecond, 0.99: 990 * time.Millisecond} {
		if got := quantile(&h, q); got < want*8/10 || got > want*12/10 {
			t.Errorf("%v: got %v, want about %v", q, got, want)
		}
	}
}

func TestSigns(t *testing.T) {
	now := time.Now().UnixNano()
	tube := func(change func(u *history.Tube)) *history.Tube {
		u := &history.Tube{}
		u.Name, u.Watching = "a", 2
		u.Jobs[queue.Ready] = 100
		change(u)
		return u
	}
	s := &history.Snapshot{Instant: now, Stats: queue.Stats{Workers: 2}}
	for want, u := range map[string]*history.Tube{
		"":             tube(func(*history.Tube) {}),
		"idle":         tube(func(u *history.Tube) { u.Watching = 0 }),
		"paused":       tube(func(u *history.Tube) { u.Watching, u.Pause, u.PauseLeft = 0, time.Hour, time.Minute }),
		"buried":       tube(func(u *history.Tube) { u.Jobs[queue.Buried] = 1 }),
		"growing":      tube(func(u *history.Tube) { u.Growth, u.Puts = 2, 5 }),
		"old":          tube(func(u *history.Tube) { u.Oldest = now - int64(2*time.Minute) }),
		"timeouts":     tube(func(u *history.Tube) { u.TimedOut = 0.1 }),
		"idle growing": tube(func(u *history.Tube) { u.Watching, u.Growth, u.Puts = 0, 2, 2 }),
	} {
		got := []string{}
		for _, k := range signsOf(u, s) {
			got = append(got, k.Kind)
		}
		if strings.Join(got, " ") != want {
			t.Errorf("got %v, want %s", got, want)
		}
	}
	if got := signsOf(tube(func(*history.Tube) {}), &history.Snapshot{Instant: now}); len(got) != 1 || got[0].Kind != "idle" {
		t.Errorf("without any worker: got %v", got)
	}
	for i := range 30 {
		u := tube(func(u *history.Tube) { u.Jobs[queue.Buried] = i })
		u.Name = fmt.Sprintf("tube-%02d", i)
		if s.Tubes == nil {
			s.Tubes = map[string]*history.Tube{}
		}
		s.Tubes[u.Name] = u
	}
	list, all := troubled(s, 10)
	if len(list) != 10 || all != 29 {
		t.Errorf("got %d of %d", len(list), all)
	}
}

func TestColumns(t *testing.T) {
	var p []history.Point
	for i := range 10 {
		p = append(p, history.Point{At: uint32(100 + i), Puts: float32(i), Ready: uint32(10 * i)})
	}
	want := "[[102,105,108,109],[1,4,7,9],[0,0,0,0],[0,0,0,0],[0,0,0,0],[10,40,70,90],[0,0,0,0],[0,0,0,0],[0,0,0,0],[0,0,0,0]]"
	if got := columns(p, 4); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got := columns(nil, 4); got != "[[],[],[],[],[],[],[],[],[],[]]" {
		t.Errorf("got %s", got)
	}
}

func TestForms(t *testing.T) {
	for s, want := range map[string]time.Duration{"": 0, "30": 30 * time.Second, "1m 30s": 90 * time.Second, " 2h ": 2 * time.Hour} {
		if got, err := readDuration("delay", s); err != nil || got != want {
			t.Errorf("%q: got %v, %v, want %v", s, got, err, want)
		}
	}
	for _, s := range []string{"x", "-1s", "5 potatoes", "99999999999", "1e9h"} {
		if d, err := readDuration("delay", s); err == nil {
			t.Errorf("%q: got %v", s, d)
		}
	}
	for s, ok := range map[string]bool{"a": true, "..": true, "": false, "-a": false, "a b": false, strings.Repeat("x", 201): false} {
		if err := checkTube(s); (err == nil) != ok {
			t.Errorf("%q: %v", s, err)
		}
	}
}
