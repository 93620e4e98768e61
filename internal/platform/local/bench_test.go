package local_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/glint-infra/glint/internal/platform/local"
)

// The benchmarks report; nothing is asserted. CPU time is that of all processes, by the kernel's own account of groups.

func cpuNanos(b *testing.B, groups ...string) int64 {
	b.Helper()
	var sum int64
	for _, g := range groups {
		raw, err := os.ReadFile("/sys/fs/cgroup/cpuacct/" + g + "/cpuacct.usage")
		if err != nil {
			b.Skipf("needs cgroup version 1 to count: %v", err)
		}
		n, err := strconv.ParseInt(strings.TrimSpace(string(raw)), 10, 64)
		if err != nil {
			b.Fatal(err)
		}
		sum += n
	}
	return sum
}

// counting moves this process to a group in which its time is counted, and back at the end.
func counting(b *testing.B) string {
	b.Helper()
	name := fmt.Sprintf("gb%d", time.Now().UnixNano()%1e9)
	dir := "/sys/fs/cgroup/cpuacct/" + name
	if err := os.Mkdir(dir, 0o755); err != nil {
		b.Skipf("needs cgroup version 1 to count: %v", err)
	}
	move := func(to string) {
		if err := os.WriteFile(filepath.Join(to, "cgroup.procs"), []byte(strconv.Itoa(os.Getpid())), 0); err != nil {
			b.Fatal(err)
		}
	}
	move(dir)
	b.Cleanup(func() {
		move("/sys/fs/cgroup/cpuacct")
		os.Remove(dir)
	})
	return name
}

// onTmpfs puts what a reboot ends where hosts have it.
func onTmpfs(b *testing.B, l *lab) {
	b.Helper()
	if err := os.MkdirAll(l.cfg.RunDir, 0o700); err != nil {
		b.Fatal(err)
	}
	if err := unix.Mount("tmpfs", l.cfg.RunDir, "tmpfs", 0, ""); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { unix.Unmount(l.cfg.RunDir, unix.MNT_DETACH) })
}

// BenchmarkLife replaces an instance of a service that has another one.
func BenchmarkLife(b *testing.B) {
	l := benchLab(b)
	onTmpfs(b, l)
	p, err := local.New(l.cfg)
	if err != nil {
		b.Fatal(err)
	}
	defer p.Close()
	group := counting(b)
	other := specOf("other", 1, l.template("serve"))
	if err := p.Create(b.Context(), other); err != nil {
		b.Fatal(err)
	}
	defer p.Destroy(b.Context(), other.ID, 0)
	var answer time.Duration
	n := 0
	life := func() {
		n++
		s := specOf("web", n, l.template("serve"))
		begin := time.Now()
		if err := p.Create(b.Context(), s); err != nil {
			b.Fatal(err)
		}
		for address := look(b, p, s.ID).Address; !answers(address); {
			time.Sleep(300 * time.Microsecond)
		}
		answer += time.Since(begin)
		if err := p.Destroy(b.Context(), s.ID, time.Second); err != nil {
			b.Fatal(err)
		}
	}
	life() // mounts, and the filter
	answer = 0
	before := cpuNanos(b, group, l.cfg.Name)
	runs := 0
	for b.Loop() {
		life()
		runs++
	}
	b.ReportMetric(float64(cpuNanos(b, group, l.cfg.Name)-before)/1e6/float64(runs), "cpu-ms/life")
	b.ReportMetric(float64(answer.Microseconds())/1e3/float64(runs), "ms-to-answer")
}

// BenchmarkBareCrun runs the same program by crun alone, without a network, a keeper or a record.
func BenchmarkBareCrun(b *testing.B) {
	l := benchLab(b)
	onTmpfs(b, l)
	p, err := local.New(l.cfg)
	if err != nil {
		b.Fatal(err)
	}
	s := specOf("web", 1, l.template("serve"))
	for n := 1; n <= 2; n++ { // the second has the compiled filter
		s.ID.N = n
		if err := p.Create(b.Context(), s); err != nil {
			b.Fatal(err)
		}
	}
	raw, err := os.ReadFile(filepath.Join(l.cfg.RunDir, "i", s.ID.Key(), "config.json"))
	if err != nil {
		b.Fatal(err)
	}
	group := counting(b)
	var config map[string]any
	if err := json.Unmarshal(raw, &config); err != nil {
		b.Fatal(err)
	}
	config["linux"].(map[string]any)["cgroupsPath"] = "/" + group + "/bare"
	config["process"].(map[string]any)["args"] = []string{"/app", "sleep", "1h"}
	raw, _ = json.Marshal(config)
	dir := filepath.Join(l.dir, "bare")
	os.Mkdir(dir, 0o700)
	if err := os.WriteFile(filepath.Join(dir, "config.json"), raw, 0o600); err != nil {
		b.Fatal(err)
	}
	if err := unix.Mount("tmpfs", "/sys/fs/cgroup/unified", "tmpfs", 0, ""); err != nil { // in the tests' own mount namespace
		b.Skipf("needs a hybrid host: %v", err)
	}
	defer unix.Unmount("/sys/fs/cgroup/unified", unix.MNT_DETACH)
	run := func(args ...string) {
		c := exec.Command("crun", append([]string{"--root", filepath.Join(l.dir, "bare-state")}, args...)...)
		if err := c.Run(); err != nil {
			b.Fatalf("crun %q: %v", args, err)
		}
	}
	before := cpuNanos(b, group)
	runs := 0
	for b.Loop() {
		run("run", "-d", "-b", dir, "bare")
		run("delete", "--force", "bare")
		runs++
	}
	b.ReportMetric(float64(cpuNanos(b, group)-before)/1e6/float64(runs), "cpu-ms/life")
	_ = unix.Unmount("/sys/fs/cgroup/unified", unix.MNT_DETACH)
	for n := 1; n <= 2; n++ {
		s.ID.N = n
		if err := p.Destroy(b.Context(), s.ID, time.Second); err != nil {
			b.Fatal(err)
		}
	}
	if err := p.Close(); err != nil {
		b.Log(err)
	}
	for _, g := range []string{"cpu", "memory", "pids", "blkio", "freezer", "devices", "cpuset", "systemd"} {
		os.Remove("/sys/fs/cgroup/" + g + "/" + group)
	}
}
