package declare

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"

	"github.com/glint-infra/glint"
	"github.com/glint-infra/glint/internal/declare/language"
)

// A step is one name of a reference.
type step struct {
	name string
	at   hcl.Range
}

// steps takes a reference apart: service.cache.port.redis.
func steps(t hcl.Traversal) ([]step, bool) {
	var all []step
	for _, s := range t {
		switch s := s.(type) {
		case hcl.TraverseRoot:
			all = append(all, step{s.Name, s.SrcRange})
		case hcl.TraverseAttr:
			at := s.SrcRange
			if at.End.Byte-at.Start.Byte > len(s.Name) { // without the dot
				at.Start.Byte, at.Start.Column = at.Start.Byte+1, at.Start.Column+1
			}
			all = append(all, step{s.Name, at})
		case hcl.TraverseIndex:
			if s.Key.Type() != cty.String || !s.Key.IsKnown() || s.Key.IsNull() {
				return nil, false
			}
			all = append(all, step{s.Key.AsString(), s.SrcRange})
		default:
			return nil, false
		}
	}
	return all, true
}

// roots are the words that a reference begins with.
func roots(t *language.Type) []string {
	switch t.To {
	case language.ToImage:
		return []string{"image"}
	case language.ToEither:
		return []string{"service", "task"}
	}
	return []string{"service"}
}

// reference reads an edge: image.web, task.migrate, service.web or service.web.port.http.
func (c *checker) reference(v *value, e hclsyntax.Expression, t *language.Type) {
	ref, ok := e.(*hclsyntax.ScopeTraversalExpr)
	if !ok {
		if s, text := literal(e); text {
			if meant := c.named(s, roots(t)); meant != "" && t.To != language.ToPort {
				c.fail(v.at, "wrong type", "did you mean %s, without quotes?", meant)
				return
			}
			c.fail(v.at, "wrong type", "%s, without quotes, not %q", t.Want(), s)
			return
		}
		c.mismatch(e, t)
		return
	}
	path, ok := steps(ref.Traversal)
	if !ok {
		c.mismatch(e, t)
		return
	}
	root, words, length := path[0].name, roots(t), 2
	if t.To == language.ToPort {
		length = 4
	}
	switch _, kind := c.index.of(root); {
	case slices.Contains(words, root):
	case len(path) == 1:
		c.alone(path[0], words, t)
		return
	case root == "task" && t.To == language.ToPort:
		c.fail(v.at, "a task has no port", "only services can be reached: %s", t.Want())
		return
	case kind:
		c.fail(v.at, "wrong kind of reference", "%s", t.Want())
		return
	default:
		c.known(path[0], words...)
		return
	}
	if len(path) < length {
		c.short(path, ref.SrcRange, t)
		return
	}
	v.ok = c.declared(path[1], root, words...) && (length == 2 || c.port(path))
	if len(path) > length {
		c.fail(path[length].at, "reference too long", "%s", t.Want())
		v.ok = false
	}
	v.service, v.name = path[1].name, path[length-1].name
}

// of returns what is declared of a kind; false means that there is no such kind.
func (x index) of(kind string) (map[string]hcl.Range, bool) {
	switch kind {
	case "image":
		return x.images, true
	case "service":
		return x.services, true
	case "task":
		return x.tasks, true
	}
	return nil, false
}

// named returns the reference to what bears the name, or "".
func (c *checker) named(name string, words []string) string {
	for _, root := range words {
		in, _ := c.index.of(root)
		if _, ok := in[name]; ok {
			return root + "." + name
		}
	}
	return ""
}

// alone speaks of a single word where a reference belongs: mostly the name without its kind.
func (c *checker) alone(s step, words []string, t *language.Type) {
	mend := t.Want()
	if meant := c.named(s.name, words); meant != "" {
		mend = fmt.Sprintf("did you mean %s? %s", meant, mend)
	}
	c.fail(s.at, fmt.Sprintf("unknown name %q", s.name), "%s", mend)
}

// known refuses a reference that begins with another word.
func (c *checker) known(s step, words ...string) bool {
	if slices.Contains(words, s.name) {
		return true
	}
	if near := c.nearest(s.name, words); near != "" {
		c.fail(s.at, fmt.Sprintf("unknown name %q", s.name), "did you mean %q?", near)
		return false
	}
	var quoted []string
	for _, w := range words {
		quoted = append(quoted, strconv.Quote(w))
	}
	c.fail(s.at, fmt.Sprintf("unknown name %q", s.name), "a reference here begins with %s", language.Either(quoted))
	return false
}

// short speaks of a reference that ends too early, and says how it could go on.
func (c *checker) short(path []step, at hcl.Range, t *language.Type) {
	if len(path) > 1 {
		if !c.declared(path[1], "service", "service") {
			return
		}
		if ports := keys(c.index.ports[path[1].name]); len(ports) > 0 && len(ports) <= maxListed {
			c.fail(at, "reference too short", "want a port: %s", language.Either(prefixed("service."+path[1].name+".port.", ports)))
			return
		}
	}
	c.fail(at, "reference too short", "%s", t.Want())
}

const maxListed = 8 // names that are listed where none is near

func prefixed(prefix string, names []string) []string {
	var all []string
	for _, n := range names {
		all = append(all, prefix+n)
	}
	return all
}

// declared refuses a name that nothing of the kind bears. Words are the kinds that could stand here.
func (c *checker) declared(s step, kind string, words ...string) bool {
	in, _ := c.index.of(kind)
	if _, ok := in[s.name]; ok {
		return true
	}
	for _, other := range []string{"service", "task"} {
		if all, _ := c.index.of(other); kind != other && kind != "image" {
			if _, ok := all[s.name]; !ok {
				continue
			}
			mend := "a task has no port: only services can be reached"
			if slices.Contains(words, other) {
				mend = fmt.Sprintf("it is a %s: did you mean %s.%s?", other, other, s.name)
			}
			c.fail(s.at, fmt.Sprintf("%q is not a %s", s.name, kind), "%s", mend)
			return false
		}
	}
	return c.among(s, kind, in)
}

// among refuses a name that is not in the map.
func (c *checker) among(s step, kind string, in map[string]hcl.Range) bool {
	if _, ok := in[s.name]; ok {
		return true
	}
	summary := fmt.Sprintf("no %s is called %q", kind, s.name)
	names := keys(in)
	switch near := c.nearest(s.name, names); {
	case near != "":
		c.fail(s.at, summary, "did you mean %q?", near)
	case len(names) == 0:
		c.fail(s.at, summary, "none is declared")
	case len(names) <= maxListed:
		c.fail(s.at, summary, "declared: %s", strings.Join(names, ", "))
	default:
		c.fail(s.at, summary, "%d others are declared", len(names))
	}
	return false
}

// port judges the part of a reference behind the service: port.NAME.
func (c *checker) port(path []step) bool {
	ports := c.index.ports[path[1].name]
	if path[2].name != "port" {
		words := []string{"port"}
		mend := "write service." + path[1].name + ".port.NAME"
		if _, ok := ports[path[2].name]; ok {
			mend = fmt.Sprintf("did you mean service.%s.port.%s?", path[1].name, path[2].name)
		} else if near := c.nearest(path[2].name, words); near != "" {
			mend = fmt.Sprintf("did you mean %q?", near)
		}
		c.fail(path[2].at, fmt.Sprintf("unknown name %q", path[2].name), "%s", mend)
		return false
	}
	return c.among(path[3], "port of "+path[1].name, ports)
}

// address reads a reference that becomes text: service.cache.port.redis.address.
func (c *checker) address(e *hclsyntax.ScopeTraversalExpr) (Address, bool) {
	path, ok := steps(e.Traversal)
	if !ok {
		c.fail(e.SrcRange, "not a reference", "want an address, such as service.cache.port.redis.address")
		return Address{}, false
	}
	if path[0].name == "task" {
		c.fail(e.SrcRange, "a task has no port", "only services can be reached: want an address, such as service.cache.port.redis.address")
		return Address{}, false
	}
	if !c.known(path[0], "service") {
		return Address{}, false
	}
	if len(path) > 1 && !c.declared(path[1], "service", "service") || len(path) > 3 && !c.port(path) {
		return Address{}, false
	}
	parts := []string{string(HostPort), string(Host), string(Number)}
	switch {
	case len(path) == 4:
		c.fail(e.SrcRange, "reference too short", "a port is not a text: add .address, .host or .number")
	case len(path) < 4:
		c.fail(e.SrcRange, "reference too short", "want an address, such as service.cache.port.redis.address")
	case len(path) > 5:
		c.fail(path[5].at, "reference too long", "want an address, such as service.cache.port.redis.address")
	default:
		a := Address{To: glint.Target{Service: path[1].name, Port: path[3].name}, Part: Part(path[4].name), At: c.place(e.SrcRange)}
		if a.Part == HostPort || a.Part == Host || a.Part == Number {
			return a, true
		}
		mend := "want .address, .host or .number"
		if near := c.nearest(path[4].name, parts); near != "" {
			mend = fmt.Sprintf("did you mean %q?", near)
		}
		c.fail(path[4].at, fmt.Sprintf("unknown name %q", path[4].name), "%s", mend)
	}
	return Address{}, false
}
