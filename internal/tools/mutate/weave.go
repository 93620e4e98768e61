package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// weave writes the instrumented sources into work, and returns the overlay that makes go build them in place of the real.
func weave(pkgs []*pkg, work string) (string, error) {
	replace := map[string]string{}
	for i, p := range pkgs {
		sources, err := p.settle()
		if err != nil {
			return "", fmt.Errorf("instrumenting %s: %w", p.path, err)
		}
		for at, source := range sources {
			copied := filepath.Join(work, fmt.Sprintf("%d-%s", i, filepath.Base(at)))
			if err := os.WriteFile(copied, source, 0o600); err != nil {
				return "", err
			}
			replace[at] = copied
		}
	}
	overlay := filepath.Join(work, "overlay.json")
	text, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", err
	}
	return overlay, os.WriteFile(overlay, text, 0o600)
}

// settle instruments the package until it compiles: a mutant that cannot be typed is skipped.
func (p *pkg) settle() (map[string][]byte, error) {
	for {
		sources, places := map[string][]byte{}, []place{}
		for _, f := range p.files {
			text, where := f.weave(p.mutants)
			sources[f.path], places = text, append(places, where...)
		}
		sources[filepath.Join(p.dir, "mutant_switch.go")] = p.helper()
		fset, syntax := token.NewFileSet(), []*ast.File{}
		for at, text := range sources {
			f, err := parser.ParseFile(fset, at, text, parser.SkipObjectResolution)
			if err != nil {
				return nil, err
			}
			syntax = append(syntax, f)
		}
		_, errs := p.check(fset, syntax, nil)
		if len(errs) == 0 {
			return sources, nil
		}
		if !skip(places, errs) {
			return nil, errors.Join(errs...)
		}
	}
}

// A place is where a mutant stands in the instrumented source.
type place struct {
	path       string
	start, end int
	mutant     *mutant
}

// skip leaves out the innermost mutant around each error, and reports whether there was one.
func skip(places []place, errs []error) bool {
	found := false
	for _, err := range errs {
		var at types.Error
		if !errors.As(err, &at) {
			continue
		}
		pos := at.Fset.Position(at.Pos)
		var inner *place
		for i, p := range places {
			if p.path == pos.Filename && p.start <= pos.Offset && pos.Offset < p.end && (inner == nil || p.end-p.start < inner.end-inner.start) {
				inner = &places[i]
			}
		}
		if inner != nil {
			inner.mutant.skip(at.Msg)
			found = true
		}
	}
	return found
}

// An edit puts text into a source in place of cut bytes. At the same offset, rank orders: what shuts comes first, from the
// inside out; then what replaces; then what opens, from the outside in.
type edit struct {
	at, cut int
	text    string
	rank    [3]int
	mutant  *mutant
}

// weave wraps all mutants of the file that are not skipped, and says where each stands afterwards.
func (f *file) weave(mutants []*mutant) ([]byte, []place) {
	var edits []edit
	for i, m := range mutants {
		if m.file != f || m.fate == skipped {
			continue
		}
		edits = append(edits,
			edit{at: m.start, text: fmt.Sprintf(m.open, m.id), rank: [3]int{2, -m.end, i}, mutant: m},
			edit{at: m.end, text: m.shut, rank: [3]int{0, -m.start, -i}, mutant: m})
		if m.comma >= 0 {
			edits = append(edits, edit{at: m.comma, cut: m.operator, text: ",", rank: [3]int{1, 0, 0}})
		}
	}
	slices.SortFunc(edits, func(a, b edit) int {
		return cmp.Or(cmp.Compare(a.at, b.at), slices.Compare(a.rank[:], b.rank[:]))
	})
	var out []byte
	var places []place
	from, opened := 0, map[*mutant]int{}
	for _, e := range edits {
		out = append(out, f.source[from:e.at]...)
		if e.rank[0] == 2 {
			opened[e.mutant] = len(out)
		}
		out = append(out, e.text...)
		if e.rank[0] == 0 {
			places = append(places, place{path: f.path, start: opened[e.mutant], end: len(out), mutant: e.mutant})
		}
		from = e.at + e.cut
	}
	return append(out, f.source[from:]...), places
}

// helper is the file with the switch. Its imports have names that the package cannot have for something else.
func (p *pkg) helper() []byte {
	var s strings.Builder
	fmt.Fprintf(&s, "package %s\n", p.types.Name())
	paths, types := []string{}, ""
	for i, t := range p.aliases {
		qualified := typeName(t, func(path string) string {
			if path == p.path {
				return ""
			}
			if !slices.Contains(paths, path) {
				paths = append(paths, path)
			}
			return fmt.Sprintf("mutantImport%d.", slices.Index(paths, path))
		})
		types += fmt.Sprintf("type mutantType%d = %s\n", i, qualified)
	}
	for i, path := range paths {
		fmt.Fprintf(&s, "import mutantImport%d %q\n", i, path)
	}
	first, last := 0, 0
	if n := len(p.mutants); n > 0 {
		first, last = p.mutants[0].id, p.mutants[n-1].id
	}
	fmt.Fprintf(&s, switchSource, first, last-first+1, types)
	return []byte(s.String())
}

func typeName(t types.Type, qualifier func(path string) string) string {
	obj := t.(*types.Named).Obj()
	return qualifier(obj.Pkg().Path()) + obj.Name()
}

// switchSource is the switch. GLINT_MUTANT chooses a mutant; -1 chooses none, and notes in GLINT_MUTANT_REACHED which are
// reached. The file is written at once: a test may end the process at any time.
const switchSource = `
import (
	mutantCmp "cmp"
	mutantOS "os"
	mutantConv "strconv"
	mutantAtomic "sync/atomic"
)

const (
	mutantFirst = %d
	mutantCount = %d
)

%s
var (
	mutantActive  = mutantRead()
	mutantReached [mutantCount]mutantAtomic.Bool
)

func mutantRead() int {
	n, _ := mutantConv.Atoi(mutantOS.Getenv("GLINT_MUTANT"))
	return n
}

func mutantOn(n int) bool {
	if mutantActive < 0 && !mutantReached[n-mutantFirst].Swap(true) {
		mutantNote(n)
	}
	return mutantActive == n
}

func mutantNote(n int) {
	f, err := mutantOS.OpenFile(mutantOS.Getenv("GLINT_MUTANT_REACHED"), mutantOS.O_APPEND|mutantOS.O_CREATE|mutantOS.O_WRONLY, 0o600)
	if err != nil {
		panic(err)
	}
	defer f.Close()
	if _, err := f.WriteString(mutantConv.Itoa(n) + "\n"); err != nil {
		panic(err)
	}
}

func mutantKeep(n int) bool { return !mutantOn(n) }

func mutantNot[B ~bool](n int, b B) B { return b != B(mutantOn(n)) }

func mutantConst[T any](n int, v, to T) T {
	if mutantOn(n) {
		return to
	}
	return v
}

func mutantLess[T mutantCmp.Ordered](n int, a, b T) bool    { return a < b || mutantOn(n) && a == b }
func mutantAtMost[T mutantCmp.Ordered](n int, a, b T) bool  { return a < b || !mutantOn(n) && a == b }
func mutantMore[T mutantCmp.Ordered](n int, a, b T) bool    { return a > b || mutantOn(n) && a == b }
func mutantAtLeast[T mutantCmp.Ordered](n int, a, b T) bool { return a > b || !mutantOn(n) && a == b }
`
