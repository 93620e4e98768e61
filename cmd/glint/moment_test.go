package main

import (
	"os"
	"path/filepath"
	"testing"
)

func TestMoments(t *testing.T) {
	env := map[string]string{}
	getenv := func(name string) string { return env[name] }
	if at, err := moments(getenv); at != nil || err != nil {
		t.Errorf("nobody asked, and moments are told: %v", err)
	}
	for _, bad := range []string{"0", "-1", "soon"} {
		env[envDieAt] = bad
		if _, err := moments(getenv); err == nil {
			t.Errorf("%s=%s was taken", envDieAt, bad)
		}
	}
	env[envMoments], env[envDieAt] = filepath.Join(t.TempDir(), "moments"), "3"
	at, err := moments(getenv)
	if err != nil {
		t.Fatal(err)
	}
	at("before a thing")
	at("after it")
	if got, err := os.ReadFile(env[envMoments]); err != nil || string(got) != "1 before a thing\n2 after it\n" {
		t.Errorf("told %q, %v", got, err)
	}
}
