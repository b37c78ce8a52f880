//go:build unix

package integration

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

var screenshots = flag.String("screenshots", "", "keep pictures of the console's pages, of a server that has worked for -shop, in this `directory`")
var shopTime = flag.Duration("shop", 20*time.Second, "how long the server has worked when pictures are taken")

// TestConsolePictures takes the pictures in docs/images.
func TestConsolePictures(t *testing.T) {
	if *screenshots == "" {
		t.Skip("pictures are taken with -screenshots DIR")
	}
	if err := os.MkdirAll(*screenshots, 0o755); err != nil {
		t.Fatal(err)
	}
	dir, err := filepath.Abs(*screenshots)
	if err != nil {
		t.Fatal(err)
	}
	*screenshots = dir
	t.Chdir(t.TempDir()) // so that the journal has a short name
	if err := os.Mkdir("jobs", 0o700); err != nil {
		t.Fatal(err)
	}
	s, url := startHTTP(t, "-b", "jobs", "-s", "1048576")
	shop := openShop(t, s.Addr, 8*time.Millisecond)
	b := openBrowser(t, url)
	b.open("/tube?name=webhooks") // has its history be kept
	time.Sleep(*shopTime)

	held := b.heldJob()
	for _, p := range []struct{ name, path string }{
		{"overview", "/"},
		{"tubes", "/tubes"},
		{"tube", "/tube?name=webhooks&state=buried"},
		{"search", "/search?q=order-4711"},
		{"job", held},
		{"workers", "/workers"},
		{"journal", "/journal"},
		{"put", "/put?tube=emails"},
	} {
		for _, scheme := range []string{"light", "dark"} {
			b.scheme(scheme)
			b.size(1280, 900)
			b.open(p.path)
			time.Sleep(1500 * time.Millisecond) // for the charts, and what is live
			b.picture(p.name+"-"+scheme, true)
			if scheme == "light" {
				b.size(390, 844)
				b.open(p.path)
				time.Sleep(1200 * time.Millisecond)
				b.picture(p.name+"-phone", true)
			}
		}
	}
	for _, scheme := range []string{"light", "dark"} {
		b.scheme(scheme)
		b.size(1280, 760)
		b.open("/tube?name=webhooks&state=buried&contains=timeout")
		b.click("#all")
		b.click(`[formaction="/ask/kick"]`)
		b.until("#dialog", "Kick")
		b.picture("dialog-"+scheme, false)
		b.press("\x1b")
	}
	shop.close()

	_, quiet := startHTTP(t)
	b.url = quiet
	for _, scheme := range []string{"light", "dark"} {
		b.scheme(scheme)
		b.size(1280, 760)
		for name, path := range map[string]string{"empty-overview": "/", "empty-tubes": "/tubes?q=nothing", "empty-workers": "/workers", "empty-journal": "/journal", "empty-tube": "/tube?name=default"} {
			b.open(path)
			time.Sleep(time.Second)
			b.picture(name+"-"+scheme, false)
		}
	}
	tokens := filepath.Join(t.TempDir(), "tokens")
	if err := os.WriteFile(tokens, []byte(tokenLine("read", "look", "secret-of-look")), 0o600); err != nil {
		t.Fatal(err)
	}
	_, locked := startHTTP(t, "--http-token-file", tokens)
	b.url = locked
	for _, scheme := range []string{"light", "dark"} {
		b.scheme(scheme)
		b.open("/")
		b.picture("login-"+scheme, false)
	}
}

// heldJob returns the address of a job that a worker has.
func (b *viewer) heldJob() string {
	b.t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); {
		b.open("/search?q=av1&state=reserved")
		if path := eval[string](b, `(document.querySelector("td.j-id a")||{getAttribute(){return ""}}).getAttribute("href")`); path != "" {
			return path
		}
	}
	b.t.Fatal("no worker has a job")
	return ""
}

// picture keeps a picture of the page, or of what is seen of it.
func (b *viewer) picture(name string, whole bool) {
	b.t.Helper()
	take := chromedp.CaptureScreenshot()
	if whole {
		take = chromedp.FullScreenshot(100)
	}
	png := get(b, "take a picture", take)
	file := filepath.Join(*screenshots, fmt.Sprintf("console-%s.png", name))
	if err := os.WriteFile(file, png, 0o644); err != nil {
		b.t.Fatal(err)
	}
}
