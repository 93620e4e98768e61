package api_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/glint-infra/glint"
	"github.com/glint-infra/glint/internal/api"
)

// write puts a blueprint into the store as if the planner had decided it, and lets no loop turn.
func (w *world) write(change func(*glint.Blueprint)) {
	w.t.Helper()
	head, err := w.store.Head(w.t.Context(), stack)
	check(w.t, err)
	head.Number++
	change(&head)
	check(w.t, w.store.Advance(w.t.Context(), head, glint.Step{At: w.sim.Now()}))
}

// open lists the open orders as "pause by ann: why".
func (w *world) open() string {
	w.t.Helper()
	orders, err := w.store.Orders(w.t.Context(), stack)
	check(w.t, err)
	var parts []string
	for _, o := range orders {
		text := fmt.Sprintf("%s %s by %s: %s", o.Kind, o.Service, o.By, o.Comment)
		if o.Wanted > 0 {
			text += fmt.Sprintf(" (%d)", o.Wanted)
		}
		parts = append(parts, strings.Join(strings.Fields(text), " "))
	}
	return strings.Join(parts, ", ")
}

// fleet is what a fixture says of the only service.
func fleet(b *glint.Blueprint) *glint.Fleet { return &b.Services[0] }

// rolling is a stack whose r1 serves and whose r2 is taken up.
func rolling(t *testing.T, change func(*glint.Service)) *world {
	t.Helper()
	w := newWorld(t)
	rel := w.release("v1", 3)
	change(&rel.Services[0])
	w.apply(rel)
	w.pass(5 * time.Second)
	next := w.release("v2", 3)
	change(&next.Services[0])
	w.apply(next)
	w.write(func(b *glint.Blueprint) {
		v := next.Services[0].Template.Version()
		f := fleet(b)
		b.Revision, b.Target, f.Target, f.Phase = 2, 2, v, glint.RollingTo
		f.Templates[v] = next.Services[0].Template
	})
	return w
}

func same(*glint.Service) {}

func TestPromote(t *testing.T) {
	w := rolling(t, func(s *glint.Service) { s.Update.Canary, s.Update.Bake, s.Update.Manual = 1, 10*second, true })
	promote := func(service string) (glint.Order, error) {
		return w.client.Promote(t.Context(), stack, api.OrderRequest{Service: service, By: "ann", Comment: "looks good"})
	}
	_, err := promote("")
	refused(t, err, api.CodeNotNow, nil, "nothing of shop is in canary")
	_, err = promote("web")
	refused(t, err, api.CodeNotNow, nil, "shop/web has no canary: it is rolling")
	_, err = promote("wbe")
	refused(t, err, api.CodeNotFound, glint.ErrNotFound, "did you mean web?")
	w.write(func(b *glint.Blueprint) { fleet(b).Phase = glint.Canary })
	_, err = promote("")
	refused(t, err, api.CodeNotNow, nil, "canary of web is not complete", "glint why web")
	since := w.sim.Now()
	w.write(func(b *glint.Blueprint) {
		fleet(b).Baking = since
		b.Paused = &glint.Word{By: "bob", At: since, Comment: "lunch"}
	})
	_, err = promote("")
	refused(t, err, api.CodeNotNow, nil, "paused (by bob since ", ": lunch)", "glint resume")
	w.write(func(b *glint.Blueprint) { b.Paused = nil })
	c := w.status().Services[0].Canary
	if c == nil || c.Wanted != 1 || !c.Baking.Equal(since) || !c.Until.Equal(since.Add(10*time.Second)) || !c.Manual {
		t.Errorf("canary: %+v", c)
	}
	o, err := promote("")
	if check(t, err); o.ID == 0 || o.Kind != glint.OrderPromote || o.Service != "" || o.By != "ann" || o.At.IsZero() {
		t.Errorf("order: %+v", o)
	}
	if again, err := promote(""); err != nil || again.ID != o.ID {
		t.Errorf("again: %+v, %v", again, err)
	}
	if got := w.open(); got != "promote by ann: looks good" {
		t.Errorf("open: %s", got)
	}
	w.write(func(b *glint.Blueprint) { fleet(b).Promoted, b.Ordered = &glint.Word{By: "ann", At: since}, o.ID })
	_, err = promote("web")
	refused(t, err, api.CodeUnchanged, nil, "promoted already, by ann")
}

func TestAbort(t *testing.T) {
	w := newWorld(t)
	abort := func(comment string) (glint.Order, error) {
		return w.client.Abort(t.Context(), stack, api.WordRequest{By: "ann", Comment: comment})
	}
	_, err := abort("no")
	refused(t, err, api.CodeNotFound, glint.ErrNotFound, "no stack shop")
	w.apply(w.release("v1", 2))
	_, err = abort("no")
	refused(t, err, api.CodeNotNow, nil, "r1 cannot be aborted", "glint apply", "glint destroy shop")
	w.pass(5 * time.Second)
	_, err = abort("no")
	refused(t, err, api.CodeNotNow, nil, "nothing to abort: r1 serves", "glint rollback")
	w.apply(w.release("v2", 2))
	_, err = abort("no")
	refused(t, err, api.CodeNotNow, nil, "r2 has not begun yet")
	w.write(func(b *glint.Blueprint) { b.Paused = &glint.Word{By: "bob", At: w.sim.Now(), Comment: "lunch"} })
	_, err = abort("no")
	refused(t, err, api.CodeNotNow, nil, "r2 has not begun, for shop is paused (by bob", "glint rollback r1")
	w.write(func(b *glint.Blueprint) { b.Paused, b.Revision, b.Target, fleet(b).Phase = nil, 2, 2, glint.RollingTo })
	_, err = abort(" ")
	refused(t, err, api.CodeInvalid, glint.ErrInvalid, "say why", "glint abort --reason")
	o, err := abort("v2 fails")
	check(t, err)
	if again, err := abort("errors still"); err != nil || again.ID != o.ID {
		t.Errorf("again: %+v, %v", again, err)
	}
	w.write(func(b *glint.Blueprint) {
		b.Revision, b.Rejected = 2, &glint.Rejection{Revision: 2, Because: "ann aborted it: errors"}
	})
	_, err = abort("no")
	refused(t, err, api.CodeUnchanged, nil, "r2 was rejected already: ann aborted it")
	_, err = w.client.Destroy(t.Context(), stack, api.WordRequest{By: "bob"})
	check(t, err)
	_, err = abort("no")
	refused(t, err, api.CodeNotNow, nil, "being destroyed (r3, by bob)")
}

func TestPauseAndResume(t *testing.T) {
	w := rolling(t, same)
	pause := func(comment string) (glint.Order, error) {
		return w.client.Pause(t.Context(), stack, api.WordRequest{By: "ann", Comment: comment})
	}
	resume := func() (glint.Order, error) {
		return w.client.Resume(t.Context(), stack, api.WordRequest{By: "bob"})
	}
	_, err := resume()
	refused(t, err, api.CodeUnchanged, nil, "shop is not paused")
	_, err = pause("")
	refused(t, err, api.CodeInvalid, glint.ErrInvalid, "say why", "glint pause --reason")
	first, err := pause("errors at checkout")
	check(t, err)
	if again, err := pause("me too"); err != nil || again.ID != first.ID {
		t.Errorf("again: %+v, %v", again, err)
	}
	second, err := resume() // the pause is not taken up yet
	check(t, err)
	if again, err := resume(); err != nil || again.ID != second.ID {
		t.Errorf("again: %+v, %v", again, err)
	}
	if third, err := pause("once more"); err != nil || third.ID <= second.ID {
		t.Errorf("a pause after the resume: %+v, %v", third, err)
	}
	if st := w.status(); len(st.Orders) != 3 || st.Paused != nil {
		t.Errorf("status: %+v", st)
	}
	w.write(func(b *glint.Blueprint) {
		b.Ordered, b.Paused = second.ID+1, &glint.Word{By: "ann", At: w.sim.Now(), Comment: "once more"}
	})
	if st := w.status(); st.Ordered != second.ID+1 || st.Paused == nil || st.Paused.Comment != "once more" {
		t.Errorf("paused: %+v", st)
	}
	waits := w.release("v3", 1)
	w.apply(waits)
	if st := w.status(); st.Outcome != glint.Waiting || st.Wanted != 3 {
		t.Errorf("what waits is not wanted yet: %+v", st.Summary)
	}
	_, err = pause("again")
	refused(t, err, api.CodeUnchanged, nil, "paused already (by ann since ", ": once more)", "glint resume")
	_, err = resume()
	check(t, err)
}

func TestRegenerate(t *testing.T) {
	w := newWorld(t)
	regenerate := func(service string) (glint.Order, error) {
		return w.client.Regenerate(t.Context(), stack, api.OrderRequest{Service: service, By: "ann"})
	}
	w.apply(w.release("v1", 2))
	_, err := regenerate("web")
	refused(t, err, api.CodeNotNow, nil, "shop/web has no instances")
	w.pass(5 * time.Second)
	_, err = regenerate("bew")
	refused(t, err, api.CodeNotFound, glint.ErrNotFound, "did you mean web?")
	all, err := regenerate("")
	check(t, err)
	one, err := regenerate("web")
	check(t, err)
	if again, err := regenerate("web"); err != nil || again.ID != one.ID || one.ID == all.ID {
		t.Errorf("all %d, web %d, again %d, %v", all.ID, one.ID, again.ID, err)
	}
	if got := w.open(); got != "regenerate by ann:, regenerate web by ann:" {
		t.Errorf("open: %s", got)
	}
}

func TestScale(t *testing.T) {
	w := newWorld(t)
	scale := func(service string, n int) (glint.Order, error) {
		return w.client.Scale(t.Context(), stack, service, api.ScaleRequest{Wanted: n, By: "ann", Comment: "sale"})
	}
	w.apply(w.release("v1", 3))
	w.pass(5 * time.Second)
	_, err := scale("web", 5)
	refused(t, err, api.CodeRefused, glint.ErrInvalid, "fixed number of instances (3)", "instances { min = 1  max = 6 }")
	_, err = scale("wbe", 5)
	refused(t, err, api.CodeNotFound, glint.ErrNotFound, "did you mean web?")
	_, err = scale("web", -1)
	refused(t, err, api.CodeInvalid, glint.ErrInvalid, "wanted")
	rel := w.release("v1", 3)
	rel.Services[0].Min, rel.Services[0].Max = 2, 6
	w.apply(rel)
	for _, n := range []int{1, 7} {
		_, err = scale("web", n)
		refused(t, err, api.CodeRefused, glint.ErrInvalid, fmt.Sprintf("2 to 6 instances, not %d", n))
	}
	_, err = scale("web", 3)
	refused(t, err, api.CodeUnchanged, nil, "shop/web has 3 instances already")
	five, err := scale("web", 5)
	check(t, err)
	if again, err := scale("web", 5); err != nil || again.ID != five.ID {
		t.Errorf("again: %+v, %v", again, err)
	}
	if back, err := scale("web", 3); err != nil || back.ID <= five.ID {
		t.Errorf("back, before it was taken up: %+v, %v", back, err)
	}
	again, err := scale("web", 5)
	if check(t, err); again.ID <= five.ID+1 {
		t.Errorf("the newest word counts: %+v", again)
	}
	w.write(func(b *glint.Blueprint) { b.Ordered, fleet(b).Asked, fleet(b).Wanted = again.ID, 5, 4 })
	if s := w.status().Services[0]; s.Wanted != 4 || s.Asked != 5 || s.Min != 2 || s.Max != 6 {
		t.Errorf("web: %+v", s)
	}
	_, err = scale("web", 5)
	refused(t, err, api.CodeUnchanged, nil, "5 instances already")
}

// TestTaskStatus: a task counts while it is to be run, and says how it came out.
func TestTaskStatus(t *testing.T) {
	w := rolling(t, same)
	ctx := t.Context()
	rel := w.release("v2", 3)
	task := glint.Service{Name: "migrate", Task: true, Instances: 1, Template: glint.Template{Image: w.image}, Update: glint.Update{Strategy: glint.Rolling, StartWithin: 10 * second, Grace: second, Tries: 1}}
	rel.Services = append([]glint.Service{task}, rel.Services...)
	_, err := w.store.AddRevision(ctx, glint.Revision{Stack: stack, Kind: glint.KindApply, At: w.sim.Now()}, rel, 2, "")
	check(t, err)
	v := task.Template.Version()
	w.write(func(b *glint.Blueprint) {
		b.Revision, b.Target = 3, 3
		b.Services = append([]glint.Fleet{{Name: "migrate", Target: v, Phase: glint.RollingTo, Templates: map[glint.Digest]glint.Template{v: task.Template}}}, b.Services...)
	})
	if st := w.status(); !st.Services[0].Task || st.Services[0].Wanted != 1 || st.Services[0].Done != nil || st.Wanted != 3 {
		t.Errorf("to be run: %+v", st)
	}
	w.write(func(b *glint.Blueprint) {
		b.Services[0].Phase, b.Services[0].Done = glint.Steady, []glint.Result{{Version: "sha256:old", Outcome: glint.Broke}, {Version: v, Outcome: glint.Succeeded}}
	})
	if s := w.status().Services[0]; s.Wanted != 0 || s.Done == nil || s.Done.Outcome != glint.Succeeded {
		t.Errorf("done: %+v", s)
	}
	_, err = w.client.Regenerate(ctx, stack, api.OrderRequest{Service: "migrate"})
	refused(t, err, api.CodeNotNow, nil, "is a task")
	_, err = w.client.Scale(ctx, stack, "migrate", api.ScaleRequest{Wanted: 2})
	refused(t, err, api.CodeRefused, nil, "is a task")
}

// TestMembersThatDoNotServe: standbys, and what is kept warm, are counted apart.
func TestMembersThatDoNotServe(t *testing.T) {
	w := newWorld(t)
	w.apply(w.release("v1", 3))
	w.pass(5 * time.Second)
	w.write(func(b *glint.Blueprint) {
		fleet(b).Members[0].Warm = w.sim.Now().Add(time.Minute)
		fleet(b).Members[1].Held = true
	})
	if s := w.status().Services[0]; s.Ready != 1 || s.Warm != 1 || s.Held != 1 {
		t.Errorf("web: %+v", s)
	}
}

func TestApplyFrom(t *testing.T) {
	w := newWorld(t)
	for _, v := range []string{"v1", "v2"} {
		w.apply(w.release(v, 2))
		w.pass(20 * time.Second)
	}
	w.apply(w.release("v3", 2, "exit", "7"))
	w.pass(30 * time.Second)
	from := func(n int, retry bool) (api.ApplyReply, error) {
		return w.client.Apply(t.Context(), stack, api.ApplyRequest{From: n, By: "ann", Retry: retry})
	}
	_, err := from(4, false)
	refused(t, err, api.CodeNotFound, glint.ErrNotFound, "no revision r4; its newest is r3")
	_, err = from(3, false)
	refused(t, err, api.CodeRejected, nil, "r3 was rejected", "glint apply --from r3 --retry")
	_, err = w.client.Apply(t.Context(), stack, api.ApplyRequest{From: 1, Release: w.release("v1", 2)})
	refused(t, err, api.CodeInvalid, glint.ErrInvalid, "not for both")
	_, err = w.client.Apply(t.Context(), stack, api.ApplyRequest{})
	refused(t, err, api.CodeInvalid, glint.ErrInvalid, "which release?")
	p, err := w.client.Plan(t.Context(), stack, api.ApplyRequest{From: 1})
	if check(t, err); p.Unchanged || p.Revision != 4 || len(p.Stages) == 0 || p.Before.Digest() != w.release("v2", 2).Digest() {
		t.Errorf("plan: %+v", p)
	}
	reply, err := from(1, false)
	if check(t, err); reply.Unchanged || reply.Revision.Number != 4 || reply.Revision.From != 1 || reply.Revision.Kind != glint.KindApply || reply.Revision.Release != w.release("v1", 2).Digest() {
		t.Errorf("reply: %+v", reply)
	}
	w.pass(20 * time.Second)
	if st := w.status(); st.Outcome != glint.Serving || st.Revision != 4 {
		t.Errorf("after it: %+v", st.Summary)
	}
	if again, err := from(1, false); err != nil || !again.Unchanged {
		t.Errorf("again: %+v, %v", again, err)
	}
	again, err := from(3, true)
	if check(t, err); !again.Revision.Retry || again.Revision.From != 3 {
		t.Errorf("retry: %+v", again)
	}
	_, err = w.client.Destroy(t.Context(), stack, api.WordRequest{})
	check(t, err)
	w.pass(20 * time.Second)
	_, err = from(6, false)
	refused(t, err, api.CodeRefused, nil, "r6 ended the stack")
	reply, err = from(1, false)
	if check(t, err); reply.Revision.Number != 7 {
		t.Errorf("alive again: %+v", reply)
	}
}

// TestRequestsAreSmall: what need not be said is not sent.
func TestRequestsAreSmall(t *testing.T) {
	b, err := json.Marshal(api.ApplyRequest{From: 3})
	if check(t, err); string(b) != `{"from":3}` {
		t.Errorf("%s", b)
	}
}

// TestRevisionStory: a revision is told from its beginning to its verdict, and nothing of others.
func TestRevisionStory(t *testing.T) {
	w := newWorld(t)
	story := func(n int) (string, []glint.Note) {
		t.Helper()
		why, err := w.client.WhyRevision(t.Context(), stack, n)
		check(t, err)
		return told(why.Events), why.Notes
	}
	w.apply(w.release("v1", 2))
	if text, _ := story(1); text != "" {
		t.Errorf("before it was taken up: %s", text)
	}
	w.pass(5 * time.Second)
	w.apply(w.release("v2", 2, "exit", "7", "no", "config"))
	w.pass(30 * time.Second)
	check(t, w.sim.Kill(glint.ID{Stack: stack, Epoch: "e1", Service: "web", N: 1})) // belongs to no rollout
	w.pass(10 * time.Second)
	if text, _ := story(1); !strings.HasPrefix(text, "r1 taken up") || !strings.HasSuffix(text, "r1 serves\n") || strings.Contains(text, "r2") {
		t.Errorf("r1:\n%s", text)
	}
	if text, _ := story(2); !strings.HasPrefix(text, "r2 taken up") || !strings.Contains(text, "exited 7") || !strings.HasSuffix(text, "rolled back to r1\n") || strings.Contains(text, "SIGKILL") {
		t.Errorf("r2:\n%s", text)
	}
	w.apply(w.release("v3", 2, "sick"))
	w.pass(time.Second)
	if text, _ := story(3); !strings.HasPrefix(text, "r3 taken up") || strings.Contains(text, "serves") {
		t.Errorf("r3 in the midst:\n%s", text)
	}
	_, err := w.client.WhyRevision(t.Context(), stack, 4)
	refused(t, err, api.CodeNotFound, glint.ErrNotFound, "newest is r3")
	status, _, text := w.curl("GET", "/v1/stacks/shop/why?revision=1&service=web", "")
	if status != 422 || !strings.Contains(text, "not for both") {
		t.Errorf("%d %s", status, text)
	}
}

// TestOrdersAreKept: what was said is told for ever, though the order itself is closed.
func TestOrdersAreKept(t *testing.T) {
	w := newWorld(t)
	w.apply(w.release("v1", 2))
	w.pass(5 * time.Second)
	_, err := w.client.Pause(t.Context(), stack, api.WordRequest{By: "ann", Comment: "lunch"})
	check(t, err)
	w.pass(time.Second)
	_, err = w.client.Resume(t.Context(), stack, api.WordRequest{By: "bob"})
	check(t, err)
	w.pass(time.Second)
	if got := w.open(); got != "" {
		t.Errorf("still open: %s", got)
	}
	events, err := w.client.Orders(t.Context(), stack)
	check(t, err)
	if text := told(events); len(events) != 2 || !strings.Contains(text, "ann") || !strings.Contains(text, "pause") || !strings.Contains(text, "lunch") || !strings.Contains(text, "bob") {
		t.Errorf("orders:\n%s", text)
	}
}
