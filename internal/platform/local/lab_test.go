package local_test

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/glint-infra/glint"
	"github.com/glint-infra/glint/internal/image"
	"github.com/glint-infra/glint/internal/platform/local"
)

// A lab is a place for one platform, and what tests need to look at it.
type lab struct {
	t     testing.TB
	dir   string
	cfg   local.Config
	shelf shelf
	image glint.Digest // from scratch: nothing but /app
}

// A shelf is an image library.
type shelf map[glint.Digest]image.Sealed

func (s shelf) Open(d glint.Digest) (image.Sealed, error) {
	if img, ok := s[d]; ok {
		return img, nil
	}
	return image.Sealed{}, fmt.Errorf("image %s: %w", d, glint.ErrNotFound)
}

// book is a directory of services.
type book map[string]netip.Addr

func (b book) Address(stack, service string) (netip.Addr, error) {
	if a, ok := b[stack+"/"+service]; ok {
		return a, nil
	}
	return netip.Addr{}, glint.ErrNotFound
}

func (b book) Forget(string) error { return nil }

var labs atomic.Int64

func newLab(t *testing.T) *lab { return makeLab(t) }

func benchLab(b *testing.B) *lab { return makeLab(b) }

func makeLab(t testing.TB) *lab {
	t.Helper()
	dir, err := os.MkdirTemp("", "glint-lab-")
	if err != nil {
		t.Fatal(err)
	}
	n := labs.Add(1)
	l := &lab{t: t, dir: dir, shelf: shelf{}}
	l.cfg = local.Config{
		Name: fmt.Sprintf("gt%dx%d", os.Getppid()%1000*100+int(n), time.Now().UnixNano()%1000), DataDir: filepath.Join(dir, "data"), RunDir: filepath.Join(dir, "run"),
		Pool: netip.MustParsePrefix(fmt.Sprintf("10.201.%d.0/24", n%256)), Images: l.shelf, Names: book{},
	}
	l.image = l.seal(image.Sealed{Entrypoint: []string{"/app", "serve"}}, func(root string) {
		copyFile(t, app, filepath.Join(root, "app"))
	})
	t.Cleanup(func() {
		if t.Failed() {
			return // the namespaces end with the tests; the files are evidence until then
		}
		os.RemoveAll(dir)
	})
	return l
}

// seal makes an image of one layer for each fill.
func (l *lab) seal(img image.Sealed, fills ...func(root string)) glint.Digest {
	l.t.Helper()
	for _, fill := range fills {
		root, err := os.MkdirTemp(l.dir, "tree-")
		if err != nil {
			l.t.Fatal(err)
		}
		if err := os.Chmod(root, 0o755); err != nil {
			l.t.Fatal(err)
		}
		fill(root)
		path := root + ".erofs"
		if out, err := exec.Command("mkfs.erofs", path, root).CombinedOutput(); err != nil {
			l.t.Fatalf("mkfs.erofs: %v: %s", err, out)
		}
		if err := os.RemoveAll(root); err != nil {
			l.t.Fatal(err)
		}
		img.Layers = append(img.Layers, image.Layer{DiffID: sumOf(l.t, path), Erofs: path, Sum: sumOf(l.t, path)})
	}
	img.Digest = glint.DigestOf(fmt.Append(nil, img))
	if img.WorkDir == "" {
		img.WorkDir = "/"
	}
	l.shelf[img.Digest] = img
	return img.Digest
}

func sumOf(t testing.TB, path string) glint.Digest {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		t.Fatal(err)
	}
	return glint.Digest("sha256:" + hex.EncodeToString(h.Sum(nil)))
}

func copyFile(t testing.TB, from, to string) {
	t.Helper()
	b, err := os.ReadFile(from)
	if err == nil {
		err = os.MkdirAll(filepath.Dir(to), 0o755)
	}
	if err == nil {
		err = os.WriteFile(to, b, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// open starts a platform that is closed, and looked behind, when the test ends.
func (l *lab) open() *local.Platform {
	l.t.Helper()
	p, err := local.New(l.cfg)
	if err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(func() { l.closeAll(p) })
	return p
}

func (l *lab) closeAll(p *local.Platform) {
	if err := p.Close(); err != nil {
		l.t.Errorf("closing: %v", err)
	}
}

func (l *lab) template(args ...string) glint.Template {
	return glint.Template{Image: l.image, Command: append([]string{"/app"}, args...)}
}

func answers(address string) bool {
	c := http.Client{Timeout: time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	r, err := c.Get("http://" + address + ":80/")
	if err != nil {
		return false
	}
	r.Body.Close()
	return r.StatusCode == http.StatusOK
}

func settle(cond func() bool) bool {
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(2 * time.Millisecond) {
		if cond() {
			return true
		}
	}
	return cond()
}

// leftovers names everything of the lab's instances that is still on the host.
func (l *lab) leftovers() []string {
	var left []string
	add := func(kind string, found ...string) {
		for _, f := range found {
			left = append(left, kind+" "+f)
		}
	}
	mounts, _ := os.ReadFile("/proc/self/mounts")
	for line := range strings.Lines(string(mounts)) {
		if strings.Contains(line, l.dir) {
			add("mount", line)
		}
	}
	procs, _ := filepath.Glob("/proc/[0-9]*")
	for _, proc := range procs {
		args, _ := os.ReadFile(filepath.Join(proc, "cmdline"))
		group, _ := os.ReadFile(filepath.Join(proc, "cgroup"))
		if s := strings.ReplaceAll(string(args), "\x00", " "); strings.Contains(s, l.dir) && !strings.Contains(s, ownerMode) || strings.Contains(string(group), "/"+l.cfg.Name+"/gt") || strings.HasPrefix(s, "/app ") {
			add("process", proc+" "+s)
		}
	}
	add("link", l.links()...)
	groups, _ := filepath.Glob("/sys/fs/cgroup/*/" + l.cfg.Name + "/*.*.*.*")
	for _, g := range groups {
		if st, err := os.Stat(g); err == nil && st.IsDir() {
			add("cgroup", g)
		}
	}
	add("below the cgroups:", l.belowCgroups()...)
	for _, dir := range []string{"i", "crun", "fs/roots", "fs/points", "fs/layers", "trash"} {
		files, _ := filepath.Glob(filepath.Join(l.cfg.RunDir, dir, "*"))
		add("file", files...)
	}
	return left
}

// links names the wires of the tests' network namespace.
func (l *lab) links() []string {
	var names []string
	all, _ := netlink.LinkList()
	for _, link := range all {
		if link.Type() == "veth" {
			names = append(names, link.Attrs().Name)
		}
	}
	return names
}

// belowCgroups names files of ours in the file system that cgroups are mounted on, where nobody sees them.
func (l *lab) belowCgroups() []string {
	at := filepath.Join(l.dir, "below")
	if err := os.MkdirAll(at, 0o700); err != nil {
		return []string{err.Error()}
	}
	if err := unix.Mount("/sys/fs/cgroup", at, "", unix.MS_BIND, ""); err != nil {
		return []string{err.Error()}
	}
	defer unix.Unmount(at, unix.MNT_DETACH)
	var fs unix.Statfs_t
	if unix.Statfs(at, &fs) == nil && fs.Type == unix.CGROUP2_SUPER_MAGIC {
		return nil
	}
	found, _ := filepath.Glob(filepath.Join(at, "*", l.cfg.Name))
	return found
}

// gone fails the test unless nothing of the instances remains.
func (l *lab) gone(t *testing.T) {
	t.Helper()
	if !settle(func() bool { return len(l.leftovers()) == 0 }) {
		t.Errorf("left behind:\n%s", strings.Join(l.leftovers(), "\n"))
	}
}
