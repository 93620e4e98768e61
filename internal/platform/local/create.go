package local

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/glint-infra/glint"
	"github.com/glint-infra/glint/internal/platform/local/rootfs"
)

var errClosed = errors.New("the local platform is closed")

// take returns the life of id with its turn held; give ends the turn. There is one life of an ID at any time.
func (p *Platform) take(ctx context.Context, id glint.ID) (*life, error) {
	for {
		p.mu.Lock()
		if p.closing {
			p.mu.Unlock()
			return nil, errClosed
		}
		in, ok := p.lives[id]
		if !ok {
			in = newLife(p.cfg.RunDir, id)
			p.lives[id] = in
		}
		p.turns.Add(1)
		p.mu.Unlock()
		select {
		case in.turn <- struct{}{}:
		case <-ctx.Done():
			p.turns.Done()
			return nil, ctx.Err()
		}
		p.mu.Lock()
		current := p.lives[id] == in
		p.mu.Unlock()
		if current {
			return in, nil
		}
		<-in.turn
		p.turns.Done()
	}
}

// give ends a turn, and forgets a life that was not accepted or is over.
func (p *Platform) give(in *life) {
	p.mu.Lock()
	if _, known := in.record(); !known && p.lives[in.id] == in {
		delete(p.lives, in.id)
	}
	p.mu.Unlock()
	<-in.turn
	p.turns.Done()
}

// Create accepts an instance by writing it down, and then makes it. What goes wrong after that is found in List.
// An ID that was destroyed is refused with glint.ErrConflict, a volume that another instance holds with glint.ErrInUse.
func (p *Platform) Create(ctx context.Context, spec glint.InstanceSpec) error {
	if _, err := glint.ParseKey(spec.ID.Key()); err != nil {
		return fmt.Errorf("creating %s: %w: %w", spec.ID, err, glint.ErrInvalid)
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	in, err := p.take(ctx, spec.ID)
	if err != nil {
		return fmt.Errorf("creating %s: %w", spec.ID, err)
	}
	defer p.give(in)
	r, known := in.record()
	if !known {
		if err := p.accept(in, spec); err != nil {
			return fmt.Errorf("creating %s: %w", spec.ID, err)
		}
		r, _ = in.record()
	}
	if r.Leaving {
		return fmt.Errorf("creating %s: it is being destroyed: %w", spec.ID, glint.ErrConflict)
	}
	p.bring(context.WithoutCancel(ctx), in, spec.Held)
	return nil
}

// bring makes what is not made and lets go what is not to be held. Failures become the instance's own.
func (p *Platform) bring(ctx context.Context, in *life, held bool) {
	defer p.hint()
	r, _ := in.record()
	var err error
	if r.Exit == nil && !r.Made {
		err = p.make(ctx, in)
	}
	if r, _ = in.record(); err == nil && r.Exit == nil && r.Started.IsZero() && !held {
		err = p.letGo(ctx, in)
	}
	if err != nil {
		p.fail(ctx, in, err)
	}
}

// accept gives the instance its address and volumes and writes it down.
func (p *Platform) accept(in *life, spec glint.InstanceSpec) error {
	if over, err := p.spent.has(in.id); err != nil || over {
		return errors.Join(err, fmt.Errorf("it was destroyed, and no ID lives twice: %w", glint.ErrConflict))
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	used := map[netip.Addr]bool{}
	for _, other := range p.lives {
		r, known := other.record()
		if !known {
			continue
		}
		if addr, err := netip.ParseAddr(r.Address); err == nil {
			used[addr] = true
		}
		if v, shared := sharedVolume(spec, r.Spec); shared && r.Exit == nil {
			return fmt.Errorf("volume %s of service %s is held by %s: %w", v, in.id.Service, other.id, glint.ErrInUse)
		}
	}
	addr, ok := nextFree(p.cfg.Pool, p.last, used)
	if !ok {
		return fmt.Errorf("all addresses of %s are taken; give the server a larger pool: %w", p.cfg.Pool, glint.ErrInUse)
	}
	if err := os.Mkdir(in.dir, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	p.at("create: its folder is made")
	err := in.note(func(r *record) {
		*r = record{Spec: spec, Address: addr.String(), Link: linkName(p.cfg.Name, addr), Created: time.Now().UTC()}
	})
	if err == nil {
		p.last = addr
	}
	return err
}

func sharedVolume(a, b glint.InstanceSpec) (string, bool) {
	if a.ID.Stack != b.ID.Stack || a.ID.Service != b.ID.Service {
		return "", false
	}
	for _, v := range a.Template.Volumes {
		if slices.ContainsFunc(b.Template.Volumes, func(w glint.Volume) bool { return w.Name == v.Name }) {
			return v.Name, true
		}
	}
	return "", false
}

// nextFree goes round the pool: an address rests for as long as possible before somebody else has it, because others
// may still hold connections to it. The first and the last address stay free, as networks expect.
func nextFree(pool netip.Prefix, last netip.Addr, used map[netip.Addr]bool) (netip.Addr, bool) {
	size := 1 << (32 - pool.Bits())
	first := pool.Addr().Next()
	if !pool.Contains(last) {
		last = pool.Addr()
	}
	for a := last.Next(); size > 0; size-- {
		if !pool.Contains(a) || !pool.Contains(a.Next()) {
			a = first
		}
		if !used[a] {
			return a, true
		}
		a = a.Next()
	}
	return netip.Addr{}, false
}

// make makes the container of an accepted instance and connects it; its program does not run yet.
func (p *Platform) make(ctx context.Context, in *life) error {
	p.at("create: it is accepted")
	r, _ := in.record()
	key, t := in.id.Key(), r.Spec.Template
	img, err := p.cfg.Images.Open(t.Image)
	if err != nil {
		return fmt.Errorf("opening image %s: %w", t.Image.Short(), err)
	}
	b := bundle{rec: r, image: img, cgroup: p.groups.path(key), volumes: filepath.Join(p.cfg.DataDir, "volumes"), dir: in.dir}
	if err := b.check(); err != nil {
		return err
	}
	if err := volumesReady(b.volumes, r.Spec); err != nil {
		return err
	}
	if b.root, err = p.roots.Prepare(img, b.points(), func(x rootfs.Root) error { return in.note(func(r *record) { r.Root = x }) }); err != nil {
		return err
	}
	p.at("create: its root is mounted")
	s := b.spec()
	p.filter.apply(s)
	if err := b.write(s, p.cfg.Names); err != nil {
		return fmt.Errorf("writing the bundle: %w", err)
	}
	p.at("create: its bundle is written")
	keeper, init, err := p.keepers.make(keeping{key: key, dir: in.dir, logSize: p.cfg.LogSize})
	if err != nil {
		return err
	}
	p.at("create: its container is held")
	if err := p.filter.learn(s, p.stateDir(in)); err != nil {
		return err
	}
	if err := in.note(func(r *record) { r.Init, r.Keeper = init, keeper }); err != nil {
		return err
	}
	p.at("create: its processes are noted")
	addr, err := netip.ParseAddr(r.Address)
	if err != nil {
		return err
	}
	if err := wire(r.Link, addr, init); err != nil {
		return err
	}
	p.at("create: it is wired")
	if err := p.join(ctx, in.id, r); err != nil {
		return err
	}
	p.at("create: it is guarded")
	if err := in.note(func(r *record) { r.Made = true }); err != nil {
		return err
	}
	p.at("create: it is made")
	return p.watch(in)
}

func (p *Platform) stateDir(in *life) string {
	return filepath.Join(p.cfg.RunDir, "crun", in.id.Key())
}

func (p *Platform) join(ctx context.Context, id glint.ID, r record) error {
	if p.cfg.Members == nil {
		return nil
	}
	addr, err := netip.ParseAddr(r.Address)
	if err == nil {
		err = p.cfg.Members.Join(ctx, id, addr, r.Link)
	}
	if err != nil {
		return fmt.Errorf("putting %s behind the firewall: %w", id, err)
	}
	return nil
}

// letGo lets the program run. It is written down before it happens: a program that may have run is never made again.
func (p *Platform) letGo(ctx context.Context, in *life) error {
	if err := in.note(func(r *record) { r.Started = time.Now().UTC() }); err != nil {
		return err
	}
	p.at("create: it may run")
	return p.keepers.letGo(ctx, in.id.Key())
}

// fail takes away what was made and lists the instance as dead.
func (p *Platform) fail(ctx context.Context, in *life, why error) {
	text, lasting := reason(in, why)
	err := p.sweep(ctx, in)
	in.noteAnyway(func(r *record) {
		if r.Exit != nil { // it died by itself meanwhile, and that was seen
			return
		}
		if err != nil {
			text += "; and then " + err.Error()
		}
		r.Started = time.Time{}
		r.Exit = &glint.Exit{Code: -1, Failure: text, Permanent: lasting, At: time.Now().UTC(), Tail: tail(in.dir, tailLines)}
	})
	in.bury()
}

// reason says for people why an instance cannot be made, and whether trying again is of no use.
func reason(in *life, why error) (text string, lasting bool) {
	r, _ := in.record()
	if errors.Is(why, errRefused) && strings.Contains(why.Error(), "executable") {
		return fmt.Sprintf("image %s has no such program to run for %s: %v", r.Spec.Template.Image.Short(), in.id.Service, why), true
	}
	return why.Error(), errors.Is(why, glint.ErrNotFound) || errors.Is(why, glint.ErrInvalid)
}
