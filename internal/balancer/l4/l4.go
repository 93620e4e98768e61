// Package l4 carries TCP to instances: the kernel turns connections to a service's stable address into connections to
// one of its members. It does not choose who takes traffic, and it cannot move a connection once it is made.
package l4

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"syscall"

	"github.com/google/nftables"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/glint-infra/glint"
	"github.com/glint-infra/glint/internal/balancer"
	"github.com/glint-infra/glint/internal/network"
)

// Member is the name under which the kernel's tables acknowledge generations.
const Member = "nftables"

// A Balancer is one nftables table of family ip in the network namespace of the calling process. The kernel alone keeps what is
// published, and goes on with it whatever becomes of this process.
type Balancer struct {
	name string

	mu   sync.Mutex
	want balancer.Table
	said bool // want is what somebody published, not what was found
}

// Open names the table. Nothing is changed before the first Publish.
func Open(name string) *Balancer { return &Balancer{name: name} }

// Close leaves the table in force; without anything published it takes it away.
func (b *Balancer) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.said || len(b.want.Backends) > 0 {
		return nil
	}
	return network.RemoveTable(nftables.TableFamilyIPv4, b.name)
}

// Publish puts a whole table in force, in one transaction. Connections that are made stay where they are.
func (b *Balancer) Publish(_ context.Context, t balancer.Table) error {
	want, err := contentOf(t)
	if err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.want, b.said = t, true
	have, err := read(b.name)
	if err != nil {
		return err
	}
	if have.same(want) {
		return nil
	}
	flows, err := b.flows(have.known)
	if err != nil {
		return err
	}
	want.keep(have.known, flows)
	if len(t.Backends) == 0 && len(flows) == 0 {
		return network.RemoveTable(nftables.TableFamilyIPv4, b.name)
	}
	return write(b.name, want)
}

// Look reads the kernel's table back, and then its list of connections.
func (b *Balancer) Look(ctx context.Context) balancer.Seen {
	b.mu.Lock()
	defer b.mu.Unlock()
	seen := balancer.Seen{Generations: b.want.Generations, Late: map[string]string{}, InFlight: map[glint.ID]int{}, Complete: true}
	have, err := read(b.name)
	if err == nil {
		b.judge(have, seen.Late)
		seen.InFlight, err = b.flows(have.known)
	}
	if err != nil {
		return balancer.Seen{Late: map[string]string{"": err.Error()}}
	}
	if b.said && len(b.want.Backends) == 0 && have.exists && len(seen.InFlight) == 0 {
		if err := network.RemoveTable(nftables.TableFamilyIPv4, b.name); err != nil {
			seen.Late[""] = err.Error()
		}
	}
	return seen
}

func (b *Balancer) judge(have content, late map[string]string) {
	want, err := contentOf(b.want)
	if err != nil {
		late[""] = err.Error()
		return
	}
	if !have.exists && len(b.want.Backends) > 0 {
		late[""] = fmt.Sprintf("nftables table %q is missing", b.name)
		return
	}
	if !have.same(want) {
		late[""] = fmt.Sprintf("nftables table %q is not as published", b.name)
	}
}

// flows counts the connections to each known member. A connection ends for the kernel when both sides have closed it.
func (b *Balancer) flows(known map[netip.AddrPort]glint.ID) (map[glint.ID]int, error) {
	all := map[glint.ID]int{}
	if len(known) == 0 {
		return all, nil
	}
	list, err := netlink.ConntrackTableList(netlink.ConntrackTable, unix.AF_INET)
	if err != nil && !errors.Is(err, netlink.ErrDumpInterrupted) {
		return nil, fmt.Errorf("reading the kernel's connections: %w", err)
	}
	for _, f := range list {
		if f.Forward.Protocol != syscall.IPPROTO_TCP || f.Forward.DstIP.Equal(f.Reverse.SrcIP) && f.Forward.DstPort == f.Reverse.SrcPort {
			continue // the health probes and HAProxy's connections go straight to an instance
		}
		addr, ok := netip.AddrFromSlice(f.Reverse.SrcIP.To4())
		id, member := known[netip.AddrPortFrom(addr, f.Reverse.SrcPort)]
		tcp, isTCP := f.ProtoInfo.(*netlink.ProtoInfoTCP)
		if ok && member && isTCP && open(tcp.State) {
			all[id]++
		}
	}
	return all, nil
}

// open tells the states in which data may still flow (nf_conntrack_tcp.h): SYN_SENT 1, SYN_RECV 2, ESTABLISHED 3,
// FIN_WAIT 4, CLOSE_WAIT 5.
func open(state uint8) bool { return state >= 1 && state <= 5 }
