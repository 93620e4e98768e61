package local_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/nftables"

	"github.com/glint-infra/glint"
	"github.com/glint-infra/glint/internal/network"
	"github.com/glint-infra/glint/internal/platform/local"
)

// ownerMode makes the test binary a server that can be killed.
const ownerMode = "own-a-platform"

// An ownership tells such a server what to do.
type ownership struct {
	Config  local.Config
	Shelf   shelf
	Image   glint.Digest
	First   int    // number of its first instance
	Journal string // what it has begun and ended
}

// counted is an instance that writes down each of its starts.
func counted(image glint.Digest, n int) glint.InstanceSpec {
	s := specOf(fmt.Sprintf("s%d", n), n, glint.Template{Image: image, Command: []string{"/app", "count", "/data/starts"}, Volumes: []glint.Volume{{Name: "data", Path: "/data", Size: 1 << 20}}})
	return s
}

// owner creates, lets go and destroys until it is killed.
func owner() {
	var o ownership
	b, err := os.ReadFile(os.Args[2])
	if err == nil {
		err = json.Unmarshal(b, &o)
	}
	if err != nil {
		panic(err)
	}
	journal, err := os.OpenFile(o.Journal, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		panic(err)
	}
	note := func(what string, n int) { fmt.Fprintf(journal, "%s %d\n", what, n) }
	o.Config.Images, o.Config.Names = o.Shelf, book{}
	if o.Config.Members, err = firewall(o.Config); err != nil {
		panic(err)
	}
	p, err := local.New(o.Config)
	if err != nil {
		panic(err)
	}
	note("open", o.First)
	must := func(err error) {
		if err != nil {
			note("error "+strings.ReplaceAll(err.Error(), "\n", " "), 0)
			os.Exit(1)
		}
	}
	ctx := context.Background()
	for n := o.First; ; n++ {
		s := counted(o.Image, n)
		s.Held = n%3 == 0
		note("create", n)
		must(p.Create(ctx, s))
		note("created", n)
		if s.Held {
			s.Held = false
			note("let", n)
			must(p.Create(ctx, s))
			note("gone", n)
		}
		if old := n - 2; old >= o.First {
			note("destroy", old)
			must(p.Destroy(ctx, counted(o.Image, old).ID, time.Second))
			note("destroyed", old)
		}
	}
}

// firewall is the one that servers use: it is strict about links that are not there.
func firewall(cfg local.Config) (local.Members, error) {
	return network.NewFirewall(network.FirewallConfig{Name: cfg.Name, State: filepath.Join(filepath.Dir(cfg.RunDir), "firewall.json"), Links: cfg.Name[:min(6, len(cfg.Name))] + "-", Instances: cfg.Pool})
}

// guarded puts a lab behind a firewall.
func (l *lab) guarded() *lab {
	l.t.Helper()
	var err error
	if l.cfg.Members, err = firewall(l.cfg); err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(func() {
		if err := network.RemoveTable(nftables.TableFamilyINet, l.cfg.Name); err != nil {
			l.t.Error(err)
		}
	})
	return l
}

// own starts a server of that kind and kills it after a while.
func (l *lab) own(first int, after time.Duration) map[string]bool {
	l.t.Helper()
	o := ownership{Config: l.cfg, Shelf: l.shelf, Image: l.image, First: first, Journal: filepath.Join(l.dir, "journal")}
	o.Config.Images, o.Config.Names, o.Config.Members = nil, nil, nil
	b, err := json.Marshal(o)
	if err == nil {
		err = os.WriteFile(filepath.Join(l.dir, "ownership"), b, 0o600)
	}
	if err != nil {
		l.t.Fatal(err)
	}
	c := exec.Command("/proc/self/exe", ownerMode, filepath.Join(l.dir, "ownership"))
	c.Stderr = os.Stderr
	if err := c.Start(); err != nil {
		l.t.Fatal(err)
	}
	opened := fmt.Sprintf("open %d", first)
	if !settle(func() bool { return l.journal()[opened] }) {
		l.t.Fatal("the server does not open")
	}
	time.Sleep(after) // any moment will do: each is another test
	if err := c.Process.Kill(); err != nil {
		l.t.Fatal(err)
	}
	_ = c.Wait()
	return l.journal()
}

func (l *lab) journal() map[string]bool {
	all := map[string]bool{}
	f, err := os.Open(filepath.Join(l.dir, "journal"))
	if err != nil {
		return all
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		if strings.HasPrefix(s.Text(), "error") {
			l.t.Errorf("the server says: %s", s.Text())
		}
		all[s.Text()] = true
	}
	return all
}

func (l *lab) starts(n int) int {
	b, _ := os.ReadFile(filepath.Join(l.cfg.DataDir, "volumes", "shop", fmt.Sprintf("s%d", n), "data", "starts"))
	return strings.Count(string(b), "started")
}

// TestKilledServer kills servers at many moments of creating and destroying. Whatever was accepted lives, once; whatever
// was destroyed is gone; and everything can be destroyed.
func TestKilledServer(t *testing.T) {
	l := newLab(t).guarded()
	first, last := 1, 0
	for round := range 16 {
		did := l.own(first, time.Duration(round)*11*time.Millisecond)
		last = first
		for did[fmt.Sprintf("create %d", last)] {
			last++
		}
		var err error
		if l.cfg.Members, err = firewall(l.cfg); err != nil {
			t.Fatal(err)
		}
		p, err := local.New(l.cfg)
		if err != nil {
			t.Fatal(err)
		}
		for n := first; n < last; n++ {
			l.checkAfterKill(p, did, n)
		}
		for n := first; n < last; n++ {
			destroy(t, p, counted(l.image, n).ID)
			if got := l.starts(n); got > 1 {
				t.Errorf("round %d: s%d was started %d times", round, n, got)
			}
		}
		l.gone(t)
		if err := p.Close(); err != nil {
			t.Fatal(err)
		}
		if t.Failed() {
			return
		}
		first = last
	}
	t.Logf("%d instances", last-1)
}

func (l *lab) checkAfterKill(p *local.Platform, did map[string]bool, n int) {
	l.t.Helper()
	has := func(what string) bool { return did[fmt.Sprintf("%s %d", what, n)] }
	id := counted(l.image, n).ID
	in := look(l.t, p, id)
	switch {
	case has("destroyed"):
		if in.ID == id {
			l.t.Errorf("%s was destroyed and is listed: %+v", id, in)
		}
	case has("destroy"):
	case has("created") && (n%3 != 0 || has("gone")):
		if in.State != glint.Running {
			l.t.Errorf("%s was created and is %+v %+v", id, in, in.Exit)
		}
		if !settle(func() bool { return answers(in.Address) }) || !settle(func() bool { return l.starts(n) == 1 }) {
			l.t.Errorf("%s does not answer, or was started %d times", id, l.starts(n))
		}
	case has("created") && !has("let"):
		if in.State != glint.Held || l.starts(n) != 0 {
			l.t.Errorf("%s was created held and is %+v", id, in)
		}
	case in.ID == id: // cut short in the middle: the new server completes what was accepted
		if !settle(func() bool { s := look(l.t, p, id).State; return s == glint.Running || s == glint.Held }) {
			in = look(l.t, p, id)
			l.t.Errorf("%s was not completed: %+v %+v", id, in, in.Exit)
		}
	}
}

// TestRestart kills a server and shows that its instances never notice, not in the least.
func TestRestart(t *testing.T) {
	l := newLab(t)
	did := l.own(1, 500*time.Millisecond)
	n := 1
	for !did[fmt.Sprintf("created %d", n)] || did[fmt.Sprintf("destroy %d", n)] || n%3 == 0 && !did[fmt.Sprintf("gone %d", n)] {
		if n++; n > 1000 {
			t.Skip("too slow a machine to have an instance in time")
		}
	}
	id := counted(l.image, n).ID
	var wg sync.WaitGroup
	stop, failed := make(chan struct{}), make(chan int, 1)
	p := l.open()
	in := look(t, p, id)
	if !settle(func() bool { return answers(in.Address) }) {
		t.Fatalf("does not answer without a server: %+v", in)
	}
	wg.Go(func() {
		bad := 0
		for {
			select {
			case <-stop:
				failed <- bad
				return
			default:
				if !answers(in.Address) {
					bad++
				}
			}
		}
	})
	for range 3 {
		if err := p.Close(); err != nil {
			t.Fatal(err)
		}
		p = l.open()
		again := look(t, p, id)
		if again.Pid != in.Pid || again.Address != in.Address || again.Tainted != "" || !again.Started.Equal(in.Started) {
			t.Errorf("adopted another: %+v, was %+v", again, in)
		}
	}
	close(stop)
	wg.Wait()
	if bad := <-failed; bad > 0 {
		t.Errorf("%d requests failed", bad)
	}
	all, err := p.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, in := range all.Instances {
		destroy(t, p, in.ID)
	}
	l.gone(t)
}

func TestSecondServer(t *testing.T) {
	l := newLab(t)
	l.open()
	if p, err := local.New(l.cfg); !errors.Is(err, glint.ErrInUse) {
		if err == nil {
			p.Close()
		}
		t.Errorf("a second server on the same directory: %v", err)
	}
}

func TestRefusals(t *testing.T) {
	l := newLab(t)
	for _, tt := range []struct {
		name string
		odd  func(*local.Config)
		want string
	}{
		{"crun is missing", func(c *local.Config) { c.Crun = "/nowhere/crun" }, "apt-get install crun conmon"},
		{"conmon is missing", func(c *local.Config) { c.Conmon = "/nowhere/conmon" }, "apt-get install crun conmon"},
		{"crun is something else", func(c *local.Config) { c.Crun = "/bin/true" }, "version"},
		{"the name is too long", func(c *local.Config) { c.Name = "a-very-long-name" }, "name"},
		{"the pool is IPv6", func(c *local.Config) { c.Pool = netip.MustParsePrefix("fd00::/64") }, "pool"},
		{"the pool is one address", func(c *local.Config) { c.Pool = netip.MustParsePrefix("10.0.0.1/32") }, "pool"},
		{"no images", func(c *local.Config) { c.Images = nil }, "image"},
		{"a relative directory", func(c *local.Config) { c.RunDir = "run" }, "absolute"},
		{"a colon in the directory", func(c *local.Config) { c.RunDir = "/tmp/a:b" }, "without ':'"},
	} {
		cfg := l.cfg
		tt.odd(&cfg)
		if p, err := local.New(cfg); err == nil || !strings.Contains(err.Error(), tt.want) {
			if err == nil {
				p.Close()
			}
			t.Errorf("%s: %v, want %q in it", tt.name, err, tt.want)
		}
	}
	p := l.open()
	bad := specOf("web", 1, l.template("serve"))
	bad.ID.Stack = "../up"
	if err := p.Create(t.Context(), bad); !errors.Is(err, glint.ErrInvalid) {
		t.Errorf("an ID that is none: %v", err)
	}
	for n, odd := range []func(*glint.Template){
		func(t *glint.Template) { t.Writable = []glint.Tmpfs{{Path: "../x", Size: 1}} },
		func(t *glint.Template) { t.Writable = []glint.Tmpfs{{Path: "/", Size: 1}} },
		func(t *glint.Template) { t.Volumes = []glint.Volume{{Name: "../../x", Path: "/x"}} },
		func(t *glint.Template) { t.Image = glint.DigestOf(nil) },
	} {
		tmpl := l.template("serve")
		odd(&tmpl)
		s := specOf("odd", n+1, tmpl)
		create(t, p, s)
		if in := reach(t, p, s.ID, glint.Dead); in.Exit.Failure == "" || !in.Exit.Permanent {
			t.Errorf("odd template %d: %+v", n, in.Exit)
		}
		destroy(t, p, s.ID)
	}
	l.gone(t)
}

// TestBoot begins another life of the host on the same disk: nothing of the former one is there any more.
func TestBoot(t *testing.T) {
	l := newLab(t)
	p := l.open()
	s := specOf("job", 1, l.template("say"))
	says(t, p, s)
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(l.cfg.RunDir, "boot"), []byte("another"), 0o600); err != nil {
		t.Fatal(err)
	}
	p = l.open()
	if in := look(t, p, s.ID); in.ID == s.ID {
		t.Errorf("of the former life: %+v", in)
	}
	destroy(t, p, s.ID)
	l.gone(t)
}

// TestLetGoTwice is a server that was killed after it had let a program go and before it could remove the fifo. Waiting
// for somebody to read from it, as "crun start" does, would be for ever.
func TestLetGoTwice(t *testing.T) {
	l := newLab(t)
	p := l.open()
	s := specOf("web", 1, l.template("serve"))
	create(t, p, s)
	was := reach(t, p, s.ID, glint.Running)
	if !settle(func() bool { return answers(was.Address) }) {
		t.Fatal("does not answer")
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	fifo := filepath.Join(l.cfg.RunDir, "crun", s.ID.Key(), "exec.fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	p = l.open()
	if in := reach(t, p, s.ID, glint.Running); in.Pid != was.Pid || !answers(in.Address) {
		t.Errorf("adopted another: %+v, was %+v", in, was)
	}
	if _, err := os.Lstat(fifo); err == nil {
		t.Error("the fifo is still there")
	}
	destroy(t, p, s.ID)
	l.gone(t)
}

// TestAway lets instances and keepers die while no server looks.
func TestAway(t *testing.T) {
	l := newLab(t).guarded()
	p := l.open()
	killed, orphan, cut := specOf("web", 1, l.template("serve")), specOf("web", 2, l.template("serve")), specOf("web", 3, l.template("serve"))
	ended := specOf("job", 1, l.template("sleep", "300ms"))
	for _, s := range []glint.InstanceSpec{killed, orphan, cut, ended} {
		create(t, p, s)
		reach(t, p, s.ID, glint.Running)
	}
	pid, keeper := look(t, p, killed.ID).Pid, p.KeeperOf(orphan.ID.Key())
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(syscall.Kill(pid, syscall.SIGKILL), syscall.Kill(keeper, syscall.SIGKILL)); err != nil {
		t.Fatal(err)
	}
	if !settle(func() bool {
		b, _ := os.ReadFile(filepath.Join(l.cfg.RunDir, "i", ended.ID.Key(), "exit", ended.ID.Key()))
		return len(b) > 0
	}) {
		t.Fatal("the keeper does not write down the end")
	}
	if out, err := exec.Command("ip", "link", "del", p.LinkOf(cut.ID)).CombinedOutput(); err != nil {
		t.Fatalf("cutting a wire: %v: %s", err, out)
	}
	if !settle(func() bool { return len(l.links()) == 1 }) {
		t.Fatal("the wires of the dead do not go")
	}
	p = l.open()
	if in := reach(t, p, killed.ID, glint.Dead); in.Exit.Code != 137 || in.Exit.Signal != "SIGKILL" {
		t.Errorf("killed while no server looked: %+v", in.Exit)
	}
	if in := reach(t, p, ended.ID, glint.Dead); in.Exit.Code != 0 || in.Exit.Signal != "" {
		t.Errorf("ended while no server looked: %+v", in.Exit)
	}
	if in := reach(t, p, orphan.ID, glint.Running); in.Tainted == "" {
		t.Error("an orphan is not tainted")
	}
	if in := reach(t, p, cut.ID, glint.Running); in.Tainted == "" {
		t.Error("one whose wire was cut is not tainted")
	}
	destroy(t, p, killed.ID, orphan.ID, cut.ID, ended.ID)
	l.gone(t)
}
