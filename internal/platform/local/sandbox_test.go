package local_test

import (
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/net/bpf"

	"github.com/glint-infra/glint"
	"github.com/glint-infra/glint/internal/image"
	"github.com/glint-infra/glint/internal/platform/local"
)

func specOf(service string, n int, t glint.Template) glint.InstanceSpec {
	return glint.InstanceSpec{ID: glint.ID{Stack: "shop", Epoch: "e1", Service: service, N: n}, Version: t.Version(), Template: t}
}

func create(t testing.TB, p *local.Platform, s glint.InstanceSpec) {
	t.Helper()
	if err := p.Create(t.Context(), s); err != nil {
		t.Fatal(err)
	}
}

func look(t testing.TB, p *local.Platform, id glint.ID) glint.Instance {
	t.Helper()
	l, err := p.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, in := range l.Instances {
		if in.ID == id {
			return in
		}
	}
	return glint.Instance{}
}

func reach(t testing.TB, p *local.Platform, id glint.ID, want glint.State) glint.Instance {
	t.Helper()
	if !settle(func() bool { return look(t, p, id).State == want }) {
		in := look(t, p, id)
		t.Fatalf("%s never became %s: %+v %+v", id, want, in, in.Exit)
	}
	return look(t, p, id)
}

func destroy(t testing.TB, p *local.Platform, ids ...glint.ID) {
	t.Helper()
	for _, id := range ids {
		if err := p.Destroy(t.Context(), id, time.Second); err != nil {
			t.Fatal(err)
		}
	}
}

// says runs a program to its end and returns what it wrote.
func says(t *testing.T, p *local.Platform, s glint.InstanceSpec) []string {
	t.Helper()
	create(t, p, s)
	in := reach(t, p, s.ID, glint.Dead)
	if in.Exit.Failure != "" {
		t.Fatalf("%s: %s", s.ID, in.Exit.Failure)
	}
	r, err := p.Logs(t.Context(), s.ID, -1, false)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for l := range strings.Lines(string(b)) {
		lines = append(lines, strings.SplitN(strings.TrimSuffix(l, "\n"), " ", 3)[2])
	}
	return lines
}

// TestForbiddenCalls tries them twice: with the filter that crun compiles, and with the one handed to it afterwards.
func TestForbiddenCalls(t *testing.T) {
	l := newLab(t)
	p := l.open()
	if _, err := os.Stat(p.Compiled()); err == nil {
		t.Fatal("a compiled filter before the first instance")
	}
	var first []string
	for n := 1; n <= 2; n++ {
		s := specOf("try", n, l.template("syscalls"))
		got := says(t, p, s)
		for _, line := range got {
			name, number, _ := strings.Cut(line, " ")
			want := "1" // EPERM
			switch name {
			case "clone3":
				want = "38" // ENOSYS, so that libraries use what can be filtered
			case "getpid", "personality-ask":
				want = "0"
			}
			if number != want {
				t.Errorf("run %d: %s: errno %s, want %s", n, name, number, want)
			}
		}
		if len(got) != 22 {
			t.Errorf("run %d: %q", n, got)
		}
		first = append(first, strings.Join(got, ","))
		if _, err := os.Stat(p.Compiled()); err != nil {
			t.Fatalf("no compiled filter after the first instance: %v", err)
		}
		config, err := os.ReadFile(filepath.Join(l.cfg.RunDir, "i", s.ID.Key(), "config.json"))
		if err != nil || strings.Contains(string(config), "run.oci.seccomp_bpf_data") != (n == 2) {
			t.Errorf("run %d: handed over a compiled filter: %v %v", n, n == 2, err)
		}
	}
	if first[0] != first[1] {
		t.Errorf("the compiled filter differs:\n%s\n%s", first[0], first[1])
	}
	destroy(t, p, glint.ID{Stack: "shop", Epoch: "e1", Service: "try", N: 1}, glint.ID{Stack: "shop", Epoch: "e1", Service: "try", N: 2})
	l.gone(t)
}

// TestCompiledFilter runs the filter itself: what it says of other ways of calling the kernel can be asked nowhere else.
func TestCompiledFilter(t *testing.T) {
	l := newLab(t)
	p := l.open()
	s := specOf("web", 1, l.template("say"))
	says(t, p, s)
	destroy(t, p, s.ID)
	raw, err := os.ReadFile(p.Compiled())
	if err != nil {
		t.Fatal(err)
	}
	var program []bpf.RawInstruction
	for ; len(raw) >= 8; raw = raw[8:] {
		k := uint32(raw[4]) | uint32(raw[5])<<8 | uint32(raw[6])<<16 | uint32(raw[7])<<24
		program = append(program, bpf.RawInstruction{Op: uint16(raw[0]) | uint16(raw[1])<<8, Jt: raw[2], Jf: raw[3], K: k})
	}
	instructions, all := bpf.Disassemble(program)
	if !all {
		t.Fatal("not a classic BPF program")
	}
	vm, err := bpf.NewVM(instructions)
	if err != nil {
		t.Fatal(err)
	}
	const amd64, i386, arm64 = 0xc000003e, 0x40000003, 0xc00000b7 // AUDIT_ARCH_*
	const allow, eperm, enosys, kill = 0x7fff0000, 0x00050001, 0x00050026, 0
	for _, tt := range []struct {
		name     string
		arch, nr uint32
		arg0     uint64
		want     uint32
	}{
		{"read", amd64, 0, 0, allow},
		{"read, as x32", amd64, 0 | 0x40000000, 0, kill},
		{"mount, as x32", amd64, 165 | 0x40000000, 0, kill},
		{"read, 32 bits", i386, 3, 0, kill},
		{"read, another machine", arm64, 63, 0, kill},
		{"mount", amd64, 165, 0, eperm},
		{"clone without namespaces", amd64, 56, 0x100, allow},
		{"clone with CLONE_NEWUSER", amd64, 56, 0x10000000, eperm},
		{"clone with CLONE_NEWNS", amd64, 56, 0x00020000, eperm},
		{"clone3", amd64, 435, 0, enosys},
		{"socket AF_INET", amd64, 41, 2, allow},
		{"socket AF_VSOCK", amd64, 41, 40, eperm},
		{"a call of the future", amd64, 9999, 0, eperm},
	} {
		data := make([]byte, 64) // struct seccomp_data; the VM reads words big endian
		put := func(at int, v uint32) {
			data[at], data[at+1], data[at+2], data[at+3] = byte(v>>24), byte(v>>16), byte(v>>8), byte(v)
		}
		put(0, tt.nr)
		put(4, tt.arch)
		put(16, uint32(tt.arg0))
		put(20, uint32(tt.arg0>>32))
		got, err := vm.Run(data)
		if err != nil || uint32(got) != tt.want && !(tt.want == kill && uint32(got) == 0x80000000) {
			t.Errorf("%s: %#x %v, want %#x", tt.name, uint32(got), err, tt.want)
		}
	}
}

func TestReadOnly(t *testing.T) {
	l := newLab(t)
	p := l.open()
	tmpl := l.template("write", "/x", "/etc/x", "/etc/hosts", "/dev/x", "/proc/sys/kernel/hostname", "/sys/x", "/scratch/x", "/data/x", "/tmp/x", "/dev/null", "/dev/shm/x")
	tmpl.Writable = []glint.Tmpfs{{Path: "/scratch", Size: 1 << 20}}
	tmpl.Volumes = []glint.Volume{{Name: "data", Path: "/data", Size: 1 << 20}}
	s := specOf("web", 1, tmpl)
	want := map[string]bool{"/scratch/x": true, "/data/x": true, "/dev/null": true, "/dev/shm/x": true}
	for _, line := range says(t, p, s) {
		path, err, _ := strings.Cut(line, ": ")
		if ok := err == "<nil>"; ok != want[path] {
			t.Errorf("writing %s: %s", path, err)
		}
	}
	destroy(t, p, s.ID)
	l.gone(t)
	kept := filepath.Join(l.cfg.DataDir, "volumes", "shop", "web", "data")
	if b, err := os.ReadFile(filepath.Join(kept, "x")); err != nil || string(b) != "x" {
		t.Errorf("the volume does not outlive its instance: %q %v", b, err)
	}
	if st, err := os.Stat(kept); err != nil || st.Mode().Perm() != 0o700 {
		t.Errorf("the volume's directory: %v %v", st, err)
	}
}

func TestSandbox(t *testing.T) {
	l := newLab(t)
	l.cfg.Names = book{"shop/cache": netip.MustParseAddr("10.99.0.7")}
	p := l.open()
	tmpl := l.template("serve")
	tmpl.Env = map[string]string{"CACHE": "cache.shop.internal:6379"}
	tmpl.Resources = glint.Resources{Memory: 64 << 20, CPU: 250, Pids: 50}
	s := specOf("web", 17, tmpl)
	s.Names = []string{"cache"}
	create(t, p, s)
	in := reach(t, p, s.ID, glint.Running)
	if !settle(func() bool { return answers(in.Address) }) { // then it is the program that is looked at, not the runtime
		t.Fatal("it does not answer")
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", in.Pid))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"CapEff:\t0000000000000000", "CapBnd:\t0000000000000000", "CapPrm:\t0000000000000000", "NoNewPrivs:\t1", "Seccomp:\t2"} {
		if !strings.Contains(string(status), want+"\n") {
			t.Errorf("no %q in the status of the program", want)
		}
	}
	for _, ns := range []string{"pid", "ipc", "uts", "mnt", "net", "cgroup"} {
		own, _ := os.Readlink("/proc/self/ns/" + ns)
		its, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/%s", in.Pid, ns))
		if err != nil || own == its {
			t.Errorf("the %s namespace is the host's: %v", ns, err)
		}
	}
	group := "/" + l.cfg.Name + "/" + s.ID.Key()
	for file, want := range map[string]string{"memory%s/memory.limit_in_bytes": strconv.Itoa(64 << 20), "cpu%s/cpu.cfs_quota_us": "25000", "cpu%s/cpu.cfs_period_us": "100000", "pids%s/pids.max": "50"} {
		b, err := os.ReadFile("/sys/fs/cgroup/" + fmt.Sprintf(file, group))
		if err != nil || strings.TrimSpace(string(b)) != want {
			t.Errorf("%s: %q %v, want %s", file, b, err, want)
		}
	}
	if b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", p.KeeperOf(s.ID.Key()))); !strings.Contains(string(b), "memory:/"+l.cfg.Name+"/keepers\n") || !strings.Contains(string(b), "0::/"+l.cfg.Name+"/keepers\n") {
		t.Errorf("the keeper stands in %s", b)
	}
	out := l.run(p, s.ID, "cat", "/etc/hosts", "/etc/hostname", "/proc/sys/net/ipv6/conf/all/disable_ipv6")
	if want := "127.0.0.1 localhost\n" + in.Address + " web-17\n10.99.0.7 cache.shop.internal cache\nweb-17\n1\n"; out != want {
		t.Errorf("names inside: %q, want %q", out, want)
	}
	for _, file := range []string{"hosts", "hostname", "resolv.conf"} { // programs that give up root must read them too
		if st, err := os.Stat(filepath.Join(l.cfg.RunDir, "i", s.ID.Key(), file)); err != nil || st.Mode().Perm() != 0o644 {
			t.Errorf("%s: %v %v", file, st, err)
		}
	}
	if env := strings.Split(strings.TrimSpace(l.run(p, s.ID, "env")), "\n"); !slices.Contains(env, "CACHE=cache.shop.internal:6379") {
		t.Errorf("environment %q", env)
	}
	inside := l.run(p, s.ID, "cat", "/proc/self/status")
	for _, want := range []string{"CapEff:\t0000000000000000", "NoNewPrivs:\t1", "Seccomp:\t2"} {
		if !strings.Contains(inside, want+"\n") {
			t.Errorf("a command beside the program has no %q", want)
		}
	}
	if groups := l.run(p, s.ID, "cat", "/proc/self/cgroup"); !strings.Contains(groups, ":memory:/\n") || !strings.Contains(groups, ":pids:/\n") {
		t.Errorf("a command beside the program is not within its limits: %s", groups)
	}
	destroy(t, p, s.ID)
	l.gone(t)
}

// run runs the test program beside an instance's.
func (l *lab) run(p *local.Platform, id glint.ID, args ...string) string {
	l.t.Helper()
	status, out, err := p.Exec(l.t.Context(), id, append([]string{"/app"}, args...))
	if err != nil || status != 0 {
		l.t.Fatalf("%q: status %d, %q, %v", args, status, out, err)
	}
	return string(out)
}

// TestWires lets two instances meet over the host, which forwards for them and for nobody else.
func TestWires(t *testing.T) {
	l := newLab(t)
	p := l.open()
	a, b := specOf("a", 1, l.template("serve")), specOf("b", 1, l.template("serve"))
	create(t, p, a)
	create(t, p, b)
	at := reach(t, p, b.ID, glint.Running).Address
	for _, name := range l.links() { // a wire that is not up yet loses the first packet, and with it a second
		if link, err := netlink.LinkByName(name); err != nil || link.Attrs().OperState != netlink.OperUp {
			t.Errorf("link %s is not up: %v", name, err)
		}
	}
	if !settle(func() bool { return answers(at) }) {
		t.Fatal("the host does not reach an instance")
	}
	l.run(p, a.ID, "dial", at+":80")
	if forward, _ := os.ReadFile("/proc/sys/net/ipv4/ip_forward"); strings.TrimSpace(string(forward)) != "0" {
		t.Errorf("the host now forwards for everybody: %s", forward)
	}
	destroy(t, p, a.ID, b.ID)
	l.gone(t)
}

func TestSharedRoot(t *testing.T) {
	l := newLab(t)
	p := l.open()
	count := func(kind string) int {
		b, _ := os.ReadFile("/proc/self/mounts")
		n := 0
		for line := range strings.Lines(string(b)) {
			if f := strings.Fields(line); f[2] == kind && strings.HasPrefix(f[1], l.dir) {
				n++
			}
		}
		return n
	}
	var ids []glint.ID
	for n := 1; n <= 3; n++ {
		s := specOf("web", n, l.template("serve"))
		create(t, p, s)
		ids = append(ids, s.ID)
	}
	if e, o := count("erofs"), count("overlay"); e != 1 || o != 1 {
		t.Errorf("three instances of one version: %d erofs, %d overlays, want one each", e, o)
	}
	destroy(t, p, ids[:2]...)
	if e := count("erofs"); e != 1 {
		t.Errorf("one instance left: %d mounts", e)
	}
	if !settle(func() bool { return answers(look(t, p, ids[2]).Address) }) {
		t.Error("the last instance lost its root")
	}
	destroy(t, p, ids[2])
	if e, o := count("erofs"), count("overlay"); e+o != 0 {
		t.Errorf("nobody left: %d erofs, %d overlays", e, o)
	}
	l.gone(t)
}

func TestChangedImage(t *testing.T) {
	l := newLab(t)
	p := l.open()
	img := l.shelf[l.image]
	f, err := os.OpenFile(img.Layers[0].Erofs, os.O_WRONLY, 0)
	if err == nil {
		_, err = f.WriteAt([]byte("evil"), 5000)
		f.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	s := specOf("web", 1, l.template("serve"))
	create(t, p, s)
	in := reach(t, p, s.ID, glint.Dead)
	if !in.Exit.Permanent || !strings.Contains(in.Exit.Failure, "was changed") {
		t.Errorf("an image that was changed: %+v", in.Exit)
	}
	destroy(t, p, s.ID)
	l.gone(t)
}

// TestLayers has what images of distributions have: several layers, files of their own in /etc, links in the way.
func TestLayers(t *testing.T) {
	l := newLab(t)
	p := l.open()
	d := l.seal(image.Sealed{Entrypoint: []string{"/app", "write", "/var/run/x", "/work/x"}, WorkDir: "/work", Env: map[string]string{"A": "image", "B": "image"}},
		func(root string) {
			for _, dir := range []string{"etc", "run", "var", "proc", "usr/lib"} {
				if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
					t.Fatal(err)
				}
			}
			if err := os.Chmod(filepath.Join(root, "etc"), 0o711); err != nil {
				t.Fatal(err)
			}
			for link, to := range map[string]string{"etc/resolv.conf": "../run/systemd/resolve/stub-resolv.conf", "var/run": "/run", "lib": "usr/lib"} {
				if err := os.Symlink(to, filepath.Join(root, link)); err != nil {
					t.Fatal(err)
				}
			}
			if err := os.WriteFile(filepath.Join(root, "etc/hosts"), []byte("of the image\n"), 0o644); err != nil {
				t.Fatal(err)
			}
		},
		func(root string) { copyFile(t, app, filepath.Join(root, "app")) })
	tmpl := glint.Template{Image: d, Writable: []glint.Tmpfs{{Path: "/var/run", Size: 1 << 20}}, Env: map[string]string{"B": "service"}}
	first := specOf("web", 1, tmpl)
	got := says(t, p, first)
	if len(got) != 2 || got[0] != "/var/run/x: <nil>" || !strings.Contains(got[1], "read-only") {
		t.Errorf("a writable path behind a link: %q", got)
	}
	tmpl.Command = []string{"/app", "cat", "/etc/hosts", "/etc/resolv.conf", "/run/systemd/resolve/stub-resolv.conf"}
	if got := strings.Join(says(t, p, specOf("web", 2, tmpl)), "\n"); !strings.Contains(got, "web-2") || strings.Contains(got, "of the image") {
		t.Errorf("files of the host in an image that has its own: %q", got)
	}
	tmpl.Command = []string{"/app", "env"}
	if env := says(t, p, specOf("web", 3, tmpl)); !slices.Contains(env, "A=image") || !slices.Contains(env, "B=service") {
		t.Errorf("environment %q", env)
	}
	for n := 1; n <= 3; n++ {
		destroy(t, p, specOf("web", n, tmpl).ID)
	}
	l.gone(t)
}
