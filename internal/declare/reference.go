package declare

import (
	"fmt"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"

	"github.com/glint-infra/glint"
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

// reference reads an edge: image.web, service.web or service.web.port.http.
func (c *checker) reference(v *value, e hclsyntax.Expression, t *Type) {
	ref, ok := e.(*hclsyntax.ScopeTraversalExpr)
	if !ok {
		if s, text := literal(e); text {
			c.fail(v.at, "wrong type", "%s, without quotes, not %q", t.want(), s)
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
	root, length := "service", map[string]int{"image": 2, "service": 2, "port": 4}[t.To]
	if t.To == "image" {
		root = "image"
	}
	if len(path) == 1 && path[0].name != root {
		c.alone(path[0], root, t)
		return
	}
	if path[0].name != root && (path[0].name == "image" || path[0].name == "service") {
		c.fail(v.at, "wrong kind of reference", "%s", t.want())
		return
	}
	if !c.known(path[0], root) {
		return
	}
	if len(path) < length {
		c.short(path, ref.SrcRange, t)
		return
	}
	if root == "image" {
		v.ok = c.declared(path[1], "image", c.index.images)
	} else {
		v.ok = c.declared(path[1], "service", c.index.services) && (length == 2 || c.port(path))
	}
	if len(path) > length {
		c.fail(path[length].at, "reference too long", "%s", t.want())
		v.ok = false
	}
	v.service, v.name = path[1].name, path[length-1].name
}

// alone speaks of a single word where a reference belongs: mostly the name without its kind.
func (c *checker) alone(s step, root string, t *Type) {
	in := c.index.services
	if root == "image" {
		in = c.index.images
	}
	if _, ok := in[s.name]; ok {
		c.fail(s.at, fmt.Sprintf("unknown name %q", s.name), "did you mean %s.%s? %s", root, s.name, t.want())
		return
	}
	c.fail(s.at, fmt.Sprintf("unknown name %q", s.name), "%s", t.want())
}

// known refuses a reference that begins with another word.
func (c *checker) known(s step, root string) bool {
	if s.name == root {
		return true
	}
	if near := c.nearest(s.name, []string{root}); near != "" {
		c.fail(s.at, fmt.Sprintf("unknown name %q", s.name), "did you mean %q?", near)
	} else {
		c.fail(s.at, fmt.Sprintf("unknown name %q", s.name), "a reference here begins with %q", root)
	}
	return false
}

// short speaks of a reference that ends too early, and says how it could go on.
func (c *checker) short(path []step, at hcl.Range, t *Type) {
	if len(path) > 1 {
		if !c.declared(path[1], "service", c.index.services) {
			return
		}
		if ports := keys(c.index.ports[path[1].name]); len(ports) > 0 && len(ports) <= maxListed {
			c.fail(at, "reference too short", "want a port: %s", either(prefixed("service."+path[1].name+".port.", ports)))
			return
		}
	}
	c.fail(at, "reference too short", "%s", t.want())
}

const maxListed = 8 // names that are listed where none is near

func prefixed(prefix string, names []string) []string {
	var all []string
	for _, n := range names {
		all = append(all, prefix+n)
	}
	return all
}

// declared refuses a name that nothing bears.
func (c *checker) declared(s step, kind string, in map[string]hcl.Range) bool {
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
	return c.declared(path[3], "port of "+path[1].name, ports)
}

// address reads a reference that becomes text: service.cache.port.redis.address.
func (c *checker) address(e *hclsyntax.ScopeTraversalExpr) (Address, bool) {
	path, ok := steps(e.Traversal)
	if !ok {
		c.fail(e.SrcRange, "not a reference", "want an address, such as service.cache.port.redis.address")
		return Address{}, false
	}
	if !c.known(path[0], "service") {
		return Address{}, false
	}
	if len(path) > 1 && !c.declared(path[1], "service", c.index.services) || len(path) > 3 && !c.port(path) {
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
