package glint_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/glint-infra/glint"

// A room is a package and the rooms it may enter. Every room may use the vocabulary (the root package).
type room struct {
	path string
	may  []string
	pure bool // no network, no files, no goroutines, no chance, no clock
}

// house lists the rooms in the order in which data flows. A room may enter only rooms above it.
// A new room needs a line here and a sentence in docs/architecture.md.
var house = []room{
	{path: ".", pure: true},
	{path: "internal/declare/language", pure: true},
	{path: "internal/declare", may: []string{"internal/declare/language"}},
	{path: "internal/compile", may: []string{"internal/declare"}, pure: true},
	{path: "internal/plan", pure: true},
	{path: "internal/check", pure: true},
	{path: "internal/artifact"},
	{path: "internal/image", may: []string{"internal/artifact"}},
	{path: "internal/store"},
	{path: "internal/store/storetest", may: []string{"internal/store"}},
	{path: "internal/store/mem", may: []string{"internal/store"}},
	{path: "internal/store/etcd", may: []string{"internal/store"}},
	{path: "internal/discovery"},
	{path: "internal/network"},
	{path: "internal/platform"},
	{path: "internal/platform/platformtest", may: []string{"internal/platform"}},
	{path: "internal/platform/sim"},
	{path: "internal/platform/local/rootfs", may: []string{"internal/image"}},
	{path: "internal/platform/local", may: []string{"internal/platform", "internal/platform/local/rootfs", "internal/image", "internal/discovery", "internal/network"}},
	{path: "internal/balancer"},
	{path: "internal/balancer/balancertest", may: []string{"internal/balancer"}},
	{path: "internal/balancer/l4", may: []string{"internal/balancer", "internal/discovery", "internal/network"}},
	{path: "internal/balancer/haproxy", may: []string{"internal/balancer", "internal/discovery", "internal/network"}},
	{path: "internal/balancer/plane", may: []string{"internal/balancer", "internal/balancer/l4", "internal/balancer/haproxy", "internal/discovery", "internal/network"}},
	{path: "internal/observe", may: []string{"internal/platform", "internal/balancer"}},
	{path: "internal/conductor", may: []string{"internal/plan", "internal/check", "internal/store", "internal/platform", "internal/balancer", "internal/observe"}},
	{path: "internal/simulate", may: []string{"internal/plan", "internal/check", "internal/store", "internal/store/mem", "internal/platform", "internal/platform/sim", "internal/balancer", "internal/observe", "internal/conductor"}},
	{path: "internal/load"},
	{path: "internal/api", may: []string{"internal/artifact", "internal/image", "internal/store", "internal/plan", "internal/check", "internal/platform", "internal/conductor"}},
	{path: "internal/bench", may: []string{"internal/plan", "internal/check", "internal/api", "internal/load"}},
	{path: "internal/tools/mutate"},
	{path: "cmd/glint", may: []string{"*"}},
}

// exempt names what breaks a size rule, and why.
var exempt = map[string]string{
	"cmd/glint": "one short file for each verb; it grows with the verbs, and rooms of two verbs each would say nothing",
}

var (
	outside    = []string{"context", "crypto/rand", "io", "log", "log/slog", "math/rand", "math/rand/v2", "net", "net/http", "os", "os/exec", "os/signal", "sync", "sync/atomic", "syscall"}
	clockCalls = []string{"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "NewTimer", "NewTicker", "Tick"}
)

const (
	maxFunc    = 80 // lines; most should stay under 50
	maxFile    = 500
	maxPackage = 3000
)

// TestLayout reads the sources itself: a test that shells out to `go list` is cached as passed.
func TestLayout(t *testing.T) {
	index := map[string]int{}
	for i, r := range house {
		index[r.path] = i
	}
	documented, lines := map[string]bool{}, map[string]int{}
	for _, path := range sources(t) {
		dir := filepath.Dir(path)
		i, known := index[dir]
		if !known {
			t.Errorf("%s is not in the house: say where it stands and what it may enter", dir)
			continue
		}
		fset := token.NewFileSet()
		f, err := parser.ParseFile(fset, path, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		documented[dir] = documented[dir] || f.Doc != nil
		n := fset.File(f.Pos()).LineCount()
		lines[dir] += n
		if _, ok := exempt[path]; !ok && n > maxFile {
			t.Errorf("%s has %d lines, more than %d", path, n, maxFile)
		}
		for _, objection := range append(checkImports(path, f, house[i], index), checkDecls(path, fset, f, house[i])...) {
			t.Error(objection)
		}
	}
	for _, r := range house {
		if _, err := os.Stat(r.path); err == nil && lines[r.path] > 0 && !documented[r.path] {
			t.Errorf("%s has no package comment: one sentence what it does, one what it does not", r.path)
		}
		if _, ok := exempt[r.path]; !ok && lines[r.path] > maxPackage {
			t.Errorf("%s has %d lines, more than %d", r.path, lines[r.path], maxPackage)
		}
	}
}

func sources(t *testing.T) []string {
	var paths []string
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (strings.HasPrefix(d.Name(), ".") && path != "." || d.Name() == "testdata" || path == "examples" || path == "bin" || path == "tmp") {
			return filepath.SkipDir
		}
		if !d.IsDir() && strings.HasSuffix(path, ".go") && !strings.HasSuffix(path, "_test.go") {
			paths = append(paths, path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return paths
}

func checkImports(path string, f *ast.File, r room, index map[string]int) (bad []string) {
	object := func(format string, args ...any) { bad = append(bad, fmt.Sprintf(format, args...)) }
	for _, spec := range f.Imports {
		name, _ := strconv.Unquote(spec.Path.Value)
		if to, ours := strings.CutPrefix(name, module+"/"); ours {
			if !slices.Contains(r.may, to) && !slices.Contains(r.may, "*") {
				object("%s: %s may not import %s", path, r.path, to)
			}
			if index[to] >= index[r.path] {
				object("%s: %s stands above %s: data flows one way", path, r.path, to)
			}
		}
		if r.path == "." && strings.Contains(name, ".") {
			object("%s: the vocabulary imports only the standard library, not %s", path, name)
		}
		if r.pure && slices.Contains(outside, name) {
			object("%s: %s is pure and may not import %s", path, r.path, name)
		}
	}
	return bad
}

func checkDecls(path string, fset *token.FileSet, f *ast.File, r room) (bad []string) {
	object := func(format string, args ...any) { bad = append(bad, fmt.Sprintf(format, args...)) }
	for _, d := range f.Decls {
		fn, ok := d.(*ast.FuncDecl)
		if !ok {
			continue
		}
		name := path + ":" + fn.Name.Name
		n := fset.Position(fn.End()).Line - fset.Position(fn.Pos()).Line + 1
		if _, ok := exempt[name]; !ok && n > maxFunc {
			object("%s has %d lines, more than %d", name, n, maxFunc)
		}
		if fn.Name.IsExported() && fn.Doc == nil && (fn.Recv == nil || exportedReceiver(fn)) {
			object("%s is exported and has no comment", name)
		}
		if r.pure {
			ast.Inspect(fn, func(n ast.Node) bool {
				if sel, ok := n.(*ast.SelectorExpr); ok {
					if x, ok := sel.X.(*ast.Ident); ok && x.Name == "time" && x.Obj == nil && slices.Contains(clockCalls, sel.Sel.Name) {
						object("%s: %s is pure and reads the clock: time.%s", name, r.path, sel.Sel.Name)
					}
				}
				if g, ok := n.(*ast.GoStmt); ok {
					object("%s: %s is pure and starts a goroutine at line %d", name, r.path, fset.Position(g.Pos()).Line)
				}
				return true
			})
		}
	}
	return bad
}

func exportedReceiver(fn *ast.FuncDecl) bool {
	typ := fn.Recv.List[0].Type
	if star, ok := typ.(*ast.StarExpr); ok {
		typ = star.X
	}
	id, ok := typ.(*ast.Ident)
	return ok && id.IsExported()
}

// TestLayoutDepth keeps the way from any room to the vocabulary short.
func TestLayoutDepth(t *testing.T) {
	depth := map[string]int{}
	for _, r := range house {
		for _, m := range r.may {
			depth[r.path] = max(depth[r.path], depth[m]+1)
		}
		if depth[r.path] > 5 {
			t.Errorf("%s stands %d imports deep, more than 5", r.path, depth[r.path])
		}
	}
}

// TestLayoutObjects holds the rules against a file that breaks them, so that they cannot fall silent.
func TestLayoutObjects(t *testing.T) {
	const source = `package plan
import (
	"os"
	"time"
	"github.com/glint-infra/glint/internal/conductor"
	alias "github.com/glint-infra/glint/internal/check"
)
func Naked() {}
func clock() time.Time { go clock(); return time.Now() }
func long() {%s}
`
	fset := token.NewFileSet()
	f, err := parser.ParseFile(fset, "internal/plan/bad.go", fmt.Sprintf(source, strings.Repeat("\n", maxFunc)), parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	index, plan := map[string]int{}, room{}
	for i, r := range house {
		index[r.path] = i
		if r.path == "internal/plan" {
			plan = r
		}
	}
	bad := strings.Join(append(checkImports("internal/plan/bad.go", f, plan, index), checkDecls("internal/plan/bad.go", fset, f, plan)...), "\n")
	for _, want := range []string{"may not import os", "may not import internal/conductor", "internal/conductor: data flows one way", "may not import internal/check", "Naked is exported and has no comment", "reads the clock: time.Now", "starts a goroutine", "long has 81 lines"} {
		if !strings.Contains(bad, want) {
			t.Errorf("no objection %q in:\n%s", want, bad)
		}
	}
	root, err := parser.ParseFile(fset, "bad.go", "package glint\nimport _ \"golang.org/x/sys/unix\"\n", 0)
	if err != nil {
		t.Fatal(err)
	}
	if bad := checkImports("bad.go", root, house[0], index); len(bad) != 1 || !strings.Contains(bad[0], "only the standard library") {
		t.Errorf("the vocabulary: %v", bad)
	}
}
