package plan_test

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/glint-infra/glint"
	"github.com/glint-infra/glint/internal/plan"
)

// stored is a value as it comes back from a store.
func stored[T any](t interface{ Fatal(...any) }, v T) T {
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	var back T
	if err := json.Unmarshal(text, &back); err != nil {
		t.Fatal(err)
	}
	return back
}

// TestStored: arguments that have been stored and read back give the same answer, a planner that has nothing to change
// says so of what was stored, and it is never woken at a time that has passed: that would be at once, for ever.
func TestStored(t *testing.T) {
	here := time.FixedZone("here", 3600)
	rapid.Check(t, func(rt *rapid.T) {
		b, seen := settled(t, release("v1", 2, rapid.IntRange(0, 3).Draw(rt, "instances")))
		rel := release("v2", rapid.IntRange(0, 3).Draw(rt, "services"), rapid.IntRange(0, 4).Draw(rt, "wanted"))
		for i := range rel.Services {
			rel.Services[i].MaxAge = glint.Duration(rapid.SampledFrom([]time.Duration{0, time.Hour}).Draw(rt, "max age"))
			rel.Services[i].Template.Env = map[string]string{}
		}
		in := intent(release("v1", 2, 2), stored(rt, rel))
		now := noon.In(here)
		for range rapid.IntRange(1, 12).Draw(rt, "turns") {
			now = now.Add(time.Duration(rapid.IntRange(0, 90).Draw(rt, "seconds")) * time.Second)
			seen = full(b, disturb(rt, seen))
			one := plan.Next(in, b, seen, now)
			kept := stored(rt, b)
			two := plan.Next(in, kept, stored(rt, seen), now)
			if !reflect.DeepEqual(stored(rt, one), stored(rt, two)) {
				rt.Fatalf("two answers:\n%+v\n%+v", one, two)
			}
			if !one.Wake.IsZero() && !one.Wake.After(now) {
				rt.Fatalf("at %s it wants to be woken at %s; notes %v", now, one.Wake, one.Notes)
			}
			b = one.Blueprint
			for turn := 0; ; turn++ {
				d := plan.Next(in, stored(rt, b), seen, now)
				if d.Blueprint.Number == b.Number {
					break
				}
				if b = d.Blueprint; turn > 20 {
					rt.Fatalf("it goes on for ever: %+v", b)
				}
			}
		}
	})
}

// full adds what a blueprint asks for and nobody has seen yet.
func full(b glint.Blueprint, seen glint.Observation) glint.Observation {
	for _, in := range obeyed(b).Instances {
		if _, here := seen.Instance(in.ID); !here {
			in.Address = "10.0.0.1"
			seen.Instances = append(seen.Instances, in)
			plan.SortInstances(seen.Instances)
		}
	}
	return seen
}
