package api_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"io"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/glint-infra/glint"
	"github.com/glint-infra/glint/internal/api"
	"github.com/glint-infra/glint/internal/image"
	"github.com/glint-infra/glint/internal/plan"
)

var update = flag.Bool("update", false, "rewrite docs/openapi.json; read the diff before you commit it")

// TestDescription keeps docs/openapi.json current.
func TestDescription(t *testing.T) {
	const file = "../../docs/openapi.json"
	var last []byte
	for range 3 { // and stable
		rec := httptest.NewRecorder()
		api.NewServer(api.Config{Version: "x"}).ServeHTTP(rec, httptest.NewRequest("GET", "/openapi.json", nil))
		var got bytes.Buffer
		check(t, json.Indent(&got, rec.Body.Bytes(), "", " "))
		got.WriteByte('\n')
		if last != nil && !bytes.Equal(last, got.Bytes()) {
			t.Fatal("the description differs from one server to the next")
		}
		last = got.Bytes()
	}
	if *update {
		check(t, os.WriteFile(file, last, 0o644))
	}
	want, err := os.ReadFile(file)
	if err != nil || !bytes.Equal(last, want) {
		t.Errorf("docs/openapi.json is not current: run this test with -update and read the diff (%v)", err)
	}
}

func TestVersion(t *testing.T) {
	w := newWorld(t)
	v, err := w.client.Version(t.Context())
	check(t, err)
	if v != (api.Version{Version: "1.2.3", API: api.APIVersion, Release: glint.ReleaseFormat, Planner: plan.Version}) {
		t.Errorf("version is %+v", v)
	}
}

func TestApply(t *testing.T) {
	w := newWorld(t)
	rel := w.release("v1", 3)
	list, err := w.client.Stacks(t.Context())
	if check(t, err); len(list) != 0 {
		t.Fatalf("stacks: %+v", list)
	}
	reply, err := w.client.Apply(t.Context(), stack, api.ApplyRequest{Release: rel, Comment: "first"})
	check(t, err)
	if r := reply.Revision; reply.Unchanged || r.Number != 1 || r.Release != rel.Digest() || r.By != me(t) || r.Comment != "first" || r.At.IsZero() {
		t.Errorf("reply %+v", reply)
	}
	if st := w.status(); st.Outcome != glint.Waiting || st.Wanted != 3 || st.Ready != 0 || len(st.Services) != 1 || st.Services[0].Image != w.image {
		t.Errorf("before the first turn: %+v", st)
	}
	w.pass(5 * time.Second)
	st := w.status()
	if st.Outcome != glint.Serving || st.Ready != 3 || st.Wanted != 3 || st.Stable != 1 || !st.Complete || st.SeenAt.IsZero() || st.Epoch != "e1" {
		t.Errorf("serving: %+v", st)
	}
	if st.Routes.Decided != 2 || st.Routes.InForce != 2 || len(st.Routes.URLs) != 1 || st.Routes.URLs[0] != "http://shop.localhost:8080" {
		t.Errorf("routes: %+v", st.Routes)
	}
	web := st.Services[0]
	if web.Phase != glint.Steady || web.Version != rel.Services[0].Template.Version() || len(web.Instances) != 3 || web.Instances[0].Seen == nil || web.Instances[0].ID.Short() != "web.1" {
		t.Errorf("web: %+v", web)
	}
	list, err = w.client.Stacks(t.Context())
	if check(t, err); len(list) != 1 || list[0].Ready != 3 || list[0].Hosts[0] != "shop.localhost" {
		t.Errorf("stacks: %+v", list)
	}
	if again := w.apply(rel); !again.Unchanged || again.Revision.Number != 1 {
		t.Errorf("again: %+v", again)
	}
	got, err := w.client.Release(t.Context(), stack, 1)
	if check(t, err); got.Digest() != rel.Digest() {
		t.Errorf("release 1 is %+v", got)
	}
	_, err = w.client.Release(t.Context(), stack, 2)
	refused(t, err, api.CodeNotFound, glint.ErrNotFound, "r2", "newest is r1")
}

func TestPlanChangesNothing(t *testing.T) {
	w := newWorld(t)
	req := api.ApplyRequest{Release: w.release("v1", 2), By: "ann"}
	first, err := w.client.Plan(t.Context(), stack, req)
	check(t, err)
	creates := 0
	for _, g := range first.Stages {
		for _, a := range g.Actions {
			creates += map[glint.Verb]int{glint.Create: 1}[a.Verb]
		}
	}
	if first.Unchanged || !first.Rests || first.Revision != 1 || creates != 2 || len(first.Before.Services) != 0 {
		t.Errorf("first plan: %d creates, %+v", creates, first)
	}
	_, err = w.client.Status(t.Context(), stack)
	refused(t, err, api.CodeNotFound, glint.ErrNotFound)
	w.apply(req.Release)
	w.pass(5 * time.Second)
	before := w.status()
	same, err := w.client.Plan(t.Context(), stack, req)
	if check(t, err); !same.Unchanged || same.Revision != 1 || len(same.Stages) != 0 {
		t.Errorf("the same again: %+v", same)
	}
	other, err := w.client.Plan(t.Context(), stack, api.ApplyRequest{Release: w.release("v2", 2)})
	if check(t, err); other.Unchanged || other.Revision != 2 || len(other.Stages) == 0 || other.Before.Digest() != req.Release.Digest() {
		t.Errorf("another: %+v", other)
	}
	if after := w.status(); after.Revision != before.Revision || after.Blueprint != before.Blueprint {
		t.Errorf("plan changed something: %+v, then %+v", before, after)
	}
}

func TestAdmission(t *testing.T) {
	w := newWorld(t)
	rel := w.release("v1", -1)
	rel.Routes[0].To.Port = "grpc"
	rel.Services[0].Template.Image = glint.DigestOf([]byte("nobody sealed this"))
	for _, do := range []func() error{
		func() error { _, err := w.client.Apply(t.Context(), stack, api.ApplyRequest{Release: rel}); return err },
		func() error { _, err := w.client.Plan(t.Context(), stack, api.ApplyRequest{Release: rel}); return err },
	} {
		err := do()
		refused(t, err, api.CodeRefused, glint.ErrInvalid, "must not be negative", "web:grpc, which is not declared", "no sealed image "+string(rel.Services[0].Template.Image))
		if e := err.(*api.Error); e.Status != 422 || len(e.Items) != 3 {
			t.Errorf("%d items: %q", len(e.Items), e.Items)
		}
	}
	_, err := w.client.Apply(t.Context(), "other", api.ApplyRequest{Release: w.release("v1", 1)})
	refused(t, err, api.CodeRefused, glint.ErrInvalid, "of stack shop, not other")
	newer := w.release("v1", 1)
	newer.Format++
	_, err = w.client.Apply(t.Context(), stack, api.ApplyRequest{Release: newer})
	refused(t, err, api.CodeTooNew, glint.ErrTooNew, "upgrade the server")
	_, err = w.client.Apply(t.Context(), stack, api.ApplyRequest{Release: w.release("v1", 1), Comment: "two\nlines \x1b[2J"})
	refused(t, err, api.CodeInvalid, glint.ErrInvalid, "body.comment", "one line")
	if list, err := w.client.Stacks(t.Context()); err != nil || len(list) != 0 {
		t.Errorf("a refusal left something: %+v, %v", list, err)
	}
}

// TestHostTaken shows that a host name leads into one stack, from the moment it was asked for to the end of the stack.
func TestHostTaken(t *testing.T) {
	w := newWorld(t)
	w.apply(w.release("v1", 1)) // asked for; no turn of the loop yet
	theirs := w.release("v1", 1)
	theirs.Stack, theirs.Routes[0].Host = "other", "SHOP.localhost"
	ask := func() error {
		_, err := w.client.Apply(t.Context(), "other", api.ApplyRequest{Release: theirs})
		return err
	}
	refused(t, ask(), api.CodeRefused, glint.ErrInvalid, "stack shop has this host name")
	w.pass(5 * time.Second)
	_, err := w.client.Plan(t.Context(), "other", api.ApplyRequest{Release: theirs})
	refused(t, err, api.CodeRefused, glint.ErrInvalid, "stack shop has this host name")
	w.apply(w.release("v2", 1)) // its own host is no objection
	_, err = w.client.Destroy(t.Context(), stack, api.WordRequest{})
	check(t, err)
	refused(t, ask(), api.CodeRefused, glint.ErrInvalid, "stack shop has this host name") // it still drains
	w.pass(20 * time.Second)
	check(t, ask())
}

func TestRejectedRelease(t *testing.T) {
	w := newWorld(t)
	w.apply(w.release("v1", 2))
	w.pass(5 * time.Second)
	bad := w.release("v2", 2, "exit", "7", "no", "config")
	w.apply(bad)
	w.pass(30 * time.Second)
	if st := w.status(); st.Outcome != glint.RolledBack || st.Rejected == nil || st.Target != 1 || st.Ready != 2 {
		t.Errorf("after a rejection: %+v", st)
	}
	if got := w.outcomes(); got != "r1 serving, r2 rolled back" {
		t.Errorf("outcomes: %s", got)
	}
	_, err := w.client.Apply(t.Context(), stack, api.ApplyRequest{Release: bad})
	refused(t, err, api.CodeRejected, nil, "exited 7", "--retry")
	if p, err := w.client.Plan(t.Context(), stack, api.ApplyRequest{Release: bad}); err != nil || p.Unchanged || p.Before.Digest() != w.release("v1", 2).Digest() {
		t.Errorf("plan of what was rejected: %+v, %v", p, err)
	}
	again, err := w.client.Apply(t.Context(), stack, api.ApplyRequest{Release: bad, Retry: true})
	if check(t, err); again.Unchanged || again.Revision.Number != 3 || !again.Revision.Retry {
		t.Errorf("retry: %+v", again)
	}
	w.pass(30 * time.Second)
	w.apply(w.release("v3", 2))
	w.pass(20 * time.Second)
	if got := w.outcomes(); got != "r1 replaced, r2 rolled back, r3 rolled back, r4 serving" {
		t.Errorf("old verdicts are lost: %s", got)
	}
	revs, err := w.client.Revisions(t.Context(), stack)
	if check(t, err); !strings.Contains(revs[1].Verdict, "exited 7") || revs[3].Verdict != "r4 serves" {
		t.Errorf("verdicts: %+v", revs)
	}
}

func TestFirstRevisionFails(t *testing.T) {
	w := newWorld(t)
	w.apply(w.release("v1", 1, "exit", "1"))
	w.pass(30 * time.Second)
	if got := w.outcomes(); got != "r1 failed" {
		t.Errorf("outcomes: %s", got)
	}
	_, err := w.client.Rollback(t.Context(), stack, api.RollbackRequest{})
	refused(t, err, api.CodeNotFound, glint.ErrNotFound, "nothing to go back to")
	w.apply(w.release("v2", 1))
	w.pass(10 * time.Second)
	if got := w.outcomes(); got != "r1 failed, r2 serving" {
		t.Errorf("outcomes: %s", got)
	}
	_, err = w.client.Rollback(t.Context(), stack, api.RollbackRequest{})
	refused(t, err, api.CodeNotFound, glint.ErrNotFound, "ever served")
}

func TestRollback(t *testing.T) {
	w := newWorld(t)
	_, err := w.client.Rollback(t.Context(), stack, api.RollbackRequest{})
	refused(t, err, api.CodeNotFound, glint.ErrNotFound, "glint apply")
	for _, v := range []string{"v1", "v2"} {
		w.apply(w.release(v, 2))
		w.pass(20 * time.Second)
	}
	w.apply(w.release("v3", 2, "exit", "7"))
	w.pass(30 * time.Second) // r2 serves
	for to, code := range map[int]string{2: api.CodeUnchanged, 3: api.CodeRejected, 4: api.CodeNotFound} {
		_, err := w.client.Rollback(t.Context(), stack, api.RollbackRequest{To: to})
		refused(t, err, code, nil)
	}
	rev, err := w.client.Rollback(t.Context(), stack, api.RollbackRequest{By: "ann", Comment: "v2 is slow"})
	if check(t, err); rev.Number != 4 || rev.From != 1 || rev.Kind != glint.KindRollback || rev.Release != w.release("v1", 2).Digest() {
		t.Errorf("rollback: %+v", rev)
	}
	w.pass(20 * time.Second)
	if got := w.outcomes(); got != "r1 replaced, r2 replaced, r3 rolled back, r4 serving" {
		t.Errorf("outcomes: %s", got)
	}
	w.apply(w.release("v5", 2))
	w.pass(time.Second) // being carried out: back means what still serves
	rev, err = w.client.Rollback(t.Context(), stack, api.RollbackRequest{})
	if check(t, err); rev.From != 4 {
		t.Errorf("rollback in the middle: %+v", rev)
	}
	w.pass(20 * time.Second)
	if st := w.status(); st.Outcome != glint.Serving || st.Revision != 6 || st.Ready != 2 {
		t.Errorf("after it: %+v", st.Summary)
	}
}

// TestRollbackToTheSame: going back means something else than what runs.
func TestRollbackToTheSame(t *testing.T) {
	w := newWorld(t)
	w.apply(w.release("v1", 1))
	w.pass(5 * time.Second)
	w.apply(w.release("v2", 1, "exit", "7"))
	w.pass(30 * time.Second)
	w.apply(w.release("v1", 1))
	w.pass(5 * time.Second)
	if got := w.outcomes(); got != "r1 replaced, r2 rolled back, r3 serving" {
		t.Errorf("outcomes: %s", got)
	}
	_, err := w.client.Rollback(t.Context(), stack, api.RollbackRequest{})
	refused(t, err, api.CodeNotFound, glint.ErrNotFound, "nothing to go back to")
	_, err = w.client.Rollback(t.Context(), stack, api.RollbackRequest{To: 1})
	refused(t, err, api.CodeUnchanged, nil, "nothing was changed")
}

func TestDestroyed(t *testing.T) {
	w := newWorld(t)
	w.apply(w.release("v1", 2))
	w.pass(5 * time.Second)
	_, err := w.client.Destroy(t.Context(), "shp", api.WordRequest{})
	refused(t, err, api.CodeNotFound, glint.ErrNotFound, "did you mean shop?")
	rev, err := w.client.Destroy(t.Context(), stack, api.WordRequest{By: "ann"})
	if check(t, err); rev.Number != 2 || rev.Kind != glint.KindDestroy {
		t.Errorf("destroy: %+v", rev)
	}
	if rev, err = w.client.Destroy(t.Context(), stack, api.WordRequest{By: "bob"}); err != nil || rev.Number != 2 || rev.By != "ann" {
		t.Errorf("destroy again: %+v, %v", rev, err)
	}
	w.pass(20 * time.Second)
	_, err = w.client.Status(t.Context(), stack)
	refused(t, err, api.CodeNotFound, glint.ErrNotFound, "was destroyed (r2, by ann)")
	_, err = w.client.Destroy(t.Context(), stack, api.WordRequest{})
	refused(t, err, api.CodeNotFound, glint.ErrNotFound, "was destroyed")
	if got := w.outcomes(); got != "r1 replaced, r2 ended" {
		t.Errorf("outcomes: %s", got)
	}
	events, err := w.client.Events(t.Context(), stack, -1, 1)
	if check(t, err); len(events) != 1 || events[0].Kind != glint.EventVerdict || !strings.Contains(events[0].Text, "destroyed") {
		t.Errorf("the last event: %+v", events)
	}
	if why, err := w.client.Why(t.Context(), stack, "web", 1); err != nil || len(why.Events) == 0 {
		t.Errorf("why web.1 of a destroyed stack: %+v, %v", why, err)
	}
	_, err = w.client.Rollback(t.Context(), stack, api.RollbackRequest{})
	refused(t, err, api.CodeNotFound, glint.ErrNotFound, "glint rollback r1")
	back, err := w.client.Rollback(t.Context(), stack, api.RollbackRequest{To: 1})
	if check(t, err); back.Number != 3 {
		t.Errorf("back to life: %+v", back)
	}
	if got := w.outcomes(); got != "r1 replaced, r2 ended, r3 waiting" {
		t.Errorf("outcomes before the first turn of a new life: %s", got)
	}
	if st := w.status(); !st.SeenAt.IsZero() || st.Complete {
		t.Errorf("what was seen of the former life is told of the new one: %+v", st)
	}
	w.pass(5 * time.Second)
	if st := w.status(); st.Outcome != glint.Serving || st.Epoch == "e1" {
		t.Errorf("alive again: %+v", st)
	}
	if got := w.outcomes(); got != "r1 replaced, r2 ended, r3 serving" {
		t.Errorf("outcomes: %s", got)
	}
}

func TestReplaceAndWhy(t *testing.T) {
	w := newWorld(t)
	w.apply(w.release("v1", 3))
	w.pass(5 * time.Second)
	_, err := w.client.Replace(t.Context(), stack, "web", 9, api.WordRequest{})
	refused(t, err, api.CodeNotFound, glint.ErrNotFound, "web.9", "web.1, web.2, web.3")
	_, err = w.client.Replace(t.Context(), stack, "wbe", 1, api.WordRequest{})
	refused(t, err, api.CodeNotFound, glint.ErrNotFound, "did you mean web?")
	o, err := w.client.Replace(t.Context(), stack, "web", 2, api.WordRequest{By: "ann", Comment: "odd"})
	if check(t, err); o.Instance.Short() != "web.2" || o.ID == 0 || o.Instance.Epoch != "e1" {
		t.Errorf("order: %+v", o)
	}
	if again, err := w.client.Replace(t.Context(), stack, "web", 2, api.WordRequest{By: "bob"}); err != nil || again.ID != o.ID {
		t.Errorf("ordered again: %+v, %v", again, err)
	}
	w.pass(10 * time.Second)
	if st := w.status(); st.Ready != 3 || len(st.Services[0].Instances) != 3 || st.Services[0].Instances[2].ID.N != 4 {
		t.Errorf("after the order: %+v", st.Services)
	}
	check(t, w.sim.Kill(glint.ID{Stack: stack, Epoch: "e1", Service: "web", N: 3}))
	w.pass(10 * time.Second)
	why, err := w.client.Why(t.Context(), stack, "web", 3)
	check(t, err)
	story := told(why.Events)
	if !strings.Contains(story, "web.3 leaves: lost, killed by SIGKILL") || !strings.Contains(story, "web.5 created") || strings.Contains(story, "web.1 ") {
		t.Errorf("why web.3:\n%s", story)
	}
	why, err = w.client.Why(t.Context(), stack, "web", 5)
	if story = told(why.Events); err != nil || !strings.Contains(story, "web.3 leaves: lost") || !strings.Contains(story, "web.5 ready") {
		t.Errorf("why web.5: %v\n%s", err, story)
	}
	why, err = w.client.Why(t.Context(), stack, "web", 2)
	if story = told(why.Events); err != nil || !strings.Contains(story, "web.2 leaves: requested, ann asked: odd") {
		t.Errorf("why web.2: %v\n%s", err, story)
	}
	_, err = w.client.Why(t.Context(), stack, "web", 77)
	refused(t, err, api.CodeNotFound, glint.ErrNotFound)
	_, err = w.client.Why(t.Context(), stack, "wbe", 0)
	refused(t, err, api.CodeNotFound, glint.ErrNotFound, "did you mean web?")
	_, err = w.client.Why(t.Context(), stack, "", 2)
	refused(t, err, api.CodeInvalid, glint.ErrInvalid)
	all, err := w.client.Why(t.Context(), stack, "", 0)
	if check(t, err); !strings.Contains(told(all.Events), "r1 serves") {
		t.Errorf("why %s:\n%s", stack, told(all.Events))
	}
	one, err := w.client.Why(t.Context(), stack, "web", 0)
	if check(t, err); strings.Contains(told(one.Events), "r1 serves") || !strings.Contains(told(one.Events), "web.1 takes traffic") {
		t.Errorf("why web:\n%s", told(one.Events))
	}
}

func told(events []glint.Event) string {
	var b strings.Builder
	for _, e := range events {
		if !e.ID.IsZero() {
			b.WriteString(e.ID.Short() + " ")
		}
		b.WriteString(e.Text + "\n")
	}
	return b.String()
}

// TestWaits: what a stack waits for is said, also when the world does not answer.
func TestWaits(t *testing.T) {
	w := newWorld(t)
	w.apply(w.release("v1", 2))
	w.pass(5 * time.Second)
	w.sim.Blind = true
	check(t, w.sim.Drift(glint.ID{Stack: stack, Epoch: "e1", Service: "web", N: 1}, "its memory limit was changed"))
	w.pass(time.Second)
	st := w.status()
	if st.Complete || len(st.Silent) != 1 || len(st.Notes) == 0 {
		t.Errorf("blind: %+v", st)
	}
	why, err := w.client.Why(t.Context(), stack, "web", 1)
	if check(t, err); len(why.Notes) == 0 {
		t.Errorf("why web.1 waits for nothing: %+v", why)
	}
}

// TestConflicts: many apply at the same time. Each is told its own revision, or who was first; nothing is lost.
func TestConflicts(t *testing.T) {
	w := newWorld(t)
	w.apply(w.release("v0", 1))
	var wg sync.WaitGroup
	numbers := make([]int, 20)
	for i := range numbers {
		wg.Go(func() {
			reply, err := w.client.Apply(t.Context(), stack, api.ApplyRequest{Release: w.release(string(rune('a'+i)), 1), By: "ann"})
			if err != nil {
				refused(t, err, api.CodeConflict, glint.ErrConflict, "somebody else applied r")
				return
			}
			numbers[i] = reply.Revision.Number
		})
	}
	wg.Wait()
	revs, err := w.client.Revisions(t.Context(), stack)
	check(t, err)
	seen := map[int]bool{}
	for i, n := range numbers {
		if n == 0 {
			continue
		}
		if seen[n] || revs[n-1].Release != w.release(string(rune('a'+i)), 1).Digest() {
			t.Errorf("r%d is not the release of the one who was told so", n)
		}
		seen[n] = true
	}
	if len(seen) == 0 || len(revs) != len(seen)+1 {
		t.Errorf("%d revisions, %d were told", len(revs), len(seen))
	}
	for range 10 { // the same by many at once: one revision
		wg.Go(func() { w.apply(w.release("same", 1)) })
	}
	wg.Wait()
	if after, err := w.client.Revisions(t.Context(), stack); err != nil || len(after) != len(revs)+1 {
		t.Errorf("%d revisions, then %d", len(revs), len(after))
	}
	_, err = w.client.Apply(t.Context(), stack, api.ApplyRequest{Release: w.release("late", 1), After: 1})
	refused(t, err, api.CodeConflict, glint.ErrConflict, "somebody else applied r")
	_, err = w.client.Apply(t.Context(), stack, api.ApplyRequest{Release: w.release("late", 1), After: len(revs) + 1})
	check(t, err)
}

func TestImages(t *testing.T) {
	w := newWorld(t)
	data, d := layer(t, "web", "#!")
	has, err := w.client.HasBlob(t.Context(), d)
	if check(t, err); has {
		t.Fatal("a blob that nobody put")
	}
	recipe := image.Recipe{Name: "site", Base: "scratch", Layers: []glint.Digest{d}, Entrypoint: []string{"/web"}}
	_, _, err = w.client.Seal(t.Context(), recipe, nil)
	refused(t, err, api.CodeRefused, glint.ErrInvalid, "layer "+string(d)+" has not been put")
	err = w.client.PutBlob(t.Context(), d, 4, strings.NewReader("evil"))
	refused(t, err, api.CodeInvalid, glint.ErrInvalid, "send it again")
	for range 2 { // the second is not read
		check(t, w.client.PutBlob(t.Context(), d, int64(len(data)), bytes.NewReader(data)))
	}
	if has, err = w.client.HasBlob(t.Context(), d); err != nil || !has {
		t.Fatalf("the blob is not there: %v", err)
	}
	var lines []string
	sealed, cached, err := w.client.Seal(t.Context(), recipe, func(e api.SealEvent) { lines = append(lines, e.Progress) })
	if check(t, err); cached || !sealed.Valid() || len(lines) < 2 {
		t.Errorf("sealed %s, cached %t, told %q", sealed, cached, lines)
	}
	if again, cached, err := w.client.Seal(t.Context(), recipe, nil); err != nil || !cached || again != sealed {
		t.Errorf("again: %s, cached %t, %v", again, cached, err)
	}
	list, err := w.client.Images(t.Context())
	if check(t, err); len(list) != 2 || list[0] != (glint.Image{Name: "site", Digest: sealed, From: "scratch"}) {
		t.Errorf("images: %+v", list)
	}
	_, _, err = w.client.Seal(t.Context(), image.Recipe{Name: "odd", Base: "plan9"}, nil)
	refused(t, err, api.CodeInvalid, glint.ErrInvalid, "sealing image odd", "plan9")
	err = w.client.PutBlob(t.Context(), "sha256:short", 1, strings.NewReader("x"))
	refused(t, err, api.CodeInvalid, glint.ErrInvalid, "64 hexadecimal digits")
}

// TestLargeBlob: neither side holds a blob in memory, and one that is there is not sent.
func TestLargeBlob(t *testing.T) {
	w := newWorld(t)
	const size = 64 << 20
	zeros := func() io.Reader { return io.LimitReader(zero{}, size) }
	b, _ := io.ReadAll(zeros())
	d := glint.DigestOf(b)
	check(t, w.client.PutBlob(t.Context(), d, size, zeros()))
	unread := &counting{r: zeros()}
	check(t, w.client.PutBlob(t.Context(), d, size, unread))
	if unread.n > 0 {
		t.Errorf("%d bytes of a known blob were sent", unread.n)
	}
}

type zero struct{}

func (zero) Read(p []byte) (int, error) { clear(p); return len(p), nil }

type counting struct {
	r io.Reader
	n int
}

func (c *counting) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += n
	return n, err
}

func TestLogs(t *testing.T) {
	w := newWorld(t)
	w.apply(w.release("v1", 1))
	w.pass(5 * time.Second)
	r, err := w.client.Logs(t.Context(), stack, "web", 1, 5, false)
	check(t, err)
	b, err := io.ReadAll(r)
	if check(t, err); string(b) != "2030-01-01T12:00:00Z out web.1 tail 5\n" {
		t.Errorf("logs: %q", b)
	}
	_, err = w.client.Logs(t.Context(), stack, "web", 2, -1, true)
	refused(t, err, api.CodeNotFound, glint.ErrNotFound, "there is web.1")
	if r, err = w.client.Logs(t.Context(), stack, "web", 1, -1, true); err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if _, err := io.ReadFull(r, make([]byte, 20)); err != nil { // it goes on, and is here at once
		t.Fatal(err)
	}
	w.stop() // ends a stream that nobody else would end
	if _, err := io.ReadAll(r); err == nil {
		t.Log("the log ended like a whole one")
	}
	w.config.Logs = nil
	w.serve()
	_, err = w.client.Logs(t.Context(), stack, "web", 1, -1, false)
	refused(t, err, api.CodeUnsupported, nil)
}
