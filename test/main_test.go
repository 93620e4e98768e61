// Package test runs the real binary on the real platform: real containers, HAProxy, kernel rules and etcd, in a network
// namespace of its own. It holds no test of a single room.
package test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/glint-infra/glint/internal/artifact"
	"github.com/glint-infra/glint/internal/image"
)

const inside = "GLINT_TEST_NETNS"

// imagesDir names a folder of sealed bases. It is filled before the network is left behind: what is sealed needs no
// network any more, and the scripts show that.
const imagesDir = "GLINT_TEST_IMAGES"

// Where the programs under test are: the glint binary, the shop of the example, one that cannot work, one that may go
// wrong while it is used, and the checkout.
var bin, shop, quit, moody, repo string

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
	repo, bin, shop, quit, moody = root, filepath.Join(dir, "glint"), filepath.Join(dir, "web"), filepath.Join(dir, "quit"), filepath.Join(dir, "moody")
	for out, pkg := range map[string]string{bin: "./cmd/glint", shop: "./examples/shop/shop", quit: "./test/testdata/quit", moody: "./test/testdata/moody"} {
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
	flag.Parse()
	if testing.Short() {
		fmt.Fprintln(os.Stderr, "test: -short: the real platform is left out")
		return 0
	}
	dir, err := os.MkdirTemp("", "glint-test-images-")
	if err != nil {
		fmt.Fprintln(os.Stderr, "test:", err)
		return 1
	}
	defer os.RemoveAll(dir)
	if err := sealBase(dir); err != nil {
		fmt.Fprintln(os.Stderr, "test: sealing the base of the example's cache:", err)
		return 1
	}
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Env = append(os.Environ(), inside+"=1", imagesDir+"="+dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	err = cmd.Run()
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

// sealBase seals the Debian base that examples/shop asks for.
func sealBase(dir string) error {
	blobs, err := artifact.Open(filepath.Join(dir, "artifacts"))
	if err != nil {
		return err
	}
	b, err := image.NewBuilder(image.Config{Dir: filepath.Join(dir, "images"), Artifacts: blobs})
	if err == nil {
		recipe := image.Recipe{Name: "redis", Base: "debian:bookworm", Packages: []string{"redis-server"}}
		_, err = b.Seal(context.Background(), recipe, func(p image.Progress) { fmt.Fprintf(os.Stderr, "test: sealing: %s\n", p.Text) })
	}
	return errors.Join(err, blobs.Close())
}
