package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/glint-infra/glint"
	"github.com/glint-infra/glint/internal/api"
	"github.com/glint-infra/glint/internal/artifact"
	"github.com/glint-infra/glint/internal/balancer/haproxy"
	"github.com/glint-infra/glint/internal/balancer/plane"
	"github.com/glint-infra/glint/internal/conductor"
	"github.com/glint-infra/glint/internal/discovery"
	"github.com/glint-infra/glint/internal/image"
	"github.com/glint-infra/glint/internal/network"
	"github.com/glint-infra/glint/internal/observe"
	"github.com/glint-infra/glint/internal/platform/local"
	"github.com/glint-infra/glint/internal/store"
	"github.com/glint-infra/glint/internal/store/etcd"
)

// A host is all rooms of a server, joined.
type host struct {
	at        site
	store     store.Store
	blobs     *artifact.Store
	images    *image.Builder
	directory *discovery.Book
	firewall  *network.Firewall
	platform  *local.Platform
	plane     *plane.Plane
	observer  *observe.Observer
	conductor *conductor.Conductor
	incidents chan string
	closers   []func() error // in the order in which things were opened
	empty     bool           // nothing runs and nothing is declared
}

// open joins the rooms. First the name and the store are taken: whoever holds them is the only server of its host objects
// and of its data, and nothing is touched before.
func open(ctx context.Context, at site) (*host, error) {
	h := &host{at: at, incidents: make(chan string, 64)}
	for _, step := range []func(context.Context) error{h.takeName, h.openState, h.openImages, h.openNetwork, h.openPlatform} {
		if err := step(ctx); err != nil {
			return nil, errors.Join(err, h.close())
		}
	}
	h.observer = observe.New(observe.Config{Platform: h.platform, Balancer: h.plane, Hint: func(stack string) { h.conductor.Poke(stack) }})
	h.closers = append(h.closers, func() error { h.observer.Close(); return nil })
	h.conductor = conductor.New(h.conducting())
	h.closers = append(h.closers, func() error { h.conductor.Settle(); return nil })
	return h, nil
}

func (h *host) conducting() conductor.Config {
	cfg := conductor.Config{
		Store: h.store, Platform: h.platform, Balancer: h.plane, Look: h.observer.Look, Now: time.Now, Ended: h.ended, Told: told,
	}
	if at := h.at.moment; at != nil {
		cfg.Platform, cfg.Balancer = momentousPlatform{h.platform, at}, momentousPlane{h.plane, at}
	}
	return cfg
}

func (h *host) openState(ctx context.Context) (err error) {
	for _, dir := range []string{h.at.data, h.at.run} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return fmt.Errorf("making the server's folders: %w", err)
		}
	}
	report := func(err error) { slog.Warn("keeping the store tidy", "error", err) }
	if h.store, err = etcd.Open(ctx, etcd.Config{Dir: filepath.Join(h.at.data, "store"), Report: report}); err != nil {
		return err
	}
	if h.at.moment != nil {
		h.store = momentousStore{h.store, h.at.moment}
	}
	h.closers = append(h.closers, h.store.Close)
	h.directory, err = discovery.Open(filepath.Join(h.at.data, "addresses.json"), h.at.services)
	return err
}

func (h *host) openImages(context.Context) (err error) {
	if h.blobs, err = artifact.Open(filepath.Join(h.at.data, "artifacts")); err != nil {
		return err
	}
	h.closers = append(h.closers, h.blobs.Close)
	h.images, err = image.NewBuilder(image.Config{Dir: filepath.Join(h.at.data, "images"), Artifacts: h.blobs, Mirror: h.at.mirror})
	return err
}

func (h *host) openNetwork(context.Context) (err error) {
	h.firewall, err = network.NewFirewall(network.FirewallConfig{
		Name: h.at.name, State: filepath.Join(h.at.run, "firewall.json"), Links: linkPrefix(h.at.name),
		Instances: h.at.instances, Services: []netip.Prefix{h.at.services}, At: h.at.moment,
	})
	if err == nil {
		h.closers = append(h.closers, h.closeNetwork)
	}
	return err
}

// closeNetwork leaves the rules in force while anybody may live behind them, and takes them away after the last.
func (h *host) closeNetwork() error {
	if h.empty {
		return h.firewall.Remove()
	}
	return h.firewall.Close()
}

// look notes whether there is anybody left. It is asked before the platform is closed.
func (h *host) look() error {
	ctx, cancel := context.WithTimeout(context.Background(), farewell)
	defer cancel()
	stacks, err := h.store.Stacks(ctx)
	if err != nil {
		return err
	}
	seen, err := h.platform.List(ctx)
	h.empty = err == nil && len(stacks) == 0 && seen.Complete && len(seen.Instances) == 0
	return err
}

func (h *host) openPlatform(ctx context.Context) (err error) {
	h.platform, err = local.New(local.Config{
		Name: h.at.name, DataDir: filepath.Join(h.at.data, "local"), RunDir: filepath.Join(h.at.run, "local"), Pool: h.at.instances,
		Images: h.images, Names: h.directory, Members: h.firewall, At: h.at.moment,
	})
	if err != nil {
		return err
	}
	h.closers = append(h.closers, h.platform.Close, h.look)
	h.plane, err = plane.Open(ctx, plane.Config{
		Name: h.at.name + "0", State: filepath.Join(h.at.run, "routes.json"), Directory: h.directory, Edges: h.firewall, Incident: h.incident, At: h.at.moment,
		HAProxy: haproxy.Config{Dir: filepath.Join(h.at.run, "haproxy"), Public: h.at.public, Cgroups: haproxyGroups(h.at.name), At: h.at.moment},
	})
	if err != nil {
		return err
	}
	h.closers = append(h.closers, h.plane.Close)
	return nil
}

// haproxyGroups are control groups of HAProxy's own, so that the end of the server's group does not end it.
func haproxyGroups(name string) []string {
	if _, err := os.Stat("/sys/fs/cgroup/cgroup.controllers"); err == nil {
		return []string{filepath.Join("/sys/fs/cgroup", name+"-haproxy")}
	}
	var dirs []string
	for _, hierarchy := range []string{"systemd", "unified", "memory", "pids", "cpu", "cpuacct", "cpu,cpuacct"} {
		point := filepath.Join("/sys/fs/cgroup", hierarchy)
		if info, err := os.Lstat(point); err == nil && info.IsDir() {
			dirs = append(dirs, filepath.Join(point, name+"-haproxy"))
		}
	}
	return dirs
}

// close gives back what was opened, the newest first.
func (h *host) close() error {
	var errs []error
	for i := len(h.closers) - 1; i >= 0; i-- {
		errs = append(errs, h.closers[i]())
	}
	return errors.Join(errs...)
}

// run serves until ctx ends or something without which there is no serving does.
func (h *host) run(ctx context.Context, l net.Listener) error {
	ctx, stop := context.WithCancel(ctx)
	var wg sync.WaitGroup
	var mu sync.Mutex
	var errs []error
	begin := func(what string, f func(context.Context) error) {
		wg.Go(func() {
			defer stop()
			if err := f(ctx); err != nil && ctx.Err() == nil {
				mu.Lock()
				errs = append(errs, fmt.Errorf("%s: %w", what, err))
				mu.Unlock()
			}
		})
	}
	begin("conducting", h.conductor.Run)
	begin("watching", h.watch)
	begin("recording incidents", h.record)
	begin("answering", func(ctx context.Context) error { return api.Serve(ctx, l, api.NewServer(h.api())) })
	wg.Wait()
	return errors.Join(errs...)
}

func (h *host) api() api.Config {
	return api.Config{
		Store: h.store, Conductor: h.conductor, Images: h.images, Blobs: h.blobs, Logs: h.platform, Version: versionOf(),
		URL: h.url, Epoch: epoch, Now: time.Now,
	}
}

// url is where a routed host answers.
func (h *host) url(name string) string {
	if h.at.public.Port() == 80 {
		return "http://" + name
	}
	return fmt.Sprintf("http://%s:%d", name, h.at.public.Port())
}

// epoch draws a name for a life of a stack: 40 bits, so that two lives of one stack do not share one.
func epoch() glint.Epoch {
	var b [5]byte
	_, _ = rand.Read(b[:]) // never fails: see crypto/rand
	return glint.Epoch(hex.EncodeToString(b[:]))
}

// watch passes on hints for as long as the server lives. Without them the conductor still looks, only later.
func (h *host) watch(ctx context.Context) error {
	for ctx.Err() == nil {
		if err := h.observer.Run(ctx); err != nil && ctx.Err() == nil {
			slog.Warn("hints are lost for a moment", "error", err)
			select {
			case <-ctx.Done():
			case <-time.After(time.Second):
			}
		}
	}
	return nil
}

// incident takes note of what was found wrong and mended. It must not block.
func (h *host) incident(text string) {
	select {
	case h.incidents <- text:
	default:
		slog.Warn("incident", "text", text, "note", "too many at once; this one is in the log only")
	}
}

// record writes incidents of the host into the story of every stack that lives: all of them share it.
func (h *host) record(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case text := <-h.incidents:
			slog.Warn("incident", "text", text)
			stacks, err := h.store.Stacks(ctx)
			for _, stack := range stacks {
				err = errors.Join(err, h.store.Record(ctx, stack, glint.Event{At: time.Now().UTC(), Stack: stack, Kind: glint.EventIncident, Text: text}))
			}
			if err != nil && ctx.Err() == nil {
				slog.Warn("recording an incident", "error", err)
			}
		}
	}
}

// ended gives back what was kept for a stack that is no more.
func (h *host) ended(stack string) error {
	h.observer.Forget(stack)
	return errors.Join(h.firewall.SetEdges(stack, nil), h.directory.Forget(stack))
}

// told writes the story into the log.
func told(t conductor.Turn) {
	for _, e := range t.Events {
		level := slog.LevelInfo
		if e.Kind == glint.EventIncident || broke(e) {
			level = slog.LevelWarn
		}
		slog.Log(context.Background(), level, sentenceOf(e), "stack", e.Stack, "blueprint", e.Blueprint)
		if len(e.Tail) > 0 {
			slog.Log(context.Background(), level, "its last lines", "instance", e.ID.Short(), "tail", strings.Join(e.Tail, "\n"))
		}
	}
}
