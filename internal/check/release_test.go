package check_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/glint-infra/glint"
	"github.com/glint-infra/glint/internal/check"
)

const (
	second = glint.Duration(time.Second)
	minute = glint.Duration(time.Minute)
	hour   = glint.Duration(time.Hour)
)

// good is a release that the server takes: services db and web, and task migrate, each after the one before.
func good() glint.Release {
	image := glint.DigestOf(nil)
	u := glint.Update{Strategy: glint.Rolling, Surge: 1, Tries: 1, StartWithin: minute, Grace: minute}
	alone := glint.Update{Strategy: glint.Recreate, Tries: 1, StartWithin: minute}
	return glint.Release{Format: glint.ReleaseFormat, Stack: "shop", Services: []glint.Service{
		{Name: "db", Instances: 1, Template: glint.Template{Image: image, Volumes: []glint.Volume{{Name: "data"}}}, Update: alone},
		{Name: "migrate", Task: true, Instances: 1, Template: glint.Template{Image: image}, Update: alone, After: []string{"db"}},
		{
			Name: "web", Instances: 2, MaxAge: hour, After: []string{"db", "migrate"}, Update: u,
			Template: glint.Template{Image: image, Ports: []glint.Port{{Name: "http", Number: 80, Protocol: glint.HTTP}, {Name: "raw", Number: 81, Protocol: glint.TCP}}, Health: &glint.Probe{}},
		},
	}, Routes: []glint.Route{{Host: "shop.localhost", To: glint.Target{Service: "web", Port: "http"}}}}
}

func TestRelease(t *testing.T) {
	const db, migrate, web = 0, 1, 2
	at := func(i int, do func(*glint.Service)) func(*glint.Release) {
		return func(r *glint.Release) { do(&r.Services[i]) }
	}
	up := func(do func(*glint.Update)) func(*glint.Release) {
		return at(web, func(s *glint.Service) { do(&s.Update) })
	}
	many := func(n int) func(*glint.Release) {
		return func(r *glint.Release) {
			s := r.Services[db]
			r.Services, r.Routes = nil, nil
			for i := range n {
				s.Name = fmt.Sprintf("s%05d", i)
				r.Services = append(r.Services, s)
			}
		}
	}
	tests := []struct {
		want string // part of the objection; empty: none
		do   func(*glint.Release)
	}{
		{"", func(*glint.Release) {}},
		{"release format 99 is not 1: use a CLI and a server of the same version", func(r *glint.Release) { r.Format = 99 }},
		{"letters, digits and dashes, 30 at most", func(r *glint.Release) { r.Stack = "../etc" }},
		{"sorted and unique", func(r *glint.Release) { r.Services = append(r.Services, r.Services[web]) }},
		{"sorted and unique", func(r *glint.Release) { r.Services[db], r.Services[web] = r.Services[web], r.Services[db] }},
		{"names must be valid", at(db, func(s *glint.Service) { s.Name = "A" })},
		{"", many(10_000)},
		{"10001 services, more than 10000", many(10_001)},

		{"", at(web, func(s *glint.Service) { s.Instances = 0 })},
		{"must not be negative; tries", at(web, func(s *glint.Service) { s.Instances = -1 })},
		{"must not be negative; tries", up(func(u *glint.Update) { u.Surge = -1 })},
		{"must not be negative; tries", up(func(u *glint.Update) { u.Unavailable = -1 })},
		{"must not be negative; tries", up(func(u *glint.Update) { u.Grace = -1 })},
		{"must be positive", up(func(u *glint.Update) { u.Tries = 0 })},
		{"", up(func(u *glint.Update) { u.StartWithin = 1 })},
		{"must be positive", up(func(u *glint.Update) { u.StartWithin = 0 })},
		{"must not be negative\n", at(web, func(s *glint.Service) { s.Min = -1; s.Max = 3 })},
		{"must not be negative\n", at(web, func(s *glint.Service) { s.Max = -1 })},
		{"must not be negative\n", at(web, func(s *glint.Service) { s.Standby = -1 })},
		{"must not be negative\n", at(web, func(s *glint.Service) { s.MaxAge = -1 })},
		{"must not be negative\n", up(func(u *glint.Update) { u.Canary = -1 })},
		{"must not be negative\n", up(func(u *glint.Update) { u.Canary, u.Bake = 1, -1 })},
		{"must not be negative\n", up(func(u *glint.Update) { u.Warm = -1 })},

		{"", at(web, func(s *glint.Service) { s.Min, s.Max = 2, 2 })},
		{"", at(web, func(s *glint.Service) { s.Min, s.Max = 0, 3 })},
		{"not between min = 3", at(web, func(s *glint.Service) { s.Min, s.Max = 3, 4 })},
		{"not between min = 0 and max = 1", at(web, func(s *glint.Service) { s.Max = 1 })},
		{"no most", at(web, func(s *glint.Service) { s.Min = 1 })},
		{"", at(web, func(s *glint.Service) { s.Instances = 99_998 })},
		{"", func(r *glint.Release) {
			r.Services[web].Instances = 99_998
			r.Services = append(r.Services, r.Services[web])
			r.Services[web+1].Name, r.Services[web+1].Instances = "zoo", 0
		}},
		{"100001 instances, more than 100000", at(web, func(s *glint.Service) { s.Instances = 99_999 })},
		{"100001 instances, more than 100000", at(web, func(s *glint.Service) { s.Min, s.Max = 1, 99_999 })},
		{"100001 instances, more than 100000", at(web, func(s *glint.Service) { s.Instances, s.Standby = 99_990, 9 })},

		{"no instance could ever be replaced", up(func(u *glint.Update) { u.Surge = 0 })},
		{"", up(func(u *glint.Update) { u.Surge, u.Unavailable = 0, 1 })},
		{"", up(func(u *glint.Update) { u.Strategy, u.Surge = glint.Recreate, 0 })},
		{"unknown update strategy", up(func(u *glint.Update) { u.Strategy = "big bang" })},
		{"one instance holds at a time: want", at(db, func(s *glint.Service) { s.Update.Strategy, s.Update.Surge = glint.Rolling, 1 })},
		{"one instance holds at a time: want", at(db, func(s *glint.Service) { s.Instances = 2 })},
		{"one instance holds at a time: want", at(db, func(s *glint.Service) { s.Max = 2 })},
		{"no standby can be made", at(db, func(s *glint.Service) { s.Standby = 1 })},
		{"", at(web, func(s *glint.Service) { s.Standby = 1 })},
		{"recreate does not", at(db, func(s *glint.Service) { s.Update.Warm = 1 })},
		{"recreate does not", at(db, func(s *glint.Service) { s.Update.Strategy, s.Update.Warm = glint.Rolling, 1 })},
		{"recreate does not", up(func(u *glint.Update) { u.Strategy, u.Warm = glint.Recreate, 1 })},
		{"recreate does not", up(func(u *glint.Update) { u.Strategy, u.Canary = glint.Recreate, 1 })},

		{"", up(func(u *glint.Update) { u.Canary = 1 })},
		{"", up(func(u *glint.Update) { u.Canary, u.Bake, u.Manual = 1, minute, true })},
		{"canary = 2 is not less than the 2", up(func(u *glint.Update) { u.Canary = 2 })},
		{"", at(web, func(s *glint.Service) { s.Max, s.Update.Canary = 3, 2 })},
		{"", at(web, func(s *glint.Service) { s.Instances, s.Update.Canary = 0, 1 })},
		{"", at(web, func(s *glint.Service) { s.Instances, s.Max, s.Update.Canary = 0, 2, 1 })},
		{"is not less than the 1 instances", at(web, func(s *glint.Service) { s.Instances, s.Update.Canary = 1, 1 })},
		{"mean nothing without canary", up(func(u *glint.Update) { u.Bake = 1 })},
		{"mean nothing without canary", up(func(u *glint.Update) { u.Manual = true })},

		{"", at(web, func(s *glint.Service) { s.MaxAge = 0 })},
		{"", at(web, func(s *glint.Service) { s.MaxAge = 2*minute + 1 })},
		{"must be longer than start_within", at(web, func(s *glint.Service) { s.MaxAge = 2 * minute })},
		{"", up(func(u *glint.Update) { u.Canary, u.Bake = 1, hour/2 })},
		{"bake 30m0.000000001s must be at most half of max_age (30m)", up(func(u *glint.Update) { u.Canary, u.Bake = 1, hour/2+1 })},
		{"", at(web, func(s *glint.Service) { s.MaxAge, s.Update.Canary, s.Update.Bake = 0, 1, hour })},
		{"", up(func(u *glint.Update) { u.Warm = hour - 1 })},
		{"must be less than max_age", up(func(u *glint.Update) { u.Warm = hour })},
		{"", at(web, func(s *glint.Service) { s.MaxAge, s.Update.Warm = 0, hour })},
		{"", at(web, func(s *glint.Service) { s.MaxAge, s.Ageless = 0, "a game" })},
		{"must be longer than start_within", at(web, func(s *glint.Service) { s.MaxAge = 1 })},
		{"bake 1ns must be at most", at(web, func(s *glint.Service) { s.MaxAge, s.Update.Canary, s.Update.Bake = 1, 1, 1 })},
		{"warm 1ns must be less", at(web, func(s *glint.Service) { s.MaxAge, s.Update.Warm = 1, 1 })},
		{"want one of them", at(web, func(s *glint.Service) { s.MaxAge, s.Ageless = 1, "a game" })},
		{"want one of them", at(web, func(s *glint.Service) { s.Ageless = "a game" })},

		{"want instances = 1", at(migrate, func(s *glint.Service) { s.Instances = 0 })},
		{"want instances = 1", at(migrate, func(s *glint.Service) { s.Instances = 2 })},
		{"want instances = 1", at(migrate, func(s *glint.Service) { s.Max = 1 })},
		{"no ports, no health check", at(migrate, func(s *glint.Service) {
			s.Template.Ports = []glint.Port{{Name: "http", Number: 80, Protocol: glint.HTTP}}
		})},
		{"no ports, no health check", at(migrate, func(s *glint.Service) { s.Template.Health = &glint.Probe{} })},
		{"no ports, no health check", at(migrate, func(s *glint.Service) { s.Template.Volumes = []glint.Volume{{Name: "d"}} })},
		{"no canary, no standby", at(migrate, func(s *glint.Service) { s.Update.Canary = 1 })},
		{"no canary, no standby", at(migrate, func(s *glint.Service) { s.Update.Warm = 1 })},
		{"no canary, no standby", at(migrate, func(s *glint.Service) { s.Standby = 1 })},
		{"no canary, no standby", at(migrate, func(s *glint.Service) { s.MaxAge = 1 })},
		{"no canary, no standby", at(migrate, func(s *glint.Service) { s.Ageless = "it ends" })},

		{"after must be sorted and unique (db)", at(web, func(s *glint.Service) { s.After = []string{"migrate", "db"} })},
		{"after must be sorted and unique (db)", at(web, func(s *glint.Service) { s.After = []string{"db", "db"} })},
		{"service web comes after ghost, which is not declared", at(web, func(s *glint.Service) { s.After = []string{"ghost"} })},
		{"web → web: each", at(web, func(s *glint.Service) { s.After = []string{"web"} })},
		{"\ndb → web → migrate → db: each", func(r *glint.Release) {
			r.Services[db].After, r.Services[web].After = []string{"web"}, []string{"migrate"}
		}},
		{"", func(r *glint.Release) { // more ways through it than can ever be walked
			many(100)(r)
			for i := 2; i < 100; i++ {
				r.Services[i].After = []string{r.Services[i-2].Name, r.Services[i-1].Name}
			}
		}},
		{"\nmigrate → web → migrate: each", at(migrate, func(s *glint.Service) { s.After = []string{"db", "web"} })},

		{"not a digest", at(web, func(s *glint.Service) { s.Template.Image = "web:latest" })},
		{"from 1 to 65535", at(web, func(s *glint.Service) { s.Template.Ports[0].Number = 0 })},
		{"", at(web, func(s *glint.Service) { s.Template.Ports[0].Number, s.Template.Ports[1].Number = 1, 65535 })},
		{"from 1 to 65535", at(web, func(s *glint.Service) { s.Template.Ports[0].Number = 65536 })},
		{"protocol http or tcp", at(web, func(s *glint.Service) { s.Template.Ports[1].Protocol = "udp" })},
		{"which is not declared", func(r *glint.Release) { r.Routes[0].To.Port = "nope" }},
		{"which is not declared", func(r *glint.Release) { r.Routes[0].To.Service = "nope" }},
		{"declared twice", func(r *glint.Release) { r.Routes = append(r.Routes, r.Routes[0]) }},
		{"not http", func(r *glint.Release) { r.Routes[0].To.Port = "raw" }},
		{"no health check", at(web, func(s *glint.Service) { s.Template.Health = nil })},
		{"allow from ghost, which is not declared", func(r *glint.Release) { r.Allows = []glint.Allow{{From: "ghost", To: r.Routes[0].To}} }},
		{"allow from db leads to web:nope", func(r *glint.Release) {
			r.Allows = []glint.Allow{{From: "db", To: glint.Target{Service: "web", Port: "nope"}}}
		}},
		{"", func(r *glint.Release) { r.Allows = []glint.Allow{{From: "db", To: r.Routes[0].To}} }},
	}
	for i, tt := range tests {
		r := good()
		tt.do(&r)
		err := check.Release(r)
		if tt.want == "" && err != nil {
			t.Errorf("%d: objects: %v", i, err)
		}
		if tt.want != "" && (err == nil || !strings.Contains("\n"+err.Error()+"\n", tt.want)) {
			t.Errorf("%d: got %v, want %q", i, err, tt.want)
		}
	}
}
