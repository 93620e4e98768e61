package network_test

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/glint-infra/glint"
	"github.com/glint-infra/glint/internal/balancer"
	"github.com/glint-infra/glint/internal/balancer/balancertest"
	"github.com/glint-infra/glint/internal/balancer/l4"
	"github.com/glint-infra/glint/internal/network"
)

func TestMain(m *testing.M) { os.Exit(balancertest.Isolate(m)) }

const vip = "10.214.0.1"

func id(service string, n int) glint.ID {
	return glint.ID{Stack: "shop", Epoch: "k3f9a2", Service: service, N: n}
}

// A site is a host with a web instance, a cache behind a stable address, a stranger that never joined, and the world outside.
type site struct {
	fw                          *network.Firewall
	cfg                         network.FirewallConfig
	web, cache, stranger, world *balancertest.Namespace
}

func newSite(t *testing.T) *site {
	t.Helper()
	s := &site{cfg: network.FirewallConfig{
		Name: "glinttest", State: filepath.Join(t.TempDir(), "firewall.json"), Links: "gt-",
		Instances: netip.MustParsePrefix("10.215.0.0/16"), Services: []netip.Prefix{netip.MustParsePrefix("10.214.0.0/16")},
	}}
	s.web = balancertest.NewNamespace(t, "gt-1", "10.215.0.1")
	s.cache = balancertest.NewNamespace(t, "gt-2", "10.215.0.2")
	s.stranger = balancertest.NewNamespace(t, "gt-3", "10.215.0.3")
	s.world = balancertest.NewNamespace(t, "world0", "192.0.2.1")
	for name, n := range map[string]*balancertest.Namespace{"web": s.web, "cache": s.cache, "world": s.world} {
		go balancertest.Parrot(n.Listen(t, 6379), name)
	}
	addresses, err := network.NewAddresses("glinttest0")
	if err != nil {
		t.Fatal(err)
	}
	carrier := l4.Open("glinttest")
	err = errors.Join(addresses.Set([]netip.Addr{netip.MustParseAddr(vip)}), carrier.Publish(t.Context(), balancer.Table{Backends: []balancer.Backend{{
		Name: "shop.cache.redis", Listen: netip.MustParseAddrPort(vip + ":6379"),
		Members: []glint.Server{{ID: id("cache", 1), Address: "10.215.0.2", Port: 6379}},
	}}}))
	if err != nil {
		t.Fatal(err)
	}
	if s.fw, err = network.NewFirewall(s.cfg); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(s.fw.Close(), s.fw.Remove(), addresses.Set(nil), network.RemoveTable(2, "glinttest")); err != nil {
			t.Error(err)
		}
		if out, err := exec.Command("nft", "list", "tables").CombinedOutput(); err != nil || len(out) > 0 {
			t.Errorf("left: %s %v", out, err)
		}
	})
	if err := errors.Join(s.fw.Join(t.Context(), id("web", 1), s.web.Addr, "gt-1"), s.fw.Join(t.Context(), id("cache", 1), s.cache.Addr, "gt-2")); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *site) edge(t *testing.T, from ...string) {
	t.Helper()
	var edges []network.Edge
	for _, f := range from {
		edges = append(edges, network.Edge{From: f, To: netip.MustParseAddr(vip), Port: 6379})
	}
	if err := s.fw.SetEdges("shop", edges); err != nil {
		t.Fatal(err)
	}
}

// try says how an attempt to connect ended: who answered, "refused", "prohibited" or "silence".
func try(conn net.Conn, err error) string {
	var timeout net.Error
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return "refused"
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.EACCES):
		return "prohibited"
	case errors.As(err, &timeout) && timeout.Timeout():
		return "silence"
	case err != nil:
		return err.Error()
	}
	defer func() { _ = conn.Close() }()
	buf := make([]byte, 100)
	_ = conn.SetDeadline(time.Now().Add(time.Minute))
	n, _ := conn.Read(buf)
	who, _, _ := strings.Cut(string(buf[:n]), " ")
	return who
}

func TestWhoMayReachWhom(t *testing.T) {
	s := newSite(t)
	s.edge(t, "web")
	l, err := net.Listen("tcp4", "0.0.0.0:7000") // a program of the host
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go balancertest.Parrot(l, "host")
	for _, c := range []struct {
		name string
		from *balancertest.Namespace
		to   string
		want string
	}{
		{"an edge", s.web, vip + ":6379", "cache"},
		{"another port of the same service", s.web, vip + ":7000", "refused"},
		{"past the balancer", s.web, "10.215.0.2:6379", "refused"},
		{"no edge", s.cache, vip + ":6379", "refused"},
		{"backwards", s.cache, "10.215.0.1:6379", "refused"},
		{"the host, by the gateway", s.web, "169.254.1.1:7000", "refused"},
		{"the world", s.web, "192.0.2.1:6379", "world"},
		{"a stranger", s.stranger, vip + ":6379", "silence"},
		{"a stranger to the world", s.stranger, "192.0.2.1:6379", "silence"},
		{"the world to a service", s.world, vip + ":6379", "prohibited"},
		{"the world to an instance", s.world, "10.215.0.1:6379", "prohibited"},
		{"the world to the host", s.world, "169.254.1.1:7000", "host"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := try(c.from.Dial(c.to, "")); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
	for to, want := range map[string]string{vip + ":6379": "cache", "10.215.0.1:6379": "web"} {
		if got := try(net.DialTimeout("tcp4", to, time.Minute)); got != want {
			t.Errorf("the host to %s: got %s, want %s", to, got, want)
		}
	}
}

func TestSpoof(t *testing.T) {
	s := newSite(t)
	s.edge(t, "web")
	err := s.cache.Do(func() error { // the cache takes the address of the web
		eth, err := netlink.LinkByName("eth0")
		if err != nil {
			return err
		}
		return netlink.AddrAdd(eth, &netlink.Addr{IPNet: &net.IPNet{IP: s.web.Addr.AsSlice(), Mask: net.CIDRMask(32, 32)}})
	})
	if err != nil {
		t.Fatal(err)
	}
	var heard net.PacketConn
	if err := s.world.Do(func() (err error) { heard, err = net.ListenPacket("udp4", "192.0.2.1:53"); return err }); err != nil {
		t.Fatal(err)
	}
	defer heard.Close()
	for _, from := range []string{"10.215.0.1", "10.215.0.2"} { // the second is its own
		err := s.cache.Do(func() error {
			c, err := net.DialUDP("udp4", &net.UDPAddr{IP: net.ParseIP(from)}, &net.UDPAddr{IP: s.world.Addr.AsSlice(), Port: 53})
			if err != nil {
				return err
			}
			defer c.Close()
			_, err = c.Write([]byte(from))
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	buf := make([]byte, 100)
	_ = heard.SetReadDeadline(time.Now().Add(time.Minute))
	n, _, err := heard.ReadFrom(buf)
	if err != nil || string(buf[:n]) != "10.215.0.2" {
		t.Errorf("the world heard %q, %v; want only what came from its own address", buf[:n], err)
	}
}

func TestChanges(t *testing.T) {
	s := newSite(t)
	ctx := t.Context()
	want := func(what, want string) {
		t.Helper()
		if got := try(s.web.Dial(vip+":6379", "")); got != want {
			t.Errorf("%s: got %s, want %s", what, got, want)
		}
	}
	want("before any edge", "refused")
	s.edge(t, "web", "cache")
	want("with an edge", "cache")
	long, err := s.web.Dial(vip+":6379", "")
	if err != nil {
		t.Fatal(err)
	}
	defer long.Close()
	s.edge(t, "cache")
	want("without its edge", "refused")
	if got := try(long, nil); got != "cache" {
		t.Errorf("a connection that was allowed when it was made: %s", got)
	}
	s.edge(t, "web")
	for range 2 { // the next server, twice, with what was kept
		again, err := network.NewFirewall(s.cfg)
		if err != nil {
			t.Fatal(err)
		}
		s.fw = again
		want("after a restart", "cache")
	}
	if out, err := exec.Command("nft", "delete", "table", "inet", s.cfg.Name).CombinedOutput(); err != nil {
		t.Fatalf("%s %v", out, err)
	}
	s.edge(t, "web")
	want("after the table was taken away and the edges were set again", "cache")
	if got := try(s.stranger.Dial(vip+":6379", "")); got != "silence" {
		t.Errorf("a stranger after that: %s", got)
	}
	if err := errors.Join(s.fw.Leave(ctx, id("web", 1)), s.fw.Leave(ctx, id("web", 1))); err != nil {
		t.Fatal(err)
	}
	want("after it left", "silence")
	if err := s.fw.Join(ctx, id("web", 2), s.web.Addr, "gt-1"); err != nil {
		t.Fatal(err)
	}
	want("for the next of the service", "cache")
	if err := s.fw.Join(ctx, id("other", 1), s.web.Addr, "gt-1"); err != nil {
		t.Fatal(err)
	}
	want("for one of another service at the same address", "refused")
}

func TestJoinRefuses(t *testing.T) {
	s := newSite(t)
	for _, c := range []struct{ addr, link string }{{"10.99.0.1", "gt-1"}, {"10.215.0.9", ""}, {"10.215.0.9", "../lo"}, {"10.215.0.9", ".."}, {"10.215.0.9", "a-name-that-is-too-long"}} {
		if err := s.fw.Join(t.Context(), id("web", 9), netip.MustParseAddr(c.addr), c.link); !errors.Is(err, glint.ErrInvalid) {
			t.Errorf("%v: %v", c, err)
		}
	}
	if err := s.fw.Join(t.Context(), id("web", 9), netip.MustParseAddr("10.215.0.9"), "gt-9"); err == nil {
		t.Error("joined by a link that is not there")
	}
	if err := s.fw.SetEdges("shop", []network.Edge{{From: "web"}}); !errors.Is(err, glint.ErrInvalid) {
		t.Errorf("an edge to nowhere: %v", err)
	}
}

// TestManyMembers is about the size of a transaction.
func TestManyMembers(t *testing.T) {
	s := newSite(t)
	var text strings.Builder
	text.WriteString(`{"format":1,"edges":{"shop":[{"from":"web","to":"10.214.0.1","port":6379}]},"members":{`)
	const many = 3000
	for i := range many {
		fmt.Fprintf(&text, `"shop.e.web.%d":{"addr":"10.215.%d.%d","link":"gt-x%d"},`, i+1, i/250+1, i%250, i)
	}
	text.WriteString(`"shop.k3f9a2.web.1":{"addr":"10.215.0.1","link":"gt-1"},"shop.k3f9a2.cache.1":{"addr":"10.215.0.2","link":"gt-2"}}}`)
	if err := os.WriteFile(s.cfg.State, []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	again, err := network.NewFirewall(s.cfg)
	if err != nil {
		t.Fatal(err)
	}
	s.fw = again
	if got := try(s.web.Dial(vip+":6379", "")); got != "cache" {
		t.Errorf("one of many: %s", got)
	}
	out, err := exec.Command("nft", "list", "set", "inet", s.cfg.Name, "members").CombinedOutput()
	if n := strings.Count(string(out), "gt-x"); n != many || err != nil {
		t.Errorf("%d of %d members are in force, %v", n, many, err)
	}
	if err := again.SetEdges("shop", nil); err != nil {
		t.Fatal(err)
	}
	if got := try(s.web.Dial(vip+":6379", "")); got != "refused" {
		t.Errorf("one of many without edges: %s", got)
	}
}

func TestTooNew(t *testing.T) {
	s := newSite(t)
	if err := os.WriteFile(s.cfg.State, []byte(`{"format":2}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := network.NewFirewall(s.cfg); !errors.Is(err, glint.ErrTooNew) {
		t.Errorf("a state of a newer Glint: %v", err)
	}
}

func TestCheckFree(t *testing.T) {
	for i, c := range []struct {
		listen, want string
		ours, taken  bool
	}{
		{"127.0.0.1:7100", "127.0.0.1:7100", false, true},
		{"127.0.0.1:7101", "0.0.0.0:7101", false, true},
		{"0.0.0.0:7102", "127.0.0.1:7102", false, true},
		{"127.0.0.1:7103", "127.0.0.2:7103", false, false},
		{"127.0.0.1:7104", "127.0.0.1:7105", false, false},
		{"127.0.0.1:7106", "127.0.0.1:7106", true, false},
		{"[::]:7107", "127.0.0.1:7107", false, true},
		{"[::1]:7108", "0.0.0.0:7108", false, false},
	} {
		t.Run(fmt.Sprint(i, c.listen), func(t *testing.T) {
			lc := net.ListenConfig{}
			if c.ours { // as HAProxy does
				lc.Control = func(_, _ string, raw syscall.RawConn) (err error) {
					cerr := raw.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1) })
					return errors.Join(cerr, err)
				}
			}
			l, err := lc.Listen(t.Context(), "tcp", c.listen)
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			var ours []int
			if c.ours {
				ours = []int{os.Getpid()}
			}
			err = network.CheckFree(netip.MustParseAddrPort(c.want), ours)
			if errors.Is(err, glint.ErrInUse) != c.taken || err != nil && !strings.Contains(err.Error(), fmt.Sprintf("(pid %d)", os.Getpid())) {
				t.Errorf("got %v, want taken %v", err, c.taken)
			}
		})
	}
}

func TestCheckFreeElsewhere(t *testing.T) {
	if err := network.CheckFree(netip.MustParseAddrPort("192.0.2.77:7109"), nil); err == nil || errors.Is(err, glint.ErrInUse) || !strings.Contains(err.Error(), "192.0.2.77:7109") {
		t.Errorf("an address that this host does not have: %v", err)
	}
}
