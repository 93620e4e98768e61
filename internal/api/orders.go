package api

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/glint-infra/glint"
	"github.com/glint-infra/glint/internal/plan"
)

type ordersInput struct {
	StackPath
	Body OrderRequest
}

type scaleInput struct {
	StackPath
	Service string `path:"service"`
	Body    ScaleRequest
}

// A desk is where a word about a stack is judged before it is written down: what there is, and what was asked already.
type desk struct {
	standing
	declared glint.Release // what is carried out
	open     []glint.Order // not taken up yet, or not carried out
}

// desk reads what a word is judged by. Nothing is asked of a stack that is about to end.
func (s *server) desk(ctx context.Context, stack string) (d desk, err error) {
	if _, err = s.head(ctx, stack); err != nil {
		return d, err
	}
	if d.standing, err = s.standing(ctx, stack); err != nil {
		return d, err
	}
	if n := d.newest(); n.Kind == glint.KindDestroy {
		return d, notNow("stack %s is being destroyed (r%d, by %s); see glint status", stack, n.Number, n.By)
	}
	if d.declared, err = s.Store.Release(ctx, runs(d.head, d.revs).Release); err != nil {
		return d, err
	}
	d.open, err = s.Store.Orders(ctx, stack)
	return d, err
}

func notNow(format string, args ...any) error {
	return refuse(http.StatusConflict, CodeNotNow, format, args...)
}

func already(format string, args ...any) error {
	return refuse(http.StatusConflict, CodeUnchanged, format, args...)
}

// unexplained refuses a word without a reason: those who find what stands still, or is gone, must learn it from the history.
func unexplained(comment, verb string) error {
	if strings.TrimSpace(comment) == "" {
		return refuse(http.StatusUnprocessableEntity, CodeInvalid, "say why (comment): others will find it in the history, such as: glint %s --reason \"errors at checkout\"", verb)
	}
	return nil
}

// service finds a service that is declared or still has instances. Empty is all of them.
func (d desk) service(name string) (glint.Service, error) {
	if names := services(d.head, d.declared); name != "" && !slices.Contains(names, name) {
		if len(names) == 0 {
			return glint.Service{}, refuse(http.StatusNotFound, CodeNotFound, "stack %s has no services", d.head.Stack)
		}
		return glint.Service{}, refuse(http.StatusNotFound, CodeNotFound, "stack %s has no service %s; %s", d.head.Stack, name, instead(name, names))
	}
	sv, _ := d.declared.Service(name)
	return sv, nil
}

// waiting returns the newest order about the same thing that is not taken up yet: a pause and its end are one thing.
func (d desk) waiting(o glint.Order) (glint.Order, bool) {
	thing := func(o glint.Order) glint.Order {
		if o.Kind == glint.OrderResume {
			o.Kind = glint.OrderPause
		}
		return glint.Order{Kind: o.Kind, Service: o.Service}
	}
	for _, have := range slices.Backward(d.open) {
		if have.ID > d.head.Ordered && thing(have) == thing(o) {
			return have, true
		}
	}
	return glint.Order{}, false
}

// order writes a word down, unless the very same one waits to be taken up.
func (s *server) order(ctx context.Context, d desk, o glint.Order) (glint.Order, error) {
	if have, ok := d.waiting(o); ok && have.Kind == o.Kind && have.Wanted == o.Wanted {
		return have, nil
	}
	o.Stack, o.At, o.By = d.head.Stack, s.Now().UTC(), by(ctx, o.By)
	o, err := s.Store.AddOrder(ctx, o)
	if err == nil {
		s.Conductor.Poke(o.Stack)
	}
	return o, err
}

func (s *server) promote(ctx context.Context, in *ordersInput) (glint.Order, error) {
	d, err := s.desk(ctx, in.Stack)
	if err != nil {
		return glint.Order{}, err
	}
	if _, err := d.service(in.Body.Service); err != nil {
		return glint.Order{}, err
	}
	if err := d.promotable(in.Body.Service); err != nil {
		return glint.Order{}, err
	}
	return s.order(ctx, d, glint.Order{Kind: glint.OrderPromote, Service: in.Body.Service, By: in.Body.By, Comment: in.Body.Comment})
}

// promotable objects where there is no canary that is complete.
func (d desk) promotable(service string) error {
	var complete, others []string
	var promoted *glint.Word
	for _, f := range d.head.Services {
		if f.Phase != glint.Canary || service != "" && f.Name != service {
			continue
		}
		switch {
		case f.Promoted != nil:
			promoted = f.Promoted
		case f.Baking.IsZero():
			others = append(others, f.Name)
		default:
			complete = append(complete, f.Name)
		}
	}
	switch what := d.name(service); {
	case len(complete)+len(others) == 0 && promoted != nil:
		return already("%s was promoted already, %s", what, wordText(promoted))
	case len(complete)+len(others) == 0:
		f, _ := d.head.Fleet(service)
		if service != "" && f.Phase != "" {
			return notNow("%s has no canary: it is %s; see glint status", what, f.Phase)
		}
		return notNow("nothing of %s is in canary; see glint status", what)
	case d.head.Paused != nil:
		return notNow("%s is paused (%s); let it go on first: glint resume", d.head.Stack, wordText(d.head.Paused))
	case len(others) > 0 && len(complete) > 0:
		return notNow("the canary of %s is not complete yet; promote what is: glint promote %s", strings.Join(others, " and "), complete[0])
	case len(others) > 0:
		return notNow("the canary of %s is not complete and ready yet; what it waits for: glint why %s", strings.Join(others, " and "), others[0])
	}
	return nil
}

// name is how people call a service, or the stack.
func (d desk) name(service string) string {
	if service == "" {
		return d.head.Stack
	}
	return d.head.Stack + "/" + service
}

func wordText(w *glint.Word) string {
	text := fmt.Sprintf("by %s since %s UTC", w.By, w.At.UTC().Format("2006-01-02 15:04:05"))
	if w.Comment != "" {
		text += ": " + w.Comment
	}
	return text
}

func (s *server) abort(ctx context.Context, in *wordInput) (glint.Order, error) {
	d, err := s.desk(ctx, in.Stack)
	if err != nil {
		return glint.Order{}, err
	}
	if err := d.abortable(); err != nil {
		return glint.Order{}, err
	}
	if err := unexplained(in.Body.Comment, "abort"); err != nil {
		return glint.Order{}, err
	}
	return s.order(ctx, d, glint.Order{Kind: glint.OrderAbort, By: in.Body.By, Comment: in.Body.Comment})
}

// abortable objects when nothing is being carried out, or there is nothing to return to.
func (d desk) abortable() error {
	r := d.newest().Number
	switch outcome := plan.Outcome(d.head, r); {
	case outcome == glint.Serving:
		return notNow("there is nothing to abort: r%d serves; to go back to the one before: glint rollback", r)
	case outcome == glint.Failed || outcome == glint.RolledBack || outcome == glint.RollingBack:
		return already("r%d was rejected already: %s", r, d.head.Rejected.Because)
	case outcome == glint.Waiting && d.head.Paused != nil && d.head.Stable != 0:
		return notNow("r%d has not begun, for %s is paused (%s); to do without it: glint rollback r%d, which ends the pause", r, d.head.Stack, wordText(d.head.Paused), d.head.Stable)
	case outcome == glint.Waiting && d.head.Stable != 0:
		return notNow("r%d has not begun yet; ask again in a moment", r)
	case d.head.Stable == 0:
		return notNow("r%d cannot be aborted: no revision of %s has served yet, so there is none to return to; apply another (glint apply), or end it: glint destroy %s", r, d.head.Stack, d.head.Stack)
	}
	return nil
}

func (s *server) pause(ctx context.Context, in *wordInput) (glint.Order, error) {
	d, err := s.desk(ctx, in.Stack)
	if err != nil {
		return glint.Order{}, err
	}
	if err := unexplained(in.Body.Comment, "pause"); err != nil {
		return glint.Order{}, err
	}
	o := glint.Order{Kind: glint.OrderPause, By: in.Body.By, Comment: in.Body.Comment}
	if _, some := d.waiting(o); !some && d.head.Paused != nil {
		return o, already("%s is paused already (%s); to let it go on: glint resume", in.Stack, wordText(d.head.Paused))
	}
	return s.order(ctx, d, o)
}

func (s *server) resume(ctx context.Context, in *wordInput) (glint.Order, error) {
	d, err := s.desk(ctx, in.Stack)
	if err != nil {
		return glint.Order{}, err
	}
	o := glint.Order{Kind: glint.OrderResume, By: in.Body.By, Comment: in.Body.Comment}
	if _, some := d.waiting(o); !some && d.head.Paused == nil {
		return o, already("%s is not paused", in.Stack)
	}
	return s.order(ctx, d, o)
}

func (s *server) regenerate(ctx context.Context, in *ordersInput) (glint.Order, error) {
	d, err := s.desk(ctx, in.Stack)
	if err != nil {
		return glint.Order{}, err
	}
	sv, err := d.service(in.Body.Service)
	if err != nil {
		return glint.Order{}, err
	}
	if sv.Task {
		return glint.Order{}, notNow("%s is a task, which has nothing to renew; to run it once more, apply with --retry after it failed, or a changed one", d.name(sv.Name))
	}
	some := slices.ContainsFunc(d.head.Services, func(f glint.Fleet) bool {
		return (in.Body.Service == "" || f.Name == in.Body.Service) && slices.ContainsFunc(f.Members, glint.Member.Stays)
	})
	if !some {
		return glint.Order{}, notNow("%s has no instances to replace", d.name(in.Body.Service))
	}
	return s.order(ctx, d, glint.Order{Kind: glint.OrderRegenerate, Service: in.Body.Service, By: in.Body.By, Comment: in.Body.Comment})
}

func (s *server) scale(ctx context.Context, in *scaleInput) (glint.Order, error) {
	d, err := s.desk(ctx, in.Stack)
	if err != nil {
		return glint.Order{}, err
	}
	sv, err := d.service(in.Service)
	if err != nil {
		return glint.Order{}, err
	}
	what, n := d.name(in.Service), in.Body.Wanted
	f, _ := d.head.Fleet(in.Service)
	f.Wanted = f.Asked
	switch {
	case sv.Name == "":
		return glint.Order{}, notNow("%s is no longer declared; its last instances leave", what)
	case sv.Task:
		return glint.Order{}, refuse(http.StatusUnprocessableEntity, CodeRefused, "%s is a task: it runs once", what)
	case sv.Max == 0:
		return glint.Order{}, refuse(http.StatusUnprocessableEntity, CodeRefused, "%s has a fixed number of instances (%d); change it in glint.hcl, or say there how many there may be, such as instances { min = 1  max = %d }, and apply", what, sv.Instances, max(2*sv.Instances, n, 2))
	case n < sv.Min || n > sv.Max:
		return glint.Order{}, refuse(http.StatusUnprocessableEntity, CodeRefused, "%s may have %d to %d instances, not %d; the bounds are in glint.hcl: instances { min = %d  max = %d }", what, sv.Min, sv.Max, n, sv.Min, sv.Max)
	}
	o := glint.Order{Kind: glint.OrderScale, Service: in.Service, Wanted: n, By: in.Body.By, Comment: in.Body.Comment}
	if _, some := d.waiting(o); !some && f.Wants(sv) == n {
		return o, already("%s has %d instances already, or is on its way to them", what, n)
	}
	return s.order(ctx, d, o)
}
