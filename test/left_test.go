package test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// cmdNothingLeft: clean — after the stack was destroyed and the server stopped, nothing of this Glint is left on the host.
func cmdNothingLeft(ts *testscript.TestScript, neg bool, args []string) {
	g := under(ts)
	var left []string
	if !within(patience, func() bool { left = g.left(); return len(left) == 0 }) {
		ts.Fatalf("left behind:\n  %s\nthe server said:\n%s", strings.Join(left, "\n  "), g.log.String())
	}
}

// left lists the namespaces, mounts, links, rules, cgroups and processes that belong to this Glint.
func (g *glintUnderTest) left() []string {
	var left []string
	for _, pid := range g.processes() {
		left = append(left, fmt.Sprintf("process %d: %s", pid, cmdline(pid)))
	}
	mounts, _ := os.ReadFile("/proc/self/mounts")
	for line := range strings.Lines(string(mounts)) {
		if strings.Contains(line, g.run) || strings.Contains(line, g.data) {
			left = append(left, "mount "+strings.TrimSpace(line))
		}
	}
	if out, err := exec.Command("ip", "-o", "link").Output(); err == nil {
		for line := range strings.Lines(string(out)) {
			if !strings.Contains(line, ": lo:") && !defaultLink(line) {
				left = append(left, "link "+strings.TrimSpace(line))
			}
		}
	}
	if out, err := exec.Command("nft", "list", "tables").Output(); err == nil {
		for line := range strings.Lines(string(out)) {
			left = append(left, "nftables "+strings.TrimSpace(line))
		}
	}
	_ = filepath.WalkDir("/sys/fs/cgroup", func(path string, d os.DirEntry, err error) error {
		if err == nil && d.IsDir() && (d.Name() == g.name || strings.HasPrefix(d.Name(), g.name+"-") || strings.HasPrefix(d.Name(), g.name+".")) {
			left = append(left, "cgroup "+path)
			return filepath.SkipDir
		}
		return nil
	})
	return left
}

// defaultLink reports links that the kernel puts into every new network namespace.
func defaultLink(line string) bool {
	for _, name := range []string{": ifb", ": tunl0", ": sit0", ": ip6tnl0", ": gre0", ": gretap0", ": erspan0", ": ip_vti0", ": ip6_vti0", ": ip6gre0", ": dummy0"} {
		if strings.Contains(line, name) {
			return true
		}
	}
	return false
}

// processes lists what was started by this Glint: whoever names its folders in the command line or stands in them, and
// all that lives in namespaces beside them.
func (g *glintUnderTest) processes() []int {
	var pids []int
	dirs, _ := os.ReadDir("/proc")
	for _, d := range dirs {
		pid, err := strconv.Atoi(d.Name())
		if err != nil || pid == os.Getpid() {
			continue
		}
		cwd, _ := os.Readlink(fmt.Sprintf("/proc/%d/cwd", pid))
		cgroup, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", pid))
		if strings.Contains(cmdline(pid), g.run) || strings.Contains(cmdline(pid), g.data) || strings.HasPrefix(cwd, g.run) || bytes.Contains(cgroup, []byte("/"+g.name+"/")) {
			pids = append(pids, pid)
		}
	}
	return pids
}

func cmdline(pid int) string {
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	return strings.ReplaceAll(string(b), "\x00", " ")
}

// find returns the oldest process of this Glint whose program has that name.
func (g *glintUnderTest) find(program string) int {
	for _, pid := range g.processes() {
		if strings.HasPrefix(filepath.Base(cmdline(pid)), program) || strings.Contains(strings.SplitN(cmdline(pid), " ", 2)[0], program) {
			return pid
		}
	}
	return 0
}

// cleanUp ends what a failed script has left, so that the next one begins on a clean host. A script that went well must
// have cleaned up itself.
func (g *glintUnderTest) cleanUp(t *testing.T) {
	if g.users != nil {
		g.users.end()
	}
	if g.hidden != nil {
		g.hidden.end()
	}
	if g.cmd != nil {
		_ = g.cmd.Process.Kill()
		_ = g.cmd.Wait()
	}
	for range 100 {
		pids := g.processes()
		for _, pid := range pids {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
		if len(pids) == 0 {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	mounts, _ := os.ReadFile("/proc/self/mounts")
	lines := strings.Split(string(mounts), "\n")
	for i := len(lines) - 1; i >= 0; i-- {
		if f := strings.Fields(lines[i]); len(f) > 1 && (strings.Contains(f[1], g.run) || strings.Contains(f[1], g.data)) {
			_ = syscall.Unmount(f[1], syscall.MNT_DETACH)
		}
	}
	_ = exec.Command("nft", "flush", "ruleset").Run() // of the tests' own network namespace
	for _, l := range g.left() {
		if path, ok := strings.CutPrefix(l, "cgroup "); ok {
			removeCgroup(path)
		} else if f := strings.Fields(l); len(f) > 2 && f[0] == "link" {
			_ = exec.Command("ip", "link", "del", strings.TrimSuffix(strings.SplitN(f[2], "@", 2)[0], ":")).Run()
		}
	}
	if err := os.RemoveAll(g.run); err != nil {
		t.Errorf("cleaning up %s: %v", g.run, err)
	}
}

func removeCgroup(path string) {
	var dirs []string
	_ = filepath.WalkDir(path, func(p string, d os.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			dirs = append(dirs, p)
		}
		return nil
	})
	for i := len(dirs) - 1; i >= 0; i-- {
		_ = os.Remove(dirs[i])
	}
}
