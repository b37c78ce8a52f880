//go:build unix

package integration

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// viewer is a page of a real browser, in which somebody looks at the console.
// Whatever the page complains about is an error of the test.
type viewer struct {
	ctx    context.Context
	t      testing.TB
	url    string // of the server
	clicks int

	mu         sync.Mutex
	complaints []string
	expected   []string // parts of complaints that are none
}

// browserPath returns the path of chromium, without which the test is skipped.
func browserPath(t testing.TB) string {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("no chromium on PATH; on Debian, apt-get install chromium")
	}
	return path
}

// openBrowser starts a browser, which the end of the test closes.
func openBrowser(t testing.TB, url string) *viewer {
	t.Helper()
	opts := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(browserPath(t)), chromedp.WindowSize(1280, 900), chromedp.UserDataDir(t.TempDir()),
		chromedp.Flag("hide-scrollbars", true), chromedp.Flag("force-color-profile", "srgb"), chromedp.Flag("lang", "en-US"),
		chromedp.Env("TZ=UTC", "HOME="+os.TempDir()))
	if os.Getuid() == 0 {
		opts = append(opts, chromedp.NoSandbox)
	}
	ctx, stop := chromedp.NewExecAllocator(context.Background(), opts...)
	t.Cleanup(stop)
	ctx, end := chromedp.NewContext(ctx)
	t.Cleanup(end)
	ctx, late := context.WithTimeout(ctx, 8*time.Minute)
	t.Cleanup(late)
	b := &viewer{ctx: ctx, t: t, url: url}
	b.begin()
	t.Cleanup(b.check)
	return b
}

// begin has the browser be there, and listens to its complaints.
func (b *viewer) begin() {
	b.t.Helper()
	if err := chromedp.Do(b.ctx, chromedp.Navigate("about:blank")); err != nil {
		b.t.Fatalf("chromium: %v", err)
	}
	entries, thrown, calls := chromedp.Events(b.ctx, log.EntryAdded), chromedp.Events(b.ctx, runtime.ExceptionThrown), chromedp.Events(b.ctx, runtime.ConsoleAPICalled)
	go func() {
		for ev, err := range entries {
			if err != nil {
				return
			}
			if ev.Entry.Level == log.EntryLevelError || strings.Contains(ev.Entry.Text, "Content Security Policy") {
				b.hear(ev.Entry.Text + " " + ev.Entry.URL)
			}
		}
	}()
	go func() {
		for ev, err := range thrown {
			if err != nil {
				return
			}
			b.hear(fmt.Sprintf("%s %+v", ev.ExceptionDetails.Text, ev.ExceptionDetails.Exception))
		}
	}()
	go func() {
		for ev, err := range calls {
			if err != nil {
				return
			}
			if ev.Type == runtime.ConsoleAPICalledTypeError {
				text := ""
				for _, a := range ev.Args {
					text += string(a.Value) + a.Description + " "
				}
				b.hear(text)
			}
		}
	}()
	b.run("listen", chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, log.Enable, cdp.Empty{})
		return err
	}))
}

// hear takes what the page complains about.
func (b *viewer) hear(text string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.complaints = append(b.complaints, text)
}

// check fails the test if the page has complained.
func (b *viewer) check() {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, c := range b.complaints {
		known := false
		for _, e := range b.expected {
			known = known || strings.Contains(c, e)
		}
		if !known {
			b.t.Errorf("the page complains: %s", c)
		}
	}
	b.complaints = nil
}

// run does it, or ends the test.
func (b *viewer) run(what string, actions ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, 20*time.Second)
	defer cancel()
	if err := chromedp.Do(ctx, actions...); err != nil {
		at, _ := chromedp.Run(b.ctx, chromedp.Location())
		page, _ := chromedp.Run(b.ctx, chromedp.Evaluate[string]("document.body.innerText"))
		b.t.Fatalf("%s: %v\nat %s:\n%.3000s", what, err, at, page)
	}
}

// open goes to an address of the server.
func (b *viewer) open(path string) {
	b.t.Helper()
	b.run("open "+path, chromedp.Navigate(b.url+path), chromedp.WaitReady(chromedp.CSS("footer")))
}

// click clicks on what a selector finds, and counts that.
func (b *viewer) click(selector string) {
	b.t.Helper()
	b.clicks++
	b.run("click "+selector, chromedp.WaitVisible(chromedp.CSS(selector)), chromedp.Click(chromedp.CSS(selector)))
}

// clickText clicks on a link or button with that text inside what a selector finds.
func (b *viewer) clickText(within, text string) {
	b.t.Helper()
	b.clicks++
	path := fmt.Sprintf(`//*[%s]//*[(self::a or self::button) and contains(normalize-space(.), %q)]`, within, text)
	b.run("click "+text, chromedp.WaitVisible(path), chromedp.Click(path))
}

// enter writes text into a field, and ends it with Enter; without a click.
func (b *viewer) enter(selector, text string) {
	b.t.Helper()
	b.run("enter "+text, chromedp.WaitVisible(chromedp.CSS(selector)), chromedp.Focus(chromedp.CSS(selector)),
		chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
			_, err := cdp.Call(ctx, t, input.InsertText, input.InsertTextParams{Text: text})
			return err
		}), chromedp.KeyEvent("\r"))
}

// press presses keys, one after the other, as a keyboard would: what a page does not
// want to be typed is not.
func (b *viewer) press(keys string) {
	b.t.Helper()
	b.become(`document.readyState === "complete"`) // its scripts have run
	for _, k := range keys {
		ev := input.DispatchKeyEventParams{Type: input.DispatchKeyEventTypeKeyDown, Key: string(k), Text: string(k)}
		switch k {
		case '\r':
			ev.Key, ev.Code, ev.WindowsVirtualKeyCode = "Enter", "Enter", 13
		case '\t':
			ev.Key, ev.Code, ev.WindowsVirtualKeyCode, ev.Text = "Tab", "Tab", 9, ""
		case '\x1b':
			ev.Key, ev.Code, ev.WindowsVirtualKeyCode, ev.Text = "Escape", "Escape", 27, ""
		}
		b.run("press "+ev.Key, chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
			_, err := cdp.Call(ctx, t, input.DispatchKeyEvent, ev)
			ev.Type, ev.Text = input.DispatchKeyEventTypeKeyUp, ""
			_, up := cdp.Call(ctx, t, input.DispatchKeyEvent, ev)
			return errors.Join(err, up)
		}))
	}
}

// text returns the text of what a selector finds.
func (b *viewer) text(selector string) string {
	b.t.Helper()
	return get(b, "text of "+selector, chromedp.Text(chromedp.CSS(selector)))
}

// get does an action that returns something, or ends the test.
func get[T any](b *viewer, what string, a chromedp.Action[T]) T {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, 20*time.Second)
	defer cancel()
	v, err := chromedp.Run(ctx, a)
	if err != nil {
		b.t.Fatalf("%s: %v", what, err)
	}
	return v
}

// eval evaluates an expression in the page.
func eval[T any](b *viewer, expression string) T {
	b.t.Helper()
	return get(b, expression, chromedp.Evaluate[T](expression))
}

// until waits until the page has text in what a selector finds.
func (b *viewer) until(selector, text string) {
	b.t.Helper()
	last := ""
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		got, err := chromedp.Run(b.ctx, chromedp.Evaluate[string](fmt.Sprintf(`(document.querySelector(%q)||{}).innerText||""`, selector)))
		if last = got; err == nil && strings.Contains(got, text) {
			return
		}
	}
	b.t.Fatalf("got %.2000q in %s, want %q in it", last, selector, text)
}

// become waits until an expression is true in the page.
func (b *viewer) become(expression string) {
	b.t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if is, err := chromedp.Run(b.ctx, chromedp.Evaluate[bool](expression)); err == nil && is {
			return
		}
	}
	b.t.Fatalf("waited in vain for %s in %.2000s", expression, b.text("main"))
}

// scheme has the page be light or dark.
func (b *viewer) scheme(name string) {
	b.run("be "+name, chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: name}},
		})
		return err
	}))
}

// size has the window have a size.
func (b *viewer) size(width, height int64) {
	b.run("resize", chromedp.EmulateViewport(width, height))
}

// tokenLine is a line of a file of tokens.
func tokenLine(role, name, token string) string {
	return fmt.Sprintf("%s %x %s\n", role, sha256.Sum256([]byte(token)), name)
}

// clickOn clicks on what a selector finds, and is not counted.
func clickOn(selector string) chromedp.Action[chromedp.Void] {
	return chromedp.Steps(chromedp.WaitVisible(chromedp.CSS(selector)), chromedp.Click(chromedp.CSS(selector)))
}

// typeInto has a field have this text instead of what is in it.
func typeInto(selector, text string) chromedp.Action[chromedp.Void] {
	return chromedp.Steps(chromedp.WaitVisible(chromedp.CSS(selector)), chromedp.Focus(chromedp.CSS(selector)),
		chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
			_, err := chromedp.Evaluate[bool]("(document.activeElement.select(), true)")(ctx, t)
			return err
		}), typeMore(text))
}

// typeMore types where the focus is.
func typeMore(text string) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, input.InsertText, input.InsertTextParams{Text: text})
		return err
	})
}

// scrollTo scrolls to what a selector finds.
func scrollTo(selector string) chromedp.Action[chromedp.Void] {
	return chromedp.ScrollIntoView(chromedp.CSS(selector))
}
