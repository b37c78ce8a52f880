//go:build unix

package integration

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"spoked/internal/api"
)

// startHTTP starts a server with HTTP on a free port, and returns that's URL.
func startHTTP(t testing.TB, args ...string) (s *server, url string) {
	t.Helper()
	s = startServer(t, spokedPath(t), append([]string{"--http", "127.0.0.1:0"}, args...)...)
	found := regexp.MustCompile(`"http": ?"([^"]+)"`)
	for end := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		if m := found.FindStringSubmatch(s.Stderr()); m != nil {
			return s, "http://" + m[1]
		}
		if time.Now().After(end) {
			t.Fatalf("got no address of HTTP in the log %q", s.Stderr())
		}
	}
}

// apiTest is a client of one server that is held to the contract.
type apiTest struct {
	*api.Client
	t        *testing.T
	ctx      context.Context
	contract *contract
}

func apiOf(t *testing.T, url string) *apiTest {
	t.Helper()
	k := contractOf(t, url)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	return &apiTest{Client: &api.Client{URL: url, HTTP: &http.Client{Transport: k}}, t: t, ctx: ctx, contract: k}
}

// want ends the test unless got is want.
func want[T comparable](t *testing.T, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Fatalf("%s: got %v, want %v", what, got, want)
	}
}

// ok ends the test if err is not nil.
func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// refused ends the test unless err is a problem of that kind.
func refused(t *testing.T, err error, kind string) {
	t.Helper()
	if !api.Is(err, kind) {
		t.Fatalf("got the error %v, want a problem %s", err, kind)
	}
}

func (a *apiTest) put(tube, body string) uint64 {
	a.t.Helper()
	id, err := a.Put(a.ctx, tube, api.Put{Content: api.Text(body)}, "")
	ok(a.t, err)
	return id
}

// take reserves one job.
func (a *apiTest) take(tube string) api.Job {
	a.t.Helper()
	jobs, err := a.Reserve(a.ctx, api.Reserve{Tubes: []string{tube}, Count: 1, Ack: "lease"})
	ok(a.t, err)
	want(a.t, "jobs", len(jobs), 1)
	return jobs[0]
}

// TestHTTP makes every call there is, on each transport and with a journal in all
// its ways, and has the contract look at all of them.
func TestHTTP(t *testing.T) {
	t.Parallel()
	ways := append([]string{}, transports...)
	for _, more := range []string{"-f0", "--bodies disk", "-f0 --loops 2 --bodies disk"} {
		ways = append(ways, "-b DIR "+more)
	}
	for _, way := range ways {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			s, url := startHTTP(t, strings.Fields(strings.ReplaceAll(way, "DIR", dir))...)
			a := apiOf(t, url)
			a.contract.count(a.contract.of(must(http.NewRequest("GET", url+"/v1/openapi.json", nil))), http.StatusOK)
			a.tubes(s)
			a.jobs()
			a.streams()
			a.leases()
			a.events()
			a.server(dir, strings.Contains(way, "-b"))
			a.slashes()
			a.contract.wantAll()
		})
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// slashes uses tubes whose names are hard to put into a path.
func (a *apiTest) slashes() {
	t := a.t
	for _, name := range []string{"/", "//", "a/", "/a"} {
		a.put(name, "1")
		tube, err := a.Tube(a.ctx, name)
		ok(t, err)
		want(t, "the tube "+name, tube.Jobs.Ready, 1)
		n, err := a.Clear(a.ctx, name, nil, false)
		ok(t, err)
		want(t, "cleared of "+name, n, 1)
	}
}

func (a *apiTest) tubes(s *server) {
	t := a.t
	a.put("b/slash", "1")
	a.put("a", "2")
	list, err := a.Tubes(a.ctx, api.TubesQuery{Limit: 1, Oldest: true})
	ok(t, err)
	want(t, "first tube", list.Tubes[0].Name, "a")
	want(t, "next", list.Next, "a")
	if list.Tubes[0].OldestReady == nil {
		t.Error("got no time of the oldest job")
	}
	list, err = a.Tubes(a.ctx, api.TubesQuery{After: list.Next})
	ok(t, err)
	want(t, "second tube", list.Tubes[0].Name, "b/slash")
	want(t, "default is used by", list.Tubes[1].Using, 0)

	tube, err := a.Tube(a.ctx, "b/slash")
	ok(t, err)
	want(t, "ready", tube.Jobs.Ready, 1)
	_, err = a.Tube(a.ctx, "none")
	refused(t, err, api.NotFound)

	tube, err = a.Pause(a.ctx, "a", api.Duration(time.Hour))
	ok(t, err)
	want(t, "pause", tube.Pause.For, api.Duration(time.Hour))
	jobs, err := a.Reserve(a.ctx, api.Reserve{Tubes: []string{"a"}, Count: 1})
	ok(t, err)
	want(t, "jobs of a paused tube", len(jobs), 0)
	tube, err = a.Resume(a.ctx, "a")
	ok(t, err)
	if tube.Pause != nil {
		t.Error("still paused")
	}

	n, err := a.Clear(a.ctx, "a", nil, true)
	ok(t, err)
	want(t, "would clear", n, 1)
	n, err = a.Clear(a.ctx, "a", []string{"ready", "buried"}, false)
	ok(t, err)
	want(t, "cleared", n, 1)
	n, err = a.DeleteTube(a.ctx, "b/slash")
	ok(t, err)
	want(t, "deleted", n, 1)
	_, err = a.DeleteTube(a.ctx, "b/slash")
	refused(t, err, api.NotFound)

	c := connect(t, s)
	c.ask("use wire\r\nput 0 0 1 1\r\nx\r\n", fmt.Sprintf("USING wire\r\nINSERTED %d\r\n", 3))
	conns, err := a.Connections(a.ctx, 0, 0)
	ok(t, err)
	want(t, "connections", len(conns.Connections), 1)
	want(t, "using", conns.Connections[0].Using, "wire")
	want(t, "remote", conns.Connections[0].Remote, c.LocalAddr().String())
	c.ask("delete 3\r\n", "DELETED\r\n")
}

func (a *apiTest) jobs() {
	t := a.t
	id, err := a.Put(a.ctx, "j", api.Put{Pri: new(uint32(7)), Delay: api.Duration(time.Hour), Content: api.Content{Body: json.RawMessage(`{"to": "x"}`)}}, "")
	ok(t, err)
	j, err := a.Job(a.ctx, id)
	ok(t, err)
	want(t, "state", j.State, "delayed")
	want(t, "body", string(j.Body), `{"to":"x"}`)
	want(t, "delay", j.Delay, api.Duration(time.Hour))
	b, err := a.Body(a.ctx, id)
	ok(t, err)
	want(t, "raw body", string(b), `{"to":"x"}`)

	ok(t, a.KickJob(a.ctx, id))
	refused(t, a.KickJob(a.ctx, id), api.BadState)
	j, err = a.Client.Change(a.ctx, id, api.Change{Pri: new(uint32(9)), Tube: new("k"), Delay: new(api.Duration(time.Minute))})
	ok(t, err)
	want(t, "changed", fmt.Sprint(j.Tube, j.Pri, j.State), "k9delayed")
	j, err = a.Peek(a.ctx, "k", "delayed")
	ok(t, err)
	want(t, "peeked", j.ID, id)
	_, err = a.Peek(a.ctx, "k", "ready")
	refused(t, err, api.NotFound)
	_, err = a.Peek(a.ctx, "k", "reserved")
	refused(t, err, api.BadValue)
	n, err := a.Kick(a.ctx, "k", 10)
	ok(t, err)
	want(t, "kicked", n, 1)
	ok(t, a.Delete(a.ctx, id))
	refused(t, a.Delete(a.ctx, id), api.NotFound)

	for i := range 250 {
		a.put("list", fmt.Sprintf("job %d of 250", i))
	}
	seen := 0
	q := api.JobsQuery{Tube: "list", Limit: 100, States: []string{"ready"}, As: "text", Bytes: 5}
	for page := new(api.Page); !page.Complete; q.After = page.Next {
		page, err = a.Jobs(a.ctx, q)
		ok(t, err)
		for _, j := range page.Jobs {
			want(t, "beginning", string(j.Body), fmt.Sprintf("%q", fmt.Sprintf("job %d", seen)[:5]))
			want(t, "truncated", j.Truncated, true)
			seen++
		}
	}
	want(t, "listed", seen, 250)
	page, err := a.Jobs(a.ctx, api.JobsQuery{Contains: "job 17"})
	ok(t, err)
	want(t, "found", len(page.Jobs), 11)
	_, err = a.Jobs(a.ctx, api.JobsQuery{Tube: "none"})
	refused(t, err, api.NotFound)

	bulk := api.Bulk{Action: "move", Tube: "list", Contains: "job 17", To: new("moved"), DryRun: true}
	for _, dry := range []bool{true, false} {
		bulk.DryRun = dry
		r, err := a.Bulk(a.ctx, bulk)
		ok(t, err)
		want(t, "result", fmt.Sprint(r.Matched, r.Changed, r.Skipped, r.Complete), "11 11 0 true")
	}
	r, err := a.Bulk(a.ctx, api.Bulk{Action: "change", Tube: "moved", Pri: new(uint32(1)), Limit: 10})
	ok(t, err)
	want(t, "changed", r.Changed, 10)
	r, err = a.Bulk(a.ctx, api.Bulk{Action: "delete", States: []string{"ready"}})
	ok(t, err)
	want(t, "deleted", r.Changed, 250)
	_, err = a.Bulk(a.ctx, api.Bulk{Action: "kick"})
	ok(t, err)
	_, err = a.Bulk(a.ctx, api.Bulk{Action: "explode"})
	refused(t, err, api.BadValue)
}

func (a *apiTest) streams() {
	t := a.t
	var in bytes.Buffer
	for i := range 1000 {
		fmt.Fprintf(&in, `{"tube":"many%d","body":%d,"delay":"%ds"}`+"\n", i%3, i, i%2*1000)
	}
	in.WriteString("{\"tube\":\"many\"}\nnonsense\n{\"tube\":\"-\",\"body\":1}\n")
	put, failed := 0, 0
	ok(t, a.PutMany(a.ctx, "", &in, func(r api.PutResult) error {
		if want(t, "line", r.Line, put+failed+1); r.Error != nil {
			failed++
		} else {
			put++
		}
		return nil
	}))
	want(t, "put and failed", fmt.Sprint(put, failed), "1000 3")
	buried := a.take("many0")
	ok(t, a.Bury(a.ctx, buried.Lease, api.Bury{}))

	before := a.exported("")
	want(t, "exported", len(before), 1000)
	r, err := a.Import(a.ctx, "again", strings.NewReader(strings.Join(before, "")+"{}\n"))
	ok(t, err)
	want(t, "imported", fmt.Sprint(r.Imported, r.Failed, r.Errors[0].Line), "1000 1 1001")
	after := a.exported("again")
	want(t, "exported again", len(after), 1000)
	for i := range before {
		if x, y := timeless(t, before[i]), timeless(t, after[i]); x != y {
			t.Fatalf("got %s imported as %s", x, y)
		}
	}
	_, err = a.Bulk(a.ctx, api.Bulk{Action: "delete"})
	ok(t, err)
	want(t, "left", len(a.exported("")), 0)
}

// timeless returns a line of an export without what is another after an import.
func timeless(t *testing.T, line string) string {
	t.Helper()
	var v api.Export
	ok(t, json.Unmarshal([]byte(line), &v))
	left := time.Duration(v.DelayLeft).Round(10 * time.Minute)
	v.ID, v.Tube, v.DelayLeft = 0, "", 0
	return fmt.Sprint(string(must(json.Marshal(v))), left)
}

func (a *apiTest) exported(tube string) (lines []string) {
	a.t.Helper()
	r, err := a.Export(a.ctx, tube, nil)
	ok(a.t, err)
	defer r.Close()
	text, err := io.ReadAll(r)
	ok(a.t, err)
	for line := range strings.Lines(string(text)) {
		lines = append(lines, line)
	}
	return lines
}

func (a *apiTest) leases() {
	t := a.t
	id := a.put("l", "work")
	j := a.take("l")
	want(t, "reserved", j.ID, id)
	refused(t, a.Delete(a.ctx, id), api.JobReserved)
	_, err := a.Client.Change(a.ctx, id, api.Change{Pri: new(uint32(1))})
	refused(t, err, api.JobReserved)
	_, err = a.ReserveJob(a.ctx, id)
	refused(t, err, api.JobReserved)
	l, err := a.Touch(a.ctx, j.Lease)
	ok(t, err)
	if !l.At.After(*j.At) {
		t.Errorf("got a lease until %v after touching one until %v", l.At, j.At)
	}
	ok(t, a.Release(a.ctx, j.Lease, api.Release{Pri: new(uint32(3))}))
	refused(t, a.DeleteLease(a.ctx, j.Lease), api.LeaseOver)
	again, err := a.ReserveJob(a.ctx, id)
	ok(t, err)
	want(t, "priority", again.Pri, 3)
	refused(t, a.DeleteLease(a.ctx, j.Lease), api.LeaseOver)
	refused(t, a.DeleteLease(a.ctx, "nonsense"), api.BadValue)
	ok(t, a.Bury(a.ctx, again.Lease, api.Bury{}))
	again, err = a.ReserveJob(a.ctx, id)
	ok(t, err)
	ok(t, a.DeleteLease(a.ctx, again.Lease))
	refused(t, a.Release(a.ctx, again.Lease, api.Release{}), api.LeaseOver)

	// A long poll gets what is put later; several tubes, several jobs, auto.
	done := make(chan []api.Job)
	go func() {
		jobs, err := a.Reserve(a.ctx, api.Reserve{Tubes: []string{"x", "y"}, Wait: api.Duration(time.Minute), Count: 5, Ack: "auto"})
		if err != nil {
			t.Error(err)
		}
		done <- jobs
	}()
	await(t, func() error {
		if s, err := a.Status(a.ctx); err != nil || s.Connections.Waiting != 1 {
			return fmt.Errorf("got %+v, %v, want one that waits", s, err)
		}
		return nil
	})
	id = a.put("y", "late")
	jobs := <-done
	want(t, "jobs", len(jobs), 1)
	want(t, "id", jobs[0].ID, id)
	_, err = a.Job(a.ctx, id)
	refused(t, err, api.NotFound) // deleted
	for range 30 {
		a.put("x", "more")
	}
	jobs, err = a.Reserve(a.ctx, api.Reserve{Tubes: []string{"x", "y"}, Count: 20, Ack: "lease"})
	ok(t, err)
	want(t, "jobs", len(jobs), 20)
	n, err := a.DeleteTube(a.ctx, "x")
	ok(t, err)
	want(t, "deleted", n, 30)
	refused(t, a.DeleteLease(a.ctx, jobs[3].Lease), api.LeaseOver)
}

func (a *apiTest) events() {
	t := a.t
	ctx, cancel := context.WithCancel(a.ctx)
	defer cancel()
	got := make(chan api.Event, 100)
	var last uint64
	listen := func(q api.EventsQuery) {
		for e, err := range a.Events(ctx, q) {
			if err != nil {
				if !errors.Is(err, context.Canceled) {
					t.Error(err)
				}
				break
			}
			got <- e
		}
	}
	go listen(api.EventsQuery{Tubes: []string{"ev"}, Kinds: []string{"job.*"}})
	await(t, func() error {
		a.put("ev", "ping")
		select {
		case e := <-got:
			want(t, "kind", e.Event, "job.put")
			last = e.Seq
			return nil
		case <-time.After(10 * time.Millisecond):
			return errors.New("got no event")
		}
	})
	cancel()
	ctx = a.ctx
	a.put("other", "not of interest")
	id := a.put("ev", "missed")
	found := false
	for e, err := range a.Events(ctx, api.EventsQuery{Tubes: []string{"ev"}, After: last}) {
		ok(t, err)
		want(t, "tube", e.Tube, "ev")
		if found = e.ID == id; found {
			break
		}
	}
	want(t, "found", found, true)
}

func (a *apiTest) server(dir string, journal bool) {
	t := a.t
	s, err := a.Status(a.ctx)
	ok(t, err)
	want(t, "name", s.Name, "spoked")
	want(t, "state", s.State, api.Running)
	ok(t, a.Drain(a.ctx))
	_, err = a.Put(a.ctx, "d", api.Put{Content: api.Text("x")}, "")
	refused(t, err, api.ServerDraining)
	ok(t, a.Undrain(a.ctx))
	a.put("d", "x")

	b, err := a.Backup(a.ctx, filepath.Join(dir, "backup"))
	if journal {
		ok(t, err)
		if b.Segments == 0 {
			t.Error("got no segments")
		}
		_, err = a.Backup(a.ctx, filepath.Join(dir, "backup"))
		refused(t, err, api.BackupFailed)
	} else {
		refused(t, err, api.NoJournal)
		a.contract.count(a.contract.of(must(http.NewRequest("POST", a.URL+"/v1/backup", nil))), http.StatusOK)
	}
	resp, err := a.HTTP.Get(a.URL + "/v1/openapi.yaml")
	ok(t, err)
	text, err := io.ReadAll(resp.Body)
	ok(t, err)
	if !bytes.Contains(text, []byte("openapi: 3.1")) {
		t.Error("got no document")
	}
}

// writeTokens writes a file with a token of each role, "secret of ROLE".
func writeTokens(t *testing.T, roles ...string) (file string) {
	t.Helper()
	var b strings.Builder
	b.WriteString("# who may do what\n\n")
	for _, role := range roles {
		fmt.Fprintf(&b, "%s %x name-of-%s\n", role, sha256.Sum256([]byte("secret of "+role)), role)
	}
	file = filepath.Join(t.TempDir(), "tokens")
	ok(t, os.WriteFile(file, []byte(b.String()), 0o600))
	return file
}

// command returns a server's command with a free port.
func command(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	return exec.Command(spokedPath(t), append([]string{"-l", "127.0.0.1", "-p", strconv.Itoa(freePort(t))}, args...)...)
}

func termination() os.Signal { return syscall.SIGTERM }

// TestHTTPStopAtOnce has a second signal end a server that waits for a request to
// come to its end.
func TestHTTPStopAtOnce(t *testing.T) {
	t.Parallel()
	s, url := startHTTP(t)
	in, lines := io.Pipe()
	defer lines.Close()
	put := make(chan error, 1)
	go func() {
		_ = (&api.Client{URL: url}).PutMany(t.Context(), "t", in, func(api.PutResult) error {
			put <- nil
			return nil
		})
	}()
	_, err := io.WriteString(lines, "{\"body\":1}\n")
	ok(t, err)
	ok(t, <-put)
	s.ending.Store(true)
	s.signal(t, syscall.SIGTERM)
	awaitLog(t, s, "stopping")
	s.signal(t, syscall.SIGTERM)
	s.wantExit(t, 0)
	awaitLog(t, s, "stopping at once")
}
