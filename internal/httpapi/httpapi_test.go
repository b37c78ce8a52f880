package httpapi

import (
	"bufio"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/goccy/go-yaml"

	"spoked/internal/api"
	"spoked/internal/manage"
)

// TestDocument compares the routes with the OpenAPI document: each has an operation
// with its role, and the reverse.
func TestDocument(t *testing.T) {
	var doc struct {
		Paths map[string]map[string]struct {
			Role string `yaml:"x-role"`
		}
	}
	if err := yaml.Unmarshal(document, &doc); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{}
	for path, ops := range doc.Paths {
		for method, op := range ops {
			want[strings.ToUpper(method)+" "+path] = op.Role
		}
	}
	for _, r := range routes() {
		name := r.method + " " + api.Prefix + r.path
		if role, ok := want[name]; !ok || role != r.role.String() {
			t.Errorf("%s: got the role %q in the document, want %q", name, role, r.role)
		}
		delete(want, name)
	}
	for name := range want {
		t.Errorf("%s: in the document, but no route", name)
	}
}

// TestTitles has every type of problem have a title and a status.
func TestTitles(t *testing.T) {
	for name, k := range kinds {
		if k.title == "" || k.status < 400 || http.StatusText(k.status) == "" {
			t.Errorf("%s: got the title %q and the status %d", name, k.title, k.status)
		}
	}
}

func TestTokens(t *testing.T) {
	hash := func(s string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(s))) }
	for _, c := range []struct{ text, want string }{
		{"# nothing\n\n  work  " + hash("x") + "  w\nread " + hash("y") + " r", ""},
		{"", "1: there is no token"},
		{"work " + hash("x"), "1: 2 words"},
		{"# one\nboss " + hash("x") + " w", `2: "boss" is no role`},
		{"anybody " + hash("x") + " w", `1: "anybody" is no role`},
		{"work " + hash("x")[1:] + " w", "is not the SHA-256"},
		{"work " + hash("x") + "00 w", "is not the SHA-256"},
		{"work xyz w", "is not the SHA-256"},
		{"work " + hash("x") + " w\nread " + hash("y") + " w", "2: the name w is that of line 1"},
	} {
		tokens, err := readTokens(strings.NewReader(c.text))
		if got := fmt.Sprint(err); c.want == "" && err != nil || c.want != "" && !strings.Contains(got, c.want) {
			t.Errorf("%q: got the error %v, want %q", c.text, err, c.want)
		}
		if err == nil {
			if got := []Role{tokens.find("x").role, tokens.find("y").role, tokens.find("").role, tokens.find("z").role}; !slices.Equal(got, []Role{Work, Read, Anybody, Anybody}) {
				t.Errorf("got the roles %v", got)
			}
		}
	}
}

func TestRoles(t *testing.T) {
	for _, c := range []struct {
		role Role
		may  []Role
	}{
		{Anybody, []Role{Anybody}},
		{Read, []Role{Anybody, Read}},
		{Produce, []Role{Anybody, Read, Produce}},
		{Work, []Role{Anybody, Read, Work}},
		{Admin, []Role{Anybody, Read, Produce, Work, Admin}},
	} {
		for r := Anybody; r <= Admin; r++ {
			if got, want := c.role.Allows(r), slices.Contains(c.may, r); got != want {
				t.Errorf("%s may do what needs %s: got %v, want %v", c.role, r, got, want)
			}
		}
	}
}

func TestLines(t *testing.T) {
	text := "one\n\n  two \r\n" + strings.Repeat("x", 50) + "\nthree\n" + strings.Repeat("y", 51) + "\n\n" + strings.Repeat("z", 100) + "\nlast"
	for name, r := range map[string]io.Reader{"whole": strings.NewReader(text), "by bytes": iotest.OneByteReader(strings.NewReader(text))} {
		l := &lines{r: bufio.NewReaderSize(r, 16), most: 51}
		var got []string
		for {
			line, err := l.next()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil && !errors.Is(err, errLong) {
				t.Fatal(err)
			}
			got = append(got, fmt.Sprint(l.n, len(line), err != nil))
		}
		if want := "1 3 false 3 3 false 4 50 false 5 5 false 6 0 true 8 0 true 9 4 false"; strings.Join(got, " ") != want {
			t.Errorf("%s: got %s, want %s", name, got, want)
		}
	}
	l := &lines{r: bufio.NewReader(io.MultiReader(strings.NewReader("cut o"), iotest.ErrReader(io.ErrUnexpectedEOF))), most: 50}
	if line, err := l.next(); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("got %q, %v, want that it is cut off", line, err)
	}
}

// TestKeys has keys be forgotten by their age and number, but not while a request
// is under way.
func TestContent(t *testing.T) {
	for _, c := range []struct {
		body string
		as   shape
		want string
	}{
		{"text", shape{bytes: maxBytes}, `{"body":"text"}`},
		{"<&>", shape{bytes: maxBytes}, `{"body":"<&>"}`},
		{"", shape{bytes: maxBytes}, `{"body":""}`},
		{` {"a": [1, "<"]}`, shape{bytes: maxBytes}, `{"body":{"a":[1,"<"]}}`},
		{` {"a": 1}`, shape{as: "text", bytes: maxBytes}, `{"body":" {\"a\": 1}"}`},
		{`{"a": 1`, shape{bytes: maxBytes}, `{"body":"{\"a\": 1"}`},
		{"12", shape{bytes: maxBytes}, `{"body":"12"}`},
		{"\xff", shape{bytes: maxBytes}, `{"base64":"/w=="}`},
		{"[\"\xff\"]", shape{bytes: maxBytes}, `{"base64":"WyL/Il0="}`},
		{"x", shape{bytes: -1}, `{}`},
	} {
		content, truncated := c.as.content([]byte(c.body), uint32(len(c.body)))
		if got := strings.TrimSpace(string(encode(content))); got != c.want || truncated {
			t.Errorf("%q: got %s, want %s", c.body, got, c.want)
		}
		if c.as.bytes > 0 && c.as.as == "text" && string(content.Bytes()) != c.body {
			t.Errorf("%q: got %q back", c.body, content.Bytes())
		}
	}
	content, truncated := shape{bytes: 4}.content([]byte("aü€")[:4], 6)
	if got := string(content.Bytes()); got != "aü" || !truncated {
		t.Errorf("got the beginning %q, %v", got, truncated)
	}
}

// TestStarting has calls be refused before there is a server to do them, and after a
// failure of the handler's own, and has mounts answer meanwhile.
func TestStarting(t *testing.T) {
	var failed error
	h := New(Options{
		Mounts: map[string]Mount{
			"/well":  {Anybody, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "well") })},
			"/panic": {Anybody, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("oops") })},
		},
		Failed: func(_ *http.Request, err error) { failed = err },
	})
	for path, want := range map[string]int{"/v1": 503, "/v1/openapi.json": 200, "/well": 200, "/nothing": 404, "/panic": 500} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
		if w.Code != want {
			t.Errorf("%s: got %d, want %d", path, w.Code, want)
		}
	}
	if failed == nil || !strings.Contains(failed.Error(), "oops") {
		t.Errorf("got the failure %v", failed)
	}
}

// TestGuard looks at who gets through to what: a page of another site to nothing that
// needs a role, and what names no host to what everybody may ask.
func TestGuard(t *testing.T) {
	mounted := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "well") })
	h := New(Options{Local: true, Mounts: map[string]Mount{"/well": {Anybody, mounted}, "/debug/": {Admin, mounted}}})
	h.Open(manage.New(newEngine(), manage.Options{}))
	for _, c := range []struct {
		path, host, site string
		want             int
	}{
		{"/well", "", "", 200},
		{"/well", "localhost", "cross-site", 200},
		{"/well", "other.example", "", 421},
		{"/debug/", "", "", 421},
		{"/debug/", "localhost:80", "", 200},
		{"/debug/", "[::1]:80", "none", 200},
		{"/debug/", "localhost", "same-origin", 200},
		{"/debug/", "localhost", "cross-site", 403},
		{"/v1", "localhost", "cross-site", 403},
		{"/v1", "localhost", "none", 200},
		{"/v1", "", "", 421},
		{"/v1/openapi.json", "", "", 421},
		{"/nothing", "", "", 421},
	} {
		w, r := httptest.NewRecorder(), httptest.NewRequest("GET", c.path, nil)
		r.Host = c.host
		if c.site != "" {
			r.Header.Set("Sec-Fetch-Site", c.site)
		}
		if h.ServeHTTP(w, r); w.Code != c.want {
			t.Errorf("%+v: got %d %s", c, w.Code, w.Body)
		}
	}
}
