// Package storetest holds every store to what its door promises. It does not ask how a store keeps what it is given,
// nor whether that survives a crash: that is for the store's own tests.
package storetest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/glint-infra/glint"
	"github.com/glint-infra/glint/internal/store"
)

// Run holds a store to the door's promises. open returns an empty store and closes it when its test has ended.
func Run(t *testing.T, open func(t *testing.T) store.Store) {
	for _, c := range []struct {
		name string
		test func(*testing.T, store.Store)
	}{
		{"nothing is there at first", testEmpty},
		{"revisions rise and releases are found", testRevisions},
		{"a stack lives, ends and lives again", testLives},
		{"a stack cannot end too soon", testEnd},
		{"each blueprint follows the one before", testAdvance},
		{"a blueprint comes back as it was written", testHead},
		{"steps and events are read in pages", testPages},
		{"orders stay open until they are closed", testOrders},
		{"what the caller holds is the caller's", testCopies},
		{"watchers are told", testWatch},
		{"a cancelled call fails", testCancelled},
		{"names that cannot be kept are refused", testNames},
		{"of many writers one wins", testCrowd},
		{"many writers lose no event and no order", testCrowdedStory},
		{"large values are kept", testLarge},
		{"a closed store says so", testClosed},
		{"any sequence of calls agrees with a simple model", testModel},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(t, open(t)) })
	}
}

// noon is when everything in these tests happens.
var noon = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

func release(stack string, services int) glint.Release {
	rel := glint.Release{Format: glint.ReleaseFormat, Stack: stack}
	for i := range services {
		rel.Services = append(rel.Services, glint.Service{
			Name: fmt.Sprintf("web%05d", i), Template: template(fmt.Sprint(stack, i)), Instances: 2,
			Update: glint.Update{Strategy: glint.Rolling, Surge: 1, Tries: 3},
		})
	}
	return rel
}

func template(seed string) glint.Template {
	return glint.Template{
		Image: glint.DigestOf([]byte(seed)), Command: []string{"/web", seed}, Env: map[string]string{"SEED": seed},
		Ports:  []glint.Port{{Name: "http", Number: 8080, Protocol: glint.HTTP}},
		Health: &glint.Probe{HTTP: &glint.HTTPProbe{Port: "http", Path: "/healthz"}, Interval: glint.Duration(time.Second)},
	}
}

func fleet(name string, members int) glint.Fleet {
	t := template(name)
	f := glint.Fleet{Name: name, Phase: glint.Steady, Since: noon, Target: t.Version(), Templates: map[glint.Digest]glint.Template{t.Version(): t}, Last: members}
	for n := range members {
		f.Members = append(f.Members, glint.Member{N: n + 1, Version: t.Version(), Created: noon.Add(time.Duration(n) * time.Second), Address: fmt.Sprintf("10.77.%d.%d", n/250, n%250+1), Seen: true})
	}
	return f
}

func stepFor(b glint.Blueprint, texts ...string) glint.Step {
	s := glint.Step{At: noon, Planner: 1, Seen: glint.Observation{At: noon, Complete: true}, Changed: b.Services}
	for _, text := range texts {
		s.Events = append(s.Events, glint.Event{At: noon, Kind: glint.EventPhase, Blueprint: b.Number, Text: text})
	}
	return s
}

// begin gives the stack its first life, or its next.
func begin(t testing.TB, s store.Store, stack string, after int, epoch glint.Epoch) glint.Blueprint {
	t.Helper()
	_, err := s.AddRevision(t.Context(), glint.Revision{Stack: stack, At: noon, By: "ann", Kind: glint.KindApply}, release(stack, 1), after, epoch)
	must(t, err)
	return head(t, s, stack)
}

func head(t testing.TB, s store.Store, stack string) glint.Blueprint {
	t.Helper()
	b, err := s.Head(t.Context(), stack)
	must(t, err)
	return b
}

// advance writes the blueprint after b with the given fleets, and returns it.
func advance(t testing.TB, s store.Store, b glint.Blueprint, fleets ...glint.Fleet) glint.Blueprint {
	t.Helper()
	b.Number++
	b.Services = fleets
	must(t, s.Advance(t.Context(), b, stepFor(b, "moved on")))
	return b
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wants(t testing.TB, err, target error) {
	t.Helper()
	if !errors.Is(err, target) {
		t.Fatalf("got error %v, want one that is %q", err, target)
	}
}

// fatal is what testing.T and rapid.T have in common.
type fatal interface {
	Helper()
	Fatalf(format string, args ...any)
}

// same compares as JSON, because nil and empty, and a moment in two time zones, are the same to a store.
func same(t fatal, what string, got, want any) {
	t.Helper()
	g, err := json.Marshal(got)
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	w, err := json.Marshal(want)
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	none := func(b []byte) bool { return string(b) == "null" || string(b) == "[]" }
	if bytes.Equal(g, w) || none(g) && none(w) {
		return
	}
	i := 0
	for i < min(len(g), len(w)) && g[i] == w[i] {
		i++
	}
	part := func(b []byte) []byte { return b[max(0, min(i, len(b))-200):min(len(b), i+200)] }
	t.Fatalf("%s differs at byte %d:\n got …%s\nwant …%s", what, i, part(g), part(w))
}

func testEmpty(t *testing.T, s store.Store) {
	ctx := t.Context()
	names, err := s.Stacks(ctx)
	must(t, err)
	if len(names) > 0 {
		t.Errorf("an empty store knows %v", names)
	}
	_, err = s.Revisions(ctx, "shop")
	wants(t, err, glint.ErrNotFound)
	_, err = s.Release(ctx, glint.DigestOf(nil))
	wants(t, err, glint.ErrNotFound)
	_, err = s.Head(ctx, "shop")
	wants(t, err, glint.ErrNotFound)
	wants(t, s.Advance(ctx, glint.Blueprint{Stack: "shop", Epoch: "e1", Number: 1}, glint.Step{}), glint.ErrConflict)
	wants(t, s.End(ctx, "shop", 0), glint.ErrConflict)
	_, err = s.AddOrder(ctx, glint.Order{Stack: "shop", Kind: glint.OrderReplace, Instance: glint.ID{Stack: "shop", Epoch: "e1", Service: "web", N: 1}})
	wants(t, err, glint.ErrNotFound)
	must(t, s.CloseOrder(ctx, "shop", 1))
	steps, err := s.Steps(ctx, "shop", 0, 10)
	must(t, err)
	events, err := s.Events(ctx, "shop", -1, 10)
	must(t, err)
	orders, err := s.Orders(ctx, "shop")
	must(t, err)
	if len(steps)+len(events)+len(orders) > 0 {
		t.Errorf("an empty store tells of %v %v %v", steps, events, orders)
	}
}

func testRevisions(t *testing.T, s store.Store) {
	ctx := t.Context()
	asked := glint.Revision{Stack: "shop", Number: 99, At: noon, By: "ann", Kind: glint.KindApply, Comment: "first"}
	var want []glint.Revision
	for i := range 4 {
		rel := release("shop", i/2) // each release twice
		got, err := s.AddRevision(ctx, asked, rel, i, "e1")
		must(t, err)
		w := asked
		w.Number, w.Release = i+1, rel.Digest()
		same(t, "revision", got, w)
		want = append(want, w)
		kept, err := s.Release(ctx, rel.Digest())
		must(t, err)
		same(t, "release", kept, rel)
	}
	for _, after := range []int{0, 3, 5, -1} {
		_, err := s.AddRevision(ctx, asked, release("shop", 9), after, "e1")
		wants(t, err, glint.ErrConflict)
	}
	_, err := s.Release(ctx, release("shop", 9).Digest())
	wants(t, err, glint.ErrNotFound)
	got, err := s.Revisions(ctx, "shop")
	must(t, err)
	same(t, "revisions", got, want)
	_, err = s.AddRevision(ctx, glint.Revision{Stack: "shops"}, release("shops", 0), 0, "e2")
	must(t, err)
	got, err = s.Revisions(ctx, "shop")
	must(t, err)
	same(t, "revisions beside a stack of a longer name", got, want)
	names, err := s.Stacks(ctx)
	must(t, err)
	if !slices.Equal(names, []string{"shop", "shops"}) {
		t.Errorf("stacks are %v", names)
	}
}

func testLives(t *testing.T, s store.Store) {
	ctx := t.Context()
	b := begin(t, s, "shop", 0, "e1")
	same(t, "the first head", b, glint.Blueprint{Stack: "shop", Epoch: "e1"})
	b.Revision, b.Routes = 1, 7
	b = advance(t, s, b, fleet("web", 1))
	b = advance(t, s, b, fleet("web", 0))
	_, err := s.AddOrder(ctx, glint.Order{Stack: "shop", Kind: glint.OrderReplace, Instance: glint.ID{Stack: "shop", Epoch: "e1", Service: "web", N: 1}})
	must(t, err)
	must(t, s.End(ctx, "shop", 2))
	_, err = s.Head(ctx, "shop")
	wants(t, err, glint.ErrNotFound)
	wants(t, s.End(ctx, "shop", 2), glint.ErrConflict)
	b.Number++
	wants(t, s.Advance(ctx, b, stepFor(b)), glint.ErrConflict)
	if names, err := s.Stacks(ctx); err != nil || len(names) > 0 {
		t.Errorf("after its end: stacks %v, %v", names, err)
	}
	if orders, err := s.Orders(ctx, "shop"); err != nil || len(orders) > 0 {
		t.Errorf("after its end: orders %v, %v", orders, err)
	}
	if revs, err := s.Revisions(ctx, "shop"); err != nil || len(revs) != 1 {
		t.Errorf("after its end: revisions %v, %v", revs, err)
	}
	_, err = s.AddRevision(ctx, glint.Revision{Stack: "shop"}, release("shop", 1), 0, "e2")
	wants(t, err, glint.ErrConflict)

	again := begin(t, s, "shop", 1, "e2")
	same(t, "the first head of the second life", again, glint.Blueprint{Stack: "shop", Epoch: "e2", Number: 2, Routes: 7})
	wants(t, s.Advance(ctx, b, stepFor(b)), glint.ErrConflict) // the right number, of the life before
	advance(t, s, again, fleet("web", 1))
	steps, err := s.Steps(ctx, "shop", 0, 10)
	must(t, err)
	if len(steps) != 3 || steps[2].Number != 3 {
		t.Errorf("over two lives: %d steps", len(steps))
	}
	o, err := s.AddOrder(ctx, glint.Order{Stack: "shop", Kind: glint.OrderReplace, Instance: glint.ID{Stack: "shop", Epoch: "e2", Service: "web", N: 1}})
	must(t, err)
	if o.ID != 2 {
		t.Errorf("order %d of the second life, want 2: a number is never used twice", o.ID)
	}
}

func testEnd(t *testing.T, s store.Store) {
	ctx := t.Context()
	b := begin(t, s, "shop", 0, "e1")
	wants(t, s.End(ctx, "shop", 0), glint.ErrConflict) // r1 is not taken up
	b.Revision = 1
	b = advance(t, s, b, fleet("cache", 0), fleet("web", 1))
	wants(t, s.End(ctx, "shop", 1), glint.ErrConflict) // there is web.1
	b = advance(t, s, b, fleet("web", 0))
	wants(t, s.End(ctx, "shop", 1), glint.ErrConflict)
	wants(t, s.End(ctx, "shop", 3), glint.ErrConflict)
	_, err := s.AddRevision(ctx, glint.Revision{Stack: "shop"}, release("shop", 1), 1, "e9")
	must(t, err)
	wants(t, s.End(ctx, "shop", 2), glint.ErrConflict) // r2 was asked for meanwhile
	if b = head(t, s, "shop"); b.Epoch != "e1" {
		t.Errorf("a revision of a living stack changed its epoch to %s", b.Epoch)
	}
	b.Revision = 2
	advance(t, s, b, fleet("web", 0))
	must(t, s.End(ctx, "shop", 3))
	b = advance(t, s, begin(t, s, "shop", 2, "e2"), fleet("web", 0)) // as the life before ended
	same(t, "the head of the second life", head(t, s, "shop"), b)
}

func testAdvance(t *testing.T, s store.Store) {
	ctx := t.Context()
	b := begin(t, s, "shop", 0, "e1")
	for _, number := range []int{-1, 0, 2} {
		b.Number = number
		wants(t, s.Advance(ctx, b, stepFor(b, "wrong")), glint.ErrConflict)
	}
	b.Number = 0
	b = advance(t, s, b, fleet("web", 2))
	wants(t, s.Advance(ctx, b, stepFor(b, "twice")), glint.ErrConflict)
	other := b
	other.Number, other.Epoch = 2, "e2"
	wants(t, s.Advance(ctx, other, stepFor(other, "another life")), glint.ErrConflict)
	events, err := s.Events(ctx, "shop", 0, 10)
	must(t, err)
	if len(events) != 1 {
		t.Errorf("refused blueprints told their story: %v", events)
	}
	same(t, "head", head(t, s, "shop"), b)
}

func testHead(t *testing.T, s store.Store) {
	b := begin(t, s, "shop", 0, "e1")
	b.Revision, b.Target, b.Stable, b.Routes = 5, 4, 3, 2
	b.Rejected = &glint.Rejection{Revision: 5, Service: "web", Version: glint.DigestOf(nil), Instance: glint.ID{Stack: "shop", Epoch: "e1", Service: "web", N: 4}, Because: "exited 1"}
	b.Edges = []glint.Edge{{From: "web", To: glint.Target{Service: "cache", Port: "redis"}}}
	b.Hosts = []glint.Route{{Host: "shop.localhost", To: glint.Target{Service: "web", Port: "http"}}}
	b.Volumes = []glint.Claim{{Service: "cache", Volume: "data", Holder: glint.ID{Stack: "shop", Epoch: "e1", Service: "cache", N: 1}}}
	web := fleet("web", 3)
	web.Members[1].Leaving, web.Members[1].Reason, web.Members[1].Because = noon, glint.Lost, "its process died"
	web.Rejected, web.Retry = []glint.Digest{glint.DigestOf(nil)}, noon.Add(time.Minute)
	for _, fleets := range [][]glint.Fleet{
		{fleet("cache", 1), web}, {fleet("cache", 1), fleet("web", 3)}, {fleet("cache", 1), fleet("mail", 1), fleet("web", 3)},
		{fleet("mail", 2)}, {}, {fleet("cache", 1), web}, {fleet("cache", 1), web},
	} {
		b = advance(t, s, b, fleets...)
		same(t, fmt.Sprintf("blueprint %d", b.Number), head(t, s, "shop"), b)
	}
	b.Rejected, b.Edges, b.Hosts, b.Volumes = nil, nil, nil, nil
	b = advance(t, s, b, fleet("web", 1))
	same(t, "a blueprint without edges", head(t, s, "shop"), b)
}
