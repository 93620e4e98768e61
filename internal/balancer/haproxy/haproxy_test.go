package haproxy_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"testing"
	"time"

	"github.com/glint-infra/glint"
	"github.com/glint-infra/glint/internal/balancer"
	"github.com/glint-infra/glint/internal/balancer/balancertest"
	"github.com/glint-infra/glint/internal/balancer/haproxy"
)

func TestMain(m *testing.M) { os.Exit(balancertest.Isolate(m)) }

func id(service string, n int) glint.ID {
	return glint.ID{Stack: "shop", Epoch: "k3f9a2", Service: service, N: n}
}

// serve stands in for an instance.
func serve(t *testing.T, addr string) {
	t.Helper()
	l, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s %s", addr, r.Header.Get("X-Forwarded-For"))
	})}
	go func() { _ = s.Serve(l) }()
	t.Cleanup(func() { _ = s.Close() })
}

func get(t *testing.T, url, host string) (int, string) {
	t.Helper()
	req, _ := http.NewRequest("GET", url, nil)
	req.Host = host
	c := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 10 * time.Second}
	resp, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, _ := io.ReadAll(resp.Body)
	return resp.StatusCode, string(b)
}

func table(gen int, ns ...int) balancer.Table {
	b := balancer.Backend{Name: "shop.web.http", Listen: netip.MustParseAddrPort("127.1.0.1:8080")}
	for _, n := range ns {
		b.Members = append(b.Members, glint.Server{ID: id("web", n), Address: fmt.Sprintf("127.2.0.%d", n), Port: 8080})
	}
	return balancer.Table{Generations: map[string]int{"shop": gen}, Backends: []balancer.Backend{b}, Hosts: map[string]string{"shop.localhost": b.Name}}
}

func TestFirst(t *testing.T) {
	ctx := t.Context()
	p, err := haproxy.Open(ctx, haproxy.Config{Dir: t.TempDir(), Public: netip.MustParseAddrPort("0.0.0.0:80")})
	if err != nil {
		t.Fatal(err)
	}
	serve(t, "127.2.0.1:8080")
	serve(t, "127.2.0.2:8080")
	if err := p.Publish(ctx, table(1, 1)); err != nil {
		t.Fatal(err)
	}
	t.Log(p.Look(ctx))
	t.Log(get(t, "http://127.1.0.1:8080/", "x"))
	t.Log(get(t, "http://127.0.0.1/", "shop.localhost"))
	t.Log(get(t, "http://127.0.0.1/", "other.localhost"))
	if err := p.Publish(ctx, table(2, 2)); err != nil {
		t.Fatal(err)
	}
	t.Log(p.Look(ctx))
	t.Log(get(t, "http://127.1.0.1:8080/", "x"))
	if err := p.Publish(ctx, balancer.Table{Generations: map[string]int{}}); err != nil {
		t.Fatal(err)
	}
	t.Log(p.Look(ctx))
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	_ = context.Background()
}
