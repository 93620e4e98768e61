package image

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// A job is a program that may start others and mount what it likes: it runs in namespaces of its own, as their first
// process, so that when it ends, is cancelled, or when we are killed, the kernel ends all it started and unmounts all.
type job struct {
	argv  []string
	env   []string
	dir   string
	stdin string
	line  func(string) // of standard error
}

// run hands the program's standard output to read, and returns when the program and all it started have ended.
// An error of the program is a *failure, and comes before one of read; errUnwanted from read ends the program at once.
func (j job) run(ctx context.Context, read func(io.Reader) error) error {
	runtime.LockOSThread() // Pdeathsig follows the thread that started the program
	defer runtime.UnlockOSThread()
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	said := &lines{each: j.line}
	cmd := exec.CommandContext(ctx, "/bin/sh", slices.Concat([]string{"-c", `mount -t proc proc /proc && exec "$@"`, "sh"}, j.argv)...)
	cmd.Dir, cmd.Env, cmd.Stdin, cmd.Stderr = j.dir, j.env, strings.NewReader(j.stdin), said
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: unix.CLONE_NEWPID | unix.CLONE_NEWIPC | unix.CLONE_NEWUTS,
		// Unshared rather than cloned, so that the runtime makes the mounts private.
		Unshareflags: unix.CLONE_NEWNS,
		Setsid:       true,
		Pdeathsig:    unix.SIGKILL,
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("starting %s: %w", filepath.Base(j.argv[0]), err)
	}
	readErr := read(out)
	if errors.Is(readErr, errUnwanted) {
		stop(errUnwanted)
	}
	io.Copy(io.Discard, out) // what a tar ends with; or lets the program say why it failed
	waitErr := cmd.Wait()
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	if waitErr != nil {
		return &failure{waitErr, said.tail}
	}
	return readErr
}

// lines takes apart what a program says, hides passwords in URLs, and remembers the end.
type lines struct {
	each func(string)
	part string
	tail []string
}

const maxTail = 60 // lines

func (l *lines) Write(p []byte) (int, error) {
	l.part += string(p)
	for {
		line, rest, found := strings.Cut(l.part, "\n")
		if !found {
			break
		}
		l.part = rest
		line = secret.ReplaceAllString(strings.TrimRight(line, "\r"), "://…@")
		if l.tail = append(l.tail, line); len(l.tail) > maxTail {
			l.tail = l.tail[1:]
		}
		l.each(line)
	}
	if len(l.part) > 1<<16 { // a line that never ends
		l.part = ""
	}
	return len(p), nil
}

// detach unmounts all that is mounted at or beneath dir, deepest first, without looking into it.
func detach(dir string) error {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	if dir, err = filepath.EvalSymlinks(dir); errors.Is(err, os.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	b, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return err
	}
	var points []string
	for l := range strings.Lines(string(b)) {
		f := strings.Fields(l) // proc(5): the fifth is the mount point, with \040 for a space
		if len(f) < 5 {
			continue
		}
		point := strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`).Replace(f[4])
		if strings.HasPrefix(point, dir+"/") {
			points = append(points, point)
		}
	}
	slices.Sort(points)
	slices.Reverse(points)
	for _, p := range points {
		if err := unix.Unmount(p, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW); err != nil {
			return fmt.Errorf("unmounting %s: %w", p, err)
		}
	}
	return nil
}
