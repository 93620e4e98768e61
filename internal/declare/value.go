package declare

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"

	"github.com/glint-infra/glint/internal/declare/language"
)

// maxText bounds every text in bytes: the kernel refuses an argument or environment variable of 128 KiB
// (MAX_ARG_STRLEN in include/uapi/linux/binfmts.h), its name and final zero byte included.
const maxText = 128<<10 - 256

// A value is an expression that was held against its type.
type value struct {
	at      hcl.Range
	ok      bool
	words   Words   // of a text
	number  int64   // of a whole number, duration, size or CPU
	items   []value // of a list, a map or a call
	keys    []string
	keysAt  []hcl.Range
	call    string // the function, where one stands for the value
	service string // of a reference: of the service or task
	name    string // of a reference: of the image or port
}

// text returns the text, which holds no references.
func (v value) text() string {
	if len(v.words) == 0 {
		return ""
	}
	return v.words[0].Text
}

func (v value) texts() []string {
	var all []string
	for _, item := range v.items {
		all = append(all, item.text())
	}
	return all
}

func (c *checker) value(e hclsyntax.Expression, t *language.Type) value {
	for {
		p, ok := e.(*hclsyntax.ParenthesesExpr)
		if !ok {
			break
		}
		e = p.Expression
	}
	v := value{at: e.Range()}
	if call, ok := e.(*hclsyntax.FunctionCallExpr); ok {
		c.call(&v, call, t)
		return v
	}
	switch t.Kind {
	case language.KindText:
		c.text(&v, e, t)
	case language.KindWhole:
		c.whole(&v, e, t)
	case language.KindDuration, language.KindSize, language.KindCPU:
		c.quantity(&v, e, t)
	case language.KindList:
		c.list(&v, e, t)
	case language.KindMap:
		c.pairs(&v, e, t)
	case language.KindRef:
		c.reference(&v, e, t)
	default:
		c.mismatch(e, t)
	}
	return v
}

func (c *checker) mismatch(e hclsyntax.Expression, t *language.Type) {
	c.fail(e.Range(), "wrong type", "%s, not %s", t.Want(), describe(e))
}

// describe names an expression for people.
func describe(e hclsyntax.Expression) string {
	switch e := e.(type) {
	case *hclsyntax.LiteralValueExpr:
		switch {
		case e.Val.IsNull():
			return "null; leave the line out"
		case e.Val.Type() == cty.Number:
			return "a number"
		case e.Val.Type() == cty.Bool:
			return "true or false"
		}
		return "a text"
	case *hclsyntax.TemplateExpr, *hclsyntax.TemplateWrapExpr:
		return "a text"
	case *hclsyntax.TupleConsExpr:
		return "a list"
	case *hclsyntax.ObjectConsExpr:
		return "a map"
	case *hclsyntax.ScopeTraversalExpr, *hclsyntax.RelativeTraversalExpr, *hclsyntax.IndexExpr:
		return "a reference"
	case *hclsyntax.FunctionCallExpr:
		return "a call of " + e.Name
	}
	return "something to be computed"
}

// literal returns a text without references.
func literal(e hclsyntax.Expression) (string, bool) {
	switch e := e.(type) {
	case *hclsyntax.LiteralValueExpr:
		if e.Val.Type() == cty.String && !e.Val.IsNull() {
			return e.Val.AsString(), true
		}
	case *hclsyntax.TemplateExpr:
		var b strings.Builder
		for _, p := range e.Parts {
			s, ok := literal(p)
			if !ok {
				return "", false
			}
			b.WriteString(s)
		}
		return b.String(), true
	case *hclsyntax.TemplateWrapExpr:
		return literal(e.Wrapped)
	}
	return "", false
}

func (c *checker) text(v *value, e hclsyntax.Expression, t *language.Type) {
	s, ok := literal(e)
	if !ok {
		c.words(v, e, t)
		return
	}
	switch {
	case !c.fits(v.at, s):
	case len(t.Calls)+len(t.Enum) > 0 && !slices.Contains(t.Enum, s):
		c.fail(v.at, fmt.Sprintf("unknown value %q", s), "%s", c.choice(s, t.Enum, t))
	case t.Form != nil:
		v.ok = c.form(v.at, s, t.Form)
	default:
		v.ok = true
	}
	if v.ok {
		v.words = Words{{Text: s}}
	}
}

// choice says which of the words was probably meant, and what else may stand.
func (c *checker) choice(got string, words []string, t *language.Type) string {
	near := c.nearest(got, words)
	switch {
	case near == "":
		return t.Want()
	case len(t.Enum)+len(t.Calls) == 1:
		return fmt.Sprintf("did you mean %q?", near)
	}
	return fmt.Sprintf("did you mean %q? %s", near, t.Want())
}

// fits refuses what the kernel would not take as an argument or an environment variable.
func (c *checker) fits(at hcl.Range, s string) bool {
	switch {
	case len(s) > maxText:
		c.fail(at, "text too long", "%d bytes; at most %d", len(s), maxText)
	case strings.ContainsRune(s, 0):
		c.fail(at, "zero byte in a text", "no program can be given one")
	default:
		return true
	}
	return false
}

// words reads a text with references inside, or a reference that stands for a text.
func (c *checker) words(v *value, e hclsyntax.Expression, t *language.Type) {
	var parts []hclsyntax.Expression
	switch e := e.(type) {
	case *hclsyntax.TemplateExpr:
		parts = e.Parts
	case *hclsyntax.TemplateWrapExpr:
		parts = []hclsyntax.Expression{e.Wrapped}
	case *hclsyntax.ScopeTraversalExpr:
		parts = []hclsyntax.Expression{e}
	default:
		c.textMismatch(e, t)
		return
	}
	v.ok = true
	for _, p := range parts {
		if s, ok := literal(p); ok {
			v.words = append(v.words, Word{Text: s})
			v.ok = v.ok && c.fits(p.Range(), s)
			continue
		}
		ref, isRef := p.(*hclsyntax.ScopeTraversalExpr)
		switch {
		case !isRef:
			c.fail(p.Range(), "not a reference", "only references such as service.cache.port.redis.address can stand in a text, not %s", describe(p))
			v.ok = false
		case !t.Live:
			c.fail(p.Range(), "no reference can stand here", "%s", t.Want())
			v.ok = false
		default:
			address, ok := c.address(ref)
			v.ok = v.ok && ok
			if ok {
				v.words = append(v.words, Word{Ref: &address})
			}
		}
	}
}

// textMismatch says of numbers and truths how to write them as text.
func (c *checker) textMismatch(e hclsyntax.Expression, t *language.Type) {
	if l, ok := e.(*hclsyntax.LiteralValueExpr); ok && !l.Val.IsNull() && t.Form == nil && t.Enum == nil {
		src := l.SrcRange.SliceBytes(c.files[l.SrcRange.Filename])
		c.fail(e.Range(), "wrong type", "want a text: write \"%s\"", src)
		return
	}
	c.mismatch(e, t)
}

// numeral returns the source text of a number, its sign included.
func (c *checker) numeral(e hclsyntax.Expression) (string, bool) {
	inner := e
	if u, ok := e.(*hclsyntax.UnaryOpExpr); ok && u.Op == hclsyntax.OpNegate {
		inner = u.Val
	}
	l, ok := inner.(*hclsyntax.LiteralValueExpr)
	if !ok || l.Val.IsNull() || l.Val.Type() != cty.Number {
		return "", false
	}
	at := e.Range()
	return string(at.SliceBytes(c.files[at.Filename])), true
}

func (c *checker) whole(v *value, e hclsyntax.Expression, t *language.Type) {
	s, ok := c.numeral(e)
	if !ok {
		if text, is := literal(e); is {
			if n, err := strconv.ParseInt(text, 10, 64); err == nil {
				c.fail(v.at, "wrong type", "want a number, not a text: write %d", n)
				return
			}
		}
		c.mismatch(e, t)
		return
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil && strings.ContainsAny(s, ".eE") {
		c.fail(v.at, "not a whole number", "%s", t.Want())
		return
	}
	if err != nil || n < t.Min || n > t.Max {
		c.fail(v.at, "out of range", "%s", t.Want())
		return
	}
	v.number, v.ok = n, true
}

func (c *checker) quantity(v *value, e hclsyntax.Expression, t *language.Type) {
	s, ok := literal(e)
	if !ok {
		if _, number := c.numeral(e); number {
			c.fail(v.at, "unit missing", "%s", t.Plain())
			return
		}
		c.uncalled(hcl.ExprAsKeyword(e), e, t)
		return
	}
	n, err := t.Parse(s)
	switch {
	case err != nil && slices.ContainsFunc(t.Calls, func(f language.Call) bool { return f.Name == s }):
		c.uncalled(s, e, t)
	case err != nil && strings.Trim(s, "0123456789.") == "" && s != "":
		c.fail(v.at, "unit missing", "%s", t.Plain())
	case err != nil:
		c.fail(v.at, "not "+language.Article(string(t.Kind)), "%s", t.Want())
	case n == 0 && n < t.Min && len(t.Calls) > 0:
		c.fail(v.at, "too little", "at least %s, or %s", t.Show(t.Min), language.Either(t.Examples()))
	case n < t.Min:
		c.fail(v.at, "too little", "at least %s", t.Show(t.Min))
	case n > t.Max:
		c.fail(v.at, "too much", "at most %s", t.Show(t.Max))
	default:
		v.number, v.ok = n, true
	}
}

// uncalled speaks of an expression that is of another type, perhaps the name of a function without its arguments.
func (c *checker) uncalled(name string, e hclsyntax.Expression, t *language.Type) {
	for _, f := range t.Calls {
		if f.Name == name {
			c.fail(e.Range(), name+" alone is not enough", "write %s", f.Example)
			return
		}
	}
	c.mismatch(e, t)
}

func (c *checker) list(v *value, e hclsyntax.Expression, t *language.Type) {
	l, ok := e.(*hclsyntax.TupleConsExpr)
	if !ok {
		if s, text := literal(e); text && t.Elem.Kind == language.KindText {
			c.fail(v.at, "wrong type", "want a list: write [%q]", s)
			return
		}
		if s, text := literal(e); text && t.Elem.Kind == language.KindRef {
			if meant := c.named(s, roots(t.Elem)); meant != "" {
				c.fail(v.at, "wrong type", "want a list: write [%s]", meant)
				return
			}
		}
		if _, ref := e.(*hclsyntax.ScopeTraversalExpr); ref && t.Elem.Kind == language.KindRef {
			c.fail(v.at, "wrong type", "want a list: write [%s]", v.at.SliceBytes(c.files[v.at.Filename]))
			return
		}
		c.mismatch(e, t)
		return
	}
	v.ok = true
	for _, x := range l.Exprs {
		item := c.value(x, t.Elem)
		v.ok = v.ok && item.ok
		v.items = append(v.items, item)
	}
	if t.Nonempty && len(l.Exprs) == 0 {
		c.fail(v.at, "empty list", "%s", t.Want())
		v.ok = false
	}
}

func (c *checker) pairs(v *value, e hclsyntax.Expression, t *language.Type) {
	o, ok := e.(*hclsyntax.ObjectConsExpr)
	if !ok {
		c.mismatch(e, t)
		return
	}
	v.ok = true
	first := make(map[string]hcl.Range, len(o.Items))
	for _, x := range o.Items {
		at := x.KeyExpr.Range()
		k, plain := key(x.KeyExpr)
		item := c.value(x.ValueExpr, t.Elem)
		if !plain {
			c.fail(at, "name cannot be computed", "want %s", t.Key.Want)
			v.ok = false
			continue
		}
		v.ok = c.form(at, k, t.Key) && item.ok && v.ok
		if before, taken := first[k]; taken {
			c.fail(at, fmt.Sprintf("%q stands here twice", k), "first at %s", c.place(before))
			v.ok = false
			continue
		}
		first[k] = at
		v.keys, v.keysAt, v.items = append(v.keys, k), append(v.keysAt, at), append(v.items, item)
	}
}

func (c *checker) call(v *value, e *hclsyntax.FunctionCallExpr, t *language.Type) {
	i := slices.IndexFunc(t.Calls, func(f language.Call) bool { return f.Name == e.Name })
	if i < 0 {
		var names []string
		for _, f := range t.Calls {
			names = append(names, f.Name)
		}
		c.fail(e.NameRange, fmt.Sprintf("unknown function %q", e.Name), "%s", c.choice(e.Name, names, t))
		return
	}
	f := t.Calls[i]
	v.call = f.Name
	if n := len(e.Args); e.ExpandFinal || n > len(f.Params) || n < len(f.Params)-f.Optional {
		c.fail(v.at, "wrong number of arguments", "write %s", f.Example)
		return
	}
	v.ok = true
	for i, x := range e.Args {
		item := c.value(x, &f.Params[i])
		v.ok = v.ok && item.ok
		v.items = append(v.items, item)
	}
}
