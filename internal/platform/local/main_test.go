package local_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// The tests run in namespaces of their own: their links, mounts and processes are seen by nobody else, and end with
// them, whatever happens.
const stage = "GLINT_LOCAL_TEST_STAGE"

// app is the program that instances run; built once.
var app string

func TestMain(m *testing.M) {
	switch os.Getenv(stage) {
	case "":
		os.Exit(again("init", &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID | syscall.CLONE_NEWNET | syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL}))
	case "init":
		os.Exit(reap())
	}
	syscall.Umask(0o077) // as the server does: what others need must not hang on the caller's mask
	if len(os.Args) > 1 && os.Args[1] == ownerMode {
		owner()
		return
	}
	dir, err := os.MkdirTemp("", "glint-local-")
	if err == nil {
		app = filepath.Join(dir, "app")
		build := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", app, "./testdata/app")
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		build.Stderr = os.Stderr
		err = build.Run()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "building the test program:", err)
		os.Exit(1)
	}
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

func again(next string, attr *syscall.SysProcAttr) int {
	c := exec.Command("/proc/self/exe", os.Args[1:]...)
	c.Env = append(os.Environ(), stage+"="+next)
	c.Stdin, c.Stdout, c.Stderr = os.Stdin, os.Stdout, os.Stderr
	c.SysProcAttr = attr
	err := c.Run()
	var ended *exec.ExitError
	if err != nil && !errors.As(err, &ended) {
		fmt.Fprintln(os.Stderr, "tests of the local platform need root:", err)
		return 1
	}
	return c.ProcessState.ExitCode()
}

// otherCgroups makes a hybrid host look like one with only version "1" or "2", as far as it goes: the controllers stay
// with version 1, so that tests with limits fail on "2".
func otherCgroups(version string) error {
	switch version {
	case "1":
		return unix.Mount("tmpfs", "/sys/fs/cgroup/unified", "tmpfs", 0, "")
	case "2":
		return unix.Mount("cgroup2", "/sys/fs/cgroup", "cgroup2", 0, "")
	}
	return nil
}

// reap is the first process of the new namespaces: it takes in orphans, as a host's first process does.
func reap() int {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		fmt.Fprintln(os.Stderr, "making mounts private:", err)
		return 1
	}
	if err := unix.Mount("proc", "/proc", "proc", 0, ""); err != nil {
		fmt.Fprintln(os.Stderr, "mounting /proc:", err)
		return 1
	}
	if err := otherCgroups(os.Getenv("GLINT_TEST_CGROUPS")); err != nil {
		fmt.Fprintln(os.Stderr, "showing other cgroups:", err)
		return 1
	}
	if lo, err := netlink.LinkByName("lo"); err != nil || netlink.LinkSetUp(lo) != nil {
		fmt.Fprintln(os.Stderr, "no loopback link:", err)
		return 1
	}
	os.Setenv(stage, "run")
	p, err := os.StartProcess("/proc/self/exe", os.Args, &os.ProcAttr{Env: os.Environ(), Files: []*os.File{os.Stdin, os.Stdout, os.Stderr}})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	for {
		var st syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &st, 0, nil)
		if errors.Is(err, syscall.EINTR) {
			continue
		}
		if err != nil {
			return 1
		}
		if pid == p.Pid {
			if st.Signaled() {
				return 128 + int(st.Signal())
			}
			return st.ExitStatus()
		}
	}
}
