package declare_test

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/glint-infra/glint"
	"github.com/glint-infra/glint/internal/declare"
)

var update = flag.Bool("update", false, "rewrite golden files")

func one(src string) map[string][]byte { return map[string][]byte{declare.Main: []byte(src)} }

// read returns the declarations of a folder by name, and fails when there are fewer than wanted.
func read(t testing.TB, dir string, least int) map[string]string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("testdata", dir, "*.hcl"))
	if err != nil || len(files) < least {
		t.Fatalf("%d declarations in %s (%v), want %d at least", len(files), dir, err, least)
	}
	out := map[string]string{}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		out[strings.TrimSuffix(filepath.Base(f), ".hcl")] = string(b)
	}
	return out
}

// TestBroken: every one of them is refused, and says so in these words.
func TestBroken(t *testing.T) {
	for name, src := range read(t, "broken", 50) {
		t.Run(name, func(t *testing.T) {
			d, found := declare.Parse(one(src))
			if d != nil || !found.HasErrors() {
				t.Fatalf("accepted:\n%s", src)
			}
			placed(t, one(src), found)
			golden := filepath.Join("testdata", "broken", name+".txt")
			if *update {
				if err := os.WriteFile(golden, []byte(found.Text()), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), found.Text()); diff != "" {
				t.Errorf("errors differ (-want +got):\n%s", diff)
			}
		})
	}
}

// placed: every finding points into the source and has something to say.
func placed(t testing.TB, files map[string][]byte, found declare.Diagnostics) {
	t.Helper()
	for _, d := range found {
		src, ok := files[d.File]
		if lines := strings.Count(string(src), "\n") + 1; !ok || d.Line < 1 || d.Line > lines || d.Col < 1 || d.EndCol <= d.Col || d.Summary == "" {
			t.Errorf("no place, or no words: %+v", d)
		}
	}
}

func TestGood(t *testing.T) {
	for name, src := range read(t, "good", 5) {
		t.Run(name, func(t *testing.T) {
			d, found := declare.Parse(one(src))
			if d == nil || len(found) > 0 {
				t.Fatalf("refused:\n%s", found.Text())
			}
		})
	}
}

// TestFirstMinutes holds an error to the look that a new user is promised.
func TestFirstMinutes(t *testing.T) {
	src := "stack \"shop\" {}\n\n\n\nimage \"web\" {\n  from = debian(\"bookworm\")\n}\nservice \"web\" {\n  max_age = 3600\n  image   = image.web\n  command = [\"/web\"]\n}\n"
	_, found := declare.Parse(one(src))
	want := `glint.hcl:9:13: error: unit missing
  9 │   max_age = 3600
    │             ^^^^ want a duration, such as "1h"
1 error. Nothing was started.
`
	if diff := cmp.Diff(want, found.Text()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if err := found.Err(); !errors.Is(err, glint.ErrInvalid) || !strings.Contains(err.Error(), "unit missing") {
		t.Errorf("Err() = %v", err)
	}
}

// TestJSON: a finding survives the way through JSON, and reads the same on the other side.
func TestJSON(t *testing.T) {
	_, found := declare.Parse(one("stack \"Shop\" {}\n"))
	b, err := json.Marshal(found)
	if err != nil {
		t.Fatal(err)
	}
	var back declare.Diagnostics
	if err := json.Unmarshal(b, &back); err != nil {
		t.Fatal(err)
	}
	if back.Text() != found.Text() || len(back) != 1 {
		t.Errorf("got %s", b)
	}
}

// TestManyFiles: files are one declaration, glint.hcl first, and errors name their file.
func TestManyFiles(t *testing.T) {
	files := map[string][]byte{
		"a.hcl":      []byte("image \"web\" {\n  from = debian(\"bookworm\")\n  entrypoint = [\"/web\"]\n}\nimage \"web\" {}\n"),
		declare.Main: []byte("stack \"shop\" {}\nservice \"web\" {\n  image = image.wbe\n}\n"),
	}
	d, found := declare.Parse(files)
	if d != nil || len(found) != 3 {
		t.Fatalf("got:\n%s", found.Text())
	}
	for i, want := range []string{"glint.hcl:3:17: error: no image is called \"wbe\"", "a.hcl:5:7: error: image \"web\" is declared twice", "a.hcl:5:7: error: missing attribute \"from\""} {
		if !strings.HasPrefix(found[i].Text(), want) {
			t.Errorf("finding %d: %s, want %s", i, found[i].Text(), want)
		}
	}
}

func TestWarnings(t *testing.T) {
	src := "stack \"shop\" {}\nimage \"web\" {\n  from = debian(\"bookworm\")\n}\n"
	d, found := declare.Parse(one(src))
	want := `glint.hcl:2:7: warning: image "web" is not used
  2 │ image "web" {
    │       ^^^^^ nothing has image = image.web
1 warning.
`
	if d == nil || found.Text() != want || found.Err() != nil {
		t.Errorf("got %v and:\n%s", d, found.Text())
	}
	base := "stack \"shop\" {}\nimage \"web\" {\n  from = debian(\"bookworm\")\n  entrypoint = [\"/web\"]\n}\n"
	route := "service \"web\" {\n  image = image.web\n  ports = { http = 80 }\n  health = http(\"/\")\n%s}\nroute \"a.org\" {\n  to = service.web.port.http\n}\n"
	for src, want := range map[string]string{
		fmt.Sprintf(route, "instances = 0\n"):                      "service \"web\" has instances = 0: every request gets 503",
		fmt.Sprintf(route, "instances {\n min = 0\n max = 2\n}\n"): "service \"web\" has min = 0: until more are asked for, every request gets 503",
		"service \"db\" {\n  image = image.web\n  instances = 0\n}\ntask \"a\" {\n  image = image.web\n  after = [service.db]\n}\n": "service \"db\" has instances = 0, and serves nobody",
	} {
		if d, found := declare.Parse(one(base + src)); d == nil || len(found) != 1 || !strings.Contains(found.Text(), want) {
			t.Errorf("want %s, got:\n%s", want, found.Text())
		}
	}
	if d, found := declare.Parse(one("stack \"shop\" {}\n")); d == nil || !strings.Contains(found.Text(), "nothing will run") {
		t.Errorf("an empty stack: got %v and:\n%s", d, found.Text())
	}
}

func TestLimits(t *testing.T) {
	many := map[string][]byte{declare.Main: []byte("stack \"shop\" {}\n")}
	for i := range declare.MaxFiles {
		many[fmt.Sprintf("f%d.hcl", i)] = nil
	}
	for name, files := range map[string]map[string][]byte{
		"too many files":     many,
		"file too large":     one(strings.Repeat("#", declare.MaxFile+1)),
		"nothing is decl":    {},
		"nested too deeply":  one("a = " + strings.Repeat("[", 100_000)),
		"nested too deeply ": one("a = " + strings.Repeat("!", 100_000)),
		" too deeply":        one("a = " + strings.Repeat("b ? c : ", 5000)),
		"d too deeply":       one("a = b" + strings.Repeat(".*.c", 5000)),
		"too deeply":         one("a = \"" + strings.Repeat("%{ if a }", 5000)),
		"too long":           one("a = <<A\n" + strings.Repeat("x\n", 300_000) + "A\n"),
		"text too long":      one("stack \"shop\" {}\nimage \"a\" {\n  from = debian(\"bookworm\")\n  env = { A = \"" + strings.Repeat("x", 200<<10) + "\" }\n}\n"),
	} {
		d, found := declare.Parse(files)
		if d != nil || !strings.Contains(found.Text(), strings.TrimSpace(name)) {
			t.Errorf("%s: got\n%s", name, found.Text())
		}
	}
	_, found := declare.Parse(one(strings.Repeat("b {}\n", 100_000)))
	if len(found) > 1000 || len(found.Text()) > 20_000 {
		t.Errorf("%d findings, %d bytes of text", len(found), len(found.Text()))
	}
}

// TestShortForms: a short form and a long one mean the same.
func TestShortForms(t *testing.T) {
	head := "stack \"shop\" {}\nimage \"web\" {\n  from = debian(\"bookworm\")\n}\nservice \"web\" {\n  image = image.web\n  command = [\"/web\"]\n"
	parse := func(body string) *declare.Declaration {
		d, found := declare.Parse(one(head + body + "\n}\n"))
		if d == nil {
			t.Fatalf("refused:\n%s", found.Text())
		}
		return d
	}
	long := "port \"http\" {\n number = 80\n}\nport \"sql\" {\n number = 81\n}\n"
	for short, same := range map[string]string{
		"ports = { http = 80, sql = 81 }\nhealth = http(\"/a\")":       long + "health {\n http {\n port = \"http\"\n path = \"/a\"\n}\n}",
		"ports = { http = 80, sql = 81 }\nhealth = tcp(\"sql\")":       long + "health {\n tcp {\n port = \"sql\"\n}\n}",
		"ports = { \"http\" = 80, sql = 81 }\nhealth = exec([\"/c\"])": long + "health {\n exec {\n command = [\"/c\"]\n}\n}",
	} {
		a, b := parse(short).Services[0], parse(same).Services[0]
		if !reflect.DeepEqual(a.Ports, b.Ports) || !reflect.DeepEqual(a.Health, b.Health) || a.Health == nil {
			t.Errorf("%s\nmeans %+v %+v, the long form %+v %+v", short, a.Ports, a.Health, b.Ports, b.Health)
		}
	}
}

// TestCopyPlace: what is found out later can still point at its line.
func TestCopyPlace(t *testing.T) {
	src := "stack \"shop\" {}\nimage \"web\" {\n  from = \"scratch\"\n  copy {\n    from = \"./bin//web\"\n    to   = \"/web\"\n    mode = \"0700\"\n  }\n}\nservice \"web\" {\n  image = image.web\n  command = [\"/web\"]\n}\n"
	d, found := declare.Parse(one(src))
	if d == nil {
		t.Fatal(found.Text())
	}
	c := d.Images[0].Copies[0]
	if c.From != "bin/web" || c.To != "/web" || c.Mode != 0o700 {
		t.Errorf("got %+v", c)
	}
	want := "glint.hcl:5:12: error: nothing there\n  5 │     from = \"./bin//web\"\n    │            ^^^^^^^^^^^^ was it built?\n"
	if got := d.Diagnose(c.At, "nothing there", "was it built?").Text(); got != want {
		t.Errorf("got:\n%s", got)
	}
}

func TestRead(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	refused := func(want string, sentinel error, dir string) {
		t.Helper()
		if _, err := declare.Read(dir); !errors.Is(err, sentinel) || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	refused("does not exist", glint.ErrNotFound, filepath.Join(dir, "nowhere"))
	refused("no glint.hcl", glint.ErrNotFound, dir)
	write("web.hcl", "")
	refused("rename", glint.ErrNotFound, dir)
	for _, name := range []string{"glint.hcl", "glint.lock.hcl", "prod.glintvars.hcl", ".hidden.hcl", "notes.txt", "b.hcl~"} {
		write(name, "x")
	}
	if err := os.Mkdir(filepath.Join(dir, "folder.hcl"), 0o700); err != nil {
		t.Fatal(err)
	}
	files, err := declare.Read(dir)
	if err != nil || len(files) != 2 || string(files["glint.hcl"]) != "x" || files["web.hcl"] == nil {
		t.Errorf("got %v, %v", files, err)
	}
	write("large.hcl", strings.Repeat("#", declare.MaxFile+1000))
	if files, err = declare.Read(dir); err != nil || len(files["large.hcl"]) != declare.MaxFile+1 {
		t.Errorf("large file: %d bytes, %v", len(files["large.hcl"]), err)
	}
	if err := os.Symlink("/dev/zero", filepath.Join(dir, "zero.hcl")); err != nil {
		t.Fatal(err)
	}
	refused("not a regular file", glint.ErrInvalid, dir)
}
