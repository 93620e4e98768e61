package l4

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"syscall"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"

	"github.com/glint-infra/glint"
	"github.com/glint-infra/glint/internal/balancer"
	"github.com/glint-infra/glint/internal/network"
)

// A slot is one of a service's places, numbered from 0.
type slot struct {
	service netip.AddrPort
	n       uint32
}

// content is what the table says. In the kernel it is one map of slots, one set of services for each number of members (a rule
// draws a number below a constant), a set of all services, and a set that remembers which instance an address is of.
type content struct {
	exists   bool
	rules    int
	slots    map[slot]netip.AddrPort
	services map[netip.AddrPort]int // how many members
	known    map[netip.AddrPort]glint.ID
}

func contentOf(t balancer.Table) (content, error) {
	c := content{exists: true, slots: map[slot]netip.AddrPort{}, services: map[netip.AddrPort]int{}, known: map[netip.AddrPort]glint.ID{}}
	for _, b := range t.Backends {
		if _, twice := c.services[b.Listen]; twice || !b.Listen.Addr().Is4() || b.Listen.Port() == 0 {
			return c, fmt.Errorf("%s: stable address %s is no IPv4 address with port, or another's too: %w", b.Name, b.Listen, glint.ErrInvalid)
		}
		c.services[b.Listen] = len(b.Members)
		for i, m := range b.Members {
			addr, err := netip.ParseAddr(m.Address)
			if err != nil || !addr.Is4() || m.Port < 1 || m.Port > 65535 {
				return c, fmt.Errorf("%s: member %s at %q port %d: want an IPv4 address and a port: %w", b.Name, m.ID, m.Address, m.Port, glint.ErrInvalid)
			}
			at := netip.AddrPortFrom(addr, uint16(m.Port))
			c.slots[slot{b.Listen, uint32(i)}] = at
			c.known[at] = m.ID
		}
	}
	c.rules = 2*len(c.sizes()) + 2
	if len(c.slots) > 0 {
		c.rules++
	}
	return c, nil
}

// sizes lists the numbers of members that occur.
func (c content) sizes() []int {
	all := map[int]bool{}
	for _, n := range c.services {
		if n > 0 {
			all[n] = true
		}
	}
	return slices.Sorted(maps.Keys(all))
}

// same compares what traffic depends on. An empty table and none carry the same.
func (c content) same(want content) bool {
	if len(want.services) == 0 && (!c.exists || len(c.services) == 0 && len(c.slots) == 0) {
		return true
	}
	return c.exists && c.rules == want.rules && maps.Equal(c.slots, want.slots) && maps.Equal(c.services, want.services)
}

// keep remembers members that left as long as they have connections.
func (c content) keep(before map[netip.AddrPort]glint.ID, flows map[glint.ID]int) {
	for at, id := range before {
		if _, reused := c.known[at]; !reused && flows[id] > 0 {
			c.known[at] = id
		}
	}
}

var (
	addrPort     = nftables.MustConcatSetType(nftables.TypeIPAddr, nftables.TypeInetService)
	addrPortSlot = nftables.MustConcatSetType(nftables.TypeIPAddr, nftables.TypeInetService, nftables.TypeInteger)
	addrAddr     = nftables.MustConcatSetType(nftables.TypeIPAddr, nftables.TypeIPAddr)
)

func pack(a netip.AddrPort) []byte {
	return network.Concat(network.Bytes4(a.Addr()), binary.BigEndian.AppendUint16(nil, a.Port()))
}

func unpack(b []byte) netip.AddrPort {
	if len(b) < 6 {
		return netip.AddrPort{}
	}
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte(b[:4])), binary.BigEndian.Uint16(b[4:6]))
}

// write puts a table in the place of the one before, in one transaction.
func write(name string, c content) error {
	conn, err := network.Dial()
	if err != nil {
		return err
	}
	w := &writer{conn: conn, table: network.Fresh(conn, nftables.TableFamilyIPv4, name)}
	var slots, services, known, self []nftables.SetElement
	bySize := map[int][]nftables.SetElement{}
	for s, at := range c.slots {
		slots = append(slots, nftables.SetElement{Key: append(pack(s.service), binaryutil.NativeEndian.PutUint32(s.n)...), Val: pack(at)})
	}
	for s, n := range c.services {
		services = append(services, nftables.SetElement{Key: pack(s)})
		bySize[n] = append(bySize[n], nftables.SetElement{Key: pack(s)})
	}
	loops := map[netip.Addr]bool{}
	for at, id := range c.known {
		known = append(known, nftables.SetElement{Key: pack(at), Comment: id.Key()})
		if !loops[at.Addr()] {
			loops[at.Addr()] = true
			self = append(self, nftables.SetElement{Key: network.Concat(network.Bytes4(at.Addr()), network.Bytes4(at.Addr()))})
		}
	}
	w.set(&nftables.Set{Name: "services", KeyType: addrPort}, services)
	w.set(&nftables.Set{Name: "known", KeyType: addrPort}, known)
	w.set(&nftables.Set{Name: "self", KeyType: addrAddr}, self)
	w.set(&nftables.Set{Name: "slots", KeyType: addrPortSlot, DataType: addrPort, IsMap: true}, slots)
	for _, n := range c.sizes() {
		w.set(&nftables.Set{Name: fmt.Sprintf("size%d", n), KeyType: addrPort}, bySize[n])
	}
	w.chains(c)
	if w.err != nil {
		return w.err
	}
	if err := conn.Flush(); err != nil {
		return fmt.Errorf("writing nftables table %s: %w", name, err)
	}
	return nil
}

type writer struct {
	conn  *nftables.Conn
	table *nftables.Table
	err   error
}

func (w *writer) set(s *nftables.Set, all []nftables.SetElement) {
	s.Table, s.Concatenation = w.table, true
	w.err = errors.Join(w.err, w.conn.AddSet(s, nil))
	w.err = errors.Join(w.err, network.AddElements(w.conn, s, all))
}

func (w *writer) chain(name string, typ nftables.ChainType, hook *nftables.ChainHook, prio *nftables.ChainPriority) *nftables.Chain {
	return w.conn.AddChain(&nftables.Chain{Name: name, Table: w.table, Type: typ, Hooknum: hook, Priority: prio})
}

func (w *writer) rule(c *nftables.Chain, exprs ...expr.Any) {
	w.conn.AddRule(&nftables.Rule{Table: w.table, Chain: c, Exprs: append(network.IsTCP(), exprs...)})
}

func (w *writer) chains(c content) {
	from := w.chain("instances", nftables.ChainTypeNAT, nftables.ChainHookPrerouting, nftables.ChainPriorityNATDest)
	own := w.chain("host", nftables.ChainTypeNAT, nftables.ChainHookOutput, nftables.ChainPriorityNATDest)
	for _, n := range c.sizes() {
		w.rule(from, choose(n)...)
		w.rule(own, choose(n)...)
	}
	// What still goes to a stable address here found no member. Refuse it, or a program of the host that listens on every
	// address would answer in the service's name.
	in := w.chain("refuse", nftables.ChainTypeFilter, nftables.ChainHookInput, nftables.ChainPriorityFilter)
	// The kernel tracks connections only while some rule asks for it: without this one, the connections of members that left would
	// break when the last member goes.
	w.conn.AddRule(&nftables.Rule{Table: w.table, Chain: in, Exprs: append(network.Established(), &expr.Verdict{Kind: expr.VerdictAccept})})
	w.rule(in, network.Destination(network.Reg(0)), network.DestinationPort(network.Reg(1)),
		&expr.Lookup{SourceRegister: network.Reg(0), SetName: "services"}, &expr.Reject{Type: unix.NFT_REJECT_TCP_RST})
	// An instance that reaches itself through its service would not take a packet from its own address.
	if post := w.chain("self", nftables.ChainTypeNAT, nftables.ChainHookPostrouting, nftables.ChainPriorityNATSource); len(c.slots) > 0 {
		w.rule(post, network.Source(network.Reg(0)), network.Destination(network.Reg(1)),
			&expr.Lookup{SourceRegister: network.Reg(0), SetName: "self"}, &expr.Masq{})
	}
}

// choose sends a new connection to the next of n members.
func choose(n int) []expr.Any {
	return []expr.Any{
		network.Destination(network.Reg(0)),
		network.DestinationPort(network.Reg(1)),
		&expr.Lookup{SourceRegister: network.Reg(0), SetName: fmt.Sprintf("size%d", n)},
		&expr.Numgen{Register: network.Reg(2), Modulus: uint32(n), Type: unix.NFT_NG_INCREMENTAL},
		&expr.Lookup{SourceRegister: network.Reg(0), DestRegister: network.Reg(4), IsDestRegSet: true, SetName: "slots"},
		&expr.NAT{Type: expr.NATTypeDestNAT, Family: unix.NFPROTO_IPV4, RegAddrMin: network.Reg(4), RegProtoMin: network.Reg(5)},
	}
}

// read reads the table back from the kernel.
func read(name string) (content, error) {
	c := content{slots: map[slot]netip.AddrPort{}, services: map[netip.AddrPort]int{}, known: map[netip.AddrPort]glint.ID{}}
	conn, err := network.Dial()
	if err != nil {
		return c, err
	}
	table, err := conn.ListTableOfFamily(name, nftables.TableFamilyIPv4)
	if errors.Is(err, syscall.ENOENT) || err == nil && table == nil {
		return c, nil
	}
	if err != nil {
		return c, fmt.Errorf("looking for nftables table %s: %w", name, err)
	}
	c.exists = true
	for _, chain := range []string{"instances", "host", "refuse", "self"} {
		rules, err := conn.GetRules(table, &nftables.Chain{Name: chain, Table: table})
		if err != nil && !errors.Is(err, syscall.ENOENT) {
			return c, fmt.Errorf("reading chain %s of nftables table %s: %w", chain, name, err)
		}
		c.rules += len(rules)
	}
	sets, err := conn.GetSets(table)
	if err != nil {
		return c, fmt.Errorf("reading the sets of nftables table %s: %w", name, err)
	}
	for _, s := range sets {
		elements, err := conn.GetSetElements(s)
		if err != nil {
			return c, fmt.Errorf("reading set %s of nftables table %s: %w", s.Name, name, err)
		}
		c.take(s.Name, elements)
	}
	return c, nil
}

func (c content) take(set string, elements []nftables.SetElement) {
	var n int
	_, sized := fmt.Sscanf(set, "size%d", &n)
	for _, e := range elements {
		switch {
		case set == "slots" && len(e.Key) >= 12:
			c.slots[slot{unpack(e.Key), binaryutil.NativeEndian.Uint32(e.Key[8:12])}] = unpack(e.Val)
		case set == "known":
			if id, err := glint.ParseKey(e.Comment); err == nil {
				c.known[unpack(e.Key)] = id
			}
		case set == "services":
			c.services[unpack(e.Key)] += 0
		case sized == nil:
			c.services[unpack(e.Key)] += n
		}
	}
}
