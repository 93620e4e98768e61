package test

import (
	"os/exec"
	"path/filepath"
	"testing"
)

// TestModel has spin search the model of the protocol to its end: what must hold does, and what must fail is found out.
func TestModel(t *testing.T) {
	if _, err := exec.LookPath("spin"); err != nil {
		t.Fatal("spin was not found; install it with: apt install spin gcc libc6-dev")
	}
	out, err := exec.CommandContext(t.Context(), filepath.Join(repo, "docs", "model", "run")).CombinedOutput()
	if err != nil {
		t.Fatalf("docs/model/run: %v\n%s", err, out)
	}
	t.Logf("\n%s", out)
}
