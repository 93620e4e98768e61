package image

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/glint-infra/glint"
)

func redis() Recipe {
	return Recipe{Name: "redis", Base: "debian:bookworm", Packages: []string{"redis-server"}, Entrypoint: []string{"/usr/bin/redis-server"}}
}

// needsMirror skips the test, visibly, when packages cannot be fetched from here.
func needsMirror(t *testing.T, err error) {
	t.Helper()
	if errors.Is(err, ErrUnreachable) {
		t.Skipf("NOT TESTED: %v", err)
	}
}

// nothingLeft asserts that no process works in dir and nothing is mounted there.
func nothingLeft(t *testing.T, dir string) {
	t.Helper()
	if left := remains(dir); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func remains(dir string) (left []string) {
	b, _ := os.ReadFile("/proc/self/mountinfo")
	for l := range strings.Lines(string(b)) {
		if strings.Contains(l, dir+"/") {
			left = append(left, l)
		}
	}
	environs, _ := filepath.Glob("/proc/[0-9]*/environ")
	for _, path := range environs {
		if b, _ := os.ReadFile(path); bytes.Contains(b, []byte("TMPDIR="+dir)) {
			name, _ := os.ReadFile(filepath.Join(filepath.Dir(path), "comm"))
			left = append(left, filepath.Base(filepath.Dir(path))+" "+string(name))
		}
	}
	return left
}

// TestSealDebian makes the same image twice, from nothing, in two places, and looks inside.
func TestSealDebian(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root to install packages")
	}
	dir := t.TempDir()
	one, two := newBuilder(t, dir), newBuilder(t, t.TempDir())
	root := t.TempDir()
	lay(t, root, map[string]string{"redis.conf": "port 6379"})
	r := redis()
	r.Layers = []glint.Digest{send(t, one, root, Copy{From: "redis.conf", To: "/etc/redis/glint.conf"})}
	send(t, two, root, Copy{From: "redis.conf", To: "/etc/redis/glint.conf"})
	s, err := one.Seal(t.Context(), r, func(p Progress) { t.Log(p.Text) })
	needsMirror(t, err)
	if err != nil {
		t.Fatal(err)
	}
	nothingLeft(t, dir)
	private(t, dir)
	old := syscall.Umask(0o077) // as the server's is; and it is no input
	defer syscall.Umask(old)
	if again := seal(t, two, r); again.Digest != s.Digest || again.Layers[0].Sum != s.Layers[0].Sum {
		t.Errorf("the same packages gave %s and %s", s.Digest, again.Digest)
		differences(t, one.Artifacts.Path(s.Layers[0].DiffID), two.Artifacts.Path(again.Layers[0].DiffID))
	}
	list, err := one.List()
	if err != nil || len(list) != 1 || len(list[0].Packages) < 20 || !slices.ContainsFunc(list[0].Packages, func(p string) bool { return strings.HasPrefix(p, "redis-server=5:7.") }) {
		t.Fatalf("%+v, %v", list, err)
	}
	t.Logf("%d packages, %s, base %s", len(list[0].Packages), megabytes(list[0].Size), s.Layers[0].DiffID.Short())
	mounted := mount(t, s.Layers[0].Erofs)
	sameAsTar(t, one.Artifacts.Path(s.Layers[0].DiffID), mounted)
	cmd := exec.Command("/usr/bin/redis-server", "--version")
	cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: mounted, Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "Redis server v=7") {
		t.Errorf("redis-server --version: %q, %v", out, err)
	}
	asAnotherTool(t, filepath.Join(dir, "artifacts"), s.Digest, "etc/redis/glint.conf")
	appChangeOnly(t, one, r, s)
}

// appChangeOnly asserts that a changed application builds only its layer, and needs no network.
func appChangeOnly(t *testing.T, b *Builder, r Recipe, before Sealed) {
	b.Mirror = "http://127.0.0.1:9/debian" // nobody is there
	root := t.TempDir()
	lay(t, root, map[string]string{"redis.conf": "port 6380"})
	r.Layers = []glint.Digest{send(t, b, root, Copy{From: "redis.conf", To: "/etc/redis/glint.conf"})}
	info, err := os.Stat(before.Layers[0].Erofs)
	if err != nil {
		t.Fatal(err)
	}
	after := seal(t, b, r)
	if same, err := os.Stat(after.Layers[0].Erofs); err != nil || !os.SameFile(info, same) || after.Digest == before.Digest {
		t.Errorf("the base was written again (%v), or the image is the same", err)
	}
	r.Refresh = true
	_, err = b.Seal(t.Context(), r, nil)
	if !errors.Is(err, ErrUnreachable) || !strings.Contains(err.Error(), "127.0.0.1:9") {
		t.Errorf("a mirror that is away is told as: %v", err)
	}
	if _, err := b.Open(after.Digest); err != nil {
		t.Errorf("a failed refresh took the image away: %v", err)
	}
	nothingLeft(t, b.temp())
}

// differences tells in which files two layers differ.
func differences(t *testing.T, one, two string) {
	out, _ := exec.Command("sh", "-c", `d=$(mktemp -d); mkdir $d/1 $d/2; tar xf "$1" -C $d/1; tar xf "$2" -C $d/2; diff -r --no-dereference $d/1 $d/2 | head -50; rm -r $d`, "sh", one, two).CombinedOutput()
	t.Logf("%s", out)
}

// sameAsTar compares what the kernel shows with what the tar says: types, modes, owners, sizes, links, contents.
func sameAsTar(t *testing.T, layer, mounted string) {
	t.Helper()
	f, err := os.Open(layer)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	n := 0
	for r := tar.NewReader(f); ; n++ {
		h, err := r.Next()
		if err != nil {
			break
		}
		path := filepath.Join(mounted, h.Name)
		info, err := os.Lstat(path)
		if err != nil {
			t.Error(err)
			continue
		}
		st := info.Sys().(*syscall.Stat_t)
		if h.Typeflag == tar.TypeLink {
			if other, err := os.Lstat(filepath.Join(mounted, h.Linkname)); err != nil || !os.SameFile(info, other) || st.Nlink < 2 {
				t.Errorf("%s and %s are not one file (%v)", h.Name, h.Linkname, err)
			}
			continue
		}
		if info.Mode() != h.FileInfo().Mode() || int(st.Uid) != h.Uid || int(st.Gid) != h.Gid || !info.ModTime().Equal(Epoch) {
			t.Errorf("%s: %v %d:%d %v", h.Name, info.Mode(), st.Uid, st.Gid, info.ModTime())
		}
		if info.Mode()&fs.ModeDevice != 0 {
			t.Errorf("%s is a device", h.Name)
		}
		switch h.Typeflag {
		case tar.TypeSymlink:
			if to, err := os.Readlink(path); err != nil || to != h.Linkname {
				t.Errorf("%s leads to %q (%v)", h.Name, to, err)
			}
		case tar.TypeReg:
			var wants bytes.Buffer
			if _, err := wants.ReadFrom(r); err != nil {
				t.Fatal(err)
			}
			if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, wants.Bytes()) {
				t.Errorf("%s: %d bytes, %v", h.Name, len(got), err)
			}
		}
	}
	if n < 500 {
		t.Errorf("only %d files", n)
	}
}

func TestSealDebianRefuses(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root to install packages")
	}
	dir := t.TempDir()
	b := newBuilder(t, dir)
	r := redis()
	r.Packages = []string{"no-such-package-as-this"}
	_, err := b.Seal(t.Context(), r, nil)
	needsMirror(t, err)
	if !errors.Is(err, glint.ErrInvalid) || !strings.Contains(err.Error(), "Debian bookworm (main) has no package no-such-package-as-this") {
		t.Errorf("a package that does not exist is told as: %v", err)
	}
	nothingLeft(t, dir)
	private(t, dir)
}

func TestSealDebianWithoutMmdebstrap(t *testing.T) {
	t.Setenv("PATH", "/nonexistent")
	_, err := newBuilder(t, t.TempDir()).Seal(t.Context(), redis(), nil)
	if err == nil || !strings.HasSuffix(err.Error(), "apt install mmdebstrap") {
		t.Errorf("a missing mmdebstrap is told as: %v", err)
	}
}

func TestSealDebianDiskFull(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root to mount a small file system")
	}
	dir := t.TempDir()
	if err := unix.Mount("glint-test", dir, "tmpfs", 0, "size=100m,mode=0700"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	_, err := newBuilder(t, dir).Seal(t.Context(), redis(), nil)
	needsMirror(t, err)
	if !errors.Is(err, unix.ENOSPC) || !strings.Contains(err.Error(), "no space left for "+dir) {
		t.Errorf("a full disk is told as: %v", err)
	}
	nothingLeft(t, dir)
	private(t, dir)
}

func TestSealDebianCancelled(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root to install packages")
	}
	dir := t.TempDir()
	b := newBuilder(t, dir)
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("the person pressed Ctrl-C")
	_, err := b.Seal(ctx, redis(), func(p Progress) {
		if strings.HasSuffix(p.Text, ": downloading") {
			cancel(why)
		}
	})
	needsMirror(t, err)
	if !errors.Is(err, why) {
		t.Errorf("cancelled: %v", err)
	}
	nothingLeft(t, dir)
	private(t, dir)
}

// TestSealDebianKilled kills the process that builds, as the kernel does when memory runs out.
func TestSealDebianKilled(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root to install packages")
	}
	if dir := os.Getenv("GLINT_TEST_BUILD_IN"); dir != "" {
		_, err := newBuilder(t, dir).Seal(t.Context(), redis(), func(p Progress) { fmt.Println("SAID", p.Text) })
		fmt.Println("SAID", err)
		return
	}
	dir := t.TempDir()
	cmd := exec.Command(os.Args[0], "-test.run=^TestSealDebianKilled$")
	cmd.Env = append(os.Environ(), "GLINT_TEST_BUILD_IN="+dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var said bytes.Buffer
	buf := make([]byte, 4096)
	for !strings.Contains(said.String(), ": installing the essential") {
		n, err := out.Read(buf)
		said.Write(buf[:n])
		if err != nil {
			if strings.Contains(said.String(), ErrUnreachable.Error()) {
				t.Skipf("NOT TESTED: %s", said.String())
			}
			t.Fatalf("the build ended early: %s", said.String())
		}
	}
	if len(remains(dir)) == 0 {
		t.Error("the test looks in the wrong place: nothing runs during the build")
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	cmd.Wait()
	for deadline := time.Now().Add(30 * time.Second); len(remains(dir)) > 0 && time.Now().Before(deadline); {
		time.Sleep(20 * time.Millisecond)
	}
	nothingLeft(t, dir)
	if half, err := os.ReadDir(filepath.Join(dir, "images", "tmp")); err != nil || len(half) == 0 {
		t.Errorf("nothing was left to clean: %v, %v", half, err)
	}
	if list, err := newBuilder(t, dir).List(); err != nil || len(list) > 0 {
		t.Errorf("half an image: %v, %v", list, err)
	}
	private(t, dir)
}

func TestExplain(t *testing.T) {
	for _, tc := range []struct {
		says string
		is   error
		tail string
	}{
		{"has no package foo, bar", glint.ErrInvalid, "E: Unable to locate package foo\nE: Package 'bar' has no installation candidate\nE: Unable to locate package foo"},
		{"has no package foo.*", glint.ErrInvalid, "E: Couldn't find any package by glob 'foo.*'"},
		{"has no package curl", glint.ErrInvalid, "E: Version '1.0' for 'curl' was not found"},
		{"Could not resolve 'deb.debian.org'", ErrUnreachable, "E: Failed to fetch http://deb.debian.org/x  Could not resolve 'deb.debian.org'"},
		{"no space left", unix.ENOSPC, "dpkg: error: cannot write: No space left on device\nE: Unable to locate package foo"},
		{"apt install debian-archive-keyring", nil, "W: GPG error: NO_PUBKEY 0E98404D386FA1D9\nE: The repository is not signed."},
		{"do not fit together", glint.ErrInvalid, "The following packages have unmet dependencies:\n  a : Depends: b\nE: Unable to correct problems"},
		{"E: something else", nil, "I: hello\nE: something else"},
		{"last words", nil, "last words"},
	} {
		err := (&Builder{Config: Config{Dir: "/"}}).explain(&failure{errors.New("exit status 25"), strings.Split(tc.tail, "\n")}, "bookworm")
		if !strings.Contains(err.Error(), tc.says) || tc.is != nil && !errors.Is(err, tc.is) {
			t.Errorf("%q is told as %v", tc.tail, err)
		}
	}
}

func TestNormaliseLeavesOutWhatDiffers(t *testing.T) {
	in := tarOf(t, folder("./"), folder("./dev/"), file("./dev/x", ""), tarEntry{tar.Header{Name: "./dev/null", Typeflag: tar.TypeChar, Mode: 0o666}, ""},
		folder("./etc/"), file("./etc/hostname", "builder"), file("./etc/resolv.conf", "nameserver 10.0.0.1"), file("./etc/machine-id", "abc"), file("./etc/shadow-", ""),
		file("./etc/apt/sources.list", "deb http://user:password@mirror/"), file("./etc/ssh/ssh_host_ed25519_key", "secret"), file("./etc/passwd", "root"),
		tarEntry{tar.Header{Name: "./usr/bin/ping", Typeflag: tar.TypeReg, Mode: 0o755, Uname: "root", ModTime: time.Now(), PAXRecords: map[string]string{"SCHILY.xattr.security.capability": "c"}}, "p"},
		hard("./usr/bin/ping2", "./usr/bin/ping"), file("./usr/lib/python3/__pycache__/a.cpython.pyc", ""), folder("./usr/lib/python3/__pycache__"), file("./usr/lib/a.pyc", ""),
		file("./usr/share/doc/a/copyright", "free"), file("./usr/share/doc/a/changelog.gz", ""), folder("./usr/share/doc/a/examples"), file("./usr/share/man/man1/a.1.gz", ""),
		file("./usr/share/locale/de/a.mo", ""), folder("./var/cache/nginx"), file("./var/cache/nginx/x", ""), folder("./var/log"), file("./var/log/dpkg.log", ""),
		file("./var/lib/dpkg/status", "Package: b\nStatus: install ok installed\nVersion: 2\n\nPackage: gone\nStatus: deinstall ok config-files\nVersion: 1\n\nPackage: a\nStatus: install ok installed\nVersion: 1:1-1\n"),
		file("./var/lib/dpkg/status-old", ""), file("./var/lib/dpkg/lock-frontend", ""), file("./tmp/x", ""))
	var out bytes.Buffer
	packages, err := normalise(tar.NewWriter(&out), tar.NewReader(bytes.NewReader(in)))
	if err != nil || !slices.Equal(packages, []string{"a=1:1-1", "b=2"}) {
		t.Errorf("packages %q, %v", packages, err)
	}
	var names []string
	for r := tar.NewReader(bytes.NewReader(out.Bytes())); ; {
		h, err := r.Next()
		if err != nil {
			break
		}
		if !h.ModTime.Equal(Epoch) || h.Uname != "" {
			t.Errorf("%s: %v, %q", h.Name, h.ModTime, h.Uname)
		}
		names = append(names, h.Name)
	}
	wants := []string{"dev/", "etc/", "etc/hostname", "etc/resolv.conf", "etc/passwd", "usr/bin/ping", "usr/bin/ping2", "usr/share/doc/a/copyright",
		"var/cache/nginx/", "var/log/", "var/lib/dpkg/status"}
	if !slices.Equal(names, append(wants, "etc/hosts")) {
		t.Errorf("kept %q", names)
	}
	if strings.Contains(out.String(), "builder") || strings.Contains(out.String(), "password") {
		t.Error("something of the building host is in the layer")
	}
}

func TestSourcesKeepToDebian(t *testing.T) {
	b := &Builder{}
	for _, l := range b.sources(t.Context(), "bookworm") {
		if !strings.HasSuffix(l, " main") || !strings.Contains(l, "/debian") {
			t.Errorf("source %q", l)
		}
	}
	b.Mirror = "http://mirror.example/debian/"
	got := strings.Join(b.sources(t.Context(), "bookworm"), "\n")
	for _, wants := range []string{"http://mirror.example/debian bookworm main", "http://mirror.example/debian bookworm-updates main", "http://mirror.example/debian-security bookworm-security main"} {
		if !strings.Contains(got, wants) {
			t.Errorf("no %q in\n%s", wants, got)
		}
	}
	for uri, wants := range map[string]bool{"http://deb.debian.org/debian/": true, "https://user:pw@mirror/x/debian-security": true, "https://apt.example.com/": false, "https://download.example.com/linux/debian-x": false, "::": false} {
		if isDebian(uri) != wants {
			t.Errorf("isDebian(%q) is %t", uri, !wants)
		}
	}
}
