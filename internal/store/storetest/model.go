package storetest

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/glint-infra/glint"
	"github.com/glint-infra/glint/internal/store"
	"pgregory.net/rapid"
)

// A model is what a store should know of one stack, kept as plainly as can be.
type model struct {
	name           string
	revisions      []glint.Revision
	head           *glint.Blueprint
	number, routes int
	steps          []glint.Step
	events         []glint.Event
	orders         []glint.Order
	lastOrder      int
}

// A machine does the same to a store and to models, and compares.
type machine struct {
	s      store.Store
	t      *testing.T
	models []*model
}

// testModel uses one store for all its sequences, with stacks of their own: opening a store may be dear.
func testModel(t *testing.T, s store.Store) {
	sequence := 0
	rapid.Check(t, func(rt *rapid.T) {
		sequence++
		m := &machine{s: s, t: t}
		for _, letter := range []string{"a", "ab"} { // one name begins with the other
			m.models = append(m.models, &model{name: fmt.Sprintf("s%d-%s", sequence, letter)})
		}
		rt.Repeat(map[string]func(*rapid.T){
			"":         m.compare,
			"revision": m.addRevision,
			"advance":  m.advance,
			"advance2": m.advance, // more often than the others
			"end":      m.end,
			"record":   m.record,
			"order":    m.addOrder,
			"close":    m.closeOrder,
		})
	})
}

func (m *machine) pick(rt *rapid.T) *model { return rapid.SampledFrom(m.models).Draw(rt, "stack") }

// expect asks that err is a conflict, a missing thing, or nothing.
func expect(rt *rapid.T, what string, err, want error) {
	if !errors.Is(err, want) {
		rt.Fatalf("%s: got error %v, want %v", what, err, want)
	}
}

func (m *machine) addRevision(rt *rapid.T) {
	st := m.pick(rt)
	after := len(st.revisions) + rapid.SampledFrom([]int{0, 0, 0, 0, -1, 1}).Draw(rt, "off by")
	epoch := glint.Epoch(rapid.StringMatching("[a-z]{6}").Draw(rt, "epoch"))
	rel := release(st.name, rapid.IntRange(0, 3).Draw(rt, "services"))
	rev := glint.Revision{Stack: st.name, At: noon, By: "ann", Retry: rapid.Bool().Draw(rt, "retry")}
	got, err := m.s.AddRevision(m.t.Context(), rev, rel, after, epoch)
	if after != len(st.revisions) {
		expect(rt, "revision", err, glint.ErrConflict)
		return
	}
	expect(rt, "revision", err, nil)
	rev.Number, rev.Release = after+1, rel.Digest()
	same(rt, "revision", got, rev)
	st.revisions = append(st.revisions, rev)
	if st.head == nil {
		st.head = &glint.Blueprint{Stack: st.name, Epoch: epoch, Number: st.number, Routes: st.routes}
	}
	kept, err := m.s.Release(m.t.Context(), rev.Release)
	expect(rt, "release", err, nil)
	same(rt, "release", kept, rel)
}

func (m *machine) advance(rt *rapid.T) {
	st := m.pick(rt)
	next := glint.Blueprint{Stack: st.name, Epoch: "none", Number: st.number}
	if st.head != nil {
		next = *st.head
	}
	next.Number += rapid.SampledFrom([]int{1, 1, 1, 1, 1, 0, 2}).Draw(rt, "number")
	if rapid.IntRange(0, 9).Draw(rt, "stale") == 0 {
		next.Epoch += "x"
	}
	next.Revision = rapid.IntRange(0, len(st.revisions)).Draw(rt, "revision")
	next.Routes += rapid.IntRange(0, 1).Draw(rt, "routes")
	next.Services = drawFleets(rt, next.Services)
	if rapid.Bool().Draw(rt, "edges") {
		next.Edges = []glint.Edge{{From: "web", To: glint.Target{Service: "db", Port: fmt.Sprint("p", next.Number)}}}
	}
	step := stepFor(next)
	step.Changed = next.Services
	for i := range rapid.IntRange(0, 3).Draw(rt, "events") {
		step.Events = append(step.Events, glint.Event{At: noon, Kind: glint.EventCreate, Text: fmt.Sprint(next.Number, "/", i)})
	}
	err := m.s.Advance(m.t.Context(), next, step)
	if st.head == nil || next.Number != st.head.Number+1 || next.Epoch != st.head.Epoch {
		expect(rt, "advance", err, glint.ErrConflict)
		return
	}
	expect(rt, "advance", err, nil)
	step.Stack, step.Number = st.name, next.Number
	step.Events = st.tell(step.Events)
	st.head, st.steps = &next, append(st.steps, step)
}

// drawFleets keeps, changes, adds and removes fleets; one in three sets is empty, so that stacks can end.
func drawFleets(rt *rapid.T, before []glint.Fleet) []glint.Fleet {
	if rapid.IntRange(0, 2).Draw(rt, "clear") == 0 {
		return nil
	}
	var fleets []glint.Fleet
	for _, name := range []string{"a", "b", "b-c", "web", "webs"} {
		i := slices.IndexFunc(before, func(f glint.Fleet) bool { return f.Name == name })
		switch rapid.SampledFrom([]string{"keep", "keep", "change", "drop"}).Draw(rt, name) {
		case "keep":
			if i >= 0 {
				fleets = append(fleets, before[i])
			}
		case "change":
			fleets = append(fleets, fleet(name, rapid.IntRange(0, 3).Draw(rt, "members")))
		}
	}
	return fleets
}

func (st *model) tell(events []glint.Event) []glint.Event {
	events = slices.Clone(events)
	for i := range events {
		events[i].Stack, events[i].Seq = st.name, int64(len(st.events)+1)
		st.events = append(st.events, events[i])
	}
	return events
}

func (m *machine) end(rt *rapid.T) {
	st := m.pick(rt)
	number := st.number
	if st.head != nil {
		number = st.head.Number
	}
	number += rapid.SampledFrom([]int{0, 0, 0, 0, -1, 1}).Draw(rt, "off by")
	err := m.s.End(m.t.Context(), st.name, number)
	may := st.head != nil && st.head.Number == number && st.head.Revision == len(st.revisions)
	for i := 0; may && i < len(st.head.Services); i++ {
		may = len(st.head.Services[i].Members) == 0
	}
	if !may {
		expect(rt, "end", err, glint.ErrConflict)
		return
	}
	expect(rt, "end", err, nil)
	st.number, st.routes, st.head, st.orders = st.head.Number, st.head.Routes, nil, nil
}

func (m *machine) record(rt *rapid.T) {
	st := m.pick(rt)
	var events []glint.Event
	for i := range rapid.IntRange(0, 3).Draw(rt, "events") {
		events = append(events, glint.Event{At: noon, Kind: glint.EventIncident, Text: fmt.Sprint("incident ", i)})
	}
	expect(rt, "record", m.s.Record(m.t.Context(), st.name, events...), nil)
	st.tell(events)
}

func (m *machine) addOrder(rt *rapid.T) {
	st := m.pick(rt)
	o := glint.Order{Stack: st.name, Kind: glint.OrderReplace, Instance: glint.ID{Stack: st.name, Epoch: "e", Service: "web", N: rapid.IntRange(1, 9).Draw(rt, "n")}, At: noon, By: "ann"}
	got, err := m.s.AddOrder(m.t.Context(), o)
	if st.head == nil {
		expect(rt, "order", err, glint.ErrNotFound)
		return
	}
	expect(rt, "order", err, nil)
	st.lastOrder++
	o.ID = st.lastOrder
	same(rt, "order", got, o)
	st.orders = append(st.orders, o)
}

func (m *machine) closeOrder(rt *rapid.T) {
	st := m.pick(rt)
	id := rapid.IntRange(0, st.lastOrder+1).Draw(rt, "order")
	expect(rt, "close", m.s.CloseOrder(m.t.Context(), st.name, id), nil)
	st.orders = slices.DeleteFunc(slices.Clone(st.orders), func(o glint.Order) bool { return o.ID == id })
}

// compare asks for everything about one of the stacks, and for one page of what comes in pages.
func (m *machine) compare(rt *rapid.T) {
	ctx := m.t.Context()
	names, err := m.s.Stacks(ctx)
	expect(rt, "stacks", err, nil)
	for _, st := range []*model{m.pick(rt)} {
		if lives := slices.Contains(names, st.name); lives != (st.head != nil) {
			rt.Fatalf("%s is among the stacks: %v", st.name, lives)
		}
		revisions, err := m.s.Revisions(ctx, st.name)
		if len(st.revisions) == 0 {
			expect(rt, "revisions", err, glint.ErrNotFound)
		} else {
			expect(rt, "revisions", err, nil)
		}
		same(rt, "revisions", revisions, st.revisions)
		head, err := m.s.Head(ctx, st.name)
		if st.head == nil {
			expect(rt, "head", err, glint.ErrNotFound)
		} else {
			expect(rt, "head", err, nil)
			same(rt, "head", head, *st.head)
		}
		orders, err := m.s.Orders(ctx, st.name)
		expect(rt, "orders", err, nil)
		same(rt, "orders", orders, st.orders)
		m.comparePages(rt, st)
	}
}

func (m *machine) comparePages(rt *rapid.T, st *model) {
	after, limit := rapid.IntRange(-1, len(st.events)+1).Draw(rt, "after"), rapid.IntRange(0, len(st.events)+1).Draw(rt, "limit")
	steps, err := m.s.Steps(m.t.Context(), st.name, after, limit)
	expect(rt, "steps", err, nil)
	same(rt, "steps", steps, page(st.steps, after, limit))
	events, err := m.s.Events(m.t.Context(), st.name, int64(after), limit)
	expect(rt, "events", err, nil)
	want := page(st.events, after, limit)
	if after < 0 {
		want = st.events[len(st.events)-min(len(st.events), limit):]
	}
	same(rt, "events", events, want)
}
