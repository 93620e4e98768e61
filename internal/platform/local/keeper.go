package local

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// tools are the programs that this platform is made of.
type tools struct {
	crun, conmon, nsenter string
	crunVersion           string // "1.8.1"
}

const howToInstall = "install it with: apt-get install crun conmon util-linux"

var versionPattern = regexp.MustCompile(`version (\d+(?:\.\d+)+)`)

// probeTools finds the programs and asks which they are.
func probeTools(crun, conmon string) (tools, error) {
	var t tools
	for _, want := range []struct {
		path *string
		name string
	}{{&t.crun, or(crun, "crun")}, {&t.conmon, or(conmon, "conmon")}, {&t.nsenter, "nsenter"}} {
		found, err := exec.LookPath(want.name)
		if err != nil {
			return tools{}, fmt.Errorf("%s is missing; %s: %w", want.name, howToInstall, err)
		}
		*want.path = found
	}
	for _, path := range []string{t.crun, t.conmon} {
		out, err := exec.Command(path, "--version").Output()
		m := versionPattern.FindSubmatch(out)
		if err != nil || m == nil {
			return tools{}, fmt.Errorf("%s does not say its version (%q); %s: %w", path, out, howToInstall, err)
		}
		if path == t.crun {
			t.crunVersion = string(m[1])
		}
	}
	return t, nil
}

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

// keepers starts conmons from one thread that stands in their cgroup, so that no running process ever has to be moved:
// moving one between groups of version 1 stalls for milliseconds.
type keepers struct {
	tools
	groups cgroups
	state  string // where crun keeps what it knows
	calls  chan func()
	v2     *os.File
	at     func(moment string)
	plain  bool // use the runtime alone for what is done in process where its layout is known
}

func startKeepers(t tools, g cgroups, state string, at func(moment string)) (*keepers, error) {
	k := &keepers{tools: t, groups: g, state: state, at: at, calls: make(chan func())}
	var err error
	if k.v2, err = g.openKeepers(); err != nil {
		return nil, err
	}
	ready := make(chan error)
	onThread(func() {
		ready <- g.joinKeepers()
		for f := range k.calls {
			f()
		}
	})
	if err := <-ready; err != nil {
		k.close()
		return nil, err
	}
	return k, nil
}

// onThread runs f on a thread that ends with it, so that f may change what a thread belongs to. The main thread never
// ends, and is passed over.
func onThread(f func()) {
	begun := make(chan struct{})
	var try func()
	try = func() {
		runtime.LockOSThread()
		if unix.Gettid() == os.Getpid() {
			go try() // on another thread, for this one is held
			<-begun
			runtime.UnlockOSThread()
			return
		}
		close(begun)
		f()
	}
	go try()
}

func (k *keepers) close() {
	close(k.calls)
	if k.v2 != nil {
		k.v2.Close()
	}
}

// start starts a command as a keeper.
func (k *keepers) start(c *exec.Cmd) error {
	if k.v2 != nil {
		c.SysProcAttr.UseCgroupFD, c.SysProcAttr.CgroupFD = true, int(k.v2.Fd())
	}
	done := make(chan error)
	k.calls <- func() { done <- c.Start() }
	return <-done
}

// makeWithin bounds how long the runtime may take to make one container; it takes 30 ms.
const makeWithin = time.Minute

// A keeping is what a conmon is started with.
type keeping struct {
	key     string // name of the container
	dir     string // its bundle
	logSize int64
}

// errRefused means that the runtime said why it cannot make a container.
var errRefused = errors.New("the runtime refuses")

// make starts a conmon, which makes a container and holds it before its program. The conmon leaves our process tree and
// outlives us. Nothing is left when it fails, except what sweep takes away.
func (k *keepers) make(w keeping) (keeper, init process, err error) {
	if k.groups.cover() == "" {
		return k.conmon(w, k.crun)
	}
	err = k.inView(func(view string) (err error) {
		keeper, init, err = k.conmon(w, k.nsenter, "--mount="+view, k.crun)
		return err
	})
	return keeper, init, err
}

func (k *keepers) conmon(w keeping, runtime ...string) (keeper, init process, err error) {
	sync, toUs, err := os.Pipe()
	if err != nil {
		return keeper, init, err
	}
	defer sync.Close()
	defer toUs.Close()
	args := []string{"--api-version", "1", "-c", w.key, "-u", w.key, "-r", runtime[0], "-b", w.dir,
		"-p", filepath.Join(w.dir, "init.pid"), "-P", keeperPid(w.dir), "-l", "k8s-file:" + filepath.Join(w.dir, "log"),
		"--log-size-max", strconv.FormatInt(w.logSize, 10), "--exit-dir", filepath.Join(w.dir, "exit"),
		"--socket-dir-path", w.dir, "--full-attach", "--no-sync-log", "--log-level", "error"}
	for _, a := range append(runtime[1:], "--root", k.state) {
		args = append(args, "--runtime-arg", a)
	}
	c := exec.Command(k.tools.conmon, args...)
	c.Dir = w.dir
	c.Env = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "_OCI_SYNCPIPE=3"}
	c.ExtraFiles = []*os.File{toUs}
	c.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := k.start(c); err != nil {
		return keeper, init, fmt.Errorf("starting conmon: %w", err)
	}
	toUs.Close()
	if err := c.Wait(); err != nil { // it forks and goes on behind
		return keeper, init, fmt.Errorf("starting conmon: %w", err)
	}
	k.at("create: its conmon runs")
	keeper, _ = processOf(readPid(keeperPid(w.dir)))
	init, err = awaitMade(sync)
	return keeper, init, err
}

// awaitMade reads what conmon says once the runtime has ended: the container's first process, or why there is none.
func awaitMade(sync *os.File) (process, error) {
	if err := sync.SetReadDeadline(time.Now().Add(makeWithin)); err != nil {
		return process{}, err
	}
	line, err := bufio.NewReader(sync).ReadBytes('\n')
	if err != nil && len(line) == 0 {
		return process{}, fmt.Errorf("waiting for conmon: %w", err)
	}
	var said struct {
		Data    int    `json:"data"`
		Pid     int    `json:"pid"`
		Message string `json:"message"`
	}
	if err := json.Unmarshal(line, &said); err != nil {
		return process{}, fmt.Errorf("conmon says %q: %w", line, err)
	}
	init, ok := processOf(max(said.Data, said.Pid))
	if !ok {
		return process{}, fmt.Errorf("%w: %s", errRefused, strings.TrimSpace(or(said.Message, string(line))))
	}
	return init, nil
}

func keeperPid(dir string) string { return filepath.Join(dir, "conmon.pid") }

func readPid(path string) int {
	b, err := os.ReadFile(path)
	if err != nil {
		return 0
	}
	pid, _ := strconv.Atoi(strings.TrimSpace(string(b)))
	return pid
}

// inView calls f with the path of a mount namespace in which only version 1 of the cgroups is seen. It lasts until f
// returns. What runs in it sees later changes of the host's mounts, and the host sees none of its.
func (k *keepers) inView(f func(path string) error) error {
	done := make(chan error)
	onThread(func() {
		done <- func() error {
			if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
				return fmt.Errorf("making a view of the cgroups: %w", err)
			}
			if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_SLAVE, ""); err != nil {
				return fmt.Errorf("making a view of the cgroups: %w", err)
			}
			// Not unmounted but covered: crun 1.8 writes files where it believes the other version to be.
			if err := unix.Mount("tmpfs", k.groups.cover(), "tmpfs", unix.MS_NODEV|unix.MS_NOSUID|unix.MS_NOEXEC, "mode=700,size=64k"); err != nil {
				return fmt.Errorf("making a view of the cgroups: %w", err)
			}
			return f(fmt.Sprintf("/proc/%d/task/%d/ns/mnt", os.Getpid(), unix.Gettid()))
		}()
	})
	return <-done
}

// crunDo runs crun on a container that exists. It needs no view: it goes by what it wrote down when it made it.
func (k *keepers) crunDo(ctx context.Context, args ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, makeWithin) // "crun start" waits for ever for a container that has ended meanwhile
	defer cancel()
	c := exec.CommandContext(ctx, k.tools.crun, append([]string{"--root", k.state}, args...)...)
	out, err := c.CombinedOutput()
	if err != nil {
		return out, fmt.Errorf("crun %s: %w: %s", args[0], err, strings.TrimSpace(string(out)))
	}
	return out, nil
}

// letGo opens the held container's way to its program. It does what "crun start" does, without starting a process:
// the container waits for a byte from this fifo (crun 1.0 to 1.8).
func (k *keepers) letGo(ctx context.Context, key string) error {
	fifo := filepath.Join(k.state, key, "exec.fifo")
	fd, err := unix.Open(fifo, unix.O_WRONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err == nil {
		defer unix.Close(fd)
	}
	if err != nil || k.plain { // nobody reads, or crun keeps its state in another way
		_, err := k.crunDo(ctx, "start", key)
		return err
	}
	if _, err := unix.Write(fd, []byte{0}); err != nil {
		return fmt.Errorf("letting %s go: %w", key, err)
	}
	k.at("create: its fifo is open")
	return os.Remove(fifo)
}
