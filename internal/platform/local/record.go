package local

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/glint-infra/glint"
	"github.com/glint-infra/glint/internal/platform/local/rootfs"
)

// recordFormat is the version of the record's encoding.
const recordFormat = 1

// A record is all that is kept of an instance. It is written before the runtime is called, so that a crash at any step
// leaves something that can be listed, made again and destroyed.
type record struct {
	Format  int                `json:"format"`
	Spec    glint.InstanceSpec `json:"spec"`
	Address string             `json:"address"`
	Link    string             `json:"link"`
	Root    rootfs.Root        `json:"root,omitzero"`
	Created time.Time          `json:"created"`
	Made    bool               `json:"made,omitempty"` // it stands and is held, or was let go
	Started time.Time          `json:"started,omitzero"`
	Leaving bool               `json:"leaving,omitempty"` // Destroy began
	Init    process            `json:"init,omitzero"`
	Keeper  process            `json:"keeper,omitzero"`
	Tainted string             `json:"tainted,omitempty"`
	Exit    *glint.Exit        `json:"exit,omitempty"`
}

func (r record) state() glint.State {
	switch {
	case r.Exit != nil:
		return glint.Dead
	case !r.Started.IsZero():
		return glint.Running
	case r.Made:
		return glint.Held
	}
	return glint.Accepted
}

// A life is one instance in memory. turn is held by whoever creates or destroys it; mu guards the record.
type life struct {
	id   glint.ID
	dir  string
	turn chan struct{}
	dead chan struct{} // closed when its program is known to have ended

	mu   sync.Mutex
	rec  *record // nil: not accepted, or gone
	gone bool    // destroyed; late writers must not bring the record back
}

func newLife(runDir string, id glint.ID) *life {
	return &life{id: id, dir: filepath.Join(runDir, "i", id.Key()), turn: make(chan struct{}, 1), dead: make(chan struct{})}
}

// record returns a copy of what is known.
func (in *life) record() (record, bool) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.rec == nil {
		return record{}, false
	}
	return *in.rec, true
}

// note changes the record, on disk first. It does nothing once the instance is gone.
func (in *life) note(change func(*record)) error { return in.change(change, false) }

// noteAnyway changes what is listed also when the disk refuses: the next server will find out again.
func (in *life) noteAnyway(change func(*record)) { _ = in.change(change, true) }

func (in *life) change(change func(*record), anyway bool) error {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.gone {
		return nil
	}
	next := record{}
	if in.rec != nil {
		next = *in.rec
	}
	change(&next)
	next.Format = recordFormat
	b, err := json.Marshal(next)
	if err == nil {
		err = writeFile(filepath.Join(in.dir, "record"), b)
	}
	if err == nil || anyway {
		in.rec = &next
	}
	if err != nil {
		return fmt.Errorf("noting the state of %s: %w", in.id, err)
	}
	return nil
}

// seen is what List says of the instance.
func (in *life) seen() (glint.Instance, bool) {
	r, ok := in.record()
	if !ok {
		return glint.Instance{}, false
	}
	out := glint.Instance{ID: in.id, Version: r.Spec.Version, State: r.state(), Tainted: r.Tainted, Place: r.Spec.Place,
		Address: r.Address, Created: r.Created, Started: r.Started}
	if r.Exit != nil {
		e := *r.Exit
		e.Tail = slices.Clone(e.Tail)
		out.Exit = &e
	} else {
		out.Pid = r.Init.Pid
	}
	return out, true
}

// readRecord reads what note wrote.
func readRecord(dir string) (record, error) {
	b, err := os.ReadFile(filepath.Join(dir, "record"))
	if err != nil {
		return record{}, err
	}
	var r record
	if err := json.Unmarshal(b, &r); err != nil {
		return record{}, fmt.Errorf("record in %s: %w", dir, err)
	}
	if r.Format > recordFormat {
		return record{}, fmt.Errorf("record in %s: %w", dir, glint.ErrTooNew)
	}
	return r, nil
}

// writeFile replaces a file whole: readers and crashes see the old or the new. It does not wait for the disk: what is
// written here ends with the host's life, or can be lost with its power.
func writeFile(path string, b []byte) error {
	tmp := path + ".new"
	if err := os.WriteFile(tmp, b, 0o600); err != nil {
		return errors.Join(err, os.Remove(tmp))
	}
	return os.Rename(tmp, path)
}
