package api_test

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/user"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/glint-infra/glint"
	"github.com/glint-infra/glint/internal/api"
	"github.com/glint-infra/glint/internal/artifact"
	"github.com/glint-infra/glint/internal/conductor"
	"github.com/glint-infra/glint/internal/image"
	"github.com/glint-infra/glint/internal/platform/sim"
	"github.com/glint-infra/glint/internal/store"
	"github.com/glint-infra/glint/internal/store/mem"
)

const stack = "shop"

// A world is a whole Glint but for the real instances: a store, a conductor, images and blobs on disk, the API on a
// socket, and a client of it. Its time moves only when a test lets it.
type world struct {
	t      *testing.T
	sim    *sim.World
	store  store.Store
	boss   *conductor.Conductor
	config api.Config
	socket string
	client *api.Client
	image  glint.Digest
	stop   func() // the server
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, sim: sim.New(), store: mem.New(), socket: filepath.Join(t.TempDir(), "glint.sock")}
	blobs, err := artifact.Open(filepath.Join(t.TempDir(), "blobs"))
	check(t, err)
	images, err := image.NewBuilder(image.Config{Dir: filepath.Join(t.TempDir(), "images"), Artifacts: blobs})
	check(t, err)
	sealed, err := images.Seal(t.Context(), image.Recipe{Name: "web", Base: "scratch", Entrypoint: []string{"/web"}}, nil)
	check(t, err)
	w.image = sealed.Digest
	w.boss = conductor.New(conductor.Config{Store: w.store, Platform: w.sim, Balancer: w.sim, Look: w.look, Now: w.sim.Now})
	var epochs int
	var mu sync.Mutex
	w.config = api.Config{
		Store: w.store, Conductor: w.boss, Images: images, Blobs: blobs, Logs: logs{w}, Version: "1.2.3",
		URL: func(host string) string { return "http://" + host + ":8080" }, Now: w.sim.Now,
		Epoch: func() glint.Epoch {
			mu.Lock()
			defer mu.Unlock()
			epochs++
			return glint.Epoch(fmt.Sprintf("e%d", epochs))
		},
	}
	w.serve()
	w.client = api.NewClient(w.socket)
	return w
}

// serve starts the server; stop ends it and waits.
func (w *world) serve() {
	w.t.Helper()
	l, err := api.Listen(w.socket, 0o600)
	check(w.t, err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- api.Serve(ctx, l, api.NewServer(w.config)) }()
	var once sync.Once
	w.stop = func() {
		once.Do(func() {
			cancel()
			if err := <-done; err != nil {
				w.t.Errorf("stopping the server: %v", err)
			}
		})
	}
	w.t.Cleanup(func() { w.stop() })
}

func (w *world) look(ctx context.Context, b glint.Blueprint) glint.Observation {
	l, _ := w.sim.List(ctx)
	st, _ := w.sim.Status(ctx)
	o := glint.Observation{At: l.At, Complete: l.Complete, Silent: l.Silent, Acks: st.Acks[b.Stack]}
	for _, in := range l.Instances {
		if in.ID.Stack == b.Stack {
			in.InFlight = st.InFlight[in.ID]
			o.Instances = append(o.Instances, in)
		}
	}
	return o
}

// pass lets time go by; within each quarter of a second the loop turns until it rests.
func (w *world) pass(d time.Duration) {
	w.t.Helper()
	const tick = 250 * time.Millisecond
	for end := w.sim.Now().Add(d); w.sim.Now().Before(end); w.sim.Advance(tick) {
		for range 50 {
			turn, err := w.boss.Step(context.Background(), stack)
			w.boss.Settle()
			if errors.Is(err, glint.ErrNotFound) {
				break
			}
			check(w.t, err)
			if !turn.Advanced || turn.Ended {
				break
			}
		}
	}
}

// release is a stack with one routed service; what stands for all that is baked in.
func (w *world) release(what string, instances int, command ...string) glint.Release {
	return glint.Release{Format: glint.ReleaseFormat, Stack: stack,
		Images: []glint.Image{{Name: "web", Digest: w.image, From: "scratch"}},
		Services: []glint.Service{{Name: "web", Instances: instances,
			Template: glint.Template{Image: w.image, Command: command, Env: map[string]string{"V": what},
				Ports:  []glint.Port{{Name: "http", Number: 8080, Protocol: glint.HTTP}},
				Health: &glint.Probe{HTTP: &glint.HTTPProbe{Port: "http", Path: "/"}, Interval: second, Timeout: second, ReadyAfter: 1, UnreadyAfter: 3, ReplaceAfter: 10 * second}},
			Update: glint.Update{Strategy: glint.Rolling, Surge: 1, StartWithin: 10 * second, Grace: 5 * second, Tries: 3}}},
		Routes: []glint.Route{{Host: "shop.localhost", To: glint.Target{Service: "web", Port: "http"}}}}
}

const second = glint.Duration(time.Second)

// apply applies a release by ann.
func (w *world) apply(rel glint.Release) api.ApplyReply {
	w.t.Helper()
	reply, err := w.client.Apply(w.t.Context(), stack, api.ApplyRequest{Release: rel, By: "ann"})
	check(w.t, err)
	return reply
}

func (w *world) status() api.Status {
	w.t.Helper()
	st, err := w.client.Status(w.t.Context(), stack)
	check(w.t, err)
	return st
}

// outcomes lists the history as "r1 replaced, r2 serving".
func (w *world) outcomes() string {
	w.t.Helper()
	revs, err := w.client.Revisions(w.t.Context(), stack)
	check(w.t, err)
	var parts []string
	for _, r := range revs {
		parts = append(parts, fmt.Sprintf("r%d %s", r.Number, r.Outcome))
	}
	return strings.Join(parts, ", ")
}

// curl asks by hand.
func (w *world) curl(method, path, body string) (status int, kind, text string) {
	w.t.Helper()
	c := http.Client{Transport: &http.Transport{DisableKeepAlives: true, ExpectContinueTimeout: time.Minute, DialContext: func(context.Context, string, string) (net.Conn, error) {
		return net.Dial("unix", w.socket)
	}}}
	req, err := http.NewRequest(method, "http://glint"+path, strings.NewReader(body))
	check(w.t, err)
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	if len(body) > 1<<16 { // as curl does
		req.Header.Set("Expect", "100-continue")
	}
	resp, err := c.Do(req)
	check(w.t, err)
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	check(w.t, err)
	return resp.StatusCode, resp.Header.Get("Content-Type"), string(b)
}

// logs keeps one line of every instance in the simulated world, and a further one a follower gets.
type logs struct{ *world }

func (l logs) Logs(ctx context.Context, id glint.ID, tail int, follow bool) (io.ReadCloser, error) {
	for _, have := range l.sim.IDs() {
		if have != id {
			continue
		}
		lines := fmt.Sprintf("2030-01-01T12:00:00Z out %s tail %d\n", id.Short(), tail)
		if !follow {
			return io.NopCloser(strings.NewReader(lines)), nil
		}
		r, w := io.Pipe()
		go func() {
			fmt.Fprint(w, lines)
			<-ctx.Done()
			w.CloseWithError(ctx.Err())
		}()
		return r, nil
	}
	return nil, fmt.Errorf("logs of %s: %w", id, glint.ErrNotFound)
}

// layer is a tar with one file, and its digest.
func layer(t *testing.T, name, text string) ([]byte, glint.Digest) {
	t.Helper()
	var b bytes.Buffer
	tw := tar.NewWriter(&b)
	check(t, tw.WriteHeader(&tar.Header{Name: name, Mode: 0o755, Size: int64(len(text)), Typeflag: tar.TypeReg}))
	_, err := tw.Write([]byte(text))
	check(t, errors.Join(err, tw.Close()))
	return b.Bytes(), glint.DigestOf(b.Bytes())
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// refused asserts a refusal with that code, that is the sentinel, and that says so in words.
func refused(t *testing.T, err error, code string, is error, words ...string) {
	t.Helper()
	var e *api.Error
	if !errors.As(err, &e) || e.Code != code {
		t.Fatalf("error is %#v (%v), want code %s", err, err, code)
	}
	if is != nil && !errors.Is(err, is) {
		t.Errorf("%v is not %v", err, is)
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("%q does not say %q", err, w)
		}
	}
}

func me(t *testing.T) string {
	t.Helper()
	u, err := user.LookupId(fmt.Sprint(os.Getuid()))
	check(t, err)
	return u.Username
}
