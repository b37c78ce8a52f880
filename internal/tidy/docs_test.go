package tidy

import (
	"go/ast"
	"go/token"
	"slices"
	"testing"
)

// Every package says what it is, and every exported name what it means. The
// methods by which an unexported type satisfies an interface say nothing.

func docs(t *tree) (complaints []string) {
	for _, p := range t.packages {
		if !slices.ContainsFunc(p.files, func(f *file) bool { return f.ast.Doc != nil }) {
			complaints = append(complaints, p.dir+
				`: no package comment; open one file with what the package is, what it is not, and its one central idea`)
		}
		for _, f := range p.code() {
			if f.ast.Name.Name == "main" {
				continue
			}
			for _, name := range undocumented(f.ast) {
				complaints = append(complaints, t.at(name.Pos(),
					"%s has no doc comment; say what it means, who owns what, whether it blocks, its units and its cost", name.Name))
			}
		}
	}
	return complaints
}

// undocumented returns the exported names declared in f without a comment.
func undocumented(f *ast.File) (names []*ast.Ident) {
	for _, decl := range f.Decls {
		switch d := decl.(type) {
		case *ast.FuncDecl:
			if d.Doc == nil && d.Name.IsExported() && (d.Recv == nil || ast.IsExported(receiver(d))) {
				names = append(names, d.Name)
			}
		case *ast.GenDecl:
			if d.Tok == token.IMPORT || d.Doc != nil { // a comment on a group is for all of it
				continue
			}
			names = append(names, undocumentedSpecs(d.Specs)...)
		}
	}
	return names
}

// undocumentedSpecs takes a comment behind a name for one above it, and a
// comment on the first of a block of constants for one on all: they are the
// values of one type.
func undocumentedSpecs(specs []ast.Spec) (names []*ast.Ident) {
	typed := false
	for _, s := range specs {
		switch s := s.(type) {
		case *ast.TypeSpec:
			if s.Doc == nil && s.Comment == nil && s.Name.IsExported() {
				names = append(names, s.Name)
			}
		case *ast.ValueSpec:
			if s.Doc != nil || s.Comment != nil {
				typed = true
				continue
			}
			if typed && s.Type == nil && s.Values == nil {
				continue
			}
			for _, name := range s.Names {
				if name.IsExported() {
					names = append(names, name)
				}
			}
		}
	}
	return names
}

// receiver returns the name of the type that d is a method of.
func receiver(d *ast.FuncDecl) string {
	x := d.Recv.List[0].Type
	for {
		switch e := x.(type) {
		case *ast.StarExpr:
			x = e.X
		case *ast.IndexExpr: // of a generic type
			x = e.X
		case *ast.IndexListExpr:
			x = e.X
		default:
			return nameOf(x)
		}
	}
}

func TestDocsBites(t *testing.T) {
	const doc = "// Package queue is.\npackage queue\n"
	bite(t, docs, []breach{
		{"queue/a.go", "package queue", "queue: no package comment"},
		{"queue/a.go", doc + "func F() {}", "F has no doc comment"},
		{"queue/a.go", doc + "func (e *Engine[T]) M() {}", "M has no doc comment"},
		{"queue/a.go", doc + "type T int", "T has no doc comment"},
		{"queue/a.go", doc + "const (\n\tc = 1\n\tD = 2\n)", "D has no doc comment"},
		{"queue/a.go", doc + "// All of them.\nconst (\n\tC = 1\n\tD = 2\n)", ""},
		{"queue/a.go", doc + "const (\n\tC = 1 // one\n\td = 2\n)", ""},
		{"queue/a.go", doc + "func (h heap) Len() int { return 0 }\nfunc f() {}", ""},
		{"cmd/spoked/a.go", "// Command spoked is.\npackage main\nfunc F() {}", ""},
	})
}
