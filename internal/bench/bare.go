package bench

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// A bareInstance is made by the runtime's own commands, without Glint: what an instance costs at least to somebody who writes
// a script. Its configuration is that of a living instance of Glint: same root, same sandbox, same compiled system call filter.
type bareInstance struct {
	ID     string `json:"id"`
	Dir    string `json:"dir"`    // its bundle; made before
	State  string `json:"state"`  // crun's
	Number int    `json:"number"` // 0 to 255; its addresses are made of it
	Keeper bool   `json:"keeper"` // conmon keeps it; without, crun run -d
}

// A bareLife is one that runs.
type bareLife struct {
	*bareInstance
	pid  int
	kept *os.File // conmon's answer
}

const unified = "/sys/fs/cgroup/unified"

// coverUnified hides the control groups of version 2 in this process's own mount namespace.
func coverUnified() error {
	if st, err := os.Stat(unified); err != nil || !st.IsDir() {
		return nil
	}
	if err := unix.Mount("tmpfs", unified, "tmpfs", 0, "mode=700"); err != nil {
		return fmt.Errorf("hiding the control groups of version 2: %w", err)
	}
	return nil
}

// bundle makes the bundle of a bare instance out of a living one's.
func (b *bareInstance) bundle(from, cgroup string) error {
	raw, err := os.ReadFile(filepath.Join(from, "config.json"))
	if err != nil {
		return fmt.Errorf("reading the configuration of a living instance: %w", err)
	}
	var s specs.Spec
	if err := json.Unmarshal(raw, &s); err != nil {
		return err
	}
	if err := os.MkdirAll(b.Dir, 0o700); err != nil {
		return err
	}
	for i, m := range s.Mounts {
		if filepath.Dir(m.Source) != from { // its own files of /etc
			continue
		}
		s.Mounts[i].Source = filepath.Join(b.Dir, filepath.Base(m.Source))
		if err := copyFile(m.Source, s.Mounts[i].Source); err != nil && !errors.Is(err, os.ErrExist) {
			return err
		}
	}
	s.Linux.CgroupsPath = cgroup
	if raw, err = json.Marshal(s); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(b.Dir, "config.json"), raw, 0o600)
}

// begin returns after the first answer.
func (b *bareInstance) begin() (*bareLife, error) {
	l := &bareLife{bareInstance: b}
	var err error
	if b.Keeper {
		err = l.keep()
	} else {
		err = l.crun("run", "--detach", "--pid-file", filepath.Join(b.Dir, "pid"), "--bundle", b.Dir, b.ID)
		l.pid = readPid(filepath.Join(b.Dir, "pid"))
	}
	if err == nil && l.pid <= 1 {
		err = errors.New("the runtime does not say which process it made")
	}
	if err == nil {
		err = l.wire()
	}
	if err == nil && b.Keeper {
		err = l.crun("start", b.ID)
	}
	if err == nil {
		err = l.answer()
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("bare instance %s: %w", b.ID, err), l.end())
	}
	return l, nil
}

func (l *bareLife) crun(args ...string) error {
	log, err := os.OpenFile(filepath.Join(l.Dir, "crun.log"), os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.Command("crun", append([]string{"--root", l.State}, args...)...)
	cmd.Stdout, cmd.Stderr = log, log // a file: the container keeps it
	if err := cmd.Run(); err != nil {
		said, _ := os.ReadFile(log.Name())
		return fmt.Errorf("crun %s: %w: %s", args[0], err, said)
	}
	return nil
}

// keep has conmon make the container.
func (l *bareLife) keep() error {
	answer, theirs, err := os.Pipe()
	if err != nil {
		return err
	}
	l.kept = answer
	crun, err := exec.LookPath("crun")
	if err != nil {
		return err
	}
	cmd := exec.Command("conmon", "--api-version", "1", "-c", l.ID, "-u", l.ID, "-r", crun, "-b", l.Dir,
		"-p", filepath.Join(l.Dir, "pid"), "-P", filepath.Join(l.Dir, "conmon.pid"), "-l", "k8s-file:"+filepath.Join(l.Dir, "log"),
		"--exit-dir", l.Dir, "--socket-dir-path", l.Dir, "--full-attach", "--no-sync-log", "--log-level", "error",
		"--runtime-arg", "--root", "--runtime-arg", l.State)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "_OCI_SYNCPIPE=3"}
	cmd.ExtraFiles = []*os.File{theirs}
	err = errors.Join(cmd.Run(), theirs.Close()) // it forks and goes on behind
	if err != nil {
		return fmt.Errorf("conmon: %w", err)
	}
	line, err := bufio.NewReader(answer).ReadBytes('\n')
	var said struct {
		Data int `json:"data"`
		Pid  int `json:"pid"`
	}
	if err := errors.Join(err, json.Unmarshal(line, &said)); err != nil {
		return fmt.Errorf("conmon says %q: %w", line, err)
	}
	if l.pid = max(said.Data, said.Pid); l.pid <= 1 {
		return fmt.Errorf("conmon says %s", line)
	}
	return nil
}

func readPid(path string) int {
	b, _ := os.ReadFile(path)
	pid, _ := strconv.Atoi(strings.TrimSpace(string(b)))
	return pid
}

// wire gives the container's network namespace a link to ours, as few steps as do.
func (l *bareLife) wire() error {
	ns, err := netns.GetFromPid(l.pid)
	if err != nil {
		return err
	}
	defer ns.Close()
	in, err := netlink.NewHandleAt(ns, unix.NETLINK_ROUTE)
	if err != nil {
		return err
	}
	defer in.Close()
	name := fmt.Sprintf("bare-%d", l.Number)
	pair := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: name, NumTxQueues: 1, NumRxQueues: 1, TxQLen: -1}, PeerName: "eth0", PeerNamespace: netlink.NsFd(int(ns))}
	if err := netlink.LinkAdd(pair); err != nil {
		return fmt.Errorf("adding link %s: %w", name, err)
	}
	for _, end := range []struct {
		in   *netlink.Handle
		name string
		last byte
	}{{in, "eth0", 2}, {&netlink.Handle{}, name, 1}} {
		link, err := end.in.LinkByName(end.name)
		if err == nil {
			err = end.in.AddrAdd(link, &netlink.Addr{IPNet: &net.IPNet{IP: l.address(end.last), Mask: net.CIDRMask(24, 32)}})
		}
		if err == nil {
			err = end.in.LinkSetUp(link)
		}
		if err != nil {
			return fmt.Errorf("setting up link %s: %w", end.name, err)
		}
	}
	return nil
}

// address is the host's end of the wire (1) or the instance's (2), outside the pool of Glint's.
func (l *bareLife) address(end byte) net.IP { return net.IPv4(10, 88, byte(l.Number), end) }

// answer waits for the first answer.
func (l *bareLife) answer() error {
	at := net.JoinHostPort(l.address(2).String(), programPort)
	err := errors.New("never asked")
	for end := time.Now().Add(10 * time.Second); err != nil && time.Now().Before(end); {
		if err = once(at, "bare", "/healthz", time.Second); err != nil {
			time.Sleep(2 * time.Millisecond)
		}
	}
	return err
}

// end kills the program and takes the container away.
func (l *bareLife) end() error {
	var errs []error
	if l.pid > 1 {
		errs = append(errs, unix.Kill(l.pid, unix.SIGKILL), l.crun("delete", "--force", l.ID))
	}
	if l.kept != nil {
		errs = append(errs, l.kept.Close())
	}
	if l.Keeper { // it writes down how the program ended, and ends
		errs = append(errs, awaitEnd(readPid(filepath.Join(l.Dir, "conmon.pid"))))
	}
	return errors.Join(errs...)
}

// awaitEnd waits without asking again and again: that would be counted.
func awaitEnd(pid int) error {
	if pid <= 1 {
		return nil
	}
	fd, err := unix.PidfdOpen(pid, 0)
	if errors.Is(err, unix.ESRCH) {
		return nil
	}
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	for {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 10_000)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err == nil && n == 0 {
			err = fmt.Errorf("conmon (process %d) does not end", pid)
		}
		return err
	}
}
