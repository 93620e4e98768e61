package image

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/glint-infra/glint"
	"github.com/glint-infra/glint/internal/artifact"
)

// record returns the file in which a value is kept under a digest.
func (b *Builder) record(kind string, d glint.Digest) string {
	return filepath.Join(b.Dir, kind, d.Hex()+".json")
}

// read finds a value kept under a digest, or returns glint.ErrNotFound.
func (b *Builder) read(kind string, d glint.Digest, v any) error {
	if !d.Valid() {
		return fmt.Errorf("%w: %q is not a digest", glint.ErrInvalid, d)
	}
	text, err := os.ReadFile(b.record(kind, d))
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s of %s: %w", kind, d.Short(), glint.ErrNotFound)
	}
	if err == nil {
		err = json.Unmarshal(text, v)
	}
	if err != nil {
		return fmt.Errorf("reading %s: %w", b.record(kind, d), err)
	}
	return nil
}

// write keeps a value under a digest. A crash leaves the old one or the new one.
func (b *Builder) write(kind string, d glint.Digest, v any) error {
	text, err := json.MarshalIndent(v, "", "\t")
	if err != nil {
		return fmt.Errorf("writing %s: %w", b.record(kind, d), err)
	}
	return b.place(b.record(kind, d), 0o600, func(f *os.File) error {
		_, err := f.Write(text)
		return err
	})
}

// place makes a file by fill, complete or not at all.
func (b *Builder) place(path string, mode fs.FileMode, fill func(*os.File) error) error {
	f, err := os.CreateTemp(b.temp(), "file-*")
	if err != nil {
		return artifact.Explain(err, b.Dir, 0)
	}
	defer os.Remove(f.Name()) // after the rename: nothing
	defer f.Close()
	if err := fill(f); err != nil {
		n, _ := f.Seek(0, io.SeekEnd)
		return artifact.Explain(err, b.Dir, n)
	}
	if err := errors.Join(f.Chmod(mode), f.Sync(), f.Close()); err != nil {
		return artifact.Explain(err, b.Dir, 0)
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return artifact.Explain(err, b.Dir, 0)
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// each calls visit with every digest under which something of that kind is kept.
func (b *Builder) each(kind string, visit func(glint.Digest) error) error {
	list, err := os.ReadDir(filepath.Join(b.Dir, kind))
	if err != nil {
		return fmt.Errorf("listing %s: %w", kind, err)
	}
	for _, e := range list {
		name := e.Name()
		d := glint.Digest("sha256:" + name[:len(name)-len(filepath.Ext(name))])
		if filepath.Ext(name) != ".json" || !d.Valid() {
			continue
		}
		if err := visit(d); err != nil {
			return err
		}
	}
	return nil
}

// An erofsFile is what is written down of a layer's file system.
type erofsFile struct {
	Sum  glint.Digest `json:"sum"`
	Size int64        `json:"size"` // bytes
}

func (b *Builder) erofsPath(layer glint.Digest) string {
	return filepath.Join(b.Dir, "erofs", layer.Hex()+".erofs")
}

// erofs returns the finished file system of a layer, or glint.ErrNotFound. Its content is not read.
func (b *Builder) erofs(layer glint.Digest) (Layer, error) {
	var e erofsFile
	if err := b.read("erofs", layer, &e); err != nil {
		return Layer{}, err
	}
	info, err := os.Stat(b.erofsPath(layer))
	if errors.Is(err, fs.ErrNotExist) || err == nil && info.Size() != e.Size {
		return Layer{}, fmt.Errorf("erofs file of layer %s: %w", layer.Short(), glint.ErrNotFound)
	}
	return Layer{DiffID: layer, Erofs: b.erofsPath(layer), Sum: e.Sum}, err
}

// writeLayer makes the erofs file of a layer from its tar, and its record after it.
func (b *Builder) writeLayer(layer glint.Digest, t *tree, tar io.ReaderAt) error {
	var e erofsFile
	err := b.place(b.erofsPath(layer), 0o400, func(f *os.File) error {
		if err := writeErofs(f, t, tar); err != nil {
			return err
		}
		if _, err := f.Seek(0, io.SeekStart); err != nil {
			return err
		}
		var err error
		e.Sum, e.Size, err = artifact.Sum(context.Background(), f)
		return err
	})
	if err != nil {
		return err
	}
	return b.write("erofs", layer, e)
}
