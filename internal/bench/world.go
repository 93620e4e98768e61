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
	dir     string
	run     string   // what a reboot ends; its path is short, for the sockets in it
	said    *os.File // what the server and the workers say
	remote  *api.Client
	server  *child
	workers []*worker
	proxies []*child
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
	if err := os.Mkdir(w.path("app"), 0o700); err != nil {
		return err
	}
	if w.run, err = os.MkdirTemp("/run", "glint-bench-"); err != nil {
		return err
	}
	// Hosts have it in memory.
	if err := unix.Mount("tmpfs", w.run, "tmpfs", unix.MS_NODEV|unix.MS_NOSUID, "mode=700"); err != nil {
		return fmt.Errorf("mounting a file system in memory: %w", err)
	}
	if err := copyFile(w.Program, w.path("app", "program")); err != nil {
		return fmt.Errorf("taking the program: %w", err)
	}
	if w.said, err = os.Create(w.path("server.log")); err != nil {
		return err
	}
	socket := filepath.Join(w.run, "glint.sock") // said, because the environment may name another
	if w.server, err = w.start(serverGroup, w.Self, "server", "--name", w.name, "--data", w.path("data"), "--run", w.run, "--http", entry, "--socket", socket); err != nil {
		return fmt.Errorf("starting a server: %w", err)
	}
	w.remote = api.NewClient(socket)
	err = until(ctx, "the server to answer", time.Minute, 20*time.Millisecond, func() (bool, error) {
		_, err := w.remote.Version(ctx)
		select {
		case <-w.server.ended:
			return true, errors.New("the server ended")
		default:
			return err == nil, err
		}
	})
	return w.withLog(err)
}

// A child is a process that we have started, and wait for.
type child struct {
	*exec.Cmd
	ended chan struct{} // closed when it has
}

// start starts a program in a group.
func (w *world) start(group, program string, args ...string) (*child, error) {
	cmd, err := w.command(group, program, args...)
	if err != nil {
		return nil, err
	}
	cmd.Stdout, cmd.Stderr = w.said, w.said
	return begin(cmd)
}

// begin starts a child in a session of its own: Ctrl-C is for us.
func begin(cmd *exec.Cmd) (*child, error) {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &unix.SysProcAttr{}
	}
	cmd.SysProcAttr.Setsid = true
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	c := &child{cmd, make(chan struct{})}
	go func() {
		_ = cmd.Wait() // how it ended is of no interest
		close(c.ended)
	}()
	return c, nil
}

// stop ends a child with a signal, or waits for one that ends by itself (0).
func (c *child) stop(sig unix.Signal) error {
	if err := c.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case <-c.ended:
		return nil
	case <-time.After(20 * time.Second):
		return errors.Join(fmt.Errorf("process %d (%s) did not end in time; it was killed", c.Process.Pid, c.Args[len(c.Args)-1]), c.Process.Kill())
	}
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
	cmd := exec.CommandContext(ctx, w.Self, append(args, "-C", w.path("app"), "--socket", filepath.Join(w.run, "glint.sock"))...)
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
	for _, s := range w.workers {
		errs = append(errs, s.end())
	}
	for _, p := range w.proxies {
		errs = append(errs, p.stop(unix.SIGTERM))
	}
	if w.server != nil {
		if stacks, err := w.remote.Stacks(ctx); err == nil && len(stacks) > 0 {
			errs = append(errs, w.glint(ctx, "destroy", "--yes", "--stack", stackName))
		}
		errs = append(errs, w.server.stop(unix.SIGTERM))
	}
	if w.said != nil {
		errs = append(errs, w.said.Close())
	}
	errs = append(errs, w.groups.sweep())
	for _, dir := range []string{w.run, w.dir} {
		if dir != "" {
			errs = append(errs, unmountBelow(dir), os.RemoveAll(dir))
		}
	}
	return errors.Join(errs...)
}

// unmountBelow unmounts a folder and what is left in it, in this process's own mount namespace.
func unmountBelow(dir string) error {
	b, err := os.ReadFile("/proc/self/mounts")
	lines := strings.Split(string(b), "\n")
	for i := len(lines) - 1; i >= 0; i-- {
		if f := strings.Fields(lines[i]); len(f) > 1 && (f[1] == dir || strings.HasPrefix(f[1], dir+"/")) {
			err = errors.Join(err, unix.Unmount(f[1], unix.MNT_DETACH))
		}
	}
	return err
}
