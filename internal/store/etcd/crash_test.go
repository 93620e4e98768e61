package etcd

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/glint-infra/glint"
)

// childEnv makes this test binary a process that plays a part, as in "write DIR".
const childEnv = "GLINT_STORE_CHILD"

func TestMain(m *testing.M) {
	part, dir, ok := strings.Cut(os.Getenv(childEnv), " ")
	if !ok {
		os.Exit(m.Run())
	}
	parts := map[string]func(string) error{
		"write": func(dir string) error { return write(dir, 100) },
		"bulk":  func(dir string) error { return write(dir, 10_000) },
		"hold":  hold,
		"fill":  fillDisk,
	}
	if err := parts[part](dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
}

func child(part, dir string) *exec.Cmd {
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), childEnv+"="+part+" "+dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return cmd
}

// write advances a stack for ever, and prints each number when it has been acknowledged.
func write(dir string, members int) error {
	ctx := context.Background()
	s, err := Open(ctx, Config{Dir: dir, kept: 20, segment: 10, tidy: 25})
	if err != nil {
		return err
	}
	b, err := s.Head(ctx, "shop")
	if errors.Is(err, glint.ErrNotFound) {
		_, err = s.AddRevision(ctx, glint.Revision{Stack: "shop"}, glint.Release{Stack: "shop"}, 0, "e1")
		b = glint.Blueprint{Stack: "shop", Epoch: "e1"}
	}
	for err == nil {
		b.Number++
		b.Services = []glint.Fleet{{Name: "web", Last: b.Number}, {Name: "zoo", Members: scattered(members, b.Number)}}
		if err = s.Advance(ctx, b, glint.Step{Events: []glint.Event{{Text: fmt.Sprint("step ", b.Number)}}}); err == nil {
			fmt.Println(b.Number)
		}
	}
	return err
}

func hold(dir string) error {
	if _, err := Open(context.Background(), Config{Dir: dir}); err != nil {
		return err
	}
	fmt.Println("open")
	select {}
}

// killed runs a writer until it has acknowledged some more steps, kills it, and returns the last it acknowledged.
func killed(t *testing.T, dir string, more int) int {
	t.Helper()
	cmd := child("write", dir)
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	last, seen := 0, 0
	for lines := bufio.NewScanner(out); lines.Scan(); {
		n, err := strconv.Atoi(lines.Text())
		must(t, err)
		last = n
		if seen++; seen == more {
			must(t, cmd.Process.Kill()) // what it still prints before it is dead counts, too
		}
	}
	cmd.Wait()
	if seen < more {
		t.Fatalf("the writer ended by itself after %d steps: %s", seen, said.String())
	}
	return last
}

func TestAcknowledgedStepsSurviveKill(t *testing.T) {
	dir := t.TempDir()
	for _, more := range []int{1, 7, 40, 100, 3, 150} {
		last := killed(t, dir, more)
		s := opened(t, Config{Dir: dir})
		b, err := s.Head(t.Context(), "shop")
		must(t, err)
		if b.Number != last && b.Number != last+1 { // one more may have been written and not acknowledged
			t.Errorf("step %d was acknowledged; the store knows %d", last, b.Number)
		}
		if len(b.Services) != 2 || b.Services[0].Last != b.Number {
			t.Errorf("blueprint %d is a mixture: %v", b.Number, b.Services)
		}
		checkStory(t, s, b.Number)
		must(t, s.Close())
	}
}

func checkStory(t *testing.T, s *kept, number int) {
	t.Helper()
	steps, err := s.Steps(t.Context(), "shop", 0, number+10)
	must(t, err)
	events, err := s.Events(t.Context(), "shop", 0, number+10)
	must(t, err)
	if len(steps) != number || len(events) != number {
		t.Fatalf("blueprint %d has %d steps and %d events", number, len(steps), len(events))
	}
	for i := range steps {
		if steps[i].Number != i+1 || events[i].Text != fmt.Sprint("step ", i+1) {
			t.Fatalf("at %d there are step %d and event %q", i+1, steps[i].Number, events[i].Text)
		}
	}
}

func TestSecondServerIsRefused(t *testing.T) {
	dir := t.TempDir()
	holder := child("hold", dir)
	out, err := holder.StdoutPipe()
	must(t, err)
	must(t, holder.Start())
	defer holder.Wait()
	defer holder.Process.Kill()
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "open\n" {
		t.Fatalf("the holder said %q, %v", line, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	_, err = Open(ctx, Config{Dir: dir})
	if !errors.Is(err, glint.ErrInUse) || !strings.Contains(err.Error(), fmt.Sprintf("process %d (", holder.Process.Pid)) {
		t.Errorf("a second process got: %v", err)
	}
	t.Log(err)
	must(t, holder.Process.Kill())
	holder.Wait()
	s := opened(t, Config{Dir: dir}) // the kernel gave the lock back
	_, err = Open(ctx, Config{Dir: dir})
	if !errors.Is(err, glint.ErrInUse) || !strings.Contains(err.Error(), fmt.Sprintf("process %d (", os.Getpid())) {
		t.Errorf("a second store in one process got: %v", err)
	}
	begun(t, s, "shop") // the refusal did no harm
}

// fillDisk mounts a small disk that nobody else sees, lets a writer fill it, makes it larger and prints what is there.
func fillDisk(dir string) error {
	if err := syscall.Mount("none", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
		return err
	}
	const room = 140 << 20 // etcd sets two write-ahead files of 64 MiB aside
	if err := syscall.Mount("glint", dir, "tmpfs", 0, fmt.Sprintf("size=%d,mode=700", room)); err != nil {
		return err
	}
	var said bytes.Buffer
	writer := child("bulk", dir)
	writer.Stderr = &said
	out, err := writer.Output()
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		return fmt.Errorf("the writer ended with %w on a full disk", err)
	}
	fmt.Printf("%s", out)
	fmt.Printf("exit %d: %s\n", exit.ExitCode(), strings.TrimSpace(said.String()))
	if err := syscall.Mount("glint", dir, "tmpfs", syscall.MS_REMOUNT, fmt.Sprintf("size=%d", 2*room)); err != nil {
		return err
	}
	s, err := Open(context.Background(), Config{Dir: dir})
	if err != nil {
		return err
	}
	b, err := s.Head(context.Background(), "shop")
	fmt.Println("found", b.Number)
	return errors.Join(err, s.Close())
}

func TestFullDisk(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("mounting a small disk takes root")
	}
	cmd := child("fill", t.TempDir())
	cmd.SysProcAttr.Cloneflags = syscall.CLONE_NEWNS
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.Output()
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	if err != nil || len(lines) < 4 {
		t.Fatalf("%v: %s%s", err, out, said.String())
	}
	acknowledged, verdict, found := lines[len(lines)-3], lines[len(lines)-2], lines[len(lines)-1]
	t.Log(verdict)
	if !strings.HasPrefix(verdict, "exit ") || !strings.Contains(verdict, "no space left on device") || !strings.Contains(verdict, "has room") {
		t.Errorf("on a full disk it said %q", verdict)
	}
	n, err := strconv.Atoi(acknowledged)
	must(t, err)
	if found != fmt.Sprint("found ", n) && found != fmt.Sprint("found ", n+1) {
		t.Errorf("step %d was acknowledged before the disk was full; later: %s", n, found)
	}
}
