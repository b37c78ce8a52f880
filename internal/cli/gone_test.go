package cli_test

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"spoked/internal/cli"
	"spoked/internal/config"
)

// TestServerGone has a server go away in the middle of its answers.
func TestServerGone(t *testing.T) {
	for _, command := range []string{"export", "export -t x", "put --lines", "tubes", "jobs list x", "import", "tail"} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.HasSuffix(r.URL.Path, "/tubes/x") {
				io.WriteString(w, `{"name":"x"}`)
				return
			}
			io.WriteString(w, `{"id":1,`)
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		}))
		var stdout, stderr bytes.Buffer
		p := cli.Program{Stdin: strings.NewReader("{}\n"), Stdout: &stdout, Stderr: &stderr}
		args := append([]string{"spoked"}, strings.Fields(command+" --server "+server.URL)...)
		if code := p.Run(args); code != config.ExitUnreachable {
			t.Errorf("%s: got code %d, %s", command, code, &stderr)
		}
		server.Close()
	}
}

// TestServerStopping has a server say that it stops.
func TestServerStopping(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(http.StatusServiceUnavailable)
		io.WriteString(w, `{"type":"urn:spoked:problem:stopping","title":"The server is stopping","status":503}`)
	}))
	defer server.Close()
	for _, command := range []string{"export", "put --lines", "reserve", "delete 1", "delete LEASE", "release LEASE", "jobs change 1 -p 1", "kick 1", "peek 1", "peek", "top --once"} {
		var stdout, stderr bytes.Buffer
		p := cli.Program{Stdin: strings.NewReader("a\n"), Stdout: &stdout, Stderr: &stderr}
		args := append([]string{"spoked"}, strings.Fields(command+" --server "+server.URL)...)
		if code := p.Run(args); code != config.ExitUnreachable || !strings.Contains(stderr.String(), "stopping") {
			t.Errorf("%s: got code %d, %s", command, code, &stderr)
		}
	}
}
