package plan_test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/glint-infra/glint"
	"github.com/glint-infra/glint/internal/plan"
)

const minute = glint.Duration(time.Minute)

// The versions of web, of a database and of a task.
var (
	one   = glint.Template{Image: glint.DigestOf([]byte("v1")), Ports: []glint.Port{{Name: "http", Number: 80, Protocol: glint.HTTP}}}
	two   = glint.Template{Image: glint.DigestOf([]byte("v2")), Ports: []glint.Port{{Name: "http", Number: 80, Protocol: glint.HTTP}}}
	three = glint.Template{Image: glint.DigestOf([]byte("v3")), Ports: []glint.Port{{Name: "http", Number: 80, Protocol: glint.HTTP}}}
	disk  = glint.Template{Image: glint.DigestOf([]byte("d1")), Volumes: []glint.Volume{{Name: "data", Path: "/data"}}}
	moved = glint.Template{Image: one.Image, Ports: []glint.Port{{Name: "http", Number: 81, Protocol: glint.HTTP}}}
	chore = glint.Template{Image: glint.DigestOf([]byte("t1"))}
	other = glint.Template{Image: glint.DigestOf([]byte("t2"))}
	v1    = one.Version()
	v2    = two.Version()
	v3    = three.Version()
	vd    = disk.Version()
	vm    = moved.Version()
	t1    = chore.Version()
	t2    = other.Version()
)

// shorten writes versions as people would.
var shorten = strings.NewReplacer(string(v1), "v1", string(v2), "v2", string(v3), "v3", string(vd), "d1", string(vm), "vm", string(t1), "t1", string(t2), "t2",
	v1.Short(), "v1", v2.Short(), "v2", v3.Short(), "v3", vd.Short(), "d1", t1.Short(), "t1", t2.Short(), "t2")

// A scene is what the planner is asked about. Tests change one thing in it.
type scene struct {
	in   plan.Intent
	have glint.Blueprint
	seen glint.Observation
	now  time.Time
}

// A turn changes a scene, and says all that is decided then, as told writes it.
type turn struct {
	name string
	do   func(*scene)
	want string
}

// play decides each turn. Whatever it is, the arguments stay as they are, and the answer is the same when they are given again.
func play(t *testing.T, begin func() *scene, turns []turn) {
	t.Helper()
	for _, tt := range turns {
		t.Run(tt.name, func(t *testing.T) {
			s := begin()
			tt.do(s)
			args := text(s.in, s.have, s.seen)
			d := plan.Next(s.in, s.have, s.seen, s.now)
			if after := text(s.in, s.have, s.seen); after != args {
				t.Errorf("the arguments were changed:\n%s\n%s", args, after)
			}
			if again := plan.Next(s.in, s.have, s.seen, s.now); !reflect.DeepEqual(d, again) {
				t.Errorf("two answers:\n%+v\n%+v", d, again)
			}
			switch same := reflect.DeepEqual(d.Blueprint, s.have); {
			case !same && (d.Blueprint.Number != s.have.Number+1 || !d.Blueprint.Seen.Equal(s.seen.At)):
				t.Errorf("number %d after %d, seen %s", d.Blueprint.Number, s.have.Number, d.Blueprint.Seen)
			}
			if got, want := told(s, d), unindent(tt.want); got != want {
				t.Errorf("got:\n%s\nwant:\n%s", got, want)
			}
		})
	}
}

func text(v ...any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(b)
}

func unindent(s string) string {
	var lines []string
	for line := range strings.Lines(s) {
		if line = strings.TrimSpace(line); line != "" {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "\n")
}

// told writes down a decision: what changed in the blueprint, in each fleet and of each member, the steps that follow, the
// notes, and when it wants to be asked again. Times are written as seconds from noon.
func told(s *scene, d plan.Decision) string {
	var lines []string
	add := func(name string, was, is any) {
		if line := changed(was, is); line != "" {
			lines = append(lines, name+":"+line)
		}
	}
	add("stack", s.have, d.Blueprint)
	for _, f := range d.Blueprint.Services {
		was, had := s.have.Fleet(f.Name)
		if !had {
			lines = append(lines, f.Name+": joins")
		}
		add(f.Name, was, f)
		for _, m := range was.Members {
			if _, kept := f.Member(m.N); !kept {
				lines = append(lines, fmt.Sprintf("%s.%d: is forgotten", f.Name, m.N))
			}
		}
		for _, m := range f.Members {
			old, had := was.Member(m.N)
			if !had {
				old.N = m.N
				lines = append(lines, fmt.Sprintf("%s.%d: joins", f.Name, m.N))
			}
			add(fmt.Sprintf("%s.%d", f.Name, m.N), old, m)
		}
	}
	for _, a := range plan.Actions(d.Blueprint, s.seen) {
		if lines = append(lines, "do: "+string(a.Verb)); !a.ID.IsZero() {
			lines[len(lines)-1] += " " + a.ID.Short()
		}
	}
	for _, n := range d.Notes {
		who := cmp.Or(n.Service, "stack")
		if !n.ID.IsZero() {
			who = n.ID.Short()
		}
		lines = append(lines, "note "+who+": "+n.Text)
	}
	if !d.Wake.IsZero() {
		lines = append(lines, "wake: "+clock(d.Wake))
	}
	return shorten.Replace(strings.Join(lines, "\n"))
}

// changed lists the fields that differ.
func changed(was, is any) string {
	old, now := fields(was), fields(is)
	names := slices.Sorted(maps.Keys(old))
	for name := range now {
		if _, both := old[name]; !both {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	line := ""
	for _, name := range names {
		if old[name] != now[name] {
			line += " " + name + "=" + cmp.Or(now[name], "-")
		}
	}
	return line
}

func fields(v any) map[string]string {
	var raw map[string]any
	if err := json.Unmarshal([]byte(strings.TrimSuffix(strings.TrimPrefix(text(v), "["), "]")), &raw); err != nil {
		panic(err)
	}
	all := map[string]string{}
	for name, v := range raw {
		switch {
		case name == "services" || name == "members" || name == "number" || name == "seen" && raw["n"] == nil:
		case name == "templates":
			kept, _ := v.(map[string]any)
			all[name] = strings.Join(slices.Sorted(maps.Keys(kept)), ",")
		default:
			all[name] = plain(v)
		}
	}
	return all
}

func plain(v any) string {
	switch v := v.(type) {
	case string:
		if at, err := time.Parse(time.RFC3339Nano, v); err == nil {
			return clock(at)
		}
		if strings.Contains(v, " ") {
			return fmt.Sprintf("%q", v)
		}
		return v
	case []any:
		var all []string
		for _, e := range v {
			all = append(all, plain(e))
		}
		return "[" + strings.Join(all, " ") + "]"
	case map[string]any:
		var all []string
		for _, k := range slices.Sorted(maps.Keys(v)) {
			all = append(all, k+":"+plain(v[k]))
		}
		return "{" + strings.Join(all, " ") + "}"
	}
	return text(v)[1 : len(text(v))-1]
}

func clock(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	if t.Equal(noon) {
		return "noon"
	}
	return fmt.Sprintf("%+gs", t.Sub(noon).Seconds())
}

// service is a service that is updated one by one.
func service(name string, version glint.Template, instances int) glint.Service {
	return glint.Service{Name: name, Template: version, Instances: instances, Update: glint.Update{Strategy: glint.Rolling, Surge: 1, Tries: 3, StartWithin: minute, Grace: minute / 2}}
}

// nothing is a stack before its first revision.
func nothing() *scene {
	s := &scene{now: noon}
	s.in = plan.Intent{Head: glint.Revision{Number: 1, Kind: glint.KindApply, By: "ann"}, Releases: map[int]glint.Release{1: {Services: []glint.Service{service("web", one, 3)}}}}
	s.have = glint.Blueprint{Stack: "shop", Epoch: "e"}
	s.seen = glint.Observation{At: noon.Add(-time.Second), Complete: true}
	return s
}

// calm is a stack at rest: revision 1 is stable, and three ready members of web at v1 take its traffic.
func calm() *scene {
	s := nothing()
	s.have.Number, s.have.Revision, s.have.Target, s.have.Stable, s.have.Routes = 7, 1, 1, 1, 4
	s.have.Kind, s.have.Seen = glint.KindApply, noon.Add(-5*time.Second)
	s.have.Services = []glint.Fleet{{Name: "web", Phase: glint.Steady, Since: noon.Add(-time.Hour), Target: v1, Stable: v1, Templates: map[glint.Digest]glint.Template{v1: one}, Grace: minute / 2}}
	s.seen.Acks = []glint.Ack{{Member: "one", Generation: 4, Kind: glint.Proven}}
	for range 3 {
		s.add(v1)
	}
	return s
}

// revise has revision 2 taken up a minute ago, with that version of web. Its rollout has not begun to move anybody.
func (s *scene) revise(version glint.Template) {
	rel := s.in.Releases[1]
	rel.Services = slices.Clone(rel.Services)
	rel.Services[0].Template = version
	s.in.Releases[2] = rel
	s.in.Head.Number = 2
}

// roll has that revision taken up already.
func (s *scene) roll(version glint.Template) {
	s.revise(version)
	s.have.Revision, s.have.Target = 2, 2
	f := s.fleet()
	f.Phase, f.Since, f.Target, f.Templates[version.Version()] = glint.RollingTo, noon.Add(-time.Minute), version.Version(), version
}

// rolling is three of v1, and one of v2 that is ready and in the routes.
func rolling() *scene {
	s := calm()
	s.roll(two)
	s.add(v2)
	return s
}

// proving is two of v1, and a canary of v2 that has been working for ten seconds of thirty.
func proving() *scene {
	s := calm()
	s.roll(two)
	s.both(func(w *glint.Service) { w.Update.Canary, w.Update.Bake = 1, minute/2 })
	s.drop(1)
	s.add(v2)
	s.fleet().Phase, s.fleet().Baking = glint.Canary, noon.Add(-10*time.Second)
	return s
}

// add adds a ready member that takes traffic, an hour old.
func (s *scene) add(v glint.Digest) *glint.Member {
	f := s.fleet()
	f.Last++
	address := fmt.Sprintf("10.0.0.%d", f.Last)
	f.Members = append(f.Members, glint.Member{N: f.Last, Version: v, Created: noon.Add(-time.Hour), Address: address, Seen: true, Routed: true})
	s.see(glint.Instance{ID: s.id(f.Last), Version: v, State: glint.Running, Created: noon.Add(-time.Hour), Address: address, Health: glint.Health{Known: true, Ready: true, Live: true}})
	return &f.Members[len(f.Members)-1]
}

// young adds a member that was asked for ten seconds ago and is not ready yet.
func (s *scene) young(v glint.Digest) *glint.Member {
	m := s.add(v)
	m.Created, m.Address, m.Seen, m.Routed = noon.Add(-10*time.Second), "", false, false
	i := s.inst(m.N)
	i.Created, i.Health = m.Created, glint.Health{Live: true}
	return m
}

// spare adds a standby, held before its program.
func (s *scene) spare(v glint.Digest) *glint.Member {
	m := s.young(v)
	m.Created, m.Held = noon.Add(-time.Hour), true
	s.inst(m.N).State, s.inst(m.N).Created, s.inst(m.N).Health = glint.Held, m.Created, glint.Health{}
	return m
}

// warm adds a member that is kept running for another hour.
func (s *scene) warm(v glint.Digest) *glint.Member {
	m := s.add(v)
	m.Routed, m.Gone, m.Warm = false, 4, noon.Add(time.Hour)
	return m
}

// leaver adds a member that was told to go, and left the routes in generation 4.
func (s *scene) leaver(v glint.Digest) *glint.Member {
	m := s.add(v)
	m.Routed, m.Gone, m.Leaving, m.Reason, m.Because = false, 4, noon.Add(-5*time.Second), glint.Superseded, "r2 wants another version"
	return m
}

func (s *scene) see(i glint.Instance) {
	s.seen.Instances = append(s.seen.Instances, i)
	slices.SortFunc(s.seen.Instances, func(a, b glint.Instance) int { return a.ID.Compare(b.ID) })
}

func (s *scene) id(n int) glint.ID {
	return glint.ID{Stack: "shop", Epoch: "e", Service: s.fleet().Name, N: n}
}
func (s *scene) fleet() *glint.Fleet { return &s.have.Services[len(s.have.Services)-1] }
func (s *scene) member(n int) *glint.Member {
	return &s.fleet().Members[slices.IndexFunc(s.fleet().Members, func(m glint.Member) bool { return m.N == n })]
}
func (s *scene) inst(n int) *glint.Instance {
	return &s.seen.Instances[slices.IndexFunc(s.seen.Instances, func(i glint.Instance) bool { return i.ID == s.id(n) })]
}
func (s *scene) unready(n int) { s.inst(n).Health.Ready = false }
func (s *scene) sick(n int) {
	s.inst(n).Health = glint.Health{Known: true, Detail: "answers 500"}
}
func (s *scene) unasked(n int) { s.inst(n).Health = glint.Health{} }
func (s *scene) dies(n, code int) {
	s.inst(n).State, s.inst(n).Health, s.inst(n).Exit = glint.Dead, glint.Health{}, &glint.Exit{Code: code}
}

// unsee takes an instance from what was seen.
func (s *scene) unsee(n int) {
	s.seen.Instances = slices.DeleteFunc(s.seen.Instances, func(i glint.Instance) bool { return i.ID == s.id(n) })
}

// drop takes a member and its instance away.
func (s *scene) drop(n int) {
	s.unsee(n)
	s.fleet().Members = slices.DeleteFunc(s.fleet().Members, func(m glint.Member) bool { return m.N == n })
}

// both changes the last service of every release.
func (s *scene) both(do func(*glint.Service)) {
	for _, rel := range s.in.Releases {
		do(&rel.Services[len(rel.Services)-1])
	}
}

// order has a person say a word.
func (s *scene) order(o glint.Order) {
	o.ID, o.By, o.At = len(s.in.Orders)+1, "ann", noon.Add(-2*time.Second)
	s.in.Orders = append(s.in.Orders, o)
}

// pause has ann say, a while ago, that rollouts stand still.
func (s *scene) pause() {
	s.have.Paused = &glint.Word{By: "ann", At: noon.Add(-time.Minute)}
}

func next(s *scene) plan.Decision { return plan.Next(s.in, s.have, s.seen, s.now) }

// noted reports whether a note holds a text.
func noted(d plan.Decision, text string) bool {
	return slices.ContainsFunc(d.Notes, func(n glint.Note) bool { return strings.Contains(n.Text, text) })
}
