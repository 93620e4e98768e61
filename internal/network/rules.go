package network

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

const firewallFamily = nftables.TableFamilyINet

// The firewall looks after connection tracking (-200, which tells what is established) and before the destination is
// rewritten (-100), so that it sees the stable address that was asked for.
const firewallPriority = -150

// elements are the contents of the firewall's sets, by name of the set.
type elements map[string]map[string]bool

func ifname(s string) []byte {
	b := make([]byte, unix.IFNAMSIZ)
	copy(b, s)
	return b
}

// elements lists what the kernel must know.
func (f *Firewall) elements() elements {
	all := elements{"links": {}, "members": {}, "edges": {}}
	for id, m := range f.state.Members {
		all["links"][string(ifname(m.Link))] = true
		all["members"][string(Concat(ifname(m.Link), Bytes4(m.Addr)))] = true
		for _, e := range f.state.Edges[id.Stack] {
			if e.From == id.Service {
				all["edges"][string(Concat(Bytes4(m.Addr), Bytes4(e.To), binary.BigEndian.AppendUint16(nil, e.Port)))] = true
			}
		}
	}
	return all
}

func (f *Firewall) sets(t *nftables.Table) map[string]*nftables.Set {
	addr, port, name := nftables.TypeIPAddr, nftables.TypeInetService, nftables.TypeIFName
	return map[string]*nftables.Set{
		"links":   {Table: t, Name: "links", KeyType: name},
		"members": {Table: t, Name: "members", KeyType: nftables.MustConcatSetType(name, addr), Concatenation: true},
		"edges":   {Table: t, Name: "edges", KeyType: nftables.MustConcatSetType(addr, addr, port), Concatenation: true},
	}
}

// enforce tells the kernel what has changed; when it does not have what it was told before, it is told everything.
func (f *Firewall) enforce() error {
	want := f.elements()
	if f.live != nil {
		if err := f.update(want); err == nil {
			f.live = want
			return nil
		}
	}
	f.live = nil
	if err := f.rewrite(want); err != nil {
		return err
	}
	f.live = want
	return nil
}

func (f *Firewall) update(want elements) error {
	c, err := Dial()
	if err != nil {
		return err
	}
	t := &nftables.Table{Family: firewallFamily, Name: f.cfg.Name}
	if _, err := c.ListTableOfFamily(f.cfg.Name, firewallFamily); err != nil {
		return err
	}
	for name, set := range f.sets(t) {
		if err := AddElements(c, set, keys(want[name], f.live[name])); err != nil {
			return err
		}
		if gone := keys(f.live[name], want[name]); len(gone) > 0 {
			if err := c.SetDeleteElements(set, gone); err != nil {
				return err
			}
		}
	}
	return c.Flush()
}

// keys lists what is in a and not in b.
func keys(a, b map[string]bool) []nftables.SetElement {
	var all []nftables.SetElement
	for _, k := range slices.Sorted(maps.Keys(a)) {
		if !b[k] {
			all = append(all, nftables.SetElement{Key: []byte(k)})
		}
	}
	return all
}

// rewrite puts the whole table in place, in one transaction.
func (f *Firewall) rewrite(want elements) error {
	c, err := Dial()
	if err != nil {
		return err
	}
	t := Fresh(c, firewallFamily, f.cfg.Name)
	sets := f.sets(t)
	var failed []error
	for _, name := range slices.Sorted(maps.Keys(sets)) {
		failed = append(failed, c.AddSet(sets[name], nil), AddElements(c, sets[name], keys(want[name], nil)))
	}
	if err := errors.Join(failed...); err != nil {
		return err
	}
	priority := nftables.ChainPriority(firewallPriority)
	look := c.AddChain(&nftables.Chain{Name: "look", Table: t, Type: nftables.ChainTypeFilter, Hooknum: nftables.ChainHookPrerouting, Priority: &priority})
	instance := c.AddChain(&nftables.Chain{Name: "instance", Table: t})
	f.lookRules(func(e ...expr.Any) { c.AddRule(&nftables.Rule{Table: t, Chain: look, Exprs: e}) })
	f.instanceRules(func(e ...expr.Any) { c.AddRule(&nftables.Rule{Table: t, Chain: instance, Exprs: e}) })
	if err := c.Flush(); err != nil {
		return fmt.Errorf("writing nftables table %s: %w", f.cfg.Name, err)
	}
	return nil
}

func accept() expr.Any { return &expr.Verdict{Kind: expr.VerdictAccept} }
func drop() expr.Any   { return &expr.Verdict{Kind: expr.VerdictDrop} }

// prohibit tells the sender that the answer is no (ICMP type 3, code 13; RFC 1812, 5.2.7.1).
func prohibit() expr.Any {
	return &expr.Reject{Type: unix.NFT_REJECT_ICMPX_UNREACH, Code: unix.NFT_REJECT_ICMPX_ADMIN_PROHIBITED}
}

func iif(cmp ...expr.Any) []expr.Any {
	return append([]expr.Any{&expr.Meta{Key: expr.MetaKeyIIFNAME, Register: Reg(0)}}, cmp...)
}

// lookRules sort packets by where they come from.
func (f *Firewall) lookRules(rule func(...expr.Any)) {
	toInstance := &expr.Verdict{Kind: expr.VerdictGoto, Chain: "instance"}
	if f.cfg.Links != "" {
		rule(iif(&expr.Cmp{Op: expr.CmpOpEq, Register: Reg(0), Data: []byte(f.cfg.Links)}, toInstance)...)
	}
	rule(iif(&expr.Lookup{SourceRegister: Reg(0), SetName: "links"}, toInstance)...)
	rule(iif(&expr.Cmp{Op: expr.CmpOpEq, Register: Reg(0), Data: ifname("lo")}, accept())...)
	rule(append(Established(), accept())...)
	for _, p := range f.guarded() {
		rule(append(destinedTo(p), prohibit())...)
	}
}

// instanceRules judge what comes from instances.
func (f *Firewall) instanceRules(rule func(...expr.Any)) {
	rule(&expr.Meta{Key: expr.MetaKeyNFPROTO, Register: Reg(0)}, &expr.Cmp{Op: expr.CmpOpNeq, Register: Reg(0), Data: []byte{unix.NFPROTO_IPV4}}, drop())
	rule(iif(Source(Reg(4)), &expr.Lookup{SourceRegister: Reg(0), SetName: "members", Invert: true}, drop())...)
	rule(append(Established(), accept())...)
	rule(append(IsTCP(), Source(Reg(0)), Destination(Reg(1)), DestinationPort(Reg(2)),
		&expr.Lookup{SourceRegister: Reg(0), SetName: "edges"}, accept())...)
	closed := [][]expr.Any{{ // the host's own addresses; 2 is RTN_LOCAL
		&expr.Fib{Register: Reg(0), ResultADDRTYPE: true, FlagDADDR: true},
		&expr.Cmp{Op: expr.CmpOpEq, Register: Reg(0), Data: binaryutil.NativeEndian.PutUint32(unix.RTN_LOCAL)},
	}}
	for _, p := range f.guarded() {
		closed = append(closed, destinedTo(p))
	}
	for _, to := range closed {
		rule(append(append(IsTCP(), to...), &expr.Reject{Type: unix.NFT_REJECT_TCP_RST})...)
		rule(append(to, prohibit())...)
	}
}

func (f *Firewall) guarded() []netip.Prefix {
	return append([]netip.Prefix{f.cfg.Instances}, f.cfg.Services...)
}

// destinedTo goes on only with packets to a range of addresses.
func destinedTo(p netip.Prefix) []expr.Any {
	return []expr.Any{
		&expr.Meta{Key: expr.MetaKeyNFPROTO, Register: Reg(0)},
		&expr.Cmp{Op: expr.CmpOpEq, Register: Reg(0), Data: []byte{unix.NFPROTO_IPV4}},
		Destination(Reg(0)),
		&expr.Bitwise{SourceRegister: Reg(0), DestRegister: Reg(0), Len: 4, Mask: net.CIDRMask(p.Bits(), 32), Xor: make([]byte, 4)},
		&expr.Cmp{Op: expr.CmpOpEq, Register: Reg(0), Data: Bytes4(p.Masked().Addr())},
	}
}
