package main

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/glint-infra/glint"
)

func TestChanges(t *testing.T) {
	web := glint.Service{Name: "web", Instances: 2, Template: glint.Template{Env: map[string]string{"A": "secret", "B": "1"}}}
	before := glint.Release{
		Images:   []glint.Image{{Name: "web", Digest: glint.DigestOf([]byte("1")), From: "scratch"}},
		Services: []glint.Service{{Name: "old", Instances: 1}, web},
		Routes:   []glint.Route{{Host: "a.localhost", To: glint.Target{Service: "web", Port: "http"}}},
		Allows:   []glint.Allow{{From: "web", To: glint.Target{Service: "old", Port: "p"}}},
	}
	after := before
	web.Instances, web.MaxAge = 3, glint.Duration(3600e9)
	web.Template.Env = map[string]string{"B": "2", "C": "3"}
	after.Services = []glint.Service{web}
	after.Routes = []glint.Route{{Host: "a.localhost", To: glint.Target{Service: "web", Port: "admin"}}}
	after.Allows = nil
	var got []string
	for _, c := range changes(before, after, hostURL) {
		got = append(got, c.String())
	}
	va, vb := before.Services[1].Template.Version().Short(), web.Template.Version().Short()
	want := []string{
		"  ~ service  web            version " + va + " → " + vb + " (env A, env B, env C), instances 2 → 3, max_age never → 1h",
		"  - service  old            1 instance",
		"  ~ route    http://a.localhost web:http → web:admin",
		"  - allow    web → old:p",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if strings.Contains(strings.Join(got, ""), "secret") {
		t.Error("a value of env was shown")
	}
	if same := changes(before, before, hostURL); len(same) > 0 {
		t.Errorf("nothing changed, and yet: %v", same)
	}
}

// TestServiceText: whatever a service may say is seen when it comes, and when it changes.
func TestServiceText(t *testing.T) {
	plain := glint.Service{Name: "web", Instances: 1}
	for _, c := range []struct {
		change      func(s *glint.Service)
		text, delta string
	}{
		{func(s *glint.Service) { s.Instances, s.Min, s.Max = 2, 2, 10 }, "2 to 10 instances", "instances 1 → 2…10"},
		{func(s *glint.Service) { s.Standby = 2 }, "1 instance, 2 on standby", "standby 0 → 2"},
		{func(s *glint.Service) { s.After = []string{"db", "migrate"} }, "1 instance, after db, migrate", "after nothing → db+migrate"},
		{func(s *glint.Service) { s.MaxAge = glint.Duration(7 * 24 * time.Hour) }, "1 instance, renewed within 7d", "max_age never → 7d"},
		{func(s *glint.Service) { s.Ageless = "a game" }, "1 instance, never renewed (a game)", "max_age never → never (a game)"},
		{func(s *glint.Service) { s.Task, s.Update.StartWithin = true, glint.Duration(time.Minute) }, "runs once, within 1m", "kind service → task, update (start_within 0s → 1m)"},
		{func(s *glint.Service) {
			s.Update.Canary, s.Update.Bake, s.Update.Manual = 1, glint.Duration(time.Second), true
		}, "1 instance", "update (canary 0 → 1, bake 0s → 1s, promote auto → manual)"},
		{func(s *glint.Service) { s.Update.Warm = glint.Duration(time.Minute) }, "1 instance", "update (warm 0s → 1m)"},
	} {
		s := plain
		c.change(&s)
		if got := serviceText(s); got != c.text {
			t.Errorf("comes: %q, want %q", got, c.text)
		}
		if got := serviceChange(plain, s); got != c.delta {
			t.Errorf("changes: %q, want %q", got, c.delta)
		}
	}
}

// TestClean: what an instance writes cannot speak to the terminal of who reads.
func TestClean(t *testing.T) {
	if got := clean("a\x1b]0;title\x07b\x00c\td\u202ee\xff"); got != "a]0;titlebc de�" {
		t.Errorf("%q", got)
	}
}

// TestFieldChanges: whatever of a service differs is named, what replaces instances first, and no value of env.
func TestFieldChanges(t *testing.T) {
	a := glint.Service{Name: "web", Instances: 2, Template: glint.Template{
		Image: glint.DigestOf([]byte("1")), Command: []string{"serve", "now"}, Env: map[string]string{"A": "secret", "B": "same"},
		Ports: []glint.Port{{Name: "http", Number: 8080, Protocol: glint.HTTP}}, Writable: []glint.Tmpfs{{Path: "/tmp", Size: 1 << 20}},
	}}
	b := a
	b.Instances, b.After, b.Update.Surge = 3_000_000, []string{"db", "migrate"}, 2
	b.Template.Command, b.Template.Env = nil, map[string]string{"B": "same", "C": "secret"}
	b.Template.Ports = []glint.Port{{Name: "http", Number: 8081, Protocol: glint.HTTP}, {Name: "admin", Number: 9, Protocol: glint.TCP}}
	b.Template.Writable = []glint.Tmpfs{{Path: "/tmp", Size: 2 << 20}}
	var got []string
	for _, f := range fieldChanges(a, b) {
		got = append(got, strings.TrimSpace(map[bool]string{true: "* "}[f.Replaces]+f.Field+": "+dash(f.From)+" → "+dash(f.To)))
	}
	want := []string{
		"* command: serve now → -", "* env.A: (not shown) → -", "* env.C: - → (not shown)",
		"* ports.admin.name: - → admin", "* ports.admin.number: - → 9", "* ports.admin.protocol: - → tcp", "* ports.http.number: 8080 → 8081",
		"* writable./tmp.size: 1MiB → 2MiB",
		"after: - → db migrate", "instances: 2 → 3000000", "update.surge: 0 → 2",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if same := fieldChanges(a, a); len(same) > 0 {
		t.Errorf("nothing changed, and yet: %v", same)
	}
}
