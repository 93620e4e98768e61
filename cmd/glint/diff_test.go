package main

import (
	"slices"
	"strings"
	"testing"

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

// TestClean: what an instance writes cannot speak to the terminal of who reads.
func TestClean(t *testing.T) {
	if got := clean("a\x1b]0;title\x07b\x00c\td\u202ee\xff"); got != "a]0;titlebc de�" {
		t.Errorf("%q", got)
	}
}
