package artifact

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/opencontainers/go-digest"
	specs "github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/glint-infra/glint"
)

// Manifests returns what index.json lists, in the order of digests: the images that other tools find in the layout.
func (s *Store) Manifests() ([]ocispec.Descriptor, error) {
	b, err := os.ReadFile(filepath.Join(s.dir, "index.json"))
	if err != nil {
		return nil, fmt.Errorf("reading the index: %w", err)
	}
	var index ocispec.Index
	if err := json.Unmarshal(b, &index); err != nil {
		return nil, fmt.Errorf("reading the index %s: %w: %w", filepath.Join(s.dir, "index.json"), glint.ErrInvalid, err)
	}
	return index.Manifests, nil
}

// List names the manifest m in the index. Listing it again replaces what was said of it.
func (s *Store) List(m ocispec.Descriptor) error {
	return s.edit(func(ms []ocispec.Descriptor) []ocispec.Descriptor { return append(without(ms, m.Digest), m) })
}

// Unlist takes the manifest d out of the index. Its blob stays.
func (s *Store) Unlist(d glint.Digest) error {
	return s.edit(func(ms []ocispec.Descriptor) []ocispec.Descriptor { return without(ms, digest.Digest(d)) })
}

func without(ms []ocispec.Descriptor, d digest.Digest) []ocispec.Descriptor {
	return slices.DeleteFunc(ms, func(m ocispec.Descriptor) bool { return m.Digest == d })
}

func (s *Store) edit(change func([]ocispec.Descriptor) []ocispec.Descriptor) error {
	s.index.Lock()
	defer s.index.Unlock()
	ms, err := s.Manifests()
	if err != nil {
		return err
	}
	return s.writeIndex(change(ms))
}

func (s *Store) writeIndex(ms []ocispec.Descriptor) error {
	if ms == nil {
		ms = []ocispec.Descriptor{} // image-spec: the list is required and may be empty
	}
	slices.SortFunc(ms, func(a, b ocispec.Descriptor) int {
		if a.Digest < b.Digest {
			return -1
		}
		return 1
	})
	b, err := json.Marshal(ocispec.Index{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageIndex, Manifests: ms})
	if err != nil {
		return fmt.Errorf("writing the index: %w", err)
	}
	if err := s.replace(filepath.Join(s.dir, "index.json"), b); err != nil {
		return fmt.Errorf("writing the index: %w", err)
	}
	return nil
}

// replace writes a file so that a reader, and a crash, sees the old or the new.
func (s *Store) replace(path string, b []byte) error {
	f, err := os.CreateTemp(s.temp(), "file-*") // mode 0600
	if err != nil {
		return Explain(err, s.dir, 0)
	}
	n, err := f.Write(b)
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		os.Remove(f.Name())
		return Explain(err, s.dir, int64(n))
	}
	return syncDir(filepath.Dir(path))
}
