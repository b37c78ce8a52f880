//go:build unix

package integration

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"spoked/internal/api"
)

// TestHTTPDocs makes the requests in docs/api.md, one after the other, and compares
// the answers with those there: each must have the same members with the same values,
// or where these are different each time, with values of the same type.
func TestHTTPDocs(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	_, url := startHTTP(t, "-b", t.TempDir())
	text, err := os.ReadFile("../docs/api.md")
	ok(t, err)
	text = []byte(strings.ReplaceAll(string(text), "/var/backups", dir))
	d := &docsRun{t: t, url: url, contract: contractOf(t, url)}
	var request *example
	lines := 0
	for _, block := range fenced(string(text), "http") {
		e := parseExample(t, block)
		if e.status == 0 {
			request = e
			continue
		}
		if request == nil {
			t.Fatalf("line %d: an answer to no request", e.line)
		}
		t.Logf("line %d: %s %s", request.line, request.method, request.path)
		d.run(request, e)
		request = nil
		lines++
	}
	if lines < 40 {
		t.Errorf("got %d examples, want more", lines)
	}
	for _, op := range d.contract.ops {
		if len(op.answered) == 0 && !strings.Contains(op.path, "openapi") {
			t.Errorf("docs/api.md has no example of %s %s", op.method, op.path)
		}
	}
	d.wantProblems(string(text))
}

// example is a request or an answer.
type example struct {
	line         int
	method, path string
	status       int
	header       http.Header
	body         string
}

// block is what stands in a document between fences.
type block struct {
	line int
	text string
}

// fenced returns the blocks of a language.
func fenced(text, language string) (blocks []block) {
	in := false
	for i, line := range strings.Split(text, "\n") {
		switch {
		case line == "```"+language:
			in = true
			blocks = append(blocks, block{line: i + 2})
		case line == "```":
			in = false
		case in:
			blocks[len(blocks)-1].text += line + "\n"
		}
	}
	return blocks
}

func parseExample(t *testing.T, b block) *example {
	t.Helper()
	e := &example{line: b.line, header: http.Header{}}
	head, body, _ := strings.Cut(b.text, "\n\n")
	e.body = strings.TrimSuffix(body, "\n")
	for i, line := range strings.Split(strings.TrimSpace(head), "\n") {
		if i > 0 {
			name, value, found := strings.Cut(line, ": ")
			if !found {
				t.Fatalf("line %d: no header: %q", b.line+i, line)
			}
			e.header.Set(name, value)
			continue
		}
		if _, err := fmt.Sscanf(line, "%d", &e.status); err == nil {
			continue
		}
		if _, err := fmt.Sscanf(line, "%s %s", &e.method, &e.path); err != nil {
			t.Fatalf("line %d: neither a request nor an answer: %q", b.line, line)
		}
	}
	return e
}

// docsRun runs examples.
type docsRun struct {
	t        *testing.T
	url      string
	contract *contract
	lease    string // the last that was answered with
}

func (d *docsRun) run(request, want *example) {
	t := d.t
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	path := strings.ReplaceAll(request.path, "LEASE", d.lease)
	req, err := http.NewRequestWithContext(ctx, request.method, d.url+path, strings.NewReader(request.body))
	ok(t, err)
	req.Header = request.header
	stream := want.header.Get("Content-Type") == api.SSE
	if stream { // something has to happen
		time.AfterFunc(100*time.Millisecond, func() {
			c := &api.Client{URL: d.url}
			_, _ = c.Put(ctx, "copies", api.Put{Content: api.Text("new")}, "")
		})
	}
	resp, err := (&http.Client{Transport: d.contract}).Do(req)
	ok(t, err)
	defer resp.Body.Close()
	if resp.StatusCode != want.status {
		got, _ := io.ReadAll(resp.Body)
		t.Fatalf("line %d: got %s, want %d\n%s", request.line, resp.Status, want.status, got)
	}
	for name := range want.header {
		if got := resp.Header.Get(name); got != want.header.Get(name) {
			t.Errorf("line %d: got the header %s: %q, want %q", want.line, name, got, want.header.Get(name))
		}
	}
	var got string
	if stream {
		in := bufio.NewReader(resp.Body)
		for range strings.Count(want.body, "\n") + 1 {
			line, err := in.ReadString('\n')
			ok(t, err)
			got += line
		}
	} else {
		b, err := io.ReadAll(resp.Body)
		ok(t, err)
		got = string(b)
	}
	d.compare(want, resp.Header.Get("Content-Type"), strings.TrimSuffix(got, "\n"))
	if m := regexp.MustCompile(`"lease":"([^"]+)"`).FindStringSubmatch(got); m != nil {
		d.lease = m[1]
	}
}

// compare compares bodies line by line, those that are JSON as values.
func (d *docsRun) compare(want *example, mediaType, got string) {
	d.t.Helper()
	if mediaType == api.Raw {
		if got != want.body {
			d.t.Errorf("line %d: got %q, want %q", want.line, got, want.body)
		}
		return
	}
	g, w := strings.Split(got, "\n"), strings.Split(want.body, "\n")
	if len(g) != len(w) {
		d.t.Fatalf("line %d: got %d lines, want %d:\n%s", want.line, len(g), len(w), got)
	}
	for i := range g {
		if strings.HasPrefix(w[i], "id: ") && strings.HasPrefix(g[i], "id: ") {
			continue
		}
		var x, y any
		if json.Unmarshal([]byte(strings.TrimPrefix(g[i], "data: ")), &x) != nil ||
			json.Unmarshal([]byte(strings.TrimPrefix(w[i], "data: ")), &y) != nil {
			if g[i] != w[i] {
				d.t.Errorf("line %d: got %q, want %q", want.line, g[i], w[i])
			}
			continue
		}
		if err := alike("", x, y); err != nil {
			d.t.Errorf("line %d: %v\n%s", want.line, err, g[i])
		}
	}
}

// different are the members that have another value each time.
var different = []string{
	"created", "age", "at", "time_left", "lease", "left", "delay_left", "oldest_ready", "oldest_ready_age", "seq",
	"version", "address", "hostname", "pid", "started", "uptime", "cpu_user", "cpu_system", "commands",
	"live", "disk", "written", "bytes", "examined",
}

// alike reports how got is not want.
func alike(at string, got, want any) error {
	name := at[strings.LastIndexByte(at, '.')+1:]
	if slices.Contains(different, name) || at == ".id" && fmt.Sprintf("%T", want) == "string" {
		if fmt.Sprintf("%T", got) != fmt.Sprintf("%T", want) {
			return fmt.Errorf("%s: got %v, want something like %v", at, got, want)
		}
		return nil
	}
	switch w := want.(type) {
	case map[string]any:
		g, _ := got.(map[string]any)
		for k := range g {
			if _, there := w[k]; !there {
				return fmt.Errorf("%s: got the member %s as well", at, k)
			}
		}
		for k := range w {
			if _, there := g[k]; !there {
				return fmt.Errorf("%s: got no member %s", at, k)
			}
			if err := alike(at+"."+k, g[k], w[k]); err != nil {
				return err
			}
		}
	case []any:
		g, _ := got.([]any)
		if len(g) != len(w) {
			return fmt.Errorf("%s: got %d values, want %d", at, len(g), len(w))
		}
		for i := range w {
			if err := alike(fmt.Sprintf("%s[%d]", at, i), g[i], w[i]); err != nil {
				return err
			}
		}
	default:
		if got != want {
			return fmt.Errorf("%s: got %v, want %v", at, got, want)
		}
	}
	return nil
}

// wantProblems complains about types of problems that the table does not have, or
// the program.
func (d *docsRun) wantProblems(text string) {
	source, err := os.ReadFile(filepath.Join("..", "internal", "api", "problem.go"))
	ok(d.t, err)
	known := map[string]bool{}
	for _, m := range regexp.MustCompile(`= "([a-z-]+)" +// (\d+)`).FindAllStringSubmatch(string(source), -1) {
		known[m[1]+" "+m[2]] = true
	}
	for _, m := range regexp.MustCompile("(?m)^\\| `([a-z-]+)` \\| (\\d+) \\|").FindAllStringSubmatch(text, -1) {
		if !known[m[1]+" "+m[2]] {
			d.t.Errorf("docs/api.md has a problem %s %s that the program has not", m[1], m[2])
		}
		delete(known, m[1]+" "+m[2])
	}
	for k := range known {
		d.t.Errorf("docs/api.md has no problem %s", k)
	}
}
