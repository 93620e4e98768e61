package image

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/glint-infra/glint"
	"github.com/glint-infra/glint/internal/artifact"
)

// Config says where a builder works.
type Config struct {
	Dir       string          // for erofs files and records of builds; made when it is missing
	Artifacts *artifact.Store // for layers and manifests
	Mirror    string          // URL of a Debian mirror that has debian-security beside it; empty: the mirrors of the host's apt
}

// A Builder seals images and keeps them: it is a Library. Only one process may hold a Dir.
type Builder struct {
	Config
	busy  chan struct{} // holds a token while a recipe is carried out
	files sync.Mutex    // held while an image is written down or removed
}

// NewBuilder returns the builder of the images in c.Dir. What a killed build left behind is removed.
func NewBuilder(c Config) (*Builder, error) {
	b := &Builder{Config: c, busy: make(chan struct{}, 1)}
	err := clean(b.temp())
	for _, dir := range []string{"tmp", "erofs", "bases", "recipes", "images"} {
		err = errors.Join(err, os.MkdirAll(filepath.Join(c.Dir, dir), 0o700))
	}
	if err = errors.Join(err, b.dropStrays()); err != nil {
		return nil, fmt.Errorf("opening the images in %s: %w", c.Dir, artifact.Explain(err, c.Dir, 0))
	}
	return b, nil
}

func (b *Builder) temp() string { return filepath.Join(b.Dir, "tmp") }

// clean removes a folder in which a build may have been killed. Nothing that is mounted in it is ever entered.
func clean(dir string) error {
	if err := detach(dir); err != nil {
		return fmt.Errorf("cleaning %s: %w", dir, err)
	}
	return os.RemoveAll(dir)
}

// Seal returns the image that r describes, built only when something in r has changed or r.Refresh asks for it.
// Progress, which may be nil, is called as the build goes on. One image is built at a time; others wait.
// An error or a cancelled ctx leaves nothing half done.
func (b *Builder) Seal(ctx context.Context, r Recipe, progress func(Progress)) (Sealed, error) {
	say := func(format string, args ...any) {
		if progress != nil {
			progress(Progress{Image: r.Name, Text: fmt.Sprintf(format, args...)})
		}
	}
	s, err := b.seal(ctx, r.tidy(), say)
	if err != nil {
		return Sealed{}, fmt.Errorf("sealing image %s: %w", r.Name, err)
	}
	return s, nil
}

func (b *Builder) seal(ctx context.Context, r Recipe, say func(string, ...any)) (Sealed, error) {
	if err := r.check(); err != nil {
		return Sealed{}, err
	}
	select {
	case b.busy <- struct{}{}:
		defer func() { <-b.busy }()
	case <-ctx.Done():
		return Sealed{}, context.Cause(ctx)
	}
	if !r.Refresh {
		s, err := b.made(r.Digest())
		if err == nil {
			say("unchanged: %s", s.Digest.Short())
		}
		if !errors.Is(err, glint.ErrNotFound) {
			return s, err
		}
	}
	return b.make(ctx, r, say)
}

// made returns what a recipe was once made into.
func (b *Builder) made(inputs glint.Digest) (Sealed, error) {
	var d glint.Digest
	if err := b.read("recipes", inputs, &d); err != nil {
		return Sealed{}, err
	}
	return b.Open(d)
}

func (b *Builder) make(ctx context.Context, r Recipe, say func(string, ...any)) (Sealed, error) {
	info := Info{Recipe: r, Inputs: r.Digest(), Built: time.Now().UTC()}
	if suite, ok := strings.CutPrefix(r.Base, "debian:"); ok {
		base, err := b.debian(ctx, suite, r.Packages, r.Refresh, say)
		if err != nil {
			return Sealed{}, err
		}
		info.Layers, info.Packages = []glint.Digest{base.DiffID}, base.Packages
	}
	info.Layers = append(info.Layers, r.Layers...)
	below := []*tree{}
	for i, d := range info.Layers {
		if err := ctx.Err(); err != nil {
			return Sealed{}, context.Cause(ctx)
		}
		t, err := b.layer(d, below, say)
		if err != nil {
			return Sealed{}, fmt.Errorf("layer %d of %d, %s: %w", i+1, len(info.Layers), d.Short(), err)
		}
		below = append(below, t)
		n, err := b.Artifacts.Size(d)
		if err != nil {
			return Sealed{}, err
		}
		info.Size += n
	}
	if err := b.keep(ctx, &info); err != nil {
		return Sealed{}, err
	}
	say("sealed %s: %s, %d packages", info.Digest.Short(), megabytes(info.Size), len(info.Packages))
	return b.Open(info.Digest)
}

func megabytes(n int64) string { return fmt.Sprintf("%.1f MB", float64(n)/1e6) }

// layer makes sure that a layer has its erofs file, and that it hides nothing by accident of the layers below.
func (b *Builder) layer(d glint.Digest, below []*tree, say func(string, ...any)) (*tree, error) {
	f, err := b.Artifacts.Get(d)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	t, err := readTree(f)
	if err != nil {
		return nil, err
	}
	if err := hides(below, t.root, "."); err != nil {
		return nil, err
	}
	if _, err := b.erofs(d); err == nil {
		return t, nil
	} else if !errors.Is(err, glint.ErrNotFound) {
		return nil, err
	}
	say("writing layer %s", d.Short())
	return t, b.writeLayer(d, t, f)
}

// hides refuses a folder over what is no folder, and what is no folder over a folder: such a layer would take away
// whole parts of those below, as /lib does where a distribution has a link of that name.
func hides(below []*tree, in *inode, name string) error {
	for i := len(below) - 1; i >= 0; i-- {
		old := below[i].find(name)
		if old == nil {
			continue
		}
		switch {
		case in.mode.IsDir() && old.mode&fs.ModeSymlink != 0:
			return fmt.Errorf("%w: /%s is a link to %s in the base; copy to %s instead", glint.ErrInvalid, name, old.link, path.Join("/", path.Dir(name), old.link))
		case in.mode.IsDir() != old.mode.IsDir():
			return fmt.Errorf("%w: /%s would hide what the base has there; copy to another path", glint.ErrInvalid, name)
		}
		break
	}
	for child, in := range in.children {
		if err := hides(below, in, path.Join(name, child)); err != nil {
			return err
		}
	}
	return nil
}
