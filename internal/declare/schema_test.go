package declare

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/glint-infra/glint/internal/declare/language"
)

// TestSchema holds the description of the language to what others need of it: words for people, examples and defaults that
// it accepts itself, no name twice.
func TestSchema(t *testing.T) {
	var walk func(path string, b *language.Body)
	walk = func(path string, b *language.Body) {
		taken := map[string]string{}
		name := func(n, of string) {
			if other, dup := taken[n]; dup && other != of {
				t.Errorf("%s: %q names both %s and %s", path, n, other, of)
			}
			taken[n] = of
		}
		for _, a := range b.Attributes {
			name(a.Name, a.Name)
			for _, alias := range a.Aliases {
				name(alias, a.Name)
			}
			if a.Doc == "" {
				t.Errorf("%s.%s has no words for people", path, a.Name)
			}
			if a.Short != "" && b.Block(a.Short) == nil {
				t.Errorf("%s.%s is short for nothing", path, a.Name)
			}
			accepts(t, path+"."+a.Name, a.Type, a.Type.Example)
			if a.Default != "" && a.Source == "" {
				t.Errorf("%s.%s: where does the default %s come from?", path, a.Name, a.Default)
			}
			for _, c := range a.Type.Calls {
				accepts(t, path+"."+a.Name, a.Type, c.Example)
			}
		}
		for _, x := range b.Blocks {
			name(x.Kind, x.Kind)
			for _, alias := range x.Aliases {
				name(alias, x.Kind)
			}
			if x.Doc == "" || x.Body == nil {
				t.Errorf("%s.%s has no words or no body", path, x.Kind)
			}
			if found, ok := language.Language().Body(append(strings.Fields(path), x.Kind)...); !ok || found != x.Body {
				t.Errorf("%s %s is not found", path, x.Kind)
			}
			walk(strings.TrimSpace(path+" "+x.Kind), x.Body)
		}
		for _, kind := range b.OneOf {
			if b.Block(kind) == nil {
				t.Errorf("%s: one of %s, which is no block", path, kind)
			}
		}
	}
	walk("", language.Language().Top())
	if _, ok := language.Language().Body("service", "heath"); ok {
		t.Error("a body for a block that is not in the language")
	}
}

// accepts: the example of a type is a value of it.
func accepts(t *testing.T, what string, typ *language.Type, example string) {
	t.Helper()
	c := &checker{sources: &sources{files: map[string][]byte{Main: []byte(example)}}, schema: language.Language(), index: newIndex()}
	for _, n := range []string{"web", "cache"} {
		c.index.images[n], c.index.services[n] = hcl.Range{}, hcl.Range{}
		c.index.ports[n] = map[string]hcl.Range{"http": {}, "redis": {}}
	}
	c.index.tasks["migrate"] = hcl.Range{}
	e, found := hclsyntax.ParseExpression([]byte(example), Main, hcl.InitialPos)
	if found.HasErrors() {
		t.Fatalf("%s: example %s: %s", what, example, found)
	}
	if v := c.value(e, typ); !v.ok {
		t.Errorf("%s refuses its own example:\n%s", what, c.found.Text())
	}
}

// TestWrongValues puts every kind of expression where every type is wanted. All are taken or refused with words; none is
// taken for two types that exclude each other.
func TestWrongValues(t *testing.T) {
	exprs := []string{`1`, `-1`, `1.5`, `1e400`, `true`, `null`, `"x"`, `""`, `"${1}"`, `"a${service.web.port.http.address}"`, `[]`, `[1]`, `["a", null]`, `{}`, `{ a = 1 }`,
		`{ (x) = 1 }`, `{ "${x}" = 1 }`, `image.web`, `service.web`, `service.web.port.http`, `service.web.port.http.host`, `service["web"].port`, `service[0]`, `service.*.port`, `x`, `f()`,
		`http(1)`, `http("/", "http", 2)`, `http([]...)`, `debian(null)`, `debian("${"bookworm"}")`, `1 + 1`, `!true`, `-"x"`, `a ? b : c`, `[for x in y : x]`, `{for x in y : x => x}`, `(("x"))`, "<<A\nx\nA\n", `"%{if true}x%{endif}"`}
	for path, typ := range types(language.Language().Top(), "") {
		for _, src := range exprs {
			c := &checker{sources: &sources{files: map[string][]byte{Main: []byte(src)}}, schema: language.Language(), index: newIndex()}
			e, found := hclsyntax.ParseExpression([]byte(src), Main, hcl.InitialPos)
			if found.HasErrors() {
				t.Fatalf("%s: %s", src, found)
			}
			if v := c.value(e, typ); v.ok == (len(c.found) > 0) {
				t.Errorf("%s = %s: ok %v with findings:\n%s", path, src, v.ok, c.found.Text())
			}
		}
	}
}

func types(b *language.Body, path string) map[string]*language.Type {
	all := map[string]*language.Type{}
	for _, a := range b.Attributes {
		all[fmt.Sprintf("%s.%s", path, a.Name)] = a.Type
	}
	for _, x := range b.Blocks {
		for k, v := range types(x.Body, path+"."+x.Kind) {
			all[k] = v
		}
	}
	return all
}

func TestNearest(t *testing.T) {
	c := &checker{sources: &sources{}}
	names := []string{"instances", "image", "port", "env", "web", "api"}
	for got, want := range map[string]string{"instnces": "instances", "Instances": "instances", "prot": "port", "imge": "image", "evn": "env", "db": "", "xyz": "", "": ""} {
		if near := c.nearest(got, slices.Clone(names)); near != want {
			t.Errorf("nearest to %q is %q, want %q", got, near, want)
		}
	}
}
