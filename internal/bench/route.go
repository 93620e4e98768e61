package bench

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"slices"
	"time"
)

// rawService is one whose port is carried by the kernel.
const rawService = `service "raw" {
  image = image.program
  port "raw" {
    number   = 8080
    protocol = "tcp"
  }
  health {
    tcp {
      port = "raw"
    }
  }
  resources {
    memory = "64MiB"
  }
}
`

// bareProxyAt is where the bare HAProxy listens.
const bareProxyAt = "127.0.0.1:8001"

// bareProxyConfig is the least that one would write by hand.
const bareProxyConfig = `global
  maxconn 4096
defaults
  mode http
  timeout connect 2s
  timeout client 1m
  timeout server 1m
frontend in
  bind %s
  default_backend out
backend out
  server one %s
`

// How many requests are sent in a turn of each way, and by how many clients at the same time. Turns are short and many: what else
// happens on the machine should hit all ways alike.
const (
	keepRequests = 2000
	shotRequests = 500
	routeClients = 4
	routeTurns   = 3 // in a round
)

// A way to an instance, and what requests over it cost: CPU us each, by whether connections are kept.
type way struct {
	name, text, address, host string
	whole, proxy              map[bool][]float64 // proxy: of HAProxy alone
}

// route measures what a request costs over each way, in turns.
func route(ctx context.Context, w *world, r *Report) error {
	w.Progress("route: starting")
	if err := w.apply(ctx, head+service("web", 1, "1", 1)+rawService); err != nil {
		return err
	}
	ways, err := w.ways(ctx)
	if err != nil {
		return err
	}
	client, err := w.worker(clientGroup, false)
	if err != nil {
		return err
	}
	for turn := range routeTurns * (w.Runs + 1) { // the first round warms up
		order := slices.Clone(ways)
		if turn%2 == 1 { // nobody always comes after the same
			slices.Reverse(order)
		}
		for _, keep := range []bool{true, false} {
			for _, x := range order {
				whole, proxy, err := w.cost(client, x, r, keep)
				if err == nil {
					err = ctx.Err()
				}
				if err != nil {
					return err
				}
				if turn >= routeTurns {
					x.whole[keep], x.proxy[keep] = append(x.whole[keep], whole), append(x.proxy[keep], proxy)
				}
			}
		}
		if turn%routeTurns == 0 {
			w.Progress("route: round %d of %d", turn/routeTurns, w.Runs)
		}
	}
	tellWays(r, ways)
	return nil
}

// ways sets up what is compared: direct and L4 go to one instance, L7 and the bare HAProxy to another of the same image.
func (w *world) ways(ctx context.Context) ([]*way, error) {
	st, err := w.settled(ctx)
	if err != nil {
		return nil, err
	}
	raw, err := only(st, "raw")
	if err != nil {
		return nil, err
	}
	web, err := only(st, "web")
	if err != nil {
		return nil, err
	}
	stable, err := w.stable("raw")
	if err != nil {
		return nil, err
	}
	instance := net.JoinHostPort(web.Seen.Address, programPort)
	if err := w.bareProxy(ctx, instance); err != nil {
		return nil, err
	}
	all := []*way{
		{name: "direct", text: "direct to the instance", address: net.JoinHostPort(raw.Seen.Address, programPort), host: "raw"},
		{name: "l4", text: "L4: Glint, by the kernel (nftables DNAT)", address: net.JoinHostPort(stable.String(), programPort), host: "raw"},
		{name: "l7", text: "L7: Glint's HAProxy", address: entry, host: "web.localhost"},
		{name: "haproxy", text: "bare HAProxy, least configuration", address: bareProxyAt, host: "web.localhost"},
	}
	for _, x := range all {
		x.whole, x.proxy = map[bool][]float64{}, map[bool][]float64{}
	}
	return all, nil
}

// bareProxy starts one, which ends with the world's groups.
func (w *world) bareProxy(ctx context.Context, to string) error {
	if err := os.WriteFile(w.path("bare.cfg"), fmt.Appendf(nil, bareProxyConfig, bareProxyAt, to), 0o600); err != nil {
		return err
	}
	program, err := exec.LookPath("haproxy")
	if err != nil {
		return err
	}
	proxy, err := w.start(proxyGroup, program, "-db", "-f", w.path("bare.cfg"))
	if err != nil {
		return fmt.Errorf("starting a bare HAProxy: %w", err)
	}
	w.proxies = append(w.proxies, proxy)
	return until(ctx, "the bare HAProxy", 10*time.Second, 20*time.Millisecond, func() (bool, error) {
		err := once(bareProxyAt, "web.localhost", "/version", time.Second)
		return err == nil, err
	})
}

// cost sends requests over a way and returns the CPU time of each in us: client, proxy, instance, and what the kernel does in
// their names; and that of the proxy alone. The server has no part in it and is left out.
func (w *world) cost(client *worker, x *way, r *Report, keep bool) (whole, proxy float64, err error) {
	q := &requests{Address: x.address, Host: x.host, Path: "/version", Count: shotRequests, Clients: routeClients, Keep: keep}
	if keep {
		q.Count = keepRequests
	}
	var used [2][2]int64 // before and after; of the ends and of the proxies
	for i := range used {
		if used[i][0], err = w.usage(clientGroup, platformGroup); err != nil {
			return 0, 0, err
		}
		if used[i][1], err = w.usage(haproxyGroup, proxyGroup); err != nil || i == 1 {
			break
		}
		sent, err := client.do(job{Do: "requests", Requests: q})
		if err != nil {
			return 0, 0, err
		}
		if sent.Failed > 0 {
			r.Failed += sent.Failed
			r.Notes = append(r.Notes, fmt.Sprintf("route: %d of %d requests over %s failed, the first: %s", sent.Failed, sent.Sent, x.name, sent.Why))
		}
	}
	each := 1e3 * float64(q.Count/q.Clients*q.Clients)
	ends, proxies := float64(used[1][0]-used[0][0])/each, float64(used[1][1]-used[0][1])/each
	return ends + proxies, proxies, err
}

// Goals of the design, section 8.
const (
	goalL4 = 1.08
	goalL7 = 1.05
)

func tellWays(r *Report, ways []*way) {
	direct, l4, l7, bare := ways[0], ways[1], ways[2], ways[3]
	kinds := []struct {
		name, text string
		keep       bool
	}{{"keepalive", "kept connections", true}, {"oneshot", "one connection each", false}}
	for _, k := range kinds {
		r.add("route.l4."+k.name+".ratio", "L4 over direct, "+k.text, "ratio", goalL4, ratios(l4.whole[k.keep], direct.whole[k.keep]))
		r.add("route.l7."+k.name+".ratio", "L7 over bare HAProxy, "+k.text, "ratio", goalL7, ratios(l7.whole[k.keep], bare.whole[k.keep]))
		r.add("route.l7."+k.name+".proxy.ratio", "  the proxies alone", "ratio", 0, ratios(l7.proxy[k.keep], bare.proxy[k.keep]))
	}
	for _, k := range kinds {
		for _, x := range ways {
			r.add("route."+x.name+"."+k.name, "CPU of a request, "+k.text+": "+x.text, "us", 0, x.whole[k.keep])
		}
	}
}
