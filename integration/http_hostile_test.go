//go:build unix

package integration

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"spoked/internal/api"
)

var hostileRequests = flag.Int("hostile", 10_000, "how many hostile requests are made over HTTP")

// TestHTTPHostile makes requests that are wrong in random ways: each is to be
// answered with 4xx, or not at all where it never ends, and none may change anything.
func TestHTTPHostile(t *testing.T) {
	t.Parallel()
	_, url := startHTTP(t, "-z", "1000")
	a := apiOf(t, url)
	for i := range 20 {
		a.put(fmt.Sprintf("keep%d", i%3), fmt.Sprint("body ", i))
	}
	_, err := a.Put(a.ctx, "keep0", api.Put{Delay: api.Duration(time.Hour), Content: api.Text("later")}, "")
	ok(t, err)
	held := a.take("keep1")
	before, status := a.exported(""), a.timelessStatus()

	n := *hostileRequests
	if testing.Short() || raceDetector {
		n = min(n, 1000)
	}
	rnd := random(t)
	var group sync.WaitGroup
	h := &hostile{t: t, addr: strings.TrimPrefix(url, "http://"), lease: held.Lease, seen: map[int]int{}}
	const workers = 16
	for range workers {
		seed := rnd.Uint64()
		group.Go(func() {
			r := rand.New(rand.NewPCG(seed, 2))
			for range n / workers {
				h.one(r)
			}
		})
	}
	group.Wait()
	t.Log("answers by status: ", h.seen)
	for _, s := range []int{400, 404, 405, 406, 413, 415, 403, 421, 410} {
		if h.seen[s] == 0 {
			t.Errorf("no request was answered with %d", s)
		}
	}
	if now := a.timelessStatus(); now != status {
		t.Errorf("the status has changed from %s to %s", status, now)
	}
	for i, line := range a.exported("") {
		if x, y := timeless(t, before[i]), timeless(t, line); x != y {
			t.Errorf("a job has changed from %s to %s", x, y)
		}
	}
	ok(t, a.DeleteLease(a.ctx, held.Lease))
}

// timelessStatus returns what a status says of jobs and tubes.
func (a *apiTest) timelessStatus() string {
	a.t.Helper()
	s, err := a.Status(a.ctx)
	ok(a.t, err)
	return fmt.Sprint(s.State, s.Jobs, s.TotalJobs, s.BodyBytes, s.Tubes, s.Timeouts, s.Connections.Now, s.Connections.Waiting)
}

type hostile struct {
	t     *testing.T
	addr  string
	lease string

	mu   sync.Mutex
	seen map[int]int
}

// one makes one request, in its own connection, and wants it to be refused.
func (h *hostile) one(r *rand.Rand) {
	request := h.request(r)
	conn, err := net.Dial("tcp", h.addr)
	if err != nil {
		h.t.Error(err)
		return
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	go func() { _, _ = io.WriteString(conn, request) }() // a server that refuses a body need not read it
	if r.IntN(50) == 0 {
		return // hangs up
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		// A reset, because the server has not read all before it closed.
		if ne, ok := errors.AsType[net.Error](err); ok && ne.Timeout() {
			h.t.Errorf("no answer to %.300q", request)
		}
		return
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, resp.Body)
	notHTTP := resp.StatusCode == http.StatusNotImplemented && strings.Contains(request, "Transfer-Encoding") ||
		resp.StatusCode == http.StatusHTTPVersionNotSupported && strings.Contains(request, "HTTP/9.9")
	if resp.StatusCode/100 != 4 && !notHTTP { // these net/http answers with 501 and 505, as HTTP says
		h.t.Errorf("got %s to %.300q", resp.Status, request)
	}
	h.mu.Lock()
	h.seen[resp.StatusCode]++
	h.mu.Unlock()
}

// request returns one that is wrong in at least one way.
func (h *hostile) request(r *rand.Rand) string {
	pick := func(from ...string) string { return from[r.IntN(len(from))] }
	junk := func(most int) string {
		b := make([]byte, 1+r.IntN(most))
		for i := range b {
			b[i] = byte(r.Uint32())
		}
		return string(b)
	}
	post := func(path, header, body string) string {
		return fmt.Sprintf("POST %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n%sContent-Length: %d\r\n\r\n%s", path, header, len(body), body)
	}
	const asJSON = "Content-Type: application/json\r\n"
	get := func(method, path, header string) string {
		return fmt.Sprintf("%s %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n%s\r\n", method, path, header)
	}
	put := "/v1/tubes/" + pick("keep0", "new", "a%2Fb") + "/jobs"
	changing := pick(put, "/v1/reserve", "/v1/bulk", "/v1/tubes/keep0/pause", "/v1/tubes/keep0/kick", "/v1/leases/"+h.lease+"/release", "/v1/leases/"+h.lease+"/bury", "/v1/backup")
	switch r.IntN(21) {
	case 0: // no JSON
		return post(changing, asJSON, pick("{", "[]", "null", "1", `"x"`, `{"body":}`, `{"body":"x"`, `{"body":"x"} {}`, "{\"body\":\"\xff\"}", "{"+junk(40), strings.Repeat("[", 9000), `{"tubes":["keep0"]}x`))
	case 1: // members that there are not
		return post(changing, asJSON, pick(`{"Body":"x"}`, `{"body":"x","prio":1}`, `{"tubes":["keep0"],"count":1,"x":1}`, `{"action":"delete","filter":{}}`, `{"count":1,"count":2}`, `{"for":"1s","For":"2s"}`, `{"pri":1,"PRI":2}`))
	case 2: // values that cannot be
		return post(changing, asJSON, pick(`{"body":"x","pri":-1}`, `{"body":"x","pri":4294967296}`, `{"body":"x","ttr":5}`, `{"body":"x","delay":"-5s"}`, `{"count":-1}`, `{"count":1.5}`, `{"for":"forever"}`, `{"for":0}`, `{"tubes":[]}`, `{"tubes":["-x"]}`, `{"tubes":["keep0"],"count":1001}`, `{"wait":"11m"}`, `{"action":"destroy"}`, `{"action":"move"}`, `{"delay":"2000000h"}`, `{"to":"relative"}`, `{"body":"x","json":1}`, `{"base64":"*"}`, `{"body":"\ud800"}`))
	case 3: // the wrong type
		return post(put, pick("", "Content-Type: application/x-www-form-urlencoded\r\n", "Content-Type: multipart/form-data\r\n", "Content-Type: application/json; charset=latin1\r\n", "Content-Type: a/b/c\r\n", asJSON+"Content-Encoding: gzip\r\n"), `{"body":"x"}`)
	case 4: // too large
		if r.IntN(2) == 0 {
			return post(put, "Content-Type: text/plain\r\n", strings.Repeat("x", 1001+r.IntN(100_000)))
		}
		return post(changing, asJSON, `{"body":"`+strings.Repeat("x", 1<<20)+`"}`)
	case 5: // says that it is larger than anything
		return fmt.Sprintf("POST %s HTTP/1.1\r\nHost: localhost\r\n%sContent-Length: %d\r\n\r\n", put, asJSON, 1<<40)
	case 6: // methods
		return get(pick("PUT", "TRACE", "OPTIONS", "CONNECT", "PROPFIND", "get", "DELETE", "PATCH"), pick("/v1", "/v1/tubes", "/v1/reserve", "/v1/jobs", "/v1/bulk", "/"), "")
	case 7: // paths
		return get(pick("GET", "DELETE"), pick("/none", "/v1/", "/v2", "//v1", "/v1/../v1/jobs/1", "/v1/./jobs/1", "/v1//jobs/1", "/v1/jobs/1/", "/v1/jobs/1/../2", "/v1/jobs/%2e%2e/1", "/v1/jobs/..%2f1", "/v1/tubes/../../etc/passwd", "/v1/tubes/keep0%00", "/v1/tubes/%ff", "/v1/tubes/"+strings.Repeat("x", 201), "/v1/tubes/-x", "/v1/jobs/0", "/v1/jobs/-1", "/v1/jobs/+1", "/v1/jobs/1e3", "/v1/jobs/99999999999999999999", "/v1/jobs/%31%20", "/debug/pprof", "/.git/config", "/v1/leases"), "")
	case 8: // parameters
		return get("GET", "/v1/"+pick("jobs?limit=0", "jobs?limit=1001", "jobs?limit=x", "jobs?after=-1", "jobs?state=lost", "jobs?x=1", "jobs?as=xml", "jobs?tube=-", "jobs?limit=1&limit=2", "tubes?oldest=maybe", "tubes?limit=10001", "jobs/1?x", "events?kind=nonsense", "events?tube=-", "export?tube=-x", "connections?limit=-5", "jobs?%zz", "jobs?a;b", "jobs?contains="+strings.Repeat("x", 5000)), "")
	case 9: // hosts and origins
		return pick(
			"GET /v1 HTTP/1.1\r\nHost: evil.example\r\n\r\n", "GET http://evil.example/v1 HTTP/1.1\r\nHost: localhost\r\n\r\n",
			"GET /v1 HTTP/1.1\r\nHost: localhost.evil.example:80\r\n\r\n", "GET /v1 HTTP/1.1\r\nHost: 127.0.0.1.evil.example\r\n\r\n",
			"GET /v1 HTTP/1.1\r\n\r\n", "GET /v1 HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
			post(put, asJSON+"Origin: https://evil.example\r\n", `{"body":"x"}`), post("/v1/drain", "Sec-Fetch-Site: cross-site\r\n", ""))
	case 10: // heads that are none
		return pick("\x00\r\n\r\n", "GET\r\n\r\n", "GET /v1\r\n\r\n", "GET /v1 HTTP/9.9\r\n\r\n", "GET / HTTP/1.1\r\nX : y\r\n\r\n", "GET / HTTP/1.1\r\nHost: localhost\r\nX: \x01\r\n\r\n", "put 0 0 1 1\r\nx\r\n\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n") + "\r\n"
	case 11: // too large a head
		return get("GET", "/v1", "X: "+strings.Repeat("x", 30<<10)+"\r\n")
	case 12: // smuggling
		return fmt.Sprintf("POST %s HTTP/1.1\r\nHost: localhost\r\n%s%s\r\n0\r\n\r\n", put, asJSON, pick("Content-Length: 5\r\nContent-Length: 6\r\n", "Transfer-Encoding: gzip, chunked\r\n", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "Content-Length: -1\r\n", "Transfer-Encoding: xchunked\r\n"))
	case 13: // chunks that are none
		return "POST " + put + " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n" + asJSON + "Transfer-Encoding: chunked\r\n\r\n" + pick("zz\r\n", "-1\r\n", "ffffffffffffffffff\r\n") + "\r\n\r\n"
	case 14: // leases
		return post("/v1/leases/"+pick(junkLease(r, h.lease), "x", "%20", "AAAA", strings.Repeat("A", 32), h.lease+"A", h.lease[1:])+pick("/delete", "/bury", "/release", "/touch"), "", "")
	case 15: // bodies where there are none
		return post(pick("/v1/drain", "/v1/tubes/keep0/resume", "/v1/tubes/keep0/clear", "/v1/jobs/1/kick", "/v1/jobs/1/reserve", "/v1/leases/"+h.lease+"/delete"), asJSON, junk(100))
	case 16: // types that are not accepted
		return get("GET", pick("/v1", "/v1/jobs", "/v1/tubes", "/v1/events", "/v1/export", "/v1/jobs/1/body"), "Accept: "+pick("text/html", "image/*", "application/xml;q=1", "text/html, */*;q=0")+"\r\n")
	case 17: // streams
		return post(pick("/v1/jobs", "/v1/import"), asJSON, `{"tube":"new","body":"x"}`)
	case 18: // keys
		return post(put, asJSON+pick("Idempotency-Key: \r\n", "Idempotency-Key: "+strings.Repeat("k", 256)+"\r\n", "Idempotency-Key: a\r\nIdempotency-Key: b\r\n"), `{"body":"x"}`)
	case 19: // the console's addresses
		if r.IntN(2) == 0 {
			return get(pick("GET", "DELETE"), pick("/job/x", "/job/99999", "/job/-1/body", "/tube", "/tube?name=-x", "/tube?name=a%20b", "/rows?after=x", "/live/none", "/live/tube?name=", "/worker?id=x", "/worker?id=99999",
				"/assets/x/none.js", "/assets/x/..%2fconsole.go", "/ask/delete", "/do/clear", "/logout", "/job/1/../2"), "")
		}
		form := pick("", "Sec-Fetch-Site: cross-site\r\n", "Origin: https://evil.example\r\n") + "Content-Type: application/x-www-form-urlencoded\r\n"
		return post(pick("/do/delete", "/do/clear", "/do/kick", "/do/move", "/do/change", "/do/release", "/do/pause", "/do/backup", "/do/none", "/ask/delete", "/ask/move", "/put", "/", "/tubes"), form,
			pick("", "id=x", "id=", "all=1&state=lost", "all=1&until=-1", "tube=-x", "tube=keep0", "tube=keep0&states=lost", "%zz", "to=relative", "tube=a+b&body=x", junk(100)))
	default: // noise
		return strings.ReplaceAll(junk(200), "\n", "x") + "\r\n\r\n"
	}
}

// junkLease returns a lease with a bit that is another.
func junkLease(r *rand.Rand, lease string) string {
	b := []byte(lease)
	i := r.IntN(len(b))
	for was := b[i]; b[i] == was; {
		b[i] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"[r.IntN(64)]
	}
	return string(b)
}

// TestHTTPSlow has clients send too slowly. The server closes their connections, and
// serves others meanwhile.
func TestHTTPSlow(t *testing.T) {
	if testing.Short() {
		t.Skip("takes as long as the server's patience")
	}
	t.Parallel()
	_, url := startHTTP(t)
	addr := strings.TrimPrefix(url, "http://")
	heads := []string{
		"",
		"GET /v1 HTT",
		"GET /v1 HTTP/1.1\r\nHost: localhost\r\nX: y",
		"POST /v1/reserve HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{",
		"GET /v1 HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\n",
	}
	var group sync.WaitGroup
	for _, head := range heads {
		group.Go(func() {
			conn, err := net.Dial("tcp", addr)
			if err != nil {
				t.Error(err)
				return
			}
			defer conn.Close()
			_, _ = io.WriteString(conn, head)
			_ = conn.SetReadDeadline(time.Now().Add(90 * time.Second))
			if b, err := io.ReadAll(conn); err != nil {
				t.Errorf("%q: got %q, %v, want an end", head, b, err)
			}
		})
	}
	c := &api.Client{URL: url}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for range 100 {
		_, err := c.Status(ctx)
		ok(t, err)
	}
	group.Wait()
}

// TestHTTPRoles makes each call with tokens of all roles, and with none: a call is
// refused to those that must not make it, before anything else is looked at.
func TestHTTPRoles(t *testing.T) {
	t.Parallel()
	file := writeTokens(t, "read", "produce", "work", "admin")
	_, url := startHTTP(t, "--http-token-file", file)
	k := contractOf(t, url)
	may := map[string]string{"read": "read produce work admin", "produce": "produce admin", "work": "work admin", "admin": "admin", "anybody": "nobody read produce work admin"}
	for _, op := range k.ops {
		role := op.doc["x-role"].(string)
		for _, token := range []string{"", "wrong", "read", "produce", "work", "admin"} {
			path := strings.NewReplacer("{tube}", "-", "{id}", "x", "{lease}", "x").Replace(op.path)
			req := must(http.NewRequest(op.method, url+path+"?nonsense", nil))
			if token != "" {
				req.Header.Set("Authorization", "Bearer secret of "+token)
			}
			resp, err := http.DefaultClient.Do(req)
			ok(t, err)
			var p api.Error
			_ = json.NewDecoder(resp.Body).Decode(&p)
			resp.Body.Close()
			name := token
			if token == "" || token == "wrong" {
				name = "nobody"
			}
			allowed := strings.Contains(" "+may[role]+" ", " "+name+" ")
			got := resp.StatusCode
			switch {
			case allowed && (got == 401 || got == 403 || got/100 != 4),
				!allowed && name == "nobody" && (got != 401 || resp.Header.Get("WWW-Authenticate") == ""),
				!allowed && name != "nobody" && got != 403:
				t.Errorf("%s %s, which needs %s, with the token %q: got %s %s", op.method, op.path, role, token, resp.Status, p.Detail)
			}
		}
	}
	c := &api.Client{URL: url, Token: "secret of work"}
	_, err := c.Reserve(t.Context(), api.Reserve{})
	ok(t, err)
	_, err = c.Put(t.Context(), "x", api.Put{Content: api.Text("x")}, "")
	refused(t, err, api.Forbidden)
}

// TestHTTPIdempotency puts one job by many requests at a time with one key.
func TestHTTPIdempotency(t *testing.T) {
	t.Parallel()
	_, url := startHTTP(t, "-b", t.TempDir(), "-f0")
	a := apiOf(t, url)
	ids := make([]uint64, 50)
	var group sync.WaitGroup
	for i := range ids {
		group.Go(func() {
			var err error
			if ids[i], err = a.Put(a.ctx, "once", api.Put{Content: api.Text("x")}, "key"); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	for _, id := range ids {
		want(t, "id", id, ids[0])
	}
	s, err := a.Status(a.ctx)
	ok(t, err)
	want(t, "jobs", s.TotalJobs, 1)
	_, err = a.Put(a.ctx, "once", api.Put{Content: api.Text("y")}, "key")
	refused(t, err, api.KeyReused)
	id, err := a.Put(a.ctx, "other", api.Put{Content: api.Text("y")}, "key")
	ok(t, err)
	if id == ids[0] {
		t.Error("the key of another tube was taken for this one's")
	}
	ok(t, a.Drain(a.ctx))
	_, err = a.Put(a.ctx, "once", api.Put{Content: api.Text("z")}, "later")
	refused(t, err, api.ServerDraining)
	ok(t, a.Undrain(a.ctx))
	_, err = a.Put(a.ctx, "once", api.Put{Content: api.Text("z")}, "later") // what failed is not remembered
	ok(t, err)
}

// TestHTTPAddress starts servers at addresses that are taken, and that others can
// reach.
func TestHTTPAddress(t *testing.T) {
	t.Parallel()
	l := must(net.Listen("tcp", "127.0.0.1:0"))
	defer l.Close()
	wantEnd := func(code int, text string, args ...string) {
		t.Helper()
		launching.Lock()
		s := start(t, command(t, args...))
		launching.Unlock()
		s.ending.Store(true)
		s.wantExit(t, code)
		s.wantStderr(t, text)
	}
	wantEnd(111, "address already in use", "--http", l.Addr().String())
	wantEnd(5, "needs --http-token-file", "--http", "0.0.0.0:0")
	wantEnd(5, "tokens: ", "--http", "127.0.0.1:0", "--http-token-file", "/does/not/exist")

	file := writeTokens(t, "read")
	for _, more := range [][]string{{"--http-insecure"}, {"--http-token-file", file}} {
		s := startServer(t, spokedPath(t), append([]string{"--http", "0.0.0.0:0"}, more...)...)
		awaitLog(t, s, "listening")
	}
	s := startServer(t, spokedPath(t), "--http", "off")
	awaitLog(t, s, `"http": ""`)

	// The usual address is taken, by us unless it is already.
	if l, err := net.Listen("tcp", "127.0.0.1:11301"); err == nil {
		defer l.Close()
	}
	cmd := command(t)
	cmd.Env = slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "SPOKED_") })
	var log output
	cmd.Stderr = &log
	launching.Lock()
	ok(t, cmd.Start())
	launching.Unlock()
	defer func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}()
	await(t, func() error {
		if got := log.String(); !strings.Contains(got, "no HTTP: its usual address") || !strings.Contains(got, "listening") {
			return fmt.Errorf("got log %q, want a warning, and that it listens", got)
		}
		return nil
	})
}

// TestHTTPStop has a signal end a server while requests wait and events are listened
// to: they are answered, and it ends well.
func TestHTTPStop(t *testing.T) {
	t.Parallel()
	for _, way := range transports {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			s, url := startHTTP(t, strings.Fields(way)...)
			c := &api.Client{URL: url}
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			defer cancel()
			var group sync.WaitGroup
			group.Go(func() {
				_, err := c.Reserve(ctx, api.Reserve{Wait: api.Duration(time.Minute)})
				if !api.Is(err, api.Stopping) {
					t.Errorf("got the error %v, want that it is stopping", err)
				}
			})
			listening := make(chan struct{})
			group.Go(func() {
				close(listening)
				for range c.Events(ctx, api.EventsQuery{}) {
				}
			})
			<-listening
			await(t, func() error {
				if v, err := c.Status(ctx); err != nil || v.Connections.Waiting != 1 {
					return fmt.Errorf("got %+v, %v, want one that waits", v, err)
				}
				return nil
			})
			ok(t, s.Stop(termination()))
			group.Wait()
		})
	}
}

// TestHTTPPutManyInterleaved puts lines one by one, and gets each answer before it
// sends the next.
func TestHTTPPutManyInterleaved(t *testing.T) {
	t.Parallel()
	_, url := startHTTP(t)
	in, lines := io.Pipe()
	next := make(chan uint64)
	go func() {
		defer close(next)
		err := (&api.Client{URL: url}).PutMany(t.Context(), "t", in, func(r api.PutResult) error {
			next <- r.ID
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	}()
	for i := range uint64(100) {
		_, err := fmt.Fprintf(lines, "{\"body\":%d}\n", i)
		ok(t, err)
		want(t, "id", <-next, i+1)
	}
	_, _ = io.Copy(lines, bytes.NewReader(bytes.Repeat([]byte("x"), 2<<20))) // a line that is too long
	_, err := io.WriteString(lines, "\n{\"body\":1}")
	ok(t, err)
	want(t, "id of none", <-next, 0)
	lines.Close()
	want(t, "id", <-next, 101)
	<-next
}
