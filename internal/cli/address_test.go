package cli

import "testing"

func TestServerAddr(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"localhost", "localhost:11300"},
		{"localhost:", "localhost:11300"},
		{"db:1", "db:1"},
		{":11400", ":11400"},
		{"10.0.0.1", "10.0.0.1:11300"},
		{"::1", "[::1]:11300"},
		{"[::1]", "[::1]:11300"},
		{"[::1]:5", "[::1]:5"},
		{"unix:/run/s.sock", "unix:/run/s.sock"},
		{"http://db:11301", "http://db:11301"},
		{"HTTPS://db/", "https://db"},
		{"", ""},
		{"unix:", ""},
		{"a:b:c", ""},
		{"db/x", ""},
		{"ftp://x", ""},
		{"http://", ""},
		{"http://:80", ""},
		{"http:///x", ""},
		{"http://db/v1", ""},
		{"http://db/?", ""},
		{"http://db?x=1", ""},
		{"http://db#x", ""},
		{"http://me@db", ""},
		{"http://db:x", ""},
	} {
		if got, err := serverAddr(c.text); got != c.want || (err == nil) != (c.want != "") {
			t.Errorf("%q: got %q, %v; want %q", c.text, got, err, c.want)
		}
	}
}
