// Package plane joins the carriers, HTTP through HAProxy and TCP through the kernel, into one balancer, and keeps what is
// published. It carries nothing itself and does not choose who takes traffic.
package plane

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/glint-infra/glint"
	"github.com/glint-infra/glint/internal/balancer"
	"github.com/glint-infra/glint/internal/balancer/haproxy"
	"github.com/glint-infra/glint/internal/balancer/l4"
	"github.com/glint-infra/glint/internal/discovery"
	"github.com/glint-infra/glint/internal/network"
)

// Config says where the plane lives.
type Config struct {
	Name      string              // of the link for stable addresses and of the nftables table, such as "glint0"
	State     string              // file in which published routes are kept; made with mode 0600
	HAProxy   haproxy.Config      //
	Directory discovery.Directory // stable addresses
	Edges     Edger               // told who may reach whom; nil: nobody guards
	Incident  func(text string)   // told what was found wrong and mended; may be nil; must not block

	At func(moment string) // is called between any two things that outlive the server, for tests of crashes; may be nil
}

// An Edger enforces who may reach whom. network.Firewall is one.
type Edger interface {
	// SetEdges holds once it returns.
	SetEdges(stack string, edges []network.Edge) error
}

// A Plane is the balancer of one host.
type Plane struct {
	cfg       Config
	addresses *network.Addresses
	carriers  map[string]balancer.Carrier // by the name under which they acknowledge

	mu       sync.Mutex
	stacks   map[string]glint.Routes   // one without services and hosts is off the plane; kept until restart, for its acknowledgement
	tables   map[string]balancer.Table // nil: nothing could be put in force since the start
	vips     []netip.Addr
	draining map[glint.ID]bool // has something in flight and is in no routes, as of the last look
	watchers map[*func()]bool
}

var _ balancer.Balancer = (*Plane)(nil)
var _ balancer.Watcher = (*Plane)(nil)

// Open puts in force what was published before a restart. It fails when the state was written by a newer Glint (glint.ErrTooNew) or
// cannot be read; when a carrier cannot do its work now, the plane opens, Status says so, and it is tried again.
func Open(ctx context.Context, cfg Config) (*Plane, error) {
	if cfg.Incident == nil {
		cfg.Incident = func(string) {}
	}
	if cfg.HAProxy.Incident == nil {
		cfg.HAProxy.Incident = cfg.Incident
	}
	if cfg.At == nil {
		cfg.At = func(string) {}
	}
	addresses, err := network.NewAddresses(cfg.Name)
	if err != nil {
		return nil, err
	}
	p := &Plane{cfg: cfg, addresses: addresses, stacks: map[string]glint.Routes{}, watchers: map[*func()]bool{}}
	if err := p.load(); err != nil {
		return nil, err
	}
	l7, err := haproxy.Open(ctx, cfg.HAProxy)
	if err != nil {
		return nil, err
	}
	p.carriers = map[string]balancer.Carrier{haproxy.Member: l7, l4.Member: l4.Open(cfg.Name)}
	if err := p.apply(ctx, p.stacks); err != nil {
		cfg.Incident(fmt.Sprintf("putting the published routes in force after a start: %v", err))
	}
	return p, nil
}

// Close ends the supervision; traffic goes on. With nothing published all is taken away.
func (p *Plane) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	var all []error
	for _, c := range p.carriers {
		all = append(all, c.Close())
	}
	if p.tables != nil && len(p.vips) == 0 {
		all = append(all, p.addresses.Set(nil))
	}
	return errors.Join(all...)
}

// Publish implements balancer.Balancer. On an error everything else that is published goes on, and the routes are not
// accepted. The error wraps glint.ErrInUse when an address is taken, and names by whom.
func (p *Plane) Publish(ctx context.Context, r glint.Routes) error {
	if !glint.ValidName(r.Stack) {
		return fmt.Errorf("routes of stack %q: no such name: %w", r.Stack, glint.ErrInvalid)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if have, ok := p.stacks[r.Stack]; ok && r.Generation < have.Generation { // also of one that is off: what was overtaken must not bring it back
		return nil
	}
	next := maps.Clone(p.stacks)
	next[r.Stack] = r
	if err := p.apply(ctx, next); err != nil {
		return fmt.Errorf("publishing generation %d of %s: %w", r.Generation, r.Stack, err)
	}
	p.cfg.At("route: edges hold")
	if err := p.save(next); err != nil {
		return fmt.Errorf("keeping generation %d of %s: %w", r.Generation, r.Stack, err)
	}
	p.stacks = next
	p.hint()
	return nil
}

func off(r glint.Routes) bool { return len(r.Services) == 0 && len(r.Hosts) == 0 }

// apply puts routes in force: first the addresses, then the ways to them, then who may go there.
func (p *Plane) apply(ctx context.Context, stacks map[string]glint.Routes) error {
	tables, vips, err := p.translate(stacks)
	if err != nil {
		return err
	}
	union := append(slices.Clone(p.vips), vips...)
	slices.SortFunc(union, netip.Addr.Compare)
	if err := p.addresses.Set(slices.Compact(union)); err != nil {
		return err
	}
	p.cfg.At("route: addresses are there")
	for _, member := range []string{haproxy.Member, l4.Member} { // HAProxy first: it may find its ports taken
		if err := p.carriers[member].Publish(ctx, tables[member]); err != nil {
			if p.tables != nil { // what was in force stays, and only that
				err = errors.Join(err, p.addresses.Set(p.vips))
			}
			return err
		}
		p.cfg.At("route: " + member + " has it")
	}
	if err := p.addresses.Set(vips); err != nil {
		return err
	}
	p.cfg.At("route: addresses of nobody are gone")
	p.tables, p.vips = tables, vips
	return p.setEdges(stacks)
}

// translate resolves names into addresses and sorts backends by who carries them.
func (p *Plane) translate(stacks map[string]glint.Routes) (map[string]balancer.Table, []netip.Addr, error) {
	l7 := balancer.Table{Generations: map[string]int{}, Hosts: map[string]string{}}
	tcp := balancer.Table{Generations: map[string]int{}}
	var vips []netip.Addr
	for _, stack := range slices.Sorted(maps.Keys(stacks)) {
		r := stacks[stack]
		l7.Generations[stack], tcp.Generations[stack] = r.Generation, r.Generation
		for _, b := range r.Services {
			vip, err := p.cfg.Directory.Address(stack, b.Service)
			if err != nil {
				return nil, nil, fmt.Errorf("stable address of %s: %w", glint.ServiceName(stack, b.Service), err)
			}
			vips = append(vips, vip)
			to := balancer.Backend{Name: backendName(stack, b.Service, b.Port.Name), Listen: netip.AddrPortFrom(vip, uint16(b.Port.Number)), Members: b.Members}
			switch b.Port.Protocol {
			case glint.HTTP:
				l7.Backends = append(l7.Backends, to)
			case glint.TCP:
				tcp.Backends = append(tcp.Backends, to)
			default:
				return nil, nil, fmt.Errorf("port %s of %s: protocol %q; want http or tcp: %w", b.Port.Name, b.Service, b.Port.Protocol, glint.ErrInvalid)
			}
		}
		for _, h := range r.Hosts {
			host := strings.ToLower(h.Host)
			if other, taken := l7.Hosts[host]; taken {
				return nil, nil, fmt.Errorf("host name %s of stack %s leads to %s already: %w", host, stack, other, glint.ErrInUse)
			}
			l7.Hosts[host] = ""
			if name := backendName(stack, h.To.Service, h.To.Port); slices.ContainsFunc(l7.Backends, func(b balancer.Backend) bool { return b.Name == name }) {
				l7.Hosts[host] = name
			}
		}
	}
	slices.SortFunc(vips, netip.Addr.Compare)
	return map[string]balancer.Table{haproxy.Member: l7, l4.Member: tcp}, slices.Compact(vips), nil
}

func backendName(stack, service, port string) string { return stack + "." + service + "." + port }

func (p *Plane) setEdges(stacks map[string]glint.Routes) error {
	if p.cfg.Edges == nil {
		return nil
	}
	for stack, r := range stacks {
		var edges []network.Edge
		for _, e := range r.Edges {
			i := slices.IndexFunc(r.Services, func(b glint.Backend) bool { return b.Service == e.To.Service && b.Port.Name == e.To.Port })
			if i < 0 {
				continue // nothing is served there yet
			}
			vip, err := p.cfg.Directory.Address(stack, e.To.Service)
			if err != nil {
				return fmt.Errorf("stable address of %s: %w", glint.ServiceName(stack, e.To.Service), err)
			}
			edges = append(edges, network.Edge{From: e.From, To: vip, Port: uint16(r.Services[i].Port.Number)})
		}
		if err := p.cfg.Edges.SetEdges(stack, edges); err != nil {
			return err
		}
	}
	return nil
}

// Status implements balancer.Balancer.
func (p *Plane) Status(ctx context.Context) (glint.BalancerStatus, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := glint.BalancerStatus{Acks: map[string][]glint.Ack{}, InFlight: map[glint.ID]int{}, Complete: true}
	if p.tables == nil { // what failed at the start may work by now
		if err := p.apply(ctx, p.stacks); err != nil {
			return s, fmt.Errorf("putting the published routes in force: %w", err)
		}
	}
	away, err := p.missing()
	if err != nil {
		return s, err
	}
	for _, member := range []string{haproxy.Member, l4.Member} {
		seen := p.carriers[member].Look(ctx)
		for stack, r := range p.stacks {
			ack := glint.Ack{Member: member, Generation: r.Generation, Kind: glint.Proven}
			if away || !seen.Complete || seen.Generations[stack] != r.Generation || late(seen, stack) {
				ack.Kind = glint.Unknown
			}
			s.Acks[stack] = append(s.Acks[stack], ack)
		}
		for id, n := range seen.InFlight {
			s.InFlight[id] += n
		}
		s.Complete = s.Complete && seen.Complete
		if len(seen.Late) > 0 {
			p.mend(ctx, member, seen)
		}
	}
	if s.Complete {
		p.draining = p.leftovers(s.InFlight)
	}
	s.At = time.Now()
	return s, nil
}

// leftovers lists what is in flight to instances that are in no routes.
func (p *Plane) leftovers(inFlight map[glint.ID]int) map[glint.ID]bool {
	all := map[glint.ID]bool{}
	for id := range inFlight {
		all[id] = true
	}
	for _, r := range p.stacks {
		for _, b := range r.Services {
			for _, m := range b.Members {
				delete(all, m.ID)
			}
		}
	}
	return all
}

func late(seen balancer.Seen, stack string) bool {
	for name := range seen.Late {
		if name == "" || strings.HasPrefix(name, stack+".") {
			return true
		}
	}
	return false
}

// missing reports whether a stable address was away, and puts it back.
func (p *Plane) missing() (bool, error) {
	if p.tables == nil {
		return true, nil
	}
	have, err := p.addresses.List()
	if err != nil {
		return false, err
	}
	if slices.Equal(have, p.vips) {
		return false, nil
	}
	p.cfg.Incident(fmt.Sprintf("link %s holds %v instead of %v; mended", p.cfg.Name, have, p.vips))
	return true, p.addresses.Set(p.vips)
}

// mend publishes once more what a carrier no longer has in force. HAProxy mends itself.
func (p *Plane) mend(ctx context.Context, member string, seen balancer.Seen) {
	table, applied := p.tables[member]
	if !applied || member == haproxy.Member {
		return
	}
	err := p.carriers[member].Publish(ctx, table)
	what := "mended"
	if err != nil {
		what = "mending failed: " + err.Error()
	}
	p.cfg.Incident(fmt.Sprintf("%s; %s", slices.Collect(maps.Values(seen.Late))[0], what))
}

// lookEach is how often Watch asks whether an instance that left has finished, while there is one.
const lookEach = 100 * time.Millisecond

// Watch implements balancer.Watcher: it hints after every accepted change, and when an instance that left has nothing in
// flight any more.
func (p *Plane) Watch(ctx context.Context, hint func()) error {
	p.mu.Lock()
	p.watchers[&hint] = true
	p.mu.Unlock()
	defer func() {
		p.mu.Lock()
		delete(p.watchers, &hint)
		p.mu.Unlock()
	}()
	tick := time.NewTicker(lookEach)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
		if p.drained(ctx) {
			hint()
		}
	}
}

// drained looks only while somebody drains, and reports whether one has finished.
func (p *Plane) drained(ctx context.Context) bool {
	p.mu.Lock()
	before := p.draining
	p.mu.Unlock()
	if len(before) == 0 {
		return false
	}
	st, err := p.Status(ctx)
	if err != nil || !st.Complete {
		return false
	}
	for id := range before {
		if st.InFlight[id] == 0 {
			return true
		}
	}
	return false
}

func (p *Plane) hint() {
	for w := range p.watchers {
		(*w)()
	}
}

type state struct {
	Format int                     `json:"format"`
	Stacks map[string]glint.Routes `json:"stacks"`
}

func (p *Plane) load() error {
	text, err := os.ReadFile(p.cfg.State)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	var s state
	if err == nil {
		err = json.Unmarshal(text, &s)
	}
	if err != nil {
		return fmt.Errorf("reading the published routes %s: %w", p.cfg.State, err)
	}
	if s.Format > 1 {
		return fmt.Errorf("the published routes %s have format %d: %w", p.cfg.State, s.Format, glint.ErrTooNew)
	}
	maps.Copy(p.stacks, s.Stacks)
	return nil
}

func (p *Plane) save(stacks map[string]glint.Routes) error {
	s := state{Format: 1, Stacks: maps.Clone(stacks)}
	maps.DeleteFunc(s.Stacks, func(_ string, r glint.Routes) bool { return off(r) })
	text, err := json.Marshal(s)
	if err != nil {
		return err
	}
	return network.WriteFile(p.cfg.State, text)
}
