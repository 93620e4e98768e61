package plan_test

import (
	"testing"
	"time"

	"github.com/glint-infra/glint"
)

// TestRecruit: who is missing joins, as far as surge allows.
func TestRecruit(t *testing.T) {
	play(t, calm, []turn{
		{"one is missing", func(s *scene) { s.drop(2) }, `
			web: last=4
			web.4: joins
			web.4: created=noon version=v1
			do: create web.4`},
		{"all are missing", func(s *scene) { s.drop(1); s.drop(2); s.drop(3) }, `
			web: last=6
			web.4: joins
			web.4: created=noon version=v1
			web.5: joins
			web.5: created=noon version=v1
			web.6: joins
			web.6: created=noon version=v1
			do: create web.4
			do: create web.5
			do: create web.6`},
		{"an update may go one beyond", func(s *scene) { s.roll(two) }, `
			web: last=4
			web.4: joins
			web.4: created=noon for=1 version=v2
			do: create web.4
			note web.1: superseded (r2 wants another version); waits: 3 of 3 take traffic
			note web.2: superseded (r2 wants another version); waits: 3 of 3 take traffic
			note web.3: superseded (r2 wants another version); waits: 3 of 3 take traffic`},
		{"an update may go two beyond", func(s *scene) { s.roll(two); s.both(func(w *glint.Service) { w.Update.Surge = 2 }) }, `
			web: last=5
			web.4: joins
			web.4: created=noon for=1 version=v2
			web.5: joins
			web.5: created=noon for=2 version=v2
			do: create web.4
			do: create web.5
			note web.1: superseded (r2 wants another version); waits: 3 of 3 take traffic
			note web.2: superseded (r2 wants another version); waits: 3 of 3 take traffic
			note web.3: superseded (r2 wants another version); waits: 3 of 3 take traffic`},
		{"an update may go beyond by more than are wanted", func(s *scene) { s.roll(two); s.both(func(w *glint.Service) { w.Update.Surge = 9 }) }, `
			web: last=6
			web.4: joins
			web.4: created=noon for=1 version=v2
			web.5: joins
			web.5: created=noon for=2 version=v2
			web.6: joins
			web.6: created=noon for=3 version=v2
			do: create web.4
			do: create web.5
			do: create web.6
			note web.1: superseded (r2 wants another version); waits: 3 of 3 take traffic
			note web.2: superseded (r2 wants another version); waits: 3 of 3 take traffic
			note web.3: superseded (r2 wants another version); waits: 3 of 3 take traffic`},
		{"an update may not go beyond", func(s *scene) { s.roll(two); s.both(func(w *glint.Service) { w.Update.Surge = 0 }) }, `
			note web.1: superseded (r2 wants another version); waits: 3 of 3 take traffic
			note web.2: superseded (r2 wants another version); waits: 3 of 3 take traffic
			note web.3: superseded (r2 wants another version); waits: 3 of 3 take traffic`},
		{"a surge below nothing is none", func(s *scene) { s.drop(2); s.both(func(w *glint.Service) { w.Update.Surge = -1 }) }, `
			web: last=4
			web.4: joins
			web.4: created=noon version=v1
			do: create web.4`},
		{"one beyond there is already", func(s *scene) { s.roll(two); s.young(v2) }, `
			note web.1: superseded (r2 wants another version); waits: 3 of 3 take traffic
			note web.2: superseded (r2 wants another version); waits: 3 of 3 take traffic
			note web.3: superseded (r2 wants another version); waits: 3 of 3 take traffic
			wake: +50s`},
		{"one that leaves does not count", func(s *scene) { s.roll(two); s.leaver(v1) }, `
			web: last=5
			web.4: ending=noon out=noon
			web.5: joins
			web.5: created=noon for=1 version=v2
			do: destroy web.4
			do: create web.5
			note web.1: superseded (r2 wants another version); waits: 3 of 3 take traffic
			note web.2: superseded (r2 wants another version); waits: 3 of 3 take traffic
			note web.3: superseded (r2 wants another version); waits: 3 of 3 take traffic`},
		{"where old goes first, all that there are count", func(s *scene) {
			s.drop(1)
			s.leaver(v1)
			s.inst(4).InFlight = 1
			s.both(func(w *glint.Service) { w.Update.Strategy = glint.Recreate })
		}, `
			web.4: out=noon
			note web.4: drains: 1 in flight, until 12:00:30 at the latest
			note web: 1 missing; waits until what only one may hold is free
			wake: +30s`},
		{"where old goes first, one is gone and one leaves", func(s *scene) {
			s.drop(1)
			s.drop(2)
			s.leaver(v1)
			s.inst(4).InFlight = 1
			s.both(func(w *glint.Service) { w.Update.Strategy = glint.Recreate })
		}, `
			web: last=5
			web.4: out=noon
			web.5: joins
			web.5: created=noon for=4 version=v1
			do: create web.5
			note web.4: drains: 1 in flight, until 12:00:30 at the latest
			wake: +30s`},
		{"an update may not go beyond, and one leaves", func(s *scene) {
			s.roll(two)
			s.leaver(v1)
			s.both(func(w *glint.Service) { w.Update.Surge = 0 })
		}, `
			web.4: ending=noon out=noon
			do: destroy web.4
			note web.1: superseded (r2 wants another version); waits: 3 of 3 take traffic
			note web.2: superseded (r2 wants another version); waits: 3 of 3 take traffic
			note web.3: superseded (r2 wants another version); waits: 3 of 3 take traffic`},
		{"where old goes first, and is gone", func(s *scene) {
			s.drop(1)
			s.both(func(w *glint.Service) { w.Update.Strategy = glint.Recreate })
		}, `
			web: last=4
			web.4: joins
			web.4: created=noon version=v1
			do: create web.4`},
		{"where old goes first, an update begins with leaving", func(s *scene) {
			s.roll(two)
			s.both(func(w *glint.Service) { w.Update.Strategy = glint.Recreate })
		}, `
			stack: routes=5
			web.1: because="r2 wants another version" gone=5 leaving=noon reason=superseded routed=-
			web.2: because="r2 wants another version" gone=5 leaving=noon reason=superseded routed=-
			web.3: because="r2 wants another version" gone=5 leaving=noon reason=superseded routed=-
			do: route
			note web: 3 missing; waits until what only one may hold is free`},
		{"not all have answered", func(s *scene) { s.drop(2); s.seen.Complete = false }, `
			note web: 1 missing; waits until all places answer`},
		{"after a failure there is a pause", func(s *scene) { s.drop(2); s.fleet().Retry, s.fleet().Failed = noon.Add(1), 2 }, `
			note web: 1 missing; after 2 failures the next try is at 12:00:00
			wake: +1e-09s`},
		{"the pause is over", func(s *scene) { s.drop(2); s.fleet().Retry, s.fleet().Failed = noon, 2 }, `
			web: last=4
			web.4: joins
			web.4: created=noon version=v1
			do: create web.4`},
		{"the pause is from a clock that was set back", func(s *scene) { s.drop(2); s.fleet().Retry, s.fleet().Failed = noon.Add(5*time.Minute+1), 2 }, `
			web: last=4
			web.4: joins
			web.4: created=noon version=v1
			do: create web.4`},
		{"the longest pause", func(s *scene) { s.drop(2); s.fleet().Retry, s.fleet().Failed = noon.Add(5*time.Minute), 2 }, `
			note web: 1 missing; after 2 failures the next try is at 12:05:00
			wake: +300s`},
		{"the target is rejected", func(s *scene) { s.drop(2); s.fleet().Rejected = []glint.Digest{v3, v1} }, `
			stack: rejected={because:"it failed before; to try it again: glint apply --retry" instance: revision:1 service:web version:v1}
			note web: version v1 is rejected; to try it again: glint apply --retry`},
		{"two places are open, by the reasons for which they were left", func(s *scene) {
			s.drop(1)
			s.drop(2)
			s.leaver(v1).Reason = glint.Surplus
			s.leaver(v1).Reason = glint.Lost
			s.unsee(4)
			s.unsee(5)
			s.seen.At = noon.Add(-6 * time.Second)
			s.have.Seen = s.seen.At
		}, `
			web: last=7
			web.6: joins
			web.6: created=noon for=5 version=v1
			web.7: joins
			web.7: created=noon version=v1
			do: create web.6
			do: create web.7
			note web.4: cannot be seen; waits for a look that proves that it is gone
			note web.5: cannot be seen; waits for a look that proves that it is gone
			wake: +295s`},
		{"a place is taken already", func(s *scene) {
			s.drop(1)
			s.drop(2)
			s.leaver(v1).Reason = glint.Lost
			s.leaver(v1).Reason = glint.Lost
			s.young(v1).For = 5
		}, `
			web: last=7
			web.4: ending=noon out=noon
			web.5: ending=noon out=noon
			web.7: joins
			web.7: created=noon for=4 version=v1
			do: destroy web.4
			do: destroy web.5
			do: create web.7
			wake: +50s`},
		{"who was to take a place and never worked leaves it open", func(s *scene) {
			s.drop(1)
			s.leaver(v1).Reason = glint.Lost
			m := s.leaver(v1)
			m.Reason, m.For, m.Seen, m.Gone = glint.Unhealthy, 4, false, 0
		}, `
			web: last=6
			web.4: ending=noon out=noon
			web.5: ending=noon out=noon
			web.6: joins
			web.6: created=noon for=4 version=v1
			do: destroy web.4
			do: destroy web.5
			do: create web.6`},
		{"who was to take a place and never worked leaves no other", func(s *scene) {
			s.drop(2)
			m := s.member(1)
			m.Leaving, m.Reason, m.Routed, m.Gone = noon.Add(-5*time.Second), glint.Lost, false, 4
			m = s.leaver(v1)
			m.Reason, m.For, m.Seen, m.Gone = glint.Unhealthy, 1, false, 0
		}, `
			web: last=6
			web.1: ending=noon out=noon
			web.4: ending=noon out=noon
			web.5: joins
			web.5: created=noon for=1 version=v1
			web.6: joins
			web.6: created=noon version=v1
			do: destroy web.1
			do: destroy web.4
			do: create web.5
			do: create web.6`},
		{"who took a place and worked leaves its own", func(s *scene) {
			s.drop(1)
			s.leaver(v1).Reason = glint.Lost
			m := s.leaver(v1)
			m.Reason, m.For = glint.Unhealthy, 4
		}, `
			web: last=6
			web.4: ending=noon out=noon
			web.5: ending=noon out=noon
			web.6: joins
			web.6: created=noon for=5 version=v1
			do: destroy web.4
			do: destroy web.5
			do: create web.6`},
		{"who never worked and took nobody's place leaves its own", func(s *scene) {
			s.drop(1)
			m := s.leaver(v1)
			m.Reason, m.Seen, m.Gone = glint.Unhealthy, false, 0
		}, `
			web: last=5
			web.4: ending=noon out=noon
			web.5: joins
			web.5: created=noon for=4 version=v1
			do: destroy web.4
			do: create web.5`},
	})
}

// TestMaxAsked: a platform is asked for 32 instances before it has accepted them.
func TestMaxAsked(t *testing.T) {
	begin := func() *scene {
		s := nothing()
		s.have.Services = []glint.Fleet{{Name: "web", Phase: glint.RollingTo, Target: v1, Templates: map[glint.Digest]glint.Template{v1: one}, Grace: minute / 2}}
		s.have.Revision, s.have.Target, s.have.Routes, s.have.Number = 1, 1, 4, 7
		s.seen.Acks = []glint.Ack{{Member: "one", Generation: 4, Kind: glint.Proven}}
		return s
	}
	crowd := func(s *scene, asked, accepted, seen, left int) {
		for range asked {
			s.young(v1)
			s.unsee(s.fleet().Last)
		}
		for range accepted {
			s.young(v1)
		}
		for range seen {
			s.add(v1)
			s.unsee(s.fleet().Last)
		}
		for range left {
			s.leaver(v1).Seen = false
			s.unsee(s.fleet().Last)
		}
	}
	for _, tt := range []struct {
		name                        string
		asked, accepted, seen, left int
		instances, joins            int
		waits                       bool
	}{
		{name: "none was asked for", instances: 32, joins: 32},
		{name: "none was asked for, and more are wanted", instances: 33, joins: 32, waits: true},
		{name: "some were asked for", asked: 30, instances: 40, joins: 2, waits: true},
		{name: "as many were asked for", asked: 32, instances: 40, waits: true},
		{name: "some were accepted", asked: 29, accepted: 3, instances: 40, joins: 3, waits: true},
		{name: "some had been ready, and are lost", asked: 29, seen: 1, instances: 40, joins: 3, waits: true},
		{name: "some were asked for, and have left", asked: 29, left: 1, instances: 40, joins: 3, waits: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := begin()
			crowd(s, tt.asked, tt.accepted, tt.seen, tt.left)
			s.both(func(w *glint.Service) { w.Instances = tt.instances })
			last := s.fleet().Last
			d := next(s)
			if got := d.Blueprint.Services[0].Last - last; got != tt.joins {
				t.Errorf("%d join, want %d", got, tt.joins)
			}
			if got := noted(d, "waits until the platform has accepted those it was asked for, 32 at a time"); got != tt.waits {
				t.Errorf("waits %v: %v", got, d.Notes)
			}
		})
	}
}

// TestManyStandbys: of standbys too a platform is asked for 32 at a time.
func TestManyStandbys(t *testing.T) {
	s := calm()
	s.both(func(w *glint.Service) { w.Standby = 40 })
	if d := next(s); d.Blueprint.Services[0].Last != 3+32 {
		t.Errorf("up to %d", d.Blueprint.Services[0].Last)
	}
}

// TestRoomBehind: what is given is not written to, not even where its lists have room for more.
func TestRoomBehind(t *testing.T) {
	s := rolling()
	s.fleet().Failed = 2
	s.fleet().Rejected = append(make([]glint.Digest, 0, 4), v3)
	s.dies(4, 1)
	if d := next(s); len(d.Blueprint.Services[0].Rejected) != 2 || s.fleet().Rejected[:2][1] != "" {
		t.Errorf("%v after %v", d.Blueprint.Services[0].Rejected, s.fleet().Rejected[:2])
	}
}
