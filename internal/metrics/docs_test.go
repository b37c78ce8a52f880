package metrics

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write docs/metrics.md")

const (
	docsFile = "../../docs/metrics.md"
	begin    = "<!-- the table is made by go test ./internal/metrics -run TestDocs -update -->\n"
	end      = "<!-- end of the table -->\n"
)

// TestDocs compares the table in docs/metrics.md with Families, which TestFamilies
// compares with what is told.
func TestDocs(t *testing.T) {
	data, err := os.ReadFile(docsFile)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok1 := strings.Cut(string(data), begin)
	old, after, ok2 := strings.Cut(rest, end)
	if !ok1 || !ok2 {
		t.Fatalf("%s has no place for the table", docsFile)
	}
	table := docs()
	if *update {
		if err := os.WriteFile(docsFile, []byte(before+begin+table+end+after), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if old != table {
		t.Errorf("the table in %s is not that of Families; go test ./internal/metrics -run TestDocs -update writes it", docsFile)
	}
}

func docs() string {
	var b strings.Builder
	b.WriteString("\n| metric | kind | labels | | in `stats` |\n|---|---|---|---|---|\n")
	for _, f := range Families() {
		labels := ""
		for i, l := range f.Labels {
			if i > 0 {
				labels += ", "
			}
			labels += "`" + l + "`"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s |\n", f.Name, f.Kind, labels, f.Help, f.Stats)
	}
	return b.String() + "\n"
}

// TestPackaged has every metric in the alerts and in the dashboard exist.
func TestPackaged(t *testing.T) {
	known := map[string]bool{}
	families, err := busy(t).metrics(t, 2).registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		known[f.GetName()] = true
	}
	// These are there on some systems only.
	for _, name := range []string{"process_open_fds", "process_max_fds", "process_resident_memory_bytes", "process_cpu_seconds_total"} {
		known[name] = true
	}
	names := regexp.MustCompile(`\b(spoked|process|go)_[a-z0-9_]+`)
	suffix := regexp.MustCompile(`_(bucket|count|sum)$`)
	for _, file := range []string{"prometheus/spoked.rules.yml", "prometheus/spoked.rules.test.yml", "grafana/spoked.json", "../docs/deploy.md", "../docs/metrics.md"} {
		data, err := os.ReadFile("../../packaging/" + file)
		if err != nil {
			t.Fatal(err)
		}
		found := map[string]bool{}
		for _, name := range names.FindAllString(string(data), -1) {
			found[suffix.ReplaceAllString(name, "")] = true
		}
		if len(found) == 0 && strings.HasPrefix(file, "prom") {
			t.Errorf("%s has no metrics", file)
		}
		for _, name := range slices.Sorted(maps.Keys(found)) {
			if !known[name] {
				t.Errorf("%s: there is no metric %s", file, name)
			}
		}
	}
}
