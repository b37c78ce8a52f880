package tidy

import (
	"fmt"
	"go/ast"
	"strings"
	"testing"
)

const (
	maxFile = 800 // lines
	maxFunc = 100 // lines, of functions outside tests that are more than a table
)

func sizes(t *tree) (complaints []string) {
	for _, p := range t.packages {
		for _, f := range p.files {
			if n := strings.Count(f.text, "\n"); n > maxFile {
				complaints = append(complaints, fmt.Sprintf(
					"%s: %d lines, more than %d; split it by what a reader looks for", f.path, n, maxFile))
			}
			if f.test {
				continue
			}
			for _, decl := range f.ast.Decls {
				d, ok := decl.(*ast.FuncDecl)
				if !ok || returnsTable(d) {
					continue
				}
				n := t.fset.Position(d.End()).Line - t.fset.Position(d.Pos()).Line + 1
				if n > maxFunc {
					complaints = append(complaints, t.at(d.Pos(),
						"%s has %d lines, more than %d; give its steps names", d.Name.Name, n, maxFunc))
				}
			}
		}
	}
	return complaints
}

// returnsTable reports whether d does nothing but return a value written
// down in it, which is how a table is kept that nobody can change.
func returnsTable(d *ast.FuncDecl) bool {
	if d.Body == nil || len(d.Body.List) != 1 {
		return false
	}
	ret, ok := d.Body.List[0].(*ast.ReturnStmt)
	if !ok || len(ret.Results) != 1 {
		return false
	}
	_, ok = ret.Results[0].(*ast.CompositeLit)
	return ok
}

func TestSizesBites(t *testing.T) {
	lines := func(n int) string { return strings.Repeat("\n", n) }
	bite(t, sizes, []breach{
		{"queue/a.go", "package queue" + lines(maxFile), ""},
		{"queue/a.go", "package queue" + lines(maxFile+1), "queue/a.go: 801 lines"},
		{"queue/a.go", "package queue; func f() {" + lines(maxFunc-1) + "}", ""},
		{"queue/a.go", "package queue; func f() {" + lines(maxFunc) + "}", "f has 101 lines"},
		{"queue/a.go", "package queue; func f() []int { return []int{" + lines(maxFunc) + "} }", ""},
		{"queue/a_test.go", "package queue; func f() {" + lines(maxFunc) + "}", ""},
	})
}
