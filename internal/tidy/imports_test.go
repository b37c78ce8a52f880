package tidy

import (
	"slices"
	"strings"
	"testing"
)

// layer is a package, and what it may import.
type layer struct {
	pkg  string
	uses []string
}

// mayImport is the import law: every package of the program, from the top of
// the picture to the bottom, and what it may import besides the standard
// library. An import only goes downwards, and a package without a row here
// does not exist. Tests may import anything, and so may internal/tidy and
// integration, which are nothing but tests.
//
// To add a package, add its row, with as little in it as will do. To add a
// library, write down in docs/decisions/0004-libraries.md why. Do not
// add to a row merely to make a build pass.
var mayImport = []layer{
	{"cmd/spoked", []string{"internal/cli"}},
	{"internal/cli", []string{
		"internal/api", "internal/bench", "internal/config", "internal/control", "internal/daemon", "internal/journal", "internal/top", "internal/wire", "proto",
		"github.com/dustin/go-humanize", "github.com/schollz/progressbar/v3", "github.com/spf13/cobra", "github.com/spf13/pflag", "golang.org/x/term",
	}},
	{"internal/top", []string{
		"internal/api",
		"charm.land/bubbletea/v2", "charm.land/lipgloss/v2", "github.com/charmbracelet/x/term",
	}},
	{"internal/bench", []string{"github.com/HdrHistogram/hdrhistogram-go", "golang.org/x/sys"}},
	{"internal/daemon", []string{
		"internal/api", "internal/config", "internal/console", "internal/control", "internal/history", "internal/httpapi", "internal/journal", "internal/manage", "internal/metrics", "internal/server", "internal/session", "queue",
		"github.com/coreos/go-systemd/v22", "go.uber.org/zap", "golang.org/x/sys",
	}},
	{"internal/httpapi", []string{"internal/api", "internal/manage", "proto", "queue", "github.com/goccy/go-yaml"}},
	{"internal/console", []string{"internal/history", "internal/journal", "internal/manage", "proto", "queue"}},
	{"internal/history", []string{"queue"}},
	{"internal/manage", []string{"queue"}},
	{"internal/metrics", []string{
		"internal/journal", "internal/server", "queue",
		"github.com/cactus/go-statsd-client/v5", "github.com/prometheus/client_golang", "github.com/prometheus/client_model", "go.uber.org/zap",
	}},
	{"internal/server", []string{
		"internal/journal", "internal/session", "proto", "queue",
		"go.uber.org/zap", "golang.org/x/sys",
	}},
	{"internal/config", []string{
		"proto",
		"github.com/dustin/go-humanize", "github.com/goccy/go-yaml", "github.com/pelletier/go-toml/v2",
	}},
	{"internal/control", nil},
	{"internal/wire", nil},
	{"internal/api", nil},
	{"internal/journal", []string{"persist", "queue", "go.uber.org/zap", "golang.org/x/sys"}},
	{"internal/session", []string{"persist", "proto", "queue"}},
	{"persist", []string{"queue", "golang.org/x/sys"}},
	{"queue", []string{"wheel", "internal/slab"}},
	{"wheel", []string{"internal/slab", "github.com/google/btree"}},
	{"proto", nil},

	{"internal/slab", []string{"golang.org/x/sys"}},

	// A module of its own, which measures and draws; no part of the program.
	{"docs/report", []string{"golang.org/x/image", "gonum.org/v1/plot"}},

	// For tests.
	{"internal/transcript", []string{"proto"}},
	{"internal/tidy", nil},
	{"integration", nil},
}

func imports(t *tree) (complaints []string) {
	rows := map[string][]string{}
	for _, row := range mayImport {
		rows[row.pkg] = row.uses
	}
	for _, p := range t.packages {
		uses, ok := rows[p.dir]
		if !ok {
			complaints = append(complaints, p.dir+
				": not in the import law; give the package a row in mayImport (internal/tidy/imports_test.go), below all that will import it")
			continue
		}
		for _, f := range p.code() {
			for _, spec := range f.ast.Imports {
				path := imported(spec)
				ours, isOurs := strings.CutPrefix(path, module+"/")
				switch {
				case spec.Name != nil && spec.Name.Name == ".":
					complaints = append(complaints, t.at(spec.Pos(), "dot import of %s; say where names come from", path))
				case isOurs && !slices.Contains(uses, ours):
					complaints = append(complaints, t.at(spec.Pos(),
						"%s must not import %s, only %s; move the code to where it may be used from, or pass a value in",
						p.dir, ours, list(uses)))
				case isLibrary(path) && !within(path, uses):
					complaints = append(complaints, t.at(spec.Pos(),
						"%s must not import the library %s; keep it where it is used already, or give a reason for it in docs/decisions/0004-libraries.md and add it to mayImport",
						p.dir, path))
				}
			}
		}
	}
	return complaints
}

// isLibrary reports whether path is of another module: one with a host name.
func isLibrary(path string) bool {
	host, _, _ := strings.Cut(path, "/")
	return strings.Contains(host, ".")
}

func list(s []string) string {
	if len(s) == 0 {
		return "the standard library"
	}
	return strings.Join(s, ", ")
}

// The law itself goes downwards: a row uses only rows below it.
func TestLawGoesDownwards(t *testing.T) {
	for i, row := range mayImport {
		for _, use := range row.uses {
			if isLibrary(use) {
				continue
			}
			at := slices.IndexFunc(mayImport, func(l layer) bool { return l.pkg == use })
			// The rows for tests stand apart, and use what they test.
			if at < i && row.pkg != "internal/transcript" {
				t.Errorf("%s may import %s, which does not stand below it", row.pkg, use)
			}
		}
	}
}

func TestImportsBites(t *testing.T) {
	bite(t, imports, []breach{
		{"proto/a.go", `package proto; import "spoked/queue"`, "proto must not import queue, only the standard library"},
		{"queue/a.go", `package queue; import "spoked/wheel/deeper"`, "queue must not import wheel/deeper"},
		{"queue/a.go", `package queue; import "github.com/google/btree"`, "queue must not import the library github.com/google/btree"},
		{"wheel/a.go", `package wheel; import . "cmp"`, "dot import of cmp"},
		{"internal/new/a.go", `package new`, "internal/new: not in the import law"},
		{"docs/report/a.go", `package main; import "spoked/queue"`, "docs/report must not import queue"},
		{"internal/cli/a.go", `package cli; import "gonum.org/v1/plot"`, "internal/cli must not import the library gonum.org/v1/plot"},
		{"internal/slab/a.go", `package slab; import "golang.org/x/sys/unix"`, ""},
		{"queue/a_test.go", `package queue; import "spoked/internal/transcript"`, ""},
	})
}
