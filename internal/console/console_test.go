package console

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"spoked/internal/history"
	"spoked/internal/journal"
	"spoked/internal/manage"
	"spoked/queue"
)

// stage is a console of an engine that no server serves.
type stage struct {
	t  *testing.T
	mu sync.Mutex
	e  *queue.Engine
	c  *queue.Client
	h  *Handler
}

func (s *stage) Do(f func(e *queue.Engine, now int64)) uint64 {
	s.View(f)
	return 0
}

func (s *stage) View(f func(e *queue.Engine, now int64)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now().UnixNano()
	s.e.Advance(now, 1<<20)
	f(s.e, now)
	s.e.TakeWakes(func(w queue.Wake) {
		if g, ok := w.Client.Data.(interface{ Woken(int64, queue.Wake) }); ok {
			g.Woken(now, w)
		}
	})
}

func (s *stage) Newest() uint64 { return 0 }

func (s *stage) Await(context.Context, uint64) error { return nil }

func (s *stage) Fetch(context.Context, queue.Job) ([]byte, error) { return nil, queue.ErrNotFound }

// newStage opens a console, in which the token "admin" may do everything, "put"
// put, and "look" look; without tokens, everybody may do everything.
func newStage(t *testing.T, tokens bool) *stage {
	t.Helper()
	s := &stage{t: t, e: queue.New(time.Now().UnixNano())}
	s.c = s.e.Connect()
	hist := history.New(s)
	h, err := New(Options{
		History: hist, Version: "0.0.0", Address: func() string { return "127.0.0.1:1" }, Started: time.Now(), MaxJobSize: 1000,
		Who: func(token string) (Rights, bool, bool) {
			switch token {
			case "admin":
				return Rights{"boss", true, true}, true, tokens
			case "put":
				return Rights{"putter", true, false}, true, tokens
			case "look":
				return Rights{"looker", false, false}, true, tokens
			}
			return Rights{}, false, tokens
		},
		Session: func(data any) uint64 {
			if _, ok := data.(string); ok {
				return 7
			}
			return 0
		},
		Remote:     func(data any) string { return data.(string) },
		Journal:    func() *journal.Figures { return &journal.Figures{LastSync: time.Now()} },
		JournalDir: "/var/lib/spoked", Sync: "now and then", SegmentSize: 1 << 20,
		Failed: func(r *http.Request, err error) { t.Errorf("%s: %v", r.URL, err) },
	})
	if err != nil {
		t.Fatal(err)
	}
	s.h = h
	h.Open(s, manage.New(s, manage.Options{}))
	s.c.Data = "192.0.2.1:5"
	changed := hist.Changed()
	ctx, cancel := context.WithCancel(context.Background())
	go hist.Run(ctx)
	t.Cleanup(cancel)
	<-changed
	return s
}

func (s *stage) put(tube, body string) (id uint64) {
	s.t.Helper()
	s.View(func(e *queue.Engine, now int64) {
		e.Use(s.c, []byte(tube))
		d, err := e.Begin(now, s.c, 100, 0, time.Minute, uint32(len(body)))
		if err == nil {
			copy(e.Body(&d), body)
			id, err = e.Insert(now, &d)
		}
		if err != nil {
			s.t.Error(err)
		}
	})
	return id
}

// ask makes a request. A form, if there is one, is sent with POST.
func (s *stage) ask(path, token string, form url.Values, header ...string) *http.Response {
	s.t.Helper()
	method, body := http.MethodGet, io.Reader(nil)
	if form != nil {
		method, body = http.MethodPost, strings.NewReader(form.Encode())
	}
	r := httptest.NewRequest(method, path, body)
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if token != "" {
		r.AddCookie(&http.Cookie{Name: tokenCookie, Value: token})
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	s.h.ServeHTTP(w, r)
	return w.Result()
}

func text(t *testing.T, r *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestPagesKeepThePolicy has no page need more than what the policy allows, and
// show a hostile body and hostile parameters as text.
func TestPagesKeepThePolicy(t *testing.T) {
	s := newStage(t, false)
	evil := `<script>alert(1)</script>"'><img src=x onerror=alert(1)>`
	id := s.put("evil", evil)
	hostile := url.QueryEscape(evil)
	quoted := regexp.MustCompile(`"[^"]*"`) // values of attributes, in which anything may be
	inPage := regexp.MustCompile(`(?i)<style|<[a-z][^>]*\sstyle=|<script(?:>|[^>]*>[^<])|<[a-z][^>]*\son[a-z]+=|<[a-z][^>]*javascript:|<img src=x|hx-on`)
	for _, path := range []string{
		"/", "/?span=" + hostile, "/tubes", "/tubes?q=" + hostile + "&sort=" + hostile, "/tube?name=evil", "/tube?name=evil&state=" + hostile + "&contains=" + hostile,
		"/tube?name=" + hostile, "/search?q=" + hostile, fmt.Sprintf("/job/%d", id), fmt.Sprintf("/job/%d?view=text", id), fmt.Sprintf("/job/%d?view=hex", id),
		"/job/99", "/job/x", "/workers?q=" + hostile, "/worker?id=7", "/worker?id=8", "/journal", "/put?tube=" + hostile, "/login?next=" + hostile, "/nothing",
		"/rows?tube=evil", "/rows?contains=" + hostile, "/rows?after=x",
	} {
		r := s.ask(path, "", nil)
		page := quoted.ReplaceAllString(text(t, r), `""`)
		if got := r.Header.Get("Content-Security-Policy"); got != policy {
			t.Errorf("%s: got the policy %q", path, got)
		}
		if bad := inPage.FindString(page); bad != "" {
			t.Errorf("%s has %q in it", path, bad)
		}
		if r.StatusCode == http.StatusInternalServerError {
			t.Errorf("%s: %s", path, page)
		}
	}
}

func TestAssets(t *testing.T) {
	s := newStage(t, false)
	for name, f := range s.h.assets.files {
		path := "/assets/" + s.h.assets.version + "/" + name
		r := s.ask(path, "", nil, "Accept-Encoding", "br;q=1, gzip")
		if got := r.Header.Get("Cache-Control"); !strings.Contains(got, "immutable") || r.StatusCode != http.StatusOK {
			t.Errorf("%s: %s, Cache-Control %q", path, r.Status, got)
		}
		if zipped := r.Header.Get("Content-Encoding") == "gzip"; zipped != (f.zipped != nil) {
			t.Errorf("%s: compressed %v", path, zipped)
		}
		if got := text(t, s.ask(path, "", nil, "Accept-Encoding", "gzip;q=0")); got != string(f.plain) {
			t.Errorf("%s: got %d bytes, want %d", path, len(got), len(f.plain))
		}
	}
	r := s.ask("/assets/before/console.css", "", nil)
	if got := r.Header.Get("Cache-Control"); got != "no-store" || r.StatusCode != http.StatusOK {
		t.Errorf("another version: %s, Cache-Control %q", r.Status, got)
	}
	for _, path := range []string{"/assets/x/none.js", "/assets/x/../console.go", "/assets/x/pages/layout.html"} {
		if r := s.ask(path, "", nil); r.StatusCode == http.StatusOK {
			t.Errorf("%s: %s", path, r.Status)
		}
	}
	// What is not ours comes with its licence, and its version in its name.
	dirs, err := fs.ReadDir(files, "assets")
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range dirs {
		if !d.IsDir() {
			continue
		}
		if _, err := fs.Stat(files, "assets/"+d.Name()+"/LICENSE"); err != nil || !regexp.MustCompile(`-\d+\.\d+\.\d+$`).MatchString(d.Name()) {
			t.Errorf("assets/%s: %v", d.Name(), err)
		}
	}
}

// TestRightsOfEveryAddress asks for everything with every token.
func TestRightsOfEveryAddress(t *testing.T) {
	s := newStage(t, true)
	for _, k := range []struct {
		path                   string
		form                   bool
		none, look, put, admin int
	}{
		{"/", false, 303, 200, 200, 200},
		{"/tubes", false, 303, 200, 200, 200},
		{"/rows?tube=default", false, 303, 200, 200, 200},
		{"/points", false, 303, 200, 200, 200},
		{"/put", false, 303, 403, 200, 200},
		{"/put", true, 401, 403, 400, 400},
		{"/ask/drain", true, 401, 403, 403, 200},
		{"/do/drain", true, 401, 403, 403, 303},
		{"/do/undrain", true, 401, 403, 403, 303},
		{"/do/delete", true, 401, 403, 403, 400},
		{"/do/clear", true, 401, 403, 403, 400},
		{"/do/nothing", true, 401, 403, 403, 404},
		{"/login", false, 200, 303, 303, 303},
	} {
		for token, want := range map[string]int{"": k.none, "wrong": k.none, "look": k.look, "put": k.put, "admin": k.admin} {
			var form url.Values
			if k.form {
				form = url.Values{}
			}
			if got := s.ask(k.path, token, form).StatusCode; got != want {
				t.Errorf("%s (form %v) with %q: got %d, want %d", k.path, k.form, token, got, want)
			}
		}
	}
	if got := s.ask("/", "", nil, "Authorization", "Bearer look").StatusCode; got != 200 {
		t.Errorf("a token in a header: got %d", got)
	}
}

func TestLogin(t *testing.T) {
	s := newStage(t, true)
	r := s.ask("/tube?name=a&state=ready", "", nil)
	if got, want := r.Header.Get("Location"), "/login?next="+url.QueryEscape("/tube?name=a&state=ready"); got != want {
		t.Errorf("sent to %q, want %q", got, want)
	}
	r = s.ask("/login", "", url.Values{"token": {"look"}, "next": {"/tube?name=a"}})
	if len(r.Cookies()) != 1 || !r.Cookies()[0].HttpOnly || r.Cookies()[0].SameSite != http.SameSiteStrictMode || r.Header.Get("Location") != "/tube?name=a" {
		t.Errorf("got %v and %q", r.Cookies(), r.Header.Get("Location"))
	}
	for _, next := range []string{"//example.com", "https://example.com", `/\example.com`, "example.com", "/\r\nX: y"} {
		if got := s.ask("/login", "", url.Values{"token": {"look"}, "next": {next}}).Header.Get("Location"); got != "/" {
			t.Errorf("next %q: sent to %q", next, got)
		}
	}
	r = s.ask("/login", "", url.Values{"token": {"wrong"}})
	if len(r.Cookies()) != 0 || r.StatusCode != http.StatusUnauthorized {
		t.Errorf("a wrong token: %s, %v", r.Status, r.Cookies())
	}
	// A link from another site comes without the cookie.
	r = s.ask("/login?next=%2Ftubes", "", nil, "Sec-Fetch-Site", "cross-site")
	if got := r.Header.Get("Refresh"); got != "0; url=/login?again=1&next=%2Ftubes" {
		t.Errorf("got %q", got)
	}
	if got := s.ask("/login?again=1&next=%2Ftubes", "look", nil, "Sec-Fetch-Site", "same-origin").Header.Get("Location"); got != "/tubes" {
		t.Errorf("sent to %q", got)
	}
}

func TestCrossSiteForms(t *testing.T) {
	s := newStage(t, false)
	for _, header := range [][]string{{"Sec-Fetch-Site", "cross-site"}, {"Sec-Fetch-Site", "same-site"}, {"Origin", "https://example.org"}} {
		if got := s.ask("/do/drain", "", url.Values{}, header...).StatusCode; got != http.StatusForbidden {
			t.Errorf("%v: got %d", header, got)
		}
	}
	s.View(func(e *queue.Engine, _ int64) {
		if e.Draining() {
			t.Error("the server is draining")
		}
	})
}

// TestWithoutAScript does something with forms alone.
func TestWithoutAScript(t *testing.T) {
	s := newStage(t, false)
	id := s.put("a", "x")
	form := url.Values{"id": {fmt.Sprint(id)}, "back": {"/tube?name=a"}}
	page := text(t, s.ask("/ask/delete", "", form))
	if !strings.Contains(page, "<!doctype html>") || !strings.Contains(page, fmt.Sprintf("Delete job %d?", id)) || !strings.Contains(page, "This cannot be undone.") {
		t.Fatalf("got %s", page)
	}
	r := s.ask("/do/delete", "", form)
	if r.StatusCode != http.StatusSeeOther || r.Header.Get("Location") != "/tube?name=a" {
		t.Fatalf("got %s to %q", r.Status, r.Header.Get("Location"))
	}
	if c := r.Cookies(); len(c) != 1 || c[0].Name != noticeCookie || c[0].Value != url.QueryEscape("1 job deleted.") {
		t.Errorf("got the cookies %v", c)
	}
	if got := s.ask(fmt.Sprintf("/job/%d", id), "", nil).StatusCode; got != http.StatusNotFound {
		t.Errorf("the job: got %d", got)
	}
}

// TestStarting has pages be there before the server is.
func TestStarting(t *testing.T) {
	h, err := New(Options{History: history.New(nil), Address: func() string { return "" }})
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
	if w.Code != http.StatusServiceUnavailable || !strings.Contains(w.Body.String(), "The server is starting") {
		t.Errorf("got %d, %s", w.Code, w.Body)
	}
}
