//go:build unix

package integration

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"spoked/internal/api"
)

// openConsole starts a server and a browser that looks at it.
func openConsole(t *testing.T, args ...string) (s *server, b *viewer) {
	t.Helper()
	browserPath(t)
	s, url := startHTTP(t, args...)
	return s, openBrowser(t, url)
}

// consolePages are the addresses of all pages, of a server that openShop works
// with.
func consolePages(held string) []string {
	return []string{
		"/", "/?span=24h", "/tubes", "/tubes?q=e&sort=name&dir=down", "/tube?name=webhooks&state=buried", "/tube?name=emails", "/tube?name=not-there",
		"/search?q=order-4711", "/search?q=nothing-has-this", held, held + "?view=text", held + "?view=hex", "/workers", "/workers?kind=waiting&q=newsletters",
		"/journal", "/put?tube=emails",
	}
}

// TestConsolePages opens every page while the server works: nothing is complained
// about, nothing is wider than the window, wide or narrow, and all that there is to
// read has enough contrast, light or dark.
func TestConsolePages(t *testing.T) {
	s, b := openConsole(t, "-b", t.TempDir())
	openShop(t, s.Addr, 0)
	for _, path := range consolePages(b.heldJob()) {
		b.open(path)
		if strings.HasPrefix(path, "/?") || path == "/" || strings.HasPrefix(path, "/tube?name=emails") {
			b.become(`document.querySelectorAll(".plot canvas").length === 2`)
		}
		for _, scheme := range []string{"light", "dark"} {
			b.scheme(scheme)
			for _, faint := range eval[[]string](b, faintText) {
				t.Errorf("%s, %s: too little contrast: %s", path, scheme, faint)
			}
		}
		for _, width := range []int64{1280, 390} {
			b.size(width, 844)
			if wide := eval[string](b, widest); wide != "" {
				t.Errorf("%s: wider than a window of %d pixels: %s", path, width, wide)
			}
			if path == "/tubes" || strings.HasPrefix(path, "/job/") {
				b.become(`document.querySelectorAll("main a, main button").length > 5`)
			}
		}
		b.size(1280, 900)
		if n := eval[int](b, `document.querySelectorAll("h1").length`); n != 1 {
			t.Errorf("%s: got %d first headings, want one", path, n)
		}
		if bare := eval[string](b, nameless); bare != "" {
			t.Errorf("%s: without a name: %s", path, bare)
		}
	}
}

// widest finds what makes a page wider than its window.
const widest = `(() => {
	const w = document.documentElement.clientWidth;
	if (document.documentElement.scrollWidth <= w) return "";
	const e = [...document.querySelectorAll("main *, header *")].find(e => e.getBoundingClientRect().right > w + 1 && !e.closest(".scroll,.vlist,pre"));
	return e ? e.outerHTML.slice(0, 200) : "something, " + document.documentElement.scrollWidth;
})()`

// nameless finds a button, link or field that says nothing to who cannot see it.
const nameless = `[...document.querySelectorAll("a,button,input:not([type=hidden]),textarea")].filter(e => e.offsetParent && !(e.innerText||"").trim() &&
	!e.getAttribute("aria-label") && !e.title && !(e.labels && e.labels.length) && !e.querySelector("img[alt]")).map(e => e.outerHTML.slice(0,120)).join(" ")`

// faintText finds text with less contrast than WCAG 2.2 asks for at level AA.
const faintText = `(() => {
	const rgb = s => { const m = s.match(/[\d.]+/g).map(Number); return {c: m.slice(0,3), a: m.length > 3 ? m[3] : 1}; };
	const lum = c => { const [r,g,b] = c.map(v => { v /= 255; return v <= .04045 ? v/12.92 : ((v+.055)/1.055)**2.4; }); return .2126*r+.7152*g+.0722*b; };
	const back = e => { for (; e; e = e.parentElement) { const b = rgb(getComputedStyle(e).backgroundColor); if (b.a > .99) return b.c; } return [255,255,255]; };
	const bad = new Set(), walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
	for (let n; n = walk.nextNode();) {
		const e = n.parentElement;
		if (!n.textContent.trim() || !e.offsetParent || e.closest("button:disabled,.unseen,.skip,noscript,datalist,script")) continue;
		const s = getComputedStyle(e), size = parseFloat(s.fontSize), large = size >= 24 || size >= 18.66 && s.fontWeight >= 700;
		const [x, y] = [lum(rgb(s.color).c), lum(back(e))], ratio = (Math.max(x,y)+.05)/(Math.min(x,y)+.05);
		if (ratio < (large ? 3 : 4.5)) bad.add(n.textContent.trim().slice(0,40) + " (" + ratio.toFixed(2) + ")");
	}
	return [...bad];
})()`

// TestConsoleWeight adds up what a browser fetches for a page.
func TestConsoleWeight(t *testing.T) {
	s, base := startHTTP(t)
	c := connect(t, s)
	for i := range 300 {
		c.ask(fmt.Sprintf("use a-tube-with-some-name-%d\r\n", i), fmt.Sprintf("USING a-tube-with-some-name-%d\r\n", i))
		c.put(strings.Repeat("body ", 30))
	}
	fetch := func(path string) (n int, text string) {
		t.Helper()
		r, err := http.NewRequest("GET", base+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Accept-Encoding", "gzip") // so that it is not undone
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode != http.StatusOK {
			t.Fatalf("%s: %s, %v", path, resp.Status, err)
		}
		plain, err := http.Get(base + path)
		if err != nil {
			t.Fatal(err)
		}
		defer plain.Body.Close()
		whole, _ := io.ReadAll(plain.Body)
		return len(b), string(whole)
	}
	for end := time.Now().Add(patience); ; time.Sleep(time.Millisecond) { // until there is a sample of the tubes
		if _, page := fetch("/tubes"); strings.Contains(page, "a-tube-with-some-name-") {
			break
		}
		if time.Now().After(end) {
			t.Fatal("the tubes are not on their page")
		}
	}
	for _, path := range []string{"/", "/tubes", "/tube?name=a-tube-with-some-name-7", "/search?q=body", "/workers", "/journal", "/put"} {
		sum, page := fetch(path)
		assets := regexp.MustCompile(`(?:src|href)="(/assets/[^"]+)"`).FindAllStringSubmatch(page, -1)
		if len(assets) < 6 {
			t.Fatalf("%s: got %d assets", path, len(assets))
		}
		seen := map[string]bool{}
		for _, a := range assets {
			if !seen[a[1]] {
				seen[a[1]] = true
				n, _ := fetch(a[1])
				sum += n
			}
		}
		if most := 200_000; sum > most {
			t.Errorf("%s: %d bytes over the wire, more than %d", path, sum, most)
		} else {
			t.Logf("%s: %d bytes over the wire", path, sum)
		}
		if strings.Contains(page, "://") && regexp.MustCompile(`(?:src|href)="[a-z]*:?//`).MatchString(page) {
			t.Errorf("%s fetches from elsewhere", path)
		}
	}
}

// TestConsoleShowsWhatIsThere has bodies and names be shown as they are, whatever
// they would be in a page.
func TestConsoleShowsWhatIsThere(t *testing.T) {
	s, b := openConsole(t)
	c := connect(t, s)
	evil := `<script>document.title="owned"</script><img src=x onerror="document.title='owned'"><hx-partial hx-target="body">{{.}}</hx-partial>"'` + "`</pre></textarea>"
	id := c.put(evil)
	for _, view := range []string{"", "?view=text", "?view=hex"} {
		b.open(fmt.Sprintf("/job/%d%s", id, view))
		if view != "?view=hex" && b.text("pre.body") != evil {
			t.Errorf("got the body %q, want %q", b.text("pre.body"), evil)
		}
		b.become(`document.title.startsWith("Job") && !document.querySelector("main img")`)
	}
	b.open("/tube?name=default")
	b.until(".vlist", "<script>")
	b.become(`document.title.startsWith("default") && !document.querySelector("main img")`)
	b.open("/search?q=" + url.QueryEscape(`<script>`))
	b.until("h1", "<script>")
	b.until(".vlist", "<script>")

	for _, name := range []string{"0-+/;.$_()aZ9", "..", ".", "/", "//x/../y", "(a)", ";", "$(x)", strings.Repeat("x", 200)} {
		c.ask("use "+name+"\r\n", "USING "+name+"\r\n")
		id := c.put("in a tube called " + name)
		b.open(fmt.Sprintf("/job/%d", id))
		b.run("go to the tube", clickOn(`dl.facts a.mono`))
		b.until("h1", name)
		b.until(".vlist", "in a tube called")
		b.clickText(`@class="deeds"`, "Clear…")
		b.until("#dialog", "1 ready")
		b.click("#dialog button.main")
		b.until(".notice", "1 job deleted from "+name)
		b.until("h1", name)
	}

	id = c.put("\x00\x01\x02\xff")
	b.open(fmt.Sprintf("/job/%d", id))
	b.until("pre.body", "00 01 02 ff")
	b.open(fmt.Sprintf("/job/%d?view=text", id))
	b.until("pre.body", "␀␁␂�")
	resp, err := http.Get(b.url + fmt.Sprintf("/job/%d/body", id))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	want(t, "the body that is downloaded", string(body), "\x00\x01\x02\xff")
	want(t, "its type", resp.Header.Get("Content-Type"), "application/octet-stream")
	want(t, "what it is", resp.Header.Get("Content-Disposition"), fmt.Sprintf(`attachment; filename="job-%d"`, id))
	b.open(fmt.Sprintf("/job/%d", c.put(`{"a":[1,{"b":"<b>"}]}`)))
	b.until("pre.body", "{\n  \"a\": [\n    1,\n    {\n      \"b\": \"<b>\"")
}

// TestConsoleLive has a page tell what happens while it is open, also after the
// server was away.
func TestConsoleLive(t *testing.T) {
	dir := t.TempDir()
	browserPath(t)
	s, base := startHTTP(t, "-b", dir)
	b := openBrowser(t, base)
	b.expected = []string{"ERR_CONNECTION_REFUSED", "ERR_INCOMPLETE", "ERR_CONNECTION_RESET", "503", "Failed to fetch", "network error", "ERR_EMPTY"}
	c := connect(t, s)
	b.open("/")
	b.until("#totals", "Ready\n0")
	c.put("one")
	b.until("#totals", "Ready\n1")
	b.until("#trouble", "no workers")

	// While nobody can see the page, it has no stream.
	hidden := `(Object.defineProperty(document, "hidden", {get: () => %v, configurable: true}), document.dispatchEvent(new Event("visibilitychange")))`
	eval[bool](b, fmt.Sprintf(hidden, true))
	b.become(`!document.querySelector("#live")._htmx.sse.reader`)
	c.put("unseen")
	eval[bool](b, fmt.Sprintf(hidden, false))
	b.until("#totals", "Ready\n2")

	stay := eval[float64](b, `window.stay = Math.random()`)
	s.ending.Store(true)
	s.signal(t, os.Interrupt)
	<-s.ended
	b.until("#link", "No connection")
	again, _ := startHTTP(t, "-b", dir, "--http", strings.TrimPrefix(base, "http://"))
	b.become(`document.querySelector("#link").hidden`)
	connect(t, again).put("after")
	b.until("#totals", "Ready\n3")
	if got := eval[float64](b, `window.stay`); got != stay {
		t.Error("the page was loaded again")
	}
}

// TestConsoleRights has a token be asked for, and lets each do what it may.
func TestConsoleRights(t *testing.T) {
	tokens := filepath.Join(t.TempDir(), "tokens")
	lines := tokenLine("read", "looker", "look-token") + tokenLine("produce", "putter", "put-token") + tokenLine("work", "worker", "work-token") + tokenLine("admin", "boss", "boss-token")
	if err := os.WriteFile(tokens, []byte(lines), 0o600); err != nil {
		t.Fatal(err)
	}
	s, b := openConsole(t, "--http-token-file", tokens)
	b.expected = []string{"401", "403"}
	id := connect(t, s).put("a job")
	job := fmt.Sprintf("/job/%d", id)

	b.open(job)
	b.until("h1", "Sign in")
	b.enter("[name=token]", "wrong")
	b.until(".wrong", "no token")
	b.enter("[name=token]", "look-token")
	b.until("h1", fmt.Sprintf("Job %d", id))
	if c := eval[string](b, `document.cookie`); strings.Contains(c, "token") {
		t.Errorf("a script can read the cookie %q", c)
	}
	buttons := `[...document.querySelectorAll("main form[method=post], main .deeds button, main .chosen, main .acts button, .top a[href='/put']")].map(e => e.outerHTML.slice(0, 100)).join(" ")`
	for _, path := range []string{"/", "/tubes", "/tube?name=default", job, "/workers", "/journal"} {
		b.open(path)
		want(t, "what who may look can press on "+path, eval[string](b, buttons), "")
	}
	b.open("/put")
	b.until("h1", "Not allowed")
	b.click(`form[action="/logout"] button`)
	b.until("h1", "Sign in")

	b.enter("[name=token]", "put-token")
	b.until("h1", "Overview")
	b.open("/put")
	b.until("h1", "Put a job")
	b.open("/tubes")
	want(t, "what who may put can press", eval[int](b, `document.querySelectorAll("main button").length`), 0)

	post := func(token, path string, header ...string) int {
		t.Helper()
		r, _ := http.NewRequest("POST", b.url+path, strings.NewReader(url.Values{"id": {fmt.Sprint(id)}, "tube": {"default"}, "states": {"ready"}, "body": {"x"}, "for": {"1m"}}.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		if token != "" {
			r.AddCookie(&http.Cookie{Name: "spoked_token", Value: token})
		}
		for i := 0; i+1 < len(header); i += 2 {
			r.Header.Set(header[i], header[i+1])
		}
		resp, err := http.DefaultTransport.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp.StatusCode
	}
	for _, path := range []string{"/do/delete", "/do/clear", "/do/pause", "/do/drain", "/ask/delete", "/put"} {
		want(t, path+" without a token", post("", path), http.StatusUnauthorized)
		want(t, path+" with one that is none", post("wrong", path), http.StatusUnauthorized)
		want(t, path+" of who may look", post("look-token", path), http.StatusForbidden)
		want(t, path+" of a worker", post("work-token", path), http.StatusForbidden)
		want(t, path+" from another site", post("boss-token", path, "Sec-Fetch-Site", "cross-site"), http.StatusForbidden)
		want(t, path+" from another origin", post("boss-token", path, "Origin", "https://example.com"), http.StatusForbidden)
		if path != "/put" {
			want(t, path+" of who may put", post("put-token", path), http.StatusForbidden)
		}
	}
	a := &api.Client{URL: b.url, Token: "look-token"}
	if _, err := a.Job(context.Background(), uint64(id)); err != nil {
		t.Errorf("after all that was refused: %v", err)
	}
	want(t, "to delete, of who may", post("boss-token", "/do/delete"), http.StatusSeeOther)
	if _, err := a.Job(context.Background(), uint64(id)); err == nil {
		t.Error("the job is there, though it was deleted")
	}
}
