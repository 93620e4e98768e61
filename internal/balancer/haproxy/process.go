package haproxy

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/glint-infra/glint/internal/network"
)

// A process is a running HAProxy master, held by its pidfd so that it cannot be mistaken for a later one.
type process struct {
	pid  int
	fd   *os.File
	gone chan struct{} // closed when it has ended
}

// hold takes hold of a live process.
func hold(pid int) (*process, error) {
	fd, err := unix.PidfdOpen(pid, unix.PIDFD_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("taking hold of process %d: %w", pid, err)
	}
	m := &process{pid: pid, fd: os.NewFile(uintptr(fd), "pidfd"), gone: make(chan struct{})}
	raw, err := m.fd.SyscallConn()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("watching process %d: %w", pid, err), m.fd.Close())
	}
	go func() {
		// Ends with an error when release closes the file; then nobody waits for gone any more.
		if raw.Read(func(fd uintptr) bool { return ended(int(fd)) }) == nil {
			close(m.gone)
		}
	}()
	return m, nil
}

func ended(pidfd int) bool {
	n, err := unix.Poll([]unix.PollFd{{Fd: int32(pidfd), Events: unix.POLLIN}}, 0)
	return err == nil && n > 0
}

func (m *process) alive() bool {
	select {
	case <-m.gone:
		return false
	default:
		return true
	}
}

func (m *process) release() { _ = m.fd.Close() } // nothing was written to it

func (m *process) signal(sig syscall.Signal) error {
	raw, err := m.fd.SyscallConn()
	if err != nil {
		return err
	}
	cerr := raw.Control(func(fd uintptr) { err = unix.PidfdSendSignal(int(fd), sig, nil, 0) })
	return errors.Join(cerr, err)
}

// exists reports whether some process has this pid and is not a zombie.
func exists(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	_, rest, ok := bytes.Cut(stat, []byte(") ")) // the name before it may hold anything, but HAProxy's does not
	return ok && len(rest) > 0 && rest[0] != 'Z' && rest[0] != 'X'
}

// adopt takes over a master that an earlier keeper started. Who holds the other end of the master's socket is known from the
// kernel (SO_PEERCRED), so no pid from a file has to be trusted.
func (p *Proxy) adopt(ctx context.Context) error {
	pid := p.socketOwner(ctx)
	if pid == 0 {
		return p.endOrphan()
	}
	m, err := hold(pid)
	if err != nil {
		return nil // it ended just now
	}
	if again := p.socketOwner(ctx); again != pid {
		m.release()
		return fmt.Errorf("HAProxy's master changed from pid %d to %d while it was taken over; try again", pid, again)
	}
	p.master = m
	return nil
}

// socketOwner asks on the master's socket whose it is; 0: nobody's who answers.
func (p *Proxy) socketOwner(ctx context.Context) int {
	for range 100 { // a master that is starting, or just being replaced by itself, answers after some milliseconds
		master, _, _, err := p.showProc(ctx)
		if err == nil {
			return master
		}
		if (errors.Is(err, syscall.ENOENT) || errors.Is(err, syscall.ECONNREFUSED)) && p.running() == 0 {
			return 0
		}
		if pause(ctx, 50*time.Millisecond) != nil {
			return 0
		}
	}
	return 0
}

// endOrphan ends a master that lives and does not answer: two must not share the ports.
func (p *Proxy) endOrphan() error {
	pid := p.running()
	if pid == 0 {
		return nil
	}
	m, err := hold(pid)
	if err != nil || p.running() != pid {
		return nil
	}
	p.cfg.Incident(fmt.Sprintf("HAProxy (pid %d) lived but did not answer; it was ended and is started anew", pid))
	p.master = m
	return p.end()
}

// running returns the pid of the master that start wrote down or, had its keeper no time for that, of one that was started
// with our configuration; 0: there is none.
func (p *Proxy) running() int {
	if pid := p.recorded(); pid != 0 {
		return pid
	}
	ours := map[int]bool{}
	host, _ := os.Readlink("/proc/self/ns/pid")
	processes, _ := filepath.Glob("/proc/[0-9]*")
	for _, dir := range processes {
		args, _ := os.ReadFile(filepath.Join(dir, "cmdline"))
		in, _ := os.Readlink(filepath.Join(dir, "ns", "pid")) // an instance may call itself what it likes
		if pid, err := strconv.Atoi(filepath.Base(dir)); err == nil && in == host && bytes.Contains(args, []byte("\x00-f\x00"+p.path("haproxy.cfg")+"\x00")) {
			ours[pid] = true
		}
	}
	for pid := range ours {
		if !ours[parentOf(pid)] {
			return pid
		}
	}
	return 0
}

// recorded returns the pid that start wrote down, if that very process still lives; otherwise 0.
func (p *Proxy) recorded() int {
	text, err := os.ReadFile(p.path("master.pid"))
	if err != nil {
		return 0
	}
	var pid int
	var began string
	if n, _ := fmt.Sscan(string(text), &pid, &began); n != 2 || startTime(pid) != began {
		return 0
	}
	return pid
}

// startTime returns when a process was started, in the kernel's ticks (proc(5), stat, field 22); "" when there is none.
func startTime(pid int) string {
	f := stat(pid)
	if len(f) < 20 || f[0][0] == 'Z' {
		return ""
	}
	return string(f[19])
}

// parentOf returns the pid of a process's parent; 0 when there is none.
func parentOf(pid int) int {
	f := stat(pid)
	if len(f) < 2 {
		return 0
	}
	parent, _ := strconv.Atoi(string(f[1]))
	return parent
}

// stat returns the kernel's fields of a process, from the third on: what is before may hold blanks.
func stat(pid int) [][]byte {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return nil
	}
	return bytes.Fields(text[bytes.LastIndexByte(text, ')')+1:])
}

// start runs HAProxy in a session of its own, so that nothing that ends its keeper ends it. The caller has written the configuration.
func (p *Proxy) start(ctx context.Context) error {
	log, err := os.OpenFile(p.path("haproxy.log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("opening HAProxy's log: %w", err)
	}
	defer func() { _ = log.Close() }() // HAProxy has its own copy
	cmd := exec.Command(p.binary, "-W", "-f", p.path("haproxy.cfg"), "-S", p.path("master.sock")+",mode,600")
	cmd.Dir, cmd.Stdout, cmd.Stderr = "/", log, log
	cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("starting HAProxy: %w", err)
	}
	m, err := hold(cmd.Process.Pid)
	go func() { _ = cmd.Wait() }() // reaps it; how it ended stands in its log
	if err != nil {
		return errors.Join(err, cmd.Process.Kill())
	}
	p.master = m
	p.cfg.At("haproxy: it is started")
	p.intoCgroups(m.pid)
	if err := network.WriteFile(p.path("master.pid"), fmt.Appendf(nil, "%d %s\n", m.pid, startTime(m.pid))); err != nil {
		return errors.Join(fmt.Errorf("writing down HAProxy's pid: %w", err), p.end())
	}
	p.cfg.At("haproxy: its pid is noted")
	if err := p.awaitMark(ctx, p.render(p.want).mark, -1); err != nil {
		return errors.Join(fmt.Errorf("starting HAProxy: %w: %s", err, p.logTail()), p.end())
	}
	workers, err := p.procs(ctx) // begun perhaps before their master was moved
	p.intoCgroups(workers...)
	return err
}

// intoCgroups moves HAProxy into groups of its own. Where the kernel says no it stays where it is: that is no reason not to
// serve.
func (p *Proxy) intoCgroups(pids ...int) {
	for _, dir := range p.cfg.Cgroups {
		if os.MkdirAll(dir, 0o755) != nil {
			continue
		}
		for _, pid := range pids {
			_ = os.WriteFile(filepath.Join(dir, "cgroup.procs"), []byte(strconv.Itoa(pid)), 0o644)
		}
	}
}

// endWithin bounds how long HAProxy may take to end.
const endWithin = 10 * time.Second

// end stops HAProxy and takes its files away. What is in flight is cut off.
func (p *Proxy) end() error {
	m := p.master
	if m == nil {
		return nil
	}
	workers, _ := p.procs(context.Background())
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} {
		if err := m.signal(sig); err != nil && !errors.Is(err, syscall.ESRCH) {
			return fmt.Errorf("ending HAProxy (pid %d): %w", m.pid, err)
		}
		select {
		case <-m.gone:
		case <-time.After(endWithin):
			continue
		}
		break
	}
	for _, pid := range workers { // they end when their master is gone
		for range 1000 {
			if !exists(pid) {
				break
			}
			time.Sleep(5 * time.Millisecond)
		}
	}
	p.master = nil
	m.release()
	p.cfg.At("haproxy: it has ended")
	return p.removeFiles()
}

func (p *Proxy) removeFiles() error {
	names := []string{"master.sock", "master.pid", "haproxy.cfg", "haproxy.cfg.new", "haproxy.log", "candidate.cfg", "candidate.cfg.new", "master.pid.new", "jail/services", "jail/public"}
	maps, _ := filepath.Glob(p.path("routes-*.map*")) // also what a crash left half written
	for _, m := range maps {
		names = append(names, filepath.Base(m))
	}
	var all []error
	for _, name := range names {
		if err := os.Remove(p.path(name)); err != nil && !errors.Is(err, os.ErrNotExist) {
			all = append(all, err)
		}
	}
	for _, dir := range p.cfg.Cgroups {
		all = append(all, removeCgroup(dir))
	}
	return errors.Join(all...)
}

// removeCgroup waits a little for processes that have ended and are not quite gone.
func removeCgroup(dir string) error {
	var err error
	for range 100 {
		if err = os.Remove(dir); err == nil || errors.Is(err, os.ErrNotExist) {
			return nil
		}
		if !errors.Is(err, syscall.EBUSY) {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	return fmt.Errorf("removing HAProxy's control group: %w", err)
}

// logTail returns the end of what HAProxy said.
func (p *Proxy) logTail() string {
	f, err := os.Open(p.path("haproxy.log"))
	if err != nil {
		return "(no log)"
	}
	defer func() { _ = f.Close() }() // only read
	if size, err := f.Seek(0, io.SeekEnd); err == nil {
		_, _ = f.Seek(max(0, size-2000), io.SeekStart)
	}
	b, _ := io.ReadAll(io.LimitReader(f, 2000))
	return string(bytes.TrimSpace(b))
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
