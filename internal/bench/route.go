package bench

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"slices"
	"time"

	"golang.org/x/sys/unix"
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

// How many requests are sent in a turn of each way, and by how many clients at the same time.
const (
	keepRequests = 6000
	shotRequests = 1500
	routeClients = 4
)

// A way to an instance, and what requests over it cost: CPU us each, kept connections and one for each request.
type way struct {
	name, text, address, host string
	keep, shot                []float64
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
	for round := range w.Runs + 1 { // the first warms up
		order := slices.Clone(ways)
		if round%2 == 1 { // nobody always comes after the same
			slices.Reverse(order)
		}
		for _, x := range order {
			keep, err := w.cost(client, x, r, true)
			if err != nil {
				return err
			}
			shot, err := w.cost(client, x, r, false)
			if err != nil {
				return err
			}
			if round > 0 {
				x.keep, x.shot = append(x.keep, keep), append(x.shot, shot)
			}
			if err := ctx.Err(); err != nil {
				return err
			}
		}
		w.Progress("route: round %d of %d", round, w.Runs)
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
	return []*way{
		{name: "direct", text: "direct to the instance", address: net.JoinHostPort(raw.Seen.Address, programPort), host: "raw"},
		{name: "l4", text: "L4: Glint, by the kernel (nftables DNAT)", address: net.JoinHostPort(stable.String(), programPort), host: "raw"},
		{name: "l7", text: "L7: Glint's HAProxy", address: entry, host: "web.localhost"},
		{name: "haproxy", text: "bare HAProxy, least configuration", address: bareProxyAt, host: "web.localhost"},
	}, nil
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
	cmd, err := w.command(proxyGroup, program, "-db", "-f", w.path("bare.cfg"))
	if err != nil {
		return err
	}
	cmd.Stdout, cmd.Stderr = w.said, w.said
	cmd.SysProcAttr = &unix.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("starting a bare HAProxy: %w", err)
	}
	w.more = append(w.more, cmd)
	return until(ctx, "the bare HAProxy", 10*time.Second, 20*time.Millisecond, func() (bool, error) {
		err := once(bareProxyAt, "web.localhost", "/version", time.Second)
		return err == nil, err
	})
}

// cost sends requests over a way and returns the CPU time of each in us: client, proxy, instance, and what the kernel does in
// their names. The server has no part in it and is left out.
func (w *world) cost(client *worker, x *way, r *Report, keep bool) (float64, error) {
	q := &requests{Address: x.address, Host: x.host, Path: "/version", Count: shotRequests, Clients: routeClients, Keep: keep}
	if keep {
		q.Count = keepRequests
	}
	all := []string{clientGroup, platformGroup, haproxyGroup, proxyGroup}
	before, err := w.usage(all...)
	if err != nil {
		return 0, err
	}
	sent, err := client.do(job{Do: "requests", Requests: q})
	if err != nil {
		return 0, err
	}
	after, err := w.usage(all...)
	if sent.Failed > 0 {
		r.Failed += sent.Failed
		r.Notes = append(r.Notes, fmt.Sprintf("route: %d of %d requests over %s failed, the first: %s", sent.Failed, sent.Sent, x.name, sent.Why))
	}
	return float64(after-before) / 1e3 / float64(max(1, sent.Sent)), err
}

// Goals of the design, section 8.
const (
	goalL4 = 1.08
	goalL7 = 1.05
)

func tellWays(r *Report, ways []*way) {
	direct, l4, l7, bare := ways[0], ways[1], ways[2], ways[3]
	r.add("route.l4.keepalive.ratio", "L4 over direct, kept connections", "ratio", goalL4, ratios(l4.keep, direct.keep))
	r.add("route.l4.oneshot.ratio", "L4 over direct, one connection each", "ratio", goalL4, ratios(l4.shot, direct.shot))
	r.add("route.l7.keepalive.ratio", "L7 over bare HAProxy, kept connections", "ratio", goalL7, ratios(l7.keep, bare.keep))
	r.add("route.l7.oneshot.ratio", "L7 over bare HAProxy, one connection each", "ratio", goalL7, ratios(l7.shot, bare.shot))
	for _, x := range ways {
		r.add("route."+x.name+".keepalive", x.text+": CPU of a request on a kept connection", "us", 0, x.keep)
		r.add("route."+x.name+".oneshot", x.text+": CPU of a request with its own connection", "us", 0, x.shot)
	}
}
