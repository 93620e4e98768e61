package local

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"github.com/glint-infra/glint"
)

// spent remembers which IDs were destroyed, so that none of them ever lives again. Numbers rise, so a handful of
// ranges for each service is all there is to keep.
type spent struct {
	dir string
	mu  sync.Mutex
	of  map[string][]span
}

// A span is a range of numbers, both ends included.
type span struct{ First, Last int }

func openSpent(dir string) (*spent, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("opening the list of numbers given out: %w", err)
	}
	return &spent{dir: dir, of: map[string][]span{}}, nil
}

func (s *spent) spans(key string) ([]span, error) {
	if spans, ok := s.of[key]; ok {
		return spans, nil
	}
	b, err := os.ReadFile(filepath.Join(s.dir, key))
	if os.IsNotExist(err) {
		return nil, nil
	}
	var spans []span
	if err == nil {
		err = json.Unmarshal(b, &spans)
	}
	if err != nil {
		return nil, fmt.Errorf("reading the numbers given out for %s: %w", key, err)
	}
	s.of[key] = spans
	return spans, nil
}

func spentKey(id glint.ID) string {
	return fmt.Sprintf("%s.%s.%s", id.Stack, id.Epoch, id.Service)
}

// has reports whether id was destroyed before.
func (s *spent) has(id glint.ID) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	spans, err := s.spans(spentKey(id))
	return slices.ContainsFunc(spans, func(r span) bool { return r.First <= id.N && id.N <= r.Last }), err
}

// add remembers that id was destroyed.
func (s *spent) add(id glint.ID) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := spentKey(id)
	spans, err := s.spans(key)
	if err != nil {
		return err
	}
	next := insert(spans, id.N)
	if len(next) == len(spans) && slices.Equal(next, spans) {
		return nil
	}
	b, err := json.Marshal(next)
	if err == nil {
		err = writeFile(filepath.Join(s.dir, key), b)
	}
	if err != nil {
		return fmt.Errorf("remembering that %s was destroyed: %w", id, err)
	}
	s.of[key] = next
	return nil
}

// insert adds n to sorted, separate spans, and joins those that now touch.
func insert(spans []span, n int) []span {
	i, _ := slices.BinarySearchFunc(spans, n, func(r span, n int) int { return r.Last + 1 - n })
	next := slices.Clone(spans)
	if i < len(next) && next[i].First <= n+1 {
		next[i].First, next[i].Last = min(next[i].First, n), max(next[i].Last, n)
		if i+1 < len(next) && next[i].Last+1 >= next[i+1].First {
			next[i].Last = next[i+1].Last
			next = slices.Delete(next, i+1, i+2)
		}
		return next
	}
	return slices.Insert(next, i, span{n, n})
}
