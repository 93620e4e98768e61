package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"mime"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"syscall"
	"time"

	"github.com/glint-infra/glint"
	"github.com/glint-infra/glint/internal/image"
)

// A Client speaks to one server. All its methods may be called at the same time. Their errors are *Error when the
// server refused or did not answer.
type Client struct {
	socket string
	http   *http.Client
}

// NewClient returns a client of the server that listens on socket. It does not connect yet.
func NewClient(socket string) *Client {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}
	// A server that hangs is told apart from one that works: every stream begins with its head at once.
	return &Client{socket: socket, http: &http.Client{Transport: &http.Transport{
		DialContext: dial, ExpectContinueTimeout: 5 * time.Second, ResponseHeaderTimeout: 5 * time.Minute, DisableCompression: true,
	}}}
}

// Version says what answers.
func (c *Client) Version(ctx context.Context) (Version, error) {
	return ask[Version](ctx, c, "GET", "/v1/version", nil)
}

// Stacks lists the stacks that live.
func (c *Client) Stacks(ctx context.Context) ([]Summary, error) {
	return ask[[]Summary](ctx, c, "GET", "/v1/stacks", nil)
}

// Status says all that is known of a stack.
func (c *Client) Status(ctx context.Context, stack string) (Status, error) {
	return ask[Status](ctx, c, "GET", at(stack), nil)
}

// Plan says what Apply of the same request would do. It changes nothing.
func (c *Client) Plan(ctx context.Context, stack string, req ApplyRequest) (PlanReply, error) {
	return ask[PlanReply](ctx, c, "POST", at(stack, "plan"), req)
}

// Apply makes a release the stack's newest revision. Asking again for the same changes nothing.
func (c *Client) Apply(ctx context.Context, stack string, req ApplyRequest) (ApplyReply, error) {
	return ask[ApplyReply](ctx, c, "POST", at(stack, "apply"), req)
}

// Rollback makes an earlier revision's release the newest revision.
func (c *Client) Rollback(ctx context.Context, stack string, req RollbackRequest) (glint.Revision, error) {
	return ask[glint.Revision](ctx, c, "POST", at(stack, "rollback"), req)
}

// Destroy asks for the end of a stack. Volumes and history stay.
func (c *Client) Destroy(ctx context.Context, stack string, req WordRequest) (glint.Revision, error) {
	return ask[glint.Revision](ctx, c, "POST", at(stack, "destroy"), req)
}

// Replace asks for another instance in the place of service.n.
func (c *Client) Replace(ctx context.Context, stack, service string, n int, req WordRequest) (glint.Order, error) {
	return ask[glint.Order](ctx, c, "POST", at(stack, "instances", service, strconv.Itoa(n), "replace"), req)
}

// Promote ends the bake of a canary: the others follow. Without a service it is every canary.
func (c *Client) Promote(ctx context.Context, stack string, req OrderRequest) (glint.Order, error) {
	return ask[glint.Order](ctx, c, "POST", at(stack, "promote"), req)
}

// Abort rejects the revision that is being carried out. The comment is needed.
func (c *Client) Abort(ctx context.Context, stack string, req WordRequest) (glint.Order, error) {
	return ask[glint.Order](ctx, c, "POST", at(stack, "abort"), req)
}

// Pause lets no rollout of the stack go on. The comment is needed.
func (c *Client) Pause(ctx context.Context, stack string, req WordRequest) (glint.Order, error) {
	return ask[glint.Order](ctx, c, "POST", at(stack, "pause"), req)
}

// Resume ends a pause.
func (c *Client) Resume(ctx context.Context, stack string, req WordRequest) (glint.Order, error) {
	return ask[glint.Order](ctx, c, "POST", at(stack, "resume"), req)
}

// Regenerate asks for others in the places of all instances of a service, or of the stack.
func (c *Client) Regenerate(ctx context.Context, stack string, req OrderRequest) (glint.Order, error) {
	return ask[glint.Order](ctx, c, "POST", at(stack, "regenerate"), req)
}

// Scale asks for another number of instances of a service, within what it allows.
func (c *Client) Scale(ctx context.Context, stack, service string, req ScaleRequest) (glint.Order, error) {
	return ask[glint.Order](ctx, c, "POST", at(stack, "services", service, "scale"), req)
}

// Revisions returns a stack's history, oldest first, also of one that was destroyed.
func (c *Client) Revisions(ctx context.Context, stack string) ([]RevisionStatus, error) {
	return ask[[]RevisionStatus](ctx, c, "GET", at(stack, "revisions"), nil)
}

// Orders returns what people have said about what runs, oldest first, as events.
func (c *Client) Orders(ctx context.Context, stack string) ([]glint.Event, error) {
	return ask[[]glint.Event](ctx, c, "GET", at(stack, "orders"), nil)
}

// Release returns the release of revision number.
func (c *Client) Release(ctx context.Context, stack string, number int) (glint.Release, error) {
	return ask[glint.Release](ctx, c, "GET", at(stack, "revisions", strconv.Itoa(number)), nil)
}

// Events returns up to limit events with Seq above after, oldest first; with after < 0 the newest limit events.
func (c *Client) Events(ctx context.Context, stack string, after int64, limit int) ([]glint.Event, error) {
	q := url.Values{"after": {strconv.FormatInt(after, 10)}, "limit": {strconv.Itoa(limit)}}
	return ask[[]glint.Event](ctx, c, "GET", at(stack, "events")+"?"+q.Encode(), nil)
}

// Why tells the story of service.n, of a service (n is 0), or of a stack (service is empty).
func (c *Client) Why(ctx context.Context, stack, service string, n int) (Why, error) {
	q := url.Values{}
	if service != "" {
		q.Set("service", service)
	}
	if n != 0 {
		q.Set("n", strconv.Itoa(n))
	}
	return ask[Why](ctx, c, "GET", at(stack, "why")+"?"+q.Encode(), nil)
}

// WhyRevision tells how a revision was carried out: from its beginning to its verdict, or to now.
func (c *Client) WhyRevision(ctx context.Context, stack string, number int) (Why, error) {
	return ask[Why](ctx, c, "GET", at(stack, "why")+"?revision="+strconv.Itoa(number), nil)
}

// Logs returns the last tail lines (all when tail < 0) of service.n, and with follow goes on until ctx ends, the reader
// is closed, or the instance is destroyed. Each line is "TIME STREAM TEXT\n".
func (c *Client) Logs(ctx context.Context, stack, service string, n, tail int, follow bool) (io.ReadCloser, error) {
	q := url.Values{"tail": {strconv.Itoa(tail)}, "follow": {strconv.FormatBool(follow)}}
	resp, err := c.do(ctx, "GET", at(stack, "instances", service, strconv.Itoa(n), "logs")+"?"+q.Encode(), nil, nil)
	if err != nil {
		return nil, err
	}
	return resp.Body, nil
}

// HasBlob reports whether the server holds the blob d.
func (c *Client) HasBlob(ctx context.Context, d glint.Digest) (bool, error) {
	resp, err := c.do(ctx, "HEAD", "/v1/blobs/"+url.PathEscape(string(d)), nil, nil)
	if errors.Is(err, glint.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return true, resp.Body.Close()
}

// PutBlob stores size bytes of r, which must be d. What the server holds already is not sent again.
func (c *Client) PutBlob(ctx context.Context, d glint.Digest, size int64, r io.Reader) error {
	resp, err := c.do(ctx, "PUT", "/v1/blobs/"+url.PathEscape(string(d)), io.NopCloser(r), func(req *http.Request) {
		req.ContentLength = size
		req.Header.Set("Content-Type", "application/octet-stream")
		req.Header.Set("Expect", "100-continue")
	})
	if err != nil {
		return err
	}
	return resp.Body.Close()
}

// Images lists the sealed images.
func (c *Client) Images(ctx context.Context) ([]glint.Image, error) {
	return ask[[]glint.Image](ctx, c, "GET", "/v1/images", nil)
}

// Seal makes a sealed image of a recipe whose layers have been put before, and tells how it goes; told may be nil.
// It returns the image's digest, and whether it was there already.
func (c *Client) Seal(ctx context.Context, recipe image.Recipe, told func(SealEvent)) (glint.Digest, bool, error) {
	body, err := json.Marshal(SealRequest{Recipe: recipe})
	if err != nil {
		return "", false, fmt.Errorf("asking to seal %s: %w", recipe.Name, err)
	}
	resp, err := c.do(ctx, "POST", "/v1/images", bytes.NewReader(body), jsonBody)
	if err != nil {
		return "", false, err
	}
	defer resp.Body.Close()
	var last SealEvent
	err = readStream(resp.Body, func(m message) error {
		if len(m.data) == 0 {
			return nil
		}
		last = SealEvent{}
		if err := json.Unmarshal(m.data, &last); err != nil {
			return err
		}
		if told != nil {
			told(last)
		}
		return nil
	})
	switch {
	case last.Error != "":
		return "", false, &Error{Status: http.StatusUnprocessableEntity, Code: last.Code, Message: last.Error}
	case last.Digest != "":
		return last.Digest, last.Cached, nil
	case ctx.Err() != nil:
		return "", false, ctx.Err()
	}
	return "", false, fmt.Errorf("sealing %s: the server went away before it was done: %w", recipe.Name, errors.Join(err, io.ErrUnexpectedEOF))
}

// Follow calls told with every event of a stack with Seq above after (with after < 0: every new one), in order and once,
// until ctx ends or told returns an error, which it returns. It waits for a server that restarts and goes on where it was.
func (c *Client) Follow(ctx context.Context, stack string, after int64, told func(glint.Event) error) error {
	pause, connected := time.Duration(0), false
	for {
		err := c.follow(ctx, stack, &after, func() { pause, connected = 0, true }, told)
		var refusal *Error
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.As(err, &refusal) && (refusal.Code != CodeUnreachable || !connected) || errors.As(err, new(stop)):
			return unstop(err)
		}
		if pause = min(pause*2+100*time.Millisecond, 2*time.Second); !sleep(ctx, pause) {
			return ctx.Err()
		}
	}
}

// follow follows one connection until it breaks.
func (c *Client) follow(ctx context.Context, stack string, after *int64, connected func(), told func(glint.Event) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	resp, err := c.do(ctx, "GET", at(stack, "events", "follow")+"?after="+strconv.FormatInt(*after, 10), nil, nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	connected()
	watchdog := time.AfterFunc(3*heartbeat, cancel) // a server that is stopped in its tracks says nothing
	defer watchdog.Stop()
	return readStream(resp.Body, func(m message) error {
		watchdog.Reset(3 * heartbeat)
		if m.id >= 0 {
			*after = m.id
		}
		if len(m.data) == 0 {
			return nil
		}
		var e glint.Event
		if err := json.Unmarshal(m.data, &e); err != nil {
			return stop{fmt.Errorf("reading an event of %s: %w", stack, err)}
		}
		if err := told(e); err != nil {
			return stop{err}
		}
		return nil
	})
}

// stop marks an error that no new connection mends.
type stop struct{ error }

func unstop(err error) error {
	if s := (stop{}); errors.As(err, &s) {
		return s.error
	}
	return err
}

func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// at builds the path of something of a stack.
func at(stack string, parts ...string) string {
	path := "/v1/stacks/" + url.PathEscape(stack)
	for _, p := range parts {
		path += "/" + url.PathEscape(p)
	}
	return path
}

func jsonBody(r *http.Request) { r.Header.Set("Content-Type", "application/json") }

// ask sends v, if there is one, and reads the answer.
func ask[T any](ctx context.Context, c *Client, method, path string, v any) (answer T, err error) {
	var body io.Reader
	var with func(*http.Request)
	if v != nil {
		b, err := json.Marshal(v)
		if err != nil {
			return answer, fmt.Errorf("asking the server: %w", err)
		}
		body, with = bytes.NewReader(b), func(r *http.Request) {
			jsonBody(r)
			if len(b) > 1<<20 {
				r.Header.Set("Expect", "100-continue") // so that a refusal is heard
			}
		}
	}
	resp, err := c.do(ctx, method, path, body, with)
	if err != nil {
		return answer, err
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		return answer, fmt.Errorf("reading the server's answer: %w", err)
	}
	return answer, nil
}

// do sends a request and returns an answer that is no refusal.
func (c *Client) do(ctx context.Context, method, path string, body io.Reader, with func(*http.Request)) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, "http://glint"+path, body)
	if err != nil {
		return nil, fmt.Errorf("asking the server: %w", err)
	}
	if with != nil {
		with(req)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, c.unanswered(err)
	}
	if resp.StatusCode < 300 {
		return resp, nil
	}
	defer resp.Body.Close()
	return nil, refusal(resp)
}

// unanswered says in words why there was no answer.
func (c *Client) unanswered(err error) error {
	if u := new(url.Error); errors.As(err, &u) {
		err = u.Err
	}
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	case errors.Is(err, fs.ErrPermission):
		return &Error{Code: CodeDenied, cause: err, Message: fmt.Sprintf("permission denied on %s: ask as root, or as a member of the socket's group", c.socket)}
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED):
		return &Error{Code: CodeUnreachable, cause: err, Message: fmt.Sprintf("glint server is not running (no answer on %s): start it with `glint server`", c.socket)}
	}
	return &Error{Code: CodeUnreachable, cause: err, Message: fmt.Sprintf("glint server went away while it was asked (on %s): %v", c.socket, err)}
}

// maxRefusal bounds in bytes what is read of a refusal.
const maxRefusal = 1 << 20

// refusal reads a problem (RFC 9457), or makes one of whatever came.
func refusal(resp *http.Response) error {
	e := &Error{Status: resp.StatusCode, Code: codeOf(resp.StatusCode), Message: resp.Status}
	var p Problem
	kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxRefusal))
	if err != nil || kind != "application/problem+json" || json.Unmarshal(b, &p) != nil {
		return e
	}
	if p.Code != "" {
		e.Code = p.Code
	}
	if p.Detail != "" {
		e.Message = p.Detail
	}
	for _, d := range p.Errors {
		item := d.Message
		if d.Location != "" {
			item = d.Location + ": " + item
		}
		e.Items = append(e.Items, item)
	}
	return e
}
