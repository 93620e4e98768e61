package api

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strconv"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/glint-infra/glint"
	"github.com/glint-infra/glint/internal/conductor"
	"github.com/glint-infra/glint/internal/image"
	"github.com/glint-infra/glint/internal/platform"
	"github.com/glint-infra/glint/internal/store"
)

// APIVersion rises with each change that older clients cannot speak.
const APIVersion = 1

// Config is what a server passes questions on to. All fields are needed unless they say otherwise.
type Config struct {
	Store     store.Store
	Conductor *conductor.Conductor
	Images    Sealer
	Blobs     Blobs
	Logs      platform.Logger          // nil: this platform keeps no logs
	Version   string                   // of the binary
	URL       func(host string) string // where a routed host answers; nil: not known
	Epoch     func() glint.Epoch       // a new one at every call
	Now       func() time.Time
}

// A Sealer makes sealed images and finds them again: see image.Builder.
type Sealer interface {
	image.Library
	Seal(ctx context.Context, r image.Recipe, progress func(image.Progress)) (image.Sealed, error)
	List() ([]image.Info, error)
}

// Blobs keeps bytes under their digest: see artifact.Store.
type Blobs interface {
	Has(d glint.Digest) bool
	Put(ctx context.Context, d glint.Digest, r io.Reader) error
}

type server struct {
	Config
	mu      sync.Mutex
	ledgers map[string]*ledger // by stack
}

// NewServer returns the interface as a handler, for Serve.
func NewServer(cfg Config) http.Handler {
	s := &server{Config: cfg, ledgers: map[string]*ledger{}}
	mux := http.NewServeMux()
	s.describe(humago.New(mux, description()))
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		fail(w, refuse(http.StatusNotFound, CodeNotFound, "there is no %s %s; what there is: /openapi.json", r.Method, r.URL.Path))
	})
	return guard(mux)
}

func description() huma.Config {
	c := huma.DefaultConfig("Glint", strconv.Itoa(APIVersion))
	c.Info.Description = "Declared, observed, and why. Over a Unix socket: curl --unix-socket SOCKET http://glint/v1/stacks"
	c.CreateHooks, c.DocsPath, c.SchemasPath = nil, "", "" // no $schema in answers, and no page that loads scripts from elsewhere
	c.RejectUnknownQueryParameters = true
	return c
}

// guard keeps one bad request from harming the server: panics become answers, and bodies must keep coming.
func guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		out := &tracked{ResponseWriter: w}
		if r.Body != nil && r.Body != http.NoBody {
			r = r.WithContext(r.Context()) // net/http looks at its own copy to learn whether a body was asked for
			r.Body = &steady{ReadCloser: r.Body, conn: http.NewResponseController(w)}
		}
		defer func() {
			what := recover()
			if what == nil {
				return
			}
			if what != http.ErrAbortHandler && r.Context().Err() == nil {
				logPanic(r.Method+" "+r.URL.Path, what)
			}
			if out.begun {
				panic(http.ErrAbortHandler) // cut the connection: half an answer must not look whole
			}
			fail(w, refuse(http.StatusInternalServerError, CodeInternal, "the server failed over this request; its log says how"))
		}()
		next.ServeHTTP(out, r)
	})
}

func logPanic(doing string, what any) {
	slog.Error("a request made the server panic", "doing", doing, "panic", what, "stack", string(debug.Stack()))
}

// fail answers with an error outside of huma.
func fail(w http.ResponseWriter, e *Error) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(e.Status)
	_ = huma.DefaultJSONFormat.Marshal(w, problem(e)) // the client may be gone
}

// tracked knows whether an answer has begun.
type tracked struct {
	http.ResponseWriter
	begun bool
}

func (t *tracked) WriteHeader(status int) {
	t.begun = true
	t.ResponseWriter.WriteHeader(status)
}

func (t *tracked) Write(b []byte) (int, error) {
	t.begun = true
	return t.ResponseWriter.Write(b)
}

// Unwrap is how http.ResponseController finds deadlines and Flush.
func (t *tracked) Unwrap() http.ResponseWriter { return t.ResponseWriter }

// patience is how long a body may stand still, and how long a reader of a stream may not read.
const patience = time.Minute

// steady is a body that must keep coming. What follows its end is not bounded.
type steady struct {
	io.ReadCloser
	conn *http.ResponseController
}

func (s *steady) Read(p []byte) (int, error) {
	limit := time.Now().Add(patience)
	if err := s.conn.SetReadDeadline(limit); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return 0, err
	}
	n, err := s.ReadCloser.Read(p)
	if err != nil {
		_ = s.conn.SetReadDeadline(time.Time{}) // an open stream must not end with the body's time
	}
	return n, err
}

// reply is a body, for huma.
type reply[T any] struct{ Body T }

// bounds on bodies, in bytes.
const (
	maxRelease = 16 << 20
	maxWord    = 64 << 10
)

// handle adds one operation whose answer is JSON.
func handle[I, O any](api huma.API, op huma.Operation, f func(context.Context, *I) (O, error)) {
	huma.Register(api, complete(op), func(ctx context.Context, in *I) (*reply[O], error) {
		out, err := f(ctx, in)
		if err != nil {
			return nil, problem(err)
		}
		return &reply[O]{out}, nil
	})
}

// stream adds one operation that answers for as long as there is something to say, in the named media type.
func stream[I any](api huma.API, op huma.Operation, media, what string, f func(context.Context, *I) (func(huma.Context), error)) {
	op.Responses = map[string]*huma.Response{"200": {Description: what, Content: map[string]*huma.MediaType{media: {Schema: &huma.Schema{Type: huma.TypeString}}}}}
	huma.Register(api, complete(op), func(ctx context.Context, in *I) (*huma.StreamResponse, error) {
		body, err := f(ctx, in)
		if err != nil {
			return nil, problem(err)
		}
		return &huma.StreamResponse{Body: func(c huma.Context) {
			c.SetHeader("Content-Type", media)
			c.SetHeader("Cache-Control", "no-store")
			body(c)
		}}, nil
	})
}

func complete(op huma.Operation) huma.Operation {
	op.BodyReadTimeout = -1 // see steady
	if op.MaxBodyBytes == 0 {
		op.MaxBodyBytes = maxWord
	}
	op.Middlewares = huma.Middlewares{unread(op.MaxBodyBytes)}
	return op
}

// unread refuses a body that says that it is too large before it is sent (RFC 9110, 10.1.1). Otherwise the sender would
// find a broken connection, and no answer.
func unread(limit int64) func(huma.Context, func(huma.Context)) {
	return func(c huma.Context, next func(huma.Context)) {
		r, w := humago.Unwrap(c)
		if r.ContentLength > limit {
			fail(w, refuse(http.StatusRequestEntityTooLarge, CodeTooLarge, "a body of %d bytes is larger than the limit of %s", r.ContentLength, glint.Bytes(limit)))
			return
		}
		next(c)
	}
}

// describe adds every operation.
func (s *server) describe(api huma.API) {
	op := func(id, method, path, summary string) huma.Operation {
		return huma.Operation{OperationID: id, Method: method, Path: "/v1" + path, Summary: summary}
	}
	large := func(o huma.Operation) huma.Operation { o.MaxBodyBytes = maxRelease; return o }
	const one = "/stacks/{stack}"
	handle(api, op("version", "GET", "/version", "What answers"), s.version)
	handle(api, op("stacks", "GET", "/stacks", "The stacks that live"), s.stacks)
	handle(api, op("status", "GET", one, "All that is known of a stack: declared beside observed"), s.status)
	handle(api, large(op("plan", "POST", one+"/plan", "What apply would do; changes nothing")), s.plan)
	handle(api, large(op("apply", "POST", one+"/apply", "Make a release the newest revision; asking again changes nothing")), s.apply)
	handle(api, op("rollback", "POST", one+"/rollback", "Make an earlier revision's release the newest revision"), s.rollback)
	handle(api, op("destroy", "POST", one+"/destroy", "End a stack; volumes and history stay"), s.destroy)
	handle(api, op("replace", "POST", one+"/instances/{service}/{n}/replace", "Put another instance in the place of one"), s.replace)
	handle(api, op("promote", "POST", one+"/promote", "End the bake of a canary: the others follow"), s.promote)
	handle(api, op("abort", "POST", one+"/abort", "Reject the revision that is being carried out"), s.abort)
	handle(api, op("pause", "POST", one+"/pause", "Let no rollout go on; what fails or ages is still replaced"), s.pause)
	handle(api, op("resume", "POST", one+"/resume", "End a pause"), s.resume)
	handle(api, op("regenerate", "POST", one+"/regenerate", "Put others in the places of all instances"), s.regenerate)
	handle(api, op("scale", "POST", one+"/services/{service}/scale", "Ask for another number of instances, within what is declared"), s.scale)
	handle(api, op("revisions", "GET", one+"/revisions", "The history, oldest first, also of a stack that was destroyed"), s.revisions)
	handle(api, op("orders", "GET", one+"/orders", "What people have said about what runs, oldest first, as events"), s.orders)
	handle(api, op("release", "GET", one+"/revisions/{number}", "The release of a revision"), s.release)
	handle(api, op("events", "GET", one+"/events", "The story, oldest first"), s.events)
	stream(api, op("follow", "GET", one+"/events/follow", "The story as it goes on; resumes after Last-Event-ID"),
		"text/event-stream", "Each message is an Event; its id is the event's seq. Comments say that the stream is alive.", s.follow)
	handle(api, op("why", "GET", one+"/why", "The story of one instance, service or stack, and what it waits for"), s.why)
	stream(api, op("logs", "GET", one+"/instances/{service}/{n}/logs", "What an instance wrote"), "text/plain", "Lines of TIME STREAM TEXT", s.logs)
	s.describeImages(api, op)
}
