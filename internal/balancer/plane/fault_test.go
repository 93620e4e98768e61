package plane_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"github.com/glint-infra/glint"
	"github.com/glint-infra/glint/internal/balancer/balancertest"
	"github.com/glint-infra/glint/internal/balancer/plane"
	"github.com/glint-infra/glint/internal/network"
)

// ownUntilKilled is a server that publishes what it finds at two instances, and is then killed.
func ownUntilKilled(dir string) int {
	p, err := plane.Open(context.Background(), config(dir, func(string) {}))
	if err != nil {
		fmt.Println(err)
		return 1
	}
	b := glint.Backend{Service: "web", Port: glint.Port{Name: "main", Number: 8080, Protocol: glint.HTTP}}
	for n := 1; n <= 2; n++ {
		b.Members = append(b.Members, glint.Server{ID: id("web", n), Address: fmt.Sprintf("127.9.0.%d", n), Port: 8080})
	}
	if err := p.Publish(context.Background(), routes(4, b)); err != nil {
		fmt.Println(err)
		return 1
	}
	fmt.Println("published")
	select {}
}

// TestOwnerKilled kills the server: traffic goes on, and the next server takes over what runs.
func TestOwnerKilled(t *testing.T) {
	dir, err := os.MkdirTemp("", "glint-plane-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nothingLeft(t, dir) })
	one, two := serve(t, "web", 1), serve(t, "web", 2)
	owner := exec.Command("/proc/self/exe")
	owner.Env = append(os.Environ(), "GLINT_TEST_OWNER="+dir)
	out, err := owner.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := owner.Start(); err != nil {
		t.Fatal(err)
	}
	word := make([]byte, 9)
	if _, err := io.ReadFull(out, word); err != nil || string(word) != "published" {
		t.Fatalf("the server said %q, %v", word, err)
	}
	before := haproxies(dir)
	load := balancertest.StartLoad(url("web"), "", balancertest.AllKinds)
	if err := owner.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = owner.Wait()
	time.Sleep(300 * time.Millisecond) // nobody owns it for a while
	n := &notes{}
	p, err := plane.Open(t.Context(), config(dir, n.add))
	if err != nil {
		t.Fatal(err)
	}
	await(t, p, 4)
	if after := haproxies(dir); fmt.Sprint(after) != fmt.Sprint(before) || len(after) != 2 {
		t.Errorf("HAProxy was pids %v, and is %v", before, after)
	}
	publish(t, p, routes(3, backend("web", glint.HTTP, one))) // older than what the first server published
	publish(t, p, routes(5, backend("web", glint.HTTP, two)))
	await(t, p, 5)
	until(t, "the member that left to be drained", func() bool {
		st, err := p.Status(t.Context())
		return err == nil && st.Complete && st.InFlight[one.ID] == 0
	})
	one.Kill()
	load.Report(t)
	if len(n.all) > 0 {
		t.Errorf("a clean take-over told of incidents: %v", n.all)
	}
	takeOff(t, p, "shop")
}

// TestHAProxyKilled kills the worker, then the master: both times it comes back and the story is told.
func TestHAProxyKilled(t *testing.T) {
	p, dir, n := open(t)
	web := serve(t, "web", 1)
	publish(t, p, routes(1, backend("web", glint.HTTP, web)))
	await(t, p, 1)
	publish(t, p, routes(2, backend("extra", glint.HTTP), backend("web", glint.HTTP, web))) // its configuration is not that of its start
	await(t, p, 2)
	for i := range 2 {
		before := haproxies(dir)
		pid := before[0] // the master; its worker has a higher pid, unless pids began anew
		if i == 0 {
			pid = before[len(before)-1]
		}
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		until(t, "HAProxy to be another", func() bool {
			now := haproxies(dir)
			return len(now) == 2 && now[0] != before[0] && now[1] != before[1]
		})
		await(t, p, 2)
		if status, body, _ := get(t, "http://127.0.0.1", "shop.localhost"); status != 200 {
			t.Errorf("after the kill: %d %q", status, body)
		}
	}
	if !n.has("nobody asked") {
		t.Errorf("nobody was told: %v", n.all)
	}
	takeOff(t, p, "shop")
}

// TestInstanceKilled kills an instance with requests in flight: idempotent ones are tried again, others never.
func TestInstanceKilled(t *testing.T) {
	p, _, _ := open(t)
	defer takeOff(t, p, "shop")
	one, two := serve(t, "web", 1), serve(t, "web", 2)
	publish(t, p, routes(1, backend("web", glint.HTTP, one)))
	await(t, p, 1)
	type answer struct {
		status int
		body   string
	}
	ask := func(method string) chan answer {
		c := make(chan answer, 1)
		go func() {
			req, _ := http.NewRequest(method, url("web")+"/slow", io.MultiReader(strings.NewReader("order")))
			resp, err := (&http.Client{Timeout: time.Minute, Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
			if err != nil {
				c <- answer{0, err.Error()}
				return
			}
			text, _ := io.ReadAll(resp.Body)
			_ = resp.Body.Close()
			c <- answer{resp.StatusCode, string(text)}
		}()
		return c
	}
	get, put, post := ask("GET"), ask("PUT"), ask("POST")
	until(t, "three requests in flight", func() bool {
		st, err := p.Status(t.Context())
		return err == nil && st.InFlight[one.ID] == 3 && one.Seen.Load() == 3
	})
	publish(t, p, routes(2, backend("web", glint.HTTP, one, two)))
	await(t, p, 2)
	one.Kill()
	for name, c := range map[string]chan answer{"GET": get, "PUT": put} {
		if a := <-c; a.status != 200 || !strings.HasPrefix(a.body, two.ID.Key()) {
			t.Errorf("%s in flight on a killed instance got %v", name, a)
		}
	}
	if a := <-post; a.status != 502 || !strings.Contains(a.body, "ended before it answered") {
		t.Errorf("POST in flight on a killed instance got %v; want 502", a)
	}
	if n := two.Seen.Load(); n != 2 {
		t.Errorf("the other instance saw %d requests, want GET and PUT", n)
	}
}

// TestPortTaken publishes onto addresses on which others listen.
func TestPortTaken(t *testing.T) {
	p, _, _ := open(t)
	web := serve(t, "web", 1)
	publish(t, p, glint.Routes{Stack: "shop", Generation: 1, Services: []glint.Backend{backend("web", glint.HTTP, web)}})
	await(t, p, 1)
	for _, addr := range []string{"0.0.0.0:80", "127.0.0.1:80", "[::]:80"} {
		l, err := net.Listen("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		err = p.Publish(t.Context(), routes(2, backend("web", glint.HTTP, web)))
		if !errors.Is(err, glint.ErrInUse) || !strings.Contains(err.Error(), "0.0.0.0:80 is taken") || !strings.Contains(err.Error(), fmt.Sprintf("(pid %d)", os.Getpid())) {
			t.Errorf("%s: %v", addr, err)
		}
		await(t, p, 1)
		if status, _, _ := get(t, url("web"), ""); status != 200 {
			t.Errorf("%s: the route before answers %d", addr, status)
		}
		_ = l.Close()
	}
	publish(t, p, routes(2, backend("web", glint.HTTP, web)))
	await(t, p, 2)
	takeOff(t, p, "shop")
}

func TestNoHAProxy(t *testing.T) {
	dir := t.TempDir()
	cfg := config(dir, nil)
	cfg.HAProxy.Binary = "haproxy-that-is-not-there"
	p, err := plane.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	err = p.Publish(t.Context(), routes(1, backend("web", glint.HTTP)))
	if err == nil || !strings.Contains(err.Error(), "apt install haproxy") {
		t.Errorf("without HAProxy: %v", err)
	}
	if err := p.Publish(t.Context(), glint.Routes{Stack: "shop", Generation: 1, Services: []glint.Backend{backend("cache", glint.TCP)}}); err != nil {
		t.Errorf("TCP needs no HAProxy: %v", err)
	}
	await(t, p, 1)
	takeOff(t, p, "shop")
	nothingLeft(t, dir)
}

// TestTampering takes away what the plane put into the kernel.
func TestTampering(t *testing.T) {
	p, _, n := open(t)
	cache := serve(t, "cache", 1)
	publish(t, p, routes(1, backend("cache", glint.TCP, cache)))
	await(t, p, 1)
	for _, c := range []struct {
		name   string
		tamper func() error
	}{
		{"table", func() error { return network.RemoveTable(2, link) }},
		{"link", func() error {
			l, err := netlink.LinkByName(link)
			if err != nil {
				return err
			}
			return netlink.LinkDel(l)
		}},
		{"rules", func() error { return exec.Command("nft", "flush", "chain", "ip", link, "host").Run() }},
		{"elements", func() error { return exec.Command("nft", "flush", "map", "ip", link, "slots").Run() }},
	} {
		if err := c.tamper(); err != nil {
			t.Fatal(c.name, err)
		}
		st, err := p.Status(t.Context())
		if err != nil || balancertest.Acked(st, "shop") != 0 {
			t.Errorf("%s: acknowledged although it was away: %v, %v", c.name, st.Acks, err)
		}
		await(t, p, 1)
		if status, _, _ := get(t, url("cache"), ""); status != 200 {
			t.Errorf("%s: answers %d after it was mended", c.name, status)
		}
	}
	if !n.has("mended") {
		t.Error("nobody was told")
	}
	takeOff(t, p, "shop")
	if left, _ := filepath.Glob("/sys/class/net/" + link); len(left) > 0 {
		t.Error("the link is left")
	}
}

// TestOldConnection keeps a connection open over two reloads. Its next request arrives on a worker that knows only members that are
// gone by now.
func TestOldConnection(t *testing.T) {
	p, _, _ := open(t)
	one, two := serve(t, "web", 1), serve(t, "web", 2)
	publish(t, p, routes(1, backend("web", glint.HTTP, one)))
	await(t, p, 1)
	for i, to := range []string{"127.0.0.1:80", strings.TrimPrefix(url("web"), "http://")} {
		conn, err := net.Dial("tcp", to)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		fmt.Fprint(conn, "GET / HTTP/1.1\r\nHost: shop.localhost\r\n\r\n")
		expect(t, conn, one.ID.Key())
		publish(t, p, routes(10*i+2, backend("extra", glint.HTTP), backend("web", glint.HTTP, one)))
		publish(t, p, routes(10*i+3, backend("web", glint.HTTP, two)))
		await(t, p, 10*i+3)
		one.Kill()
		fmt.Fprint(conn, "POST / HTTP/1.1\r\nHost: shop.localhost\r\nContent-Length: 5\r\n\r\norder")
		expect(t, conn, two.ID.Key()+" 5")
		one = serve(t, "web", 3)
		publish(t, p, glint.Routes{Stack: "shop", Generation: 10*i + 4})
		publish(t, p, routes(10*i+11, backend("web", glint.HTTP, one)))
		await(t, p, 10*i+11)
	}
	takeOff(t, p, "shop")
}
