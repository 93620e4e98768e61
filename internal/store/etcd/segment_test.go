package etcd

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/glint-infra/glint"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// historied makes a store with a story of 100 steps, of which most have moved out, and returns its segments' paths.
func historied(t *testing.T, dir string) (*kept, []string) {
	t.Helper()
	s := opened(t, Config{Dir: dir, noSync: true, kept: 10, segment: 20, tidy: 1 << 40})
	b := begun(t, s, "shop")
	for b.Number < 100 {
		b = walked(t, s, b, fmt.Sprint("step ", b.Number+1))
	}
	must(t, s.tidy(t.Context()))
	paths, err := filepath.Glob(filepath.Join(dir, "segments", "shop", "*"))
	must(t, err)
	return s, paths
}

func TestOldEntriesMoveOut(t *testing.T) {
	s, paths := historied(t, t.TempDir())
	if len(paths) != 4 {
		t.Fatalf("segments are %v, want 4", paths)
	}
	resp, err := s.client.Get(t.Context(), logs, clientv3.WithPrefix(), clientv3.WithCountOnly())
	must(t, err)
	if resp.Count != 20 {
		t.Errorf("etcd holds %d entries, want the newest 20", resp.Count)
	}
	checkStory(t, s, 100)
	if steps, err := s.Steps(t.Context(), "shop", 77, 5); err != nil || len(steps) != 5 || steps[0].Number != 78 || steps[4].Number != 82 {
		t.Errorf("over the edge of the last segment: %d steps, %v", len(steps), err)
	}
}

// TestSegmentWrittenTwice is a crash between the writing of a segment and the guard's naming it.
func TestSegmentWrittenTwice(t *testing.T) {
	dir := t.TempDir()
	folder := filepath.Join(dir, "segments", "shop")
	must(t, os.MkdirAll(folder, 0o700))
	for _, leftover := range []string{"000000000001-000000000020.zst", "000000000001-000000000020.zst.new", "000000000007-000000000040.zst"} {
		must(t, os.WriteFile(filepath.Join(folder, leftover), []byte("{}\nleft over"), 0o600))
	}
	s, _ := historied(t, dir)
	checkStory(t, s, 100)
}

func TestChangedHistoryIsNoticed(t *testing.T) {
	swap := func(t *testing.T, a, b string) {
		must(t, os.Rename(a, a+".x"))
		must(t, os.Rename(b, a))
		must(t, os.Rename(a+".x", b))
	}
	for name, tamper := range map[string]func(t *testing.T, paths []string){
		"a byte":       func(t *testing.T, p []string) { flip(t, p[1], -10) },
		"the header":   func(t *testing.T, p []string) { flip(t, p[0], 12) },
		"two swapped":  func(t *testing.T, p []string) { swap(t, p[0], p[2]) },
		"one removed":  func(t *testing.T, p []string) { must(t, os.Remove(p[2])) },
		"one emptied":  func(t *testing.T, p []string) { must(t, os.Truncate(p[3], 0)) },
		"one repeated": func(t *testing.T, p []string) { must(t, os.Remove(p[1])); must(t, os.Link(p[0], p[1])) },
	} {
		t.Run(name, func(t *testing.T) {
			for _, before := range []bool{false, true} { // whether the history had been read before
				s, paths := historied(t, t.TempDir())
				if before {
					checkStory(t, s, 100)
				}
				tamper(t, paths)
				_, err := s.Steps(t.Context(), "shop", 0, 1000)
				if err == nil || !strings.Contains(err.Error(), "part of the history") {
					t.Errorf("read before: %v: %v", before, err)
				}
				if steps, err := s.Steps(t.Context(), "shop", 80, 1000); err != nil || len(steps) != 20 {
					t.Errorf("what lies in etcd cannot be read any more: %v", err)
				}
				must(t, s.Close())
			}
		})
	}
}

func flip(t *testing.T, path string, at int) {
	t.Helper()
	b, err := os.ReadFile(path)
	must(t, err)
	if at < 0 {
		at += len(b)
	}
	b[at] ^= 1
	must(t, os.WriteFile(path, b, 0o600))
}

func FuzzItems(f *testing.F) {
	c, err := newCodec()
	must(f, err)
	puts, err := c.put("x", glint.Fleet{Name: "web"})
	must(f, err)
	f.Add(puts[0].ValueBytes())
	f.Add([]byte{format, 2, 0x28})
	f.Add([]byte{format, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1})
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, value []byte) {
		n, data, err := header(value)
		if err == nil && (n < 1 || !bytes.HasSuffix(value, data)) {
			t.Errorf("%x has %d parts and data %x", value, n, data)
		}
		if plain, err := c.dec.DecodeAll(data, nil); err == nil && len(plain) > itemBytes {
			t.Errorf("%d bytes out of %d", len(plain), len(value))
		}
	})
}
