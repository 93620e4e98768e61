package artifact_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/iotest"

	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sys/unix"
	"pgregory.net/rapid"

	"github.com/glint-infra/glint"
	"github.com/glint-infra/glint/internal/artifact"
)

func open(t *testing.T, dir string) *artifact.Store {
	t.Helper()
	s, err := artifact.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// files lists every file under dir, and asserts that nobody else may read any of it.
func files(t *testing.T, dir string) []string {
	t.Helper()
	var names []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if info.Mode().Perm()&0o077 != 0 && path != dir {
			t.Errorf("%s has mode %v", path, info.Mode())
		}
		if !d.IsDir() {
			rel, _ := filepath.Rel(dir, path)
			names = append(names, rel)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func TestStoreKeepsWhatItIsGiven(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	rapid.Check(t, func(rt *rapid.T) {
		content := rapid.SliceOfN(rapid.Byte(), 0, 5000).Draw(rt, "content")
		d := glint.DigestOf(content)
		if rapid.Bool().Draw(rt, "put") {
			if err := s.Put(t.Context(), d, iotest.OneByteReader(bytes.NewReader(content))); err != nil {
				rt.Fatal(err)
			}
		} else if got, n, err := s.Add(t.Context(), bytes.NewReader(content)); err != nil || got != d || n != int64(len(content)) {
			rt.Fatalf("Add: %s, %d, %v; want %s", got, n, err, d)
		}
		if n, err := s.Size(d); err != nil || n != int64(len(content)) || !s.Has(d) {
			rt.Fatalf("size %d, %v", n, err)
		}
		if got, err := s.Read(d, 5000); err != nil || !bytes.Equal(got, content) {
			rt.Fatalf("read %q, %v", got, err)
		}
		if err := s.Verify(t.Context(), d); err != nil {
			rt.Fatal(err)
		}
	})
	files(t, dir)
}

func TestStoreRefuses(t *testing.T) {
	content := []byte("the bytes")
	good := glint.DigestOf(content)
	stopped, stop := context.WithCancelCause(t.Context())
	stop(errors.New("the client went away"))
	broken := errors.New("connection reset")
	for _, tc := range []struct {
		name   string
		ctx    context.Context
		digest glint.Digest
		r      io.Reader
		limit  int64
		wants  error
		says   string
	}{
		{"another content", t.Context(), glint.DigestOf([]byte("other")), bytes.NewReader(content), 100, glint.ErrInvalid, "send it again"},
		{"half a content", t.Context(), good, bytes.NewReader(content[:4]), 100, glint.ErrInvalid, "4 bytes"},
		{"too much", t.Context(), good, bytes.NewReader(content), 8, glint.ErrInvalid, "limit of 8B"},
		{"a broken source", t.Context(), good, io.MultiReader(bytes.NewReader(content[:3]), iotest.ErrReader(broken)), 100, broken, "reset"},
		{"a cancelled context", stopped, good, bytes.NewReader(content), 100, nil, "the client went away"},
		{"no digest", t.Context(), "latest", bytes.NewReader(content), 100, glint.ErrInvalid, "want sha256"},
		{"a path", t.Context(), "sha256:../../../../etc/passwd", bytes.NewReader(content), 100, glint.ErrInvalid, "want sha256"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dir := t.TempDir()
			s := open(t, dir)
			s.Limit = tc.limit
			err := s.Put(tc.ctx, tc.digest, tc.r)
			if err == nil || tc.wants != nil && !errors.Is(err, tc.wants) || !strings.Contains(err.Error(), tc.says) {
				t.Errorf("error %v; want %v saying %q", err, tc.wants, tc.says)
			}
			if got := files(t, dir); len(got) != 3 {
				t.Errorf("left behind: %v", got)
			}
		})
	}
}

func TestStoreMissing(t *testing.T) {
	s := open(t, t.TempDir())
	d := glint.DigestOf(nil)
	_, sizeErr := s.Size(d)
	_, getErr := s.Get(d)
	for _, err := range []error{sizeErr, getErr, s.Verify(t.Context(), d)} {
		if !errors.Is(err, glint.ErrNotFound) {
			t.Errorf("%v; want glint.ErrNotFound", err)
		}
	}
	if err := s.Remove(d); err != nil {
		t.Error(err)
	}
}

func TestStoreNoticesDamage(t *testing.T) {
	s := open(t, t.TempDir())
	d, _, err := s.Add(t.Context(), strings.NewReader("whole"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(s.Path(d), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(s.Path(d), []byte("whale"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.Verify(t.Context(), d); !errors.Is(err, glint.ErrInvalid) {
		t.Errorf("Verify: %v", err)
	}
	if _, err := s.Read(d, 100); !errors.Is(err, glint.ErrInvalid) {
		t.Errorf("Read: %v", err)
	}
}

func TestStoreSurvivesACrash(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	d, _, err := s.Add(t.Context(), strings.NewReader("kept"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "tmp", "blob-123"), []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	again := open(t, dir)
	if got := files(t, dir); len(got) != 4 || !again.Has(d) {
		t.Errorf("after a restart: %v", got)
	}
}

func TestStoreIndex(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	manifest, n, err := s.Add(t.Context(), strings.NewReader(`{}`))
	if err != nil {
		t.Fatal(err)
	}
	for _, tag := range []string{"one", "two"} {
		m := ocispec.Descriptor{MediaType: ocispec.MediaTypeImageManifest, Digest: digest.Digest(manifest), Size: n,
			Annotations: map[string]string{ocispec.AnnotationRefName: tag}}
		if err := s.List(m); err != nil {
			t.Fatal(err)
		}
	}
	path, err := layout.FromPath(dir) // another tool's reader
	if err != nil {
		t.Fatal(err)
	}
	index, err := path.ImageIndex()
	if err != nil {
		t.Fatal(err)
	}
	read, err := index.IndexManifest()
	if err != nil || len(read.Manifests) != 1 || read.Manifests[0].Annotations[ocispec.AnnotationRefName] != "two" {
		t.Errorf("index: %+v, %v", read, err)
	}
	if err := s.Unlist(manifest); err != nil {
		t.Fatal(err)
	}
	if ms, err := open(t, dir).Manifests(); err != nil || len(ms) != 0 || !s.Has(manifest) {
		t.Errorf("after Unlist: %v, %v", ms, err)
	}
}

func TestStoreRefusesABrokenIndex(t *testing.T) {
	dir := t.TempDir()
	open(t, dir)
	if err := os.WriteFile(filepath.Join(dir, "index.json"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := artifact.Open(dir); !errors.Is(err, glint.ErrInvalid) {
		t.Errorf("%v; want glint.ErrInvalid", err)
	}
}

func TestStoreAtOnce(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	content := bytes.Repeat([]byte("glint"), 100_000)
	d := glint.DigestOf(content)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			if err := s.Put(context.Background(), d, bytes.NewReader(content)); err != nil {
				t.Error(err)
			}
			if err := s.Verify(context.Background(), d); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if got := files(t, dir); len(got) != 4 { // index.json, lock, oci-layout and the blob
		t.Errorf("files: %v", got)
	}
}

func TestStoreDiskFull(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root to mount a small file system")
	}
	dir := t.TempDir()
	if err := unix.Mount("glint-test", dir, "tmpfs", 0, "size=1m,mode=0700"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	s := open(t, dir)
	content := make([]byte, 2<<20)
	err := s.Put(t.Context(), glint.DigestOf(content), bytes.NewReader(content))
	if !errors.Is(err, unix.ENOSPC) || !strings.Contains(err.Error(), "no space left for "+dir) || !strings.Contains(err.Error(), "of 1.0MiB free") {
		t.Errorf("a full disk is told as: %v", err)
	}
	if got := files(t, dir); len(got) != 3 {
		t.Errorf("left behind: %v", got)
	}
	if err := s.Put(t.Context(), glint.DigestOf(content[:1000]), bytes.NewReader(content[:1000])); err != nil {
		t.Errorf("what fits is refused: %v", err)
	}
}

func TestStoreRefusesASecondProcess(t *testing.T) {
	if dir := os.Getenv("GLINT_TEST_STORE"); dir != "" {
		_, err := artifact.Open(dir)
		if !errors.Is(err, glint.ErrInUse) {
			t.Errorf("%v; want glint.ErrInUse", err)
		}
		fmt.Println(err)
		return
	}
	dir := t.TempDir()
	open(t, dir)
	half := filepath.Join(dir, "tmp", "blob-of-the-first")
	if err := os.WriteFile(half, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestStoreRefusesASecondProcess$")
	cmd.Env = append(os.Environ(), "GLINT_TEST_STORE="+dir)
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), fmt.Sprintf("process %d works in it", os.Getpid())) {
		t.Errorf("%v: %s", err, out)
	}
	if _, err := os.Stat(half); err != nil {
		t.Errorf("the second process took away what the first was writing: %v", err)
	}
}
