package local

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// cgroups says how this host counts and limits: version 1, version 2, or both beside each other (hybrid).
// Ours stand at the top under the platform's name: NAME/KEY for instances, NAME/keepers for their conmons.
type cgroups struct {
	name string
	v1   []string // mount points of hierarchies of version 1
	v2   string   // mount point of version 2; empty: none
}

const keepersGroup = "keepers"

// keeperControllers are the hierarchies of version 1 that conmons are moved to, so that the server's own limits, and
// what stops a service, do not reach them. cpuset is not among them: a new cpuset takes nobody until it is configured.
var keeperControllers = []string{"systemd", "memory", "pids", "cpu", "cpuacct", "cpu,cpuacct"}

func findCgroups(name string) (cgroups, error) {
	f, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return cgroups{}, err
	}
	defer f.Close()
	g := cgroups{name: name}
	for s := bufio.NewScanner(f); s.Scan(); {
		before, after, _ := strings.Cut(s.Text(), " - ")
		point, kind := strings.Fields(before)[4], strings.Fields(after)[0]
		switch {
		case !strings.HasPrefix(point, "/sys/fs/cgroup"):
		case kind == "cgroup" && !slices.Contains(g.v1, point) && isMounted(point, unix.CGROUP_SUPER_MAGIC):
			g.v1 = append(g.v1, point)
		case kind == "cgroup2" && isMounted(point, unix.CGROUP2_SUPER_MAGIC):
			g.v2 = point
		}
	}
	if len(g.v1) == 0 && g.v2 == "" {
		return g, errors.New("no cgroups below /sys/fs/cgroup: mount them, as systemd does, before starting Glint")
	}
	return g, nil
}

// isMounted reports whether a file system of that kind is seen at path, and not covered by another.
func isMounted(path string, magic int64) bool {
	var fs unix.Statfs_t
	return unix.Statfs(path, &fs) == nil && int64(fs.Type) == magic
}

// unified is where crun looks for version 2 beside version 1.
const unified = "/sys/fs/cgroup/unified"

// cover is what crun must not see, empty where it may see everything. crun 1.8 refuses to start anything where both
// versions are mounted, and where the second once was it writes plain files into its place.
func (g cgroups) cover() string {
	if len(g.v1) == 0 {
		return ""
	}
	if st, err := os.Stat(unified); g.v2 == "" && (err != nil || !st.IsDir()) {
		return ""
	}
	return or(g.v2, unified)
}

// path is what the runtime is told.
func (g cgroups) path(key string) string { return path.Join("/", g.name, key) }

// dirs are the directories of a group of ours in all hierarchies.
func (g cgroups) dirs(key string) []string {
	var dirs []string
	for _, point := range g.v1 {
		dirs = append(dirs, filepath.Join(point, g.name, key))
	}
	if g.v2 != "" {
		dirs = append(dirs, filepath.Join(g.v2, g.name, key))
	}
	return dirs
}

// remove takes a group away. Processes that have just ended keep it busy for a moment.
func (g cgroups) remove(key string) error {
	var errs []error
	for _, dir := range g.dirs(key) {
		err := unix.Rmdir(dir)
		for wait := 100 * time.Microsecond; errors.Is(err, unix.EBUSY) && wait < time.Second; wait *= 2 {
			time.Sleep(wait)
			err = unix.Rmdir(dir)
		}
		if err != nil && !errors.Is(err, unix.ENOENT) {
			errs = append(errs, fmt.Errorf("removing cgroup %s: %w", dir, err))
		}
	}
	return errors.Join(errs...)
}

// removeOwn takes away what stands above the groups of instances, unless somebody is still in it.
func (g cgroups) removeOwn() error {
	if err := g.remove(keepersGroup); err != nil {
		return err
	}
	return g.remove("")
}

// pids returns who is in the group of an instance.
func (g cgroups) pids(key string) []int {
	var pids []int
	for _, dir := range g.dirs(key) {
		b, err := os.ReadFile(filepath.Join(dir, "cgroup.procs"))
		if err != nil {
			continue
		}
		for _, s := range strings.Fields(string(b)) {
			if pid, err := strconv.Atoi(s); err == nil && pid > 0 && !slices.Contains(pids, pid) {
				pids = append(pids, pid)
			}
		}
	}
	return pids
}

// outOfMemory reports whether the kernel killed something in the group for its memory limit.
func (g cgroups) outOfMemory(key string) bool {
	for _, dir := range g.dirs(key) {
		for _, name := range []string{"memory.oom_control", "memory.events"} {
			b, err := os.ReadFile(filepath.Join(dir, name))
			if err != nil {
				continue
			}
			for line := range strings.Lines(string(b)) {
				if n, ok := strings.CutPrefix(line, "oom_kill "); ok && strings.TrimSpace(n) != "0" {
					return true
				}
			}
		}
	}
	return false
}

// joinKeepers moves the calling thread to the keepers' group of version 1; what it starts begins its life there.
func (g cgroups) joinKeepers() error {
	for _, point := range g.v1 {
		if !slices.Contains(keeperControllers, filepath.Base(point)) {
			continue
		}
		dir := filepath.Join(point, g.name, keepersGroup)
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return fmt.Errorf("making the keepers' cgroup: %w", err)
		}
		if err := os.WriteFile(filepath.Join(dir, "tasks"), []byte(strconv.Itoa(unix.Gettid())), 0); err != nil {
			return fmt.Errorf("entering the keepers' cgroup: %w", err)
		}
	}
	return nil
}

// openKeepers opens the keepers' group of version 2, to start processes in it; nil where there is none.
func (g cgroups) openKeepers() (*os.File, error) {
	if g.v2 == "" {
		return nil, nil
	}
	dir := filepath.Join(g.v2, g.name, keepersGroup)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("making the keepers' cgroup: %w", err)
	}
	return os.Open(dir)
}

// strays names the groups of ours that belong to none of the keys.
func (g cgroups) strays(keys map[string]bool) []string {
	var found []string
	for _, dir := range g.dirs("") {
		entries, err := os.ReadDir(dir)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			continue
		}
		for _, e := range entries {
			if e.IsDir() && e.Name() != keepersGroup && !keys[e.Name()] && !slices.Contains(found, e.Name()) {
				found = append(found, e.Name())
			}
		}
	}
	return found
}
