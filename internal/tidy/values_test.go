package tidy

import (
	"go/ast"
	"path"
	"slices"
	"strings"
	"testing"
)

// A package at the top of the module is a value: it starts no goroutine, reads
// no clock, opens nothing, holds no lock and logs nothing. Time comes in as an
// argument, results go out. So it can be driven through a year of traffic in a
// test, and the same calls always give the same answers. So are internal/slab,
// which such packages are built on, and internal/session, which drives them.
// Only persist touches files, and only when it is called.

// notForValues are imports that a value has no use for.
var notForValues = []string{
	"context", "crypto/rand", "hash/maphash", "log", "math/rand", "net", "os", "os/exec", "sync", "syscall",
}

// partsForValues are what a value may use of packages that it may use in part:
// of time, the units; of random numbers, those from a seed.
var partsForValues = map[string][]string{
	"time":         {"Duration", "Nanosecond", "Microsecond", "Millisecond", "Second", "Minute", "Hour"},
	"math/rand/v2": {"New", "NewPCG", "NewChaCha8", "PCG", "ChaCha8", "Rand", "Source"},
}

func isValue(dir string) bool {
	switch dir {
	case "cmd", "integration":
		return false
	case "internal/slab", "internal/session":
		return true
	}
	return !strings.Contains(dir, "/")
}

func values(t *tree) (complaints []string) {
	for _, p := range t.packages {
		if !isValue(p.dir) {
			continue
		}
		for _, f := range p.code() {
			parts := map[string]string{} // import path by the name it goes by
			for _, spec := range f.ast.Imports {
				imp := imported(spec)
				if p.dir == "persist" && (imp == "os" || imp == "syscall") {
					continue
				}
				if within(imp, notForValues) && imp != "math/rand/v2" {
					complaints = append(complaints, t.at(spec.Pos(),
						"%s is a value and must not import %s; take what it gives as an argument, or do this under internal/", p.dir, imp))
				}
				if partsForValues[imp] != nil {
					parts[localName(spec)] = imp
				}
			}
			ast.Inspect(f.ast, func(n ast.Node) bool {
				switch n := n.(type) {
				case *ast.GoStmt:
					complaints = append(complaints, t.at(n.Pos(),
						"%s is a value and must not start a goroutine; let the caller decide, under internal/", p.dir))
				case *ast.SelectorExpr:
					x, ok := n.X.(*ast.Ident)
					if !ok || parts[x.Name] == "" {
						break
					}
					if imp := parts[x.Name]; !slices.Contains(partsForValues[imp], n.Sel.Name) {
						complaints = append(complaints, t.at(n.Pos(),
							"%s is a value and must not use %s.%s, only %s; take an instant (int64 nanoseconds) or a seed as an argument",
							p.dir, imp, n.Sel.Name, strings.Join(partsForValues[imp], ", ")))
					}
				}
				return true
			})
		}
	}
	return complaints
}

// localName returns the name that an import goes by in its file.
func localName(spec *ast.ImportSpec) string {
	if spec.Name != nil {
		return spec.Name.Name
	}
	imp := imported(spec)
	if base := path.Base(imp); base != "v2" {
		return base
	}
	return path.Base(path.Dir(imp))
}

func TestValuesBites(t *testing.T) {
	bite(t, values, []breach{
		{"queue/a.go", `package queue; import "net/netip"`, "queue is a value and must not import net/netip"},
		{"queue/a.go", `package queue; import "sync/atomic"`, "must not import sync/atomic"},
		{"wheel/a.go", `package wheel; import "time"; var now = time.Now()`, "must not use time.Now"},
		{"wheel/a.go", `package wheel; import t "time"; func f() { t.Sleep(1) }`, "must not use time.Sleep"},
		{"queue/a.go", `package queue; import "math/rand/v2"; var n = rand.Uint64()`, "must not use math/rand/v2.Uint64"},
		{"internal/slab/a.go", `package slab; func f() { go f() }`, "must not start a goroutine"},
		{"queue/a.go", `package queue; import ("math/rand/v2"; "time"); const s = time.Second; var r = rand.New(nil)`, ""},
		{"queue/a_test.go", `package queue; import "os"; func f() { go f() }`, ""},
		{"persist/a.go", `package persist; import "os"`, ""},
		{"persist/a.go", `package persist; import "sync"`, "persist is a value and must not import sync"},
		{"internal/server/a.go", `package server; import "net"; func f() { go f() }`, ""},
	})
}
