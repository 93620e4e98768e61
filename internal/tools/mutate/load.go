package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// A pkg is a package to make faults in.
type pkg struct {
	path, dir, module, version string // version: of the language, such as go1.26
	files                      []*file
	fset                       *token.FileSet
	types                      *types.Package
	info                       *types.Info
	lookup                     types.Importer
	mutants                    []*mutant
	aliases                    []types.Type // named types that the helper gives a name to: their place is their number
}

// short is the path of the package within its module.
func (p *pkg) short() string { return strings.TrimPrefix(p.path, p.module+"/") }

// A file is a source file as it stands.
type file struct {
	name   string // from the working directory
	path   string
	source []byte
	syntax *ast.File
}

// listed is what `go list` says of a package.
type listed struct {
	ImportPath, Dir, Export string
	GoFiles                 []string
	DepOnly                 bool
	Module                  *struct{ Path, GoVersion string }
}

// load reads and types the packages.
func load(ctx context.Context, patterns []string) ([]*pkg, error) {
	all, err := list(ctx, append([]string{"cmp", "os", "strconv", "sync/atomic"}, patterns...)) // what the switch imports
	if err != nil {
		return nil, err
	}
	export := map[string]string{}
	for _, l := range all {
		export[l.ImportPath] = l.Export
	}
	var pkgs []*pkg
	for _, l := range all {
		if l.DepOnly || l.Module == nil {
			continue
		}
		p, err := l.read(export)
		if err != nil {
			return nil, fmt.Errorf("loading %s: %w", l.ImportPath, err)
		}
		pkgs = append(pkgs, p)
	}
	return pkgs, nil
}

func list(ctx context.Context, patterns []string) ([]listed, error) {
	args := []string{"list", "-export", "-deps", "-json=ImportPath,Dir,Export,GoFiles,DepOnly,Module"}
	cmd := exec.CommandContext(ctx, "go", append(args, patterns...)...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("listing %s: %w\n%s", strings.Join(patterns, " "), err, stderr.Bytes())
	}
	var all []listed
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var l listed
		if err := d.Decode(&l); errors.Is(err, io.EOF) {
			return all, nil
		} else if err != nil {
			return nil, fmt.Errorf("reading what go list says: %w", err)
		}
		all = append(all, l)
	}
}

func (l listed) read(export map[string]string) (*pkg, error) {
	p := &pkg{path: l.ImportPath, dir: l.Dir, module: l.Module.Path, version: "go" + l.Module.GoVersion, fset: token.NewFileSet()}
	p.lookup = importer.ForCompiler(p.fset, "gc", func(path string) (io.ReadCloser, error) { return os.Open(export[path]) })
	var syntax []*ast.File
	for _, name := range l.GoFiles {
		f := &file{path: filepath.Join(l.Dir, name)}
		f.name = relative(f.path)
		var err error
		if f.source, err = os.ReadFile(f.path); err != nil {
			return nil, err
		}
		if f.syntax, err = parser.ParseFile(p.fset, f.path, f.source, parser.SkipObjectResolution); err != nil {
			return nil, err
		}
		p.files, syntax = append(p.files, f), append(syntax, f.syntax)
	}
	p.info = &types.Info{Types: map[ast.Expr]types.TypeAndValue{}, Uses: map[*ast.Ident]types.Object{}}
	var errs []error
	p.types, errs = p.check(p.fset, syntax, p.info)
	return p, errors.Join(errs...)
}

// check types the files of a package, and returns every error.
func (p *pkg) check(fset *token.FileSet, syntax []*ast.File, info *types.Info) (*types.Package, []error) {
	var errs []error
	conf := types.Config{
		Importer: p.lookup, GoVersion: p.version, Sizes: types.SizesFor("gc", runtime.GOARCH),
		Error: func(err error) { errs = append(errs, err) },
	}
	typed, _ := conf.Check(p.path, fset, syntax, info) // every error has been given to Error
	return typed, errs
}

// alias gives the name by which a helper's own type stands for t, and false where t cannot be named in the package.
func (p *pkg) alias(t types.Type) (string, bool) {
	switch t := types.Unalias(t).(type) {
	case *types.Basic:
		return t.Name(), t.Info()&types.IsUntyped == 0
	case *types.Named:
		obj := t.Obj()
		ours := obj.Pkg() == p.types
		switch {
		case obj.Pkg() == nil || t.TypeArgs() != nil || obj.Parent() != obj.Pkg().Scope():
			return "", false
		case !ours && (!obj.Exported() || !slices.Contains(p.types.Imports(), obj.Pkg())):
			return "", false
		}
		i := slices.IndexFunc(p.aliases, func(a types.Type) bool { return types.Identical(a, t) })
		if i < 0 {
			i, p.aliases = len(p.aliases), append(p.aliases, t)
		}
		return fmt.Sprintf("mutantType%d", i), true
	}
	return "", false
}
