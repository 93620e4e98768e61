package bench

import (
	"bufio"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// groups counts CPU time by control group. The platform's own group holds instances, conmons and what conmons start (crun,
// nsenter); HAProxy's stands beside it, as do those that are made here. All begin with one name. Whatever ran in a group stays
// counted after it has ended: time is charged to all groups above.
type groups struct {
	root string // of the hierarchy that counts
	v2   bool
	name string
}

// The groups beside the platform's own.
const (
	platformGroup = ""
	haproxyGroup  = "-haproxy"
	serverGroup   = "-server"
	bareGroup     = "-bare"   // bare crun and conmon, and the worker that calls them
	clientGroup   = "-client" // the worker that sends requests
	proxyGroup    = "-proxy"  // the bare HAProxy
)

const cgroupRoot = "/sys/fs/cgroup"

// newGroups draws a name that nobody else has.
func newGroups() (groups, error) {
	var b [4]byte
	_, _ = rand.Read(b[:]) // never fails: see crypto/rand
	g := groups{name: "gb" + hex.EncodeToString(b[:])}
	for _, dir := range []string{"cpuacct", "cpu,cpuacct"} {
		root := filepath.Join(cgroupRoot, dir)
		if _, err := os.Stat(filepath.Join(root, "cpuacct.usage")); err == nil {
			g.root = root
			return g, nil
		}
	}
	if _, err := os.Stat(filepath.Join(cgroupRoot, "cgroup.controllers")); err != nil {
		return g, fmt.Errorf("no control group here counts CPU time: neither cpuacct (version 1) nor version 2 is mounted below %s", cgroupRoot)
	}
	g.root, g.v2 = cgroupRoot, true
	return g, nil
}

func (g groups) version() string {
	if g.v2 {
		return "v2"
	}
	return "v1"
}

// usage is the CPU time of groups so far, in nanoseconds.
func (g groups) usage(of ...string) (int64, error) {
	var sum int64
	for _, group := range of {
		n, err := g.read(filepath.Join(g.root, g.name+group))
		if errors.Is(err, fs.ErrNotExist) { // not begun yet
			continue
		}
		if err != nil {
			return 0, fmt.Errorf("reading the CPU time of group %s%s: %w", g.name, group, err)
		}
		sum += n
	}
	return sum, nil
}

// machine is the CPU time of everything that runs on this machine, kernel threads included.
func (g groups) machine() (int64, error) { return g.read(g.root) }

func (g groups) read(dir string) (int64, error) {
	if !g.v2 {
		b, err := os.ReadFile(filepath.Join(dir, "cpuacct.usage"))
		if err != nil {
			return 0, err
		}
		return strconv.ParseInt(strings.TrimSpace(string(b)), 10, 64)
	}
	f, err := os.Open(filepath.Join(dir, "cpu.stat"))
	if err != nil {
		return 0, err
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		if n, ok := strings.CutPrefix(s.Text(), "usage_usec "); ok {
			us, err := strconv.ParseInt(n, 10, 64)
			return us * 1000, err
		}
	}
	return 0, errors.New("cpu.stat does not say")
}

// command prepares a child that begins its life in a group, in a leaf below it where others may stand beside it.
func (g groups) command(group, program string, args ...string) (*exec.Cmd, error) {
	dir := filepath.Join(g.root, g.name+group)
	if group == bareGroup {
		dir = filepath.Join(dir, "worker")
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("making a control group: %w", err)
	}
	// 0 is whoever writes (cgroups(7)).
	script := []string{"-c", `echo 0 > "$0" && exec "$@"`, filepath.Join(dir, "cgroup.procs"), program}
	return exec.Command("/bin/sh", append(script, args...)...), nil
}

// dirs lists all groups of ours in all hierarchies, the lowest first.
func (g groups) dirs() []string {
	var dirs []string
	tops, _ := filepath.Glob(filepath.Join(cgroupRoot, "*", g.name+"*"))
	direct, _ := filepath.Glob(filepath.Join(cgroupRoot, g.name+"*"))
	for _, top := range append(tops, direct...) {
		_ = filepath.WalkDir(top, func(path string, d fs.DirEntry, err error) error {
			if err == nil && d.IsDir() {
				dirs = append(dirs, path)
			}
			return nil
		})
	}
	slices.Reverse(dirs)
	return dirs
}

// sweep ends who is left in groups of ours, takes the groups away, and names what it had to end.
func (g groups) sweep() error {
	left := map[int]string{}
	for end := time.Now().Add(5 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		busy := false
		for _, dir := range g.dirs() {
			procs, _ := os.ReadFile(filepath.Join(dir, "cgroup.procs"))
			for _, s := range strings.Fields(string(procs)) {
				if pid, err := strconv.Atoi(s); err == nil && pid > 1 {
					comm, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
					left[pid], busy = strings.TrimSpace(string(comm)), true
					_ = unix.Kill(pid, unix.SIGKILL) // it may have ended by itself
				}
			}
			if err := os.Remove(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
				busy = true
			}
		}
		if !busy {
			break
		}
	}
	var errs []error
	if dirs := g.dirs(); len(dirs) > 0 {
		errs = append(errs, fmt.Errorf("control groups are left: %s", strings.Join(dirs, " ")))
	}
	if len(left) > 0 {
		errs = append(errs, fmt.Errorf("processes were left and had to be ended: %v", left))
	}
	return errors.Join(errs...)
}
