// Package rootfs gives instances their read-only root file systems, mounted once and shared by all that need the same.
// It starts nothing, and keeps no count: which roots are in use is always asked of whoever knows the instances.
package rootfs

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/glint-infra/glint"
	"github.com/glint-infra/glint/internal/image"
)

// A Store holds the mounted roots of one directory: one mount for each layer, and one overlay for each set of layers
// and mount points.
type Store struct {
	dir string
	mu  sync.Mutex
}

// A Root is what one instance needs to be mounted. Both are names below the directories of the store.
type Root struct {
	Name   string   `json:"name,omitempty"` // of the overlay; empty where the only layer will do
	Layers []string `json:"layers,omitempty"`
}

// A Point is a path in an image on which something will be mounted: a directory, or a file.
type Point struct {
	Path string
	File bool
}

// Open returns the store in dir, with what a former process mounted there.
func Open(dir string) (*Store, error) {
	for _, d := range subdirs {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o700); err != nil {
			return nil, fmt.Errorf("opening the store of roots: %w", err)
		}
	}
	return &Store{dir: dir}, nil
}

var subdirs = []string{"roots", "points", "layers"}

func (r *Store) layer(name string) string  { return filepath.Join(r.dir, "layers", name) }
func (r *Store) over(name string) string   { return filepath.Join(r.dir, "roots", name) }
func (r *Store) points(name string) string { return filepath.Join(r.dir, "points", name) }

func (r *Store) path(x Root) string {
	if x.Name == "" {
		return r.layer(x.Layers[0])
	}
	return r.over(x.Name)
}

// Prepare mounts what an instance of the image needs. claim is called before anything can be taken away again: it
// writes down that the root is in use. It returns the path of the root. An image that was changed since it was sealed is refused with
// glint.ErrInvalid.
func (r *Store) Prepare(img image.Sealed, points []Point, claim func(Root) error) (string, error) {
	if len(img.Layers) == 0 {
		return "", fmt.Errorf("image %s has no layers: %w", img.Digest.Short(), glint.ErrInvalid)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	x := Root{}
	for _, l := range slices.Backward(img.Layers) { // top first, as overlays want them
		x.Layers = append(x.Layers, l.Sum.Hex())
	}
	for i, l := range slices.Backward(img.Layers) {
		if err := r.mountLayer(l); err != nil {
			return "", fmt.Errorf("mounting layer %d of image %s: %w", i, img.Digest.Short(), err)
		}
	}
	slices.SortFunc(points, func(a, b Point) int { return strings.Compare(a.Path, b.Path) })
	sum := sha256.Sum256(fmt.Append(nil, x.Layers, points))
	name := hex.EncodeToString(sum[:12])
	if err := r.overlay(&x, name, points); err != nil {
		return "", fmt.Errorf("mounting the root of image %s: %w", img.Digest.Short(), err)
	}
	return r.path(x), claim(x)
}

// overlay joins layers and a generated one that holds the missing mount points. One layer that lacks none is left alone.
func (r *Store) overlay(x *Root, name string, points []Point) error {
	if mounted(r.over(name)) {
		x.Name = name
		return nil
	}
	if len(x.Layers) > 1 {
		if err := r.mountOverlay(name, x.Layers, ""); err != nil {
			return err
		}
		x.Name = name
	}
	made, err := addPoints(r.path(*x), r.points(name), points)
	if err != nil || !made {
		return err
	}
	if x.Name != "" {
		if err := unmount(r.over(name)); err != nil {
			return err
		}
	}
	x.Name = name
	return r.mountOverlay(name, x.Layers, r.points(name))
}

func (r *Store) mountOverlay(name string, layers []string, top string) error {
	var lower []string
	if top != "" {
		lower = append(lower, top)
	}
	for _, l := range layers {
		lower = append(lower, r.layer(l))
	}
	if err := os.MkdirAll(r.over(name), 0o700); err != nil {
		return err
	}
	err := unix.Mount("overlay", r.over(name), "overlay", unix.MS_RDONLY|unix.MS_NODEV|unix.MS_NOSUID, "lowerdir="+strings.Join(lower, ":"))
	if err != nil {
		return fmt.Errorf("overlay of %d layers: %w", len(lower), err)
	}
	return nil
}

// mountLayer mounts an erofs file whose content is what its name says. The bytes are summed through the same open file
// that is mounted, so that it cannot be exchanged in between.
func (r *Store) mountLayer(l image.Layer) error {
	dir := r.layer(l.Sum.Hex())
	if !l.Sum.Valid() {
		return fmt.Errorf("layer digest %q: %w", l.Sum, glint.ErrInvalid)
	}
	if mounted(dir) {
		return nil
	}
	f, err := os.Open(l.Erofs)
	if err != nil {
		return err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return err
	}
	if got := hex.EncodeToString(h.Sum(nil)); got != l.Sum.Hex() {
		return fmt.Errorf("%s was changed: its sum is %s, sealed with %s; build the image again: %w", l.Erofs, got[:12], l.Sum.Short(), glint.ErrInvalid)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	const flags = unix.MS_RDONLY | unix.MS_NODEV | unix.MS_NOSUID
	err = unix.Mount(fmt.Sprintf("/proc/self/fd/%d", f.Fd()), dir, "erofs", flags, "")
	if errors.Is(err, unix.ENOTBLK) { // kernels before 6.12 mount block devices only
		err = onLoop(f, func(device string) error { return unix.Mount(device, dir, "erofs", flags, "") })
	}
	return err
}

// onLoop puts a file behind a read-only loop device that goes with its last user, and calls mount.
func onLoop(f *os.File, mount func(device string) error) error {
	control, err := os.OpenFile("/dev/loop-control", os.O_RDWR, 0)
	if err != nil {
		return fmt.Errorf("mounting over a loop device: %w", err)
	}
	defer control.Close()
	for range 16 { // somebody else may take the number first
		n, err := unix.IoctlRetInt(int(control.Fd()), unix.LOOP_CTL_GET_FREE)
		if err != nil {
			return fmt.Errorf("finding a loop device: %w", err)
		}
		device := fmt.Sprintf("/dev/loop%d", n)
		loop, err := os.Open(device)
		if err != nil {
			return err
		}
		config := unix.LoopConfig{Fd: uint32(f.Fd())}
		config.Info.Flags = unix.LO_FLAGS_READ_ONLY | unix.LO_FLAGS_AUTOCLEAR
		err = unix.IoctlLoopConfigure(int(loop.Fd()), &config)
		if err == nil {
			err = mount(device)
		}
		loop.Close()
		if !errors.Is(err, unix.EBUSY) {
			return err
		}
	}
	return errors.New("no free loop device")
}

// mounted reports whether something is mounted at path.
func mounted(path string) bool {
	var st unix.Statx_t
	err := unix.Statx(unix.AT_FDCWD, path, unix.AT_SYMLINK_NOFOLLOW, 0, &st)
	return err == nil && st.Attributes&unix.STATX_ATTR_MOUNT_ROOT != 0
}

func unmount(path string) error {
	for mounted(path) {
		if err := unix.Unmount(path, unix.MNT_DETACH); err != nil {
			return fmt.Errorf("unmounting %s: %w", path, err)
		}
	}
	return nil
}

// Keep takes away the roots that inUse does not name.
func (r *Store) Keep(inUse func() []Root) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	names, layers := map[string]bool{}, map[string]bool{}
	if inUse != nil {
		for _, x := range inUse() {
			names[x.Name] = true
			for _, l := range x.Layers {
				layers[l] = true
			}
		}
	}
	return errors.Join(
		drop(filepath.Join(r.dir, "roots"), names), drop(filepath.Join(r.dir, "points"), names),
		drop(filepath.Join(r.dir, "layers"), layers))
}

// drop unmounts and removes what is in dir and not to be kept.
func drop(dir string, keep map[string]bool) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	var errs []error
	for _, e := range entries {
		if keep[e.Name()] {
			continue
		}
		path := filepath.Join(dir, e.Name())
		if err := unmount(path); err != nil {
			errs = append(errs, err)
			continue
		}
		errs = append(errs, os.RemoveAll(path))
	}
	return errors.Join(errs...)
}

// addPoints makes below dir what is missing in the file system at base, and reports whether anything was.
// A directory that both have is seen with the attributes of ours, so they are made the same.
func addPoints(base, dir string, points []Point) (bool, error) {
	if err := os.RemoveAll(dir); err != nil {
		return false, err
	}
	any := false
	for _, p := range points {
		at, there, err := resolve(base, p.Path)
		if err != nil {
			return false, fmt.Errorf("finding %s in the image: %w", p.Path, err)
		}
		if there {
			continue
		}
		any = true
		if err := addPoint(base, dir, at, p.File); err != nil {
			return false, fmt.Errorf("making %s: %w", p.Path, err)
		}
	}
	if !any {
		return false, nil
	}
	return true, like(base, dir)
}

func addPoint(base, dir, at string, file bool) error {
	parts := strings.Split(strings.TrimPrefix(at, "/"), "/")
	if file {
		parts = parts[:len(parts)-1]
	}
	for i := range parts {
		sub := filepath.Join(parts[:i+1]...)
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o755); err != nil {
			return err
		}
		if err := like(filepath.Join(base, sub), filepath.Join(dir, sub)); err != nil {
			return err
		}
	}
	if !file {
		return nil
	}
	return os.WriteFile(filepath.Join(dir, at), nil, 0o644)
}

// like gives a directory the owner and mode of another, where there is one.
func like(from, to string) error {
	var st unix.Stat_t
	if err := unix.Lstat(from, &st); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return os.Chmod(to, 0o755)
		}
		return err
	}
	if err := os.Lchown(to, int(st.Uid), int(st.Gid)); err != nil {
		return err
	}
	return unix.Chmod(to, st.Mode&0o7777)
}

// resolve follows path inside base as an instance would, symbolic links included, and reports whether all of it is
// there. It never leaves base.
func resolve(base, path string) (string, bool, error) {
	at, rest, there := "/", strings.Split(path, "/"), true
	for links := 0; len(rest) > 0; {
		name := rest[0]
		rest = rest[1:]
		next := filepath.Join("/", at, name) // never above "/"
		info, err := os.Lstat(filepath.Join(base, next))
		switch {
		case errors.Is(err, fs.ErrNotExist):
			there = false
		case err != nil:
			return "", false, err
		case info.Mode()&fs.ModeSymlink != 0:
			if links++; links > 40 { // the kernel's own limit: path_resolution(7)
				return "", false, unix.ELOOP
			}
			to, err := os.Readlink(filepath.Join(base, next))
			if err != nil {
				return "", false, err
			}
			if filepath.IsAbs(to) {
				at = "/"
			}
			rest = append(strings.Split(to, "/"), rest...)
			continue
		}
		at = next
	}
	return at, there, nil
}
