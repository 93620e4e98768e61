package api

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/glint-infra/glint"
	"github.com/glint-infra/glint/internal/check"
	"github.com/glint-infra/glint/internal/plan"
)

type applyInput struct {
	StackPath
	Body ApplyRequest
}

type rollbackInput struct {
	StackPath
	Body RollbackRequest
}

type wordInput struct {
	StackPath
	Body WordRequest
}

type replaceInput struct {
	InstancePath
	Body WordRequest
}

// An InstancePath is the part of a path that names an instance.
type InstancePath struct {
	StackPath
	Service string `path:"service"`
	N       int    `path:"n" minimum:"1"`
}

// A standing is what a stack's newest revision is, before something is asked of it.
type standing struct {
	revs  []glint.Revision // oldest first; none for a stack that never was
	head  glint.Blueprint  // zero when it does not live
	lives bool
}

func (s *server) standing(ctx context.Context, stack string) (st standing, err error) {
	if st.revs, err = s.Store.Revisions(ctx, stack); errors.Is(err, glint.ErrNotFound) {
		return st, nil
	} else if err != nil {
		return st, err
	}
	st.head, err = s.Store.Head(ctx, stack)
	st.lives = err == nil
	if errors.Is(err, glint.ErrNotFound) {
		err = nil
	}
	return st, err
}

// carriedOut is the revision that the stack is made to be now: the newest, unless that was rejected.
func (st standing) carriedOut() glint.Revision {
	if r := st.head.Rejected; r != nil && r.Revision == len(st.revs) && st.head.Target > 0 {
		return st.revs[st.head.Target-1]
	}
	return st.newest()
}

func (st standing) newest() glint.Revision {
	if len(st.revs) == 0 {
		return glint.Revision{}
	}
	return st.revs[len(st.revs)-1]
}

// same reports whether the newest revision asks for this very release.
func (st standing) same(d glint.Digest) bool {
	n := st.newest()
	return st.lives && n.Kind != glint.KindDestroy && n.Release == d
}

// rejection of the newest revision, if it was rejected.
func (st standing) rejection() *glint.Rejection {
	if r := st.head.Rejected; r != nil && r.Revision == st.newest().Number {
		return r
	}
	return nil
}

// admit refuses a release that could not be carried out, with every objection.
func (s *server) admit(ctx context.Context, stack string, rel glint.Release) error {
	if rel.Format > glint.ReleaseFormat {
		return refuse(http.StatusUnprocessableEntity, CodeTooNew, "the release has format %d and this server reads up to %d: upgrade the server", rel.Format, glint.ReleaseFormat)
	}
	var items []string
	if rel.Stack != stack {
		items = append(items, fmt.Sprintf("the release is of stack %s, not %s", rel.Stack, stack))
	}
	items = append(items, objections(check.Release(rel))...)
	for _, im := range rel.Images {
		if !im.Digest.Valid() {
			items = append(items, fmt.Sprintf("image %s: %q is not a digest", im.Name, im.Digest))
		}
	}
	unsealed, err := s.unsealed(rel)
	if err != nil {
		return err
	}
	items = append(items, unsealed...)
	claimed, err := s.claimed(ctx, stack, rel)
	if err != nil {
		return err
	}
	if items = append(items, claimed...); len(items) == 0 {
		return nil
	}
	e := refuse(http.StatusUnprocessableEntity, CodeRefused, "the release of %s is refused; nothing was changed", stack)
	e.Items = items
	return e
}

func objections(err error) []string {
	switch joined := err.(type) {
	case nil:
		return nil
	case interface{ Unwrap() []error }:
		var all []string
		for _, e := range joined.Unwrap() {
			all = append(all, e.Error())
		}
		return all
	}
	return []string{err.Error()}
}

// unsealed objects to images that could not be started here.
func (s *server) unsealed(rel glint.Release) (items []string, err error) {
	users := map[glint.Digest]string{}
	for _, sv := range rel.Services {
		users[sv.Template.Image] = cmp.Or(users[sv.Template.Image], "service "+sv.Name)
	}
	for _, im := range rel.Images {
		users[im.Digest] = "image " + im.Name
	}
	var order []glint.Digest
	for d := range users {
		if d.Valid() {
			order = append(order, d)
		}
	}
	slices.Sort(order)
	for _, d := range order {
		switch _, err := s.Images.Open(d); {
		case errors.Is(err, glint.ErrNotFound):
			items = append(items, fmt.Sprintf("%s: there is no sealed image %s on this server; seal it first (glint apply does)", users[d], d))
		case err != nil:
			return nil, fmt.Errorf("looking for image %s: %w", d.Short(), err)
		}
	}
	return items, nil
}

// asked fills in the release of the revision that is to be taken again, and judges what should become the newest one.
func (s *server) asked(ctx context.Context, stack string, req *ApplyRequest) error {
	switch whole := req.Release.Format != 0 || req.Release.Stack != ""; {
	case req.From == 0 && !whole:
		return refuse(http.StatusUnprocessableEntity, CodeInvalid, "which release? Send one (release), or name the revision whose release is meant (from)")
	case req.From > 0 && whole:
		return refuse(http.StatusUnprocessableEntity, CodeInvalid, "ask for a release, or from r%d, not for both", req.From)
	case req.From == 0:
		return s.admit(ctx, stack, req.Release)
	}
	_, past, err := s.judged(ctx, stack)
	if err != nil {
		return err
	}
	if req.From > len(past) {
		return refuse(http.StatusNotFound, CodeNotFound, "stack %s has no revision r%d; its newest is r%d", stack, req.From, len(past))
	}
	switch r := past[req.From-1]; {
	case r.Kind == glint.KindDestroy:
		return refuse(http.StatusUnprocessableEntity, CodeRefused, "r%d ended the stack; there is nothing in it to apply", req.From)
	case r.rejected && !req.Retry:
		return refuse(http.StatusConflict, CodeRejected, "r%d was rejected (%s); to try it again as it is: glint apply --from r%d --retry", req.From, r.Because(), req.From)
	default:
		if req.Release, err = s.Store.Release(ctx, r.Release); err != nil {
			return fmt.Errorf("reading the release of r%d: %w", req.From, err)
		}
	}
	return s.admit(ctx, stack, req.Release)
}

func (s *server) plan(ctx context.Context, in *applyInput) (PlanReply, error) {
	req := in.Body
	if err := s.asked(ctx, in.Stack, &req); err != nil {
		return PlanReply{}, err
	}
	st, err := s.standing(ctx, in.Stack)
	if err != nil {
		return PlanReply{}, err
	}
	newest := st.newest()
	out := PlanReply{Stages: []plan.Stage{}, Revision: newest.Number + 1}
	if now := st.carriedOut(); now.Number > 0 {
		if out.Before, err = s.Store.Release(ctx, now.Release); err != nil {
			return out, err
		}
	}
	rev := glint.Revision{Stack: in.Stack, At: s.Now(), By: by(ctx, req.By), Kind: glint.KindApply, From: req.From, Retry: req.Retry, Comment: req.Comment}
	stages, rests, err := s.Conductor.Preview(ctx, rev, req.Release)
	if err != nil {
		return out, err
	}
	idle := !slices.ContainsFunc(stages, func(g plan.Stage) bool { return len(g.Actions) > 0 })
	out.Rests = rests
	if out.Unchanged = idle && st.same(req.Release.Digest()) && st.rejection() == nil; out.Unchanged {
		out.Revision = newest.Number
		return out, nil
	}
	out.Stages = append(out.Stages, stages...)
	return out, nil
}

func by(ctx context.Context, who string) string {
	if who != "" {
		return who
	}
	return peer(ctx)
}

func (s *server) apply(ctx context.Context, in *applyInput) (ApplyReply, error) {
	req := in.Body
	if err := s.asked(ctx, in.Stack, &req); err != nil {
		return ApplyReply{}, err
	}
	st, err := s.standing(ctx, in.Stack)
	if err != nil {
		return ApplyReply{}, err
	}
	if st.same(req.Release.Digest()) {
		if reply, err := st.again(req.Retry); err != nil || reply.Unchanged {
			return reply, err
		}
	} else if req.After != 0 && req.After != st.newest().Number {
		return ApplyReply{}, beaten(st.newest())
	}
	rev := glint.Revision{Stack: in.Stack, Kind: glint.KindApply, From: req.From, By: by(ctx, req.By), Retry: req.Retry, Comment: req.Comment}
	rev, err = s.add(ctx, rev, req.Release, st)
	if !errors.Is(err, glint.ErrConflict) {
		return ApplyReply{Revision: rev}, err
	}
	if st, err = s.standing(ctx, in.Stack); err != nil { // two may ask for the same at the same time, as CI does
		return ApplyReply{}, err
	}
	if st.same(req.Release.Digest()) {
		return st.again(false)
	}
	return ApplyReply{}, beaten(st.newest())
}

// again answers who asks for what the newest revision asks for already. Without an error and Unchanged, it is tried again.
func (st standing) again(retry bool) (ApplyReply, error) {
	rejected := st.rejection()
	switch {
	case rejected == nil:
		return ApplyReply{Revision: st.newest(), Unchanged: true}, nil
	case !retry:
		return ApplyReply{}, refuse(http.StatusConflict, CodeRejected, "this very release is r%d, and it was rejected: %s; mend it, or try it again as it is: glint apply --retry", rejected.Revision, rejected.Because)
	}
	return ApplyReply{}, nil
}

// beaten says who was first.
func beaten(by glint.Revision) error {
	return refuse(http.StatusConflict, CodeConflict, "somebody else applied r%d at the same time (%s by %s); look at it (glint diff), then apply again", by.Number, by.Kind, by.By)
}

// add writes a revision down after those that were read, and asks for a turn of the loop.
func (s *server) add(ctx context.Context, rev glint.Revision, rel glint.Release, after standing) (glint.Revision, error) {
	rev.At = s.Now().UTC()
	rev, err := s.Store.AddRevision(ctx, rev, rel, after.newest().Number, s.Epoch())
	if err == nil {
		s.Conductor.Poke(rev.Stack)
	}
	return rev, err
}

func (s *server) rollback(ctx context.Context, in *rollbackInput) (glint.Revision, error) {
	st, past, err := s.judged(ctx, in.Stack)
	if err != nil {
		return glint.Revision{}, err
	}
	to, err := goal(in.Stack, in.Body.To, st, past)
	if err != nil {
		return glint.Revision{}, err
	}
	rel, err := s.Store.Release(ctx, to.Release)
	if err != nil {
		return glint.Revision{}, fmt.Errorf("reading the release of r%d: %w", to.Number, err)
	}
	if err := s.admit(ctx, in.Stack, rel); err != nil {
		return glint.Revision{}, err
	}
	rev := glint.Revision{Stack: in.Stack, Kind: glint.KindRollback, From: to.Number, By: by(ctx, in.Body.By), Comment: in.Body.Comment}
	rev, err = s.add(ctx, rev, rel, st)
	if errors.Is(err, glint.ErrConflict) {
		if st, err = s.standing(ctx, in.Stack); err == nil {
			err = beaten(st.newest())
		}
	}
	return rev, err
}

// goal finds the revision to go back to: the one that was asked for, or the last that served before the one that is
// being carried out and asks for something else.
func goal(stack string, to int, st standing, past []judged) (glint.Revision, error) {
	no := func(code, format string, args ...any) (glint.Revision, error) {
		status := http.StatusConflict
		if code == CodeNotFound {
			status = http.StatusNotFound
		}
		return glint.Revision{}, refuse(status, code, format, args...)
	}
	if to < 0 || to > len(past) {
		return no(CodeNotFound, "stack %s has no revision r%d; its newest is r%d", stack, to, len(past))
	}
	if !st.lives && to == 0 {
		return no(CodeNotFound, "stack %s was destroyed (r%d); to run it again, name a revision, such as: glint rollback r%d --stack %s", stack, len(past), max(len(past)-1, 1), stack)
	}
	var now glint.Revision
	if st.lives {
		now = carried(st.head, st.revs)
	}
	if to == 0 {
		for _, r := range slices.Backward(past[:now.Number-1]) {
			if r.served && r.Release != now.Release && r.Kind != glint.KindDestroy {
				return r.Revision, nil
			}
		}
		return no(CodeNotFound, "no revision of %s before r%d ever served anything else; there is nothing to go back to", stack, now.Number)
	}
	r := past[to-1]
	switch {
	case r.Kind == glint.KindDestroy:
		return no(CodeNotFound, "r%d ended the stack; there is nothing to go back to", to)
	case r.Release == now.Release && now.Kind != glint.KindDestroy:
		return no(CodeUnchanged, "r%d is what r%d runs already; nothing was changed", to, now.Number)
	case r.rejected:
		return no(CodeRejected, "r%d was rejected (%s); to try it again as it is: glint apply --from r%d --retry", to, r.Because(), to)
	}
	return r.Revision, nil
}

// attempts bounds how often an end is asked for while others keep asking for something else.
const attempts = 5

func (s *server) destroy(ctx context.Context, in *wordInput) (glint.Revision, error) {
	for range attempts {
		if _, err := s.head(ctx, in.Stack); err != nil {
			return glint.Revision{}, err
		}
		st, err := s.standing(ctx, in.Stack)
		if err != nil {
			return glint.Revision{}, err
		}
		if st.newest().Kind == glint.KindDestroy {
			return st.newest(), nil // under way
		}
		rev := glint.Revision{Stack: in.Stack, Kind: glint.KindDestroy, By: by(ctx, in.Body.By), Comment: in.Body.Comment}
		rev, err = s.add(ctx, rev, glint.Release{Format: glint.ReleaseFormat, Stack: in.Stack}, st)
		if !errors.Is(err, glint.ErrConflict) {
			return rev, err
		}
	}
	return glint.Revision{}, refuse(http.StatusConflict, CodeConflict, "others keep asking for new revisions of %s; ask again", in.Stack)
}

func (s *server) replace(ctx context.Context, in *replaceInput) (glint.Order, error) {
	head, err := s.head(ctx, in.Stack)
	if err != nil {
		return glint.Order{}, err
	}
	f, _ := head.Fleet(in.Service)
	m, ok := f.Member(in.N)
	if !ok {
		return glint.Order{}, missing(head, in.Service, in.N)
	}
	id := head.ID(in.Service, m)
	if !m.Stays() {
		return glint.Order{}, refuse(http.StatusConflict, CodeUnchanged, "%s leaves already: %s, %s", id.Short(), m.Reason, m.Because)
	}
	open, err := s.Store.Orders(ctx, in.Stack)
	if err != nil {
		return glint.Order{}, err
	}
	if i := slices.IndexFunc(open, func(o glint.Order) bool { return o.Instance == id }); i >= 0 {
		return open[i], nil // asked for already
	}
	o, err := s.Store.AddOrder(ctx, glint.Order{Stack: in.Stack, Kind: glint.OrderReplace, Instance: id, At: s.Now().UTC(), By: by(ctx, in.Body.By), Comment: in.Body.Comment})
	if err == nil {
		s.Conductor.Poke(in.Stack)
	}
	return o, err
}
