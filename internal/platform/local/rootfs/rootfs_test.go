package rootfs

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/glint-infra/glint"
	"github.com/glint-infra/glint/internal/image"
)

func init() { runtime.LockOSThread() } // no test runs on the main thread, which never ends

// private gives the test's thread a mount namespace of its own; the thread ends with the test.
func private(t *testing.T) {
	t.Helper()
	runtime.LockOSThread()
	if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
		t.Skipf("needs root: %v", err)
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		t.Fatal(err)
	}
}

// layer seals files: names that end in / are directories, values that begin with -> are links.
func layer(t *testing.T, files map[string]string) image.Layer {
	t.Helper()
	root := t.TempDir()
	for name, text := range files {
		path := filepath.Join(root, name)
		err := os.MkdirAll(filepath.Dir(path), 0o755)
		if to, link := strings.CutPrefix(text, "->"); err == nil && link {
			err = os.Symlink(to, path)
		} else if err == nil && strings.HasSuffix(name, "/") {
			err = os.MkdirAll(path, 0o755)
		} else if err == nil {
			err = os.WriteFile(path, []byte(text), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(t.TempDir(), "layer")
	if out, err := exec.Command("mkfs.erofs", path, root).CombinedOutput(); err != nil {
		t.Fatalf("mkfs.erofs: %v: %s", err, out)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(b)
	return image.Layer{Erofs: path, Sum: glint.Digest("sha256:" + hex.EncodeToString(sum[:]))}
}

func TestPrepare(t *testing.T) {
	private(t)
	s, err := Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	base := layer(t, map[string]string{"bin/sh": "sh", "etc/os": "debian", "var/run": "->/run", "run/": ""})
	top := layer(t, map[string]string{"app": "app", "etc/os": "changed"})
	img := image.Sealed{Layers: []image.Layer{base, top}}
	var inUse []Root
	claim := func(r Root) error { inUse = append(inUse, r); return nil }
	proc := []Point{{Path: "/proc"}, {Path: "/etc/hosts", File: true}, {Path: "/var/run/db"}, {Path: "/etc"}}
	path, err := s.Prepare(img, proc, claim)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"etc/os": "changed", "app": "app", "bin/sh": "sh", "etc/hosts": ""} {
		if b, err := os.ReadFile(filepath.Join(path, name)); err != nil || string(b) != want {
			t.Errorf("%s: %q %v, want %q", name, b, err, want)
		}
	}
	for _, dir := range []string{"proc", "run/db"} {
		if st, err := os.Stat(filepath.Join(path, dir)); err != nil || !st.IsDir() {
			t.Errorf("%s: %v %v", dir, st, err)
		}
	}
	if err := os.WriteFile(filepath.Join(path, "x"), nil, 0o600); !errors.Is(err, unix.EROFS) {
		t.Errorf("writing into a root: %v", err)
	}
	again, err := s.Prepare(img, proc, claim)
	if err != nil || again != path {
		t.Errorf("the same again: %s %v, was %s", again, err, path)
	}
	alone, err := s.Prepare(image.Sealed{Layers: img.Layers[:1]}, []Point{{Path: "/run"}, {Path: "/"}}, claim)
	if err != nil || alone != filepath.Join(s.dir, "layers", base.Sum.Hex()) {
		t.Errorf("one layer that lacks nothing: %s %v", alone, err)
	}
	if n := mounts(t, s.dir); n != 3 {
		t.Errorf("%d mounts, want two layers and one overlay", n)
	}
	if err := s.Keep(func() []Root { return inUse[2:] }); err != nil {
		t.Fatal(err)
	}
	if n := mounts(t, s.dir); n != 1 || !mounted(alone) {
		t.Errorf("%d mounts left, want the layer that is in use", n)
	}
	if err := s.Keep(nil); err != nil || mounts(t, s.dir) != 0 {
		t.Errorf("mounts left: %d, %v", mounts(t, s.dir), err)
	}
	for _, dir := range subdirs {
		if left, _ := filepath.Glob(filepath.Join(s.dir, dir, "*")); len(left) > 0 {
			t.Errorf("files left: %q", left)
		}
	}
}

func mounts(t *testing.T, dir string) int {
	t.Helper()
	b, err := os.ReadFile("/proc/thread-self/mounts")
	if err != nil {
		t.Fatal(err)
	}
	return strings.Count(string(b), " "+dir+"/")
}

func TestChanged(t *testing.T) {
	private(t)
	s, err := Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	l := layer(t, map[string]string{"app": "app"})
	other := layer(t, map[string]string{"app": "evil"})
	l.Erofs = other.Erofs
	_, err = s.Prepare(image.Sealed{Layers: []image.Layer{l}}, nil, func(Root) error { t.Error("claimed"); return nil })
	if !errors.Is(err, glint.ErrInvalid) {
		t.Errorf("another file under the same sum: %v", err)
	}
	if n := mounts(t, s.dir); n != 0 {
		t.Errorf("%d mounts", n)
	}
}

// TestLoop takes the way of older kernels.
func TestLoop(t *testing.T) {
	private(t)
	dir := t.TempDir()
	f, err := os.Open(layer(t, map[string]string{"app": "app"}).Erofs)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var used string
	if err := onLoop(f, func(device string) error {
		used = device
		return unix.Mount(device, dir, "erofs", unix.MS_RDONLY, "")
	}); err != nil {
		if errors.Is(err, os.ErrNotExist) {
			t.Skipf("no loop devices here: %v", err)
		}
		t.Fatal(err)
	}
	if b, err := os.ReadFile(filepath.Join(dir, "app")); err != nil || string(b) != "app" {
		t.Errorf("%q %v", b, err)
	}
	if err := unmount(dir); err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile("/sys/block/" + filepath.Base(used) + "/loop/backing_file"); err == nil && strings.Contains(string(b), f.Name()) {
		t.Errorf("%s still holds %s", used, b)
	}
}

func TestResolve(t *testing.T) {
	base := t.TempDir()
	for name, to := range map[string]string{"abs": "/dir", "up": "../../../dir", "chain": "abs/sub", "loop": "loop", "dangling": "/no/where"} {
		if err := os.Symlink(to, filepath.Join(base, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.MkdirAll(filepath.Join(base, "dir/sub"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		path, want string
		there      bool
	}{
		{"/", "/", true},
		{"/dir", "/dir", true},
		{"/abs/sub", "/dir/sub", true},
		{"/up/sub", "/dir/sub", true},
		{"/chain", "/dir/sub", true},
		{"/chain/../new", "/dir/new", false},
		{"/../../etc/passwd", "/etc/passwd", false},
		{"/dangling/x", "/no/where/x", false},
	} {
		got, there, err := resolve(base, tt.path)
		if err != nil || got != tt.want || there != tt.there {
			t.Errorf("%s: %s %v %v, want %s %v", tt.path, got, there, err, tt.want, tt.there)
		}
	}
	if _, _, err := resolve(base, "/loop/x"); !errors.Is(err, unix.ELOOP) {
		t.Errorf("a loop of links: %v", err)
	}
}
