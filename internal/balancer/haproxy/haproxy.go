// Package haproxy carries HTTP to instances through one supervised HAProxy, which goes on when its keeper is gone.
// It does not choose who takes traffic, and it keeps no routes of its own across restarts.
package haproxy

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"sync"
	"time"

	"github.com/glint-infra/glint"
	"github.com/glint-infra/glint/internal/balancer"
	"github.com/glint-infra/glint/internal/network"
)

// Member is the name under which HAProxy acknowledges generations.
const Member = "haproxy"

// Config says where HAProxy lives and what it may use.
type Config struct {
	Dir      string            // for its configuration and sockets; made with mode 0700; at most 80 bytes, for socket paths
	Public   netip.AddrPort    // where requests from outside arrive; listened on while there are host names
	Binary   string            // empty: "haproxy", looked for in PATH
	Cgroups  []string          // directories of control groups that it is put into; made when missing
	Incident func(text string) // told when HAProxy had to be brought back; may be nil; must not block
	Linger   time.Duration     // how long old workers may go on with what they began; 0: 30 minutes
	At       func(string)      // is called between any two things that outlive the keeper, for tests of crashes; may be nil
}

// A Proxy is one HAProxy: a master and its workers.
type Proxy struct {
	cfg     Config
	binary  string
	account *account // whom workers run as; nil: as their keeper

	mu     sync.Mutex
	want   balancer.Table
	master *process // nil: none runs
	ctx    context.Context
	stop   context.CancelFunc
	keeper sync.WaitGroup
	kick   chan struct{} // asks the keeper to look soon
}

// Open takes over the HAProxy that an earlier keeper left running, if there is one. Nothing is started before the first
// Publish. Publish must follow soon: until then the proxy does not know what is wanted, and enforces nothing.
func Open(ctx context.Context, cfg Config) (*Proxy, error) {
	if len(cfg.Dir) > 80 || !filepath.IsAbs(cfg.Dir) {
		return nil, fmt.Errorf("HAProxy's directory %q: want an absolute path of at most 80 bytes, because sockets live in it: %w", cfg.Dir, glint.ErrInvalid)
	}
	if cfg.Binary == "" {
		cfg.Binary = "haproxy"
	}
	if cfg.Linger == 0 {
		cfg.Linger = 30 * time.Minute
	}
	if cfg.Incident == nil {
		cfg.Incident = func(string) {}
	}
	if cfg.At == nil {
		cfg.At = func(string) {}
	}
	p := &Proxy{cfg: cfg, kick: make(chan struct{}, 1)}
	if err := p.makeDirs(); err != nil {
		return nil, err
	}
	p.ctx, p.stop = context.WithCancel(context.WithoutCancel(ctx))
	if err := p.adopt(ctx); err != nil {
		p.stop()
		return nil, err
	}
	p.keeper.Go(p.keep)
	return p, nil
}

// Close ends the supervision. HAProxy goes on with its last routes; without any it ends.
func (p *Proxy) Close() error {
	p.stop()
	p.keeper.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.master == nil {
		return nil
	}
	if p.want.Generations != nil && len(p.want.Backends) == 0 {
		ctx, cancel := context.WithTimeout(context.Background(), endWithin)
		defer cancel()
		p.awaitIdle(ctx)
		return p.end()
	}
	p.master.release()
	return nil
}

// Publish puts the whole table in force. When the error wraps glint.ErrInUse or glint.ErrInvalid nothing was changed. After any
// other error the table is wanted, is tried again by and by, and Look tells when it is in force.
func (p *Proxy) Publish(ctx context.Context, t balancer.Table) error {
	if err := valid(t); err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.binary == "" && len(t.Backends) > 0 {
		binary, err := exec.LookPath(p.cfg.Binary)
		if err != nil {
			return fmt.Errorf("HTTP ports need HAProxy, and %q was not found; install it with: apt install haproxy: %w", p.cfg.Binary, err)
		}
		p.binary = binary
	}
	if err := p.checkFree(ctx, t); err != nil {
		return err
	}
	if err := p.checkConfig(ctx, t); err != nil {
		return err
	}
	before := p.want
	p.want = t
	err := p.reconcile(ctx)
	if errors.Is(err, errReload) {
		p.want = before // the workers before go on with what they had
		err = errors.Join(err, p.reconcile(ctx))
	}
	p.hint()
	return err
}

// Look reads back from every live worker what is in force and what is in flight. Nobody changes what is in force meanwhile.
func (p *Proxy) Look(ctx context.Context) balancer.Seen {
	p.mu.Lock()
	defer p.mu.Unlock()
	seen := balancer.Seen{Generations: p.want.Generations, Late: map[string]string{}, InFlight: map[glint.ID]int{}, Complete: true}
	if p.master == nil || !p.master.alive() {
		if len(p.want.Backends) > 0 {
			seen.Late[""] = "HAProxy does not run"
			seen.Complete = false
			p.hint()
		}
		return seen
	}
	workers, err := p.workers(ctx)
	if err == nil {
		p.judge(workers, &seen)
		seen.InFlight = inFlight(workers)
	} else {
		seen.Late[""], seen.Complete = err.Error(), false
	}
	if len(seen.Late) > 0 || len(p.want.Backends) == 0 {
		p.hint()
	}
	return seen
}

// hint asks the keeper to look.
func (p *Proxy) hint() {
	select {
	case p.kick <- struct{}{}:
	default:
	}
}

// checkFree refuses a table that wants an address on which somebody else listens.
func (p *Proxy) checkFree(ctx context.Context, t balancer.Table) error {
	bound := map[netip.AddrPort]bool{}
	var ours []int
	if p.master != nil && p.master.alive() {
		ours = append(ours, p.master.pid)
		if ws, err := p.procs(ctx); err == nil {
			ours = append(ours, ws...)
		}
		for _, l := range listens(p.want, p.cfg.Public) {
			bound[l] = true
		}
	}
	for _, l := range listens(t, p.cfg.Public) {
		if bound[l] {
			continue
		}
		if err := network.CheckFree(l, ours); err != nil {
			return err
		}
	}
	return nil
}

func (p *Proxy) path(name string) string { return filepath.Join(p.cfg.Dir, name) }

func (p *Proxy) makeDirs() error {
	if err := os.MkdirAll(p.cfg.Dir, 0o700); err != nil {
		return fmt.Errorf("making HAProxy's directory: %w", err)
	}
	if err := os.Chmod(p.cfg.Dir, 0o700); err != nil {
		return fmt.Errorf("closing HAProxy's directory to others: %w", err)
	}
	account, err := lookUpAccount()
	if err != nil {
		return err
	}
	p.account = account
	if err := os.MkdirAll(p.jail(), 0o711); err != nil {
		return fmt.Errorf("making the directory that HAProxy's workers are locked into: %w", err)
	}
	if err := os.Chmod(p.jail(), 0o711); err != nil { // whatever the umask: an old worker reaches the new one through it
		return fmt.Errorf("opening the directory that HAProxy's workers are locked into: %w", err)
	}
	return nil
}

// jail is the only directory that workers see.
func (p *Proxy) jail() string { return p.path("jail") }

var (
	backendName = regexp.MustCompile(`^[a-z][a-z0-9-]*\.[a-z][a-z0-9-]*\.[a-z][a-z0-9-]*$`)
	hostName    = regexp.MustCompile(`^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$`)
)

// valid lets nothing into the configuration that could be read as something else than a name or an address.
func valid(t balancer.Table) error {
	names, listens := map[string]bool{}, map[netip.AddrPort]string{}
	for _, b := range t.Backends {
		if !backendName.MatchString(b.Name) || names[b.Name] {
			return fmt.Errorf("backend %q: want one STACK.SERVICE.PORT of each name: %w", b.Name, glint.ErrInvalid)
		}
		if !b.Listen.IsValid() || !b.Listen.Addr().Is4() || b.Listen.Port() == 0 || listens[b.Listen] != "" {
			return fmt.Errorf("%s: stable address %s is no IPv4 address with port, or that of %s too: %w", b.Name, b.Listen, listens[b.Listen], glint.ErrInvalid)
		}
		names[b.Name], listens[b.Listen] = true, b.Name
		for _, m := range b.Members {
			if _, err := memberAddr(m); err != nil {
				return fmt.Errorf("%s: %w", b.Name, err)
			}
		}
	}
	for host, to := range t.Hosts {
		if !hostName.MatchString(host) {
			return fmt.Errorf("host name %q: want letters, digits, dots and hyphens, such as shop.example.org: %w", host, glint.ErrInvalid)
		}
		if to != "" && !names[to] {
			return fmt.Errorf("host name %s leads to %s, which no HTTP port is called: %w", host, to, glint.ErrInvalid)
		}
	}
	return nil
}

func memberAddr(m glint.Server) (netip.AddrPort, error) {
	addr, err := netip.ParseAddr(m.Address)
	if _, perr := glint.ParseKey(m.ID.Key()); err != nil || perr != nil || !addr.Is4() || m.Port < 1 || m.Port > 65535 {
		return netip.AddrPort{}, fmt.Errorf("member %q at %q port %d: want an instance's ID, an IPv4 address and a port: %w", m.ID.Key(), m.Address, m.Port, glint.ErrInvalid)
	}
	return netip.AddrPortFrom(addr, uint16(m.Port)), nil
}

// listens lists where a table wants HAProxy to listen.
func listens(t balancer.Table, public netip.AddrPort) []netip.AddrPort {
	var all []netip.AddrPort
	for _, b := range t.Backends {
		all = append(all, b.Listen)
	}
	if len(t.Hosts) > 0 {
		all = append(all, public)
	}
	return all
}
