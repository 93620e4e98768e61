package declare_test

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/glint-infra/glint"
	"github.com/glint-infra/glint/internal/declare"
)

const (
	minute = glint.Duration(time.Minute)
	week   = glint.Duration(7 * 24 * time.Hour)
)

// silent parses what must be accepted without a word, and returns its services and tasks.
func silent(t *testing.T, src string) *declare.Declaration {
	t.Helper()
	d, found := declare.Parse(one("stack \"shop\" {}\nimage \"web\" {\n  from = debian(\"bookworm\")\n  entrypoint = [\"/web\"]\n}\n" + src))
	if d == nil || len(found) > 0 {
		t.Fatalf("%s\nfound:\n%s", src, found.Text())
	}
	return d
}

// plainService is what a service means that says nothing.
func plainService() declare.Service {
	return declare.Service{Name: "web", Image: "web", Instances: 1, MaxAge: week, Env: map[string]declare.Words{}, Resources: glint.Resources{Pids: 1024},
		Update: glint.Update{Strategy: glint.Rolling, Surge: 1, StartWithin: minute, Grace: minute / 2, Tries: 3}}
}

// TestServiceMeans shows what each word of a service changes, and that it changes nothing else. None of them is worth a
// warning.
func TestServiceMeans(t *testing.T) {
	for src, change := range map[string]func(s *declare.Service){
		"":                                  func(*declare.Service) {},
		"max_age = \"2h\"":                  func(s *declare.Service) { s.MaxAge = 120 * minute },
		"max_age = never(\"a\")":            func(s *declare.Service) { s.MaxAge, s.Ageless = 0, "a" },
		"max_age = (never((\"${\"a\"}\")))": func(s *declare.Service) { s.MaxAge, s.Ageless = 0, "a" },
		"max_age = never(\"" + strings.Repeat("é", 100) + "\")": func(s *declare.Service) { s.MaxAge, s.Ageless = 0, strings.Repeat("é", 100) },
		"standby = 2":                         func(s *declare.Service) { s.Standby = 2 },
		"standby = 0":                         func(*declare.Service) {},
		"after = []":                          func(*declare.Service) {},
		"after = [task.seed, service.db]":     func(s *declare.Service) { s.After = []string{"seed", "db"} },
		"instances = 4":                       func(s *declare.Service) { s.Instances = 4 },
		"instances {\n min = 2\n max = 10\n}": func(s *declare.Service) { s.Instances, s.Min, s.Max = 2, 2, 10 },
		"instances {\n min = 3\n max = 3\n}":  func(s *declare.Service) { s.Instances, s.Min, s.Max = 3, 3, 3 },
		"instances {\n min = 0\n max = 1\n}":  func(s *declare.Service) { s.Instances, s.Max = 0, 1 },
		"update {\n warm = \"10m\"\n}":        func(s *declare.Service) { s.Update.Warm = 10 * minute },
		"update {\n canary = 0\n}":            func(*declare.Service) {},
		"update {\n strategy = \"recreate\"\n canary = 0\n}": func(s *declare.Service) {
			s.Update.Strategy, s.Update.Surge, s.Update.Unavailable = glint.Recreate, 0, 1
		},
		"instances = 2\nupdate {\n canary = 1\n}": func(s *declare.Service) { s.Instances, s.Update.Canary, s.Update.Bake = 2, 1, minute/2 },
		"instances = 0\nupdate {\n canary = 1\n}": func(s *declare.Service) { s.Instances, s.Update.Canary, s.Update.Bake = 0, 1, minute/2 },
		"instances {\n min = 1\n max = 3\n}\nupdate {\n canary = 2\n bake = \"1m\"\n promote = \"manual\"\n}": func(s *declare.Service) {
			s.Instances, s.Min, s.Max, s.Update.Canary, s.Update.Bake, s.Update.Manual = 1, 1, 3, 2, minute, true
		},
		"max_age = \"2m\"\ninstances = 2\nupdate {\n canary = 1\n bake = \"1m\"\n promote = \"auto\"\n}": func(s *declare.Service) {
			s.MaxAge, s.Instances, s.Update.Canary, s.Update.Bake = 2*minute, 2, 1, minute
		},
	} {
		want := plainService()
		change(&want)
		d := silent(t, fmt.Sprintf("service \"web\" {\nimage = image.web\n%s\n}\nservice \"db\" {\nimage = image.web\n}\ntask \"seed\" {\nimage = image.web\n}\n", src))
		if diff := different(want, d.Services[0]); diff != "" {
			t.Errorf("%s\n%s", src, diff)
		}
	}
}

// TestVolumeIsNeverTooOld: what holds a volume is replaced by age only if somebody says so.
func TestVolumeIsNeverTooOld(t *testing.T) {
	for line, want := range map[string]glint.Duration{"": 0, "max_age = \"7d\"": week} {
		d := silent(t, "service \"web\" {\nimage = image.web\n"+line+"\nvolume \"data\" {\n path = \"/data\"\n size = \"1GiB\"\n}\n}\n")
		if got := d.Services[0].MaxAge; got != want || d.Services[0].Ageless != "" {
			t.Errorf("%q: %s, want %s", line, got, want)
		}
	}
}

// TestTaskMeans: a task is a service that runs once, and never beside itself.
func TestTaskMeans(t *testing.T) {
	want := declare.Service{Name: "seed", Task: true, Image: "web", Instances: 1, Env: map[string]declare.Words{}, Resources: glint.Resources{Pids: 1024},
		Update: glint.Update{Strategy: glint.Recreate, Unavailable: 1, StartWithin: 10 * minute, Grace: minute / 2, Tries: 1}}
	d := silent(t, "task \"seed\" {\n image = image.web\n}\n")
	if diff := different(want, d.Services[0]); diff != "" {
		t.Error(diff)
	}
	want.Update.StartWithin, want.Update.Grace, want.Update.Tries, want.Writable, want.Resources.Pids = 60*minute, minute, 4, []string{"/tmp"}, 7
	want.Command, want.After = []declare.Words{{{Text: "/seed"}}}, []string{"web"}
	d = silent(t, `service "web" {
  image = image.web
}
task "seed" {
  image = image.web
  timeout = "1h"
  grace = "1m"
  tries = 4
  writable = ["/tmp"]
  command = ["/seed"]
  after = [service.web]
  resources {
    pids = 7
  }
}
`)
	if diff := different(want, d.Services[1]); diff != "" {
		t.Error(diff)
	}
}

// different names the first exported field in which two services differ, but for their places.
func different(want, got declare.Service) string {
	a, b := reflect.ValueOf(want), reflect.ValueOf(got)
	for i := range a.NumField() {
		name := a.Type().Field(i).Name
		if name == "At" || !a.Type().Field(i).IsExported() {
			continue
		}
		if x, y := a.Field(i).Interface(), b.Field(i).Interface(); !reflect.DeepEqual(x, y) {
			return fmt.Sprintf("%s is %+v, want %+v", name, y, x)
		}
	}
	return ""
}

// TestLongWay: a declaration whose services wait in one long line, or in one long circle, is judged without drowning.
func TestLongWay(t *testing.T) {
	const n = 3000
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "task \"t%d\" {\nimage = image.web\nafter = [%s]\n}\n", i, strings.Repeat(fmt.Sprintf("task.t%d", i+1), min(1, n-1-i)))
	}
	line := b.String()
	if got := silent(t, line).Services; len(got) != n || got[0].After[0] != "t1" {
		t.Errorf("%d tasks", len(got))
	}
	round := strings.Replace(line, "after = []", "after = [task.t0]", 1)
	_, found := declare.Parse(one("stack \"shop\" {}\nimage \"web\" {\n  from = debian(\"bookworm\")\n  entrypoint = [\"/web\"]\n}\n" + round))
	if len(found) != 1 || !strings.Contains(found.Text(), "t0 → t1") || !strings.Contains(found.Text(), "t2999 → t0:") || len(found.Text()) > 2000 {
		t.Errorf("found:\n%.3000s", found.Text())
	}
}

// TestCirclesAcrossFiles: the way round names the file of each step.
func TestCirclesAcrossFiles(t *testing.T) {
	_, found := declare.Parse(map[string][]byte{
		declare.Main: []byte("stack \"shop\" {}\nimage \"web\" {\n  from = debian(\"bookworm\")\n  entrypoint = [\"/web\"]\n}\nservice \"web\" {\n  image = image.web\n  after = [task.seed]\n}\n"),
		"seed.hcl":   []byte("task \"seed\" {\n  image = image.web\n  after = [service.web]\n}\n"),
	})
	for _, want := range []string{"web → seed → web", "web waits for seed at glint.hcl:8:12", "seed waits for web at seed.hcl:3:12"} {
		if !strings.Contains(found.Text(), want) {
			t.Errorf("not said: %s\n%s", want, found.Text())
		}
	}
}

// TestCirclesAreFound holds the walk along after against another way to tell: what can begin is taken away until nothing
// more can. What is left over stands in a circle, or behind one.
func TestCirclesAreFound(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 8).Draw(t, "services")
		waits := map[int][]int{}
		src := "stack \"shop\" {}\nimage \"web\" {\n  from = debian(\"bookworm\")\n  entrypoint = [\"/web\"]\n}\n"
		for i := range n {
			waits[i] = rapid.SliceOfNDistinct(rapid.IntRange(0, n-1).Filter(func(j int) bool { return j != i }), 0, min(2, n-1), rapid.ID).Draw(t, "after")
			var refs []string
			for _, j := range waits[i] {
				refs = append(refs, fmt.Sprintf("service.s%d", j))
			}
			src += fmt.Sprintf("service \"s%d\" {\n  image = image.web\n  after = [%s]\n}\n", i, strings.Join(refs, ", "))
		}
		for again := true; again; {
			again = false
			for i, on := range waits {
				if !slices.ContainsFunc(on, func(j int) bool { _, left := waits[j]; return left }) {
					delete(waits, i)
					again = true
				}
			}
		}
		d, found := declare.Parse(one(src))
		if (d == nil) != (len(waits) > 0) {
			t.Fatalf("%d wait for ever, and Parse says:\n%s\n%s", len(waits), found.Text(), src)
		}
		for _, f := range found {
			if f.Summary != "waiting in a circle" {
				t.Fatalf("found:\n%s", found.Text())
			}
		}
	})
}
