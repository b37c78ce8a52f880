package cli

import (
	"strings"
	"testing"
	"time"

	"spoked/internal/api"
)

// TestBeside wants the URL of an API that a server says listens somewhere.
func TestBeside(t *testing.T) {
	tests := []struct{ wire, address, want string }{
		{"127.0.0.1:11300", "127.0.0.1:11301", "http://127.0.0.1:11301"},
		{"localhost:11300", "127.0.0.1:11301", "http://127.0.0.1:11301"},
		{"unix:/run/spoked", "127.0.0.1:11301", "http://127.0.0.1:11301"},
		{"db:11300", "0.0.0.0:11301", "http://db:11301"},
		{"db:11300", "[::]:11301", "http://db:11301"},
		{"[fe80::1]:11300", "[::]:11301", "http://[fe80::1]:11301"},
		{"db:11300", "10.0.0.7:11301", "http://10.0.0.7:11301"},
		{"unix:/run/spoked", "0.0.0.0:1", "http://127.0.0.1:1"},
		{"db:11300", "127.0.0.1:11301", "error: which only its own machine reaches"},
		{"db:11300", "nonsense", "error: which is no address"},
	}
	for _, test := range tests {
		got, err := beside(test.wire, test.address)
		if want, isError := strings.CutPrefix(test.want, "error: "); isError {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s, %s: got %s, %v, want the error %s", test.wire, test.address, got, err, want)
			}
		} else if err != nil || got != want {
			t.Errorf("%s, %s: got %s, %v, want %s", test.wire, test.address, got, err, want)
		}
	}
}

func TestLasting(t *testing.T) {
	const day = 24 * time.Hour
	tests := map[time.Duration]string{
		-1: "0s", 0: "0s", 1500 * time.Millisecond: "1.5s", 59*time.Second + 999*time.Millisecond: "59.9s",
		time.Minute: "1m0s", time.Hour - 1: "59m59s", time.Hour: "1h0m", day - 1: "23h59m", 3*day + 5*time.Hour: "3d5h", 730 * day: "2.0y",
	}
	for d, want := range tests {
		if got := lasting(d); got != want {
			t.Errorf("%v: got %s, want %s", d, got, want)
		}
	}
}

func TestPreview(t *testing.T) {
	tests := []struct {
		body      string
		truncated bool
		want      string
	}{
		{"", false, ""},
		{`{"a":1}`, false, `{"a":1}`},
		{"two\nlines", false, `two\nlines`},
		{"\xff\x00", false, `\xff\x00`},
		{"begin", true, "begin..."},
		{strings.Repeat("é", 61), false, strings.Repeat("é", 60) + "..."},
	}
	for _, test := range tests {
		if got := preview(api.Bytes([]byte(test.body)), test.truncated); got != test.want {
			t.Errorf("%q: got %q, want %q", test.body, got, test.want)
		}
	}
}

func TestFlow(t *testing.T) {
	long := strings.Repeat("word ", 20)
	got := strings.Join(flow("one\ntwo\n table  row\nthree\n\n"+long), "|")
	want := "one two| table  row|three||" + strings.TrimSpace(strings.Repeat("word ", 16)) + "|word word word word"
	if got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
