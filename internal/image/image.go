// Package image turns recipes into sealed images: the same bytes from the same inputs, as OCI layers and erofs files.
// It does not run images and does not mount them.
package image

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/glint-infra/glint"
)

// A Recipe is all that a sealed image is made from. Its digest decides whether a build is needed.
type Recipe struct {
	Name       string            `json:"name"`                 // for progress; not part of what is sealed
	Base       string            `json:"base"`                 // "scratch" or "debian:bookworm"
	Packages   []string          `json:"packages,omitempty"`   // of the base's distribution, sorted
	Layers     []glint.Digest    `json:"layers,omitempty"`     // uncompressed tar layers made from copy blocks, bottom first
	Entrypoint []string          `json:"entrypoint,omitempty"` // argv
	Env        map[string]string `json:"env,omitempty"`
	WorkDir    string            `json:"workdir,omitempty"` // absolute; empty means "/"
	Refresh    bool              `json:"refresh,omitempty"` // make the base anew, for newer packages; not part of what is sealed
}

// A Sealed image can be mounted and started.
type Sealed struct {
	Digest     glint.Digest      // of its OCI manifest
	Layers     []Layer           // bottom first
	Entrypoint []string          // argv
	Env        map[string]string //
	WorkDir    string            // "/" when the image says nothing
}

// A Layer is one read-only file system.
type Layer struct {
	DiffID glint.Digest // of the uncompressed tar
	Erofs  string       // path of the erofs file on this host
	Sum    glint.Digest // of the erofs file
}

// A Library finds sealed images.
type Library interface {
	// Open returns a sealed image, or glint.ErrNotFound.
	Open(d glint.Digest) (Sealed, error)
}

// Info tells people about a sealed image.
type Info struct {
	Digest   glint.Digest   `json:"digest"`
	Recipe   Recipe         `json:"recipe"` // what it was made from; Name is the last name it was sealed under
	Inputs   glint.Digest   `json:"inputs"` // Recipe's digest
	Built    time.Time      `json:"built"`  // when; not part of what is sealed
	Size     int64          `json:"size"`   // of its layers, unpacked, in bytes
	Packages []string       `json:"packages,omitempty"`
	Layers   []glint.Digest `json:"layers,omitempty"` // uncompressed tars, bottom first
}

// A Progress is one line about a build that is under way.
type Progress struct {
	Image string `json:"image"` // the recipe's name
	Text  string `json:"text"`
}

// ErrUnreachable says that packages could not be fetched. Sealed images and unchanged recipes need no network.
var ErrUnreachable = errors.New("the package mirror cannot be reached")

// recipeFormat is the version of the rules by which recipes become bytes. A change gives every image a new digest, which
// is said in the release notes because it replaces everything.
const recipeFormat = 1

// Digest names what r asks for, whatever it is called. It depends on nothing but r.
func (r Recipe) Digest() glint.Digest {
	r = r.tidy()
	r.Name, r.Refresh = "", false
	b, err := json.Marshal(struct {
		Format int
		Recipe Recipe
	}{recipeFormat, r})
	if err != nil {
		panic("image: " + err.Error()) // only for a type that cannot be encoded at all
	}
	return glint.DigestOf(b)
}

// tidy writes one meaning in one way.
func (r Recipe) tidy() Recipe {
	r.Packages = slices.Compact(slices.Sorted(slices.Values(r.Packages)))
	r.WorkDir = path.Clean("/" + r.WorkDir)
	return r
}

// packagePattern is Debian's rule for names (policy 5.6.7) and, after "=", versions (5.6.12).
var packagePattern = regexp.MustCompile(`^[a-z0-9][a-z0-9+.-]+(=[0-9A-Za-z.+:~-]+)?$`)

// check says what is wrong with a recipe. Errors wrap glint.ErrInvalid.
func (r Recipe) check() error {
	suite, isDebian := strings.CutPrefix(r.Base, "debian:")
	switch {
	case isDebian && !slices.Contains(suites, suite):
		return fmt.Errorf("%w: Debian %q is not among the suites that can be built: %s", glint.ErrInvalid, suite, strings.Join(suites, ", "))
	case !isDebian && r.Base != "scratch":
		return fmt.Errorf("%w: base %q; want \"scratch\" or \"debian:bookworm\"", glint.ErrInvalid, r.Base)
	case !isDebian && len(r.Packages) > 0:
		return fmt.Errorf("%w: packages need a distribution as their base, such as \"debian:bookworm\", not %q", glint.ErrInvalid, r.Base)
	case len(r.Layers) > maxLayers:
		return fmt.Errorf("%w: %d layers are more than %d", glint.ErrInvalid, len(r.Layers), maxLayers)
	}
	for _, p := range r.Packages {
		if !packagePattern.MatchString(p) {
			return fmt.Errorf("%w: %q is not the name of a Debian package", glint.ErrInvalid, p)
		}
	}
	for _, d := range r.Layers {
		if !d.Valid() {
			return fmt.Errorf("%w: layer %q is not a digest", glint.ErrInvalid, d)
		}
	}
	for _, k := range slices.Sorted(maps.Keys(r.Env)) {
		if k == "" || strings.ContainsAny(k, "=\x00") || strings.Contains(r.Env[k], "\x00") {
			return fmt.Errorf("%w: environment variable %q: a name has no \"=\", and neither name nor value a NUL", glint.ErrInvalid, k)
		}
	}
	if slices.ContainsFunc(r.Entrypoint, func(s string) bool { return strings.Contains(s, "\x00") }) {
		return fmt.Errorf("%w: the entrypoint contains a NUL", glint.ErrInvalid)
	}
	return nil
}

// maxLayers of one image: an overlay mount takes its lower folders in one page of options.
const maxLayers = 32
