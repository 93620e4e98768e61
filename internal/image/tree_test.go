package image

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/erofs/go-erofs"
	"golang.org/x/sys/unix"
	"pgregory.net/rapid"

	"github.com/glint-infra/glint"
)

// tarOf makes a tar of headers and their contents.
func tarOf(t testing.TB, entries ...tarEntry) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, e := range entries {
		e.h.Size = int64(len(e.content))
		if e.h.Format == 0 {
			e.h.Format = tar.FormatPAX
		}
		if e.h.ModTime.IsZero() {
			e.h.ModTime = Epoch
		}
		if err := w.WriteHeader(&e.h); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, e.content); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

type tarEntry struct {
	h       tar.Header
	content string
}

func file(name, content string) tarEntry {
	return tarEntry{tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o644}, content}
}

func folder(name string) tarEntry {
	return tarEntry{tar.Header{Name: name, Typeflag: tar.TypeDir, Mode: 0o755}, ""}
}

func link(name, to string) tarEntry {
	return tarEntry{tar.Header{Name: name, Typeflag: tar.TypeSymlink, Linkname: to, Mode: 0o777}, ""}
}

func hard(name, to string) tarEntry {
	return tarEntry{tar.Header{Name: name, Typeflag: tar.TypeLink, Linkname: to}, ""}
}

// erofsOf seals a tar into an erofs file.
func erofsOf(t testing.TB, b []byte) string {
	t.Helper()
	tree, err := readTree(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(filepath.Join(t.TempDir(), "layer.erofs"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := writeErofs(f, tree, bytes.NewReader(b)); err != nil {
		t.Fatal(err)
	}
	return f.Name()
}

// mount shows an erofs file through the kernel until the test ends.
func mount(t *testing.T, file string) string {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("needs root to mount")
	}
	if out, err := exec.Command("fsck.erofs", file).CombinedOutput(); err != nil && !errors.Is(err, exec.ErrNotFound) {
		t.Errorf("fsck.erofs: %v\n%s", err, out)
	}
	dir := t.TempDir()
	// A mount of a plain file, without a loop device, is what the local platform does where the kernel can (6.12).
	err := unix.Mount(file, dir, "erofs", unix.MS_RDONLY, "")
	if errors.Is(err, unix.ENOTBLK) {
		if out, err := exec.Command("mount", "-t", "erofs", "-o", "ro,loop", file, dir).CombinedOutput(); err != nil {
			t.Fatalf("mounting with a loop device: %v\n%s", err, out)
		}
	} else if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
		if b, err := os.ReadFile("/proc/self/mountinfo"); err != nil || strings.Contains(string(b), dir) {
			t.Errorf("%s is still mounted (%v)", dir, err)
		}
	})
	return dir
}

func TestErofsIsWhatTheTarSays(t *testing.T) {
	capability := "\x01\x00\x00\x02\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
	big := strings.Repeat("0123456789abcdef", 5000)
	set := func(e tarEntry, change func(*tar.Header)) tarEntry {
		change(&e.h)
		return e
	}
	entries := []tarEntry{
		set(folder("./"), func(h *tar.Header) { h.Mode = 0o750 }),
		folder("usr/"), folder("usr/bin/"),
		set(file("usr/bin/ping", "ping"), func(h *tar.Header) {
			h.Mode = 0o755
			h.PAXRecords = map[string]string{"SCHILY.xattr.security.capability": capability, "SCHILY.xattr.user.note": "hello"}
		}),
		set(file("usr/bin/su", "su"), func(h *tar.Header) { h.Mode = 0o4755 }),
		set(folder("tmp"), func(h *tar.Header) { h.Mode = 0o1777 }),
		set(file("srv/owned", "mine"), func(h *tar.Header) { h.Mode, h.Uid, h.Gid = 0o2640, 1000, 70000 }),
		set(file("srv/old", "then"), func(h *tar.Header) { h.ModTime = time.Unix(1_000_000_000, 0) }),
		file("srv/empty", ""), file("srv/big", big), hard("srv/big-too", "srv/big"), hard("a/first", "srv/big"),
		link("bin", "usr/bin"), link("srv/dangling", "../nowhere"), hard("srv/dangling-too", "srv/dangling"),
		{tar.Header{Name: "srv/fifo", Typeflag: tar.TypeFifo, Mode: 0o600}, ""},
		file("srv/.wh.hidden", ""), folder("opaque"), file("opaque/.wh..wh..opq", ""),
		file("srv/twice", "first"), file("srv/twice", "second"),
	}
	for i := range 400 { // a directory of many blocks
		entries = append(entries, file("many/"+strings.Repeat("n", i%100)+string(rune('a'+i/100)), "x"))
	}
	entries = append(entries, hard("many/zz-link", "many/a"))
	dir := mount(t, erofsOf(t, tarOf(t, entries...)))

	for name, wants := range map[string]string{
		".": "drwxr-x--- 0:0", "usr/bin/ping": "-rwxr-xr-x 0:0", "usr/bin/su": "urwxr-xr-x 0:0", "tmp": "dtrwxrwxrwx 0:0",
		"srv/owned": "grw-r----- 1000:70000", "srv/empty": "-rw-r--r-- 0:0", "bin": "Lrwxrwxrwx 0:0", "srv/fifo": "prw------- 0:0",
		"srv/hidden": "Dc--------- 0:0", "srv/dangling-too": "Lrwxrwxrwx 0:0", "a": "drwxr-xr-x 0:0",
	} {
		info, err := os.Lstat(filepath.Join(dir, name))
		if err != nil {
			t.Error(err)
			continue
		}
		st := info.Sys().(*syscall.Stat_t)
		if got := strings.TrimSpace(info.Mode().String() + " " + owner(st)); got != wants {
			t.Errorf("%s: %s; want %s", name, got, wants)
		}
	}
	for name, wants := range map[string]string{"usr/bin/ping": "ping", "bin/su": "su", "srv/big": big, "srv/big-too": big, "a/first": big,
		"srv/twice": "second", "srv/old": "then", "many/zz-link": "x", "srv/empty": ""} {
		if got, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(got) != wants {
			t.Errorf("%s: %d bytes, %v", name, len(got), err)
		}
	}
	sameInode(t, 3, filepath.Join(dir, "srv/big"), filepath.Join(dir, "srv/big-too"), filepath.Join(dir, "a/first"))
	sameInode(t, 2, filepath.Join(dir, "srv/dangling"), filepath.Join(dir, "srv/dangling-too"))
	sameInode(t, 2, filepath.Join(dir, "many/a"), filepath.Join(dir, "many/zz-link"))
	for _, x := range [][3]string{{"usr/bin/ping", "security.capability", capability}, {"usr/bin/ping", "user.note", "hello"}, {"opaque", opaqueXattr, "y"}} {
		b := make([]byte, 100)
		n, err := unix.Lgetxattr(filepath.Join(dir, x[0]), x[1], b)
		if err != nil || string(b[:n]) != x[2] {
			t.Errorf("%s of %s: %q, %v", x[1], x[0], b[:max(n, 0)], err)
		}
	}
	if to, err := os.Readlink(filepath.Join(dir, "srv/dangling")); err != nil || to != "../nowhere" {
		t.Errorf("link: %q, %v", to, err)
	}
	if info, err := os.Stat(filepath.Join(dir, "srv/old")); err != nil || info.ModTime().Unix() != 1_000_000_000 {
		t.Errorf("mtime: %v, %v", info, err)
	}
	if list, err := os.ReadDir(filepath.Join(dir, "many")); err != nil || len(list) != 401 {
		t.Errorf("many: %d entries, %v", len(list), err)
	}
	if err := os.WriteFile(filepath.Join(dir, "new"), nil, 0o600); !errors.Is(err, unix.EROFS) {
		t.Errorf("writing: %v; want a read-only file system", err)
	}
}

func owner(st *syscall.Stat_t) string {
	return fmt.Sprintf("%d:%d", st.Uid, st.Gid)
}

func sameInode(t *testing.T, links uint64, names ...string) {
	t.Helper()
	var ino uint64
	for i, name := range names {
		info, err := os.Lstat(name)
		if err != nil {
			t.Fatal(err)
		}
		st := info.Sys().(*syscall.Stat_t)
		if i > 0 && st.Ino != ino || uint64(st.Nlink) != links {
			t.Errorf("%s: inode %d with %d links; want %d with %d", name, st.Ino, st.Nlink, ino, links)
		}
		ino = st.Ino
	}
}

func TestErofsSameBytes(t *testing.T) {
	b := tarOf(t, folder("b"), file("b/x", "x"), hard("a", "b/x"), link("c", "a"))
	first, err := os.ReadFile(erofsOf(t, b))
	if err != nil {
		t.Fatal(err)
	}
	for range 5 {
		again, err := os.ReadFile(erofsOf(t, b))
		if err != nil || !bytes.Equal(first, again) {
			t.Fatalf("the same tar gave another erofs file (%v)", err)
		}
	}
}

func TestTreeRefuses(t *testing.T) {
	for _, tc := range []struct {
		says    string
		entries []tarEntry
	}{
		{"leads upwards", []tarEntry{file("../etc/passwd", "")}},
		{"leads upwards", []tarEntry{file("a/../../etc/passwd", "")}},
		{"not a folder", []tarEntry{link("a", "/etc"), file("a/passwd", "")}},
		{"not a folder", []tarEntry{file("a", ""), file("a/b", "")}},
		{"not a file of this layer", []tarEntry{hard("a", "/etc/passwd")}},
		{"not a file of this layer", []tarEntry{folder("a"), hard("b", "a")}},
		{"leads upwards", []tarEntry{hard("a", "../x")}},
		{"is a device", []tarEntry{{tar.Header{Name: "sda", Typeflag: tar.TypeBlock}, ""}}},
		{"is a device", []tarEntry{{tar.Header{Name: "null", Typeflag: tar.TypeChar}, ""}}},
		{"root is not a folder", []tarEntry{file(".", "")}},
		{"whiteout of nothing", []tarEntry{file("a/.wh.", "")}},
		{"whiteout of nothing", []tarEntry{file("a/.wh...", "")}},
		{"longer than 255", []tarEntry{file(strings.Repeat("n", 256), "")}},
		{"longer than 4096", []tarEntry{file(strings.Repeat("n/", 2100)+"n", "")}},
		{"not for layers", []tarEntry{{tar.Header{Name: "a", Typeflag: tar.TypeReg, PAXRecords: map[string]string{"SCHILY.xattr.trusted.overlay.redirect": "/"}}, ""}}},
		{"more than 32768 bytes", []tarEntry{{tar.Header{Name: "a", Typeflag: tar.TypeReg, PAXRecords: map[string]string{"SCHILY.xattr.user.a": strings.Repeat("v", 40000)}}, ""}}},
	} {
		_, err := readTree(bytes.NewReader(tarOf(t, tc.entries...)))
		if !errors.Is(err, glint.ErrInvalid) || !strings.Contains(err.Error(), tc.says) {
			t.Errorf("%s: %v; want %q", tc.entries[0].h.Name, err, tc.says)
		}
	}
	half := tarOf(t, file("a", strings.Repeat("x", 5000)))
	if _, err := readTree(bytes.NewReader(half[:2000])); !errors.Is(err, glint.ErrInvalid) {
		t.Errorf("half a tar: %v", err)
	}
}

// FuzzTree feeds bytes that claim to be a layer. Whatever is accepted must seal, and the seal must hold the same names.
func FuzzTree(f *testing.F) {
	f.Add(tarOf(f, folder("a"), file("a/b", "content"), link("c", "a/b"), hard("d", "a/b"), file("a/.wh.x", ""), file("a/.wh..wh..opq", "")))
	f.Add(tarOf(f, file("/../x", "")))
	f.Add([]byte("not a tar"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 1<<16 {
			return
		}
		tree, err := readTree(bytes.NewReader(b))
		if err != nil {
			if !errors.Is(err, glint.ErrInvalid) {
				t.Errorf("%v does not wrap glint.ErrInvalid", err)
			}
			return
		}
		out, err := os.CreateTemp(t.TempDir(), "")
		if err != nil {
			t.Fatal(err)
		}
		defer out.Close()
		if err := writeErofs(out, tree, bytes.NewReader(b)); err != nil {
			t.Fatal(err)
		}
		sameNames(t, tree, out)
	})
}

func sameNames(t *testing.T, tree *tree, out *os.File) {
	img, err := erofs.Open(out)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	err = fs.WalkDir(img, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		n++
		if in := tree.find(name); in == nil || in.mode.Type() != d.Type() {
			t.Errorf("%q is not what the tar says", name)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	if wants := names(tree.root); n != wants {
		t.Errorf("%d names in the seal, %d in the tar", n, wants)
	}
}

func names(in *inode) int {
	n := 1
	for _, child := range in.children {
		n += names(child)
	}
	return n
}

// TestWhiteoutsHide puts a layer with OCI whiteouts over another, as the local platform does.
func TestWhiteoutsHide(t *testing.T) {
	lower := mount(t, erofsOf(t, tarOf(t, file("keep", "low"), file("gone", ""), file("dir/gone", ""), file("dir/keep", ""), file("closed/gone", ""))))
	upper := mount(t, erofsOf(t, tarOf(t, file(".wh.gone", ""), file("dir/.wh.gone", ""), file("closed/new", ""), file("closed/.wh..wh..opq", ""), file("added", ""))))
	dir := t.TempDir()
	if err := unix.Mount("overlay", dir, "overlay", unix.MS_RDONLY, "lowerdir="+upper+":"+lower); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	var got []string
	err := fs.WalkDir(os.DirFS(dir), ".", func(name string, d fs.DirEntry, err error) error {
		got = append(got, name)
		return err
	})
	if wants := ". added closed closed/new dir dir/keep keep"; err != nil || strings.Join(got, " ") != wants {
		t.Errorf("seen %q (%v); want %q", got, err, wants)
	}
}

// TestSealHoldsTheTree makes layers of entries that get in each other's way. What is accepted is sealed as it is.
func TestSealHoldsTheTree(t *testing.T) {
	name := rapid.StringMatching(`(\./|/)?[ab](/[abc]){0,2}|[ab]/(\.wh\.[ab]|\.wh\.\.wh\.\.opq)`)
	entry := rapid.Custom(func(t *rapid.T) tarEntry {
		switch rapid.IntRange(0, 4).Draw(t, "kind") {
		case 0:
			return folder(name.Draw(t, "folder"))
		case 1:
			return link(name.Draw(t, "link"), name.Draw(t, "to"))
		case 2:
			return hard(name.Draw(t, "hard"), name.Draw(t, "to"))
		default:
			return file(name.Draw(t, "file"), strings.Repeat("x", rapid.SampledFrom([]int{0, 1, 4000, 4096, 9000}).Draw(t, "size")))
		}
	})
	rapid.Check(t, func(rt *rapid.T) {
		b := tarOf(t, rapid.SliceOfN(entry, 0, 12).Draw(rt, "entries")...)
		tree, err := readTree(bytes.NewReader(b))
		if err != nil {
			if !errors.Is(err, glint.ErrInvalid) {
				rt.Fatalf("%v does not wrap glint.ErrInvalid", err)
			}
			return
		}
		out, err := os.CreateTemp(t.TempDir(), "")
		if err != nil {
			rt.Fatal(err)
		}
		defer out.Close()
		if err := writeErofs(out, tree, bytes.NewReader(b)); err != nil {
			rt.Fatal(err)
		}
		sameNames(t, tree, out)
	})
}
