package plane_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/glint-infra/glint"
	"github.com/glint-infra/glint/internal/balancer/balancertest"
	"github.com/glint-infra/glint/internal/balancer/plane"
	"github.com/glint-infra/glint/internal/network"
)

// TestGuarded puts instances into namespaces, with a firewall between: what the routes allow works, for HTTP and TCP, and
// nothing else does. Services may use the port that host names use too.
func TestGuarded(t *testing.T) {
	dir, err := os.MkdirTemp("", "glint-plane-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nothingLeft(t, dir) })
	fw, err := network.NewFirewall(network.FirewallConfig{
		Name: "glinttest", State: filepath.Join(dir, "firewall.json"), Links: "gt-",
		Instances: netip.MustParsePrefix("10.215.0.0/16"), Services: []netip.Prefix{netip.MustParsePrefix("10.213.0.0/16")},
	})
	if err != nil {
		t.Fatal(err)
	}
	cfg := config(dir, func(s string) { t.Error("incident:", s) })
	cfg.Edges = fw
	p, err := plane.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	web := balancertest.NewNamespace(t, "gt-1", "10.215.0.1")
	stock := balancertest.NewNamespace(t, "gt-2", "10.215.0.2")
	if err := errors.Join(fw.Join(t.Context(), id("web", 1), web.Addr, "gt-1"), fw.Join(t.Context(), id("stock", 1), stock.Addr, "gt-2")); err != nil {
		t.Fatal(err)
	}
	http80 := glint.Port{Name: "http", Number: 80, Protocol: glint.HTTP}
	tcp90 := glint.Port{Name: "tcp", Number: 90, Protocol: glint.TCP}
	member := balancertest.ServeOn(t, id("stock", 1), stock.Listen(t, 80)).Server
	raw := member
	raw.Port = balancertest.ServeOn(t, id("stock", 1), stock.Listen(t, 90)).Port
	r := glint.Routes{Stack: "shop", Generation: 1,
		Services: []glint.Backend{{Service: "stock", Port: http80, Members: []glint.Server{member}}, {Service: "stock", Port: tcp90, Members: []glint.Server{raw}}},
		Hosts:    []glint.Route{{Host: "stock.localhost", To: glint.Target{Service: "stock", Port: "http"}}},
		Edges:    []glint.Edge{{From: "web", To: glint.Target{Service: "stock", Port: "http"}}, {From: "web", To: glint.Target{Service: "stock", Port: "tcp"}}},
	}
	publish(t, p, r)
	await(t, p, 1)
	vip, _ := book{}.Address("shop", "stock")
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(_ context.Context, _, addr string) (net.Conn, error) { return web.Dial(addr, "") }}}
	for _, url := range []string{"http://" + vip.String(), "http://" + vip.String() + ":90"} {
		resp, err := client.Get(url)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if who := resp.Header.Get("X-Seen-For"); resp.StatusCode != 200 || who != "10.215.0.1" && !strings.HasSuffix(url, ":90") {
			t.Errorf("%s: %d for %q", url, resp.StatusCode, who)
		}
	}
	if status, _, _ := get(t, "http://127.0.0.1", "stock.localhost"); status != 200 {
		t.Errorf("the host name on the same port: %d", status)
	}
	if conn, err := stock.Dial(vip.String()+":80", ""); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("without an edge: %v, %v", conn, err)
	}
	r.Generation, r.Edges = 2, nil
	publish(t, p, r)
	await(t, p, 2)
	if _, err := client.Get("http://" + vip.String()); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("after the edge was taken away: %v", err)
	}
	takeOff(t, p, "shop")
	if err := fw.Remove(); err != nil {
		t.Error(err)
	}
}

// TestWatch hints when a change is accepted, and when who left has finished.
func TestWatch(t *testing.T) {
	p, _, _ := open(t)
	web := serve(t, "web", 1)
	ctx, stop := context.WithCancel(t.Context())
	hints, done := make(chan bool, 100), make(chan error)
	go func() {
		done <- p.Watch(ctx, func() {
			select {
			case hints <- true:
			default:
			}
		})
	}()
	until(t, "a hint of a change", func() bool {
		publish(t, p, routes(1, backend("web", glint.HTTP, web)))
		return len(hints) > 0
	})
	await(t, p, 1)
	answered := make(chan int, 1)
	go func() {
		status, _, _ := get(t, url("web")+"/slow", "")
		answered <- status
	}()
	until(t, "a request in flight", func() bool {
		st, err := p.Status(t.Context())
		return err == nil && st.InFlight[web.ID] == 1
	})
	publish(t, p, routes(2, backend("web", glint.HTTP)))
	await(t, p, 2)
	for len(hints) > 0 {
		<-hints
	}
	<-hints
	if st, err := p.Status(t.Context()); err != nil || st.InFlight[web.ID] != 0 {
		t.Errorf("a hint while %v is in flight, %v", st.InFlight, err)
	}
	if status := <-answered; status != 200 {
		t.Errorf("the request that was drained got %d", status)
	}
	stop()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	takeOff(t, p, "shop")
}
