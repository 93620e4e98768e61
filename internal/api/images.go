package api

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/glint-infra/glint"
	"github.com/glint-infra/glint/internal/artifact"
	"github.com/glint-infra/glint/internal/image"
)

func newTicker() *time.Ticker { return time.NewTicker(heartbeat) }

// describeImages adds the operations on blobs and images.
func (s *server) describeImages(api huma.API, op func(id, method, path, summary string) huma.Operation) {
	handle(api, op("images", "GET", "/images", "The sealed images"), s.images)
	stream(api, op("seal", "POST", "/images", "Seal an image; its layers must have been put as blobs"),
		"text/event-stream", "Each message is a SealEvent; the last one has a digest or an error.", s.seal)
	huma.Register(api, op("has", "HEAD", "/blobs/{digest}", "Whether the server holds a blob"), func(_ context.Context, in *BlobPath) (*struct{}, error) {
		if _, err := in.digest(); err != nil {
			return nil, problem(err)
		}
		if !s.Blobs.Has(in.Digest) {
			return nil, problem(refuse(http.StatusNotFound, CodeNotFound, "there is no blob %s", in.Digest))
		}
		return nil, nil
	})
	put := op("put", "PUT", "/blobs/{digest}", "Store a blob; what does not have that digest is refused")
	put.RequestBody = &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{"application/octet-stream": {Schema: &huma.Schema{Type: huma.TypeString, Format: "binary"}}}}
	huma.Register(api, put, func(ctx context.Context, in *putInput) (*struct{}, error) { return nil, problem(s.put(ctx, in)) })
}

func (s *server) images(context.Context, *struct{}) ([]glint.Image, error) {
	all, err := s.Images.List()
	list := make([]glint.Image, len(all))
	for i, info := range all {
		list[i] = glint.Image{Name: info.Recipe.Name, Digest: info.Digest, From: info.Recipe.Base}
	}
	slices.SortFunc(list, func(a, b glint.Image) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Digest, b.Digest))
	})
	return list, err
}

// A BlobPath is the part of a path that names a blob.
type BlobPath struct {
	Digest glint.Digest `path:"digest"`
}

func (b BlobPath) digest() (glint.Digest, error) {
	if !b.Digest.Valid() {
		return "", refuse(http.StatusUnprocessableEntity, CodeInvalid, "%q is not a digest: want sha256: and 64 hexadecimal digits", b.Digest)
	}
	return b.Digest, nil
}

// putInput reads no body: a blob does not fit into memory.
type putInput struct {
	BlobPath
	body io.Reader
	size int64 // -1: not said
}

// Resolve is how huma hands over the body as it comes.
func (p *putInput) Resolve(c huma.Context) []error {
	r, w := humago.Unwrap(c)
	p.body, p.size = http.MaxBytesReader(w, r.Body, artifact.MaxBlob), r.ContentLength
	return nil
}

func (s *server) put(ctx context.Context, in *putInput) error {
	d, err := in.digest()
	if err != nil {
		return err
	}
	if in.size > artifact.MaxBlob {
		return refuse(http.StatusRequestEntityTooLarge, CodeTooLarge, "a blob of %s is larger than the limit of %s", glint.Bytes(in.size), glint.Bytes(artifact.MaxBlob))
	}
	err = s.Blobs.Put(ctx, d, in.body)
	if err != nil { // who is still sending when the connection closes does not come to read why
		_, _ = io.Copy(io.Discard, in.body)
	}
	if large := new(http.MaxBytesError); errors.As(err, &large) {
		return refuse(http.StatusRequestEntityTooLarge, CodeTooLarge, "the blob is larger than the limit of %s", glint.Bytes(large.Limit))
	}
	return err
}

type sealInput struct{ Body SealRequest }

func (s *server) seal(_ context.Context, in *sealInput) (func(huma.Context), error) {
	recipe := in.Body.Recipe
	var items []string
	for _, d := range recipe.Layers {
		if !d.Valid() {
			items = append(items, fmt.Sprintf("layer %q is not a digest", d))
		} else if !s.Blobs.Has(d) {
			items = append(items, fmt.Sprintf("layer %s has not been put; put it as a blob first", d))
		}
	}
	if len(items) > 0 {
		e := refuse(http.StatusUnprocessableEntity, CodeRefused, "image %s cannot be sealed", recipe.Name)
		e.Items = items
		return nil, e
	}
	return func(c huma.Context) {
		ctx, cancel := untilEnd(c.Context())
		defer cancel()
		s.sealing(ctx, newSender(c), recipe)
	}, nil
}

// sealing seals and tells how it goes. A client that goes away ends it.
func (s *server) sealing(ctx context.Context, out *sender, recipe image.Recipe) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	lines, done := make(chan string), make(chan SealEvent, 1)
	go func() {
		defer close(lines)
		done <- s.sealed(ctx, recipe, func(line string) {
			select {
			case lines <- line:
			case <-ctx.Done():
			}
		})
	}()
	beat := newTicker()
	defer beat.Stop()
	out.beat()
	for open := true; open; {
		select {
		case line, more := <-lines:
			if open = more; more {
				out.send(-1, SealEvent{Progress: line})
			}
		case <-beat.C:
			out.beat()
		}
		if out.err != nil {
			cancel() // and waits until it has ended
		}
	}
	out.send(-1, <-done)
}

func (s *server) sealed(ctx context.Context, recipe image.Recipe, progress func(string)) (end SealEvent) {
	defer func() {
		if what := recover(); what != nil { // not in the request's goroutine: it would end the server
			end = SealEvent{Error: "the server failed over this image; its log says how", Code: CodeInternal}
			logPanic("sealing "+recipe.Name, what)
		}
	}()
	before, err := s.Images.List()
	if err != nil {
		return SealEvent{Error: err.Error(), Code: classify(err).Code}
	}
	inputs := recipe.Digest()
	cached := !recipe.Refresh && slices.ContainsFunc(before, func(i image.Info) bool { return i.Inputs == inputs })
	im, err := s.Images.Seal(ctx, recipe, func(p image.Progress) { progress(p.Text) })
	if err != nil {
		return SealEvent{Error: err.Error(), Code: classify(err).Code}
	}
	return SealEvent{Digest: im.Digest, Cached: cached}
}

type logsInput struct {
	InstancePath
	Tail   int  `query:"tail" default:"-1" minimum:"-1" doc:"lines from the end; -1: all"`
	Follow bool `query:"follow"`
}

func (s *server) logs(ctx context.Context, in *logsInput) (func(huma.Context), error) {
	if s.Logs == nil {
		return nil, refuse(http.StatusNotImplemented, CodeUnsupported, "this platform keeps no logs")
	}
	head, err := s.head(ctx, in.Stack)
	if err != nil {
		return nil, err
	}
	ctx, cancel := untilEnd(ctx)
	id := glint.ID{Stack: in.Stack, Epoch: head.Epoch, Service: in.Service, N: in.N}
	from, err := s.Logs.Logs(ctx, id, in.Tail, in.Follow)
	if err != nil {
		cancel()
		if errors.Is(err, glint.ErrNotFound) {
			return nil, missing(head, in.Service, in.N)
		}
		return nil, err
	}
	return func(c huma.Context) {
		defer cancel()
		defer from.Close()
		defer context.AfterFunc(ctx, func() { from.Close() })()
		out := newSender(c)
		for out.write(nil); out.err == nil; { // an empty log is an answer too
			buf := make([]byte, 32<<10)
			n, err := from.Read(buf)
			if n > 0 {
				out.write(buf[:n])
			}
			if err != nil {
				return
			}
		}
	}, nil
}
