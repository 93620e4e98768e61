package declare

import (
	"fmt"
	"maps"
	"slices"

	"github.com/agext/levenshtein"
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// An index knows what is declared before anything is checked, so that a reference can be judged where it stands.
type index struct {
	images   map[string]hcl.Range
	services map[string]hcl.Range
	tasks    map[string]hcl.Range
	ports    map[string]map[string]hcl.Range // by service
	routes   map[string]hcl.Range
}

func newIndex() index {
	return index{map[string]hcl.Range{}, map[string]hcl.Range{}, map[string]hcl.Range{}, map[string]map[string]hcl.Range{}, map[string]hcl.Range{}}
}

// collect enters the names that a file declares, and refuses those that are taken.
func (c *checker) collect(b *hclsyntax.Body) {
	for _, block := range b.Blocks {
		if len(block.Labels) == 0 {
			continue
		}
		name, at := block.Labels[0], block.LabelRanges[0]
		switch block.Type {
		case "image":
			c.enter(c.index.images, "image", name, at)
		case "task":
			if c.free(c.index.services, "service", name, at) {
				c.enter(c.index.tasks, "task", name, at)
			}
		case "service":
			if c.free(c.index.tasks, "task", name, at) {
				c.enter(c.index.services, "service", name, at)
			}
			if c.index.ports[name] == nil {
				c.index.ports[name] = map[string]hcl.Range{}
				c.collectPorts(c.index.ports[name], block.Body)
			}
		case "route":
			c.enter(c.index.routes, "route", name, at)
		}
	}
}

func (c *checker) collectPorts(ports map[string]hcl.Range, b *hclsyntax.Body) {
	if a := b.Attributes["ports"]; a != nil {
		if o, ok := a.Expr.(*hclsyntax.ObjectConsExpr); ok {
			for _, item := range o.Items {
				if name, ok := key(item.KeyExpr); ok {
					ports[name] = item.KeyExpr.Range() // a map's keys are held against each other where it is checked
				}
			}
		}
	}
	volumes := map[string]hcl.Range{}
	for _, block := range b.Blocks {
		switch {
		case len(block.Labels) == 0:
		case block.Type == "port":
			c.enter(ports, "port", block.Labels[0], block.LabelRanges[0])
		case block.Type == "volume":
			c.enter(volumes, "volume", block.Labels[0], block.LabelRanges[0])
		}
	}
}

func (c *checker) enter(in map[string]hcl.Range, kind, name string, at hcl.Range) {
	if first, taken := in[name]; taken {
		c.fail(at, fmt.Sprintf("%s %q is declared twice", kind, name), "first at %s", c.place(first))
		return
	}
	in[name] = at
}

// free refuses a name that a block of another kind bears: both share what names instances.
func (c *checker) free(in map[string]hcl.Range, kind, name string, at hcl.Range) bool {
	first, taken := in[name]
	if taken {
		c.fail(at, fmt.Sprintf("%q is declared twice", name), "first as a %s at %s; services and tasks share their names", kind, c.place(first))
	}
	return !taken
}

// key returns the name that a map's key is, if it is a plain one.
func key(e hclsyntax.Expression) (string, bool) {
	k, ok := e.(*hclsyntax.ObjectConsKeyExpr)
	if !ok {
		return "", false
	}
	if name := hcl.ExprAsKeyword(k.Wrapped); name != "" && !k.ForceNonLiteral {
		return name, true
	}
	return literal(k.Wrapped)
}

// maxNear bounds the names that a wrong one is compared with.
const maxNear = 5000

// nearest returns the name that is most like the given one, or "" when none is. Names are compared only for findings
// that are shown.
func (c *checker) nearest(name string, names []string) string {
	if len(name) > 64 || len(c.found) > maxPrinted { // the distance costs the product of the lengths
		return ""
	}
	names = slices.Sorted(slices.Values(names))
	best, least := "", max(len(name)/3, 1)+1
	for _, n := range names[:min(len(names), maxNear)] {
		if n == name || max(len(n)-len(name), len(name)-len(n)) >= least {
			continue
		}
		d := levenshtein.Distance(name, n, nil)
		if d == 2 && letters(n) == letters(name) {
			d = 1 // two letters changed places
		}
		if d < least {
			best, least = n, d
		}
	}
	return best
}

func letters(s string) string {
	b := []byte(s)
	slices.Sort(b)
	return string(b)
}

func keys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
