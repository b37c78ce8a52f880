package console

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// stream is the stream of a page.
type stream struct {
	t    *testing.T
	in   *bufio.Reader
	stop context.CancelFunc
}

func openStream(t *testing.T, url, token string) *stream {
	t.Helper()
	ctx, stop := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(stop)
	r, err := http.NewRequestWithContext(ctx, "GET", url, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.AddCookie(&http.Cookie{Name: tokenCookie, Value: token})
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { resp.Body.Close() })
	if got := resp.Header.Get("Content-Type"); resp.StatusCode != http.StatusOK || got != "text/event-stream" {
		t.Fatalf("%s: got %s, %s", url, resp.Status, got)
	}
	return &stream{t, bufio.NewReader(resp.Body), stop}
}

// next returns the next event, and false at the end.
func (s *stream) next() (data string, ok bool) {
	s.t.Helper()
	for {
		line, err := s.in.ReadString('\n')
		switch {
		case err == io.EOF:
			return "", false
		case err != nil:
			s.t.Fatal(err)
		case line == "\n" && data != "":
			return data, true
		case strings.HasPrefix(line, "data: "):
			data += line[len("data: "):]
		case line != "\n" && line[0] != ':':
			s.t.Fatalf("got the line %q", line)
		}
	}
}

func TestLive(t *testing.T) {
	s := newStage(t, true)
	server := httptest.NewServer(s.h)
	defer server.Close()
	s.put("a", "x")

	open := openStream(t, server.URL+"/live/tubes", "look")
	for {
		data, ok := open.next()
		if !ok {
			t.Fatal("the stream has ended")
		}
		if strings.Contains(data, `id="tube-a"`) {
			if strings.Contains(data, "<button") {
				t.Error("who may look gets buttons")
			}
			break
		}
	}
	boss := openStream(t, server.URL+"/live/tubes", "admin")
	if data, _ := boss.next(); !strings.Contains(data, "<button") {
		t.Error("who may do everything gets no buttons")
	}
	// A body that says it is an event is none.
	s.put("b", "\n\ndata: evil\n\n")
	job := openStream(t, server.URL+"/live/job?id=2", "look")
	if data, _ := job.next(); !strings.Contains(data, "/tube?name=b") || strings.Contains(data, "evil") {
		t.Errorf("got %s", data)
	}
	gone := openStream(t, server.URL+"/live/job?id=99", "look")
	if data, _ := gone.next(); !strings.Contains(data, "This job is gone.") {
		t.Errorf("got %s", data)
	}
	for _, path := range []string{"/live/none", "/live/put", "/live/tube?name=-x"} {
		if got := s.ask(path, "look", nil).StatusCode; got/100 != 4 {
			t.Errorf("%s: got %d", path, got)
		}
	}

	// The streams end with what they need: the pages that read them, and the manager.
	open.stop()
	boss.stop()
	s.h.core.Load().manager.Stop()
	for _, k := range []*stream{job, gone} {
		for {
			if _, ok := k.next(); !ok {
				break
			}
		}
	}
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		s.h.frames.mu.Lock()
		n, watchers := len(s.h.frames.of), s.h.frames.watchers
		s.h.frames.mu.Unlock()
		if n == 0 && watchers == 0 {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("%d parts and %d streams are left", n, watchers)
		}
	}
}

// TestEventIsOnLines has no part of what is sent begin a line of its own.
func TestEventIsOnLines(t *testing.T) {
	got := string(event([]byte("<p>\n  a\r\n\n event: x\n</p>")))
	if want := "data: <p>\ndata: a\ndata: event: x\ndata: </p>\n\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
