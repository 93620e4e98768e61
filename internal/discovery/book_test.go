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
	for text, want := range map[string]error{
		`{"format": 99}`: glint.ErrTooNew,
		`{`:              glint.ErrInvalid,
		``:               glint.ErrInvalid,
		`{"format":1,"pool":"10.87.0.0/28","addresses":{"a/x":"10.87.0.1","b/y":"10.87.0.1"}}`: glint.ErrInvalid,
		`{"format":1,"pool":"10.87.0.0/28","addresses":{"a/x":"10.88.0.1"}}`:                   glint.ErrInvalid,
		`{"format":1,"pool":"10.87.0.0/28","addresses":{"a/x":""}}`:                            glint.ErrInvalid,
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := discovery.Open(path, pool); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", text, err, want)
		}
	}
	if _, err := open(t, filepath.Join(t.TempDir(), "no", "such", "folder"), pool).Address("shop", "web"); err == nil {
		t.Error("an address that could not be kept was given out")
	}
	for _, name := range []string{"", "Web", "a/b", "a.b"} {
		_, err1 := open(t, filepath.Join(t.TempDir(), "book.json"), pool).Address("shop", name)
		_, err2 := open(t, filepath.Join(t.TempDir(), "book.json"), pool).Address(name, "web")
		if !errors.Is(err1, glint.ErrInvalid) || !errors.Is(err2, glint.ErrInvalid) {
			t.Errorf("name %q: %v, %v", name, err1, err2)
		}
	}
	if _, err := discovery.Open(filepath.Join(t.TempDir(), "book.json"), netip.Prefix{}); !errors.Is(err, glint.ErrInvalid) {
		t.Errorf("no pool: %v", err)
	}
}

// TestBookUnwritten: what cannot be written down is not given out, not taken back, and changes nothing.
func TestBookUnwritten(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	path := filepath.Join(dir, "book.json")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	b := open(t, path, pool)
	first, err := b.Address("shop", "web")
	if err != nil || first.String() != "10.87.0.1" {
		t.Fatalf("the first address is %s, %v; want the lowest", first, err)
	}
	if err := os.Rename(dir, dir+".away"); err != nil {
		t.Fatal(err)
	}
	if a, err := b.Address("shop", "cache"); err == nil {
		t.Errorf("an address that could not be written down was given: %s", a)
	}
	if err := b.Forget("shop"); err == nil {
		t.Error("a forgetting that could not be written down was reported as done")
	}
	if err := os.Rename(dir+".away", dir); err != nil {
		t.Fatal(err)
	}
	for _, b := range []*discovery.Book{b, open(t, path, pool)} {
		if a, err := b.Address("shop", "web"); err != nil || a != first {
			t.Errorf("shop/web has %s, %v; had %s", a, err, first)
		}
	}
	if a, err := b.Address("mail", "web"); err != nil || a.String() != "10.87.0.2" {
		t.Errorf("mail/web has %s, %v; want the lowest free", a, err)
	}
}

func FuzzBook(f *testing.F) {
	f.Add([]byte(`{"format":1,"pool":"10.87.0.0/28","addresses":{"shop/web":"10.87.0.1"}}`))
	f.Add([]byte(`{"format":1,"pool":"10.87.0.0/28","addresses":null}`))
	path := filepath.Join(f.TempDir(), "book.json")
	f.Fuzz(func(t *testing.T, text []byte) {
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		b, err := discovery.Open(path, pool)
		if err != nil {
			return
		}
		if a, err := b.Address("new", "new"); err == nil && !pool.Contains(a) {
			t.Errorf("gave %s", a)
		}
		if err := b.Forget("shop"); err != nil {
			t.Error(err)
		}
	})
}
