package local

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/glint-infra/glint"
)

// maxOutput is how much of a command's output Exec returns, in bytes (platform.Execer).
const maxOutput = 4 << 10

// Exec runs a command beside the instance's program, with the same rights, and within the same limits.
func (p *Platform) Exec(ctx context.Context, id glint.ID, command []string) (int, []byte, error) {
	status, out, err := p.exec(ctx, id, command)
	if err != nil {
		return 0, nil, fmt.Errorf("running %q in %s: %w", command, id, err)
	}
	return status, out, nil
}

func (p *Platform) exec(ctx context.Context, id glint.ID, command []string) (int, []byte, error) {
	p.mu.Lock()
	in := p.lives[id]
	p.mu.Unlock()
	var r record
	if in != nil {
		r, _ = in.record()
	}
	if len(command) == 0 {
		return 0, nil, fmt.Errorf("no command: %w", glint.ErrInvalid)
	}
	if r.state() != glint.Running || r.Spec.ID.IsZero() {
		return 0, nil, fmt.Errorf("it does not run: %w", glint.ErrNotFound)
	}
	dir, err := os.MkdirTemp(in.dir, "exec-")
	if err != nil {
		return 0, nil, err
	}
	defer os.RemoveAll(dir)
	if err := p.writeProcess(in, dir, command); err != nil {
		return 0, nil, err
	}
	pid, log := filepath.Join(dir, "pid"), filepath.Join(dir, "log")
	c := exec.CommandContext(ctx, p.keepers.tools.crun, "--root", p.keepers.state, "--log", log,
		"exec", "--process", filepath.Join(dir, "process.json"), "--pid-file", pid, id.Key())
	out := &head{max: maxOutput}
	c.Stdout, c.Stderr = out, out
	c.WaitDelay = time.Second
	c.Cancel = func() error {
		if q, ok := processOf(readPid(pid)); ok {
			_ = killAll([]process{q})
		}
		return c.Process.Kill()
	}
	err = c.Run()
	if ctx.Err() != nil {
		return 0, nil, ctx.Err()
	}
	if said, _ := os.ReadFile(log); len(said) > 0 {
		return 0, nil, errors.New(strings.TrimSpace(string(said)))
	}
	var ended *exec.ExitError
	if errors.As(err, &ended) {
		return ended.ExitCode(), out.b, nil
	}
	return 0, out.b, err
}

// writeProcess describes the command as the instance's own program was described, with other arguments.
func (p *Platform) writeProcess(in *life, dir string, command []string) error {
	b, err := os.ReadFile(filepath.Join(in.dir, "config.json"))
	if err != nil {
		return err
	}
	var s specs.Spec
	if err := json.Unmarshal(b, &s); err != nil {
		return err
	}
	s.Process.Args = command
	if b, err = json.Marshal(s.Process); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "process.json"), b, 0o600)
}

// head keeps the beginning of what is written to it, and takes the rest without keeping it.
type head struct {
	b   []byte
	max int
}

func (h *head) Write(b []byte) (int, error) {
	h.b = append(h.b, b[:min(len(b), h.max-len(h.b))]...)
	return len(b), nil
}
