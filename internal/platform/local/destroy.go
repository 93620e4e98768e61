package local

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/glint-infra/glint"
	"github.com/glint-infra/glint/internal/platform/local/rootfs"
)

// killWithin bounds how long the kernel may take to end a process after SIGKILL; more means it hangs in a device.
const killWithin = 10 * time.Second

// Destroy ends the program and takes everything of the instance away, except its volumes. When ctx ends first, another
// call goes on where this one stopped.
func (p *Platform) Destroy(ctx context.Context, id glint.ID, grace time.Duration) error {
	if _, err := glint.ParseKey(id.Key()); err != nil {
		return fmt.Errorf("destroying %s: %w: %w", id, err, glint.ErrInvalid)
	}
	in, err := p.take(ctx, id)
	if err != nil {
		return fmt.Errorf("destroying %s: %w", id, err)
	}
	defer p.give(in)
	if _, known := in.record(); known {
		err = p.remove(ctx, in, grace)
	} else {
		err = p.spent.add(id) // a Create that comes late must not make it
	}
	if err != nil {
		return fmt.Errorf("destroying %s: %w", id, err)
	}
	return nil
}

func (p *Platform) remove(ctx context.Context, in *life, grace time.Duration) error {
	if err := in.note(func(r *record) { r.Leaving = true }); err != nil {
		return err
	}
	p.at("destroy: it is to leave")
	if err := in.ask(ctx, grace); err != nil {
		return err
	}
	p.at("destroy: it was asked")
	if err := p.sweep(ctx, in); err != nil {
		return err
	}
	p.at("destroy: it is swept away")
	if p.cfg.Members != nil {
		if err := p.cfg.Members.Leave(ctx, in.id); err != nil {
			return fmt.Errorf("taking it out of the firewall: %w", err)
		}
	}
	p.at("destroy: it is guarded no more")
	if err := p.spent.add(in.id); err != nil {
		return err
	}
	p.at("destroy: its number is spent")
	if err := p.forget(in); err != nil {
		return err
	}
	p.at("destroy: it is forgotten")
	p.hint()
	return p.roots.Keep(p.rootsInUse)
}

// forget removes the record first and whole, then the files beside it.
func (p *Platform) forget(in *life) error {
	in.mu.Lock()
	defer in.mu.Unlock()
	trash := filepath.Join(p.cfg.RunDir, "trash", in.id.Key())
	if err := os.Rename(in.dir, trash); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	in.rec, in.gone = nil, true
	p.at("destroy: it is in the trash")
	return os.RemoveAll(trash)
}

func (p *Platform) rootsInUse() []rootfs.Root {
	var all []rootfs.Root
	for _, in := range p.all() {
		if r, known := in.record(); known && len(r.Root.Layers) > 0 {
			all = append(all, r.Root)
		}
	}
	return all
}

// ask asks the program to end and waits for grace at most. One that was never let go is not asked.
func (in *life) ask(ctx context.Context, grace time.Duration) error {
	r, _ := in.record()
	if r.Exit != nil || r.Started.IsZero() || grace <= 0 {
		return nil
	}
	w, err := r.Init.watch()
	if err != nil {
		if errors.Is(err, os.ErrProcessDone) {
			return nil
		}
		return err
	}
	defer w.close()
	if err := w.signal(syscall.SIGTERM); err != nil {
		return fmt.Errorf("asking the program to end: %w", err)
	}
	_, err = in.awaitDeath(ctx, grace)
	return err
}

// sweep ends all processes of an instance and takes away what the runtime made. It can be called at any moment of a
// life, also of one whose making was cut short.
func (p *Platform) sweep(ctx context.Context, in *life) error {
	r, _ := in.record()
	if !r.Made { // its processes may not have been written down
		if err := killAll(processesOf(in.dir)); err != nil {
			return err
		}
	}
	if err := killAll([]process{r.Init}); err != nil {
		return err
	}
	p.at("sweep: its first process is gone")
	if r.Made && !r.Init.alive() && r.Exit == nil {
		if _, err := in.awaitDeath(ctx, killWithin); err != nil { // so that its end is told as it was
			return err
		}
	}
	if err := letEnd(r.Keeper, time.Second); err != nil {
		return err
	}
	key := in.id.Key()
	for range 3 { // who was entered from outside is in the same group, and can fork while we look
		var left []process
		for _, pid := range p.groups.pids(key) {
			if q, ok := processOf(pid); ok {
				left = append(left, q)
			}
		}
		if len(left) == 0 {
			break
		}
		if err := killAll(left); err != nil {
			return err
		}
	}
	return p.unmake(ctx, in)
}

// unmake removes cgroups and the runtime's state, in process where the runtime's layout is known, as "crun delete" does
// in a process of its own.
func (p *Platform) unmake(ctx context.Context, in *life) error {
	p.at("sweep: all its processes are gone")
	state := p.stateDir(in)
	if _, err := os.Stat(state); err == nil && !p.keepers.knownState(state) {
		if _, err := p.keepers.crunDo(ctx, "delete", "--force", in.id.Key()); err != nil {
			return err
		}
	}
	if err := p.groups.remove(in.id.Key()); err != nil {
		return err
	}
	p.at("sweep: its groups are gone")
	return os.RemoveAll(state)
}

// knownState reports whether crun keeps a container's state in the way that unmake knows.
func (k *keepers) knownState(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, "status"))
	return err == nil && !k.plain && takesCompiled(k.crunVersion)
}

// letEnd gives a process that is about to end some time, then kills it.
func letEnd(q process, within time.Duration) error {
	w, err := q.watch()
	if err != nil {
		return ignoreDone(err)
	}
	defer w.close()
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	if w.wait(ctx) == nil {
		return nil
	}
	return killAll([]process{q})
}

func ignoreDone(err error) error {
	if errors.Is(err, os.ErrProcessDone) {
		return nil
	}
	return err
}

// killAll ends processes and waits until they are gone.
func killAll(all []process) error {
	ctx, cancel := context.WithTimeout(context.Background(), killWithin)
	defer cancel()
	for _, q := range all {
		w, err := q.watch()
		if errors.Is(err, os.ErrProcessDone) {
			continue
		}
		if err != nil {
			return err
		}
		err = w.signal(unix.SIGKILL)
		if err == nil {
			err = w.wait(ctx)
		}
		w.close()
		if err != nil {
			return fmt.Errorf("killing process %d: %w", q.Pid, err)
		}
	}
	return nil
}

// processesOf finds conmon and the runtime by the bundle that they name in their arguments.
func processesOf(dir string) []process {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	var found []process
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || pid == os.Getpid() {
			continue
		}
		args, err := os.ReadFile(filepath.Join("/proc", e.Name(), "cmdline"))
		if err != nil || !bytes.Contains(args, []byte("\x00"+dir+"\x00")) {
			continue
		}
		if q, ok := processOf(pid); ok {
			found = append(found, q)
		}
	}
	return found
}
