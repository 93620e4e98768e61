package declare

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/glint-infra/glint/internal/declare/language"
)

// A checker holds source text against a schema. What it lets pass has the right form; rules judge how things fit.
type checker struct {
	*sources
	schema language.Schema
	index  index
}

// A node is a block that was held against its description.
type node struct {
	kind    string // of the block
	label   string
	labelAt hcl.Range // the header, where there is no label
	at      hcl.Range // the header
	body    *language.Body
	attrs   map[string]*value
	blocks  map[string][]*node
}

// get returns the attribute's value, or nil when it is not written or not good.
func (n *node) get(name string) *value {
	if v := n.attrs[name]; v != nil && v.ok {
		return v
	}
	return nil
}

// number returns the attribute's value, or its default.
func (n *node) number(name string) int64 {
	if v := n.get(name); v != nil {
		return v.number
	}
	return n.body.Attribute(name).Fallback
}

func (n *node) text(name string) string {
	if v := n.get(name); v != nil {
		return v.text()
	}
	return n.body.Attribute(name).Default
}

// has reports whether the attribute is written, good or not.
func (n *node) has(name string) bool { return n.attrs[name] != nil }

// sound reports whether no attribute of these is written wrongly, so that a rule about them would not speak of
// something else than what was meant.
func (n *node) sound(names ...string) bool {
	for _, name := range names {
		if v := n.attrs[name]; v != nil && !v.ok {
			return false
		}
	}
	return true
}

// where returns the attribute's place, or the header.
func (n *node) where(name string) hcl.Range {
	if v := n.attrs[name]; v != nil {
		return v.at
	}
	return n.labelAt
}

// one returns the only block of that kind, or an empty one that gives all defaults.
func (n *node) one(kind string) *node {
	if b := n.blocks[kind]; len(b) > 0 {
		return b[0]
	}
	return &node{body: n.body.Block(kind).Body, at: n.at, labelAt: n.labelAt}
}

// root walks all files as if they were one.
func (c *checker) root(bodies []*hclsyntax.Body) *node {
	all := &node{body: c.schema.Top(), blocks: map[string][]*node{}, at: top(c.names()[0])}
	all.labelAt = all.at
	for _, b := range bodies {
		c.attributes(all, b)
		c.blocks(all, b)
	}
	c.counts(all)
	return all
}

func (c *checker) node(b *hclsyntax.Block, desc *language.Block) *node {
	n := &node{kind: desc.Kind, body: desc.Body, at: b.DefRange(), blocks: map[string][]*node{}}
	n.labelAt = n.at
	c.label(n, b, desc)
	c.attributes(n, b.Body)
	c.blocks(n, b.Body)
	c.counts(n)
	return n
}

func (c *checker) label(n *node, b *hclsyntax.Block, desc *language.Block) {
	switch {
	case desc.Label == nil && len(b.Labels) > 0:
		c.fail(b.LabelRanges[0], desc.Kind+" has no name", "write %s {", desc.Kind)
	case desc.Label != nil && len(b.Labels) == 0:
		c.fail(b.TypeRange, desc.Kind+" without a name", "write %s \"NAME\" {", desc.Kind)
	case len(b.Labels) > 1:
		c.fail(b.LabelRanges[1], "more than one name", "write %s %q {", desc.Kind, b.Labels[0])
	}
	if desc.Label == nil || len(b.Labels) == 0 {
		return
	}
	n.label, n.labelAt = b.Labels[0], b.LabelRanges[0]
	c.form(n.labelAt, n.label, desc.Label)
}

// form holds a text against what it may look like.
func (c *checker) form(at hcl.Range, text string, f *language.Form) bool {
	mend, ok := f.Check(text)
	if len(text) > maxQuoted {
		text = strings.ToValidUTF8(text[:maxQuoted/2], "") + "…"
	}
	switch {
	case ok:
		return true
	case mend != "":
		c.fail(at, fmt.Sprintf("%q is not %s", text, f.Name), "want %s; did you mean %q?", f.Want, mend)
	default:
		c.fail(at, fmt.Sprintf("%q is not %s", text, f.Name), "want %s", f.Want)
	}
	return false
}

func (c *checker) attributes(n *node, b *hclsyntax.Body) {
	if len(b.Attributes) == 0 {
		return
	}
	written := make([]*hclsyntax.Attribute, 0, len(b.Attributes))
	for _, a := range b.Attributes {
		written = append(written, a)
	}
	slices.SortFunc(written, func(a, b *hclsyntax.Attribute) int {
		return cmp.Compare(a.SrcRange.Start.Byte, b.SrcRange.Start.Byte)
	})
	if n.attrs == nil {
		n.attrs = make(map[string]*value, len(written))
	}
	for _, a := range written {
		desc := n.body.Attribute(a.Name)
		if desc == nil {
			n.meant(c.unknownAttribute(n, a), a.NameRange)
			continue
		}
		if _, braces := a.Expr.(*hclsyntax.ObjectConsExpr); braces && desc.Short == a.Name {
			c.fail(a.NameRange, a.Name+" with braces is a block", "%s", "write "+header(n.body.Block(a.Name))+" … } without \"=\"")
			n.attrs[a.Name] = &value{at: a.NameRange}
			continue
		}
		v := c.value(a.Expr, desc.Type)
		n.attrs[a.Name] = &v
	}
}

// meant notes what a wrong name was probably meant for, so that this is not called missing too.
func (n *node) meant(name string, at hcl.Range) {
	if n.attrs == nil {
		n.attrs = map[string]*value{}
	}
	if name != "" && !n.has(name) {
		n.attrs[name] = &value{at: at}
	}
}

// unknownAttribute returns the name that was probably meant, or "".
func (c *checker) unknownAttribute(n *node, a *hclsyntax.Attribute) string {
	if block := n.body.Block(a.Name); block != nil {
		c.fail(a.NameRange, a.Name+" is a block", "%s", "write "+header(block)+" … } without \"=\"")
		return a.Name
	}
	if why, ok := n.body.Foreign[a.Name]; ok {
		c.fail(a.NameRange, a.Name+" in a "+n.kind, "%s", why)
		return ""
	}
	var names []string
	for _, x := range n.body.Attributes {
		if slices.Contains(x.Aliases, a.Name) {
			c.fail(a.NameRange, fmt.Sprintf("unknown attribute %q", a.Name), "did you mean %q?", x.Name)
			return x.Name
		}
		names = append(names, x.Name)
	}
	for _, x := range n.body.Blocks {
		if slices.Contains(x.Aliases, a.Name) {
			c.fail(a.NameRange, fmt.Sprintf("unknown attribute %q", a.Name), "%s", "did you mean the block "+header(&x)+" … }?")
			return x.Kind
		}
		names = append(names, x.Kind)
	}
	near, mend := c.instead(a.Name, names)
	c.fail(a.NameRange, fmt.Sprintf("unknown attribute %q", a.Name), "%s", mend)
	return near
}

func (c *checker) blocks(n *node, b *hclsyntax.Body) {
	for _, block := range b.Blocks {
		desc := n.body.Block(block.Type)
		if desc == nil {
			n.meant(c.unknownBlock(n, block), block.TypeRange)
			continue
		}
		n.blocks[block.Type] = append(n.blocks[block.Type], c.node(block, desc))
	}
}

// unknownBlock returns the name that was probably meant, or "".
func (c *checker) unknownBlock(n *node, b *hclsyntax.Block) string {
	if a := n.body.Attribute(b.Type); a != nil {
		c.fail(b.TypeRange, b.Type+" is an attribute", "write %s = %s", b.Type, a.Type.Example)
		return b.Type
	}
	if why, ok := n.body.Foreign[b.Type]; ok {
		c.fail(b.TypeRange, b.Type+" in a "+n.kind, "%s", why)
		return ""
	}
	var names []string
	for _, x := range n.body.Blocks {
		if slices.Contains(x.Aliases, b.Type) {
			c.fail(b.TypeRange, fmt.Sprintf("unknown block %q", b.Type), "did you mean %q?", x.Kind)
			return x.Kind
		}
		names = append(names, x.Kind)
	}
	for _, x := range n.body.Attributes {
		if slices.Contains(x.Aliases, b.Type) {
			c.fail(b.TypeRange, fmt.Sprintf("unknown block %q", b.Type), "did you mean the attribute %s = %s?", x.Name, x.Type.Example)
			return x.Name
		}
		names = append(names, x.Name)
	}
	near, mend := c.instead(b.Type, names)
	c.fail(b.TypeRange, fmt.Sprintf("unknown block %q", b.Type), "%s", mend)
	return near
}

// instead says what may have been meant: a similar name, which it returns, the place where the name belongs, or all that
// may stand here.
func (c *checker) instead(name string, names []string) (near, mend string) {
	if near := c.nearest(name, names); near != "" {
		return near, fmt.Sprintf("did you mean %q?", near)
	}
	if c.schema.Top().Block(name) != nil {
		return "", fmt.Sprintf("%s stands by itself, in no other block", name)
	}
	if home := home(c.schema.Top(), "", name); home != "" {
		return "", fmt.Sprintf("%s stands in %s", name, home)
	}
	if len(names) == 0 {
		return "", "nothing stands in here"
	}
	slices.Sort(names)
	return "", "here may stand: " + strings.Join(slices.Compact(names), ", ")
}

// home finds the first block that has an attribute or a block of that name.
func home(b *language.Body, path, name string) string {
	if b.Attribute(name) != nil || b.Block(name) != nil {
		return path
	}
	for _, x := range b.Blocks {
		if found := home(x.Body, strings.TrimPrefix(path+"."+x.Kind, "."), name); found != "" {
			return found
		}
	}
	return ""
}

// counts holds what must stand, and how often, against what does.
func (c *checker) counts(n *node) {
	for _, a := range n.body.Attributes {
		if a.Required && !n.has(a.Name) {
			c.fail(n.labelAt, fmt.Sprintf("missing attribute %q", a.Name), "add %s = %s", a.Name, a.Type.Example)
		}
		if n.get(a.Name) != nil && a.Short == a.Name && len(n.blocks[a.Name]) > 0 {
			c.fail(n.blocks[a.Name][0].at, a.Name+" is declared twice", "first at %s; keep one", c.place(n.attrs[a.Name].at))
		}
	}
	for _, b := range n.body.Blocks {
		found := n.blocks[b.Kind]
		if b.Required && len(found) == 0 && !n.has(b.Kind) {
			c.fail(n.labelAt, fmt.Sprintf("missing block %q", b.Kind), "%s", "add "+header(&b)+"}")
		}
		for i := 1; b.Once && i < len(found); i++ {
			c.fail(found[i].at, "more than one "+b.Kind, "first at %s; keep one", c.place(found[0].at))
		}
	}
	if len(n.body.OneOf) == 0 {
		return
	}
	var have []*node
	for _, kind := range n.body.OneOf {
		have = append(have, n.blocks[kind]...)
		if len(n.blocks[kind]) == 0 && n.has(kind) {
			return
		}
	}
	slices.SortFunc(have, func(a, b *node) int { return cmp.Compare(a.at.Start.Byte, b.at.Start.Byte) })
	switch kinds := strings.Join(n.body.OneOf, ", "); {
	case len(have) == 0:
		c.fail(n.labelAt, "none of "+kinds, "want exactly one")
	case len(have) > 1:
		c.fail(have[1].at, "more than one of "+kinds, "first at %s; keep one", c.place(have[0].at))
	}
}

func header(b *language.Block) string {
	if b.Label != nil {
		return b.Kind + ` "NAME" {`
	}
	return b.Kind + " {"
}
