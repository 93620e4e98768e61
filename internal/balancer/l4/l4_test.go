package l4_test

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/glint-infra/glint"
	"github.com/glint-infra/glint/internal/balancer"
	"github.com/glint-infra/glint/internal/balancer/balancertest"
	"github.com/glint-infra/glint/internal/balancer/l4"
	"github.com/glint-infra/glint/internal/network"
)

func TestMain(m *testing.M) { os.Exit(balancertest.Isolate(m)) }

const (
	name = "glinttest"
	vip  = "10.214.0.1"
)

func id(n int) glint.ID { return glint.ID{Stack: "shop", Epoch: "k3f9a2", Service: "cache", N: n} }

// instance is a namespace in which a parrot listens on 6379.
func instance(t *testing.T, n int) (*balancertest.Namespace, glint.Server) {
	ns := balancertest.NewNamespace(t, fmt.Sprintf("gt-%d", n), fmt.Sprintf("10.215.0.%d", n))
	go balancertest.Parrot(ns.Listen(t, 6379), fmt.Sprint(n))
	return ns, glint.Server{ID: id(n), Address: ns.Addr.String(), Port: 6379}
}

func table(servers ...glint.Server) balancer.Table {
	return balancer.Table{Generations: map[string]int{"shop": 1}, Backends: []balancer.Backend{
		{Name: "shop.cache.redis", Listen: netip.MustParseAddrPort(vip + ":6379"), Members: servers},
	}}
}

func open(t *testing.T) *l4.Balancer {
	t.Helper()
	addresses, err := network.NewAddresses("glinttest0")
	if err != nil {
		t.Fatal(err)
	}
	if err := addresses.Set([]netip.Addr{netip.MustParseAddr(vip)}); err != nil {
		t.Fatal(err)
	}
	b := l4.Open(name)
	t.Cleanup(func() {
		if err := errors.Join(b.Publish(t.Context(), balancer.Table{}), b.Close(), addresses.Set(nil)); err != nil {
			t.Error(err)
		}
		if out, err := exec.Command("nft", "list", "tables").CombinedOutput(); err != nil || strings.Contains(string(out), name) {
			t.Errorf("left: %s %v", out, err)
		}
	})
	return b
}

func publish(t *testing.T, b *l4.Balancer, tab balancer.Table) {
	t.Helper()
	if err := b.Publish(t.Context(), tab); err != nil {
		t.Fatal(err)
	}
	if seen := b.Look(t.Context()); len(seen.Late) > 0 || !seen.Complete {
		out, _ := exec.Command("nft", "list", "ruleset").CombinedOutput()
		t.Fatalf("not in force: %v\n%s", seen.Late, out)
	}
}

// greet connects and returns who answered and whom it saw.
func greet(t *testing.T, conn net.Conn, err error) (who, saw string) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.SetDeadline(time.Now().Add(time.Minute))
	line, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	who, saw, _ = strings.Cut(strings.TrimSpace(line), " ")
	return who, saw
}

func TestSpread(t *testing.T) {
	b := open(t)
	client := balancertest.NewNamespace(t, "gt-c", "10.215.1.1")
	var servers []glint.Server
	for n := 1; n <= 3; n++ {
		_, s := instance(t, n)
		servers = append(servers, s)
	}
	publish(t, b, table(servers...))
	got := map[string]int{}
	for range 9 {
		conn, err := client.Dial(vip+":6379", "")
		who, saw := greet(t, conn, err)
		if saw != "10.215.1.1" {
			t.Errorf("the instance sees %s come", saw)
		}
		got[who]++
		_ = conn.Close()
		conn, err = net.Dial("tcp4", vip+":6379") // a process of the host
		who, _ = greet(t, conn, err)
		got["host "+who]++
		_ = conn.Close()
	}
	for n := 1; n <= 3; n++ {
		if got[fmt.Sprint(n)] != 3 || got[fmt.Sprintf("host %d", n)] != 3 {
			t.Errorf("uneven: %v", got)
		}
	}
}

func TestDrain(t *testing.T) {
	b := open(t)
	client := balancertest.NewNamespace(t, "gt-c", "10.215.1.1")
	_, one := instance(t, 1)
	_, two := instance(t, 2)
	publish(t, b, table(one))
	conn, err := client.Dial(vip+":6379", "")
	greet(t, conn, err)
	publish(t, b, table(two))
	if _, err := conn.Write([]byte("still here\n")); err != nil {
		t.Fatal(err)
	}
	line := make([]byte, 11)
	if _, err := conn.Read(line); err != nil || string(line) != "still here\n" {
		t.Fatalf("over a switch: %q, %v", line, err)
	}
	other, err := client.Dial(vip+":6379", "")
	if who, _ := greet(t, other, err); who != "2" {
		t.Errorf("after the switch %s answers", who)
	}
	_ = other.Close()
	if seen := b.Look(t.Context()); seen.InFlight[id(1)] != 1 {
		t.Errorf("in flight %v; want one connection to the member that left", seen.InFlight)
	}
	// The next server has only the kernel's word for who left.
	next := l4.Open(name)
	publish(t, next, table(two))
	if seen := next.Look(t.Context()); seen.InFlight[id(1)] != 1 {
		t.Errorf("after a restart in flight %v; want one connection to the member that left", seen.InFlight)
	}
	publish(t, next, balancer.Table{Generations: map[string]int{}})
	if _, err := conn.Write([]byte("still here\n")); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Read(line); err != nil || string(line) != "still here\n" {
		t.Fatalf("after the last route went: %q, %v", line, err)
	}
	_ = conn.Close()
	for end := time.Now().Add(time.Minute); len(next.Look(t.Context()).InFlight) > 0; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("a closed connection stays in flight")
		}
	}
}

func TestSelf(t *testing.T) {
	b := open(t)
	ns, one := instance(t, 1)
	publish(t, b, table(one))
	conn, err := ns.Dial(vip+":6379", "")
	if who, _ := greet(t, conn, err); who != "1" {
		t.Errorf("%s answers", who)
	}
	_ = conn.Close()
}

func TestNobody(t *testing.T) {
	b := open(t)
	client := balancertest.NewNamespace(t, "gt-c", "10.215.1.1")
	publish(t, b, table())
	l, err := net.Listen("tcp4", "0.0.0.0:6379") // of the host; must not answer for the service
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go balancertest.Parrot(l, "host")
	if conn, err := client.Dial(vip+":6379", ""); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("got %v, %v; want a refusal", conn, err)
	}
	if conn, err := net.Dial("tcp4", vip+":6379"); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("from the host got %v, %v; want a refusal", conn, err)
	}
}

// TestMany is about the size of a transaction.
func TestMany(t *testing.T) {
	b := open(t)
	tab := balancer.Table{Generations: map[string]int{"shop": 1}}
	for s := range 200 {
		be := balancer.Backend{Name: fmt.Sprintf("shop.s%d.main", s), Listen: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 214, 1, byte(s)}), 5432)}
		for m := range 1 + s%20 {
			be.Members = append(be.Members, glint.Server{ID: glint.ID{Stack: "shop", Epoch: "e", Service: fmt.Sprintf("s%d", s), N: m + 1}, Address: fmt.Sprintf("10.216.%d.%d", s, m), Port: 5432})
		}
		tab.Backends = append(tab.Backends, be)
	}
	publish(t, b, tab)
	tab.Backends[7].Members = tab.Backends[7].Members[1:]
	publish(t, b, tab)
}
