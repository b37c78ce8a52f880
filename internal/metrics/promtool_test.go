package metrics

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

func promtool(t *testing.T) string {
	path, err := exec.LookPath("promtool")
	if err != nil {
		t.Skip("promtool is not on PATH")
	}
	return path
}

// TestPromtool has promtool look at what is told.
func TestPromtool(t *testing.T) {
	w := httptest.NewRecorder()
	busy(t).metrics(t, 2).Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	cmd := exec.Command(promtool(t), "check", "metrics")
	cmd.Stdin = w.Body
	if out, err := cmd.CombinedOutput(); err != nil || len(bytes.TrimSpace(out)) > 0 {
		t.Errorf("promtool check metrics: %v\n%s", err, out)
	}
}

// TestPromtoolRules has promtool read the alerts and play the tests of them.
func TestPromtoolRules(t *testing.T) {
	tool := promtool(t)
	for _, args := range [][]string{
		{"check", "rules", "spoked.rules.yml"},
		{"test", "rules", "spoked.rules.test.yml"},
	} {
		cmd := exec.Command(tool, args...)
		cmd.Dir = "../../packaging/prometheus"
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
}

// TestEveryAlertIsTested has a test of each alert in the file of tests.
func TestEveryAlertIsTested(t *testing.T) {
	rules, err := os.ReadFile("../../packaging/prometheus/spoked.rules.yml")
	if err != nil {
		t.Fatal(err)
	}
	tests, err := os.ReadFile("../../packaging/prometheus/spoked.rules.test.yml")
	if err != nil {
		t.Fatal(err)
	}
	alerts := regexp.MustCompile(`(?m)- alert: (\w+)$`).FindAllSubmatch(rules, -1)
	if len(alerts) == 0 {
		t.Fatal("got no alerts")
	}
	for _, a := range alerts {
		if !bytes.Contains(tests, append([]byte("        alertname: "), append(a[1], '\n')...)) {
			t.Errorf("no test has %s go off", a[1])
		}
	}
}

// TestDashboardQueries has promtool's parser read each query of the dashboard, as
// the expression of a recording rule.
func TestDashboardQueries(t *testing.T) {
	data, err := os.ReadFile("../../packaging/grafana/spoked.json")
	if err != nil {
		t.Fatal(err)
	}
	var dashboard struct {
		Panels []struct {
			ID      int
			Title   string
			GridPos struct{ H, W, X, Y int }
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal(data, &dashboard); err != nil {
		t.Fatal(err)
	}
	fill := strings.NewReplacer("$__rate_interval", "1m", "$__interval", "1m", "$job", ".*", "$instance", ".*", "$tube", ".*")
	var rules strings.Builder
	rules.WriteString("groups:\n- name: dashboard\n  rules:\n")
	seen, n := map[int]bool{}, 0
	for _, p := range dashboard.Panels {
		if seen[p.ID] || p.Title == "" || p.GridPos.X+p.GridPos.W > 24 {
			t.Errorf("panel %d, %q, at %+v", p.ID, p.Title, p.GridPos)
		}
		seen[p.ID] = true
		for _, target := range p.Targets {
			expr, err := json.Marshal(fill.Replace(target.Expr)) // a string of YAML, too
			if err != nil {
				t.Fatal(err)
			}
			n++
			rules.WriteString("  - {record: \"a:b:c" + strings.Repeat("c", n) + "\", expr: " + string(expr) + "}\n")
		}
	}
	if n < 30 {
		t.Errorf("got %d queries", n)
	}
	tool := promtool(t)
	path := filepath.Join(t.TempDir(), "rules.yml")
	if err := os.WriteFile(path, []byte(rules.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(tool, "check", "rules", path).CombinedOutput(); err != nil {
		t.Errorf("promtool check rules: %v\n%s", err, out)
	}
}
