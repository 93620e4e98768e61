package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"

	"github.com/glint-infra/glint"
	"github.com/glint-infra/glint/internal/api"
	"github.com/glint-infra/glint/internal/declare"
	"github.com/glint-infra/glint/internal/image"
)

// compiled reads the declaration here, has its images sealed by the server, and makes a release of it.
func (c *cli) compiled(ctx context.Context, remote *api.Client) (glint.Release, error) {
	d, err := c.must()
	if err != nil {
		return glint.Release{}, err
	}
	if c.stack != "" && c.stack != d.Stack {
		return glint.Release{}, fail(exitInvalid, "--stack %s, but what is declared here is stack %s: leave --stack out, or go to the folder of %s", c.stack, d.Stack, c.stack)
	}
	if _, err := remote.Version(ctx); err != nil { // before minutes of packing
		return glint.Release{}, err
	}
	digests := map[string]glint.Digest{}
	for _, i := range d.Images {
		if digests[i.Name], err = c.build(ctx, remote, d, i); err != nil {
			return glint.Release{}, c.unbuilt(ctx, d, i, err)
		}
	}
	return c.compile(d, digests)
}

// unbuilt says why an image could not be made.
func (c *cli) unbuilt(ctx context.Context, d *declare.Declaration, i declare.Image, err error) error {
	if ctx.Err() != nil {
		return exit{exitDetached, errors.New("interrupted; nothing was started")}
	}
	if found := c.sources(d, declare.Error); len(found) > 0 {
		if !c.json() {
			return exit{exitInvalid, fmt.Errorf("image %s:\n%s", i.Name, found.Text())}
		}
		if err := c.print(checked{Stack: d.Stack, Services: len(d.Services), Images: len(d.Images), Findings: found}); err != nil {
			return err
		}
		return exit{code: exitInvalid}
	}
	code := exitFailed
	if errors.Is(err, glint.ErrInvalid) {
		code = exitInvalid
	}
	return fail(code, "image %s could not be built: %w\nNothing was started.", i.Name, err)
}

// build packs what is to be copied, sends what the server lacks, and has the image sealed.
func (c *cli) build(ctx context.Context, remote *api.Client, d *declare.Declaration, i declare.Image) (glint.Digest, error) {
	began := c.Now()
	recipe := image.Recipe{Name: i.Name, Base: i.Base, Packages: i.Packages, Entrypoint: i.Entrypoint, Env: i.Env}
	if len(i.Copies) > 0 {
		layer, err := c.send(ctx, remote, copies(i.Copies...))
		if err != nil {
			return "", err
		}
		recipe.Layers = []glint.Digest{layer}
	}
	said := ""
	digest, cached, err := remote.Seal(ctx, recipe, func(e api.SealEvent) {
		done := e.Digest != "" || strings.HasPrefix(e.Progress, "unchanged") || strings.HasPrefix(e.Progress, "sealed") // said below
		if !done && e.Progress != "" && e.Progress != said {
			said = e.Progress
			c.say("%s", step("build", i.Name+"  "+clean(said), seconds(c.Now().Sub(began))))
		}
	})
	if err != nil {
		return "", err
	}
	how := seconds(c.Now().Sub(began))
	if cached {
		how = "unchanged"
	}
	c.say("%s", step("build", fmt.Sprintf("%s sha256:%s", i.Name, digest.Short()), how))
	return digest, nil
}

func copies(of ...declare.Copy) []image.Copy {
	var out []image.Copy
	for _, cp := range of {
		out = append(out, image.Copy{From: cp.From, To: cp.To, Mode: fs.FileMode(cp.Mode)})
	}
	return out
}

// send makes sure that the server has the layer that copies make. It is packed once to know its name, and again only
// when it must travel; files that change in between are noticed by the name.
func (c *cli) send(ctx context.Context, remote *api.Client, copies []image.Copy) (glint.Digest, error) {
	root := c.path(c.dir)
	packed, err := image.Pack(io.Discard, root, copies)
	if err != nil {
		return "", err
	}
	has, err := remote.HasBlob(ctx, packed.DiffID)
	if has || err != nil {
		return packed.DiffID, err
	}
	r, w := io.Pipe()
	go func() {
		_, err := image.Pack(w, root, copies)
		w.CloseWithError(err)
	}()
	err = remote.PutBlob(ctx, packed.DiffID, packed.Size, r)
	r.Close()
	if err != nil {
		return "", fmt.Errorf("sending its files: %w", err)
	}
	return packed.DiffID, nil
}
