// Package test runs the real binary on the real platform: real containers, HAProxy, kernel rules and etcd, in a network
// namespace of its own. It holds no test of a single room.
package test

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
)

const inside = "GLINT_TEST_NETNS"

// Where the programs under test are: the glint binary, the shop of the example, one that cannot work, and the checkout.
var bin, shop, quit, repo string

// TestMain runs the tests in a network namespace of their own, so that they disturb nobody and nobody disturbs them.
func TestMain(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) int {
	if os.Getuid() != 0 {
		fmt.Fprintln(os.Stderr, "test: these tests make namespaces, mounts and firewall rules: run them as root (sudo make test)")
		return 1
	}
	if os.Getenv(inside) == "" {
		return again()
	}
	if out, err := exec.Command("ip", "link", "set", "lo", "up").CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "test: bringing up lo: %v: %s\n", err, out)
		return 1
	}
	root, err := filepath.Abs("..")
	if err != nil {
		fmt.Fprintln(os.Stderr, "test:", err)
		return 1
	}
	dir, err := os.MkdirTemp("", "glint-test-bin-")
	if err != nil {
		fmt.Fprintln(os.Stderr, "test:", err)
		return 1
	}
	defer os.RemoveAll(dir)
	repo, bin, shop, quit = root, filepath.Join(dir, "glint"), filepath.Join(dir, "web"), filepath.Join(dir, "quit")
	for out, pkg := range map[string]string{bin: "./cmd/glint", shop: "./examples/shop/shop", quit: "./test/testdata/quit"} {
		build := exec.Command("go", "build", "-o", out, pkg)
		build.Dir, build.Env = root, append(os.Environ(), "CGO_ENABLED=0")
		if msg, err := build.CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "test: building %s: %v\n%s", pkg, err, msg)
			return 1
		}
	}
	flag.Parse()
	if err := flag.Set("test.parallel", "1"); err != nil { // the scripts share ports and addresses
		fmt.Fprintln(os.Stderr, "test:", err)
		return 1
	}
	return m.Run()
}

// again runs this very test binary in a new network namespace.
func again() int {
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Env = append(os.Environ(), inside+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	err := cmd.Run()
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit):
		return exit.ExitCode()
	}
	fmt.Fprintln(os.Stderr, "test: a network namespace of its own:", err)
	return 1
}
