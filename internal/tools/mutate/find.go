package main

import (
	"fmt"
	"go/ast"
	"go/constant"
	"go/token"
	"go/types"
	"strconv"
	"strings"
)

// A mutant is one small fault.
type mutant struct {
	id       int // the value of the switch; counted through all packages
	pkg      *pkg
	file     *file
	fn       string // the function it is in, such as planner.relieve
	line     int
	kind     string // negate, boundary, constant or drop
	what     string // what was changed, on one line
	ordinal  int    // counts those of the same function, kind and text
	start    int    // the stretch of source that is wrapped, in bytes
	end      int
	open     string // is put before it, with the id for %d
	shut     string // is put behind it
	comma    int    // of a boundary: where the operator is that becomes a comma
	operator int    // its length
	fate     fate
	because  string // why it was skipped, or which tests killed it
}

// A fate is what became of a mutant.
type fate string

const (
	killed     fate = "killed"
	hung       fate = "hung" // and so was killed
	survived   fate = "survived"
	notReached fate = "not reached" // and so survived
	skipped    fate = "skipped"
)

// skip says that it cannot be tried.
func (m *mutant) skip(because string) { m.fate, m.because = skipped, because }

// key names a mutant for as long as its function and its text stay what they are.
func (m *mutant) key() string {
	return fmt.Sprintf("%s %s %s %q %d", m.pkg.short(), m.fn, m.kind, m.what, m.ordinal)
}

// A finder walks a file for places where a fault can be made.
type finder struct {
	pkg   *pkg
	file  *file
	fn    string
	above []ast.Node        // what encloses the node that is visited
	fixed map[ast.Expr]bool // constants that must stay, or whose move nobody can see
	taken map[ast.Expr]bool // conditions that are negated already
}

// number finds all mutants and gives them their numbers.
func number(pkgs []*pkg) {
	id := 0
	for _, p := range pkgs {
		for _, f := range p.files {
			for _, d := range f.syntax.Decls {
				w := &finder{pkg: p, file: f, fn: name(d), fixed: map[ast.Expr]bool{}, taken: map[ast.Expr]bool{}}
				ast.Inspect(d, w.visit)
			}
		}
		seen := map[string]int{}
		for _, m := range p.mutants {
			id++
			m.id, m.ordinal = id, 1
			seen[m.key()]++
			m.ordinal = seen[m.key()]
		}
	}
}

func name(d ast.Decl) string {
	fn, ok := d.(*ast.FuncDecl)
	if !ok {
		return "package"
	}
	if fn.Recv == nil {
		return fn.Name.Name
	}
	recv := fn.Recv.List[0].Type
	if star, ok := recv.(*ast.StarExpr); ok {
		recv = star.X
	}
	if index, ok := recv.(*ast.IndexExpr); ok {
		recv = index.X
	}
	return types.ExprString(recv) + "." + fn.Name.Name
}

func (w *finder) visit(n ast.Node) bool {
	if n == nil {
		w.above = w.above[:len(w.above)-1]
		return false
	}
	if e, ok := n.(ast.Expr); ok && !w.expression(e) {
		return false
	}
	if d, ok := n.(*ast.GenDecl); ok && d.Tok != token.VAR {
		return false // constants are moved where they are used
	}
	w.above = append(w.above, n)
	switch n := n.(type) {
	case *ast.BlockStmt:
		w.drop(n.List)
	case *ast.CaseClause:
		w.drop(n.Body)
	case *ast.CommClause:
		w.drop(n.Body)
	case *ast.IfStmt:
		w.header(n.Init)
		w.negate(n.Cond)
	case *ast.ForStmt:
		w.header(n.Init)
		w.header(n.Post)
		if n.Cond != nil {
			w.negate(n.Cond)
		}
	case *ast.SwitchStmt:
		w.header(n.Init)
		if n.Tag == nil {
			for _, c := range n.Body.List {
				for _, e := range c.(*ast.CaseClause).List {
					w.negate(e)
				}
			}
		}
	}
	return true
}

// expression reports whether to look further into e.
func (w *finder) expression(e ast.Expr) bool {
	tv := w.pkg.info.Types[e]
	if tv.IsType() || w.fixed[e] {
		return false
	}
	if tv.Value != nil {
		w.constant(e, tv)
		return false
	}
	switch e := e.(type) {
	case *ast.BinaryExpr:
		w.binary(e)
	case *ast.UnaryExpr:
		if e.Op == token.NOT {
			w.negate(e)
		}
	case *ast.IndexExpr:
		if _, plain := e.Index.(*ast.BasicLit); plain {
			_, isMap := w.pkg.info.Types[e.X].Type.Underlying().(*types.Map)
			w.fixed[e.Index] = !isMap
		}
	case *ast.CompositeLit:
		w.composite(e)
	case *ast.CallExpr:
		if id, ok := e.Fun.(*ast.Ident); ok && w.pkg.info.Uses[id] == types.Universe.Lookup("make") {
			w.capacity(e)
		}
	}
	return true
}

// composite leaves the keys of array and slice literals alone: they must be constant.
func (w *finder) composite(e *ast.CompositeLit) {
	switch w.pkg.info.Types[e].Type.Underlying().(type) {
	case *types.Array, *types.Slice:
		for _, elt := range e.Elts {
			if kv, ok := elt.(*ast.KeyValueExpr); ok {
				w.fixed[kv.Key] = true
			}
		}
	}
}

// capacity leaves alone what only says how much room to make at first.
func (w *finder) capacity(e *ast.CallExpr) {
	_, isMap := w.pkg.info.Types[e.Args[0]].Type.Underlying().(*types.Map)
	if at := 2; isMap && len(e.Args) > 1 {
		w.fixed[e.Args[1]] = true
	} else if len(e.Args) > at {
		w.fixed[e.Args[at]] = true
	}
}

var moved = map[token.Token]struct{ helper, operator string }{
	token.LSS: {"mutantLess", "<="}, token.LEQ: {"mutantAtMost", "<"},
	token.GTR: {"mutantMore", ">="}, token.GEQ: {"mutantAtLeast", ">"},
}

func (w *finder) binary(e *ast.BinaryExpr) {
	switch e.Op {
	case token.LAND, token.LOR:
		w.negate(e.X)
		w.negate(e.Y)
	case token.EQL, token.NEQ:
		w.negate(e)
	case token.LSS, token.LEQ, token.GTR, token.GEQ:
		to := moved[e.Op]
		m := w.add("boundary", fmt.Sprintf("%s: %s becomes %s", w.text(e), e.Op, to.operator), e)
		m.open, m.shut = to.helper+"(%d, ", ")"
		m.comma, m.operator = w.offset(e.OpPos), len(e.Op.String())
	}
}

func (w *finder) negate(e ast.Expr) {
	bare := ast.Unparen(e)
	if w.taken[bare] {
		return
	}
	w.taken[bare] = true
	m := w.add("negate", w.text(bare), bare)
	m.open, m.shut = "mutantNot(%d, ", ")"
}

// drop lets statements of a block be left out.
func (w *finder) drop(list []ast.Stmt) {
	for _, s := range list {
		switch s := s.(type) {
		case *ast.AssignStmt:
			if s.Tok == token.DEFINE || blank(s) {
				continue
			}
		case *ast.ExprStmt:
			if call, ok := s.X.(*ast.CallExpr); ok && w.panics(call) {
				continue // the end of a function may need it
			}
		case *ast.ReturnStmt:
			if len(s.Results) > 0 {
				continue
			}
		case *ast.BranchStmt:
			if s.Tok != token.CONTINUE && s.Tok != token.BREAK {
				continue
			}
		case *ast.IncDecStmt, *ast.SendStmt, *ast.DeferStmt, *ast.GoStmt:
		default:
			continue
		}
		m := w.add("drop", w.text(s), s)
		m.open, m.shut = "if mutantKeep(%d) { ", " }"
	}
}

// header counts what could be dropped, were it not part of another statement.
func (w *finder) header(s ast.Stmt) {
	switch s := s.(type) {
	case *ast.AssignStmt:
		if s.Tok == token.DEFINE {
			return
		}
	case *ast.IncDecStmt, *ast.ExprStmt:
	default:
		return
	}
	w.add("drop", w.text(s), s).skip("it is part of another statement")
}

func blank(s *ast.AssignStmt) bool {
	for _, l := range s.Lhs {
		if id, ok := l.(*ast.Ident); !ok || id.Name != "_" {
			return false
		}
	}
	return true
}

func (w *finder) panics(call *ast.CallExpr) bool {
	id, ok := call.Fun.(*ast.Ident)
	return ok && w.pkg.info.Uses[id] == types.Universe.Lookup("panic")
}

// constant moves each number in e, which is the whole of a constant expression.
func (w *finder) constant(e ast.Expr, tv types.TypeAndValue) {
	name, ok := w.pkg.alias(tv.Type)
	if id, isName := ast.Unparen(e).(*ast.Ident); isName && tv.Value.Kind() == constant.Bool {
		if _, plain := types.Universe.Lookup(id.Name).(*types.Const); plain {
			w.move(e, w.around(e)+": "+id.Name+" flipped", "!"+id.Name, name, ok)
		}
		return
	}
	if k := tv.Value.Kind(); k != constant.Int && k != constant.Float {
		return
	}
	ast.Inspect(e, func(n ast.Node) bool {
		to := ""
		switch n := n.(type) {
		case *ast.BasicLit:
			if to = next(n); to == "" {
				return false
			}
		case *ast.SelectorExpr:
			to = w.step(n, n.Sel)
		case *ast.Ident:
			to = w.step(n, n)
		case *ast.CallExpr:
			return w.pkg.info.Types[n.Fun].IsType() // a conversion; not len("text")
		}
		if to == "" {
			return true
		}
		old := w.text(n)
		from, till := w.offset(n.Pos())-w.offset(e.Pos()), w.offset(n.End())-w.offset(e.Pos())
		whole := string(w.file.source[w.offset(e.Pos()):w.offset(e.End())])
		w.move(e, fmt.Sprintf("%s: %s becomes %s", w.around(e), old, to), whole[:from]+to+whole[till:], name, ok)
		return false
	})
}

func (w *finder) move(e ast.Expr, what, to, name string, ok bool) {
	m := w.add("constant", what, e)
	if !ok {
		m.skip("its type cannot be named")
	}
	m.open, m.shut = "mutantConst["+name+"](%d, ", ", "+to+")"
}

// around is the text in which a constant has a meaning: what it is compared with, given to or put into.
func (w *finder) around(e ast.Expr) string {
	for i := len(w.above) - 1; i >= 0; i-- {
		switch n := w.above[i].(type) {
		case *ast.BlockStmt:
			return w.text(e)
		case *ast.CaseClause:
			return "case " + w.text(e)
		case *ast.RangeStmt:
			return "range " + w.text(e)
		case *ast.ParenExpr, *ast.UnaryExpr:
		default:
			return w.text(n)
		}
	}
	return w.text(e)
}

// next is the literal that follows a number; empty for what is not a number. One with a point or an exponent is doubled:
// one more may be next to nothing.
func next(l *ast.BasicLit) string {
	if l.Kind == token.FLOAT {
		return "(2 * " + l.Value + ")"
	}
	v := constant.MakeFromLiteral(l.Value, l.Kind, 0)
	if l.Kind != token.INT || v.Kind() != constant.Int {
		return ""
	}
	return constant.BinaryOp(v, token.ADD, constant.MakeInt64(1)).ExactString()
}

// step moves a named constant of this module by one, and a duration by the largest unit that measures it.
func (w *finder) step(e ast.Expr, id *ast.Ident) string {
	c, ok := w.pkg.info.Uses[id].(*types.Const)
	if !ok || c.Pkg() == nil || c.Pkg().Path() != w.pkg.module && !strings.HasPrefix(c.Pkg().Path(), w.pkg.module+"/") {
		return ""
	}
	by := int64(1)
	if n, ok := types.Unalias(c.Type()).(*types.Named); ok && n.Obj().Name() == "Duration" {
		if v, exact := constant.Int64Val(c.Val()); exact && v != 0 {
			for _, unit := range []int64{3600e9, 60e9, 1e9, 1e6, 1e3} {
				if v%unit == 0 {
					by = unit
					break
				}
			}
		}
	}
	return "(" + w.text(e) + " + " + strconv.FormatInt(by, 10) + ")"
}

func (w *finder) add(kind, what string, n ast.Node) *mutant {
	m := &mutant{
		pkg: w.pkg, file: w.file, fn: w.fn, kind: kind, what: what, line: w.pkg.fset.Position(n.Pos()).Line,
		start: w.offset(n.Pos()), end: w.offset(n.End()), comma: -1,
	}
	w.pkg.mutants = append(w.pkg.mutants, m)
	return m
}

func (w *finder) offset(p token.Pos) int { return w.pkg.fset.Position(p).Offset }

// longest bounds what is shown of a piece of source.
const longest = 100

// text is a piece of the source on one line.
func (w *finder) text(n ast.Node) string {
	s := strings.Join(strings.Fields(string(w.file.source[w.offset(n.Pos()):w.offset(n.End())])), " ")
	if r := []rune(s); len(r) > longest {
		return string(r[:longest]) + "…"
	}
	return s
}
