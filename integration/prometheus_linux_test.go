package integration

import (
	"encoding/json"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// TestPrometheus has a real Prometheus scrape a server, with our alerts loaded, and
// asks it what it has got.
func TestPrometheus(t *testing.T) {
	t.Parallel()
	tool, err := exec.LookPath("prometheus")
	if err != nil {
		t.Skip("prometheus is not on PATH")
	}
	s := startServer(t, spokedPath(t), "--http", "127.0.0.1:0", "-b", t.TempDir())
	rules, err := filepath.Abs("../packaging/prometheus/spoked.rules.yml")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	settings := fmt.Sprintf("global: {scrape_interval: 200ms, evaluation_interval: 200ms}\nrule_files: [%q]\n"+
		"scrape_configs:\n- job_name: spoked\n  static_configs: [{targets: [%q]}]\n", rules, httpAddr(t, s))
	file := filepath.Join(dir, "prometheus.yml")
	if err := os.WriteFile(file, []byte(settings), 0o600); err != nil {
		t.Fatal(err)
	}
	launching.Lock()
	addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(freePort(t)))
	p := start(t, exec.Command(tool, "--config.file="+file, "--storage.tsdb.path="+filepath.Join(dir, "data"),
		"--web.listen-address="+addr, "--enable-feature=native-histograms", "--log.level=warn"))
	launching.Unlock()

	c := connect(t, s)
	c.ask("watch a\r\nuse a\r\n", "WATCHING 2\r\nUSING a\r\n")
	for query, want := range map[string]float64{
		`up{job="spoked"}`: 1,
		`spoked_ready`:     1,
		// Native histograms: the functions want one.
		`histogram_count(spoked_tube_run_seconds{tube="a"}) > bool 0`:              1,
		`histogram_quantile(1, spoked_tube_wait_seconds{tube="a"}) < bool 60`:      1,
		`histogram_count(spoked_command_duration_seconds{command="put"}) > bool 0`: 1,
		`spoked_tube_jobs_put_total{tube="a"} > bool 0`:                            1,
	} {
		await(t, func() error {
			id := c.put("body")
			c.ask("reserve\r\n", fmt.Sprintf("RESERVED %d 4\r\nbody\r\n", id))
			c.ask(fmt.Sprintf("delete %d\r\n", id), "DELETED\r\n")
			code, body, err := fetch("http://"+addr+"/api/v1/query?query="+url.QueryEscape(query), "")
			if err != nil {
				return fmt.Errorf("%w\n%s", err, p.Stderr())
			}
			var answer struct {
				Data struct{ Result []struct{ Value [2]any } }
			}
			if err := json.Unmarshal([]byte(body), &answer); err != nil {
				return fmt.Errorf("%d: %w: %s", code, err, body)
			}
			if r := answer.Data.Result; len(r) != 1 || r[0].Value[1] != fmt.Sprint(want) {
				return fmt.Errorf("%s: got %s, want %v", query, body, want)
			}
			return nil
		})
	}
	await(t, func() error {
		_, body, err := fetch("http://"+addr+"/api/v1/rules", "")
		if n := strings.Count(body, `"health":"ok"`); err != nil || n < 12 || strings.Contains(body, `"health":"err"`) {
			return fmt.Errorf("got %d rules that work: %.500s (%v)", n, body, err)
		}
		return nil
	})
	p.ending.Store(true)
}
