package main

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/glint-infra/glint"
	"github.com/glint-infra/glint/internal/balancer/plane"
	"github.com/glint-infra/glint/internal/platform/local"
	"github.com/glint-infra/glint/internal/store"
)

// For tests of crashes only. A moment is a point between two things that outlive the server: before and after each change
// of the store, each step of the conductor, and each part of such a step.
const (
	// envMoments names a file to which the server appends a line for each moment that it passes.
	envMoments = "GLINT_TEST_MOMENTS"
	// envDieAt says at which moment, counted from 1 since its start, the server kills itself with SIGKILL.
	envDieAt = "GLINT_TEST_DIE_AT"
)

// moments returns what is called at each moment; nil when nobody tests crashes.
func moments(getenv func(string) string) (func(string), error) {
	path, at := getenv(envMoments), getenv(envDieAt)
	if path == "" && at == "" {
		return nil, nil
	}
	last, err := strconv.Atoi(at)
	if at != "" && (err != nil || last < 1) {
		return nil, fail(exitInvalid, "%s=%q: want a number from 1; it is for tests of crashes", envDieAt, at)
	}
	if path == "" {
		path = os.DevNull
	}
	file, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening the file for moments: %w", err)
	}
	var mu sync.Mutex
	passed := 0
	return func(moment string) {
		mu.Lock()
		defer mu.Unlock()
		passed++
		if _, err := fmt.Fprintf(file, "%d %s\n", passed, moment); err != nil {
			panic(fmt.Errorf("writing down a moment: %w", err)) // a test must not go on without it
		}
		if passed == last {
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL) // a process may kill itself
			select {}
		}
	}, nil
}

// A momentousStore marks what changes a store.
type momentousStore struct {
	store.Store
	at func(string)
}

func (s momentousStore) AddRevision(ctx context.Context, rev glint.Revision, rel glint.Release, after int, epoch glint.Epoch) (glint.Revision, error) {
	s.at("before a revision is added")
	defer s.at("after a revision is added")
	return s.Store.AddRevision(ctx, rev, rel, after, epoch)
}

func (s momentousStore) Advance(ctx context.Context, next glint.Blueprint, step glint.Step) error {
	s.at(fmt.Sprintf("before blueprint %d", next.Number))
	defer s.at(fmt.Sprintf("after blueprint %d", next.Number))
	return s.Store.Advance(ctx, next, step)
}

func (s momentousStore) End(ctx context.Context, stack string, number int) error {
	s.at("before the end of " + stack)
	defer s.at("after the end of " + stack)
	return s.Store.End(ctx, stack, number)
}

func (s momentousStore) Record(ctx context.Context, stack string, events ...glint.Event) error {
	s.at("before a record")
	defer s.at("after a record")
	return s.Store.Record(ctx, stack, events...)
}

func (s momentousStore) AddOrder(ctx context.Context, o glint.Order) (glint.Order, error) {
	s.at("before an order is added")
	defer s.at("after an order is added")
	return s.Store.AddOrder(ctx, o)
}

func (s momentousStore) CloseOrder(ctx context.Context, stack string, id int) error {
	s.at(fmt.Sprintf("before order %d is closed", id))
	defer s.at(fmt.Sprintf("after order %d is closed", id))
	return s.Store.CloseOrder(ctx, stack, id)
}

// A momentousPlatform marks the steps that a conductor has a platform take.
type momentousPlatform struct {
	*local.Platform
	at func(string)
}

func (p momentousPlatform) Create(ctx context.Context, spec glint.InstanceSpec) error {
	p.at("before create " + spec.ID.Short())
	defer p.at("after create " + spec.ID.Short())
	return p.Platform.Create(ctx, spec)
}

func (p momentousPlatform) Destroy(ctx context.Context, id glint.ID, grace time.Duration) error {
	p.at("before destroy " + id.Short())
	defer p.at("after destroy " + id.Short())
	return p.Platform.Destroy(ctx, id, grace)
}

// A momentousPlane marks the routes that a conductor publishes.
type momentousPlane struct {
	*plane.Plane
	at func(string)
}

func (p momentousPlane) Publish(ctx context.Context, r glint.Routes) error {
	p.at(fmt.Sprintf("before route %d", r.Generation))
	defer p.at(fmt.Sprintf("after route %d", r.Generation))
	return p.Plane.Publish(ctx, r)
}
