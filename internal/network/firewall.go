package network

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/glint-infra/glint"
)

// FirewallConfig says what the firewall guards.
type FirewallConfig struct {
	Name      string         // of the nftables table, family inet
	State     string         // file in which members and edges are kept over a restart; made with mode 0600
	Links     string         // what the names of all links to instances begin with, so that one is guarded before it has joined
	Instances netip.Prefix   // addresses of instances
	Services  []netip.Prefix // stable addresses of services

	At func(moment string) // is called between any two things that outlive the server, for tests of crashes; may be nil
}

// An Edge lets the instances of one service of a stack reach one stable address.
type Edge struct {
	From string     `json:"from"` // a service of the stack
	To   netip.Addr `json:"to"`
	Port uint16     `json:"port"`
}

// A Firewall decides which packets of instances go on. What comes from an instance's link must bear the instance's
// address; it may reach what an edge allows and, outside the host and Glint's addresses, everybody. Nobody but the host itself
// reaches an instance or a stable address from elsewhere. Refused programs are told so at once.
type Firewall struct {
	cfg FirewallConfig

	mu    sync.Mutex
	state firewallState
	live  elements // what the kernel was given last; nil: unknown
}

type firewallState struct {
	Format  int                 `json:"format"`
	Members map[glint.ID]member `json:"members"`
	Edges   map[string][]Edge   `json:"edges"` // by stack
}

type member struct {
	Addr netip.Addr `json:"addr"`
	Link string     `json:"link"`
}

// NewFirewall puts in force what the firewall knew before a restart; instances that run go on unhindered. An error wraps
// glint.ErrTooNew when the state was written by a newer Glint.
func NewFirewall(cfg FirewallConfig) (*Firewall, error) {
	if cfg.Name == "" || cfg.State == "" || len(cfg.Links) >= unix.IFNAMSIZ {
		return nil, fmt.Errorf("firewall: name, state file and a short name for links are needed: %w", glint.ErrInvalid)
	}
	for _, p := range append([]netip.Prefix{cfg.Instances}, cfg.Services...) {
		if !p.IsValid() || !p.Addr().Is4() {
			return nil, fmt.Errorf("firewall: %s is no range of IPv4 addresses: %w", p, glint.ErrInvalid)
		}
	}
	f := &Firewall{cfg: cfg, state: firewallState{Members: map[glint.ID]member{}, Edges: map[string][]Edge{}}}
	text, err := os.ReadFile(cfg.State)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("reading the firewall's state: %w", err)
	}
	if err == nil {
		if err := json.Unmarshal(text, &f.state); err != nil {
			return nil, fmt.Errorf("reading the firewall's state %s: %w", cfg.State, err)
		}
	}
	if f.state.Format > 1 {
		return nil, fmt.Errorf("the firewall's state %s has format %d: %w", cfg.State, f.state.Format, glint.ErrTooNew)
	}
	f.state.Format = 1
	return f, f.enforce()
}

// Join lets an instance in: what comes through link must come from addr. Whoever had the address or the link before is out.
// It also lets the link's packets be forwarded, which is off by default and not switched on for other links.
func (f *Firewall) Join(_ context.Context, id glint.ID, addr netip.Addr, link string) error {
	if !f.cfg.Instances.Contains(addr) || link == "" || len(link) >= unix.IFNAMSIZ || filepath.Base(link) != link || link == ".." {
		return fmt.Errorf("letting %s in: address %s must be in %s, and %q the name of a link: %w", id, addr, f.cfg.Instances, link, glint.ErrInvalid)
	}
	if err := os.WriteFile("/proc/sys/net/ipv4/conf/"+link+"/forwarding", []byte("1"), 0); err != nil {
		return fmt.Errorf("letting %s in: its link %s: %w", id, link, err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	m := member{Addr: addr, Link: link}
	if f.state.Members[id] != m {
		maps.DeleteFunc(f.state.Members, func(_ glint.ID, o member) bool { return o.Addr == addr || o.Link == link })
		f.state.Members[id] = m
		if err := f.save(); err != nil {
			return err
		}
	}
	return f.enforce()
}

// Leave shuts an instance out. One that never joined is not an error.
func (f *Firewall) Leave(_ context.Context, id glint.ID) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, in := f.state.Members[id]; !in {
		return nil
	}
	delete(f.state.Members, id)
	if err := f.save(); err != nil {
		return err
	}
	return f.enforce()
}

// SetEdges says who may reach whom in a stack, whole. Once it returns it holds for all members, those that join later
// included. Connections that were allowed when they were made go on.
func (f *Firewall) SetEdges(stack string, edges []Edge) error {
	for _, e := range edges {
		if !e.To.Is4() || e.Port == 0 {
			return fmt.Errorf("edge of %s from %s to %s port %d: want an IPv4 address and a port: %w", stack, e.From, e.To, e.Port, glint.ErrInvalid)
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if !slices.Equal(f.state.Edges[stack], edges) {
		f.state.Edges[stack] = slices.Clone(edges)
		if len(edges) == 0 {
			delete(f.state.Edges, stack)
		}
		if err := f.save(); err != nil {
			return err
		}
	}
	return f.enforce()
}

// Close leaves the rules in force.
func (f *Firewall) Close() error { return nil }

// Remove takes the rules and what was remembered away.
func (f *Firewall) Remove() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.live = nil
	if err := os.Remove(f.cfg.State); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("removing the firewall's state: %w", err)
	}
	return RemoveTable(firewallFamily, f.cfg.Name)
}

func (f *Firewall) save() error {
	text, err := json.Marshal(f.state)
	if err == nil {
		err = WriteFile(f.cfg.State, text)
	}
	if err != nil {
		return fmt.Errorf("keeping the firewall's state: %w", err)
	}
	if f.cfg.At != nil {
		f.cfg.At("firewall: its state is written")
	}
	return nil
}

// WriteFile replaces a file as a whole, with mode 0600: a reader, or a crash, finds the old content or the new. One caller
// at a time may write a file. A crash may leave PATH.new beside it, which the next call uses again.
func WriteFile(path string, content []byte) error {
	dir := filepath.Dir(path)
	f, err := os.OpenFile(path+".new", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(f.Name()) }() // gone already when all went well
	_, err = f.Write(content)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return err
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
