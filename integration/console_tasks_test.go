//go:build unix

package integration

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/url"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"spoked/internal/api"
)

// mostClicks is how many clicks an operator needs for a task.
const mostClicks = 5

// task does what an operator has to do, from the overview on, and counts the
// clicks.
func (b *viewer) task(t *testing.T, name string, do func()) {
	t.Helper()
	b.open("/")
	b.clicks = 0
	do()
	if b.clicks > mostClicks {
		t.Errorf("%s: %d clicks, more than %d", name, b.clicks, mostClicks)
	} else {
		t.Logf("%s: %d clicks", name, b.clicks)
	}
}

// TestConsoleTasks does what an operator does at three in the morning, while the
// server works.
func TestConsoleTasks(t *testing.T) {
	s, b := openConsole(t)
	openShop(t, s.Addr, 0)
	a := &api.Client{URL: b.url}
	ctx := context.Background()
	big := 1_000_000
	if testing.Short() || raceDetector {
		big = 50_000
	}
	fill(t, s.Addr, "imports", big, func(i int) string { return fmt.Sprintf("row %d", i) })

	b.task(t, "find why a tube is stuck", func() {
		b.until("#trouble", "reports")
		b.clickText(`@id="trouble"`, "reports")
		b.until("h1", "reports")
		b.until(".why", "No worker watches it, and 480 jobs are ready.")
	})
	b.task(t, "find the job with order-4711 in its body, and delete it", func() {
		b.press("/")
		b.enter(".find input", "order-4711")
		b.until(".vlist", "order-4711")
		id := eval[string](b, `[...document.querySelectorAll(".jobs tbody.page tr")].find(r => r.innerText.includes("reports")).querySelector("td.j-id a").innerText`)
		b.click(fmt.Sprintf(`.jobs a[href="/job/%s"]`, id))
		b.until("pre.body", "order-4711")
		b.clickText(`@class="deeds"`, "Delete")
		b.until("#dialog", "Delete job "+id+"?")
		b.until("#dialog", "This cannot be undone.")
		b.click("#dialog button.main")
		b.until(".notice", "1 job deleted.")
		n, _ := strconv.ParseUint(id, 10, 64)
		if _, err := a.Job(ctx, n); err == nil {
			t.Errorf("job %s is there", id)
		}
	})
	b.task(t, "kick the 500 buried jobs whose body matches", func() {
		b.until("#trouble", "520 jobs are buried")
		b.click(`a.sign.buried[href*="webhooks"]`)
		b.until(".tabs a[aria-current]", "Buried")
		b.click(`[name="contains"].unseen, form.filter [name="contains"]`)
		b.enter(`form.filter [name="contains"]`, "timeout")
		b.until(".vlist", "timeout")
		b.click("#all")
		b.click(`[formaction="/ask/kick"]`)
		b.until("#dialog", "Kick 500 buried jobs of webhooks with “timeout” in the body?")
		b.click("#dialog button.main")
		b.until(".notice", "500 jobs kicked.")
		tube, err := a.Tube(ctx, "webhooks")
		if err != nil || tube.Jobs.Buried != 20 {
			t.Errorf("got %+v, %v, want 20 buried", tube, err)
		}
	})
	b.task(t, "empty a tube of a million", func() {
		b.clickText(`@class="top"`, "Tubes")
		b.click(`[aria-label="Clear imports"]`)
		b.until("#dialog", number(big)+" ready")
		b.click("#dialog button.main")
		b.until(".notice", number(big)+" jobs deleted from imports.")
	})
	b.task(t, "see which worker holds a job", func() {
		page, err := a.Jobs(ctx, api.JobsQuery{Tube: "renders", States: []string{"reserved"}})
		if err != nil || len(page.Jobs) != 1 {
			t.Fatalf("got %+v, %v, want a reserved job", page, err)
		}
		b.enter(".find input", fmt.Sprint(page.Jobs[0].ID))
		b.until("h1", "Job")
		b.until("main", "Reserved by 127.0.0.1:")
		b.until("main", "Time left")
		b.click(`a[href^="/worker?id="]`)
		b.until("main", "renders")
		b.until("main", "order-4709")
	})
}

func number(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// fill puts jobs into a tube.
func fill(t testing.TB, addr, tube string, n int, body func(i int) string) {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	go func() {
		w := bufio.NewWriterSize(c, 1<<16)
		fmt.Fprintf(w, "use %s\r\n", tube)
		for i := range n {
			s := body(i)
			fmt.Fprintf(w, "put 1024 0 60 %d\r\n%s\r\n", len(s), s)
		}
		_ = w.Flush()
	}()
	in := bufio.NewReaderSize(c, 1<<16)
	for i := range n + 1 {
		line, err := in.ReadString('\n')
		if err != nil || i > 0 && !strings.HasPrefix(line, "INSERTED") {
			t.Fatalf("got %q, %v", line, err)
		}
	}
}

// TestConsoleMillion scrolls through a tube of very many jobs: what is there is in
// order and without a gap, at the beginning, in the middle and at the end, and the
// page has but few of them.
func TestConsoleMillion(t *testing.T) {
	s, b := openConsole(t)
	n := 1_000_000
	if testing.Short() || raceDetector {
		n = 50_000
	}
	fill(t, s.Addr, "many", n, func(i int) string { return fmt.Sprintf("job %d of many", i+1) })
	b.open("/tube?name=many")
	ids := `[...document.querySelectorAll(".jobs tbody.page td.j-id")].map(e => Number(e.innerText))`
	contiguous := fmt.Sprintf(`(a => a.length > 0 && a.length <= 1000 && a.every((v, i) => i === 0 || v === a[i-1]+1))(%s)`, ids)
	seen := `(() => { const r = document.querySelector(".vlist").getBoundingClientRect(), at = y => Number(document.elementFromPoint(r.left+90, y).closest("tr")?.querySelector(".j-id a")?.innerText); return [at(r.top+60), at(r.bottom-30)]; })()`
	b.run("scroll to the list", scrollTo("#jobs"))
	b.become(contiguous)
	b.become(fmt.Sprintf(`(a => a[0] === 1)(%s)`, ids))

	scroll := func(to string) { b.become(fmt.Sprintf(`(document.querySelector(".vlist").scrollTop = %s, true)`, to)) }
	for i := range 12 { // down, page by page
		scroll(fmt.Sprintf(`%d`, (i+1)*1500))
		b.become(fmt.Sprintf(`(([a, b]) => a > %d && b > a && b <= a+25)(%s)`, i*1500/40, seen))
		b.become(contiguous)
	}
	for i := range 12 { // and up again
		scroll(fmt.Sprintf(`%d`, (11-i)*1500))
		b.become(fmt.Sprintf(`(([a, b]) => a > 0 && b > a && b <= a+25)(%s)`, seen))
		b.become(contiguous)
	}
	scroll("0")
	b.become(fmt.Sprintf(`(([a, b]) => a === 1 || a === 2)(%s)`, seen))
	scroll(`document.querySelector(".vlist").scrollHeight / 2`)
	b.become(fmt.Sprintf(`(([a, b]) => a > %d && a < %d && b > a)(%s)`, n*4/10, n*6/10, seen))
	b.become(contiguous)
	scroll(`document.querySelector(".vlist").scrollHeight`)
	b.become(fmt.Sprintf(`(a => a[a.length-1] === %d)(%s)`, n, ids))
	b.become(contiguous)
	scroll("0")
	b.become(fmt.Sprintf(`(([a, b]) => a === 1 || a === 2)(%s)`, seen))

	// A search that finds few goes on by itself until it is at the end.
	b.open("/tube?name=many&contains=" + url.QueryEscape(fmt.Sprintf("job %d of", n-1)))
	b.become(fmt.Sprintf(`(a => a.length === 1 && a[0] === %d)(%s)`, n-1, ids))
	b.open("/tube?name=many&contains=not-there")
	b.until("#no-jobs", "has “not-there” in its body")

	// What is chosen stays so when it is scrolled away.
	b.open("/tube?name=many")
	b.run("scroll to the list", scrollTo("#jobs"))
	b.run("choose one", clickOn(`input[name="id"][value="3"]`))
	scroll("30000")
	b.become(fmt.Sprintf(`(([a, b]) => a > 500)(%s)`, seen))
	b.become(`document.querySelector('input[name="id"][value="3"]') === null`)
	b.until("#chosen-count", "1 chosen")
	b.run("ask", clickOn(`[formaction="/ask/delete"]`))
	b.until("#dialog", "Delete job 3?")
	b.run("do it", clickOn("#dialog button.main"))
	b.until(".notice", "1 job deleted.")
	b.become(fmt.Sprintf(`!(%s).includes(3)`, ids))
}

// TestConsoleDeeds does all that can be done, and looks whether it was.
func TestConsoleDeeds(t *testing.T) {
	dir := t.TempDir()
	s, b := openConsole(t, "-b", dir)
	openShop(t, s.Addr, 0)
	a := &api.Client{URL: b.url}
	ctx := context.Background()
	tube := func(name string) *api.Tube {
		t.Helper()
		v, err := a.Tube(ctx, name)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	deed := func(button string, then ...string) {
		t.Helper()
		b.clickText(`contains(@class, "deeds")`, button)
		for _, text := range then {
			b.until("#dialog", text)
		}
	}
	do := func(said string) {
		t.Helper()
		b.click("#dialog button.main")
		b.until(".notice", said)
	}

	// Put, by the form.
	b.open("/put?tube=mine")
	b.run("write", typeInto("textarea", "first\nsecond"))
	b.click("button.main")
	b.until(".notice", "is put into mine.")
	id, _ := strconv.ParseUint(regexp.MustCompile(`\d+`).FindString(b.text("h1")), 10, 64)
	body, err := a.Body(ctx, id)
	if err != nil || string(body) != "first\nsecond" {
		t.Fatalf("got the body %q, %v", body, err)
	}
	b.open("/put?tube=" + url.QueryEscape("not a name"))
	b.click("button.main")
	b.until(".wrong", "cannot be the name of a tube")

	// One job: its priority, its tube, and its end.
	job := fmt.Sprintf("/job/%d", id)
	b.open(job)
	deed("Priority…", "Change the priority of job", "To undo it")
	b.run("write", typeInto(`#dialog [name="pri"]`, "7"))
	do("1 job given the priority 7.")
	b.until("main", "urgent")
	deed("Move…", "Move job")
	b.run("write", typeInto(`#dialog [name="to"]`, "yours"))
	do("1 job moved to yours.")
	b.until(".crumbs", "yours")
	j, err := a.Job(ctx, id)
	if err != nil || j.Pri != 7 || j.Tube != "yours" {
		t.Fatalf("got %+v, %v", j, err)
	}

	// A job that a worker has.
	page, err := a.Jobs(ctx, api.JobsQuery{Tube: "renders", States: []string{"reserved"}})
	if err != nil || len(page.Jobs) != 1 {
		t.Fatalf("got %+v, %v", page, err)
	}
	held := page.Jobs[0].ID
	b.open(fmt.Sprintf("/job/%d", held))
	deed("Release", fmt.Sprintf("Release job %d?", held), "could be done twice", "This cannot be undone.")
	do("1 job released.")
	b.until("dl.facts", "ready")
	if j, err := a.Job(ctx, held); err != nil || j.State != "ready" || j.Releases != 1 {
		t.Errorf("got %+v, %v, want it ready", j, err)
	}

	// A tube.
	b.open("/tube?name=reports")
	deed("Pause…", "Pause reports?")
	b.run("write", typeInto(`#dialog [name="for"]`, "90m"))
	do("reports is paused for 1 h 30 min.")
	b.until(".banner", "Paused")
	want(t, "the pause", tube("reports").Pause.For, api.Duration(90*time.Minute))
	b.click(`form[action="/do/resume"] button`)
	b.until(".notice", "reports goes on.")
	if p := tube("reports").Pause; p != nil {
		t.Errorf("got a pause of %v", p)
	}
	b.open("/tube?name=newsletters")
	deed("Kick…", "Kick jobs of newsletters?", "delayed")
	b.run("write", typeInto(`#dialog [name="count"]`, "11"))
	do("11 jobs of newsletters kicked.")

	// Some jobs that are ticked, and all that match.
	b.open("/tube?name=emails&state=buried")
	b.run("choose two", clickOn(`tbody.page tr:nth-child(1) [name="id"]`), clickOn(`tbody.page tr:nth-child(3) [name="id"]`))
	b.until("#chosen-count", "2 chosen")
	deed("Delete", "Delete 2 buried jobs of emails?")
	do("2 jobs deleted.")
	want(t, "buried", tube("emails").Jobs.Buried, 34)
	b.run("choose all", clickOn("#all"))
	deed("Move…", "Move 34 buried jobs of emails?")
	b.run("write", typeInto(`#dialog [name="to"]`, "dead-letters"))
	do("34 jobs moved to dead-letters.")
	want(t, "buried", tube("dead-letters").Jobs.Buried, 34)

	b.open("/tube?name=reports")
	deed("Clear…", "480 ready")
	b.run("none", clickOn(`#dialog [value="ready"]`))
	b.become(`document.querySelector("#dialog button.main").disabled && document.querySelector("#dialog button.main").innerText === "Delete 0 jobs"`)
	b.run("but these", clickOn(`#dialog [value="ready"]`))
	do("480 jobs deleted from reports.")

	// The server.
	b.open("/journal")
	deed("Drain…", "Drain the server?")
	do("The server is draining")
	if v, err := a.Status(ctx); err != nil || v.State != api.Draining {
		t.Errorf("got %+v, %v", v, err)
	}
	b.click(`form[action="/do/undrain"] button`)
	b.until(".notice", "takes jobs again")
	to := filepath.Join(t.TempDir(), "copy")
	deed("Back up…", "Back up the journal?")
	b.run("write", typeInto(`#dialog [name="to"]`, to))
	do("Backed up to " + to)
	if files, _ := filepath.Glob(filepath.Join(to, "journal", "*.segment")); len(files) == 0 {
		t.Error("nothing is in the copy")
	}
	deed("Back up…", "Back up the journal?")
	b.expected = append(b.expected, "400")
	b.run("write", typeInto(`#dialog [name="to"]`, "not/absolute"))
	b.click("#dialog button.main")
	b.until("main", "is not an absolute path")
}

// TestConsoleKeys goes through pages without a mouse.
func TestConsoleKeys(t *testing.T) {
	s, b := openConsole(t)
	connect(t, s).ask("use first\r\nput 0 0 60 1\r\na\r\nput 0 0 60 1\r\nb\r\nuse second\r\nput 0 0 60 1\r\nc\r\n",
		"USING first\r\nINSERTED 1\r\nINSERTED 2\r\nUSING second\r\nINSERTED 3\r\n")
	b.open("/")
	b.press("gt")
	b.until("h1", "Tubes")
	b.become(`document.querySelectorAll(".tubes tbody tr").length === 3`)
	b.press("/")
	b.become(`document.activeElement.matches("[data-filter]")`)
	b.run("type", typeMore("sec"))
	b.become(`document.querySelectorAll(".tubes tbody tr").length === 1 && location.search.includes("q=sec")`)
	b.press("\x1b")
	b.press("j")
	b.become(`document.activeElement.innerText === "second"`)
	b.press("\r")
	b.until("h1", "second")
	b.press("j")
	b.press("x")
	b.until("#chosen-count", "1 chosen")
	b.press("?")
	b.become(`document.querySelector("#help").open`)
	b.press("\x1b")
	b.press("gw")
	b.until("h1", "Workers")
	b.press("gj")
	b.until("h1", "Journal")
	b.press("gp")
	b.until("h1", "Put")
	// Whatever has the focus can be seen to have it.
	b.open("/tubes")
	for range 8 {
		b.press("\t")
		b.become(`getComputedStyle(document.activeElement).outlineStyle !== "none" || document.activeElement === document.body`)
	}
	before := eval[string](b, `getComputedStyle(document.body).backgroundColor`)
	b.run("switch", clickOn("#theme"))
	b.become(fmt.Sprintf(`getComputedStyle(document.body).backgroundColor !== %q`, before))
	b.open("/workers")
	b.become(fmt.Sprintf(`getComputedStyle(document.body).backgroundColor !== %q`, before))
}
