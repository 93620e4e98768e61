package declare_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/gohcl"
	"github.com/hashicorp/hcl/v2/hclparse"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"pgregory.net/rapid"

	"github.com/glint-infra/glint/internal/declare"
)

// judge: whatever is given, Parse ends, gives the same answer twice, and says where it hurts when it gives nothing.
func judge(t testing.TB, src string) {
	t.Helper()
	d, found := declare.Parse(one(src))
	if (d == nil) != found.HasErrors() {
		t.Errorf("declaration %v with findings:\n%s", d, found.Text())
	}
	placed(t, one(src), found)
	text := found.Text()
	if strings.ContainsFunc(text, func(r rune) bool { return r < ' ' && r != '\n' && r != '\t' || r == 0x7f }) {
		t.Errorf("control characters reach the terminal: %q", text)
	}
	if _, again := declare.Parse(one(src)); again.Text() != text {
		t.Errorf("a second answer:\n%s\nafter:\n%s", again.Text(), text)
	}
}

func FuzzParse(f *testing.F) {
	for _, dir := range []string{"good", "broken"} {
		for _, src := range read(f, dir, 1) {
			f.Add(src)
		}
	}
	f.Fuzz(func(t *testing.T, src string) {
		judge(t, src)
		declare.Format([]byte(src))
	})
}

// TestMutilated takes tokens out of good declarations, doubles them and changes their places: what is left is accepted or
// refused with a place, and never ends the program.
func TestMutilated(t *testing.T) {
	good := read(t, "good", 5)
	tokens := map[string]hclsyntax.Tokens{}
	var names []string
	for name, src := range good {
		tokens[name], _ = hclsyntax.LexConfig([]byte(src), name, hcl.InitialPos)
		names = append(names, name)
	}
	rapid.Check(t, func(rt *rapid.T) {
		all := tokens[rapid.SampledFrom(names).Draw(rt, "declaration")]
		i := rapid.IntRange(0, len(all)-1).Draw(rt, "token")
		j := rapid.IntRange(0, len(all)-1).Draw(rt, "other")
		what := rapid.SampledFrom([]string{"drop", "double", "swap", "cut"}).Draw(rt, "what")
		var b strings.Builder
		for k, token := range all {
			switch {
			case what == "drop" && k == i, what == "cut" && k >= min(i, j) && k <= max(i, j):
			case what == "double" && k == i:
				b.WriteString(" " + string(token.Bytes) + " " + string(token.Bytes))
			case what == "swap" && k == i:
				b.WriteString(" " + string(all[j].Bytes))
			case what == "swap" && k == j:
				b.WriteString(" " + string(all[i].Bytes))
			default:
				b.WriteString(" " + string(token.Bytes))
			}
		}
		judge(t, b.String())
	})
}

// thousand is a declaration of n services, as in the goal for compiling (docs: 2.5 times the bare parser).
func thousand(n int) string {
	var b strings.Builder
	b.WriteString("stack \"big\" {}\nimage \"web\" {\n  from = debian(\"bookworm\")\n}\n")
	for i := range n {
		fmt.Fprintf(&b, `
service "web%d" {
  image     = image.web
  instances = 3
  max_age   = "1h"
  command   = ["/web", "--name", "web%d"]
  env       = { NEXT = service.web%d.port.http.address, LEVEL = "info" }
  port "http" {
    number = 8080
  }
  health {
    http {
      port = "http"
      path = "/healthz"
    }
  }
  resources {
    memory = "64MiB"
    cpu    = "250m"
  }
}
allow {
  from = service.web%d
  to   = service.web%d.port.http
}
`, i, i, (i+1)%n, i, (i+1)%n)
	}
	return b.String()
}

func BenchmarkParse(b *testing.B) {
	files := one(thousand(1000))
	b.SetBytes(int64(len(files[declare.Main])))
	for b.Loop() {
		if d, found := declare.Parse(files); d == nil {
			b.Fatal(found.Text())
		}
	}
}

// bare is what a plain program would decode the same text into.
type bare struct {
	Stacks []struct {
		Name string `hcl:"name,label"`
	} `hcl:"stack,block"`
	Images []struct {
		Name string         `hcl:"name,label"`
		From hcl.Expression `hcl:"from"`
	} `hcl:"image,block"`
	Services []struct {
		Name      string         `hcl:"name,label"`
		Image     hcl.Expression `hcl:"image"`
		Instances int            `hcl:"instances"`
		MaxAge    string         `hcl:"max_age"`
		Command   []string       `hcl:"command"`
		Env       hcl.Expression `hcl:"env"`
		Ports     []struct {
			Name   string `hcl:"name,label"`
			Number int    `hcl:"number"`
		} `hcl:"port,block"`
		Health *struct {
			HTTP *struct {
				Port string `hcl:"port"`
				Path string `hcl:"path"`
			} `hcl:"http,block"`
		} `hcl:"health,block"`
		Resources *struct {
			Memory string `hcl:"memory"`
			CPU    string `hcl:"cpu"`
		} `hcl:"resources,block"`
	} `hcl:"service,block"`
	Allows []struct {
		From hcl.Expression `hcl:"from"`
		To   hcl.Expression `hcl:"to"`
	} `hcl:"allow,block"`
}

func BenchmarkBare(b *testing.B) {
	src := []byte(thousand(1000))
	b.SetBytes(int64(len(src)))
	for b.Loop() {
		file, found := hclparse.NewParser().ParseHCL(src, declare.Main)
		var out bare
		found = append(found, gohcl.DecodeBody(file.Body, nil, &out)...)
		if found.HasErrors() {
			b.Fatal(found)
		}
	}
}
