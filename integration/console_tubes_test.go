//go:build unix

package integration

import (
	"bufio"
	"fmt"
	"net"
	"testing"
)

// TestConsoleManyTubes opens pages of a server with ten thousand tubes, sorts them,
// filters them and goes to the next of them. How soon the first is painted is told,
// and not asserted.
func TestConsoleManyTubes(t *testing.T) {
	s, b := openConsole(t)
	const n = 10_000
	c, err := net.Dial("tcp", s.Addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	go func() {
		w := bufio.NewWriter(c)
		for i := range n {
			fmt.Fprintf(w, "use tube-%05d\r\nput 0 0 60 1\r\nx\r\n", i)
		}
		fmt.Fprintf(w, "use tube-00777\r\nput 0 0 60 1\r\nx\r\n")
		_ = w.Flush()
	}()
	in := bufio.NewReader(c)
	for range 2*n + 2 {
		if _, err := in.ReadString('\n'); err != nil {
			t.Fatal(err)
		}
	}
	b.open("/")
	b.until("#trouble .head", "All 10,001 tubes")
	await(t, func() error { // until each has been looked at
		b.open("/tubes?q=tube-&sort=name")
		if got := b.text(".pager"); got[:min(len(got), 7)] != "10,000 " {
			return fmt.Errorf("got %q", got)
		}
		return nil
	})
	for _, path := range []string{"/", "/tubes", "/tube?name=tube-00777", "/workers"} {
		b.open(path)
		b.become(`performance.getEntriesByName("first-contentful-paint").length > 0`)
		t.Logf("%s: painted after %.0f ms", path, eval[float64](b, `performance.getEntriesByName("first-contentful-paint")[0].startTime`))
	}
	names := `[...document.querySelectorAll(".tubes td.name a")].map(a => a.innerText)`
	b.open("/tubes")
	b.become(`(a => a.length === 100 && a[0] === "tube-00777")(` + names + `)`) // has most
	b.run("sort by name", clickOn("th.c-name a"))
	b.become(`(a => a.length === 100 && a[0] === "default" && a[99] === "tube-00098")(` + names + `)`)
	b.clickText(`@class="pager"`, "Next")
	b.become(`(a => a.length === 100 && a[0] === "tube-00099")(` + names + `)`)
	b.run("the other end", clickOn("th.c-name a"))
	b.become(`(a => a.length === 100 && a[0] === "tube-09999")(` + names + `)`)
	b.run("filter", clickOn("[data-filter]"), typeMore("7777"))
	b.become(`(a => a.length === 1 && a[0] === "tube-07777")(` + names + `)`)
	b.become(`new URLSearchParams(location.search).get("sort") === "name"`)
	// What is live goes on with what is shown.
	connect(t, s).ask("use tube-07777\r\n", "USING tube-07777\r\n")
	fill(t, s.Addr, "tube-07777", 41, func(int) string { return "y" })
	b.until(".tubes tbody", "42")
	b.become(`(a => a.length === 1 && a[0] === "tube-07777")(` + names + `)`)
}
