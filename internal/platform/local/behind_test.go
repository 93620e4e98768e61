package local_test

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"github.com/glint-infra/glint"
)

// wired is a guard that, as the real one does, lets nobody in whose wire is not there.
type wired struct{}

func (wired) Join(_ context.Context, id glint.ID, _ netip.Addr, link string) error {
	if _, err := netlink.LinkByName(link); err != nil {
		return fmt.Errorf("letting %s in: its link %s: %w", id, link, err)
	}
	return nil
}

func (wired) Leave(context.Context, glint.ID) error { return nil }

// TestWiresGone: whoever has died while no server ran has no wire any more, nor has one that was accepted and not made.
// Neither keeps the next server from its work.
func TestWiresGone(t *testing.T) {
	l := newLab(t)
	l.cfg.Members = wired{}
	p := l.open()
	dies, dead, unmade := specOf("web", 1, l.template("serve")), specOf("web", 2, l.template("exit", "3")), specOf("web", 3, l.template("serve"))
	unmade.Held = true
	for _, s := range []glint.InstanceSpec{dies, dead, unmade} {
		create(t, p, s)
	}
	pids := []int{reach(t, p, dies.ID, glint.Running).Pid, reach(t, p, unmade.ID, glint.Held).Pid}
	reach(t, p, dead.ID, glint.Dead)
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	// As after a crash between accepting and making.
	path := filepath.Join(l.cfg.RunDir, "i", unmade.ID.Key(), "record")
	text, err := os.ReadFile(path)
	if err != nil || !strings.Contains(string(text), `"made":true,`) {
		t.Fatalf("record: %v: %s", err, text)
	}
	if err := os.WriteFile(path, []byte(strings.Replace(string(text), `"made":true,`, "", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, pid := range pids {
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
	}
	if !settle(func() bool { return len(l.links()) == 0 }) {
		t.Fatalf("wires of the dead: %v", l.links())
	}
	p = l.open()
	reach(t, p, dies.ID, glint.Dead)
	reach(t, p, dead.ID, glint.Dead)
	reach(t, p, unmade.ID, glint.Held)
	for _, s := range []glint.InstanceSpec{dies, dead, unmade} {
		if err := p.Destroy(t.Context(), s.ID, time.Second); err != nil {
			t.Error(err)
		}
	}
	l.gone(t)
}
