package plan_test

import (
	"testing"
	"time"

	"github.com/glint-infra/glint"
)

// TestAge: nobody is older than max_age, and those that were born together go one after another. An hour, three instances:
// the gap is ten minutes; web of shop is moved by 331 seconds, of 600 or a tenth of max_age at most.
func TestAge(t *testing.T) {
	born := func(s *scene, n int, ago time.Duration) { s.member(n).Created = noon.Add(-ago) }
	begin := func() *scene {
		s := calm()
		s.both(func(w *glint.Service) { w.MaxAge, w.Update.Unavailable = 60*minute, 3 })
		for n := range 3 {
			born(s, n+1, 0)
		}
		return s
	}
	play(t, begin, []turn{
		{"born together they go ten minutes apart", func(s *scene) {}, `
			wake: +2068.868524097s`},
		{"the first is due", func(s *scene) {
			for n := range 3 {
				born(s, n+1, 35*time.Minute)
			}
		}, `
			stack: routes=5
			web: last=4
			web.1: because="born at 11:25:00; none may be older than 1h" gone=5 leaving=noon reason=expired routed=-
			web.4: joins
			web.4: created=noon for=1 version=v1
			do: route
			do: create web.4
			wake: +568.868524097s`},
		{"nobody goes before half of its age", func(s *scene) {
			for range 5 {
				s.add(v1).Created = noon
			}
			s.both(func(w *glint.Service) { w.Instances, w.Update.Unavailable = 1, 0 })
		}, `
			stack: routes=5
			web.1: because="1 wanted" gone=5 leaving=noon reason=surplus routed=-
			web.2: because="1 wanted" gone=5 leaving=noon reason=surplus routed=-
			web.3: because="1 wanted" gone=5 leaving=noon reason=surplus routed=-
			web.4: because="1 wanted" gone=5 leaving=noon reason=surplus routed=-
			web.5: because="1 wanted" gone=5 leaving=noon reason=surplus routed=-
			web.6: because="1 wanted" gone=5 leaving=noon reason=surplus routed=-
			web.7: because="1 wanted" gone=5 leaving=noon reason=surplus routed=-
			do: route
			wake: +1800s`},
		{"born apart they go apart", func(s *scene) {
			born(s, 1, 40*time.Minute)
			born(s, 2, 20*time.Minute)
		}, `
			wake: +868.868524097s`},
		{"by when they were born, whatever their number", func(s *scene) {
			born(s, 3, 52*time.Minute)
			born(s, 2, 20*time.Minute)
		}, `
			wake: +148.868524097s`},
		{"the last in number is the oldest", func(s *scene) { born(s, 3, 20*time.Minute) }, `
			wake: +2068.868524097s`},
		{"one alone", func(s *scene) {
			s.drop(2)
			s.drop(3)
			s.both(func(w *glint.Service) { w.Instances = 1 })
		}, `
			wake: +3268.868524097s`},
		{"many: the gap is what moves a service", func(s *scene) {
			s.drop(2)
			s.drop(3)
			s.both(func(w *glint.Service) { w.Instances = 10 })
		}, `
			web: last=12
			web.4: joins
			web.4: created=noon version=v1
			web.5: joins
			web.5: created=noon version=v1
			web.6: joins
			web.6: created=noon version=v1
			web.7: joins
			web.7: created=noon version=v1
			web.8: joins
			web.8: created=noon version=v1
			web.9: joins
			web.9: created=noon version=v1
			web.10: joins
			web.10: created=noon version=v1
			web.11: joins
			web.11: created=noon version=v1
			web.12: joins
			web.12: created=noon version=v1
			do: create web.4
			do: create web.5
			do: create web.6
			do: create web.7
			do: create web.8
			do: create web.9
			do: create web.10
			do: create web.11
			do: create web.12
			wake: +3434.434262049s`},
		{"who leaves or is a spare has no place in the order", func(s *scene) {
			s.both(func(w *glint.Service) { w.Standby = 1 })
			s.leaver(v1).Created = noon
			s.spare(v1).Created = noon
			s.warm(v1).Created = noon
		}, `
			web.4: ending=noon out=noon
			do: destroy web.4
			wake: +1800s`},
		{"no age is said", func(s *scene) { s.both(func(w *glint.Service) { w.MaxAge = 0 }); born(s, 1, 1000*time.Hour) }, ``},
		{"who has never been ready is given its time to start", func(s *scene) {
			s.drop(3)
			m := s.young(v1)
			m.Created, s.inst(4).Created = noon.Add(-59*time.Second), noon.Add(-59*time.Second)
			s.both(func(w *glint.Service) { w.MaxAge = minute / 2 })
			born(s, 1, -time.Hour)
			born(s, 2, -time.Hour)
		}, `
			wake: +1s`},
		{"a service that wants nobody, and has two", func(s *scene) {
			s.drop(3)
			s.both(func(w *glint.Service) { w.Instances = 0 })
		}, `
			stack: routes=5
			web.1: because="0 wanted" gone=5 leaving=noon reason=surplus routed=-
			web.2: because="0 wanted" gone=5 leaving=noon reason=surplus routed=-
			do: route
			wake: +1800s`},
		{"a standby, however short its life is", func(s *scene) {
			s.both(func(w *glint.Service) { w.MaxAge, w.Standby = 1, 1 })
			s.spare(v1)
		}, `
			web: last=5
			web.4: because="born at 11:00:00; none may be older than 1ns" leaving=noon reason=expired
			web.5: joins
			web.5: created=noon held=true version=v1
			do: create web.5
			wake: +1e-09s`},
		{"a service that wants nobody", func(s *scene) { s.both(func(w *glint.Service) { w.Instances = 0 }) }, `
			stack: routes=5
			web.1: because="0 wanted" gone=5 leaving=noon reason=surplus routed=-
			web.2: because="0 wanted" gone=5 leaving=noon reason=surplus routed=-
			web.3: because="0 wanted" gone=5 leaving=noon reason=surplus routed=-
			do: route
			wake: +1800s`},
	})
}
