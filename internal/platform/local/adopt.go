package local

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/glint-infra/glint"
)

// adopt takes over what a former server left: it watches what runs, completes what was accepted, and takes away what
// belongs to nobody.
func (p *Platform) adopt() error {
	if err := emptyTrash(filepath.Join(p.cfg.RunDir, "trash")); err != nil {
		return err
	}
	entries, err := os.ReadDir(filepath.Join(p.cfg.RunDir, "i"))
	if err != nil {
		return err
	}
	var newest time.Time
	for _, e := range entries {
		id, err := glint.ParseKey(e.Name())
		if err != nil {
			return fmt.Errorf("%s is not ours: %w", filepath.Join(p.cfg.RunDir, "i", e.Name()), err)
		}
		in := newLife(p.cfg.RunDir, id)
		r, err := readRecord(in.dir)
		if errors.Is(err, os.ErrNotExist) { // it was not accepted yet
			if err := os.RemoveAll(in.dir); err != nil {
				return err
			}
			continue
		}
		if err != nil {
			return err
		}
		in.rec = &r
		p.lives[id] = in
		if addr, err := netip.ParseAddr(r.Address); err == nil && r.Created.After(newest) {
			p.last, newest = addr, r.Created
		}
	}
	var errs []error
	for _, in := range p.all() {
		errs = append(errs, p.adopt1(in))
	}
	errs = append(errs, p.roots.Keep(p.rootsInUse), p.removeStrays())
	return errors.Join(errs...)
}

// emptyTrash ends the removals that were cut short.
func emptyTrash(dir string) error {
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	return os.Mkdir(dir, 0o700)
}

// adopt1 takes one instance over.
func (p *Platform) adopt1(in *life) error {
	r, _ := in.record()
	switch {
	case r.Exit != nil:
		in.bury()
		return nil
	case r.Made:
		return p.adoptMade(in)
	}
	// Its program has never run: what there is of it is taken away and made again.
	if err := p.sweep(p.stop, in); err != nil {
		return fmt.Errorf("adopting %s: %w", in.id, err)
	}
	if !r.Leaving {
		in.turn <- struct{}{}
		p.turns.Add(1)
		p.watches.Go(func() {
			defer p.give(in)
			p.bring(p.stop, in, r.Spec.Held)
		})
	}
	return nil
}

// adoptMade takes over what stands. The wire of one that died meanwhile has gone with it, and somebody may have cut
// another's: that is the instance's misfortune, and must not keep a server from starting.
func (p *Platform) adoptMade(in *life) error {
	if err := p.watch(in); err != nil {
		return err
	}
	r, _ := in.record()
	if r.Exit != nil {
		return nil
	}
	if !r.Leaving {
		switch err := p.join(p.stop, in.id, r); {
		case errors.Is(err, os.ErrNotExist):
			in.noteAnyway(func(r *record) { r.Tainted = wireCut })
		case err != nil:
			return err
		}
	}
	return p.letGoAgain(in)
}

// letGoAgain completes a letting go that was written down and may not have happened. A fifo on which nobody waits is
// one that did its work, and that the former server had no time to remove.
func (p *Platform) letGoAgain(in *life) error {
	r, _ := in.record()
	fifo := filepath.Join(p.stateDir(in), "exec.fifo")
	if _, err := os.Lstat(fifo); err != nil || r.Started.IsZero() || r.Exit != nil {
		return nil
	}
	fd, err := unix.Open(fifo, unix.O_WRONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if errors.Is(err, unix.ENXIO) {
		return os.Remove(fifo)
	}
	if err == nil {
		defer unix.Close(fd)
	}
	return p.keepers.letGo(p.stop, in.id.Key())
}

// removeStrays takes away groups that no record speaks of.
func (p *Platform) removeStrays() error {
	keys := map[string]bool{}
	for _, in := range p.all() {
		keys[in.id.Key()] = true
	}
	var errs []error
	for _, key := range p.groups.strays(keys) {
		if len(p.groups.pids(key)) == 0 {
			errs = append(errs, p.groups.remove(key))
		}
	}
	return errors.Join(errs...)
}
