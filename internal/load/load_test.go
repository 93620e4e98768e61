package load_test

import (
	"context"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/glint-infra/glint/internal/load"
)

func run(t *testing.T, h http.HandlerFunc, enough int32) load.Report {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var n atomic.Int32
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if n.Add(1) == enough {
			cancel()
		}
		h(w, r)
	}))
	defer srv.Close()
	return load.Run(ctx, load.Mix{Address: srv.Listener.Addr().String(), Host: "shop.localhost", Path: "/", Slow: "/slow", KeepAlive: 2, OneShot: 2, SlowClients: 1, Timeout: 5 * time.Second, Mark: "X-Version"})
}

func TestCountsAnswers(t *testing.T) {
	r := run(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Host != "shop.localhost" {
			w.WriteHeader(http.StatusNotFound)
		}
		w.Header().Set("X-Version", "v1")
	}, 200)
	if r.Failed != 0 || r.Sent < 200 || r.Marks["v1"] != r.Sent {
		t.Errorf("%s", r)
	}
	if r.ByKind["keep-alive"] == 0 || r.ByKind["one-shot"] == 0 || r.ByKind["slow"] == 0 {
		t.Errorf("a kind of client sent nothing: %v", r.ByKind)
	}
}

func TestCountsBadStatus(t *testing.T) {
	r := run(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) }, 20)
	if r.Failed != r.Sent || r.Sent == 0 || !strings.Contains(r.String(), "status 503") {
		t.Errorf("%s", r)
	}
}

// Whoever listens hears of every answer, good or bad, and can tell when its request was sent.
func TestHearsEveryAnswer(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Version", "v1")
		if r.URL.Path == "/slow" {
			time.Sleep(10 * time.Millisecond)
			w.WriteHeader(http.StatusBadGateway)
		}
	}))
	defer srv.Close()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	began := time.Now()
	var mu sync.Mutex
	heard, bad := map[string]int{}, 0
	r := load.Run(ctx, load.Mix{Address: srv.Listener.Addr().String(), Path: "/", Slow: "/slow", KeepAlive: 1, OneShot: 1, SlowClients: 1, Mark: "X-Version", Hear: func(a load.Answer) {
		mu.Lock()
		defer mu.Unlock()
		heard[a.Kind]++
		slow := a.Kind == "slow"
		if (a.Err != nil) != slow || a.Mark != "v1" || a.Begun.Before(began) || slow && a.Took < 10*time.Millisecond {
			t.Errorf("%+v", a)
		}
		if a.Err != nil {
			bad++
		}
		if len(heard) == 3 && bad >= 3 {
			cancel()
		}
	}})
	if !maps.Equal(heard, r.ByKind) || bad != r.Failed {
		t.Errorf("heard of %v, %d bad: %s", heard, bad, r)
	}
}

// A kept connection that is closed under a client's hands is a failure, not something to smooth over.
func TestCountsCutConnections(t *testing.T) {
	var n atomic.Int32
	r := run(t, func(w http.ResponseWriter, _ *http.Request) {
		if n.Add(1)%10 == 0 {
			c, _, err := http.NewResponseController(w).Hijack()
			if err == nil {
				_ = c.(*net.TCPConn).SetLinger(0)
				_ = c.Close()
			}
		}
	}, 100)
	if r.Failed < 9 {
		t.Errorf("%s", r)
	}
}

func TestCountsNobody(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if r := load.Run(ctx, load.Mix{Address: addr, OneShot: 1, Path: "/"}); r.Failed == 0 || r.Failed != r.Sent {
		t.Errorf("%s", r)
	}
}
