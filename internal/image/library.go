package image

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"github.com/opencontainers/go-digest"
	specs "github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/glint-infra/glint"
	"github.com/glint-infra/glint/internal/artifact"
)

// What a manifest says in its annotations, and a configuration in its labels.
const (
	saysRecipe   = "io.github.glint-infra.recipe"   // digest of the recipe
	saysBase     = "io.github.glint-infra.base"     // as in the recipe
	saysSize     = "io.github.glint-infra.size"     // of the unpacked layers in bytes
	saysCount    = "io.github.glint-infra.packages" // number of packages
	saysPackages = "io.github.glint-infra.packages" // label: name=version, separated by spaces
)

// maxManifest is the size in bytes of the largest manifest and configuration that is read; registries take no more
// (OCI distribution-spec v1.1, "should limit to 4 MiB").
const maxManifest = 4 << 20

// keep writes an image down: first what is named, then what names it, so that a crash leaves no image half known.
func (b *Builder) keep(ctx context.Context, info *Info) error {
	b.files.Lock()
	defer b.files.Unlock()
	config := ocispec.Image{
		Created:  &Epoch,
		Platform: ocispec.Platform{Architecture: runtime.GOARCH, OS: "linux"},
		Config:   ocispec.ImageConfig{Entrypoint: info.Recipe.Entrypoint, Env: pairs(info.Recipe.Env), WorkingDir: info.Recipe.WorkDir},
		RootFS:   ocispec.RootFS{Type: "layers", DiffIDs: []digest.Digest{}},
	}
	if len(info.Packages) > 0 {
		config.Config.Labels = map[string]string{saysPackages: strings.Join(info.Packages, " ")}
	}
	manifest := ocispec.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageManifest, Layers: []ocispec.Descriptor{},
		Annotations: map[string]string{saysRecipe: string(info.Inputs), saysBase: info.Recipe.Base,
			saysSize: strconv.FormatInt(info.Size, 10), saysCount: strconv.Itoa(len(info.Packages))},
	}
	for _, d := range info.Layers {
		n, err := b.Artifacts.Size(d)
		if err != nil {
			return err
		}
		config.RootFS.DiffIDs = append(config.RootFS.DiffIDs, digest.Digest(d))
		// Layers are kept as they are, because the bytes of a compressor change with its version.
		manifest.Layers = append(manifest.Layers, ocispec.Descriptor{MediaType: ocispec.MediaTypeImageLayer, Digest: digest.Digest(d), Size: n})
	}
	var err error
	if manifest.Config, err = b.blob(ctx, ocispec.MediaTypeImageConfig, config); err != nil {
		return err
	}
	named, err := b.blob(ctx, ocispec.MediaTypeImageManifest, manifest)
	if err != nil {
		return err
	}
	info.Digest = glint.Digest(named.Digest)
	named.Annotations = map[string]string{ocispec.AnnotationRefName: info.Digest.Short()}
	if err := b.write("images", info.Digest, info); err != nil {
		return err
	}
	if err := b.Artifacts.List(named); err != nil {
		return err
	}
	return b.write("recipes", info.Inputs, info.Digest)
}

func (b *Builder) blob(ctx context.Context, media string, v any) (ocispec.Descriptor, error) {
	text, err := json.Marshal(v)
	if err != nil {
		return ocispec.Descriptor{}, fmt.Errorf("encoding %s: %w", media, err)
	}
	d, n, err := b.Artifacts.Add(ctx, bytes.NewReader(text))
	return ocispec.Descriptor{MediaType: media, Digest: digest.Digest(d), Size: n}, err
}

func pairs(env map[string]string) []string {
	var list []string
	for _, k := range slices.Sorted(maps.Keys(env)) {
		list = append(list, k+"="+env[k])
	}
	return list
}

// Open returns a sealed image of which every part is here, or glint.ErrNotFound. Layers are not read: see Verify.
func (b *Builder) Open(d glint.Digest) (Sealed, error) {
	manifest, config, err := b.describe(d)
	if err != nil {
		return Sealed{}, fmt.Errorf("opening image %s: %w", d.Short(), err)
	}
	s := Sealed{Digest: d, Entrypoint: config.Config.Entrypoint, Env: map[string]string{}, WorkDir: cmp.Or(config.Config.WorkingDir, "/")}
	for _, e := range config.Config.Env {
		k, v, _ := strings.Cut(e, "=")
		s.Env[k] = v
	}
	for i, l := range manifest.Layers {
		n, err := b.Artifacts.Size(glint.Digest(l.Digest))
		if err == nil && n != l.Size {
			err = fmt.Errorf("blob %s has %d bytes instead of %d: %w", l.Digest, n, l.Size, glint.ErrInvalid)
		}
		var layer Layer
		if err == nil {
			layer, err = b.erofs(glint.Digest(config.RootFS.DiffIDs[i]))
		}
		if err != nil {
			return Sealed{}, fmt.Errorf("opening image %s: %w", d.Short(), err)
		}
		s.Layers = append(s.Layers, layer)
	}
	return s, nil
}

func (b *Builder) describe(d glint.Digest) (m ocispec.Manifest, c ocispec.Image, err error) {
	if err := b.decode(d, &m); err != nil {
		return m, c, fmt.Errorf("its manifest: %w", err)
	}
	if err := b.decode(glint.Digest(m.Config.Digest), &c); err != nil {
		return m, c, fmt.Errorf("its configuration: %w", err)
	}
	if len(m.Layers) != len(c.RootFS.DiffIDs) {
		return m, c, fmt.Errorf("%w: %d layers with %d names", glint.ErrInvalid, len(m.Layers), len(c.RootFS.DiffIDs))
	}
	return m, c, nil
}

func (b *Builder) decode(d glint.Digest, v any) error {
	text, err := b.Artifacts.Read(d, maxManifest)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(text, v); err != nil {
		return fmt.Errorf("%w: %w", glint.ErrInvalid, err)
	}
	return nil
}

// Verify reads all of an image and returns an error that names what is missing or was changed.
func (b *Builder) Verify(ctx context.Context, d glint.Digest) error {
	s, err := b.Open(d) // has checked the manifest and the configuration
	if err != nil {
		return err
	}
	for _, l := range s.Layers {
		if err := b.Artifacts.Verify(ctx, l.DiffID); err != nil {
			return fmt.Errorf("verifying image %s: %w", d.Short(), err)
		}
		if err := l.verify(ctx); err != nil {
			return fmt.Errorf("verifying image %s: %w", d.Short(), err)
		}
	}
	return nil
}

func (l Layer) verify(ctx context.Context) error {
	f, err := os.Open(l.Erofs)
	if err != nil {
		return err
	}
	defer f.Close()
	sum, _, err := artifact.Sum(ctx, f)
	if err != nil {
		return err
	}
	if sum != l.Sum {
		return fmt.Errorf("%s was changed on disk: its content is now %s, not %s: %w", l.Erofs, sum, l.Sum, glint.ErrInvalid)
	}
	return nil
}

// List returns what is known of every sealed image, in the order of digests.
func (b *Builder) List() ([]Info, error) {
	var list []Info
	err := b.each("images", func(d glint.Digest) error {
		var info Info
		err := b.read("images", d, &info)
		if err == nil {
			list = append(list, info)
		}
		if errors.Is(err, glint.ErrNotFound) { // removed meanwhile
			return nil
		}
		return err
	})
	return list, err
}

// Remove takes an image away, and those of its layers that no other image has. Whether anybody needs it is the caller's
// to know; what is mounted stays usable until it is unmounted. Removing what is not there is not an error.
// It waits for a build that is under way, because that may be about to use what would go.
func (b *Builder) Remove(ctx context.Context, d glint.Digest) error {
	select {
	case b.busy <- struct{}{}:
		defer func() { <-b.busy }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	b.files.Lock()
	defer b.files.Unlock()
	if err := b.remove(d); err != nil {
		return fmt.Errorf("removing image %s: %w", d.Short(), err)
	}
	return nil
}

func (b *Builder) remove(d glint.Digest) error {
	var gone Info
	if err := b.read("images", d, &gone); errors.Is(err, glint.ErrNotFound) {
		return nil
	} else if err != nil {
		return err
	}
	parts := append([]glint.Digest{d}, gone.Layers...)
	if m, _, err := b.describe(d); err == nil {
		parts = append(parts, glint.Digest(m.Config.Digest))
	}
	var latest glint.Digest
	if err := b.read("recipes", gone.Inputs, &latest); err == nil && latest == d {
		if err := b.forget("recipes", gone.Inputs); err != nil {
			return err
		}
	}
	if err := errors.Join(b.Artifacts.Unlist(d), b.forget("images", d)); err != nil {
		return err
	}
	used, err := b.used()
	if err != nil {
		return err
	}
	for _, part := range parts {
		if !used[part] {
			err = errors.Join(err, b.Artifacts.Remove(part))
		}
	}
	return errors.Join(err, b.dropStrays())
}

// used returns the blobs of all images.
func (b *Builder) used() (map[glint.Digest]bool, error) {
	list, err := b.List()
	used := map[glint.Digest]bool{}
	for _, info := range list {
		used[info.Digest] = true
		for _, l := range info.Layers {
			used[l] = true
		}
		if m, _, err := b.describe(info.Digest); err == nil {
			used[glint.Digest(m.Config.Digest)] = true
		}
	}
	return used, err
}

// dropStrays removes file systems that belong to no image, and what is known of bases that are gone.
func (b *Builder) dropStrays() error {
	used, err := b.used()
	if err != nil {
		return err
	}
	err = b.each("erofs", func(d glint.Digest) error {
		if used[d] {
			return nil
		}
		return b.forget("erofs", d)
	})
	files, globErr := filepath.Glob(filepath.Join(b.Dir, "erofs", "*.erofs"))
	err = errors.Join(err, globErr)
	for _, f := range files {
		if !used[glint.Digest("sha256:"+strings.TrimSuffix(filepath.Base(f), ".erofs"))] {
			err = errors.Join(err, os.Remove(f))
		}
	}
	return errors.Join(err, b.each("bases", func(d glint.Digest) error {
		var known base
		if err := b.read("bases", d, &known); err != nil || b.Artifacts.Has(known.DiffID) {
			return err
		}
		return b.forget("bases", d)
	}))
}

func (b *Builder) forget(kind string, d glint.Digest) error {
	if err := os.Remove(b.record(kind, d)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
