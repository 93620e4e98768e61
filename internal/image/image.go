// Package image turns recipes into sealed images: the same bytes from the same inputs, as OCI layers and erofs files.
// It does not run images and does not mount them.
package image

import "github.com/glint-infra/glint"

// A Recipe is all that a sealed image is made from. Its digest decides whether a build is needed.
type Recipe struct {
	Name       string            `json:"name"`                 // for progress; not part of what is sealed
	Base       string            `json:"base"`                 // "scratch" or "debian:bookworm"
	Packages   []string          `json:"packages,omitempty"`   // of the base's distribution, sorted
	Layers     []glint.Digest    `json:"layers,omitempty"`     // uncompressed tar layers made from copy blocks, bottom first
	Entrypoint []string          `json:"entrypoint,omitempty"` // argv
	Env        map[string]string `json:"env,omitempty"`
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
