package plan_test

import (
	"testing"
	"time"

	"github.com/glint-infra/glint"
)

// TestPlaces: members are spread over zones, then over places, then by how full these are, then by name.
func TestPlaces(t *testing.T) {
	at := func(s *scene, n int, place string) { s.member(n).Place = place }
	begin := func() *scene {
		s := calm()
		s.seen.Places = []glint.Place{{Name: "a1", Zone: "a"}, {Name: "a2", Zone: "a"}, {Name: "b1", Zone: "b"}, {Name: "b2", Zone: "b"}}
		at(s, 1, "a1")
		at(s, 2, "b1")
		at(s, 3, "a2")
		s.both(func(w *glint.Service) { w.Instances = 4 })
		return s
	}
	play(t, begin, []turn{
		{"the emptier zone, and in it the emptier place", func(s *scene) {}, `
			web: last=4
			web.4: joins
			web.4: created=noon place=b2 version=v1
			do: create web.4`},
		{"that place is closed", func(s *scene) { s.seen.Places[3].Closed = true }, `
			web: last=4
			web.4: joins
			web.4: created=noon place=b1 version=v1
			do: create web.4`},
		{"that place is silent", func(s *scene) { s.seen.Silent = []string{"b2"} }, `
			web: last=4
			web.4: joins
			web.4: created=noon place=b1 version=v1
			do: create web.4`},
		{"that zone is closed", func(s *scene) { s.seen.Places[2].Closed, s.seen.Places[3].Closed = true, true }, `
			web: last=4
			web.4: joins
			web.4: created=noon place=a1 version=v1
			do: create web.4`},
		{"all are closed", func(s *scene) {
			for i := range s.seen.Places {
				s.seen.Places[i].Closed = true
			}
		}, `
			note web: 1 missing; no place takes new instances`},
		{"there is one, and it is closed", func(s *scene) { s.seen.Places = []glint.Place{{Name: "a1", Closed: true}} }, `
			note web: 1 missing; no place takes new instances`},
		{"all are closed to standbys too", func(s *scene) {
			for i := range s.seen.Places {
				s.seen.Places[i].Closed = true
			}
			s.both(func(w *glint.Service) { w.Instances, w.Standby = 3, 1 })
		}, ``},
		{"three are missing", func(s *scene) { s.both(func(w *glint.Service) { w.Instances = 6 }) }, `
			web: last=6
			web.4: joins
			web.4: created=noon place=b2 version=v1
			web.5: joins
			web.5: created=noon place=a1 version=v1
			web.6: joins
			web.6: created=noon place=b1 version=v1
			do: create web.4
			do: create web.5
			do: create web.6`},
		{"what leaves or is kept warm takes no room", func(s *scene) {
			s.leaver(v1).Place = "b2"
			s.warm(v1).Place = "b2"
		}, `
			web: last=6
			web.4: ending=noon out=noon
			web.6: joins
			web.6: created=noon for=4 place=b2 version=v1
			do: destroy web.4
			do: create web.6
			wake: +3600s`},
		{"a standby takes room", func(s *scene) {
			s.both(func(w *glint.Service) { w.Standby = 2 })
			s.spare(v1).Place = "b2"
			s.inst(4).State = glint.Accepted
			s.member(4).Created = noon.Add(-time.Second)
		}, `
			web: last=5
			web.5: joins
			web.5: created=noon place=a1 version=v1
			do: create web.4
			do: create web.5
			wake: +59s`},
		{"where it is equal otherwise, the place with fewer of other services", func(s *scene) {
			s.seen.Places = []glint.Place{{Name: "a1"}, {Name: "a2"}}
			at(s, 2, "a2")
			at(s, 3, "gone")
			s.have.Services = append([]glint.Fleet{{Name: "db", Phase: glint.Steady, Since: noon, Target: v1, Stable: v1, Templates: map[glint.Digest]glint.Template{v1: one}, Grace: minute / 2,
				Members: []glint.Member{{N: 1, Version: v1, Created: noon, Place: "a1", Leaving: noon}}}}, s.have.Services...)
			s.see(glint.Instance{ID: glint.ID{Stack: "shop", Epoch: "e", Service: "db", N: 1}, InFlight: 1, Version: v1})
			db := service("db", one, 0)
			s.in.Releases[1] = glint.Release{Services: append([]glint.Service{db}, s.in.Releases[1].Services...)}
		}, `
			db.1: ending=noon out=noon
			web: last=4
			web.4: joins
			web.4: created=noon place=a2 version=v1
			do: destroy db.1
			do: create web.4`},
		{"where it is equal in all, by name, however they are listed", func(s *scene) {
			s.seen.Places = []glint.Place{{Name: "c"}, {Name: "b"}}
		}, `
			web: last=4
			web.4: joins
			web.4: created=noon place=b version=v1
			do: create web.4`},
		{"where it is equal in all but the names, three in turn", func(s *scene) {
			s.seen.Places = []glint.Place{{Name: "c"}, {Name: "b"}}
			s.both(func(w *glint.Service) { w.Instances = 6 })
		}, `
			web: last=6
			web.4: joins
			web.4: created=noon place=b version=v1
			web.5: joins
			web.5: created=noon place=c version=v1
			web.6: joins
			web.6: created=noon place=b version=v1
			do: create web.4
			do: create web.5
			do: create web.6`},
		{"the platform chooses", func(s *scene) { s.seen.Places = nil }, `
			web: last=4
			web.4: joins
			web.4: created=noon version=v1
			do: create web.4`},
	})
}
