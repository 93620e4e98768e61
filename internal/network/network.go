// Package network keeps what the host's kernel knows of Glint's addresses and of who may reach whom.
// It carries no traffic to instances and gives out no address.
package network

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"syscall"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Addresses are the stable addresses of services, held by this host as /32 on one link that leads nowhere. The link exists while
// there is at least one. All work is done in the network namespace of the calling process.
type Addresses struct {
	link string
	mu   sync.Mutex
}

// NewAddresses names the link, such as "glint0"; at most 15 bytes. Nothing is changed before the first Set.
func NewAddresses(link string) (*Addresses, error) {
	if link == "" || len(link) >= unix.IFNAMSIZ {
		return nil, fmt.Errorf("link name %q: want 1 to %d bytes", link, unix.IFNAMSIZ-1)
	}
	return &Addresses{link: link}, nil
}

// Set makes exactly these addresses be on the link, and takes the link away when there are none. It may be called as
// often as one likes: what is in place stays untouched.
func (a *Addresses) Set(want []netip.Addr) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	link, have, err := a.read()
	if err != nil {
		return err
	}
	if len(want) == 0 {
		return a.remove(link)
	}
	if link == nil {
		if link, err = a.create(); err != nil {
			return err
		}
	}
	for _, addr := range want {
		if slices.Contains(have, addr) {
			continue
		}
		if err := netlink.AddrAdd(link, host(addr)); err != nil && !errors.Is(err, syscall.EEXIST) {
			return fmt.Errorf("putting %s on link %s: %w", addr, a.link, err)
		}
	}
	for _, addr := range have {
		if slices.Contains(want, addr) {
			continue
		}
		if err := netlink.AddrDel(link, host(addr)); err != nil && !errors.Is(err, syscall.EADDRNOTAVAIL) {
			return fmt.Errorf("taking %s from link %s: %w", addr, a.link, err)
		}
	}
	return nil
}

// List returns the addresses that are on the link now, sorted. No link: none.
func (a *Addresses) List() ([]netip.Addr, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	_, have, err := a.read()
	return have, err
}

func (a *Addresses) read() (netlink.Link, []netip.Addr, error) {
	link, err := netlink.LinkByName(a.link)
	if gone := (netlink.LinkNotFoundError{}); errors.As(err, &gone) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, fmt.Errorf("looking for link %s: %w", a.link, err)
	}
	if !slices.Contains(linkTypes, link.Type()) {
		return nil, nil, fmt.Errorf("link %s is a %s of somebody else, not Glint's; rename it or choose another name for Glint's", a.link, link.Type())
	}
	addrs, err := netlink.AddrList(link, netlink.FAMILY_V4)
	if err != nil {
		return nil, nil, fmt.Errorf("reading the addresses of link %s: %w", a.link, err)
	}
	if link.Attrs().Flags&net.FlagUp == 0 {
		if err := netlink.LinkSetUp(link); err != nil {
			return nil, nil, fmt.Errorf("bringing link %s up: %w", a.link, err)
		}
	}
	var have []netip.Addr
	for _, addr := range addrs {
		if ip, ok := netip.AddrFromSlice(addr.IP.To4()); ok {
			have = append(have, ip)
		}
	}
	slices.SortFunc(have, netip.Addr.Compare)
	return link, have, nil
}

// linkTypes are what can hold addresses and nothing else, the best first. A kernel may lack the first; a bridge without ports does
// the same.
var linkTypes = []string{"dummy", "bridge"}

func (a *Addresses) create() (netlink.Link, error) {
	attrs := netlink.LinkAttrs{Name: a.link}
	var link netlink.Link = &netlink.Dummy{LinkAttrs: attrs}
	err := netlink.LinkAdd(link)
	if errors.Is(err, syscall.EOPNOTSUPP) {
		link = &netlink.Bridge{LinkAttrs: attrs}
		err = netlink.LinkAdd(link)
	}
	if err != nil {
		return nil, fmt.Errorf("making link %s for the addresses of services: %w", a.link, err)
	}
	if err := netlink.LinkSetUp(link); err != nil {
		return nil, fmt.Errorf("bringing link %s up: %w", a.link, err)
	}
	return link, nil
}

func (a *Addresses) remove(link netlink.Link) error {
	if link == nil {
		return nil
	}
	if err := netlink.LinkDel(link); err != nil && !errors.Is(err, syscall.ENODEV) {
		return fmt.Errorf("taking link %s away: %w", a.link, err)
	}
	return nil
}

func host(addr netip.Addr) *netlink.Addr {
	return &netlink.Addr{IPNet: &net.IPNet{IP: addr.AsSlice(), Mask: net.CIDRMask(32, 32)}}
}
