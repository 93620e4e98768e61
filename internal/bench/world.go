package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/glint-infra/glint"
	"github.com/glint-infra/glint/internal/api"
)

// entry is where the server of a world takes requests, inside its own network namespace.
const entry = "127.0.0.1:8000"

const stackName = "bench"

// A world is a server of its own with all it needs, and workers beside it.
type world struct {
	Config
	groups
	dir    string
	server *exec.Cmd
	said   *os.File // what the server says
	remote *api.Client
	spend  []*worker
	more   []*exec.Cmd // what else was started
}

// inWorld makes a world, calls f and takes the world away again, whatever happens. It returns the CPU time that was spent in it.
func inWorld(ctx context.Context, c Config, f func(context.Context, *world) error) (used int64, err error) {
	w := &world{Config: c}
	if w.groups, err = newGroups(); err != nil {
		return 0, err
	}
	if w.dir, err = os.MkdirTemp("", "glint-bench-"); err != nil {
		return 0, err
	}
	defer func() {
		used, _ = w.usage(platformGroup, haproxyGroup, serverGroup, bareGroup, clientGroup, proxyGroup)
		err = errors.Join(err, w.end())
	}()
	if err := w.begin(ctx); err != nil {
		return 0, err
	}
	return 0, f(ctx, w)
}

func (w *world) path(parts ...string) string {
	return filepath.Join(append([]string{w.dir}, parts...)...)
}

func (w *world) begin(ctx context.Context) error {
	lo, err := netlink.LinkByName("lo")
	if err == nil {
		err = netlink.LinkSetUp(lo)
	}
	if err != nil {
		return fmt.Errorf("bringing up the loopback link: %w", err)
	}
	for _, dir := range []string{"run", "app", "bare"} {
		if err := os.Mkdir(w.path(dir), 0o700); err != nil {
			return err
		}
	}
	// Where hosts have it: what a reboot ends stands in memory.
	if err := unix.Mount("tmpfs", w.path("run"), "tmpfs", unix.MS_NODEV|unix.MS_NOSUID, "mode=700"); err != nil {
		return fmt.Errorf("mounting a file system in memory: %w", err)
	}
	if err := copyFile(w.Program, w.path("app", "program")); err != nil {
		return fmt.Errorf("taking the program: %w", err)
	}
	if w.said, err = os.Create(w.path("server.log")); err != nil {
		return err
	}
	w.server, err = w.command(serverGroup, w.Self, "server", "--name", w.name, "--data", w.path("data"), "--run", w.path("run"), "--http", entry)
	if err != nil {
		return err
	}
	w.server.Stdout, w.server.Stderr = w.said, w.said
	w.server.SysProcAttr = &unix.SysProcAttr{Setsid: true}
	if err := w.server.Start(); err != nil {
		return fmt.Errorf("starting a server: %w", err)
	}
	w.remote = api.NewClient(w.path("run", "glint.sock"))
	err = until(ctx, "the server to answer", time.Minute, 20*time.Millisecond, func() (bool, error) {
		_, err := w.remote.Version(ctx)
		return err == nil, err
	})
	return w.withLog(err)
}

// withLog adds the last words of the server to an error.
func (w *world) withLog(err error) error {
	if err == nil || w.said == nil {
		return err
	}
	b, _ := os.ReadFile(w.said.Name())
	return fmt.Errorf("%w\nthe server said last:\n%s", err, bytes.TrimSpace(b[max(0, len(b)-3000):]))
}

func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o755)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}

// glint runs a command of the binary on this world's server.
func (w *world) glint(ctx context.Context, args ...string) error {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, w.Self, append(args, "-C", w.path("app"), "--socket", w.path("run", "glint.sock"))...)
	cmd.SysProcAttr = &unix.SysProcAttr{Setsid: true} // Ctrl-C is for us
	if out, err := cmd.CombinedOutput(); err != nil {
		return w.withLog(fmt.Errorf("glint %s: %w\n%s", strings.Join(args, " "), err, bytes.TrimSpace(out)))
	}
	return nil
}

// apply makes a declaration serve.
func (w *world) apply(ctx context.Context, declaration string) error {
	if err := os.WriteFile(w.path("app", "glint.hcl"), []byte(declaration), 0o600); err != nil {
		return err
	}
	if err := w.glint(ctx, "apply", "--yes"); err != nil {
		return err
	}
	_, err := w.settled(ctx)
	return err
}

// settled waits until everything is as declared, and nothing is left of what was before.
func (w *world) settled(ctx context.Context) (st api.Status, err error) {
	err = until(ctx, "the stack to settle", time.Minute, 20*time.Millisecond, func() (bool, error) {
		var err error
		if st, err = w.remote.Status(ctx, stackName); err != nil {
			return false, err
		}
		return settled(st), nil
	})
	return st, w.withLog(err)
}

func settled(st api.Status) bool {
	if st.Outcome != glint.Serving || st.Routes.Decided != st.Routes.InForce {
		return false
	}
	for _, s := range st.Services {
		if s.Ready != s.Wanted || len(s.Instances) != s.Wanted {
			return false
		}
		for _, in := range s.Instances {
			if in.Seen == nil || in.Seen.Pid == 0 || !in.Member.Routed {
				return false
			}
		}
	}
	return true
}

// stable returns the stable address of a service.
func (w *world) stable(service string) (netip.Addr, error) {
	b, err := os.ReadFile(w.path("data", "addresses.json"))
	if err != nil {
		return netip.Addr{}, err
	}
	var book struct {
		Addresses map[string]netip.Addr `json:"addresses"`
	}
	if err := json.Unmarshal(b, &book); err != nil {
		return netip.Addr{}, err
	}
	a, ok := book.Addresses[stackName+"/"+service]
	if !ok {
		return a, fmt.Errorf("service %s has no stable address", service)
	}
	return a, nil
}

// end takes the world away: first in order, and then whatever is left, which is an error.
func (w *world) end() error {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	var errs []error
	for _, s := range w.spend {
		errs = append(errs, s.end())
	}
	for _, cmd := range w.more {
		errs = append(errs, stop(cmd, unix.SIGTERM))
	}
	if w.server != nil && w.server.Process != nil {
		if stacks, err := w.remote.Stacks(ctx); err == nil && len(stacks) > 0 {
			errs = append(errs, w.glint(ctx, "destroy", "--yes", "--stack", stackName))
		}
		errs = append(errs, stop(w.server, unix.SIGTERM))
	}
	if w.said != nil {
		errs = append(errs, w.said.Close())
	}
	errs = append(errs, w.groups.sweep(), unmountBelow(w.dir), os.RemoveAll(w.dir))
	return errors.Join(errs...)
}

// stop ends a child of ours.
func stop(cmd *exec.Cmd, sig unix.Signal) error {
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	if err := cmd.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case <-done: // how it ended is of no interest
		return nil
	case <-time.After(20 * time.Second):
		err := fmt.Errorf("process %d does not end on %s; it was killed", cmd.Process.Pid, sig)
		return errors.Join(err, cmd.Process.Kill())
	}
}

// unmountBelow unmounts what is left in a folder, in this process's own mount namespace.
func unmountBelow(dir string) error {
	b, err := os.ReadFile("/proc/self/mounts")
	lines := strings.Split(string(b), "\n")
	for i := len(lines) - 1; i >= 0; i-- {
		if f := strings.Fields(lines[i]); len(f) > 1 && strings.HasPrefix(f[1], dir+"/") {
			err = errors.Join(err, unix.Unmount(f[1], unix.MNT_DETACH))
		}
	}
	return err
}
