// Command moody serves like the shop, and goes wrong as its FAULT says: at its start, or some time after it had its first
// user. What shows only under use is what a canary is for.
package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// used is how long after the first request of a user a fault shows.
const used = 3 * time.Second

func main() {
	if len(os.Args) > 1 { // "lurk": somebody else started it, and it does nothing but be there
		time.Sleep(time.Hour)
		return
	}
	if os.Getenv("FAULT") == "start" {
		fmt.Println("cannot find my configuration")
		os.Exit(7)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	server := &http.Server{Addr: ":8080", Handler: handler()}
	ended := make(chan error, 1)
	go func() { ended <- server.ListenAndServe() }()
	select {
	case err := <-ended:
		fmt.Println(err)
		os.Exit(1)
	case <-ctx.Done():
		_ = server.Shutdown(context.Background()) // Glint's grace bounds it
	}
}

func handler() http.Handler {
	var sick atomic.Bool
	begin := sync.OnceFunc(func() {
		switch os.Getenv("FAULT") {
		case "sick":
			time.AfterFunc(used, func() { fmt.Println("I feel sick"); sick.Store(true) })
		case "exit":
			time.AfterFunc(used, func() { fmt.Println("out of ideas"); os.Exit(9) })
		}
	})
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		if sick.Load() {
			http.Error(w, "sick", http.StatusInternalServerError)
		}
	})
	users := func(answer http.HandlerFunc) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			begin()
			w.Header().Set("X-Shop-Version", os.Getenv("VERSION"))
			answer(w, r)
		}
	}
	mux.HandleFunc("GET /{$}", users(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "welcome") }))
	mux.HandleFunc("GET /version", users(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, os.Getenv("VERSION")) }))
	mux.HandleFunc("GET /slow", users(func(w http.ResponseWriter, r *http.Request) {
		wait, err := time.ParseDuration(r.FormValue("ms") + "ms")
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		select {
		case <-time.After(wait):
			fmt.Fprintln(w, "answered after", wait)
		case <-r.Context().Done():
		}
	}))
	return mux
}
