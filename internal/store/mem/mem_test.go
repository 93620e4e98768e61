package mem_test

import (
	"testing"

	"github.com/glint-infra/glint/internal/store"
	"github.com/glint-infra/glint/internal/store/mem"
	"github.com/glint-infra/glint/internal/store/storetest"
)

func TestStore(t *testing.T) {
	storetest.Run(t, func(t *testing.T) store.Store {
		s := mem.New()
		t.Cleanup(func() { s.Close() })
		return s
	})
}
