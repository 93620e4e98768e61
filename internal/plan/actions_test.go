package plan_test

import (
	"strings"
	"testing"

	"github.com/glint-infra/glint"
	"github.com/glint-infra/glint/internal/plan"
)

// TestActions: what is missing is made, what has drained is destroyed, and routes are published until they are in force.
func TestActions(t *testing.T) {
	for _, tt := range []struct {
		name string
		do   func(*scene)
		want string
	}{
		{"nothing to do", func(*scene) {}, ""},
		{"routes that are not in force", func(s *scene) { s.have.Routes = 5 }, "route 5"},
		{"routes that are ahead", func(s *scene) { s.have.Routes = 3 }, ""},
		{"one is not there", func(s *scene) { s.unsee(2) }, "create web.2"},
		{"one was not seen", func(s *scene) { s.unsee(2); s.seen.Complete = false }, ""},
		{"one was only accepted", func(s *scene) { s.inst(2).State = glint.Accepted }, "create web.2"},
		{"one was only accepted, and not all have answered", func(s *scene) { s.inst(2).State = glint.Accepted; s.seen.Complete = false }, "create web.2"},
		{"one waits to be let go", func(s *scene) { s.inst(2).State = glint.Held }, "create web.2"},
		{"a standby is to be made", func(s *scene) { s.spare(v1); s.unsee(4) }, "create web.4 held"},
		{"a standby is made", func(s *scene) { s.spare(v1) }, ""},
		{"a standby is only accepted", func(s *scene) { s.spare(v1); s.inst(4).State = glint.Accepted }, "create web.4 held"},
		{"one that is kept warm is not made again", func(s *scene) { s.warm(v1); s.unsee(4) }, ""},
		{"one that leaves is not made again", func(s *scene) { s.leaver(v1); s.unsee(4) }, ""},
		{"one that leaves is not destroyed yet", func(s *scene) { s.leaver(v1) }, ""},
		{"one that has drained", func(s *scene) { s.leaver(v1).Ending = noon }, "destroy web.4 superseded 30s"},
		{"one that has drained is gone", func(s *scene) { s.leaver(v1).Ending = noon; s.unsee(4) }, ""},
		{"one that nobody wants", func(s *scene) { s.add(v1); s.fleet().Members = s.fleet().Members[:3] }, "destroy web.4 surplus 0s"},
		{"one with a later number than was given out", func(s *scene) { s.add(v1); s.fleet().Members = s.fleet().Members[:3]; s.fleet().Last = 3 }, ""},
		{"one of another stack", func(s *scene) {
			s.see(glint.Instance{ID: glint.ID{Stack: "bank", Epoch: "e", Service: "web", N: 2}})
			s.fleet().Last = 9
		}, ""},
		{"one of another stack that nobody here has", func(s *scene) {
			s.drop(2)
			s.see(glint.Instance{ID: glint.ID{Stack: "bank", Epoch: "e", Service: "web", N: 2}})
		}, ""},
		{"all at once", func(s *scene) {
			s.have.Routes = 5
			s.unsee(1)
			s.leaver(v1).Ending = noon
			s.add(v1)
			s.fleet().Members = s.fleet().Members[:4]
		}, "route 5, create web.1, destroy web.4 superseded 30s, destroy web.5 surplus 0s"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := calm()
			tt.do(s)
			var got []string
			for _, a := range plan.Actions(s.have, s.seen) {
				got = append(got, did(a))
			}
			if strings.Join(got, ", ") != tt.want {
				t.Errorf("got %q, want %q", strings.Join(got, ", "), tt.want)
			}
		})
	}
}

func did(a glint.Action) string {
	switch text := string(a.Verb); {
	case a.Routes != nil:
		return text + " " + strings.TrimSpace(plain(float64(a.Routes.Generation)))
	case a.Spec != nil && a.Spec.Held:
		return text + " " + a.ID.Short() + " held"
	case a.Spec != nil:
		return text + " " + a.ID.Short()
	default:
		return text + " " + a.ID.Short() + " " + string(a.Reason) + " " + a.Grace.String()
	}
}

// TestSpec: an instance is made from its own version, at its place, and may look up all services there are.
func TestSpec(t *testing.T) {
	s := calm()
	s.member(2).Place = "host1"
	s.unsee(2)
	s.have.Services = append(s.have.Services, glint.Fleet{Name: "zoo", Phase: glint.Steady}, glint.Fleet{Name: "old", Phase: glint.Empty}, glint.Fleet{Name: "api", Phase: glint.Emptying})
	id := glint.ID{Stack: "shop", Epoch: "e", Service: "web", N: 2}
	want := []glint.Action{{Verb: glint.Create, ID: id, Spec: &glint.InstanceSpec{ID: id, Version: v1, Template: one, Place: "host1", Names: []string{"api", "web", "zoo"}}}}
	if got := plan.Actions(s.have, s.seen); text(got) != text(want) {
		t.Errorf("got %s", text(got))
	}
}
