// Package artifact keeps bytes under the digest of their content, on disk as an OCI image layout that other tools read.
// It does not know what the bytes mean, and it does not fetch them from anywhere.
package artifact

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"github.com/glint-infra/glint"
)

// MaxBlob is the size in bytes of the largest blob that a store takes, unless its Limit says otherwise.
const MaxBlob = 16 << 30

// A Store is a folder of blobs. All its methods may be called at the same time; only one process may hold a store.
type Store struct {
	// Limit is the size in bytes of the largest blob that Put and Add take.
	Limit int64

	dir   string
	held  *os.File   // its lock keeps other processes away; closing it would let them in
	index sync.Mutex // held while index.json is read and replaced
}

// Open returns the store in dir, which is made when it is missing. What was being written when the store was last
// left is removed. The store is held until Close or the end of the process: another process gets glint.ErrInUse.
func Open(dir string) (*Store, error) {
	s := &Store{Limit: MaxBlob, dir: dir}
	if err := s.lay(); err != nil {
		return nil, fmt.Errorf("opening the artifact store %s: %w", dir, err)
	}
	return s, nil
}

// lay makes the folders and the files that an OCI image layout must have (image-spec v1.1, image-layout.md).
func (s *Store) lay() error {
	if err := os.MkdirAll(filepath.Join(s.dir, "blobs", "sha256"), 0o700); err != nil {
		return Explain(err, s.dir, 0)
	}
	if err := s.hold(); err != nil {
		return err
	}
	if err := os.RemoveAll(s.temp()); err != nil {
		return err
	}
	if err := os.Mkdir(s.temp(), 0o700); err != nil {
		return Explain(err, s.dir, 0)
	}
	marker := filepath.Join(s.dir, "oci-layout")
	if _, err := os.Stat(marker); errors.Is(err, fs.ErrNotExist) {
		if err := s.replace(marker, []byte(`{"imageLayoutVersion":"1.0.0"}`)); err != nil {
			return err
		}
	}
	if _, err := s.Manifests(); errors.Is(err, fs.ErrNotExist) {
		return s.writeIndex(nil)
	} else if err != nil {
		return err
	}
	return nil
}

func (s *Store) temp() string { return filepath.Join(s.dir, "tmp") }

// Path returns where the blob lies, or would lie. It is empty when d is not a digest.
func (s *Store) Path(d glint.Digest) string {
	if !d.Valid() {
		return ""
	}
	return filepath.Join(s.dir, "blobs", "sha256", d.Hex())
}

// Has reports whether the store holds d.
func (s *Store) Has(d glint.Digest) bool {
	_, err := s.Size(d)
	return err == nil
}

// Size returns the number of bytes of d, or glint.ErrNotFound.
func (s *Store) Size(d glint.Digest) (int64, error) {
	info, err := os.Stat(s.Path(d))
	if err != nil {
		return 0, notFound(d, err)
	}
	return info.Size(), nil
}

// Get opens d for reading, or returns glint.ErrNotFound. What is read is not checked again: see Verify.
func (s *Store) Get(d glint.Digest) (*os.File, error) {
	f, err := os.Open(s.Path(d))
	if err != nil {
		return nil, notFound(d, err)
	}
	return f, nil
}

func notFound(d glint.Digest, err error) error {
	if !d.Valid() {
		return fmt.Errorf("blob %q: %w: want sha256 and 64 hexadecimal digits", d, glint.ErrInvalid)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("blob %s: %w", d, glint.ErrNotFound)
	}
	return fmt.Errorf("blob %s: %w", d, err)
}

// Read returns all of d, which may be at most limit bytes long, and has checked it.
func (s *Store) Read(d glint.Digest, limit int64) ([]byte, error) {
	f, err := s.Get(d)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, fmt.Errorf("reading blob %s: %w", d, err)
	}
	if int64(len(b)) > limit {
		return nil, fmt.Errorf("blob %s is larger than %s: %w", d, glint.Bytes(limit), glint.ErrInvalid)
	}
	if got := glint.DigestOf(b); got != d {
		return nil, damaged(d, got)
	}
	return b, nil
}

// Verify reads all of d and returns an error when it is missing or no longer what it was.
func (s *Store) Verify(ctx context.Context, d glint.Digest) error {
	f, err := s.Get(d)
	if err != nil {
		return err
	}
	defer f.Close()
	got, _, err := Sum(ctx, f)
	if err != nil {
		return fmt.Errorf("verifying blob %s: %w", d, err)
	}
	if got != d {
		return damaged(d, got)
	}
	return nil
}

func damaged(d, got glint.Digest) error {
	return fmt.Errorf("blob %s was changed on disk: its content is now %s: %w", d, got, glint.ErrInvalid)
}

// Sum names what r delivers and counts its bytes.
func Sum(ctx context.Context, r io.Reader) (glint.Digest, int64, error) {
	h := sha256.New()
	n, err := io.Copy(h, &stoppable{ctx, r})
	return named(h), n, err
}

func named(h hash.Hash) glint.Digest { return glint.Digest("sha256:" + hex.EncodeToString(h.Sum(nil))) }

// Put stores what r delivers if that is d, and nothing otherwise: a crash, an error or a wrong digest leaves no trace.
// Putting what is already there reads nothing of r.
func (s *Store) Put(ctx context.Context, d glint.Digest, r io.Reader) error {
	if !d.Valid() {
		return notFound(d, nil)
	}
	if s.Has(d) {
		return nil
	}
	if _, _, err := s.add(ctx, d, r); err != nil {
		return fmt.Errorf("storing %s: %w", d, err)
	}
	return nil
}

// Add stores what r delivers, whatever it is, and returns its name and its size in bytes.
func (s *Store) Add(ctx context.Context, r io.Reader) (glint.Digest, int64, error) {
	d, n, err := s.add(ctx, "", r)
	if err != nil {
		return "", 0, fmt.Errorf("storing a blob: %w", err)
	}
	return d, n, nil
}

func (s *Store) add(ctx context.Context, want glint.Digest, r io.Reader) (_ glint.Digest, n int64, err error) {
	f, err := os.CreateTemp(s.temp(), "blob-*")
	if err != nil {
		return "", 0, Explain(err, s.dir, 0)
	}
	defer func() {
		if err != nil {
			f.Close()
			os.Remove(f.Name())
		}
	}()
	h := sha256.New()
	src := &remembers{r: io.LimitReader(&stoppable{ctx, r}, s.Limit+1)}
	n, err = io.Copy(io.MultiWriter(f, h), src)
	if err != nil && src.err == nil {
		err = Explain(err, s.dir, n)
	}
	if err != nil {
		return "", 0, err
	}
	if n > s.Limit {
		return "", 0, fmt.Errorf("it is larger than the limit of %s: %w", glint.Bytes(s.Limit), glint.ErrInvalid)
	}
	got := named(h)
	if want != "" && got != want {
		return "", 0, fmt.Errorf("what arrived (%d bytes) is %s: %w; send it again", n, got, glint.ErrInvalid)
	}
	return got, n, s.keep(f, got, n)
}

// keep makes the finished temporary file a blob.
func (s *Store) keep(f *os.File, d glint.Digest, n int64) error {
	if err := f.Chmod(0o400); err != nil { // a blob never changes
		return err
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return Explain(err, s.dir, n)
	}
	if err := os.Rename(f.Name(), s.Path(d)); err != nil {
		return Explain(err, s.dir, n)
	}
	return syncDir(filepath.Dir(s.Path(d)))
}

// Remove takes d away. Removing what is not there is not an error.
func (s *Store) Remove(d glint.Digest) error {
	if !d.Valid() {
		return notFound(d, nil)
	}
	if err := os.Remove(s.Path(d)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("removing blob %s: %w", d, err)
	}
	return nil
}

// stoppable is a reader that ends with its context.
type stoppable struct {
	ctx context.Context
	r   io.Reader
}

func (s *stoppable) Read(p []byte) (int, error) {
	if err := s.ctx.Err(); err != nil {
		return 0, context.Cause(s.ctx)
	}
	return s.r.Read(p)
}

// remembers tells an error of the source from an error of the destination.
type remembers struct {
	r   io.Reader
	err error
}

func (m *remembers) Read(p []byte) (int, error) {
	n, err := m.r.Read(p)
	if err != nil && err != io.EOF {
		m.err = err
	}
	return n, err
}
