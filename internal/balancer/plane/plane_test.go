package plane_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"github.com/glint-infra/glint"
	"github.com/glint-infra/glint/internal/balancer/balancertest"
	"github.com/glint-infra/glint/internal/balancer/haproxy"
	"github.com/glint-infra/glint/internal/balancer/plane"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv("GLINT_TEST_OWNER"); dir != "" {
		os.Exit(ownUntilKilled(dir))
	}
	os.Exit(balancertest.Isolate(m))
}

// book gives out addresses by a rule, so that every process gives out the same.
type book struct{}

func (book) Address(stack, service string) (netip.Addr, error) {
	sum := 0
	for _, b := range []byte(stack + "." + service) {
		sum = sum*31 + int(b)
	}
	return netip.AddrFrom4([4]byte{10, 213, byte(sum >> 8), byte(sum)}), nil
}

func (book) Forget(string) error { return nil }

const link = "glinttest0"

func config(dir string, incident func(string)) plane.Config {
	return plane.Config{
		Name: link, State: filepath.Join(dir, "routes.json"), Directory: book{}, Incident: incident,
		HAProxy: haproxy.Config{Dir: filepath.Join(dir, "h"), Public: netip.MustParseAddrPort("0.0.0.0:80")},
	}
}

// notes keeps incidents.
type notes struct {
	mu  sync.Mutex
	all []string
}

func (n *notes) add(text string) { n.mu.Lock(); n.all = append(n.all, text); n.mu.Unlock() }
func (n *notes) has(part string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.ContainsFunc(n.all, func(s string) bool { return strings.Contains(s, part) })
}

// open opens a plane in a directory of its own; whatever becomes of it, nothing of it is left after the test.
func open(t *testing.T) (*plane.Plane, string, *notes) {
	t.Helper()
	dir, err := os.MkdirTemp("", "glint-plane-")
	if err != nil {
		t.Fatal(err)
	}
	n := &notes{}
	p, err := plane.Open(t.Context(), config(dir, n.add))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nothingLeft(t, dir) })
	return p, dir, n
}

// takeOff ends all stacks and the plane.
func takeOff(t *testing.T, p *plane.Plane, stacks ...string) {
	t.Helper()
	for _, stack := range stacks {
		if err := p.Publish(t.Context(), glint.Routes{Stack: stack, Generation: 1 << 20}); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
}

func nothingLeft(t *testing.T, dir string) {
	t.Helper()
	for _, pid := range haproxies(dir) {
		t.Errorf("HAProxy (pid %d) is left", pid)
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
	if l, err := netlink.LinkByName(link); err == nil {
		t.Errorf("link %s is left", link)
		_ = netlink.LinkDel(l)
	}
	left, _ := filepath.Glob(dir + "/h/*")
	for _, f := range left {
		if filepath.Base(f) != "jail" {
			t.Errorf("%s is left", f)
		}
	}
	_ = os.RemoveAll(dir)
}

// haproxies lists the processes that run with a configuration in dir.
func haproxies(dir string) []int {
	var pids []int
	procs, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, p := range procs {
		text, _ := os.ReadFile(p)
		if strings.HasPrefix(string(text), "haproxy") || strings.Contains(string(text), "/haproxy\x00") {
			if pid, _ := strconv.Atoi(strings.Split(p, "/")[2]); strings.Contains(string(text), dir) {
				pids = append(pids, pid)
			}
		}
	}
	return pids
}

func id(service string, n int) glint.ID {
	return glint.ID{Stack: "shop", Epoch: "k3f9a2", Service: service, N: n}
}

func backend(service string, proto glint.Protocol, members ...*balancertest.Instance) glint.Backend {
	b := glint.Backend{Service: service, Port: glint.Port{Name: "main", Number: 8080, Protocol: proto}}
	for _, m := range members {
		b.Members = append(b.Members, m.Server)
	}
	return b
}

func routes(gen int, backends ...glint.Backend) glint.Routes {
	return glint.Routes{Stack: "shop", Generation: gen, Services: backends,
		Hosts: []glint.Route{{Host: "shop.localhost", To: glint.Target{Service: "web", Port: "main"}}}}
}

func url(service string) string {
	vip, _ := book{}.Address("shop", service)
	return fmt.Sprintf("http://%s:8080", vip)
}

func publish(t *testing.T, p *plane.Plane, r glint.Routes) {
	t.Helper()
	if err := p.Publish(t.Context(), r); err != nil {
		t.Fatal(err)
	}
}

// await waits for an acknowledgement.
func await(t *testing.T, p *plane.Plane, gen int) {
	t.Helper()
	var st glint.BalancerStatus
	until(t, fmt.Sprintf("generation %d to be in force", gen), func() bool {
		var err error
		st, err = p.Status(t.Context())
		return err == nil && balancertest.Acked(st, "shop") == gen
	})
}

func until(t *testing.T, what string, cond func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if cond() {
			return
		}
	}
	t.Fatalf("waited in vain for %s", what)
}

func get(t *testing.T, url, host string, edit ...func(*http.Request)) (int, string, http.Header) {
	t.Helper()
	req, _ := http.NewRequest("GET", url, nil)
	req.Host = host
	for _, e := range edit {
		e(req)
	}
	tr := &http.Transport{DisableKeepAlives: true}
	resp, err := (&http.Client{Transport: tr, Timeout: time.Minute}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(text), resp.Header
}

func serve(t *testing.T, service string, n int) *balancertest.Instance {
	return balancertest.Serve(t, id(service, n), fmt.Sprintf("127.9.%d.%d", n>>8, n&255), 8080)
}

func TestSemantics(t *testing.T) {
	p, _, _ := open(t)
	n := 0
	balancertest.Semantics(t, balancertest.Subject{Balancer: p, Server: func(t *testing.T, id glint.ID) glint.Server {
		n++
		return glint.Server{ID: id, Address: fmt.Sprintf("127.8.0.%d", n), Port: 8080}
	}})
	takeOff(t, p)
}

func TestWaysIn(t *testing.T) {
	p, _, _ := open(t)
	defer takeOff(t, p, "shop")
	web := serve(t, "web", 1)
	tcp := serve(t, "cache", 2)
	publish(t, p, routes(1, backend("cache", glint.TCP, tcp), backend("web", glint.HTTP, web)))
	await(t, p, 1)
	for _, c := range []struct {
		name, url, host string
		status          int
		body            string
	}{
		{"stable address", url("web"), "whatever", 200, web.ID.Key()},
		{"host name", "http://127.0.0.1", "shop.localhost", 200, web.ID.Key()},
		{"host name in capitals with port", "http://127.0.0.1", "SHOP.localhost:80", 200, web.ID.Key()},
		{"unknown host name", "http://127.0.0.1", "shop.localhost.evil", 404, "no route for the host name shop.localhost.evil"},
		{"tcp", url("cache"), "whatever", 200, tcp.ID.Key()},
	} {
		t.Run(c.name, func(t *testing.T) {
			status, body, _ := get(t, c.url, c.host)
			if status != c.status || !strings.Contains(body, c.body) {
				t.Errorf("got %d %q, want %d %q", status, body, c.status, c.body)
			}
		})
	}
	forged := func(r *http.Request) { r.Header.Set("X-Forwarded-For", "6.6.6.6") }
	if _, _, h := get(t, "http://127.0.0.1", "shop.localhost", forged); h.Get("X-Seen-For") != "127.0.0.1" || h.Get("X-Seen-Proto") != "http" {
		t.Errorf("from outside the instance saw X-Forwarded-For %q, proto %q", h.Get("X-Seen-For"), h.Get("X-Seen-Proto"))
	}
}

func TestNoMembers(t *testing.T) {
	p, _, _ := open(t)
	defer takeOff(t, p, "shop")
	publish(t, p, routes(1, backend("cache", glint.TCP), backend("web", glint.HTTP)))
	await(t, p, 1)
	if status, body, _ := get(t, url("web"), ""); status != 503 || !strings.Contains(body, "no instance") {
		t.Errorf("got %d %q", status, body)
	}
	conn, err := net.Dial("tcp", strings.TrimPrefix(url("cache"), "http://"))
	if !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("TCP without members: %v, %v", conn, err)
	}
	late := time.AfterFunc(500*time.Millisecond, func() {
		_ = p.Publish(t.Context(), routes(2, backend("web", glint.HTTP, serve(t, "web", 1))))
	})
	defer late.Stop()
	if status, body, _ := get(t, url("web"), ""); status != 200 {
		t.Errorf("a request that came before the first member got %d %q", status, body)
	}
}

func TestUpgrade(t *testing.T) {
	p, _, _ := open(t)
	defer takeOff(t, p, "shop")
	web := serve(t, "web", 1)
	publish(t, p, routes(1, backend("web", glint.HTTP, web)))
	await(t, p, 1)
	conn, err := net.Dial("tcp", "127.0.0.1:80")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "GET /ws HTTP/1.1\r\nHost: shop.localhost\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
	expect(t, conn, "101 Switching")
	publish(t, p, routes(2, backend("extra", glint.HTTP), backend("web", glint.HTTP, serve(t, "web", 2)))) // with a reload
	await(t, p, 2)
	for range 3 {
		fmt.Fprint(conn, "ping over an old worker")
		expect(t, conn, "ping over an old worker")
	}
	st, err := p.Status(t.Context())
	if err != nil || st.InFlight[web.ID] != 1 || !st.Complete {
		t.Errorf("in flight %v, complete %v, %v; want the socket of the old worker", st.InFlight, st.Complete, err)
	}
	conn.Close()
	until(t, "the drained instance", func() bool {
		st, err := p.Status(t.Context())
		return err == nil && st.Complete && st.InFlight[web.ID] == 0
	})
}

// expect reads until the text has come.
func expect(t *testing.T, conn net.Conn, text string) {
	t.Helper()
	var got []byte
	buf := make([]byte, 4096)
	_ = conn.SetReadDeadline(time.Now().Add(time.Minute))
	for !strings.Contains(string(got), text) {
		n, err := conn.Read(buf)
		if err != nil {
			t.Fatalf("got %q, then %v; want %q", got, err, text)
		}
		got = append(got, buf[:n]...)
	}
}
