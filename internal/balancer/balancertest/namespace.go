package balancertest

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
)

// A Namespace is a network namespace with one wire to the test's own, as an instance has: its address is a routed /32.
// It goes with the test.
type Namespace struct {
	Addr netip.Addr
	Link string // the end of the wire in the test's namespace
	ns   netns.NsHandle
}

// gateway is what a namespace sends everything to; the test's loopback link holds it.
var gateway = &netlink.Addr{IPNet: &net.IPNet{IP: net.IPv4(169, 254, 1, 1).To4(), Mask: net.CIDRMask(32, 32)}}

// NewNamespace makes a namespace. To be used under Isolate only.
func NewNamespace(t testing.TB, link, addr string) *Namespace {
	t.Helper()
	n := &Namespace{Addr: netip.MustParseAddr(addr), Link: link}
	must := func(what string, err error) {
		t.Helper()
		if err != nil {
			t.Fatalf("%s for %s: %v", what, addr, err)
		}
	}
	must("making a namespace", n.open())
	t.Cleanup(func() { _ = n.ns.Close() })
	must("making a wire", netlink.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: link}, PeerName: "eth0", PeerNamespace: netlink.NsFd(int(n.ns))}))
	host, err := netlink.LinkByName(link)
	must("finding the wire", err)
	t.Cleanup(func() { _ = netlink.LinkDel(host) })
	lo, err := netlink.LinkByName("lo")
	must("finding lo", err)
	must("adding the gateway", netlink.AddrReplace(lo, gateway))
	must("bringing the wire up", netlink.LinkSetUp(host))
	one := &net.IPNet{IP: n.Addr.AsSlice(), Mask: net.CIDRMask(32, 32)}
	must("setting up the namespace", n.Do(func() error { return n.inside(one) }))
	must("adding a route", netlink.RouteReplace(&netlink.Route{LinkIndex: host.Attrs().Index, Scope: netlink.SCOPE_LINK, Dst: one, Src: gateway.IP}))
	must("letting the wire's packets be forwarded", os.WriteFile("/proc/sys/net/ipv4/conf/"+link+"/forwarding", []byte("1"), 0))
	return n
}

// open makes the namespace on a thread that is then thrown away.
func (n *Namespace) open() error {
	failed := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with this goroutine
		var err error
		n.ns, err = netns.New()
		failed <- err
	}()
	return <-failed
}

func (n *Namespace) inside(addr *net.IPNet) error {
	eth, err := netlink.LinkByName("eth0")
	if err != nil {
		return err
	}
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		return err
	}
	for _, step := range []func() error{
		func() error { return netlink.LinkSetUp(lo) },
		func() error { return netlink.LinkSetUp(eth) },
		func() error { return netlink.AddrAdd(eth, &netlink.Addr{IPNet: addr}) },
		func() error {
			return netlink.RouteAdd(&netlink.Route{LinkIndex: eth.Attrs().Index, Scope: netlink.SCOPE_LINK, Dst: gateway.IPNet})
		},
		func() error {
			return netlink.RouteAdd(&netlink.Route{LinkIndex: eth.Attrs().Index, Gw: gateway.IP, Dst: &net.IPNet{IP: net.IPv4zero.To4(), Mask: net.CIDRMask(0, 32)}})
		},
	} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// Do runs something inside. Sockets that it opens stay inside.
func (n *Namespace) Do(what func() error) error {
	failed := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with this goroutine
		err := netns.Set(n.ns)
		if err == nil {
			err = what()
		}
		failed <- err
	}()
	return <-failed
}

// Listen listens inside, on the namespace's own address.
func (n *Namespace) Listen(t testing.TB, port int) net.Listener {
	t.Helper()
	var l net.Listener
	err := n.Do(func() (err error) {
		l, err = net.Listen("tcp4", fmt.Sprintf("%s:%d", n.Addr, port))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

// Dial connects from inside; from is the address to come from, or empty.
func (n *Namespace) Dial(to, from string) (conn net.Conn, err error) {
	err = n.Do(func() (err error) {
		d := net.Dialer{Timeout: 2 * time.Second}
		if from != "" {
			d.LocalAddr = &net.TCPAddr{IP: net.ParseIP(from)}
		}
		conn, err = d.DialContext(context.Background(), "tcp4", to)
		return err
	})
	return conn, err
}

// Parrot answers each connection with its own name and who it sees come, in one line, and then repeats what it hears.
func Parrot(l net.Listener, name string) {
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer func() { _ = conn.Close() }()
			host, _, _ := net.SplitHostPort(conn.RemoteAddr().String())
			fmt.Fprintf(conn, "%s %s\n", name, host)
			buf := make([]byte, 512)
			for {
				k, err := conn.Read(buf)
				if err != nil {
					return
				}
				if _, err := conn.Write(buf[:k]); err != nil {
					return
				}
			}
		}()
	}
}
