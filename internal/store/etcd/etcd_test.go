package etcd

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/glint-infra/glint"
	"github.com/glint-infra/glint/internal/store"
	"github.com/glint-infra/glint/internal/store/storetest"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
)

func opened(t testing.TB, cfg Config) *kept {
	t.Helper()
	if cfg.Dir == "" {
		cfg.Dir = t.TempDir()
	}
	cfg.Report = func(err error) { t.Error(err) }
	s, err := Open(context.Background(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { must(t, s.Close()) })
	return s.(*kept)
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// begun gives a stack its life.
func begun(t testing.TB, s store.Store, stack string) glint.Blueprint {
	t.Helper()
	_, err := s.AddRevision(context.Background(), glint.Revision{Stack: stack}, glint.Release{Format: glint.ReleaseFormat, Stack: stack}, 0, "e1")
	must(t, err)
	return glint.Blueprint{Stack: stack, Epoch: "e1"}
}

// walked advances b by one step with one event.
func walked(t testing.TB, s store.Store, b glint.Blueprint, text string) glint.Blueprint {
	t.Helper()
	b.Number++
	b.Services = []glint.Fleet{{Name: "web", Last: b.Number}}
	must(t, s.Advance(context.Background(), b, glint.Step{Events: []glint.Event{{Text: text}}}))
	return b
}

func TestStore(t *testing.T) {
	storetest.Run(t, func(t *testing.T) store.Store { return opened(t, Config{noSync: true}) })
}

// TestStoreOfSegments keeps so little in etcd that most of every story is read from segments.
func TestStoreOfSegments(t *testing.T) {
	var segments int
	storetest.Run(t, func(t *testing.T) store.Store {
		dir := t.TempDir()
		t.Cleanup(func() {
			found, err := filepath.Glob(filepath.Join(dir, "segments/*/*.zst"))
			must(t, err)
			segments += len(found)
		})
		return opened(t, Config{Dir: dir, noSync: true, kept: 2, segment: 3, tidy: 5})
	})
	if segments < 100 {
		t.Errorf("only %d segments were written", segments)
	}
}

// pair is two stores over one etcd, as in two processes: each call goes to the other one than the call before.
type pair struct {
	store.Store
	second store.Store
	calls  atomic.Int64
}

func (p *pair) pick() store.Store {
	if p.calls.Add(1)%2 == 0 {
		return p.Store
	}
	return p.second
}

func (p *pair) AddRevision(ctx context.Context, rev glint.Revision, rel glint.Release, after int, epoch glint.Epoch) (glint.Revision, error) {
	return p.pick().AddRevision(ctx, rev, rel, after, epoch)
}
func (p *pair) Advance(ctx context.Context, b glint.Blueprint, step glint.Step) error {
	return p.pick().Advance(ctx, b, step)
}
func (p *pair) End(ctx context.Context, stack string, number int) error {
	return p.pick().End(ctx, stack, number)
}
func (p *pair) Record(ctx context.Context, stack string, events ...glint.Event) error {
	return p.pick().Record(ctx, stack, events...)
}
func (p *pair) AddOrder(ctx context.Context, o glint.Order) (glint.Order, error) {
	return p.pick().AddOrder(ctx, o)
}
func (p *pair) Head(ctx context.Context, stack string) (glint.Blueprint, error) {
	return p.pick().Head(ctx, stack)
}
func (p *pair) Close() error { return errors.Join(p.second.Close(), p.Store.Close()) }

func TestTwoStoresOverOneEtcd(t *testing.T) {
	storetest.Run(t, func(t *testing.T) store.Store {
		first := opened(t, Config{noSync: true})
		second, err := begin(t.Context(), first.cfg, first.client, first.keeper)
		must(t, err)
		second.release = func() error { return nil }
		p := &pair{Store: first, second: second}
		t.Cleanup(func() { must(t, p.Close()) })
		return p
	})
}

func TestNobodyListens(t *testing.T) {
	s := opened(t, Config{})
	walked(t, s, begun(t, s, "shop"), "on")
	ours := map[string]bool{}
	fds, err := os.ReadDir("/proc/self/fd")
	must(t, err)
	for _, fd := range fds {
		if to, err := os.Readlink("/proc/self/fd/" + fd.Name()); err == nil && strings.HasPrefix(to, "socket:[") {
			ours[strings.Trim(to, "socket:[]")] = true
		}
	}
	for file, column := range map[string]int{"tcp": 9, "tcp6": 9, "udp": 9, "udp6": 9, "unix": 6} {
		b, err := os.ReadFile("/proc/self/net/" + file)
		must(t, err)
		for _, line := range strings.Split(string(b), "\n")[1:] {
			if f := strings.Fields(line); len(f) > column && ours[f[column]] {
				t.Errorf("the store has a socket: %s: %s", file, line)
			}
		}
	}
}

func TestOthersReadNothing(t *testing.T) {
	old := syscall.Umask(0) // the worst that a caller can do
	defer syscall.Umask(old)
	dir := filepath.Join(t.TempDir(), "new", "store")
	s := opened(t, Config{Dir: dir, noSync: true, kept: 10, segment: 10, tidy: 100})
	b := begun(t, s, "shop")
	for range 2 * snapshotEntries {
		b = walked(t, s, b, "on")
	}
	must(t, s.tidy(t.Context()))
	kinds := map[string]bool{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		kinds[filepath.Ext(path)] = true
		if info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s is %v", path, info.Mode())
		}
		return nil
	})
	must(t, err)
	for _, kind := range []string{".wal", ".snap", ".zst", ".log"} {
		if !kinds[kind] {
			t.Errorf("there is no %s file: this test looked too early", kind)
		}
	}
}

func TestTooNew(t *testing.T) {
	dir := t.TempDir()
	s := opened(t, Config{Dir: dir})
	b := walked(t, s, begun(t, s, "shop"), "on")
	key := chunkKey(fleetItem("shop", "web"), 0)
	_, err := s.client.Put(t.Context(), key, "\x02\x01new")
	must(t, err)
	if _, err := s.Head(t.Context(), "shop"); !errors.Is(err, glint.ErrTooNew) {
		t.Errorf("a fleet of a newer format: %v", err)
	}
	_, err = s.client.Put(t.Context(), guardKey("shop"), "\x02\x01new")
	must(t, err)
	b.Number++
	if err := s.Advance(t.Context(), b, glint.Step{}); !errors.Is(err, glint.ErrTooNew) {
		t.Errorf("a guard of a newer format: %v", err)
	}
	_, err = s.client.Delete(t.Context(), root, clientv3.WithPrefix())
	must(t, err)
	_, err = s.client.Put(t.Context(), formatKey, "2")
	must(t, err)
	must(t, s.Close())
	_, err = Open(t.Context(), Config{Dir: dir})
	if !errors.Is(err, glint.ErrTooNew) || !strings.Contains(err.Error(), dir) {
		t.Errorf("a store of a newer format: %v", err)
	}
	_, err = Open(t.Context(), Config{Dir: dir}) // the refusal gave everything back
	if !errors.Is(err, glint.ErrTooNew) {
		t.Errorf("a store of a newer format, again: %v", err)
	}
}

// TestNoKeyIsLarge looks at what a large stack looks like in etcd.
func TestNoKeyIsLarge(t *testing.T) {
	s := opened(t, Config{noSync: true})
	b := begun(t, s, "big")
	b.Number, b.Services = 1, []glint.Fleet{{Name: "crowd"}}
	for n := range 20_000 {
		b.Services[0].Members = append(b.Services[0].Members, glint.Member{N: n + 1, Version: glint.DigestOf(fmt.Append(nil, n))})
	}
	must(t, s.Advance(t.Context(), b, glint.Step{Changed: b.Services}))
	resp, err := s.client.Get(t.Context(), root, clientv3.WithPrefix())
	must(t, err)
	if len(resp.Kvs) < 20 {
		t.Errorf("only %d keys: nothing was cut", len(resp.Kvs))
	}
	for _, kv := range resp.Kvs {
		if len(kv.Value) > 64<<10 {
			t.Errorf("%s has %d bytes", kv.Key, len(kv.Value))
		}
	}
}

func TestWatchSurvivesCompaction(t *testing.T) {
	s := opened(t, Config{noSync: true})
	begun(t, s, "shop")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var told []string
	missed := false
	must(t, s.Watch(ctx, func(stack string) {
		if told = append(told, stack); len(told) == 1 { // between the listing and the watch
			b := begun(t, s, "mail")
			for range 3 * keptChanges {
				b = walked(t, s, b, "on")
			}
			must(t, s.tidy(ctx))
			resp := <-s.client.Watch(ctx, root, clientv3.WithPrefix(), clientv3.WithRev(3))
			missed = errors.Is(resp.Err(), rpctypes.ErrCompacted)
		}
		if stack == "mail" {
			cancel()
		}
	}))
	if !missed || !slices.Contains(told, "mail") {
		t.Errorf("compacted: %v; told of %v, want mail among them", missed, told)
	}
}

func TestFullStoreMakesRoom(t *testing.T) {
	dir := t.TempDir()
	cfg := Config{Dir: dir, noSync: true, Quota: 8 << 20, tidy: 1 << 40} // housekeeping never begins by itself
	s := opened(t, cfg)
	b := begun(t, s, "shop")
	for b.Number < 400 { // one key written anew: 20 MB of old revisions
		b.Number++
		b.Services = []glint.Fleet{{Name: "web", Last: b.Number, Members: scattered(1000, b.Number)}}
		must(t, s.Advance(t.Context(), b, glint.Step{}))
	}
	var err error
	for i := 0; err == nil && i < 400; i++ { // what stays
		err = s.Record(t.Context(), "shop", glint.Event{Text: noise(64<<10, i)})
	}
	if !errors.Is(err, rpctypes.ErrNoSpace) || !strings.Contains(err.Error(), "8MiB") {
		t.Fatalf("a store that is really full: %v", err)
	}
	if head, err := s.Head(t.Context(), "shop"); err != nil || head.Number != 400 {
		t.Errorf("a full store does not answer: %d, %v", head.Number, err)
	}
	must(t, s.Close())
	cfg.Quota *= 4
	s = opened(t, cfg)
	must(t, s.tidy(t.Context()))
	walked(t, s, b, "with more room")
}

// scattered is members that do not compress well.
func scattered(n, seed int) []glint.Member {
	all := make([]glint.Member, n)
	for i := range all {
		all[i] = glint.Member{N: i + 1, Version: glint.DigestOf(fmt.Append(nil, i, "/", seed))}
	}
	return all
}

func noise(n, seed int) string {
	var b strings.Builder
	for i := 0; b.Len() < n; i++ {
		b.WriteString(glint.DigestOf(fmt.Append(nil, i, "/", seed)).Hex())
	}
	return b.String()
}

// TestCloseUnderLoad closes the store while it is being used: calls may fail, and nothing else may happen.
func TestCloseUnderLoad(t *testing.T) {
	for range 10 {
		s := opened(t, Config{noSync: true, kept: 2, segment: 2, tidy: 3})
		begun(t, s, "shop")
		var users sync.WaitGroup
		for range 4 {
			users.Go(func() {
				for ctx := context.Background(); ; {
					b, err := s.Head(ctx, "shop")
					if err == nil {
						b.Number++
						err = s.Advance(ctx, b, glint.Step{Events: []glint.Event{{Text: "on"}}})
					}
					if err != nil && !errors.Is(err, glint.ErrConflict) {
						return
					}
					s.Events(ctx, "shop", 0, 10)
				}
			})
		}
		for s.writes.Load() < 50 {
			runtime.Gosched()
		}
		must(t, s.Close())
		users.Wait()
	}
}
