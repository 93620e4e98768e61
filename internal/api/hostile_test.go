package api_test

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/glint-infra/glint"
	"github.com/glint-infra/glint/internal/api"
	"github.com/glint-infra/glint/internal/conductor"
	"github.com/glint-infra/glint/internal/image"
	"github.com/glint-infra/glint/internal/platform/sim"
	"github.com/glint-infra/glint/internal/store/mem"
)

// TestHostile: every refusal is a problem with a code, and nothing of it reaches the store.
func TestHostile(t *testing.T) {
	w := newWorld(t)
	w.apply(w.release("v1", 1))
	w.pass(5 * time.Second)
	rel, err := json.Marshal(w.release("v2", 1))
	check(t, err)
	long := strings.Repeat("x", 17<<20)
	for _, c := range []struct {
		method, path, body string
		status             int
		code, says         string
	}{
		{"GET", "/v1/nothing", "", 404, api.CodeNotFound, "/openapi.json"},
		{"GET", "/", "", 404, api.CodeNotFound, ""},
		{"DELETE", "/v1/stacks/shop", "", 404, api.CodeNotFound, "DELETE"},
		{"GET", "/v1/stacks/Shop", "", 422, api.CodeInvalid, "lower-case"},
		{"GET", "/v1/stacks/..%2F..%2Fetc", "", 422, api.CodeInvalid, "lower-case"},
		{"GET", "/v1/stacks/shoop", "", 404, api.CodeNotFound, "did you mean shop?"},
		{"GET", "/v1/stacks/warehouse", "", 404, api.CodeNotFound, "there is shop"},
		{"GET", "/v1/stacks/shop/revisions/x", "", 422, api.CodeInvalid, "number"},
		{"GET", "/v1/stacks/shop/revisions/0", "", 422, api.CodeInvalid, "number"},
		{"GET", "/v1/stacks/shop/events?limit=99999999", "", 422, api.CodeInvalid, "limit"},
		{"GET", "/v1/stacks/shop/events?tial=1", "", 422, api.CodeInvalid, "tial"},
		{"POST", "/v1/stacks/shop/apply", "", 400, api.CodeInvalid, "body"},
		{"POST", "/v1/stacks/shop/apply", "{", 400, api.CodeInvalid, ""},
		{"POST", "/v1/stacks/shop/apply", "[]", 422, api.CodeInvalid, "object"},
		{"POST", "/v1/stacks/shop/apply", `{"release":null}`, 422, api.CodeInvalid, "release"},
		{"POST", "/v1/stacks/shop/apply", `{"release":` + string(rel) + `,"froce":true}`, 422, api.CodeInvalid, "body.froce"},
		{"POST", "/v1/stacks/shop/apply", `{"release":` + strings.Replace(string(rel), `"instances":1`, `"instances":"1"`, 1) + `}`, 422, api.CodeInvalid, "instances"},
		{"POST", "/v1/stacks/shop/apply", `{"release":` + strings.Replace(string(rel), `"start_within":"10s"`, `"start_within":"10"`, 1) + `}`, 422, api.CodeInvalid, "30s"},
		{"POST", "/v1/stacks/shop/apply", `{"release":` + strings.Replace(string(rel), `"instances":1`, `"instances":100001`, 1) + `}`, 422, api.CodeRefused, "more than"},
		{"POST", "/v1/stacks/shop/apply", strings.Repeat("[", 1<<20), 400, api.CodeInvalid, ""},
		{"POST", "/v1/stacks/shop/apply", `{"by":"` + long + `"}`, 413, api.CodeTooLarge, ""},
		{"POST", "/v1/stacks/shop/destroy", `{"by":"` + long[:1<<17] + `"}`, 413, api.CodeTooLarge, ""},
		{"POST", "/v1/stacks/shop/destroy", `{"by":"` + long[:101] + `"}`, 422, api.CodeInvalid, "by"},
		{"POST", "/v1/stacks/shop/rollback", `{"to":-1}`, 404, api.CodeNotFound, "r-1"},
		{"POST", "/v1/stacks/shop/instances/web/0/replace", `{}`, 422, api.CodeInvalid, "n"},
		{"PUT", "/v1/blobs/sha256:..%2f..%2fx", "x", 422, api.CodeInvalid, "digest"},
		{"POST", "/v1/images", `{"recipe":{"name":"x","base":"scratch","layers":["../../etc/passwd"]}}`, 422, api.CodeRefused, ""},
	} {
		status, kind, body := w.curl(c.method, c.path, c.body)
		var p api.Problem
		if err := json.Unmarshal([]byte(body), &p); err != nil || kind != "application/problem+json" {
			t.Errorf("%s %s: %s %q (%v)", c.method, c.path, kind, body, err)
			continue
		}
		if status != c.status || p.Status != status || p.Code != c.code || p.Detail == "" || !strings.Contains(body, c.says) {
			t.Errorf("%s %s %.60s: %d %s, want %d %s with %q", c.method, c.path, c.body, status, body, c.status, c.code, c.says)
		}
		if len(body) > 8<<10 {
			t.Errorf("%s %s: the refusal itself has %d bytes", c.method, c.path, len(body))
		}
	}
	if got := w.outcomes(); got != "r1 serving" {
		t.Errorf("a refusal changed something: %s", got)
	}
	huge := w.release("v2", 1)
	huge.Services[0].Template.Env["X"] = long
	_, err = w.client.Apply(t.Context(), stack, api.ApplyRequest{Release: huge})
	refused(t, err, api.CodeTooLarge, glint.ErrInvalid, "16MiB")
	// By hand, without a name: the user at the other end.
	if status, _, body := w.curl("POST", "/v1/stacks/shop/apply", `{"release":`+string(rel)+`}`); status != 200 || !strings.Contains(body, `"by":"`+me(t)+`"`) {
		t.Errorf("curl: %d %s", status, body)
	}
}

// fragile panics where a server must not end.
type fragile struct{ api.Sealer }

func (fragile) Open(glint.Digest) (image.Sealed, error) { panic("secret of the server") }
func (fragile) List() ([]image.Info, error)             { panic("secret of the server") }

func TestPanic(t *testing.T) {
	w := newWorld(t)
	rel := w.release("v1", 1)
	w.stop()
	w.config.Images = fragile{}
	w.serve()
	_, err := w.client.Apply(t.Context(), stack, api.ApplyRequest{Release: rel})
	refused(t, err, api.CodeInternal, nil, "its log says how")
	_, _, serr := w.client.Seal(t.Context(), image.Recipe{Name: "x", Base: "scratch"}, nil)
	refused(t, serr, api.CodeInternal, nil)
	if strings.Contains(err.Error()+serr.Error(), "secret") || strings.Contains(err.Error()+serr.Error(), ".go:") {
		t.Errorf("the server tells what is its own: %v, %v", err, serr)
	}
	if _, err := w.client.Version(t.Context()); err != nil {
		t.Errorf("a panic ended the server: %v", err)
	}
}

// TestHalfRequest: a client that goes away in the middle leaves nothing.
func TestHalfRequest(t *testing.T) {
	w := newWorld(t)
	d := glint.DigestOf([]byte("hello"))
	conn, err := net.Dial("unix", w.socket)
	check(t, err)
	fmt.Fprintf(conn, "PUT /v1/blobs/%s HTTP/1.1\r\nHost: glint\r\nContent-Length: 5\r\n\r\nhel", d)
	check(t, conn.Close())
	conn, err = net.Dial("unix", w.socket)
	check(t, err)
	fmt.Fprintf(conn, "POST /v1/stacks/shop/apply HTTP/1.1\r\nHost: glint\r\nContent-Length: 500\r\n\r\n{\"release\"")
	check(t, conn.Close())
	w.stop() // waits for both
	w.serve()
	if has, err := w.client.HasBlob(t.Context(), d); err != nil || has {
		t.Errorf("half a blob is kept: %t, %v", has, err)
	}
	check(t, w.client.PutBlob(t.Context(), d, 5, strings.NewReader("hello")))
}

// FuzzApply: no body makes the server fail, and what is not refused is a release that check admits.
func FuzzApply(f *testing.F) {
	store, sims := mem.New(), sim.New()
	h := api.NewServer(api.Config{Store: store, Now: sims.Now, Epoch: func() glint.Epoch { return "e1" }, Images: sealedAll{},
		Conductor: conductor.New(conductor.Config{Store: store, Platform: sims, Balancer: sims, Now: sims.Now})})
	w := world{image: glint.DigestOf(nil)}
	good, err := json.Marshal(api.ApplyRequest{Release: w.release("v1", 2, "serve"), By: "ann", Comment: "ok"})
	if err != nil {
		f.Fatal(err)
	}
	for _, s := range []string{string(good), `{}`, `{"release":{}}`, `{"release":{"format":2}}`, `[1e999]`, `{"release":{"services":[null]}}`, "\xff", `{"RELEASE":{}}`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, body string) {
		req := httptest.NewRequest("POST", "/v1/stacks/shop/apply", strings.NewReader(body))
		req.Header.Set("Content-Type", "application/json")
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, req)
		switch {
		case rec.Code == 200:
			var reply api.ApplyReply
			if err := json.Unmarshal(rec.Body.Bytes(), &reply); err != nil || reply.Revision.Number < 1 || reply.Revision.By == "" {
				t.Errorf("%s: %s (%v)", body, rec.Body, err)
			}
		case rec.Code >= 500 || rec.Header().Get("Content-Type") != "application/problem+json":
			t.Errorf("%s: %d %s", body, rec.Code, rec.Body)
		}
	})
}

// sealedAll knows every image.
type sealedAll struct{ api.Sealer }

func (sealedAll) Open(d glint.Digest) (image.Sealed, error) { return image.Sealed{Digest: d}, nil }
