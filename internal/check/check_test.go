package check_test

import (
	"strings"
	"testing"
	"time"

	"github.com/glint-infra/glint"
	"github.com/glint-infra/glint/internal/check"
)

var noon = time.Date(2030, 1, 1, 12, 0, 0, 0, time.UTC)

// A scene is a step that is right, for tests to break.
type scene struct {
	before, after glint.Blueprint
	release       glint.Release
	seen          glint.Observation
}

// still is three ready members that take traffic, and a step that changes nothing.
func still() *scene {
	t := glint.Template{Image: glint.DigestOf([]byte("v1"))}
	v := t.Version()
	f := glint.Fleet{Name: "web", Phase: glint.Steady, Target: v, Stable: v, Templates: map[glint.Digest]glint.Template{v: t}, Grace: glint.Duration(time.Minute), Last: 3}
	s := &scene{release: glint.Release{Services: []glint.Service{{Name: "web", Template: t, Instances: 3, Update: glint.Update{Strategy: glint.Rolling, Surge: 1}}}}}
	s.before = glint.Blueprint{Stack: "shop", Epoch: "e", Number: 7, Revision: 1, Target: 1, Stable: 1, Routes: 4}
	for n := 1; n <= 3; n++ {
		f.Members = append(f.Members, glint.Member{N: n, Version: v, Created: noon, Address: "10.0.0.1", Seen: true, Routed: true})
		s.seen.Instances = append(s.seen.Instances, glint.Instance{ID: glint.ID{Stack: "shop", Epoch: "e", Service: "web", N: n}, Version: v, State: glint.Running, Health: glint.Health{Known: true, Ready: true, Live: true}})
	}
	s.before.Services = []glint.Fleet{f}
	s.seen.Complete, s.seen.Acks = true, []glint.Ack{{Member: "one", Generation: 4, Kind: glint.Proven}}
	s.after = s.before
	s.after.Number++
	s.after.Services = []glint.Fleet{f}
	s.after.Services[0].Members = append([]glint.Member(nil), f.Members...)
	return s
}

func (s *scene) fleet() *glint.Fleet        { return &s.after.Services[0] }
func (s *scene) member(n int) *glint.Member { return &s.after.Services[0].Members[n-1] }
func (s *scene) past(n int) *glint.Member   { return &s.before.Services[0].Members[n-1] }
func (s *scene) inst(n int) *glint.Instance { return &s.seen.Instances[n-1] }
func (s *scene) sick(n int)                 { s.inst(n).Health.Ready, s.inst(n).Health.Live = false, false }
func (s *scene) forget(n int) {
	s.fleet().Members = append(s.fleet().Members[:n-1], s.fleet().Members[n:]...)
}
func (s *scene) unsee(n int) {
	s.seen.Instances = append(s.seen.Instances[:n-1], s.seen.Instances[n:]...)
}

// leave tells a member to go, for a reason that nothing which is seen contradicts.
func (s *scene) leave(n int, m *glint.Member) {
	m.Leaving, m.Reason, m.Because, m.Routed = noon, glint.Unhealthy, "does not answer", false
}

// join adds a member that is not ready yet.
func (s *scene) join() {
	s.fleet().Last++
	s.fleet().Members = append(s.fleet().Members, glint.Member{N: s.fleet().Last, Version: s.fleet().Target, Created: noon})
}

// hold makes a version with a volume the target, and returns it. Everyone is of it but members made before.
func (s *scene) hold() glint.Digest {
	t := glint.Template{Image: glint.DigestOf([]byte("v2")), Volumes: []glint.Volume{{Name: "data", Path: "/data"}}}
	v := t.Version()
	s.release.Services[0].Template = t
	for _, f := range []*glint.Fleet{&s.before.Services[0], s.fleet()} {
		f.Target = v
		f.Templates = map[glint.Digest]glint.Template{f.Stable: f.Templates[f.Stable], v: t}
	}
	s.member(1).Version, s.past(1).Version = v, v
	return v
}

// out takes member n, which is unready, out of the routes in the next generation.
func (s *scene) out(n int) {
	s.sick(n)
	s.leave(n, s.member(n))
	s.after.Routes++
	s.member(n).Gone = s.after.Routes
}

// gone makes member n one that left the routes in generation 4.
func (s *scene) gone(n int) {
	for _, m := range []*glint.Member{s.past(n), s.member(n)} {
		s.leave(n, m)
		m.Gone = 4
	}
	s.member(n).Out = noon
}

func TestStep(t *testing.T) {
	tests := []struct {
		name string
		do   func(*scene)
		want string // part of the objection; empty: none
	}{
		{"nothing", func(*scene) {}, ""},
		{"join within surge", func(s *scene) { s.join() }, ""},
		{"leave unready", func(s *scene) { s.out(1) }, ""},
		{"leave with a successor", func(s *scene) {
			s.release.Services[0].Instances = 2
			s.out(1)
		}, ""},
		{"end when drained", func(s *scene) { s.gone(1); s.member(1).Ending = noon }, ""},
		{"end when grace is over", func(s *scene) {
			s.gone(1)
			s.inst(1).InFlight = 3
			s.past(1).Out, s.member(1).Ending = noon, noon.Add(time.Minute)
		}, ""},
		{"end what was proven before", func(s *scene) {
			s.gone(1)
			s.past(1).Out, s.member(1).Ending, s.seen.Acks = noon, noon, nil
		}, ""},
		{"forget what is gone", func(s *scene) { s.gone(1); s.forget(1); s.unsee(1) }, ""},

		{"another stack", func(s *scene) { s.after.Stack = "other" }, "cannot follow"},
		{"another epoch", func(s *scene) { s.after.Epoch = "f" }, "cannot follow"},
		{"a number skipped", func(s *scene) { s.after.Number++ }, "blueprint 9 does not follow 7"},
		{"revision back", func(s *scene) { s.after.Revision = 0 }, "go back from r1"},
		{"routes back", func(s *scene) { s.after.Routes = 3 }, "generation 3 does not follow"},
		{"routes skip", func(s *scene) { s.after.Routes = 6 }, "generation 6 does not follow"},
		{"rejected goes on", func(s *scene) { s.after.Rejected = &glint.Rejection{Revision: 1} }, "is rejected and would still"},
		{"fleet forgotten", func(s *scene) { s.after.Services = nil }, "its fleet would be forgotten"},
		{"numbers back", func(s *scene) { s.fleet().Last = 2 }, "number 3 would be given out twice"},
		{"number never given", func(s *scene) { s.join(); s.fleet().Last = 3 }, "number 4 was never given out"},
		{"old number again", func(s *scene) { s.before.Services[0].Last = 4; s.join() }, "number 4 would be given out twice"},
		{"number twice", func(s *scene) { s.fleet().Members = append(s.fleet().Members, *s.member(3)) }, "has number 3 twice"},
		{"template lost", func(s *scene) { s.fleet().Templates = nil }, "nobody knows any more"},
		{"rejected version", func(s *scene) { s.fleet().Rejected = []glint.Digest{s.fleet().Target}; s.join() }, "which is rejected"},
		{"forgotten untold", func(s *scene) { s.forget(1) }, "forgotten without having been told"},
		{"forgotten while there", func(s *scene) { s.gone(1); s.forget(1) }, "is still there"},
		{"forgotten unseen", func(s *scene) { s.gone(1); s.forget(1); s.unsee(1); s.seen.Complete = false }, "not the same as gone"},
		{"version changed", func(s *scene) { s.member(1).Version = "v9"; s.fleet().Templates["v9"] = glint.Template{} }, "changed in place"},
		{"birth changed", func(s *scene) { s.member(1).Created = noon.Add(1) }, "changed in place"},
		{"address changed", func(s *scene) { s.member(1).Address = "10.0.0.9" }, "changed in place"},
		{"called back", func(s *scene) { s.gone(1); *s.member(1) = *s.member(2); s.member(1).N = 1 }, "called back"},
		{"leaves again", func(s *scene) { s.gone(1); s.member(1).Leaving = noon.Add(1) }, "called back"},
		{"no reason", func(s *scene) { s.out(1); s.member(1).Reason = "" }, "without a reason"},
		{"leaves and serves", func(s *scene) { s.member(1).Leaving, s.member(1).Reason = noon, glint.Drifted }, "still take traffic"},
		{"told to go unseen", func(s *scene) { s.out(1); s.unsee(1); s.seen.Complete = false }, "without having been seen"},
		{"routed unready", func(s *scene) { s.past(1).Routed = false; s.sick(1); s.after.Routes++ }, "not seen to be ready"},
		{"routed dead", func(s *scene) { s.past(1).Routed = false; s.inst(1).State = glint.Dead; s.after.Routes++ }, "not seen to be ready"},
		{"routed without address", func(s *scene) { s.past(1).Address, s.member(1).Address = "", "" }, "has no address"},
		{"ended while wanted", func(s *scene) { s.member(1).Ending = noon }, "without having been told to go"},
		{"ended at once", func(s *scene) { s.out(1); s.member(1).Ending = noon }, "still takes traffic"},
		{"ended unacknowledged", func(s *scene) { s.gone(1); s.member(1).Ending = noon; s.seen.Acks[0].Generation = 3 }, "forgotten by the balancers (generation 4, acknowledged 3)"},
		{"ended without proof", func(s *scene) { s.gone(1); s.member(1).Ending, s.member(1).Out = noon, time.Time{} }, "before the balancers have forgotten"},
		{"ended on hearsay", func(s *scene) { s.gone(1); s.member(1).Ending = noon; s.seen.Acks[0].Kind = glint.Unknown }, "forgotten by the balancers (generation 4, acknowledged 0)"},
		{"ended in flight", func(s *scene) { s.gone(1); s.member(1).Ending = noon.Add(time.Second); s.inst(1).InFlight = 1 }, "1 in flight before its grace is over"},
		{"ended with unknown in flight", func(s *scene) { s.gone(1); s.member(1).Ending = noon.Add(time.Second); s.inst(1).InFlight = -1 }, "in flight before its grace is over"},
		{"below the floor", func(s *scene) {
			s.leave(1, s.member(1))
			s.after.Routes++
			s.member(1).Gone = 5
		}, "2 would take traffic, fewer than 3, and 3 could"},
		{"below the floor, unasked", func(s *scene) {
			s.inst(1).Health = glint.Health{}
			s.leave(1, s.member(1))
			s.after.Routes++
			s.member(1).Gone = 5
		}, "2 would take traffic, fewer than 3, and 3 could"},
		{"above surge", func(s *scene) { s.join(); s.join() }, "5 instances, more than 4"},
		{"two hold a volume", func(s *scene) { s.hold(); s.join() }, "would hold its volume"},
		{"two hold a volume where many held none", func(s *scene) {
			v2 := s.hold()
			s.release.Services[0].Update.Surge = 2
			for n := 1; n <= 3; n++ { // of a version without a volume
				s.past(n).Version, s.member(n).Version = s.before.Services[0].Stable, s.before.Services[0].Stable
			}
			s.join()
			s.join()
			s.member(4).Version, s.member(5).Version = v2, v2
		}, "would hold its volume"},
		{"routes change unnumbered", func(s *scene) { s.out(1); s.after.Routes--; s.member(1).Gone = s.after.Routes }, "within generation 4"},
		{"a host moves unnumbered", func(s *scene) {
			s.after.Hosts = []glint.Route{{Host: "shop.localhost", To: glint.Target{Service: "web", Port: "http"}}}
		}, "within generation 4"},
		{"an edge opens unnumbered", func(s *scene) {
			s.after.Edges = []glint.Edge{{From: "web", To: glint.Target{Service: "db", Port: "sql"}}}
		}, "within generation 4"},
		{"leaves the routes unmarked", func(s *scene) { s.out(1); s.member(1).Gone = 0 }, "which does not say so"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := still()
			tt.do(s)
			err := check.Step(s.before, s.after, s.release, s.seen)
			switch {
			case tt.want == "" && err != nil:
				t.Errorf("objects: %v", err)
			case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

func TestStepVolume(t *testing.T) {
	s := still()
	tpl := glint.Template{Image: glint.DigestOf([]byte("db")), Volumes: []glint.Volume{{Name: "data", Path: "/data"}}}
	v := tpl.Version()
	for _, b := range []*glint.Blueprint{&s.before, &s.after} {
		b.Services = append(b.Services, glint.Fleet{Name: "zdb", Target: v, Last: 1, Templates: map[glint.Digest]glint.Template{v: tpl}, Members: []glint.Member{{N: 1, Version: v, Created: noon}}})
	}
	s.release.Services = append(s.release.Services, glint.Service{Name: "zdb", Template: tpl, Instances: 1, Update: glint.Update{Strategy: glint.Recreate, Surge: 1}})
	if err := check.Step(s.before, s.after, s.release, s.seen); err != nil {
		t.Fatalf("objects: %v", err)
	}
	two := &s.after.Services[1]
	two.Last, two.Members = 2, append(two.Members, glint.Member{N: 2, Version: v, Created: noon})
	if err := check.Step(s.before, s.after, s.release, s.seen); err == nil || !strings.Contains(err.Error(), "2 instances would hold its volume") {
		t.Errorf("two holders: %v", err)
	}
	two.Last, two.Members = 1, two.Members[:1]
	s.after.Volumes = []glint.Claim{{Service: "zdb", Volume: "data", Holder: glint.ID{Service: "zdb", N: 9}}}
	if err := check.Step(s.before, s.after, s.release, s.seen); err == nil || !strings.Contains(err.Error(), "is not a member") {
		t.Errorf("a stranger holds the volume: %v", err)
	}
}
