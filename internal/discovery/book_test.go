package discovery_test

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"github.com/glint-infra/glint"
	"github.com/glint-infra/glint/internal/discovery"
)

var pool = netip.MustParsePrefix("10.87.0.0/28")

func open(t testing.TB, path string, pool netip.Prefix) *discovery.Book {
	t.Helper()
	b, err := discovery.Open(path, pool)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestBook holds the book against a map: an address never changes while its stack lives, no two services share one, and a
// restart forgets nothing.
func TestBook(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		dir, err := os.MkdirTemp(t.TempDir(), "")
		if err != nil {
			rt.Fatal(err)
		}
		path := filepath.Join(dir, "book.json")
		b, model := open(t, path, pool), map[[2]string]netip.Addr{}
		rt.Repeat(map[string]func(*rapid.T){
			"address": func(rt *rapid.T) {
				k := [2]string{rapid.SampledFrom([]string{"a", "ab", "b"}).Draw(rt, "stack"), fmt.Sprint("s", rapid.IntRange(0, 9).Draw(rt, "service"))}
				a, err := b.Address(k[0], k[1])
				if errors.Is(err, glint.ErrInUse) && len(model) == 15 {
					return
				}
				if err != nil {
					rt.Fatal(err)
				}
				if old, ok := model[k]; ok && old != a {
					rt.Fatalf("%v moved from %s to %s", k, old, a)
				}
				for other, taken := range model {
					if taken == a && other != k {
						rt.Fatalf("%v and %v share %s", k, other, a)
					}
				}
				if !pool.Contains(a) || a == pool.Addr() {
					rt.Fatalf("%s is not for services", a)
				}
				model[k] = a
			},
			"forget": func(rt *rapid.T) {
				stack := rapid.SampledFrom([]string{"a", "ab", "b"}).Draw(rt, "stack")
				if err := b.Forget(stack); err != nil {
					rt.Fatal(err)
				}
				for k := range model {
					if k[0] == stack {
						delete(model, k)
					}
				}
			},
			"reopen": func(*rapid.T) { b = open(t, path, pool) },
		})
	})
}

func TestBookAtOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "book.json")
	b := open(t, path, netip.MustParsePrefix("10.87.0.0/20"))
	var wg sync.WaitGroup
	var mu sync.Mutex
	seen := map[netip.Addr]int{}
	for i := range 40 {
		wg.Go(func() {
			a, err := b.Address("shop", fmt.Sprint("s", i%20))
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			seen[a]++
			mu.Unlock()
		})
	}
	wg.Wait()
	if len(seen) != 20 {
		t.Errorf("%d addresses for 20 services", len(seen))
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file is %v, %v", info, err)
	}
}

func TestBookRefuses(t *testing.T) {
	path := filepath.Join(t.TempDir(), "book.json")
	if _, err := open(t, path, pool).Address("shop", "web"); err != nil {
		t.Fatal(err)
	}
	if _, err := discovery.Open(path, netip.MustParsePrefix("10.99.0.0/28")); !errors.Is(err, glint.ErrInvalid) {
		t.Errorf("another pool: %v", err)
	}
	for text, want := range map[string]error{`{"format": 99}`: glint.ErrTooNew, `{`: nil} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := discovery.Open(path, pool); err == nil || want != nil && !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", text, err, want)
		}
	}
	if _, err := open(t, filepath.Join(t.TempDir(), "no", "such", "folder"), pool).Address("shop", "web"); err == nil {
		t.Error("an address that could not be kept was given out")
	}
}
