package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/glint-infra/glint"
)

const holdsName = "GLINT_TEST_HOLDS_NAME"

// TestNameInherited: a program that a killed server was starting may hold the name for a moment; the next server waits for
// that, and does not wait for a server that lives.
func TestNameInherited(t *testing.T) {
	if name := os.Getenv(holdsName); name != "" {
		holdName(t, name)
		return
	}
	name := fmt.Sprintf("t%d", os.Getpid())
	killed := exec.Command("/proc/self/exe", "-test.run=^TestNameInherited$")
	killed.Env = append(os.Environ(), holdsName+"="+name)
	if out, err := killed.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if l, err := net.Listen("unix", "@glint/"+name); err == nil {
		l.Close()
		t.Skip("what inherited the name has ended already: the machine is too busy")
	}
	next := &host{at: site{name: name}}
	if err := next.takeName(t.Context()); err != nil {
		t.Fatalf("the next server: %v", err)
	}
	defer next.close()
	third := &host{at: site{name: name}}
	if err := third.takeName(t.Context()); !errors.Is(err, glint.ErrInUse) || !strings.Contains(err.Error(), fmt.Sprintf("process %d", os.Getpid())) {
		t.Errorf("beside a server that lives: %v", err)
	}
}

// holdName takes a name, leaves it to a child for a while, and ends.
func holdName(t *testing.T, name string) {
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: "@glint/" + name, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	file, err := l.File()
	if err != nil {
		t.Fatal(err)
	}
	child := exec.Command("sleep", "1")
	child.ExtraFiles = []*os.File{file}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	os.Exit(0)
}
