package etcd

import (
	"testing"

	"github.com/glint-infra/glint/internal/store"
	"github.com/glint-infra/glint/internal/store/storetest"
)

func opened(t *testing.T, cfg Config) *kept {
	t.Helper()
	if cfg.Dir == "" {
		cfg.Dir = t.TempDir()
	}
	cfg.Report = func(err error) { t.Error(err) }
	s, err := Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s.(*kept)
}

func TestStore(t *testing.T) {
	storetest.Run(t, func(t *testing.T) store.Store { return opened(t, Config{noSync: true}) })
}

// TestStoreOfSegments keeps so little in etcd that most of every story is read from segments.
func TestStoreOfSegments(t *testing.T) {
	storetest.Run(t, func(t *testing.T) store.Store { return opened(t, Config{noSync: true, kept: 2, segment: 3}) })
}
