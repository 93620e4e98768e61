package image

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"golang.org/x/sys/unix"

	"github.com/glint-infra/glint"
	"github.com/glint-infra/glint/internal/artifact"
)

// newBuilder opens the images and the artifacts in dir.
func newBuilder(t testing.TB, dir string) *Builder {
	t.Helper()
	store, err := artifact.Open(filepath.Join(dir, "artifacts"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	b, err := NewBuilder(Config{Dir: filepath.Join(dir, "images"), Artifacts: store})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// send packs copies from root and gives the layer to the builder, as a client does.
func send(t testing.TB, b *Builder, root string, copies ...Copy) glint.Digest {
	t.Helper()
	var buf bytes.Buffer
	packed, err := Pack(&buf, root, copies)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Artifacts.Put(context.Background(), packed.DiffID, &buf); err != nil {
		t.Fatal(err)
	}
	return packed.DiffID
}

func seal(t testing.TB, b *Builder, r Recipe) Sealed {
	t.Helper()
	s, err := b.Seal(context.Background(), r, func(p Progress) { t.Logf("%s: %s", p.Image, p.Text) })
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func webRecipe(t testing.TB, b *Builder, version string) Recipe {
	t.Helper()
	root := t.TempDir()
	lay(t, root, map[string]string{"bin/web*": version})
	return Recipe{Name: "web", Base: "scratch", Layers: []glint.Digest{send(t, b, root, Copy{From: "bin/web", To: "/web"})},
		Entrypoint: []string{"/web"}, Env: map[string]string{"B": "2=two", "A": "1"}}
}

func TestSealScratch(t *testing.T) {
	dir := t.TempDir()
	b := newBuilder(t, dir)
	r := webRecipe(t, b, "v1")
	s := seal(t, b, r)
	// A change of this digest replaces every running instance: raise recipeFormat and say so in the release notes.
	if got, wants := r.Digest().Short(), "ab02d4ae31be"; got != wants {
		t.Errorf("recipe digest %s; want %s", got, wants)
	}
	if runtime.GOARCH == "amd64" && s.Digest.Short() != "e064505c6359" {
		t.Errorf("image digest %s", s.Digest.Short())
	}
	if len(s.Layers) != 1 || s.Layers[0].DiffID != r.Layers[0] || s.WorkDir != "/" || s.Entrypoint[0] != "/web" || s.Env["A"] != "1" || s.Env["B"] != "2=two" {
		t.Errorf("sealed %+v", s)
	}
	mounted := mount(t, s.Layers[0].Erofs)
	if got, err := os.ReadFile(filepath.Join(mounted, "web")); err != nil || string(got) != "v1" {
		t.Errorf("/web is %q, %v", got, err)
	}
	if err := b.Verify(t.Context(), s.Digest); err != nil {
		t.Error(err)
	}
	private(t, dir)

	asAnotherTool(t, filepath.Join(dir, "artifacts"), s.Digest, "web")
}

// asAnotherTool reads an image out of the store with a library that knows nothing of Glint.
func asAnotherTool(t *testing.T, store string, d glint.Digest, file string) {
	t.Helper()
	path, err := layout.FromPath(store)
	if err != nil {
		t.Fatal(err)
	}
	hash, err := v1.NewHash(string(d))
	if err != nil {
		t.Fatal(err)
	}
	img, err := path.Image(hash)
	if err != nil {
		t.Fatal(err)
	}
	if config, err := img.ConfigFile(); err != nil || config.OS != "linux" || len(config.Config.Entrypoint) == 0 {
		t.Errorf("configuration %+v, %v", config, err)
	}
	unpacked := mutate.Extract(img)
	defer unpacked.Close()
	for r := tar.NewReader(unpacked); ; {
		h, err := r.Next()
		if err != nil {
			t.Fatalf("%s is not in the image: %v", file, err)
		}
		if h.Name == file {
			return
		}
	}
}

// private asserts that nobody else may read what is kept, and that what never changes cannot be written.
func private(t *testing.T, dir string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		wants := fs.FileMode(0o600)
		switch {
		case d.IsDir():
			wants = 0o700
		case strings.HasSuffix(path, ".erofs") || strings.Contains(path, "/blobs/"):
			wants = 0o400
		}
		if info.Mode().Perm() != wants {
			t.Errorf("%s has mode %v; want %v", path, info.Mode(), wants)
		}
		if strings.Contains(strings.TrimPrefix(path, dir), "/tmp/") {
			t.Errorf("%s was left behind", path)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

func TestSealUnchangedBuildsNothing(t *testing.T) {
	dir := t.TempDir()
	b := newBuilder(t, dir)
	r := webRecipe(t, b, "v1")
	s := seal(t, b, r)
	before, err := os.Stat(s.Layers[0].Erofs)
	if err != nil {
		t.Fatal(err)
	}
	r.Name = "another-name"
	var said []string
	again, err := newBuilder(t, dir).Seal(t.Context(), r, func(p Progress) { said = append(said, p.Text) })
	if err != nil || again.Digest != s.Digest {
		t.Fatalf("%+v, %v", again, err)
	}
	after, err := os.Stat(s.Layers[0].Erofs)
	if err != nil || !os.SameFile(before, after) {
		t.Errorf("the layer was written again (%v)", err)
	}
	if len(said) != 1 || !strings.HasPrefix(said[0], "unchanged") {
		t.Errorf("said %q", said)
	}
	refreshed := r
	refreshed.Refresh = true
	if got := seal(t, b, refreshed); got.Digest != s.Digest {
		t.Errorf("a refresh of the same inputs gave %s", got.Digest)
	}
}

func TestSealAnywhereIsTheSame(t *testing.T) {
	one, two := newBuilder(t, t.TempDir()), newBuilder(t, t.TempDir())
	a, b := seal(t, one, webRecipe(t, one, "v1")), seal(t, two, webRecipe(t, two, "v1"))
	if a.Digest != b.Digest || a.Layers[0].Sum != b.Layers[0].Sum {
		t.Errorf("two builders, two images: %+v, %+v", a, b)
	}
	if c := seal(t, two, webRecipe(t, two, "v2")); c.Digest == a.Digest {
		t.Error("another program, the same digest")
	}
}

func TestSealRefuses(t *testing.T) {
	b := newBuilder(t, t.TempDir())
	layerOf := func(entries ...tarEntry) glint.Digest {
		d, _, err := b.Artifacts.Add(t.Context(), bytes.NewReader(tarOf(t, entries...)))
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	lower := layerOf(folder("usr/lib"), link("lib", "usr/lib"), file("etc/x", ""))
	for _, tc := range []struct {
		says string
		err  error
		r    Recipe
	}{
		{"want \"scratch\"", glint.ErrInvalid, Recipe{Base: "alpine"}},
		{"not among the suites", glint.ErrInvalid, Recipe{Base: "debian:potato"}},
		{"packages need a distribution", glint.ErrInvalid, Recipe{Base: "scratch", Packages: []string{"curl"}}},
		{"not the name of a Debian package", glint.ErrInvalid, Recipe{Base: "debian:bookworm", Packages: []string{"curl,wget"}}},
		{"not the name of a Debian package", glint.ErrInvalid, Recipe{Base: "debian:bookworm", Packages: []string{"--hook=x"}}},
		{"not the name of a Debian package", glint.ErrInvalid, Recipe{Base: "debian:bookworm", Packages: []string{"./x.deb"}}},
		{"not a digest", glint.ErrInvalid, Recipe{Base: "scratch", Layers: []glint.Digest{"x"}}},
		{"environment variable", glint.ErrInvalid, Recipe{Base: "scratch", Env: map[string]string{"A=B": ""}}},
		{"NUL", glint.ErrInvalid, Recipe{Base: "scratch", Entrypoint: []string{"/a\x00b"}}},
		{"not found", glint.ErrNotFound, Recipe{Base: "scratch", Layers: []glint.Digest{glint.DigestOf([]byte("never sent"))}}},
		{"leads upwards", glint.ErrInvalid, Recipe{Base: "scratch", Layers: []glint.Digest{layerOf(file("../x", ""))}}},
		{"/lib is a link to usr/lib in the base; copy to /usr/lib", glint.ErrInvalid, Recipe{Base: "scratch", Layers: []glint.Digest{lower, layerOf(file("lib/x.so", ""))}}},
		{"/usr would hide", glint.ErrInvalid, Recipe{Base: "scratch", Layers: []glint.Digest{lower, layerOf(file("usr", ""))}}},
		{"/etc/x would hide", glint.ErrInvalid, Recipe{Base: "scratch", Layers: []glint.Digest{lower, layerOf(folder("etc/x"))}}},
	} {
		tc.r.Name = "bad"
		_, err := b.Seal(t.Context(), tc.r, nil)
		if !errors.Is(err, tc.err) || !strings.Contains(err.Error(), tc.says) || !strings.HasPrefix(err.Error(), "sealing image bad: ") {
			t.Errorf("%+v: %v; want %q", tc.r, err, tc.says)
		}
	}
	if list, err := b.List(); err != nil || len(list) != 0 {
		t.Errorf("refused recipes became images: %v, %v", list, err)
	}
}

func TestOpenWantsEveryPart(t *testing.T) {
	for _, part := range []string{"manifest", "config", "layer", "erofs", "record"} {
		t.Run(part, func(t *testing.T) {
			b := newBuilder(t, t.TempDir())
			r := webRecipe(t, b, "v1")
			s := seal(t, b, r)
			m, _, err := b.describe(s.Digest)
			if err != nil {
				t.Fatal(err)
			}
			path := map[string]string{"manifest": b.Artifacts.Path(s.Digest), "config": b.Artifacts.Path(glint.Digest(m.Config.Digest)),
				"layer": b.Artifacts.Path(r.Layers[0]), "erofs": s.Layers[0].Erofs, "record": b.record("erofs", r.Layers[0])}[part]
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
			if got, err := b.Open(s.Digest); !errors.Is(err, glint.ErrNotFound) {
				t.Errorf("%+v, %v; want glint.ErrNotFound", got, err)
			}
			if part == "layer" { // a client has to send it again
				webRecipe(t, b, "v1")
			}
			if got := seal(t, b, r); got.Digest != s.Digest {
				t.Errorf("mended into %s", got.Digest)
			}
			if err := b.Verify(t.Context(), s.Digest); err != nil {
				t.Error(err)
			}
		})
	}
	b := newBuilder(t, t.TempDir())
	if _, err := b.Open(glint.DigestOf(nil)); !errors.Is(err, glint.ErrNotFound) {
		t.Errorf("%v; want glint.ErrNotFound", err)
	}
}

func TestVerifyNoticesAnyChange(t *testing.T) {
	for _, part := range []string{"layer", "erofs"} {
		b := newBuilder(t, t.TempDir())
		s := seal(t, b, webRecipe(t, b, "v1"))
		path := map[string]string{"layer": b.Artifacts.Path(s.Layers[0].DiffID), "erofs": s.Layers[0].Erofs}[part]
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		text[len(text)/2] ^= 1
		if err := errors.Join(os.Chmod(path, 0o600), os.WriteFile(path, text, 0o600)); err != nil {
			t.Fatal(err)
		}
		if err := b.Verify(t.Context(), s.Digest); !errors.Is(err, glint.ErrInvalid) || !strings.Contains(err.Error(), "was changed on disk") {
			t.Errorf("%s: %v", part, err)
		}
	}
}

func TestListAndRemove(t *testing.T) {
	dir := t.TempDir()
	b := newBuilder(t, dir)
	shared := webRecipe(t, b, "v1")
	other := shared
	other.Name, other.Entrypoint = "other", []string{"/web", "--other"}
	one, two := seal(t, b, shared), seal(t, b, other)
	list, err := b.List()
	if err != nil || len(list) != 2 {
		t.Fatalf("%v, %v", list, err)
	}
	for _, info := range list {
		if info.Size < 512 || info.Built.IsZero() || info.Inputs != info.Recipe.Digest() || len(info.Layers) != 1 {
			t.Errorf("%+v", info)
		}
	}
	if err := b.Remove(t.Context(), one.Digest); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Open(one.Digest); !errors.Is(err, glint.ErrNotFound) {
		t.Errorf("removed: %v", err)
	}
	if err := b.Verify(t.Context(), two.Digest); err != nil {
		t.Errorf("a layer of another image went too: %v", err)
	}
	for range 2 { // twice is not an error
		if err := b.Remove(t.Context(), two.Digest); err != nil {
			t.Fatal(err)
		}
	}
	if left, err := filepath.Glob(filepath.Join(dir, "*", "*", "*")); err != nil || len(left) > 1 { // blobs/sha256
		t.Errorf("left behind: %v, %v", left, err)
	}
	if left, err := os.ReadDir(filepath.Join(dir, "artifacts", "blobs", "sha256")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	if err := b.Remove(t.Context(), glint.DigestOf(nil)); err != nil {
		t.Error(err)
	}
}

func TestSealDiskFull(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root to mount a small file system")
	}
	dir := t.TempDir()
	if err := unix.Mount("glint-test", dir, "tmpfs", 0, "size=3m,mode=0700"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	b := newBuilder(t, dir)
	r := webRecipe(t, b, strings.Repeat("x", 2_000_000)) // fits once, as a layer, but not twice
	_, err := b.Seal(t.Context(), r, nil)
	if !errors.Is(err, unix.ENOSPC) || !strings.Contains(err.Error(), "no space left for "+dir) {
		t.Errorf("a full disk is told as: %v", err)
	}
	private(t, dir)
	if list, err := b.List(); err != nil || len(list) > 0 {
		t.Errorf("half an image: %v, %v", list, err)
	}
	if err := unix.Mount("glint-test", dir, "tmpfs", unix.MS_REMOUNT, "size=20m,mode=0700"); err != nil {
		t.Fatal(err)
	}
	seal(t, b, r)
}

func TestBuilderDropsStrays(t *testing.T) {
	dir := t.TempDir()
	b := newBuilder(t, dir)
	s := seal(t, b, webRecipe(t, b, "v1"))
	strays := []string{filepath.Join(b.temp(), "build-1", "rootfs", "x"), b.erofsPath(glint.DigestOf(nil)), b.record("erofs", glint.DigestOf(nil))}
	for _, path := range strays {
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte("{}"), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	b = newBuilder(t, dir)
	for _, path := range strays {
		if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s is still there (%v)", path, err)
		}
	}
	if err := b.Verify(t.Context(), s.Digest); err != nil {
		t.Error(err)
	}
}
