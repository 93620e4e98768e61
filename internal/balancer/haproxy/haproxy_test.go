package haproxy

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/glint-infra/glint"
	"github.com/glint-infra/glint/internal/balancer"
	"github.com/glint-infra/glint/internal/balancer/balancertest"
)

func TestMain(m *testing.M) { os.Exit(balancertest.Isolate(m)) }

func member(n int) glint.Server {
	return glint.Server{ID: glint.ID{Stack: "shop", Epoch: "k3f9a2", Service: "web", N: n}, Address: fmt.Sprintf("127.2.%d.%d", n>>8, n&255), Port: 8080}
}

func table(gen int, ns ...int) balancer.Table {
	b := balancer.Backend{Name: "shop.web.http", Listen: netip.MustParseAddrPort("127.1.0.1:8080")}
	for _, n := range ns {
		b.Members = append(b.Members, member(n))
	}
	return balancer.Table{Generations: map[string]int{"shop": gen}, Backends: []balancer.Backend{b}, Hosts: map[string]string{"shop.localhost": b.Name, "gone.localhost": ""}}
}

func open(t *testing.T, edit ...func(*Config)) *Proxy {
	t.Helper()
	dir, err := os.MkdirTemp("", "glint-haproxy-")
	if err != nil {
		t.Fatal(err)
	}
	cfg := Config{Dir: dir, Public: netip.MustParseAddrPort("127.0.0.1:80")}
	for _, e := range edit {
		e(&cfg)
	}
	p, err := Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(p.Publish(context.Background(), balancer.Table{Generations: map[string]int{}}), p.Close()); err != nil {
			t.Error(err)
		}
		if left, _ := filepath.Glob(dir + "/*"); len(left) != 1 { // the jail
			t.Errorf("left: %v", left)
		}
		_ = os.RemoveAll(dir)
	})
	return p
}

func publish(t *testing.T, p *Proxy, tab balancer.Table) {
	t.Helper()
	if err := p.Publish(t.Context(), tab); err != nil {
		t.Fatal(err)
	}
	if seen := p.Look(t.Context()); len(seen.Late) > 0 || !seen.Complete {
		t.Fatalf("not in force: %v", seen)
	}
}

// one returns the only worker.
func one(t *testing.T, p *Proxy) worker {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	all, err := p.workers(t.Context())
	if err != nil || current(all) == nil {
		t.Fatalf("%v, %v", all, err)
	}
	return *current(all)
}

// TestReloadsSeldom: members come and go by the runtime socket; only a new listener, or many that left, need a reload.
func TestReloadsSeldom(t *testing.T) {
	p := open(t)
	publish(t, p, table(1, 1, 2))
	first := one(t, p)
	for i := range 20 {
		publish(t, p, table(i+2, i+2, i+3))
	}
	if now := one(t, p); now.pid != first.pid {
		t.Errorf("a change of members made worker %d of %d", now.pid, first.pid)
	}
	publish(t, p, table(30, 1, 2)) // back again
	if now := one(t, p); now.pid != first.pid || !now.servers["shop.web.http"][member(1).ID.Key()].ready {
		t.Errorf("members that came back: %v", now)
	}
	more := table(31, 1, 2)
	more.Hosts["other.localhost"] = "shop.web.http"
	publish(t, p, more)
	second := one(t, p)
	if second.pid == first.pid {
		t.Error("a new host name made no new worker")
	}
	if n := len(second.servers["shop.web.http"]); n != 3 {
		t.Errorf("%d servers after a reload, want two members and the one for none", n)
	}
	for i := range spare + 10 {
		more := table(i+32, i+2, i+3)
		more.Hosts["other.localhost"] = "shop.web.http"
		publish(t, p, more)
	}
	if third := one(t, p); third.pid == second.pid || len(third.servers["shop.web.http"]) > 50 {
		t.Errorf("those that left were not swept out: %d servers", len(third.servers["shop.web.http"]))
	}
}

// TestSharesConnections: requests on kept connections open no new ones to instances, whether their server came with the
// configuration or at run time.
func TestSharesConnections(t *testing.T) {
	p := open(t)
	publish(t, p, table(1))    // the configuration has no server
	publish(t, p, table(2, 1)) // comes at run time
	first := member(1)
	balancertest.Serve(t, first.ID, first.Address, first.Port)
	count := func() {
		t.Helper()
		before := connections(t, p)
		load := balancertest.StartLoad("http://127.0.0.1:80", "shop.localhost", []balancertest.Kind{{Name: "keep-alive", Clients: 2, Path: "/"}})
		_ = pause(t.Context(), 500*time.Millisecond)
		answered, failures := load.Stop()
		if made, n := connections(t, p)-before, answered["keep-alive"]; len(failures) > 0 || n < 20 || made > n/4 {
			t.Errorf("%d requests made %d connections; failures %v", n, made, failures)
		}
	}
	count()
	more := table(3, 1)
	more.Hosts["other.localhost"] = "shop.web.http" // comes with a reload
	publish(t, p, more)
	count()
}

// connections is how many the current worker has made to instances.
func connections(t *testing.T, p *Proxy) (n int) {
	t.Helper()
	answer, err := p.ask(t.Context(), one(t, p).pid, "show stat -1 4 -1")
	if err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(strings.NewReader(answer)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	column := slices.Index(rows[0], "connect")
	for _, row := range rows[1:] {
		if _, err := glint.ParseKey(row[1]); err == nil {
			made, _ := strconv.Atoi(row[column])
			n += made
		}
	}
	return n
}

// TestMends changes a worker behind its keeper's back.
func TestMends(t *testing.T) {
	p := open(t)
	publish(t, p, table(1, 1, 2))
	w := one(t, p)
	for _, command := range []string{"state maint", "addr 127.66.0.1 port 99", "state drain"} {
		if _, err := p.ask(t.Context(), w.pid, "set server shop.web.http/"+member(1).ID.Key()+" "+command); err != nil {
			t.Fatal(err)
		}
		want := server{addr: "127.2.0.1:8080", ready: true}
		for i := 0; one(t, p).servers["shop.web.http"][member(1).ID.Key()] != want || len(p.Look(t.Context()).Late) > 0; i++ {
			if p.Look(t.Context()); i == 1000 {
				t.Fatalf("%s: never mended", command)
			}
			_ = pause(t.Context(), 10*time.Millisecond)
		}
	}
}

// TestRefusesWhatHAProxyRefuses: a configuration that HAProxy does not accept leaves the one before in force.
func TestRefusesWhatHAProxyRefuses(t *testing.T) {
	p := open(t)
	publish(t, p, table(1, 1))
	more := table(2, 1)
	more.Hosts["new.localhost"] = "shop.web.http"
	binary := p.binary
	p.binary = "/bin/false"
	if err := p.Publish(t.Context(), more); err == nil || !strings.Contains(err.Error(), "the one before stays") {
		t.Errorf("got %v", err)
	}
	if seen := p.Look(t.Context()); len(seen.Late) > 0 || seen.Generations["shop"] != 1 {
		t.Errorf("after a refusal: %v", seen)
	}
	p.binary = binary
	elsewhere := more
	elsewhere.Backends = append(elsewhere.Backends, balancer.Backend{Name: "shop.far.http", Listen: netip.MustParseAddrPort("192.0.2.77:80")})
	if err := p.Publish(t.Context(), elsewhere); err == nil || !strings.Contains(err.Error(), "192.0.2.77:80 cannot be listened on") {
		t.Errorf("got %v", err)
	}
	if seen := p.Look(t.Context()); len(seen.Late) > 0 || seen.Generations["shop"] != 1 {
		t.Errorf("after an address that is not here: %v", seen)
	}
}

// TestPrivileges: workers are locked in and unprivileged, nobody else may reach the sockets.
func TestPrivileges(t *testing.T) {
	p := open(t)
	publish(t, p, table(1, 1))
	w := one(t, p)
	if root, err := os.Readlink(fmt.Sprintf("/proc/%d/root", w.pid)); err != nil || root != p.jail() {
		t.Errorf("a worker sees %s, %v", root, err)
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", w.pid))
	if err != nil || regexp.MustCompile(`(?m)^Uid:\s+0`).Match(status) || !regexp.MustCompile(`(?m)^CapEff:\s+0+$`).Match(status) {
		t.Errorf("a worker runs with privileges: %s, %v", status, err)
	}
	for name, want := range map[string]os.FileMode{".": 0o700, "master.sock": 0o600, "haproxy.cfg": 0o600, "haproxy.log": 0o600, "jail": 0o711, "jail/services": 0o600} {
		st, err := os.Stat(p.path(name))
		if err != nil || st.Mode().Perm() != want {
			t.Errorf("%s: %v, %v", name, st, err)
		}
	}
}

// TestCgroups: HAProxy, its workers included, lives where it is told to, and nothing of that is left.
func TestCgroups(t *testing.T) {
	hierarchies, _ := filepath.Glob("/sys/fs/cgroup/pids/cgroup.procs") // where version 1 is mounted
	if len(hierarchies) == 0 {
		hierarchies, _ = filepath.Glob("/sys/fs/cgroup/cgroup.procs")
	}
	if len(hierarchies) == 0 {
		t.Skip("no cgroups here")
	}
	group := filepath.Join(filepath.Dir(hierarchies[0]), fmt.Sprintf("glint-test-%d", os.Getpid()))
	p := open(t, func(c *Config) { c.Cgroups = []string{group} })
	publish(t, p, table(1, 1))
	first := one(t, p)
	more := table(2, 1)
	more.Hosts["new.localhost"] = "shop.web.http"
	publish(t, p, more)
	for _, pid := range []int{p.master.pid, first.pid, one(t, p).pid} {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", pid))
		if err == nil && !strings.Contains(string(text), "/"+filepath.Base(group)) {
			t.Errorf("process %d is in %s", pid, text)
		}
	}
	publish(t, p, balancer.Table{Generations: map[string]int{}})
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(group); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the group is left: %v", err)
	}
}

// TestNothingSlipsIn: whatever names say, a configuration is refused or holds exactly the lines that it should.
func TestNothingSlipsIn(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		word := rapid.OneOf(rapid.StringMatching(`[a-z0-9.-]{1,12}`), rapid.String())
		tab := balancer.Table{Generations: map[string]int{"shop": 1}, Hosts: map[string]string{}}
		for i := range rapid.IntRange(0, 3).Draw(rt, "backends") {
			b := balancer.Backend{Name: rapid.OneOf(rapid.StringMatching(`[a-z]{1,3}\.[a-z]{1,3}\.[a-z]{1,3}`), word).Draw(rt, "name"), Listen: netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 1, 0, byte(i)}), 80)}
			for n := range rapid.IntRange(0, 2).Draw(rt, "members") {
				m := member(n + 1)
				m.Address = rapid.OneOf(rapid.Just(m.Address), word).Draw(rt, "address")
				m.ID.Service = rapid.OneOf(rapid.Just("web"), word).Draw(rt, "service")
				b.Members = append(b.Members, m)
			}
			tab.Backends = append(tab.Backends, b)
			tab.Hosts[word.Draw(rt, "host")] = b.Name
		}
		if valid(tab) != nil {
			return
		}
		p := &Proxy{cfg: Config{Dir: "/d", Public: netip.MustParseAddrPort("0.0.0.0:80")}}
		r, empty := p.render(tab), p.render(balancer.Table{Generations: tab.Generations})
		lines := 0
		for _, b := range tab.Backends {
			lines += 1 + strings.Count(backendText, "\n") + len(b.Members) // the bind, the section, the servers
		}
		if len(tab.Hosts) > 0 {
			lines++ // the bind
		}
		if got := strings.Count(r.config, "\n") - strings.Count(empty.config, "\n"); got != lines {
			rt.Errorf("%d lines more than an empty configuration, want %d:\n%s", got, lines, r.config)
		}
		if got := strings.Count(r.mapText, "\n"); got != len(tab.Backends)+len(tab.Hosts) {
			rt.Errorf("%d routes:\n%s", got, r.mapText)
		}
	})
}

// TestNoWarnings: HAProxy has nothing to say about our configuration.
func TestNoWarnings(t *testing.T) {
	p := open(t)
	publish(t, p, table(1, 1))
	out, err := exec.Command("haproxy", "-c", "-f", p.path("haproxy.cfg")).CombinedOutput()
	if err != nil || strings.Contains(string(out), "WARNING") {
		t.Errorf("%s %v", out, err)
	}
}
