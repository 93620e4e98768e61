package balancertest

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/glint-infra/glint"
)

// An Instance stands in for a running instance: an HTTP server that says who it is.
type Instance struct {
	glint.Server
	Seen   atomic.Int64 // requests that reached it
	server *http.Server
	once   sync.Once
}

// Serve starts an instance on an address of this network namespace. It ends with the test at the latest. It answers with its
// key; /slow takes 2 s; X-Forwarded-For comes back as X-Seen-For; an Upgrade is answered by an echo.
func Serve(t testing.TB, id glint.ID, addr string, port int) *Instance {
	t.Helper()
	l, err := net.Listen("tcp", fmt.Sprintf("%s:%d", addr, port))
	if err != nil {
		t.Fatal(err)
	}
	return ServeOn(t, id, l)
}

// ServeOn is Serve on a listener that was made elsewhere, such as in another network namespace.
func ServeOn(t testing.TB, id glint.ID, l net.Listener) *Instance {
	host, _, _ := net.SplitHostPort(l.Addr().String())
	in := &Instance{Server: glint.Server{ID: id, Address: host, Port: l.Addr().(*net.TCPAddr).Port}}
	in.server = &http.Server{Handler: http.HandlerFunc(in.answer)}
	go func() { _ = in.server.Serve(l) }()
	t.Cleanup(in.Kill)
	return in
}

// Kill ends the instance at once: connections are cut as when its process is killed.
func (in *Instance) Kill() { in.once.Do(func() { _ = in.server.Close() }) }

func (in *Instance) answer(w http.ResponseWriter, r *http.Request) {
	in.Seen.Add(1)
	if r.Header.Get("Upgrade") != "" {
		echo(w)
		return
	}
	body, _ := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	if strings.HasSuffix(r.URL.Path, "/slow") {
		time.Sleep(2 * time.Second)
	}
	w.Header().Set("X-Seen-For", strings.Join(r.Header.Values("X-Forwarded-For"), ", "))
	w.Header().Set("X-Seen-Proto", r.Header.Get("X-Forwarded-Proto"))
	fmt.Fprintf(w, "%s %d", in.ID.Key(), len(body))
}

// echo speaks a protocol of its own after 101 Switching Protocols, as WebSockets do.
func echo(w http.ResponseWriter) {
	conn, rw, err := w.(http.Hijacker).Hijack()
	if err != nil {
		return
	}
	defer func() { _ = conn.Close() }()
	_, _ = rw.WriteString("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
	_ = rw.Flush()
	_, _ = io.Copy(conn, rw)
}
