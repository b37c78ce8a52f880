package tidy

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"
)

// module is the path that imports of our own packages begin with.
const module = "spoked"

// tree is all Go source of the module.
type tree struct {
	fset     *token.FileSet
	packages []*pkg // by directory
}

// pkg is one directory of Go files, its tests included.
type pkg struct {
	dir   string // "internal/slab", with slashes
	files []*file
}

type file struct {
	path string // "internal/slab/slab.go"
	test bool
	text string
	ast  *ast.File
}

// rules are applied to the tree by TestTree. Each returns its complaints.
var rules = map[string]func(*tree) []string{
	"imports":   imports,
	"values":    values,
	"state":     state,
	"docs":      docs,
	"sizes":     sizes,
	"names":     names,
	"leftovers": leftovers,
}

func TestTree(t *testing.T) {
	tree, err := load(os.DirFS("../.."))
	if err != nil {
		t.Fatal(err)
	}
	if len(tree.packages) < 2 {
		t.Fatal("found no packages: are the tests run in their own directory?")
	}
	for name, rule := range rules {
		t.Run(name, func(t *testing.T) {
			for _, complaint := range rule(tree) {
				t.Error(complaint)
			}
		})
	}
}

// load parses every Go file below root, except in testdata and in
// directories that the go command ignores too.
func load(root fs.FS) (*tree, error) {
	t := &tree{fset: token.NewFileSet()}
	byDir := map[string]*pkg{}
	err := fs.WalkDir(root, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		base := d.Name()
		if d.IsDir() {
			if name != "." && (base == "testdata" || base == "vendor" || base == "node_modules" || strings.ContainsRune("._", rune(base[0]))) {
				return fs.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(base, ".go") || strings.ContainsRune("._", rune(base[0])) {
			return nil
		}
		text, err := fs.ReadFile(root, name)
		if err != nil {
			return err
		}
		syntax, err := parser.ParseFile(t.fset, name, text, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		dir := path.Dir(name)
		if byDir[dir] == nil {
			byDir[dir] = &pkg{dir: dir}
			t.packages = append(t.packages, byDir[dir])
		}
		p := byDir[dir]
		p.files = append(p.files, &file{
			path: name,
			test: strings.HasSuffix(base, "_test.go"),
			text: string(text),
			ast:  syntax,
		})
		return nil
	})
	slices.SortFunc(t.packages, func(a, b *pkg) int { return strings.Compare(a.dir, b.dir) })
	return t, err
}

// code yields the files of p that are part of the program.
func (p *pkg) code() []*file {
	return slices.DeleteFunc(slices.Clone(p.files), func(f *file) bool { return f.test })
}

// at is a complaint with its place in front.
func (t *tree) at(pos token.Pos, format string, args ...any) string {
	p := t.fset.Position(pos)
	return fmt.Sprintf("%s:%d: %s", p.Filename, p.Line, fmt.Sprintf(format, args...))
}

// imported returns the path of an import.
func imported(spec *ast.ImportSpec) string {
	p, err := strconv.Unquote(spec.Path.Value)
	if err != nil {
		panic(err) // the parser has read it
	}
	return p
}

// within reports whether an import path is one of parents or lies below one.
func within(importPath string, parents []string) bool {
	return slices.ContainsFunc(parents, func(p string) bool {
		return importPath == p || strings.HasPrefix(importPath, p+"/")
	})
}

// breach is a file that breaks a rule, and what the complaint must say; or
// nothing at all, if the file is in order.
type breach struct {
	path, source string
	want         string
}

// bite has rule look at each file alone.
func bite(t *testing.T, rule func(*tree) []string, breaches []breach) {
	t.Helper()
	for _, b := range breaches {
		tree, err := load(fstest.MapFS{b.path: {Data: []byte(b.source)}})
		if err != nil {
			t.Fatal(err)
		}
		got := strings.Join(rule(tree), "\n")
		if b.want == "" && got != "" {
			t.Errorf("%s:\n%s\ngot %q, want no complaint", b.path, b.source, got)
		}
		if !strings.Contains(got, b.want) {
			t.Errorf("%s:\n%s\ngot %q, want a complaint with %q", b.path, b.source, got, b.want)
		}
	}
}
