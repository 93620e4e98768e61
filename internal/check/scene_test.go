package check_test

import (
	"strings"
	"testing"
	"time"

	"github.com/glint-infra/glint"
	"github.com/glint-infra/glint/internal/check"
)

var noon = time.Date(2030, 1, 1, 12, 0, 0, 0, time.UTC)

// The versions of web.
var (
	one   = glint.Template{Image: glint.DigestOf([]byte("v1")), Ports: []glint.Port{{Name: "http", Number: 80, Protocol: glint.HTTP}}}
	two   = glint.Template{Image: glint.DigestOf([]byte("v2")), Ports: []glint.Port{{Name: "http", Number: 80, Protocol: glint.HTTP}}}
	three = glint.Template{Image: glint.DigestOf([]byte("v3")), Ports: []glint.Port{{Name: "http", Number: 80, Protocol: glint.HTTP}}}
	disk  = glint.Template{Image: glint.DigestOf([]byte("db")), Volumes: []glint.Volume{{Name: "data", Path: "/data"}}}
	chore = glint.Template{Image: glint.DigestOf([]byte("t1"))}
	other = glint.Template{Image: glint.DigestOf([]byte("t2"))}
	t1    = chore.Version()
	t2    = other.Version()
	v1    = one.Version()
	v2    = two.Version()
	v3    = three.Version()
	vd    = disk.Version()
)

// A scene is a step that is right, for tests to break.
type scene struct {
	before, after glint.Blueprint
	release       glint.Release
	seen          glint.Observation
}

// A test breaks a scene, or changes it to a neighbour that is right as well.
type test struct {
	name string
	do   func(*scene)
	want string // part of the objection; empty: none; after "only: ": there is no other
}

func play(t *testing.T, begin func() *scene, tests []test) {
	t.Helper()
	for _, tt := range append(tests, test{"as it begins", func(*scene) {}, ""}) {
		t.Run(tt.name, func(t *testing.T) {
			s := begin()
			tt.do(s)
			err := check.Step(s.before, s.after, s.release, s.seen)
			want, only := strings.CutPrefix(tt.want, "only: ")
			switch {
			case want == "" && err != nil:
				t.Errorf("objects: %v", err)
			case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
				t.Errorf("got %v, want %q", err, want)
			case only && strings.Contains(err.Error(), "\n"):
				t.Errorf("got %v, want nothing but %q", err, want)
			}
		})
	}
}

// still is three ready members that take traffic, and a step that changes nothing.
func still() *scene {
	f := glint.Fleet{Name: "web", Phase: glint.Steady, Target: v1, Stable: v1, Templates: map[glint.Digest]glint.Template{v1: one}, Grace: minute}
	s := &scene{release: glint.Release{Services: []glint.Service{{
		Name: "web", Template: one, Instances: 3, Update: glint.Update{Strategy: glint.Rolling, Surge: 1, Tries: 3, StartWithin: minute, Grace: minute},
	}}}}
	s.before = glint.Blueprint{Stack: "shop", Epoch: "e", Number: 7, Revision: 1, Target: 1, Stable: 1, Routes: 4, Services: []glint.Fleet{f}}
	s.seen.Complete, s.seen.Acks = true, []glint.Ack{{Member: "one", Generation: 4, Kind: glint.Proven}}
	s.after = s.before
	s.after.Number++
	s.after.Services = []glint.Fleet{f}
	for range 3 {
		s.add(v1)
	}
	return s
}

// rolling is three of v1, and one of v2 that is ready to take the place of one of them.
func rolling() *scene {
	s := still()
	s.before.Revision, s.before.Target, s.after.Revision, s.after.Target = 2, 2, 2, 2
	s.release.Services[0].Template = two
	s.both(func(f *glint.Fleet) {
		f.Phase, f.Target, f.Templates = glint.RollingTo, v2, map[glint.Digest]glint.Template{v1: one, v2: two}
	})
	s.add(v2)
	return s
}

// proving is three of v1, of which one may leave, and a canary of v2 that has been working for a minute.
func proving() *scene {
	s := rolling()
	s.both(func(f *glint.Fleet) { f.Phase, f.Baking = glint.Canary, noon.Add(-time.Minute) })
	s.update().Canary, s.update().Bake = 1, minute
	return s
}

// both does the same to the fleet before and after.
func (s *scene) both(do func(*glint.Fleet)) {
	do(&s.before.Services[0])
	do(&s.after.Services[0])
}

// add adds a ready member that takes traffic, before and after.
func (s *scene) add(v glint.Digest) {
	n := 0
	s.both(func(f *glint.Fleet) {
		f.Last++
		n = f.Last
		m := glint.Member{N: n, Version: v, Created: noon.Add(-time.Hour), Address: "10.0.0.1", Seen: true, Routed: true}
		f.Members = append(f.Members, m)
	})
	s.seen.Instances = append(s.seen.Instances, glint.Instance{
		ID: s.id(n), Version: v, State: glint.Running, Address: "10.0.0.1", Health: glint.Health{Known: true, Ready: true, Live: true},
	})
}

func (s *scene) id(n int) glint.ID {
	return glint.ID{Stack: "shop", Epoch: "e", Service: s.before.Services[0].Name, N: n}
}
func (s *scene) fleet() *glint.Fleet        { return &s.after.Services[0] }
func (s *scene) old() *glint.Fleet          { return &s.before.Services[0] }
func (s *scene) service() *glint.Service    { return &s.release.Services[0] }
func (s *scene) update() *glint.Update      { return &s.release.Services[0].Update }
func (s *scene) member(n int) *glint.Member { return &s.after.Services[0].Members[n-1] }
func (s *scene) past(n int) *glint.Member   { return &s.before.Services[0].Members[n-1] }
func (s *scene) inst(n int) *glint.Instance { return &s.seen.Instances[n-1] }
func (s *scene) sick(n int)                 { s.inst(n).Health.Ready, s.inst(n).Health.Live = false, false }
func (s *scene) unready(n int)              { s.inst(n).Health.Ready = false }
func (s *scene) forget(n int) {
	s.fleet().Members = append(s.fleet().Members[:n-1], s.fleet().Members[n:]...)
}
func (s *scene) unsee(n int) {
	s.seen.Instances = append(s.seen.Instances[:n-1], s.seen.Instances[n:]...)
}
func (s *scene) each(n int, do func(*glint.Member)) {
	do(s.past(n))
	do(s.member(n))
}

// leave tells a member to go, for a reason that nothing which is seen contradicts.
func (s *scene) leave(n int, m *glint.Member) {
	m.Leaving, m.Reason, m.Because, m.Routed = noon, glint.Unhealthy, "does not answer", false
}

// go tells member n to go for that reason, and takes it out of the routes in the next generation.
func (s *scene) tell(n int, r glint.Reason) {
	s.leave(n, s.member(n))
	s.member(n).Reason = r
	s.unroute(n)
}

// unroute takes member n out of the routes in the next generation.
func (s *scene) unroute(n int) {
	s.after.Routes = s.before.Routes + 1
	s.member(n).Routed, s.member(n).Gone = false, s.after.Routes
}

// idle makes member n one that stays and takes no traffic, before and after.
func (s *scene) idle(n int) { s.each(n, func(m *glint.Member) { m.Routed = false }) }

// hold makes member n a standby, before and after.
func (s *scene) hold(n int) {
	s.each(n, func(m *glint.Member) { m.Held, m.Seen, m.Routed = true, false, false })
	s.inst(n).State, s.inst(n).Health = glint.Held, glint.Health{}
}

// warm makes member n one that is kept warm, before and after.
func (s *scene) warm(n int) {
	s.each(n, func(m *glint.Member) { m.Routed, m.Gone, m.Warm = false, 4, noon.Add(time.Hour) })
}

// join adds a member that is not ready yet.
func (s *scene) join() *glint.Member {
	s.fleet().Last++
	s.fleet().Members = append(s.fleet().Members, glint.Member{N: s.fleet().Last, Version: s.fleet().Target, Created: noon})
	return &s.fleet().Members[len(s.fleet().Members)-1]
}

// out takes member n, which does not work, out of the routes in the next generation.
func (s *scene) out(n int) {
	s.sick(n)
	s.tell(n, glint.Unhealthy)
}

// gone makes member n one that left the routes in generation 4.
func (s *scene) gone(n int) {
	s.each(n, func(m *glint.Member) {
		s.leave(n, m)
		m.Gone = 4
	})
	s.member(n).Out = noon
}

// dies has the program of member n end with that status.
func (s *scene) dies(n, code int) {
	s.inst(n).State, s.inst(n).Health, s.inst(n).Exit = glint.Dead, glint.Health{}, &glint.Exit{Code: code}
}

// reject turns revision 2, of rolling or proving, back to revision 1.
func (s *scene) reject() {
	s.after.Rejected = &glint.Rejection{Revision: 2, Service: "web", Version: v2, Because: "it failed"}
	s.after.Target, s.fleet().Rejected = 1, []glint.Digest{v2}
	s.release.Services[0].Template = one
}

// pause has it paused all through the step.
func (s *scene) pause() {
	word := glint.Word{By: "ann", At: noon.Add(-time.Hour)}
	again := word
	s.before.Paused, s.after.Paused = &word, &again
}
