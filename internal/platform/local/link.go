package local

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// gateway is the link-local address by which every instance reaches the host, and that it sees the host come from. The
// host has it once, on its loopback link; the wires themselves have no addresses.
var gateway = netip.MustParseAddr("169.254.1.1")

// linkName is the host's end of the wire of an address: at most 15 bytes (IFNAMSIZ).
func linkName(name string, addr netip.Addr) string {
	a := addr.As4()
	return fmt.Sprintf("%.6s-%x", name, a[:])
}

// Hardware addresses are made from the IP address, locally administered: the host's end and the instance's.
func hostMAC(addr netip.Addr) net.HardwareAddr     { return mac(0x06, addr) }
func instanceMAC(addr netip.Addr) net.HardwareAddr { return mac(0x02, addr) }
func mac(first byte, addr netip.Addr) net.HardwareAddr {
	a := addr.As4()
	return net.HardwareAddr{first, 0x67, a[0], a[1], a[2], a[3]}
}

func host32(addr netip.Addr) *net.IPNet {
	return &net.IPNet{IP: addr.AsSlice(), Mask: net.CIDRMask(32, 32)}
}

// addGateway gives the host the gateway's address.
func addGateway() error {
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		return fmt.Errorf("finding the loopback link: %w", err)
	}
	err = netlink.AddrReplace(lo, &netlink.Addr{IPNet: host32(gateway), Scope: unix.RT_SCOPE_LINK})
	if err != nil {
		return fmt.Errorf("adding the gateway %s: %w", gateway, err)
	}
	return nil
}

func delGateway() error {
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		return err
	}
	err = netlink.AddrDel(lo, &netlink.Addr{IPNet: host32(gateway), Scope: unix.RT_SCOPE_LINK})
	if err != nil && !errors.Is(err, unix.EADDRNOTAVAIL) {
		return fmt.Errorf("removing the gateway %s: %w", gateway, err)
	}
	return nil
}

// wire connects the network namespace of a process with the host: a pair of links and one route to one address.
// The pair goes when the namespace goes, which is when the last process in it has ended.
func wire(name string, addr netip.Addr, init process) error {
	ns, err := netns.GetFromPid(init.Pid)
	if err != nil {
		return fmt.Errorf("opening the network of process %d: %w", init.Pid, err)
	}
	defer ns.Close()
	if !init.alive() { // asked after the namespace was opened: the pid may be another's
		return fmt.Errorf("wiring %s: %w", addr, os.ErrProcessDone)
	}
	in, err := netlink.NewHandleAt(ns, unix.NETLINK_ROUTE)
	if err != nil {
		return fmt.Errorf("opening the network of process %d: %w", init.Pid, err)
	}
	defer in.Close()
	if err := wireHost(name, addr, ns); err != nil {
		return fmt.Errorf("wiring %s on the host: %w", addr, err)
	}
	if err := wireInside(in, addr); err != nil {
		return fmt.Errorf("wiring %s inside: %w", addr, err)
	}
	return awaitUp(name)
}

// awaitUp waits until the kernel has noticed that both ends of a wire are up. Until then the host's end drops what is
// sent, and a first connection would wait a second for its next try. It takes a fraction of a millisecond.
func awaitUp(name string) error {
	for wait := 50 * time.Microsecond; wait < 2*time.Second; wait += wait / 2 {
		link, err := netlink.LinkByName(name)
		if err != nil {
			return fmt.Errorf("looking at link %s: %w", name, err)
		}
		if link.Attrs().OperState == netlink.OperUp {
			return nil
		}
		time.Sleep(wait)
	}
	return fmt.Errorf("link %s does not come up", name)
}

func wireHost(name string, addr netip.Addr, ns netns.NsHandle) error {
	pair := &netlink.Veth{
		LinkAttrs: netlink.LinkAttrs{Name: name, HardwareAddr: hostMAC(addr), NumTxQueues: 1, NumRxQueues: 1, TxQLen: -1},
		PeerName:  "eth0", PeerHardwareAddr: instanceMAC(addr), PeerNamespace: netlink.NsFd(int(ns)),
	}
	err := netlink.LinkAdd(pair)
	if errors.Is(err, unix.EEXIST) { // of a former holder of the address, whose namespace still fades; or of ours, half made
		if err := cut(name); err != nil {
			return err
		}
		err = netlink.LinkAdd(pair)
	}
	if err != nil {
		return err
	}
	link, err := netlink.LinkByName(name)
	if err != nil {
		return err
	}
	for file, value := range map[string]string{"ipv4/conf/" + name + "/forwarding": "1", "ipv6/conf/" + name + "/disable_ipv6": "1"} {
		if err := os.WriteFile(filepath.Join("/proc/sys/net", file), []byte(value), 0); err != nil && !(errors.Is(err, os.ErrNotExist) && strings.HasPrefix(file, "ipv6")) {
			return err
		}
	}
	if err := netlink.LinkSetUp(link); err != nil {
		return err
	}
	at := link.Attrs().Index
	if err := netlink.NeighSet(neighbour(at, addr, instanceMAC(addr))); err != nil {
		return err
	}
	return netlink.RouteReplace(&netlink.Route{LinkIndex: at, Scope: unix.RT_SCOPE_LINK, Dst: host32(addr), Src: gateway.AsSlice()})
}

// wireInside leads everything to the host, whose hardware address is known for ever: nobody has to ask for it.
func wireInside(in *netlink.Handle, addr netip.Addr) error {
	lo, err := in.LinkByName("lo")
	if err != nil {
		return err
	}
	eth, err := in.LinkByName("eth0")
	if err != nil {
		return err
	}
	at := eth.Attrs().Index
	steps := []func() error{
		func() error { return in.LinkSetUp(lo) },
		func() error { return in.AddrReplace(eth, &netlink.Addr{IPNet: host32(addr)}) },
		func() error { return in.LinkSetUp(eth) },
		func() error { return in.NeighSet(neighbour(at, gateway, hostMAC(addr))) },
		func() error {
			return in.RouteReplace(&netlink.Route{LinkIndex: at, Scope: unix.RT_SCOPE_LINK, Dst: host32(gateway)})
		},
		func() error {
			return in.RouteReplace(&netlink.Route{LinkIndex: at, Gw: gateway.AsSlice(), Dst: &net.IPNet{IP: net.IPv4zero.To4(), Mask: net.CIDRMask(0, 32)}})
		},
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

func neighbour(link int, addr netip.Addr, hw net.HardwareAddr) *netlink.Neigh {
	return &netlink.Neigh{LinkIndex: link, Family: unix.AF_INET, State: netlink.NUD_PERMANENT, IP: addr.AsSlice(), HardwareAddr: hw}
}

// cut removes a wire now.
func cut(name string) error {
	link, err := netlink.LinkByName(name)
	var none netlink.LinkNotFoundError
	if errors.As(err, &none) {
		return nil
	}
	if err == nil {
		err = netlink.LinkDel(link)
	}
	if err != nil && !errors.Is(err, unix.ENODEV) {
		return fmt.Errorf("removing link %s: %w", name, err)
	}
	return nil
}

// links names the wires of this platform.
func links(name string) ([]string, error) {
	all, err := netlink.LinkList()
	if err != nil {
		return nil, fmt.Errorf("listing links: %w", err)
	}
	var ours []string
	for _, l := range all {
		if strings.HasPrefix(l.Attrs().Name, fmt.Sprintf("%.6s-", name)) && l.Type() == "veth" {
			ours = append(ours, l.Attrs().Name)
		}
	}
	return ours, nil
}

// awaitLinks waits for the kernel to take the wires of ended namespaces away, and helps after a second.
func (p *Platform) awaitLinks() error {
	for wait := time.Millisecond; wait < time.Second; wait *= 2 {
		if left, err := links(p.cfg.Name); err != nil || len(left) == 0 {
			return err
		}
		time.Sleep(wait)
	}
	left, err := links(p.cfg.Name)
	for _, name := range left {
		err = errors.Join(err, cut(name))
	}
	return err
}
