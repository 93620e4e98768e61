package test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"unsafe"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/sys/unix"
)

// A hiding is what root has put into an instance behind Glint's back: a file, and processes.
type hiding struct {
	file      string // as the instance sees it; nothing else on this host is called so
	watch     int    // an inotify descriptor, told when the file's file system is unmounted
	intruders []*intruder
}

type intruder struct {
	how  string
	cmd  *exec.Cmd
	pid  int
	fd   int // of the process itself: its number may be given to another
	wait chan error
}

// cmdHide: hide in INSTANCE FOLDER | hide there | hide gone
func cmdHide(ts *testscript.TestScript, neg bool, args []string) {
	g := under(ts)
	switch args[0] {
	case "in":
		hideIn(ts, g, args[1], args[2])
	case "there":
		if what := g.hidden.left(g); len(what) != 1+len(g.hidden.intruders) {
			ts.Fatalf("hidden, and there is only %q", what)
		}
	case "gone":
		if !within(patience, func() bool { return len(g.hidden.left(g)) == 0 }) {
			ts.Fatalf("still there: %q\nthe server says:\n%s", g.hidden.left(g), g.log.String())
		}
		if !g.hidden.unmounted() {
			ts.Fatalf("the file cannot be found, but the kernel has not unmounted where it was")
		}
		g.hidden.end()
	default:
		ts.Fatalf("usage: hide in INSTANCE FOLDER | hide there | hide gone")
	}
}

// hideIn puts a file and three processes into an instance: one as "nsenter --all" does, one that is in its cgroups too, and one
// in its cgroups and file system that does not even show among its processes.
func hideIn(ts *testscript.TestScript, g *glintUnderTest, instance, folder string) {
	pid := pidOf(ts, instance)
	h := &hiding{file: filepath.Join(folder, fmt.Sprintf("hidden-%d-%d", os.Getpid(), pid))}
	g.hidden = h
	file := filepath.Join(fmt.Sprintf("/proc/%d/root", pid), h.file)
	ts.Check(os.WriteFile(file, []byte("nobody knows\n"), 0o600))
	var err error
	h.watch, err = unix.InotifyInit1(unix.IN_NONBLOCK | unix.IN_CLOEXEC)
	ts.Check(err)
	_, err = unix.InotifyAddWatch(h.watch, file, unix.IN_DELETE_SELF) // IN_UNMOUNT is always told
	ts.Check(err)
	all := []string{"--mount", "--uts", "--ipc", "--net", "--pid"}
	for _, how := range []struct {
		name   string
		groups bool
		spaces []string
	}{{"all namespaces", false, all}, {"all namespaces and cgroups", true, all}, {"cgroups and file system", true, []string{"--mount"}}} {
		in, err := intrude(pid, how.name, how.groups, how.spaces)
		ts.Check(err)
		h.intruders = append(h.intruders, in)
	}
}

func intrude(pid int, name string, groups bool, spaces []string) (*intruder, error) {
	in := &intruder{how: name, wait: make(chan error, 1)}
	script := ""
	if groups {
		for _, dir := range cgroupsOf(pid) {
			script += fmt.Sprintf("echo $$ >%s/cgroup.procs\n", dir)
		}
	}
	script += fmt.Sprintf("exec nsenter --target %d %s -- /web lurk", pid, strings.Join(spaces, " "))
	in.cmd = exec.Command("/bin/sh", "-ec", script)
	in.cmd.Dir = "/"
	if err := in.cmd.Start(); err != nil {
		return nil, fmt.Errorf("entering with %s: %w", name, err)
	}
	go func() { in.wait <- in.cmd.Wait() }()
	if !within(patience, func() bool { in.pid = lurker(in.cmd.Process.Pid); return in.pid != 0 }) {
		return nil, fmt.Errorf("entering with %s: it does not begin", name)
	}
	var err error
	in.fd, err = unix.PidfdOpen(in.pid, 0)
	return in, err
}

// lurker is the process that nsenter has become, or has made.
func lurker(pid int) int {
	children, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	for _, p := range append(strings.Fields(string(children)), strconv.Itoa(pid)) {
		if n, err := strconv.Atoi(p); err == nil && cmdline(n) == "/web lurk " {
			return n
		}
	}
	return 0
}

// cgroupsOf lists the folders of a process's cgroups.
func cgroupsOf(pid int) []string {
	var dirs []string
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", pid))
	for line := range strings.Lines(string(text)) {
		f := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(f) != 3 || f[2] == "/" {
			continue
		}
		for _, root := range []string{f[1], strings.TrimPrefix(f[1], "name="), "unified", ""} {
			dir := filepath.Join("/sys/fs/cgroup", root, f[2])
			if exists(filepath.Join(dir, "cgroup.procs")) {
				dirs = append(dirs, dir)
				break
			}
		}
	}
	return dirs
}

// left lists what is still there of all that was hidden: by the processes themselves, and by every mount namespace of this
// host and Glint's own folders.
func (h *hiding) left(g *glintUnderTest) []string {
	var left []string
	for _, in := range h.intruders {
		fds := []unix.PollFd{{Fd: int32(in.fd), Events: unix.POLLIN}}
		if n, err := unix.Poll(fds, 0); err != nil || n == 0 {
			left = append(left, fmt.Sprintf("process %d (%s)", in.pid, in.how))
		}
	}
	roots, _ := filepath.Glob("/proc/[0-9]*/root")
	for _, root := range roots {
		if path := filepath.Join(root, h.file); exists(path) {
			left = append(left, path)
			break
		}
	}
	for _, dir := range []string{g.run, g.data} {
		_ = filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
			if err == nil && d.Name() == filepath.Base(h.file) {
				left = append(left, path)
			}
			return nil
		})
	}
	return left
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// unmounted reports whether the kernel has told that the file's file system is no more.
func (h *hiding) unmounted() bool {
	buf := make([]byte, 4096)
	n, err := unix.Read(h.watch, buf)
	for off := 0; err == nil && off+unix.SizeofInotifyEvent <= n; {
		e := (*unix.InotifyEvent)(unsafe.Pointer(&buf[off]))
		if e.Mask&unix.IN_UNMOUNT != 0 {
			return true
		}
		off += unix.SizeofInotifyEvent + int(e.Len)
	}
	return false
}

// end lets go of everything. What is still there is killed: it was started here.
func (h *hiding) end() {
	for _, in := range h.intruders {
		_ = unix.PidfdSendSignal(in.fd, unix.SIGKILL, nil, 0) // gone already, if all went well
		<-in.wait
		_ = unix.Close(in.fd)
	}
	_ = unix.Close(h.watch)
	h.intruders = nil
}
