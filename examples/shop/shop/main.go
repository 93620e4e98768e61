// The shop is the example application: a page with products and a visit counter that it keeps in Redis.
//
// It knows nothing of Glint. It reads VERSION and CACHE from its environment, listens on :8080, answers a health check and
// finishes its requests when it is told to end: all that Glint asks of a service.
package main

import (
	"cmp"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"html/template"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"syscall"
	"time"
)

// maxSlow bounds /slow; the server's own time limits leave room for it.
const maxSlow = 30 * time.Second

//go:embed page.html
var pageText string

var page = template.Must(template.New("page").Parse(pageText))

type product struct {
	Name, Title, Price string
}

var products = []product{
	{"lamp", "Desk lamp", "39.00"},
	{"mug", "Mug, 0.3 l", "8.50"},
	{"notebook", "Notebook, dotted", "12.00"},
}

type shop struct {
	version  string
	instance string
	visits   *counter
	log      *slog.Logger
}

func main() {
	log := slog.New(slog.NewTextHandler(os.Stdout, nil))
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	listener, err := net.Listen("tcp", ":8080")
	if err == nil {
		err = run(ctx, listener, log)
	}
	if err != nil {
		log.Error("the shop failed", "error", err)
		os.Exit(1)
	}
}

// run serves until ctx ends, and then until all requests are answered.
func run(ctx context.Context, listener net.Listener, log *slog.Logger) error {
	instance, err := os.Hostname()
	if err != nil {
		return fmt.Errorf("asking for the host name: %w", err)
	}
	s := &shop{
		version: cmp.Or(os.Getenv("VERSION"), "dev"), instance: instance,
		visits: newCounter(os.Getenv("CACHE"), log), log: log,
	}
	defer s.visits.close()
	server := &http.Server{
		Handler:           s.handler(),
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      maxSlow + 10*time.Second,
		IdleTimeout:       2 * time.Minute, // longer than balancers keep theirs: they should be the ones to close
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	log.Info("the shop is open", "version", s.version, "instance", s.instance, "address", listener.Addr().String())
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	log.Info("the shop closes: no new requests, those under way are finished")
	within, cancel := context.WithTimeout(context.Background(), maxSlow+5*time.Second)
	defer cancel()
	if err := server.Shutdown(within); err != nil {
		return fmt.Errorf("finishing requests: %w", err)
	}
	if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	log.Info("the shop is closed")
	return nil
}

func (s *shop) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", s.front)
	mux.HandleFunc("POST /buy", s.buy)
	mux.HandleFunc("GET /slow", s.slow)
	mux.HandleFunc("GET /version", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, s.version) })
	// The check says whether this instance can do its work, and it can without the cache. Were it to ask the cache, a
	// cache that is away for a second would take every instance of the shop out of the routes at once.
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	guarded := http.NewCrossOriginProtection().Handler(mux)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Shop-Version", s.version)
		w.Header().Set("X-Shop-Instance", s.instance)
		guarded.ServeHTTP(w, r)
	})
}

func (s *shop) front(w http.ResponseWriter, r *http.Request) {
	visits, err := s.visits.add(r.Context(), "visits")
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'")
	err = page.Execute(w, struct {
		Products          []product
		Visits            int64
		Counted           bool
		Bought            string
		Version, Instance string
	}{products, visits, err == nil, r.URL.Query().Get("bought"), s.version, s.instance})
	if err != nil {
		s.log.Warn("a page was cut off", "error", err)
	}
}

func (s *shop) buy(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, 4<<10)
	name := r.FormValue("product")
	i := slices.IndexFunc(products, func(p product) bool { return p.Name == name })
	if i < 0 {
		http.Error(w, "There is no such product.", http.StatusBadRequest)
		return
	}
	s.log.Info("sold", "product", name)
	http.Redirect(w, r, "/?bought="+name, http.StatusSeeOther)
}

// slow answers late, so that one can watch what happens to requests under way.
func (s *shop) slow(w http.ResponseWriter, r *http.Request) {
	ms, err := strconv.Atoi(cmp.Or(r.URL.Query().Get("ms"), "2000"))
	wait := time.Duration(ms) * time.Millisecond
	if err != nil || ms < 0 || ms > int(maxSlow/time.Millisecond) {
		http.Error(w, fmt.Sprintf("ms: want a number from 0 to %d", maxSlow/time.Millisecond), http.StatusBadRequest)
		return
	}
	select {
	case <-time.After(wait):
		fmt.Fprintf(w, "answered after %s\n", wait)
	case <-r.Context().Done(): // nobody waits any more
	}
}
