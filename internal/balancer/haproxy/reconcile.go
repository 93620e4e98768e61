package haproxy

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/glint-infra/glint/internal/balancer"
	"github.com/glint-infra/glint/internal/network"
)

// errReload marks a configuration that workers did not take up.
var errReload = errors.New("HAProxy did not take up its new configuration")

// reloadWithin bounds how long a new worker may take to come up: it reads the whole configuration.
const reloadWithin = 30 * time.Second

// spare is how many servers that left may stay in a worker, out of use, before a reload sweeps them out. They are
// not deleted one by one: HAProxy before 2.6.16 can crash when a request still remembers a deleted server (its issue 2323).
const spare = 200

// keep brings HAProxy back when it ends, ends it when it is not wanted, and mends what differs from what is wanted.
func (p *Proxy) keep() {
	for {
		p.mu.Lock()
		var gone chan struct{}
		if p.master != nil {
			gone = p.master.gone
		}
		p.mu.Unlock()
		select {
		case <-p.ctx.Done():
			return
		case <-gone:
		case <-p.kick:
		}
		if wait := p.enforce(); wait > 0 {
			if pause(p.ctx, wait) != nil {
				return
			}
			p.hint()
		}
	}
}

// enforce returns after which time to look again; 0: only when something happens.
func (p *Proxy) enforce() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ctx.Err() != nil {
		return 0
	}
	died := p.master != nil && !p.master.alive()
	if died {
		p.cfg.Incident(fmt.Sprintf("HAProxy (pid %d) ended though nobody asked it to; it is started again. Its last words: %s", p.master.pid, p.logTail()))
		p.master.release()
		p.master = nil
	}
	if p.want.Generations == nil {
		return 0 // nobody has said yet what is wanted
	}
	if err := p.reconcile(p.ctx); err != nil {
		if p.ctx.Err() == nil && died {
			p.cfg.Incident(fmt.Sprintf("bringing HAProxy back failed and is tried again every second: %v", err))
		}
		return time.Second
	}
	if len(p.want.Backends) == 0 && p.master != nil {
		return 200 * time.Millisecond // it ends when what is in flight has ended
	}
	return 0
}

// reconcile makes HAProxy be as p.want says.
func (p *Proxy) reconcile(ctx context.Context) error {
	if p.master != nil && !p.master.alive() {
		p.master.release()
		p.master = nil
	}
	if p.master == nil && len(p.want.Backends) == 0 {
		return p.removeFiles()
	}
	r := p.render(p.want)
	if err := p.write(r); err != nil {
		return err
	}
	if p.master == nil {
		return p.start(ctx)
	}
	workers, err := p.workers(ctx)
	if err != nil {
		return err
	}
	now := current(workers)
	if now == nil || now.mark != r.mark {
		if now != nil { // requests that wait in it get their chance, and it hands over what it should
			err = p.members(ctx, *now)
		}
		if rerr := p.reload(ctx, r.mark, workers); rerr != nil {
			return rerr
		}
		p.cfg.At("haproxy: it has reloaded")
		p.sweep(r)
		return err
	}
	if err := p.members(ctx, *now); err != nil {
		return err
	}
	if p.left(*now) > spare {
		return p.reload(ctx, r.mark, workers)
	}
	if len(p.want.Backends) == 0 && p.idle(ctx) {
		return p.end()
	}
	p.trimLog()
	return nil
}

// current returns the one worker that takes new connections.
func current(workers []worker) *worker {
	var found *worker
	for i := range workers {
		if !workers[i].old {
			if found != nil {
				return nil // one is about to stop
			}
			found = &workers[i]
		}
	}
	return found
}

// members adds what a worker lacks, and takes out of use what should take no more requests.
func (p *Proxy) members(ctx context.Context, w worker) error {
	var all []error
	for _, b := range p.want.Backends {
		have, ok := w.servers[b.Name]
		if !ok {
			continue // comes with a reload
		}
		wanted := map[string]bool{"none": true}
		for _, m := range b.Members {
			name := b.Name + "/" + m.ID.Key()
			addr, _ := memberAddr(m)
			wanted[m.ID.Key()] = true
			s, there := have[m.ID.Key()]
			if !there {
				all = append(all, p.tell(ctx, w.pid, fmt.Sprintf("add server %s %s %s", name, addr, pooled), "New server registered", "already exists"))
			} else if s.addr != addr.String() {
				all = append(all, p.tell(ctx, w.pid, fmt.Sprintf("set server %s addr %s port %d", name, addr.Addr(), addr.Port()), "changed", "no need to change"))
			}
			if !there || !s.ready {
				all = append(all, p.tell(ctx, w.pid, "set server "+name+" state ready"))
			}
		}
		for name, s := range have {
			if !wanted[name] && s.ready {
				all = append(all, p.tell(ctx, w.pid, "set server "+b.Name+"/"+name+" state maint"))
			}
		}
	}
	return errors.Join(all...)
}

// left counts the servers of a worker that are wanted no more.
func (p *Proxy) left(w worker) int {
	n := 0
	for _, b := range p.want.Backends {
		n += max(0, len(w.servers[b.Name])-1-len(b.Members))
	}
	return n
}

// judge compares every worker with what is wanted.
func (p *Proxy) judge(workers []worker, seen *balancer.Seen) {
	now := current(workers)
	if now == nil || now.mark != p.render(p.want).mark {
		seen.Late[""] = "the worker that takes new requests does not have the newest configuration"
		return
	}
	for _, b := range p.want.Backends {
		ready := 0
		have := now.servers[b.Name]
		for name, s := range have {
			if s.ready && name != "none" {
				ready++
			}
		}
		for _, m := range b.Members {
			addr, _ := memberAddr(m)
			if s := have[m.ID.Key()]; !s.ready || s.addr != addr.String() {
				seen.Late[b.Name] = m.ID.String() + " takes no requests yet"
			}
		}
		if _, late := seen.Late[b.Name]; !late && ready != len(b.Members) {
			seen.Late[b.Name] = "a member that left still takes requests"
		}
	}
}

// write puts a configuration in place. Its routes have a name of their own, so that both change in one step.
func (p *Proxy) write(r rendering) error {
	if have, err := os.ReadFile(p.path("haproxy.cfg")); err == nil && string(have) == r.config {
		return nil
	}
	if err := network.WriteFile(p.path(r.mapName), []byte(r.mapText)); err != nil {
		return fmt.Errorf("writing HAProxy's routes: %w", err)
	}
	p.cfg.At("haproxy: its map is written")
	if err := network.WriteFile(p.path("haproxy.cfg"), []byte(r.config)); err != nil {
		return fmt.Errorf("writing HAProxy's configuration: %w", err)
	}
	p.cfg.At("haproxy: its configuration is written")
	return nil
}

// sweep removes routes that no configuration names any more.
func (p *Proxy) sweep(r rendering) {
	maps, _ := filepath.Glob(p.path("routes-*.map*"))
	for _, m := range maps {
		if filepath.Base(m) != r.mapName {
			_ = os.Remove(m) // tried again after the next reload
		}
	}
}

// checkConfig lets HAProxy itself read a configuration before it is put in the place of one that works.
func (p *Proxy) checkConfig(ctx context.Context, t balancer.Table) error {
	r, now := p.render(t), p.render(p.want)
	if len(t.Backends) == 0 || p.want.Generations != nil && r.mark == now.mark {
		return nil
	}
	if p.binary == "" {
		binary, err := exec.LookPath(p.cfg.Binary)
		if err != nil {
			return fmt.Errorf("HAProxy runs, but %q was not found; install it with: apt install haproxy: %w", p.cfg.Binary, err)
		}
		p.binary = binary
	}
	if err := network.WriteFile(p.path(r.mapName), []byte(r.mapText)); err != nil {
		return fmt.Errorf("writing HAProxy's routes: %w", err)
	}
	candidate := p.path("candidate.cfg")
	if err := network.WriteFile(candidate, []byte(r.config)); err != nil {
		return fmt.Errorf("writing a configuration for HAProxy to check: %w", err)
	}
	defer func() { _ = os.Remove(candidate) }()
	out, err := exec.CommandContext(ctx, p.binary, "-c", "-f", candidate).CombinedOutput()
	if err != nil {
		return fmt.Errorf("HAProxy does not accept the configuration for these routes; the one before stays: %w: %s", err, strings.TrimSpace(string(out)))
	}
	return nil
}

// reload makes HAProxy hand its listeners to a new worker.
func (p *Proxy) reload(ctx context.Context, mark string, workers []worker) error {
	_, _, failed, err := p.showProc(ctx)
	if err != nil {
		return err
	}
	if _, err := p.ask(ctx, 0, "reload"); err != nil {
		return err
	}
	p.cfg.At("haproxy: it is told to reload")
	var before []int
	for _, w := range workers {
		before = append(before, w.pid)
	}
	if err := p.awaitMark(ctx, mark, failed, before...); err != nil {
		return fmt.Errorf("%w: %w: %s", errReload, err, p.logTail())
	}
	return nil
}

// awaitMark waits until a worker that was not there before takes new connections with the marked configuration, and it alone.
func (p *Proxy) awaitMark(ctx context.Context, mark string, failed int, before ...int) error {
	ctx, cancel := context.WithTimeout(ctx, reloadWithin)
	defer cancel()
	old := map[int]bool{}
	for _, pid := range before {
		old[pid] = true
	}
	for {
		if !p.master.alive() {
			return fmt.Errorf("its master ended")
		}
		_, _, now, err := p.showProc(ctx)
		if err == nil && failed >= 0 && now > failed {
			return fmt.Errorf("the new worker did not come up")
		}
		if workers, err := p.workers(ctx); err == nil {
			if w := current(workers); w != nil && w.mark == mark && !old[w.pid] {
				return nil
			}
		}
		if err := pause(ctx, 5*time.Millisecond); err != nil {
			return fmt.Errorf("no new worker took over in time: %w", err)
		}
	}
}

// idle reports whether nothing is in flight to any instance.
func (p *Proxy) idle(ctx context.Context) bool {
	workers, err := p.workers(ctx)
	return err == nil && len(inFlight(workers)) == 0
}

func (p *Proxy) awaitIdle(ctx context.Context) {
	for p.master.alive() && !p.idle(ctx) && pause(ctx, 50*time.Millisecond) == nil {
	}
}

// maxLog is how large HAProxy's log may grow; it says a line for each member that leaves.
const maxLog = 4 << 20

func (p *Proxy) trimLog() {
	if st, err := os.Stat(p.path("haproxy.log")); err == nil && st.Size() > maxLog {
		_ = os.Truncate(p.path("haproxy.log"), 0) // it is only appended to
	}
}
