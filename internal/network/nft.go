package network

import (
	"errors"
	"fmt"
	"net/netip"
	"syscall"
	"unsafe"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"github.com/mdlayher/netlink"
)

// nativeLittle tells whether this machine keeps the lowest byte first.
var nativeLittle = func() bool { x := uint16(1); return *(*byte)(unsafe.Pointer(&x)) == 1 }()

// socketBuffer holds one transaction of some 10,000 elements. It counts against nobody while it is empty.
const socketBuffer = 32 << 20

// Dial opens a connection to the kernel's packet filter that is fit for large transactions.
func Dial() (*nftables.Conn, error) {
	c, err := nftables.New(nftables.WithSockOptions(func(c *netlink.Conn) error {
		return errors.Join(c.SetReadBuffer(socketBuffer), c.SetWriteBuffer(socketBuffer))
	}))
	if err != nil {
		return nil, fmt.Errorf("opening nftables: %w", err)
	}
	return c, nil
}

// RemoveTable takes a table away; one that does not exist is not an error.
func RemoveTable(family nftables.TableFamily, name string) error {
	c, err := Dial()
	if err != nil {
		return err
	}
	c.DelTable(&nftables.Table{Family: family, Name: name})
	if err := c.Flush(); err != nil && !errors.Is(err, syscall.ENOENT) {
		return fmt.Errorf("taking nftables table %s away: %w", name, err)
	}
	return nil
}

// Fresh begins a transaction that puts an empty table of this name in the place of whatever was there.
func Fresh(c *nftables.Conn, family nftables.TableFamily, name string) *nftables.Table {
	t := &nftables.Table{Family: family, Name: name}
	c.AddTable(t) // so that the removal cannot fail
	c.DelTable(t)
	return c.AddTable(t)
}

// AddElements fills a set in pieces that fit one netlink message (an attribute holds at most 64 KiB).
func AddElements(c *nftables.Conn, set *nftables.Set, all []nftables.SetElement) error {
	for len(all) > 0 {
		n := min(len(all), 500)
		if err := c.SetAddElements(set, all[:n]); err != nil {
			return fmt.Errorf("filling nftables set %s: %w", set.Name, err)
		}
		all = all[n:]
	}
	return nil
}

// Concat writes fields as a key of several parts: each is filled up to 4 bytes, as the kernel's registers are.
func Concat(fields ...[]byte) []byte {
	var key []byte
	for _, f := range fields {
		key = append(key, f...)
		for len(key)%4 != 0 {
			key = append(key, 0)
		}
	}
	return key
}

// Bytes4 returns an IPv4 address in network order.
func Bytes4(a netip.Addr) []byte { b := a.As4(); return b[:] }

// The kernel's 32-bit registers (NFT_REG32_00 and on); a key of several parts lies in neighbours.
const reg0 = 8

// Reg is the n-th 32-bit register.
func Reg(n uint32) uint32 { return reg0 + n }

// Source loads the IPv4 source address into a register.
func Source(reg uint32) expr.Any {
	return &expr.Payload{DestRegister: reg, Base: expr.PayloadBaseNetworkHeader, Offset: 12, Len: 4}
}

// Destination loads the IPv4 destination address into a register.
func Destination(reg uint32) expr.Any {
	return &expr.Payload{DestRegister: reg, Base: expr.PayloadBaseNetworkHeader, Offset: 16, Len: 4}
}

// DestinationPort loads the destination port into a register.
func DestinationPort(reg uint32) expr.Any {
	return &expr.Payload{DestRegister: reg, Base: expr.PayloadBaseTransportHeader, Offset: 2, Len: 2}
}

// IsTCP goes on only with TCP.
func IsTCP() []expr.Any {
	return []expr.Any{
		&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: Reg(0)},
		&expr.Cmp{Op: expr.CmpOpEq, Register: Reg(0), Data: []byte{syscall.IPPROTO_TCP}},
	}
}

// Established goes on only with packets of a connection that was let through before, and with errors about one.
func Established() []expr.Any {
	bits := uint32(expr.CtStateBitESTABLISHED | expr.CtStateBitRELATED)
	return []expr.Any{
		&expr.Ct{Key: expr.CtKeySTATE, Register: Reg(0)},
		&expr.Bitwise{SourceRegister: Reg(0), DestRegister: Reg(0), Len: 4, Mask: binaryutil.NativeEndian.PutUint32(bits), Xor: make([]byte, 4)},
		&expr.Cmp{Op: expr.CmpOpNeq, Register: Reg(0), Data: make([]byte, 4)},
	}
}
