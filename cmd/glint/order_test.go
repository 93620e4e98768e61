package main

import (
	"strings"
	"testing"
	"time"

	"github.com/glint-infra/glint"
	"github.com/glint-infra/glint/internal/api"
)

var noon = time.Date(2030, 1, 1, 12, 0, 0, 0, time.UTC)

// at0 is a stack with one service, seen at noon.
func at0(s api.ServiceStatus) api.Status {
	st := api.Status{SeenAt: noon, Services: []api.ServiceStatus{s}}
	st.Stack = "shop"
	return st
}

// TestCanaryText: what a canary waits for is said, and how long, and what a person can do about it.
func TestCanaryText(t *testing.T) {
	for _, c := range []struct {
		canary api.CanaryStatus
		want   string
		waits  bool // for a person, and for nothing else
	}{
		{api.CanaryStatus{Wanted: 2, Ready: 1}, "1 of 2 ready", false},
		{api.CanaryStatus{Wanted: 2, Ready: 2, Baking: noon, Until: noon.Add(8 * time.Second)}, "2 of 2 work; bakes for 8.0s more, or: glint promote shop", false},
		{api.CanaryStatus{Wanted: 1, Ready: 1, Manual: true, Baking: noon, Until: noon.Add(8 * time.Second)}, "1 of 1 works; bakes for 8.0s more, then: glint promote shop", false},
		{api.CanaryStatus{Wanted: 1, Ready: 1, Manual: true, Baking: noon.Add(-8 * time.Second), Until: noon}, "1 of 1 works and has baked; go on: glint promote shop", true},
		{api.CanaryStatus{Wanted: 1, Ready: 1, Baking: noon.Add(-8 * time.Second), Until: noon}, "1 of 1 works and has baked", false},
	} {
		s := api.ServiceStatus{Name: "web", Phase: glint.Canary, Wanted: 3, Canary: &c.canary}
		st := at0(s)
		if got := canaryText(st, s); got != c.want {
			t.Errorf("got %q, want %q", got, c.want)
		}
		if got := waitsForWord(st); got != c.waits {
			t.Errorf("%s: waits for a word is %t", c.want, got)
		}
		st.Services = append(st.Services, api.ServiceStatus{Name: "db", Phase: glint.RollingTo})
		if waitsForWord(st) {
			t.Errorf("%s: another service still rolls", c.want)
		}
	}
}

func TestPausedText(t *testing.T) {
	st := at0(api.ServiceStatus{})
	st.Paused = &glint.Word{By: "ann\x1b[2J", At: noon.Add(-3 * time.Minute), Comment: "lunch"}
	if got := pausedText(st); got != "paused by ann[2J at 2030-01-01 11:57:00 (lunch); go on: glint resume shop" {
		t.Errorf("%q", got)
	}
	st.Notes = []glint.Note{{Text: "r2 waits: paused by ann: lunch; to go on: glint resume"}, {Service: "web", Text: "1 missing"}}
	if got := waits(st); len(got) != 2 || noteText(got[1]) != "web 1 missing" {
		t.Errorf("waits: %q", got)
	}
	st.Services[0].Canary = &api.CanaryStatus{Manual: true, Until: noon, Baking: noon}
	if waitsForWord(st) {
		t.Error("a promotion would not be taken up while rollouts are paused")
	}
}

// TestRenewed: nobody is left of those that there were, but those that serve nobody any more.
func TestRenewed(t *testing.T) {
	of := func(ready int, members ...glint.Member) api.Status {
		s := api.ServiceStatus{Name: "web", Wanted: 2, Ready: ready}
		for _, m := range members {
			s.Instances = append(s.Instances, api.InstanceStatus{Member: m, ID: glint.ID{Service: "web", N: m.N}})
		}
		return at0(s)
	}
	done := renewed("web", of(2, glint.Member{N: 1}, glint.Member{N: 2}))
	for _, c := range []struct {
		what string
		st   api.Status
		want bool
	}{
		{"one of the old is left", of(2, glint.Member{N: 2}, glint.Member{N: 3}), false},
		{"the last one drains", of(2, glint.Member{N: 2, Leaving: noon}, glint.Member{N: 3}, glint.Member{N: 4}), false},
		{"one is missing", of(1, glint.Member{N: 3}), false},
		{"a spare of the version before", of(2, glint.Member{N: 2, Warm: noon}, glint.Member{N: 3}, glint.Member{N: 4}), true},
		{"all are new", of(2, glint.Member{N: 3}, glint.Member{N: 4}), true},
	} {
		if got := done(c.st); got != c.want {
			t.Errorf("%s: %t", c.what, got)
		}
	}
	late := of(2, glint.Member{N: 3}, glint.Member{N: 4})
	late.Services[0].Renew = &glint.Renewal{Upto: 3} // made between the question and the answer
	if done(late) {
		t.Error("web.3 was there when the word was taken up")
	}
	if !renewed("", of(0))(at0(api.ServiceStatus{Name: "task", Task: true, Wanted: 1})) {
		t.Error("a task is nothing to renew")
	}
}

// TestStatusDetails: what a row cannot say is said below it.
func TestStatusDetails(t *testing.T) {
	id := glint.ID{Service: "migrate", N: 3}
	for _, c := range []struct {
		s    api.ServiceStatus
		want string
	}{
		{api.ServiceStatus{Name: "web"}, ""},
		{api.ServiceStatus{Min: 2, Max: 9, Wanted: 4, Asked: 4}, "4 wanted of 2 to 9"},
		{api.ServiceStatus{Min: 2, Max: 9, Wanted: 4, Asked: 6}, "4 wanted of 2 to 9; 6 are asked for"},
		{api.ServiceStatus{Standby: 2, Held: 1}, "1 of 2 on standby"},
		{api.ServiceStatus{Task: true, Done: &glint.Result{Instance: id, At: noon.Add(-time.Minute), Outcome: glint.UnknownFinish, Because: "it was lost"}}, "unknown 60s ago, as migrate.3: it was lost"},
		{api.ServiceStatus{Renew: &glint.Renewal{Word: glint.Word{By: "ann"}, Upto: 2}, Instances: []api.InstanceStatus{{ID: glint.ID{N: 2}}, {ID: glint.ID{N: 3}}}}, "renewed by the word of ann: 1 to go"},
	} {
		if got := strings.Join(serviceDetails(at0(c.s), c.s), "; "); got != c.want {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
}

// TestPlaces: where there are places, it is said where instances are, and which place is silent.
func TestPlaces(t *testing.T) {
	var out strings.Builder
	c := &cli{Main: Main{Stdout: &out, Getenv: func(string) string { return "1" }, Now: func() time.Time { return noon }}}
	st := at0(api.ServiceStatus{Name: "web", Instances: []api.InstanceStatus{
		{ID: glint.ID{Service: "web", N: 1}, Member: glint.Member{Place: "a"}},
		{ID: glint.ID{Service: "web", N: 2}, Member: glint.Member{Place: "a"}, Seen: &glint.Instance{Place: "b"}},
	}})
	st.Places = []glint.Place{{Name: "a", Zone: "x", Closed: true}, {Name: "b"}, {Name: "c"}}
	st.Silent = []string{"c"}
	if err := c.showStatus(st); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"place    a: zone x, 1 instance, closed\n", "place    b: 1 instance\n", "place    c: 0 instances, silent\n", "VERSION  PLACE\n"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
}
