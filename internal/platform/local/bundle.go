package local

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/glint-infra/glint"
	"github.com/glint-infra/glint/internal/discovery"
	"github.com/glint-infra/glint/internal/image"
	"github.com/glint-infra/glint/internal/platform/local/rootfs"
)

// Bounds of what the specification of an instance leaves open.
const (
	openFiles    = 65536   // RLIMIT_NOFILE: what stock servers ask for, far below the kernel's fs.nr_open
	sharedMemory = "64m"   // /dev/shm, as elsewhere; it counts as memory of the instance
	cpuPeriod    = 100_000 // microseconds: the kernel's default for CFS bandwidth
	defaultPath  = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
	hostFileMode = os.FileMode(0o644)
)

// masked and readonly are what the file systems of the kernel show too much of (as in every OCI engine).
var (
	masked   = []string{"/proc/acpi", "/proc/asound", "/proc/interrupts", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/sched_debug", "/proc/scsi", "/proc/timer_list", "/proc/timer_stats", "/sys/devices/virtual/powercap", "/sys/firmware"}
	readonly = []string{"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"}
)

// A bundle is what the runtime needs to make one instance.
type bundle struct {
	rec     record
	image   image.Sealed
	root    string // path of the read-only root
	cgroup  string
	volumes string // directory of volumes
	dir     string
}

// hostname is what the instance calls itself: web-17.
func hostname(id glint.ID) string { return fmt.Sprintf("%s-%d", id.Service, id.N) }

// command is the argv of an instance.
func command(t glint.Template, img image.Sealed) []string {
	if len(t.Command) > 0 {
		return t.Command
	}
	return img.Entrypoint
}

func environment(t glint.Template, img image.Sealed) []string {
	all := map[string]string{}
	maps.Copy(all, img.Env)
	maps.Copy(all, t.Env)
	var env []string
	if _, ok := all["PATH"]; !ok {
		env = append(env, defaultPath)
	}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		env = append(env, name+"="+all[name])
	}
	return env
}

// spec writes down the sandbox: no capabilities, no new privileges, nothing writable but what is declared.
func (b bundle) spec() *specs.Spec {
	t := b.rec.Spec.Template
	s := &specs.Spec{
		Version:  "1.0.2",
		Root:     &specs.Root{Path: b.root, Readonly: true},
		Hostname: hostname(b.rec.Spec.ID),
		Process: &specs.Process{
			Args: command(t, b.image), Env: environment(t, b.image), Cwd: or(b.image.WorkDir, "/"),
			NoNewPrivileges: true,
			Capabilities:    &specs.LinuxCapabilities{},
			Rlimits:         rlimits(),
		},
		Mounts: b.mounts(),
		Linux: &specs.Linux{
			CgroupsPath: b.cgroup,
			Namespaces: []specs.LinuxNamespace{{Type: specs.PIDNamespace}, {Type: specs.IPCNamespace}, {Type: specs.UTSNamespace},
				{Type: specs.MountNamespace}, {Type: specs.NetworkNamespace}, {Type: specs.CgroupNamespace}},
			Resources:     resources(t.Resources),
			Sysctl:        sysctls(),
			MaskedPaths:   masked,
			ReadonlyPaths: readonly,
		},
	}
	return s
}

// rlimits stay below our own hard limit: the runtime sets them when it may no longer raise any.
func rlimits() []specs.POSIXRlimit {
	files := uint64(openFiles)
	var own unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &own); err == nil {
		files = min(files, own.Max)
	}
	return []specs.POSIXRlimit{{Type: "RLIMIT_NOFILE", Soft: files, Hard: files}, {Type: "RLIMIT_CORE"}}
}

// sysctls of the instance's own network namespace. Low ports need no capability there: nobody else is in it.
func sysctls() map[string]string {
	s := map[string]string{"net.ipv4.ip_unprivileged_port_start": "0"}
	if _, err := os.Stat("/proc/sys/net/ipv6/conf/all/disable_ipv6"); err == nil {
		s["net.ipv6.conf.all.disable_ipv6"] = "1"
		s["net.ipv6.conf.default.disable_ipv6"] = "1"
	}
	return s
}

func resources(r glint.Resources) *specs.LinuxResources {
	out := &specs.LinuxResources{Devices: []specs.LinuxDeviceCgroup{{Allow: false, Access: "rwm"}}}
	if r.Memory > 0 {
		limit := int64(r.Memory)
		out.Memory = &specs.LinuxMemory{Limit: &limit}
		if swapCounted() {
			out.Memory.Swap = &limit // memory and swap together: no swap beyond memory
		}
	}
	if r.CPU > 0 {
		period, quota, shares := uint64(cpuPeriod), int64(r.CPU)*cpuPeriod/1000, max(uint64(r.CPU)*1024/1000, 2)
		quota = max(quota, 1000) // the kernel's least
		out.CPU = &specs.LinuxCPU{Period: &period, Quota: &quota, Shares: &shares}
	}
	if r.Pids > 0 {
		limit := int64(r.Pids)
		out.Pids = &specs.LinuxPids{Limit: &limit}
	}
	return out
}

func swapCounted() bool {
	_, v1 := os.Stat("/sys/fs/cgroup/memory/memory.memsw.limit_in_bytes")
	var fs unix.Statfs_t
	v2 := unix.Statfs("/sys/fs/cgroup", &fs)
	return v1 == nil || v2 == nil && fs.Type == unix.CGROUP2_SUPER_MAGIC
}

func (b bundle) mounts() []specs.Mount {
	t, bind := b.rec.Spec.Template, func(to, from string, options ...string) specs.Mount {
		return specs.Mount{Destination: to, Type: "bind", Source: from, Options: append([]string{"bind", "nosuid", "nodev"}, options...)}
	}
	m := []specs.Mount{
		{Destination: "/proc", Type: "proc", Source: "proc", Options: []string{"nosuid", "noexec", "nodev"}},
		{Destination: "/sys", Type: "sysfs", Source: "sysfs", Options: []string{"nosuid", "noexec", "nodev", "ro"}},
		{Destination: "/dev", Type: "tmpfs", Source: "tmpfs", Options: []string{"nosuid", "noexec", "mode=755", "size=64k", "ro"}},
		{Destination: "/dev/pts", Type: "devpts", Source: "devpts", Options: []string{"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"}},
		{Destination: "/dev/shm", Type: "tmpfs", Source: "shm", Options: []string{"nosuid", "noexec", "nodev", "mode=1777", "size=" + sharedMemory}},
	}
	for _, name := range hostFiles {
		m = append(m, bind("/etc/"+name, filepath.Join(b.dir, name), "ro"))
	}
	var own []specs.Mount
	for _, w := range t.Writable {
		own = append(own, specs.Mount{Destination: w.Path, Type: "tmpfs", Source: "tmpfs", Options: []string{"nosuid", "nodev", "mode=1777", fmt.Sprintf("size=%d", w.Size)}})
	}
	for _, v := range t.Volumes {
		own = append(own, bind(v.Path, volumeDir(b.volumes, b.rec.Spec.ID, v), "rw"))
	}
	slices.SortFunc(own, func(x, y specs.Mount) int { return strings.Compare(x.Destination, y.Destination) }) // what is above comes first
	return append(m, own...)
}

func volumeDir(base string, id glint.ID, v glint.Volume) string {
	return filepath.Join(base, id.Stack, id.Service, v.Name)
}

// hostFiles of /etc are written for each instance.
var hostFiles = []string{"hosts", "hostname", "resolv.conf"}

// points are the places in the root that something is mounted on. A read-only image need not have them.
func (b bundle) points() []rootfs.Point {
	points := []rootfs.Point{{Path: or(b.image.WorkDir, "/")}}
	for _, m := range b.mounts() {
		if !strings.HasPrefix(m.Destination, "/dev/") { // made in the fresh /dev
			file := m.Source == filepath.Join(b.dir, filepath.Base(m.Destination))
			points = append(points, rootfs.Point{Path: m.Destination, File: file})
		}
	}
	return points
}

// write puts the bundle on disk.
func (b bundle) write(s *specs.Spec, names discovery.Directory) error {
	id := b.rec.Spec.ID
	hosts, err := hostsFile(b.rec, names)
	if err != nil {
		return err
	}
	for name, text := range map[string]string{
		"hosts":       hosts,
		"hostname":    hostname(id) + "\n",
		"resolv.conf": "# names of other services are in /etc/hosts\noptions timeout:1 attempts:1\n",
	} {
		path := filepath.Join(b.dir, name)
		if err := errors.Join(os.WriteFile(path, []byte(text), hostFileMode), os.Chmod(path, hostFileMode)); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(filepath.Join(b.dir, "exit"), 0o700); err != nil {
		return err
	}
	j, err := json.Marshal(s)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(b.dir, "config.json"), j, 0o600)
}

// hostsFile answers the lookups of an instance: itself and the services that it may reach.
func hostsFile(r record, names discovery.Directory) (string, error) {
	id := r.Spec.ID
	var w strings.Builder
	fmt.Fprintf(&w, "127.0.0.1 localhost\n%s %s\n", r.Address, hostname(id))
	if names == nil {
		return w.String(), nil
	}
	for _, service := range r.Spec.Names {
		addr, err := names.Address(id.Stack, service)
		if err != nil {
			return "", fmt.Errorf("looking up service %s of stack %s: %w", service, id.Stack, err)
		}
		fmt.Fprintf(&w, "%s %s %s\n", addr, glint.ServiceName(id.Stack, service), service)
	}
	return w.String(), nil
}

// volumesReady makes the directories of an instance's volumes. They outlive it. Their size is not enforced: that needs
// a file system with project quotas.
func volumesReady(base string, spec glint.InstanceSpec) error {
	for _, v := range spec.Template.Volumes {
		dir := volumeDir(base, spec.ID, v)
		if _, err := os.Stat(dir); err == nil {
			continue
		}
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return fmt.Errorf("making volume %s: %w", v.Name, err)
		}
		for d := dir; len(d) >= len(base); d = filepath.Dir(d) { // each new name must survive a loss of power
			if err := syncDir(d); err != nil {
				return fmt.Errorf("making volume %s: %w", v.Name, err)
			}
		}
	}
	return nil
}

func syncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}

// check refuses what no runtime could make, in words for people.
func (b bundle) check() error {
	t := b.rec.Spec.Template
	if len(command(t, b.image)) == 0 {
		return fmt.Errorf("image %s has no entrypoint and service %s no command: add one of them: %w", b.image.Digest.Short(), b.rec.Spec.ID.Service, glint.ErrInvalid)
	}
	for _, m := range b.mounts() {
		if !filepath.IsAbs(m.Destination) || filepath.Clean(m.Destination) != m.Destination || m.Destination == "/" {
			return fmt.Errorf("path %q is not a clean absolute path below /: %w", m.Destination, glint.ErrInvalid)
		}
	}
	for _, v := range t.Volumes {
		if !glint.ValidName(v.Name) {
			return fmt.Errorf("volume name %q: %w", v.Name, glint.ErrInvalid)
		}
	}
	return nil
}
