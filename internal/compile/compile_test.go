package compile_test

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/glint-infra/glint"
	"github.com/glint-infra/glint/internal/check"
	"github.com/glint-infra/glint/internal/compile"
	"github.com/glint-infra/glint/internal/declare"
)

var update = flag.Bool("update", false, "rewrite golden files")

// sealed gives every image a digest made from its name.
func sealed(d *declare.Declaration) map[string]glint.Digest {
	out := map[string]glint.Digest{}
	for _, i := range d.Images {
		out[i.Name] = glint.DigestOf([]byte(i.Name))
	}
	return out
}

func parse(t interface {
	Helper()
	Fatalf(string, ...any)
}, src string) *declare.Declaration {
	t.Helper()
	d, found := declare.Parse(map[string][]byte{declare.Main: []byte(src)})
	if d == nil {
		t.Fatalf("not accepted:\n%s\n%s", found.Text(), src)
	}
	return d
}

func release(t interface {
	Helper()
	Fatalf(string, ...any)
}, src string) glint.Release {
	t.Helper()
	d := parse(t, src)
	r, err := compile.Release(d, sealed(d))
	if err != nil {
		t.Fatalf("compiling: %v", err)
	}
	return r
}

// TestGolden shows what each good declaration becomes.
func TestGolden(t *testing.T) {
	files, _ := filepath.Glob("../declare/testdata/good/*.hcl")
	if len(files) == 0 {
		t.Fatal("no good declarations")
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".hcl")
		t.Run(name, func(t *testing.T) {
			src, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			r := release(t, string(src))
			if err := check.Release(r); err != nil {
				t.Errorf("the server would refuse it: %v", err)
			}
			got, err := json.MarshalIndent(r, "", "  ")
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, '\n')
			golden := filepath.Join("testdata", name+".json")
			if *update {
				if err := os.WriteFile(golden, got, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), string(got)); diff != "" {
				t.Errorf("release differs (-want +got):\n%s", diff)
			}
		})
	}
}

func TestDigestsMissing(t *testing.T) {
	d := parse(t, shop("", ""))
	_, err := compile.Release(d, map[string]glint.Digest{"web": "latest"})
	if !errors.Is(err, glint.ErrInvalid) || !strings.Contains(err.Error(), `"web"`) || !strings.Contains(err.Error(), `"redis"`) {
		t.Errorf("got %v, want both images named", err)
	}
}

// shop is a declaration with room for more in service web, inside and in its update block.
func shop(web, update string) string {
	return fmt.Sprintf(`stack "shop" {}
image "web" {
  from = "scratch"
  entrypoint = ["/web"]
  copy {
    from = "bin/web"
    to = "/web"
  }
}
image "redis" {
  from = debian("bookworm")
  packages = ["redis-server"]
  entrypoint = ["redis-server"]
}
service "web" {
  image = image.web
  env = { CACHE = "redis://${service.cache.port.redis.address}/0", HOST = service.cache.port.redis.host, PORT = service.cache.port.redis.number }
  ports = { http = 8080 }
  health = http("/")
  %s
  update {
    tries = 4
    %s
  }
}
service "cache" {
  image = image.redis
  ports = { redis = 6379 }
}
allow {
  from = service.web
  to = service.cache.port.redis
}
`, web, update)
}

// TestBehaviourReplacesNothing: what is outside the template changes the release and no version; what is inside changes the
// version.
func TestBehaviourReplacesNothing(t *testing.T) {
	base := release(t, shop("", ""))
	version := func(r glint.Release) glint.Digest { s, _ := r.Service("web"); return s.Template.Version() }
	for _, c := range []struct {
		web, update string
		replaces    bool
	}{
		{web: "instances = 5"},
		{web: `max_age = "2h"`},
		{web: `max_age = never("it holds a game")`},
		{web: "instances {\nmin = 1\nmax = 5\n}"},
		{web: "standby = 1"},
		{web: "after = [service.cache]"},
		{web: "instances = 2", update: "canary = 1"},
		{update: `warm = "10m"`},
		{update: "surge = 3"},
		{update: "unavailable = 1"},
		{update: `start_within = "10s"`},
		{update: `grace = "1s"`},
		{update: `strategy = "recreate"`},
		{web: `command = ["/web", "-v"]`, replaces: true},
		{web: `writable = ["/tmp"]`, replaces: true},
		{web: "resources {\nmemory = \"64MiB\"\n}", replaces: true},
		{web: "port \"admin\" {\nnumber = 9000\n}", replaces: true},
	} {
		got := release(t, shop(c.web, c.update))
		if got.Digest() == base.Digest() {
			t.Errorf("%s%s: the release did not change", c.web, c.update)
		}
		if replaced := version(got) != version(base); replaced != c.replaces {
			t.Errorf("%s%s: replaces %v, want %v", c.web, c.update, replaced, c.replaces)
		}
	}
}

func TestNamesNotAddresses(t *testing.T) {
	s, _ := release(t, shop("", "")).Service("web")
	want := map[string]string{"CACHE": "redis://cache.shop.internal:6379/0", "HOST": "cache.shop.internal", "PORT": "6379"}
	if diff := cmp.Diff(want, s.Template.Env); diff != "" {
		t.Errorf("env (-want +got):\n%s", diff)
	}
}

// A piece is a block, or an attribute, that may stand in any order beside its neighbours.
type piece struct {
	head   string // "service \"web\""; empty: an attribute
	line   string // "instances = 3"
	inside []piece
}

func write(t *rapid.T, b *strings.Builder, pieces []piece) {
	for _, p := range rapid.Permutation(pieces).Draw(t, "order") {
		b.WriteString(rapid.SampledFrom([]string{"", "\n", "# a remark\n", "/* one */ ", "// \"quotes\" {\n", "\t"}).Draw(t, "noise"))
		if p.head == "" {
			b.WriteString(p.line + "\n")
			continue
		}
		b.WriteString(p.head + " {\n")
		write(t, b, p.inside)
		b.WriteString("}\n")
	}
}

func lines(all ...string) (out []piece) {
	for _, l := range all {
		out = append(out, piece{line: l})
	}
	return out
}

var bazaar = []piece{
	{head: `stack "bazaar"`},
	{head: `image "web"`, inside: append(lines(`from = "scratch"`, `entrypoint = ["/web"]`), piece{head: "copy", inside: lines(`from = "a"`, `to = "/web"`)})},
	{head: `image "db"`, inside: lines(`from = debian("bookworm")`, `packages = ["postgresql", "redis-server"]`, `entrypoint = ["/db"]`)},
	{head: `service "web"`, inside: append(lines(`image = image.web`, `instances = 3`, `after = [task.seed, service.db, task.migrate]`, `writable = ["/tmp", "/run"]`, `env = { DB = service.db.port.sql.address, API = service.api.port.http.address }`),
		piece{head: `port "http"`, inside: lines(`number = 80`)}, piece{head: `port "http-admin"`, inside: lines(`number = 81`, `protocol = "http"`)},
		piece{head: "health", inside: append(lines(`interval = "3s"`), piece{head: "http", inside: lines(`path = "/"`, `port = "http"`)})})},
	{head: `task "migrate"`, inside: append(lines(`image = image.db`, `timeout = "1h"`, `after = [service.db]`), piece{head: "resources", inside: lines(`cpu = "1"`, `pids = 9`)})},
	{head: `task "seed"`, inside: lines(`image = image.db`, `after = [task.migrate]`)},
	{head: `service "api"`, inside: append(lines(`image = image.web`, `health = http("/ok")`, `ports = { http = 80 }`, `env = { WEB = service.web.port.http.address }`),
		piece{head: "update", inside: lines(`surge = 2`, `grace = "5s"`, `canary = 1`, `bake = "1m"`, `warm = "2m"`)}, piece{head: "instances", inside: lines(`min = 1`, `max = 4`)})},
	{head: `service "db"`, inside: append(lines(`image = image.db`, `ports = { sql = 5432, repl = 5433 }`),
		piece{head: `volume "wal"`, inside: lines(`path = "/wal"`, `size = "1GiB"`)}, piece{head: `volume "data"`, inside: lines(`path = "/data"`, `size = "1GiB"`)})},
	{head: `route "b.example.org"`, inside: lines(`to = service.web.port.http`)},
	{head: `route "a.example.org"`, inside: lines(`to = service.api.port.http`)},
	{head: "allow", inside: lines(`from = service.web`, `to = service.db.port.sql`)},
	{head: "allow", inside: lines(`from = service.web`, `to = service.api.port.http`)},
	{head: "allow", inside: lines(`from = service.api`, `to = service.web.port.http`)},
}

// TestOrderLeavesNoTrace: however the source is ordered, commented and spread over files, the release is the same.
func TestOrderLeavesNoTrace(t *testing.T) {
	var first glint.Digest
	rapid.Check(t, func(t *rapid.T) {
		files := map[string][]byte{declare.Main: nil, "more.hcl": nil, "a.hcl": nil}
		names := slices.Sorted(maps.Keys(files))
		for _, p := range rapid.Permutation(bazaar).Draw(t, "blocks") {
			var b strings.Builder
			write(t, &b, []piece{p})
			name := rapid.SampledFrom(names).Draw(t, "file")
			files[name] = append(files[name], b.String()...)
		}
		d, found := declare.Parse(files)
		if d == nil {
			t.Fatalf("not accepted:\n%s", found.Text())
		}
		r, err := compile.Release(d, sealed(d))
		if err != nil {
			t.Fatal(err)
		}
		if first == "" {
			first = r.Digest()
		}
		if r.Digest() != first {
			t.Fatalf("digest %s, want %s", r.Digest(), first)
		}
	})
}

// TestFormatLeavesNoTrace: laying a declaration out changes nothing, and doing it twice no more than once.
func TestFormatLeavesNoTrace(t *testing.T) {
	src := shop("instances   =    3", "")
	once := declare.Format([]byte(src))
	if string(once) == src {
		t.Error("nothing was laid out")
	}
	if twice := declare.Format(once); string(twice) != string(once) {
		t.Errorf("a second time changes it again:\n%s", twice)
	}
	if release(t, src).Digest() != release(t, string(once)).Digest() {
		t.Error("the release changed")
	}
}

// TestAcceptedIsAdmitted: whatever may be said of services and tasks, what Parse lets pass the server lets pass too. The two
// judges do not know each other.
func TestAcceptedIsAdmitted(t *testing.T) {
	accepted := 0
	rapid.Check(t, func(t *rapid.T) {
		maybe := func(all ...string) string {
			for range 2 * len(all) { // most is left out: what is said at random seldom fits together
				all = append(all, "")
			}
			return rapid.SampledFrom(all).Draw(t, "line") + "\n"
		}
		var b strings.Builder
		b.WriteString("stack \"shop\" {}\nimage \"web\" {\n  from = debian(\"bookworm\")\n  entrypoint = [\"/web\"]\n}\n")
		b.WriteString("service \"a\" {\nimage = image.web\n")
		b.WriteString(maybe("instances = 0", "instances = 2", "instances = 5", "instances {\nmin = 0\nmax = 1\n}", "instances {\nmin = 2\nmax = 4\n}"))
		b.WriteString(maybe("standby = 1") + maybe("after = [service.b]", "after = [service.b, task.c]", "after = [service.a]"))
		b.WriteString(maybe(`max_age = "1m"`, `max_age = "4m"`, `max_age = "1h"`, `max_age = never("a game")`))
		b.WriteString(maybe("volume \"data\" {\npath = \"/data\"\nsize = \"1GiB\"\n}", "") + "update {\n")
		b.WriteString(maybe("canary = 1", "canary = 1\nbake = \"10s\"", "canary = 3\nbake = \"10m\"\npromote = \"manual\"", "promote = \"auto\"") + maybe(`warm = "1m"`, `warm = "2h"`))
		b.WriteString(maybe(`strategy = "recreate"`, "surge = 0", "unavailable = 1", "surge = 0\nunavailable = 3") + maybe(`start_within = "10s"`, `start_within = "10m"`) + "}\n}\n")
		b.WriteString("service \"b\" {\nimage = image.web\n" + maybe("after = [task.c]", "after = [service.a, task.c]") + "}\n")
		b.WriteString("task \"c\" {\nimage = image.web\n" + maybe("after = [service.a]", "after = [service.b]"))
		b.WriteString(maybe(`timeout = "1h"`, `timeout = "1s"`) + maybe("tries = 5") + maybe(`grace = "0s"`, `grace = "1h"`) + "}\n")
		d, _ := declare.Parse(map[string][]byte{declare.Main: []byte(b.String())})
		if d == nil {
			return
		}
		accepted++
		r, err := compile.Release(d, sealed(d))
		if err != nil {
			t.Fatalf("compiling: %v\n%s", err, b.String())
		}
		if err := check.Release(r); err != nil {
			t.Fatalf("accepted and not admitted: %v\n%s", err, b.String())
		}
	})
	if accepted == 0 {
		t.Error("none was accepted: the test says nothing")
	}
}
