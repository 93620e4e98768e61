package plan

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/glint-infra/glint"
)

// revision takes up the newest revision, once. While rollouts are paused it waits; what ends or turns back does not.
func (p *planner) revision() {
	head := p.in.Head
	if head.Number <= p.have.Revision {
		return
	}
	if w := p.have.Paused; w != nil && head.Kind == glint.KindApply && !p.resumed() {
		p.notes = append(p.notes, glint.Note{Text: fmt.Sprintf("r%d waits: %s", head.Number, pausedText(*w))})
		return
	}
	p.next.Revision, p.next.Target, p.next.Kind, p.next.Rejected = head.Number, head.Number, head.Kind, nil
	if head.Kind != glint.KindApply {
		p.next.Paused = nil
	}
	if head.Kind == glint.KindDestroy {
		p.next.Stable = 0 // there is no way back from a person's word to end the stack
	}
}

// resumed reports whether a person's newest word about the pause ends it.
func (p *planner) resumed() bool {
	for _, o := range slices.Backward(p.in.Orders) {
		if o.ID > p.have.Ordered && (o.Kind == glint.OrderPause || o.Kind == glint.OrderResume) {
			return o.Kind == glint.OrderResume
		}
	}
	return false
}

// words takes up what people said since, each once.
func (p *planner) words() {
	for _, o := range p.in.Orders {
		if o.ID <= p.have.Ordered {
			continue
		}
		p.next.Ordered = o.ID
		p.orders = append(p.orders, o)
		switch o.Kind {
		case glint.OrderPause:
			p.next.Paused = word(o)
		case glint.OrderResume:
			p.next.Paused = nil
		case glint.OrderAbort:
			p.abort(o)
		}
	}
}

// abort turns back to the stable revision. It means the revision that was being carried out when it was said, so a newer
// one that is taken up in the same turn is not touched.
func (p *planner) abort(o glint.Order) {
	n := &p.next
	if n.Revision != p.have.Revision || n.Stable == 0 || n.Target == n.Stable || n.Rejected != nil {
		return
	}
	n.Rejected = &glint.Rejection{Revision: n.Target, Because: orderText(o, "aborted it")}
	n.Target, n.Paused = n.Stable, nil
}

func word(o glint.Order) *glint.Word { return &glint.Word{By: o.By, At: o.At, Comment: o.Comment} }

func orderText(o glint.Order, did string) string {
	if o.Comment != "" {
		return fmt.Sprintf("%s %s: %s", o.By, did, o.Comment)
	}
	return o.By + " " + did
}

func pausedText(w glint.Word) string {
	text := "paused by " + w.By
	if w.Comment != "" {
		text += ": " + w.Comment
	}
	return text + "; to go on: glint resume"
}

// returning reports whether this turn carries out the stable revision because another was rejected before.
func (p *planner) returning() bool { return p.next.Rejected != nil && p.target == p.next.Stable }

// adopt makes the declared version the target, when its turn has come.
func (p *planner) adopt(s glint.Service, f *glint.Fleet) {
	if p.target != p.next.Target { // rejected just now, for another service
		return
	}
	f.Grace, f.Task = s.Update.Grace, s.Task
	v := versionIn(*f, s.Template)
	again := p.in.Head.Retry && p.next.Revision > p.have.Revision
	if again {
		f.Rejected = nil
		f.Done = slices.DeleteFunc(f.Done, func(r glint.Result) bool { return r.Outcome != glint.Succeeded })
	}
	idle := f.Phase == "" || f.Phase == glint.Empty || f.Phase == glint.Emptying || f.Phase == glint.Awaiting
	switch {
	case (v != f.Target || idle) && p.waits(s, f):
		p.waiting[f.Name], p.busy = true, true
		if len(f.Members) == 0 && f.Phase != glint.Steady {
			p.enter(f, glint.Awaiting)
		}
	case v != f.Target || idle || again && f.Phase != glint.Steady:
		p.begin(s, f, v)
	case p.target != p.have.Target && f.Phase != glint.Canary && counting(*f) != f.Wants(s) && !s.Task:
		p.enter(f, p.rollout())
	}
	if slices.Contains(f.Rejected, v) && s.Instances > 0 && (!s.Task || wantsRun(*f)) {
		p.reject(s.Name, v, glint.Member{}, "it failed before; to try it again: glint apply --retry")
	}
}

// begin starts the rollout of a version. Instances of it that were kept warm are wanted again; those of a third version are
// of no more use, see cool.
func (p *planner) begin(s glint.Service, f *glint.Fleet, v glint.Digest) {
	if f.Templates == nil {
		f.Templates = map[glint.Digest]glint.Template{}
	}
	f.Templates[v] = s.Template
	phase := p.rollout()
	if phase == glint.RollingTo && p.needsCanary(s, *f, v) {
		phase = glint.Canary
	}
	f.Target, f.Failed, f.Retry, f.Baking, f.Promoted = v, 0, time.Time{}, time.Time{}, nil
	f.Phase, f.Since = phase, p.now
	for i := range f.Members {
		if m := &f.Members[i]; m.Stays() && m.Version == v {
			m.Warm = time.Time{}
		}
	}
}

// waits reports whether a new version of the service must wait: for what it comes after, or for a person. What turns back
// to the stable revision waits for nothing.
func (p *planner) waits(s glint.Service, f *glint.Fleet) bool {
	if p.returning() {
		return false
	}
	if p.next.Paused != nil {
		p.note(f.Name, glint.Member{}, "its new version waits: %s", pausedText(*p.next.Paused))
		return true
	}
	var missing []string
	for _, name := range s.After {
		if !p.done(name) {
			missing = append(missing, name)
		}
	}
	if len(missing) > 0 {
		p.note(f.Name, glint.Member{}, "its new version waits for %s", strings.Join(missing, ", "))
	}
	return len(missing) > 0
}

// done reports whether a service serves, or a task has succeeded, as this revision declares it. It looks at the blueprint as
// it was, so that the answer does not depend on the order of the services.
func (p *planner) done(name string) bool {
	s, _ := p.release.Service(name)
	f, _ := p.have.Fleet(name)
	return f.Phase == glint.Steady && f.Target == versionIn(f, s.Template)
}

// rollout names the phase of a change: forward, or back to what worked.
func (p *planner) rollout() glint.Phase {
	if p.returning() {
		return glint.Returning
	}
	return glint.RollingTo
}

func (p *planner) enter(f *glint.Fleet, phase glint.Phase) {
	if f.Phase != phase {
		f.Phase, f.Since = phase, p.now
	}
}

// scale takes up the number of instances that was asked for. Fewer is taken up at once. More waits until all there are work:
// to add instances to what does not start, or to what is just being replaced, helps nobody.
func (p *planner) scale(s glint.Service, f *glint.Fleet) {
	for _, o := range p.orders {
		if o.Kind == glint.OrderScale && o.Service == f.Name {
			f.Asked = o.Wanted
		}
	}
	if s.Max == 0 {
		f.Asked, f.Wanted = 0, 0
	}
	asked := *f
	asked.Wanted = f.Asked
	switch is, wants := f.Wants(s), asked.Wants(s); {
	case f.Asked == 0:
	case wants <= is || p.allReady(*f, is) && !p.waiting[f.Name]:
		f.Wanted = wants
	default:
		p.note(f.Name, glint.Member{}, "%d instances are asked for; stays at %d until all of these work", wants, is)
	}
}

func (p *planner) allReady(f glint.Fleet, n int) bool {
	if f.Phase != glint.Steady {
		return false
	}
	for _, m := range f.Members {
		if m.Counts() {
			n--
		}
		if m.Counts() && !p.ready(f.Name, m) {
			return false
		}
	}
	return n <= 0
}

// versionIn names a template. Nearly always it is that of the fleet's target, and to compare is cheaper than to hash.
func versionIn(f glint.Fleet, t glint.Template) glint.Digest {
	if target, ok := f.Templates[f.Target]; ok && reflect.DeepEqual(t, target) {
		return f.Target
	}
	return t.Version()
}
