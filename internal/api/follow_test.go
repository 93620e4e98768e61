package api_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/glint-infra/glint"
	"github.com/glint-infra/glint/internal/api"
)

// A reader follows a stack in the background.
type reader struct {
	t    *testing.T
	mu   sync.Mutex
	seqs []int64
	text string
	err  error
	done chan struct{}
	stop context.CancelFunc
}

func (w *world) follow(after int64) *reader {
	ctx, cancel := context.WithCancel(context.Background())
	r := &reader{t: w.t, stop: cancel, done: make(chan struct{})}
	go func() {
		defer close(r.done)
		r.err = w.client.Follow(ctx, stack, after, func(e glint.Event) error {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.seqs, r.text = append(r.seqs, e.Seq), r.text+e.Text+"\n"
			return nil
		})
	}()
	w.t.Cleanup(func() { cancel(); <-r.done })
	return r
}

// heard waits until the reader is connected.
func (w *world) heard(r *reader) {
	w.t.Helper()
	for limit := time.Now().Add(30 * time.Second); time.Now().Before(limit); time.Sleep(5 * time.Millisecond) {
		check(w.t, w.store.Record(w.t.Context(), stack, glint.Event{Text: "is anybody there?"}))
		r.mu.Lock()
		n := len(r.seqs)
		r.mu.Unlock()
		if n > 0 {
			return
		}
	}
	w.t.Fatal("nobody follows")
}

// until waits until the reader has been told of something.
func (r *reader) until(text string) {
	r.t.Helper()
	for limit := time.Now().Add(30 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		r.mu.Lock()
		has := strings.Contains(r.text, text)
		r.mu.Unlock()
		if has {
			return
		}
		if time.Now().After(limit) {
			r.t.Fatalf("was never told %q, but\n%s", text, r.text)
		}
	}
}

// gapless asserts that every event from first on was told once and in order.
func (r *reader) gapless(first int64) {
	r.t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	for i, seq := range r.seqs {
		if seq != first+int64(i) {
			r.t.Fatalf("events %v: want %d at %d", r.seqs, first+int64(i), i)
		}
	}
}

func TestFollow(t *testing.T) {
	w := newWorld(t)
	err := w.client.Follow(t.Context(), stack, 0, nil)
	refused(t, err, api.CodeNotFound, glint.ErrNotFound)
	w.apply(w.release("v1", 3))
	all := w.follow(0)
	w.pass(5 * time.Second)
	all.until("r1 serves")
	late := w.follow(-1) // only what is new
	w.heard(late)
	some := w.follow(4)
	some.until("r1 serves")
	w.apply(w.release("v2", 3))
	w.pass(20 * time.Second)
	for _, r := range []*reader{all, late, some} {
		r.until("r2 serves")
	}
	all.gapless(1)
	some.gapless(5)
	late.mu.Lock()
	if strings.Contains(late.text, "r1 serves") {
		t.Error("was told what is not new")
	}
	late.mu.Unlock()
	enough := errors.New("enough")
	if err := w.client.Follow(t.Context(), stack, 0, func(glint.Event) error { return enough }); err != enough {
		t.Errorf("the caller's own error came back as %v", err)
	}
	all.stop()
	<-all.done
	if !errors.Is(all.err, context.Canceled) {
		t.Errorf("following ended with %v", all.err)
	}
}

// TestFollowRestart: a server goes, and another comes; whoever follows is told everything once.
func TestFollowRestart(t *testing.T) {
	w := newWorld(t)
	w.apply(w.release("v1", 1))
	r := w.follow(-1)
	w.heard(r)
	w.pass(5 * time.Second)
	r.until("r1 serves")
	for i, v := range []string{"v2", "v3", "v4"} {
		w.stop()
		if _, err := os.Lstat(w.socket); !os.IsNotExist(err) {
			t.Fatalf("a server that stopped left its socket: %v", err)
		}
		rev, err := w.store.AddRevision(t.Context(), glint.Revision{Stack: stack, Kind: glint.KindApply, By: "ann"}, w.release(v, 1), i+1, "e9")
		check(t, err)
		w.pass(10 * time.Second) // nobody is told now
		w.serve()
		r.until(fmt.Sprintf("r%d serves", rev.Number))
	}
	r.gapless(r.seqs[0])
}

// TestFollowByHand: what EventSource and curl do.
func TestFollowByHand(t *testing.T) {
	w := newWorld(t)
	w.apply(w.release("v1", 1))
	w.pass(5 * time.Second)
	for header, first := range map[string]string{"": "id: 3", "Last-Event-ID: 6\r\n": "id: 7"} {
		conn, err := net.Dial("unix", w.socket)
		check(t, err)
		fmt.Fprintf(conn, "GET /v1/stacks/shop/events/follow?after=2 HTTP/1.0\r\n%s\r\n", header)
		lines, kind := bufio.NewScanner(conn), false
		for lines.Scan() {
			kind = kind || lines.Text() == "Content-Type: text/event-stream"
			if strings.HasPrefix(lines.Text(), "data: ") {
				t.Fatalf("the first event after %q has no id", header)
			}
			if lines.Text() == first {
				break
			}
		}
		if !lines.Scan() || !strings.HasPrefix(lines.Text(), `data: {"seq":`+strings.TrimPrefix(first, "id: ")) || !kind {
			t.Errorf("after %s comes %q (event stream: %t)", first, lines.Text(), kind)
		}
		conn.Close()
	}
}

func TestNobodyThere(t *testing.T) {
	w := newWorld(t)
	w.apply(w.release("v1", 1))
	w.stop()
	_, err := w.client.Version(t.Context())
	refused(t, err, api.CodeUnreachable, syscall.ENOENT, "glint server is not running", w.socket, "start it with `glint server`")
	err = w.client.Follow(t.Context(), stack, 0, nil)
	refused(t, err, api.CodeUnreachable, nil)
	w.serve()
	if _, err := w.client.Version(t.Context()); err != nil {
		t.Errorf("a server that is back: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := w.client.Version(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("a question that was called off: %v", err)
	}
}
