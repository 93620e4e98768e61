// Package balancertest is the suite that every balancing plane passes: what the door promises, and what users notice.
// It makes no instances: it stands in for them with servers of its own.
package balancertest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"testing"

	"github.com/vishvananda/netlink"
)

const isolated = "GLINT_TEST_ISOLATED"

// Isolate runs the tests of a package in a network namespace of their own, which ends with them. To be called from TestMain;
// it returns the exit status. Without root it says that nothing was tested.
func Isolate(m *testing.M) int {
	if os.Getenv(isolated) != "" {
		syscall.Umask(0o077) // as the server does: what others need must not hang on the caller's mask
		lo, err := netlink.LinkByName("lo")
		if err == nil {
			err = netlink.LinkSetUp(lo)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, "bringing up the loopback of the test's namespace:", err)
			return 1
		}
		return m.Run()
	}
	if os.Geteuid() != 0 {
		fmt.Fprintln(os.Stderr, "SKIP: these tests need root, for a network namespace of their own")
		return 0
	}
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Args[0] = os.Args[0]
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Env = append(os.Environ(), isolated+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	err := cmd.Run()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		return max(exit.ExitCode(), 1)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "starting the tests in a namespace of their own:", err)
		return 1
	}
	return 0
}
