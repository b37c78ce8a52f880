//go:build unix

package integration

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// httpAddr returns the address of the HTTP listener of s, once there is one.
func httpAddr(t *testing.T, s *server) (addr string) {
	t.Helper()
	said := regexp.MustCompile(`"http": "([^"]+)"`)
	await(t, func() error {
		m := said.FindStringSubmatch(s.Stderr())
		if m == nil {
			return fmt.Errorf("got log %q, want an address of HTTP", s.Stderr())
		}
		addr = m[1]
		return nil
	})
	return addr
}

// fetch asks for a page.
func fetch(url, token string) (code int, body string, err error) {
	r, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		return 0, "", err
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	answer, err := (&http.Client{Timeout: patience}).Do(r)
	if err != nil {
		return 0, "", err
	}
	defer answer.Body.Close()
	b, err := io.ReadAll(answer.Body)
	return answer.StatusCode, string(b), err
}

// scrape returns the metrics of a server by their names.
func scrape(t *testing.T, addr string) (text string, metrics map[string]float64) {
	t.Helper()
	code, text, err := fetch("http://"+addr+"/metrics", "")
	if err != nil || code != http.StatusOK {
		t.Fatalf("got %d, %v: %s", code, err, text)
	}
	metrics = map[string]float64{}
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		at := strings.LastIndexByte(line, ' ')
		value, err := strconv.ParseFloat(strings.TrimSpace(line[at+1:]), 64)
		if err != nil {
			t.Fatalf("got %q", line)
		}
		metrics[line[:at]] = value
	}
	return text, metrics
}

// TestMetrics compares the metrics of a busy server with what stats and stats-tube
// say, key by key.
func TestMetrics(t *testing.T) {
	t.Parallel()
	for _, args := range transports {
		t.Run(args, func(t *testing.T) {
			t.Parallel()
			s := startServer(t, spokedPath(t), append(strings.Fields(args), "--http", "127.0.0.1:0", "-b", t.TempDir())...)
			addr := httpAddr(t, s)
			scrape(t, addr) // from now on times are kept
			c := connect(t, s)
			c.ask("use a\r\nwatch a\r\n", "USING a\r\nWATCHING 2\r\n")
			for range 5 {
				c.put("body")
			}
			c.ask("put 5000 100 60 1\r\nx\r\n", "INSERTED 6\r\n")
			c.ask("reserve\r\nreserve\r\nreserve\r\n", "RESERVED 1 4\r\nbody\r\nRESERVED 2 4\r\nbody\r\nRESERVED 3 4\r\nbody\r\n")
			c.ask("delete 1\r\nbury 2 0\r\npeek-ready\r\n", "DELETED\r\nBURIED\r\nFOUND 4 4\r\nbody\r\n")
			c.ask("pause-tube a 100\r\n", "PAUSED\r\n")
			worker := connect(t, s)
			worker.send("watch a\r\nreserve\r\n")
			awaitStats(c, stats{"current-waiting": "1"})

			all, tube := c.stats(), c.statsOf("stats-tube a\r\n")
			text, got := scrape(t, addr)
			// stats itself was asked for in between, but by c alone.
			compareStats(t, got, all, serverKeys())
			compareStats(t, got, tube, tubeKeys())
			for name, want := range map[string]float64{
				`spoked_ready`:                                         1,
				`spoked_draining`:                                      0,
				`spoked_journal_enabled`:                               1,
				`spoked_jobs_deleted_total`:                            1,
				`spoked_tube_wait_seconds_count{tube="a"}`:             3,
				`spoked_tube_run_seconds_count{tube="a"}`:              1,
				`spoked_command_duration_seconds_count{command="put"}`: 6,
			} {
				if got[name] != want {
					t.Errorf("got %s %v, want %v", name, got[name], want)
				}
			}
			if age := got[`spoked_tube_oldest_ready_age_seconds{tube="a"}`]; age <= 0 || age > patience.Seconds() {
				t.Errorf("got an age of %v s", age)
			}
			tool, err := exec.LookPath("promtool")
			if err != nil {
				t.Skip("promtool is not on PATH")
			}
			cmd := exec.Command(tool, "check", "metrics")
			cmd.Stdin = strings.NewReader(text)
			if out, err := cmd.CombinedOutput(); err != nil || len(bytes.TrimSpace(out)) > 0 {
				t.Errorf("promtool check metrics: %v\n%s", err, out)
			}
		})
	}
}

// compareStats compares metrics with the reply to stats.
func compareStats(t *testing.T, got map[string]float64, reply stats, keys map[string]string) {
	t.Helper()
	for _, key := range slices.Sorted(maps.Keys(reply)) {
		name, ok := keys[key]
		if strings.HasPrefix(key, "cmd-") && !ok {
			name, ok = fmt.Sprintf("spoked_commands_total{command=%q}", key[len("cmd-"):]), true
		}
		if !ok {
			t.Errorf("no metric for %s", key)
		}
		if name == "" {
			continue // text, or a time that passes
		}
		want := reply[key]
		if want == "false" {
			want = "0"
		}
		if value, ok := got[name]; !ok || strconv.FormatFloat(value, 'f', -1, 64) != want {
			t.Errorf("%s: got %s %v (%v), want %s", key, name, value, ok, want)
		}
	}
}

// serverKeys returns which metric has what stats says, but for the counts of
// commands; "" for what is no number, or changes by itself.
func serverKeys() map[string]string {
	return map[string]string{
		"current-jobs-urgent": "spoked_jobs_urgent", "current-jobs-ready": `spoked_jobs{state="ready"}`,
		"current-jobs-reserved": `spoked_jobs{state="reserved"}`, "current-jobs-delayed": `spoked_jobs{state="delayed"}`,
		"current-jobs-buried": `spoked_jobs{state="buried"}`, "job-timeouts": "spoked_job_timeouts_total",
		"total-jobs": "spoked_jobs_put_total", "max-job-size": "spoked_max_job_size_bytes", "current-tubes": "spoked_tubes",
		"current-connections": "spoked_connections", "current-producers": "spoked_producers", "current-workers": "spoked_workers",
		"current-waiting": "spoked_workers_waiting", "total-connections": "spoked_connections_accepted_total",
		"binlog-oldest-index": "spoked_journal_oldest_segment", "binlog-current-index": "spoked_journal_current_segment",
		"binlog-records-migrated": "spoked_journal_records_migrated_total", "binlog-records-written": "spoked_journal_records_written_total",
		"binlog-max-size": "spoked_journal_segment_size_bytes", "draining": "spoked_draining",
		"cmd-stats-tube": "",                                                                    // asked for after stats
		"pid":            "", "version": "", "id": "", "hostname": "", "os": "", "platform": "", // labels of spoked_server_info
		"uptime": "", "rusage-utime": "", "rusage-stime": "",
	}
}

// tubeKeys does so for stats-tube of the tube a.
func tubeKeys() map[string]string {
	return map[string]string{
		"name": "", "current-jobs-urgent": `spoked_tube_jobs_urgent{tube="a"}`,
		"current-jobs-ready": `spoked_tube_jobs{state="ready",tube="a"}`, "current-jobs-reserved": `spoked_tube_jobs{state="reserved",tube="a"}`,
		"current-jobs-delayed": `spoked_tube_jobs{state="delayed",tube="a"}`, "current-jobs-buried": `spoked_tube_jobs{state="buried",tube="a"}`,
		"total-jobs": `spoked_tube_jobs_put_total{tube="a"}`, "current-using": `spoked_tube_using{tube="a"}`,
		"current-watching": `spoked_tube_watching{tube="a"}`, "current-waiting": `spoked_tube_waiting{tube="a"}`,
		"cmd-delete": `spoked_tube_jobs_deleted_total{tube="a"}`, "cmd-pause-tube": `spoked_tube_pauses_total{tube="a"}`,
		"pause": `spoked_tube_pause_seconds{tube="a"}`, "pause-time-left": "",
	}
}

// TestReady follows a server by its probes, from a start with many jobs on: it has
// to read them first.
func TestReady(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first := startServer(t, spokedPath(t), "-b", dir, "--http", "off")
	c := connect(t, first)
	const jobs = 50_000
	go func() {
		_, _ = io.WriteString(c.Conn, strings.Repeat("put 0 0 60 1\r\nx\r\n", jobs))
	}()
	go func() { _, _ = io.Copy(io.Discard, c.Conn) }()
	awaitStats(connect(t, first), stats{"total-jobs": strconv.Itoa(jobs)})
	first.ending.Store(true)
	first.signal(t, syscall.SIGTERM)
	first.wantExit(t, 0)

	launching.Lock()
	addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(freePort(t)))
	launching.Unlock()
	second := spawn(t, "-l", "127.0.0.1", "-p", "0", "-b", dir, "--http", addr)
	await(t, func() error {
		code, body, err := fetch("http://"+addr+"/readyz", "")
		switch {
		case err != nil:
			return err
		case code == http.StatusOK && body == "ready\n":
			return nil
		case code != http.StatusServiceUnavailable || !strings.HasPrefix(body, "starting"):
			t.Fatalf("got %d %q while the server starts", code, body)
		}
		if code, body, err := fetch("http://"+addr+"/healthz", ""); err != nil || code != http.StatusOK {
			t.Fatalf("got %d %q (%v) while the server starts", code, body, err)
		}
		scrape(t, addr)
		return fmt.Errorf("got %s", body)
	})
	_, got := scrape(t, addr)
	if got[`spoked_jobs{state="ready"}`] != jobs || got["spoked_replay_ratio"] != 1 {
		t.Errorf("got %v jobs, %v read", got[`spoked_jobs{state="ready"}`], got["spoked_replay_ratio"])
	}

	second.signal(t, syscall.SIGUSR1)
	awaitLog(t, second, "draining")
	if code, body, err := fetch("http://"+addr+"/readyz", ""); err != nil || code != http.StatusServiceUnavailable || body != "draining: puts are refused\n" {
		t.Errorf("got %d %q (%v) of a server that drains", code, body, err)
	}
	if _, got := scrape(t, addr); got["spoked_ready"] != 0 || got["spoked_draining"] != 1 {
		t.Errorf("got ready %v, draining %v", got["spoked_ready"], got["spoked_draining"])
	}
}

// TestMetricsRoles has only those see what it is for.
func TestMetricsRoles(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "tokens")
	// The tokens are "reader" and "boss".
	tokens := "read 3d0941964aa3ebdcb00ccef58b1bb399f9f898465e9886d5aec7f31090a0fb30 reader\n" +
		"admin a5e7c002443743c5836758c7d1cd8ddefd9fcf2061daa0efaac683fb99966057 boss\n"
	if err := os.WriteFile(file, []byte(tokens), 0o600); err != nil {
		t.Fatal(err)
	}
	s := startServer(t, spokedPath(t), "--http", "127.0.0.1:0", "--http-token-file", file)
	addr := httpAddr(t, s)
	for _, test := range []struct {
		path, token string
		want        int
	}{
		{"/healthz", "", 200}, {"/readyz", "", 200}, {"/metrics", "", 401}, {"/debug/pprof/", "", 401},
		{"/metrics", "nobody", 401}, {"/metrics", "reader", 200}, {"/metrics", "boss", 200},
		{"/debug/pprof/", "reader", 403}, {"/debug/pprof/", "boss", 200}, {"/debug/pprof/heap", "boss", 200}, {"/debug/pprof/heap", "", 401},
	} {
		if code, body, err := fetch("http://"+addr+test.path, test.token); err != nil || code != test.want {
			t.Errorf("%s with %q: got %d (%v), want %d: %.100s", test.path, test.token, code, err, test.want, body)
		}
	}
}

// TestStatsD has a server tell a StatsD daemon, and another one after a reload.
func TestStatsD(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes two intervals of ten seconds")
	}
	t.Parallel()
	listen := func() (addr string, await func()) {
		conn, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		return conn.LocalAddr().String(), func() {
			t.Helper()
			if err := conn.SetReadDeadline(time.Now().Add(2 * patience)); err != nil {
				t.Fatal(err)
			}
			packet, all := make([]byte, 64<<10), ""
			for !strings.Contains(all, "spoked.tube_jobs.default.ready:0|g") {
				n, _, err := conn.ReadFrom(packet)
				if err != nil {
					t.Fatalf("got %q: %v", all, err)
				}
				all += string(packet[:n])
			}
		}
	}
	addr, told := listen()
	other, otherTold := listen()
	f := newSettingsFile(t, "spoked.toml")
	f.write(fmt.Sprintf("statsd = %q", addr))
	s := startServer(t, spokedPath(t), "--config", f.path, "--http", "off")
	told()
	f.write(fmt.Sprintf("statsd = %q", other), "metrics-tubes = 5")
	reload(t, s, "statsd", "metrics-tubes")
	otherTold()
}
