package tidy

import (
	"go/ast"
	"go/token"
	"path"
	"slices"
	"strings"
	"testing"
)

// A package has no state and does nothing when it is loaded: what a program
// does begins in main. Package-level variables are errors and tables, written
// down where they are declared and never assigned to again.

// madeOnce are the tables that are not written down but computed, from
// constants.
var madeOnce = []string{
	"persist.castagnoli", // a table of checksums
	"proto.isNameByte",   // a set, from the bytes in it
	"proto.rowsByFirst",  // the grammar again, by first byte
	"proto.addedByFirst", // the same
}

// makers are functions whose result may be kept in a package-level variable.
var makers = []string{"errors.New", "fmt.Errorf", "regexp.MustCompile"}

func state(t *tree) (complaints []string) {
	for _, p := range t.packages {
		vars := map[string]bool{}
		for _, f := range p.code() {
			for _, decl := range f.ast.Decls {
				switch d := decl.(type) {
				case *ast.FuncDecl:
					if d.Recv == nil && d.Name.Name == "init" {
						complaints = append(complaints, t.at(d.Pos(), "init function; call it from where it is needed"))
					}
				case *ast.GenDecl:
					if d.Tok == token.VAR {
						complaints = append(complaints, t.varComplaints(p, d, vars)...)
					}
				}
			}
		}
		for _, f := range p.code() {
			ast.Inspect(f.ast, func(n ast.Node) bool {
				for _, x := range changed(n) {
					if id := root(x); id != nil && vars[id.Name] {
						complaints = append(complaints, t.at(x.Pos(),
							"the package-level variable %s is changed, or its address taken; put it into a struct (or give the local variable another name)", id.Name))
					}
				}
				return true
			})
		}
	}
	return complaints
}

// varComplaints looks at one var declaration, and adds its names to vars.
func (t *tree) varComplaints(p *pkg, d *ast.GenDecl, vars map[string]bool) (complaints []string) {
	embedded := d.Doc != nil && slices.ContainsFunc(d.Doc.List, func(c *ast.Comment) bool {
		return strings.HasPrefix(c.Text, "//go:embed ")
	})
	for _, s := range d.Specs {
		spec := s.(*ast.ValueSpec)
		for i, name := range spec.Names {
			if name.Name == "_" {
				continue
			}
			vars[name.Name] = true
			if embedded || slices.Contains(madeOnce, path.Base(p.dir)+"."+name.Name) {
				continue
			}
			if len(spec.Values) != len(spec.Names) || !isTable(spec.Values[i]) {
				complaints = append(complaints, t.at(name.Pos(),
					"the package-level variable %s is neither an error nor a table; put it into a struct, or make it a constant or a function "+
						"(if it is a table computed from constants, add it to madeOnce in internal/tidy/state_test.go)", name.Name))
			}
		}
	}
	return complaints
}

// isTable reports whether x is written down where it stands, or comes from
// one of makers.
func isTable(x ast.Expr) bool {
	switch x := x.(type) {
	case *ast.BasicLit:
		return true
	case *ast.CompositeLit:
		sel, ok := x.Type.(*ast.SelectorExpr)
		return !ok || !slices.Contains([]string{"sync", "atomic"}, nameOf(sel.X))
	case *ast.CallExpr:
		sel, ok := x.Fun.(*ast.SelectorExpr)
		return ok && slices.Contains(makers, nameOf(sel.X)+"."+sel.Sel.Name)
	}
	return false
}

func nameOf(x ast.Expr) string {
	if id, ok := x.(*ast.Ident); ok {
		return id.Name
	}
	return ""
}

// changed returns what n assigns to, or could have assigned to later.
func changed(n ast.Node) []ast.Expr {
	switch n := n.(type) {
	case *ast.AssignStmt:
		if n.Tok != token.DEFINE {
			return n.Lhs
		}
	case *ast.IncDecStmt:
		return []ast.Expr{n.X}
	case *ast.RangeStmt:
		if n.Tok == token.ASSIGN {
			return []ast.Expr{n.Key, n.Value}
		}
	case *ast.UnaryExpr:
		if n.Op == token.AND {
			return []ast.Expr{n.X}
		}
	case *ast.CallExpr:
		if name := nameOf(n.Fun); (name == "clear" || name == "delete" || name == "copy") && len(n.Args) > 0 {
			return n.Args[:1]
		}
	}
	return nil
}

// root returns x of x.field[i], or nil.
func root(x ast.Expr) *ast.Ident {
	for {
		switch e := x.(type) {
		case *ast.Ident:
			return e
		case *ast.SelectorExpr:
			x = e.X
		case *ast.IndexExpr:
			x = e.X
		case *ast.SliceExpr:
			x = e.X
		case *ast.ParenExpr:
			x = e.X
		default:
			return nil
		}
	}
}

func TestStateBites(t *testing.T) {
	bite(t, state, []breach{
		{"queue/a.go", `package queue; func init() {}`, "init function"},
		{"queue/a.go", `package queue; var n int`, "n is neither an error nor a table"},
		{"queue/a.go", `package queue; import "sync"; var mu = sync.Mutex{}`, "mu is neither"},
		{"queue/a.go", `package queue; var m = make(map[int]int)`, "m is neither"},
		{"queue/a.go", `package queue; var e = &engine{}`, "e is neither"},
		{"queue/a.go", `package queue; var m = map[int]int{}; func f() { m[1] = 2 }`, "m is changed"},
		{"queue/a.go", `package queue; var a = [2]int{}; func f() *int { return &a[0] }`, "a is changed"},
		{"queue/a.go", `package queue; var a = []int{1}; func f() { clear(a) }`, "a is changed"},
		{"queue/a.go", `package queue; import "errors"; var ErrX = errors.New("x"); var t = []int{1}; var _ i = s{}`, ""},
		{"queue/a.go", `package queue; func f() { var n int; n++; m := []int{}; m[0] = n }`, ""},
		{"proto/a.go", `package proto; var rowsByFirst = group()`, ""},
		{"queue/a_test.go", `package queue; var n int; func init() {}`, ""},
	})
}
