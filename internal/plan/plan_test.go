package plan_test

import (
	"encoding/json"
	"fmt"
	"reflect"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/glint-infra/glint"
	"github.com/glint-infra/glint/internal/check"
	"github.com/glint-infra/glint/internal/plan"
)

var noon = time.Date(2030, 1, 1, 12, 0, 0, 0, time.UTC)

func release(version string, services, instances int) glint.Release {
	rel := glint.Release{Format: glint.ReleaseFormat, Stack: "shop"}
	for i := range services {
		rel.Services = append(rel.Services, glint.Service{
			Name: fmt.Sprintf("s%03d", i), Instances: instances,
			Template: glint.Template{Image: glint.DigestOf([]byte(version)), Ports: []glint.Port{{Name: "http", Number: 80, Protocol: glint.HTTP}}},
			Update:   glint.Update{Strategy: glint.Rolling, Surge: 1, StartWithin: glint.Duration(time.Minute), Grace: glint.Duration(time.Minute), Tries: 3},
		})
	}
	return rel
}

func intent(rels ...glint.Release) plan.Intent {
	in := plan.Intent{Head: glint.Revision{Number: len(rels), Kind: glint.KindApply}, Releases: map[int]glint.Release{}}
	for i, r := range rels {
		in.Releases[i+1] = r
	}
	return in
}

// settled is a stack on which r1 serves, and the world as it is then.
func settled(t testing.TB, r1 glint.Release) (glint.Blueprint, glint.Observation) {
	t.Helper()
	in := intent(r1)
	stages, rests := plan.Preview(in, glint.Blueprint{Stack: "shop", Epoch: "e"}, glint.Observation{At: noon, Complete: true}, noon)
	if !rests {
		t.Fatal("does not come to rest")
	}
	b := stages[len(stages)-1].Blueprint
	return b, obeyed(b)
}

func TestPreviewOfUpdate(t *testing.T) {
	b, seen := settled(t, release("v1", 1, 3))
	in := intent(release("v1", 1, 3), release("v2", 1, 3))
	stages, rests := plan.Preview(in, b, seen, noon)
	if !rests {
		t.Fatal("does not come to rest")
	}
	created, destroyed := 0, 0
	for _, s := range stages {
		for _, a := range s.Actions {
			switch a.Verb {
			case glint.Create:
				created++
			case glint.Destroy:
				destroyed++
				if a.Reason != glint.Superseded {
					t.Errorf("%s destroyed for being %q", a.ID, a.Reason)
				}
			}
		}
	}
	if created != 3 || destroyed != 3 {
		t.Errorf("%d created and %d destroyed, want 3 and 3", created, destroyed)
	}
	end := stages[len(stages)-1].Blueprint
	if out := plan.Outcome(end, 2); out != glint.Serving {
		t.Errorf("ends as %s", out)
	}
	if again, _ := plan.Preview(in, end, obeyed(end), noon); len(again) != 0 {
		t.Errorf("a preview of what is already so has %d stages", len(again))
	}
}

func obeyed(b glint.Blueprint) glint.Observation {
	seen := glint.Observation{At: noon, Complete: true, Acks: []glint.Ack{{Member: "one", Generation: b.Routes, Kind: glint.Proven}}}
	for _, f := range b.Services {
		for _, m := range f.Members {
			seen.Instances = append(seen.Instances, glint.Instance{ID: b.ID(f.Name, m), Version: m.Version, State: glint.Running, Health: glint.Health{Known: true, Ready: true, Live: true}})
		}
	}
	return seen
}

// A stale conductor, whose blueprint has not given out a number yet, must not destroy the instance of that number.
// TestUnfinished shows that an instance is asked for again until its program runs: a server may end at any moment of
// making one, and the next must not wait for what nobody lets go.
func TestUnfinished(t *testing.T) {
	b, seen := settled(t, release("v1", 1, 1))
	for state, again := range map[glint.State]bool{glint.Accepted: true, glint.Held: true, glint.Running: false, glint.Dead: false} {
		seen.Instances[0].State = state
		created := false
		for _, a := range plan.Actions(b, seen) {
			created = created || a.Verb == glint.Create && a.ID == seen.Instances[0].ID && !a.Spec.Held
		}
		if created != again {
			t.Errorf("%s: asked for again is %v, want %v", state, created, again)
		}
	}
}

// TestPortsChange renames and renumbers the port that a host name leads to. At every moment the name leads to members that
// listen, and no two ports have one address.
func TestPortsChange(t *testing.T) {
	ported := func(version string, ports ...glint.Port) glint.Release {
		rel := release(version, 1, 3)
		rel.Services[0].Template.Ports = ports
		rel.Routes = []glint.Route{{Host: "shop.localhost", To: glint.Target{Service: "s000", Port: ports[0].Name}}}
		return rel
	}
	http := func(name string, number int) glint.Port {
		return glint.Port{Name: name, Number: number, Protocol: glint.HTTP}
	}
	for name, next := range map[string]glint.Release{
		"another name":            ported("v2", http("http", 80)),
		"another number":          ported("v2", http("main", 8080)),
		"both":                    ported("v2", http("http", 8080)),
		"another takes its name":  ported("v2", http("http", 80), http("main", 8080)),
		"names change places":     ported("v2", http("main", 81), http("more", 80)),
		"another protocol beside": ported("v2", http("http", 80), glint.Port{Name: "raw", Number: 81, Protocol: glint.TCP}),
	} {
		t.Run(name, func(t *testing.T) {
			first := ported("v1", http("main", 80), http("more", 81))
			b, seen := settled(t, first)
			stages, rests := plan.Preview(intent(first, next), b, seen, noon)
			if !rests || plan.Outcome(stages[len(stages)-1].Blueprint, 2) != glint.Serving {
				t.Fatal("does not come to rest")
			}
			for _, s := range stages {
				checkRoutes(t, plan.Routes(s.Blueprint))
			}
		})
	}
}

func checkRoutes(t *testing.T, r *glint.Routes) {
	t.Helper()
	taken, members := map[int]string{}, map[string]int{}
	for _, b := range r.Services {
		if other, twice := taken[b.Port.Number]; twice {
			t.Errorf("generation %d: ports %s and %s both have number %d", r.Generation, other, b.Port.Name, b.Port.Number)
		}
		taken[b.Port.Number], members[b.Port.Name] = b.Port.Name, len(b.Members)
	}
	for _, h := range r.Hosts {
		if members[h.To.Port] < 2 { // of three, where they change both name and number one by one
			t.Errorf("generation %d: %s leads to port %s with %d members: %+v", r.Generation, h.Host, h.To.Port, members[h.To.Port], r.Services)
		}
	}
}

// TestOneCause ends all instances of a service at the same time, as when what they all need is away: the pause is that of one
// that fails, however many there are.
func TestOneCause(t *testing.T) {
	pause := func(instances, rounds int) time.Duration {
		b, seen := settled(t, release("v1", 1, instances))
		b.Services[0].Failed = instances * rounds
		for i := range seen.Instances {
			seen.Instances[i].State = glint.Dead
		}
		now := noon.Add(5 * time.Second)
		b = plan.Next(intent(release("v1", 1, instances)), b, seen, now).Blueprint
		return max(b.Services[0].Retry.Sub(now), 0)
	}
	for rounds, want := range []time.Duration{0, time.Second, 2 * time.Second, 4 * time.Second} {
		for _, n := range []int{1, 3, 20} {
			if got := pause(n, rounds); got != want {
				t.Errorf("after %d rounds %d instances pause %s, want %s", rounds, n, got, want)
			}
		}
	}
}

func TestStrays(t *testing.T) {
	b, seen := settled(t, release("v1", 1, 1))
	for _, tt := range []struct {
		id   glint.ID
		dies bool
	}{
		{glint.ID{Stack: "shop", Epoch: "e", Service: "s000", N: 99}, false},
		{glint.ID{Stack: "shop", Epoch: "old", Service: "s000", N: 1}, false},
		{glint.ID{Stack: "shop", Epoch: "e", Service: "unknown", N: 1}, false},
		{glint.ID{Stack: "shop", Epoch: "e", Service: "s000", N: 1}, true},
	} {
		next := b
		next.Services = []glint.Fleet{b.Services[0]}
		next.Services[0].Members = nil
		o := seen
		o.Instances = []glint.Instance{{ID: tt.id, State: glint.Running}}
		died := false
		for _, a := range plan.Actions(next, o) {
			died = died || a.Verb == glint.Destroy && a.ID == tt.id
		}
		if died != tt.dies {
			t.Errorf("%s: destroyed %v, want %v", tt.id.Key(), died, tt.dies)
		}
	}
}

// TestPure: the same arguments give the same answer, and none of them is changed; whatever the arguments are, the judge
// has nothing to say against the answer.
func TestPure(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		b, seen := settled(t, release("v1", 2, rapid.IntRange(1, 4).Draw(rt, "instances")))
		in := intent(release("v1", 2, 2), release(rapid.SampledFrom([]string{"v1", "v2"}).Draw(rt, "version"), rapid.IntRange(0, 3).Draw(rt, "services"), rapid.IntRange(0, 5).Draw(rt, "wanted")))
		seen = disturb(rt, seen)
		now := noon.Add(time.Duration(rapid.IntRange(0, 7200).Draw(rt, "seconds")) * time.Second)
		for range 6 {
			args, _ := json.Marshal([]any{in, b, seen})
			one, two := plan.Next(in, b, seen, now), plan.Next(in, b, seen, now)
			if !reflect.DeepEqual(one, two) {
				rt.Fatalf("two answers:\n%+v\n%+v", one, two)
			}
			if after, _ := json.Marshal([]any{in, b, seen}); string(after) != string(args) {
				rt.Fatalf("the arguments were changed:\n%s\n%s", args, after)
			}
			if one.Blueprint.Number != b.Number {
				if err := check.Step(b, one.Blueprint, in.Releases[one.Blueprint.Target], seen); err != nil {
					rt.Fatalf("the judge objects: %v", err)
				}
			}
			b, seen = one.Blueprint, disturb(rt, seen)
			now = now.Add(time.Second)
		}
	})
}

// disturb makes an observation that no world need be able to produce.
func disturb(rt *rapid.T, seen glint.Observation) glint.Observation {
	out := seen
	out.Complete = rapid.Bool().Draw(rt, "complete")
	out.Acks = []glint.Ack{{Member: "one", Generation: rapid.IntRange(0, 9).Draw(rt, "acked"), Kind: glint.Proven}}
	out.Instances = nil
	for _, in := range seen.Instances {
		switch rapid.IntRange(0, 6).Draw(rt, "fate") {
		case 0:
			continue
		case 1:
			in.State, in.Exit = glint.Dead, &glint.Exit{Code: 1}
		case 2:
			in.Health = glint.Health{Known: true, Live: rapid.Bool().Draw(rt, "live")}
		case 3:
			in.Health = glint.Health{}
		case 4:
			in.Deviations = []string{"changed"}
		}
		in.InFlight = rapid.IntRange(-1, 2).Draw(rt, "in flight")
		out.Instances = append(out.Instances, in)
	}
	return out
}

// BenchmarkNext plans a stack of 10,000 instances at rest, and one that has to begin an update.
func BenchmarkNext(b *testing.B) {
	r1, r2 := release("v1", 100, 100), release("v2", 100, 100)
	have, seen := settled(b, r1)
	for _, bb := range []struct {
		name string
		in   plan.Intent
	}{{"rest", intent(r1)}, {"update", intent(r1, r2)}} {
		b.Run(bb.name, func(b *testing.B) {
			for b.Loop() {
				d := plan.Next(bb.in, have, seen, noon)
				plan.Actions(d.Blueprint, seen)
			}
		})
	}
}

// TestStrangers: what is of another life of the stack is left alone, and said; else nobody could know for what an end waits.
func TestStrangers(t *testing.T) {
	b, seen := settled(t, release("v1", 1, 1))
	old := glint.ID{Stack: "shop", Epoch: "a", Service: "s000", N: 7}
	seen.Instances = append([]glint.Instance{{ID: old, State: glint.Running}}, seen.Instances...)
	d := plan.Next(intent(release("v1", 1, 1)), b, seen, noon)
	if d.Blueprint.Number != b.Number || len(plan.Actions(d.Blueprint, seen)) != 0 {
		t.Errorf("acts: %+v", d)
	}
	if len(d.Notes) != 1 || d.Notes[0].ID != old {
		t.Errorf("notes: %+v", d.Notes)
	}
}

// TestRejectedAndNotWanted: a version that failed does not matter where no instance of it is wanted.
func TestRejectedAndNotWanted(t *testing.T) {
	b, seen := settled(t, release("v1", 2, 1))
	b.Services[1].Rejected = []glint.Digest{release("v2", 2, 1).Services[1].Template.Version()}
	r2 := release("v2", 2, 1)
	r2.Services[1].Instances = 0
	if d := plan.Next(intent(release("v1", 2, 1), r2), b, seen, noon); d.Blueprint.Rejected != nil {
		t.Errorf("rejected: %s", d.Blueprint.Rejected.Because)
	}
	r2.Services[1].Instances = 1
	if d := plan.Next(intent(release("v1", 2, 1), r2), b, seen, noon); d.Blueprint.Rejected == nil {
		t.Error("not rejected")
	}
}
