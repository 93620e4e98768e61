package main

import (
	"bytes"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"
)

func TestSplitPool(t *testing.T) {
	for in, want := range map[string][2]string{
		"10.87.0.0/16":   {"10.87.0.0/20", "10.87.128.0/17"},
		"10.87.3.9/16":   {"10.87.0.0/20", "10.87.128.0/17"},
		"192.168.7.0/24": {"192.168.7.0/28", "192.168.7.128/25"},
		"10.0.0.0/8":     {"10.0.0.0/12", "10.128.0.0/9"},
		"172.16.0.0/12":  {"172.16.0.0/16", "172.24.0.0/13"},
	} {
		services, instances, err := splitPool(in)
		if err != nil || services.String() != want[0] || instances.String() != want[1] {
			t.Errorf("%s: %s and %s, %v", in, services, instances, err)
		}
		if services.Overlaps(instances) || !netip.MustParsePrefix(in).Overlaps(services) || !netip.MustParsePrefix(in).Overlaps(instances) {
			t.Errorf("%s: %s and %s must lie in it side by side", in, services, instances)
		}
	}
	for _, in := range []string{"", "10.87.0.0", "10.87.0.0/25", "0.0.0.0/0", "fd00::/16", "10.87.0.0/7"} {
		if _, _, err := splitPool(in); err == nil {
			t.Errorf("%q was taken", in)
		}
	}
}

func TestParsePublic(t *testing.T) {
	for in, want := range map[string]string{":80": "0.0.0.0:80", "8080": "0.0.0.0:8080", "127.0.0.1:81": "127.0.0.1:81", "[::1]:82": "[::1]:82"} {
		if got, err := parsePublic(in); err != nil || got.String() != want {
			t.Errorf("%s: %s, %v", in, got, err)
		}
	}
	for _, in := range []string{"", ":", ":0", "localhost:80", ":http", "80:80"} {
		if got, err := parsePublic(in); err == nil {
			t.Errorf("%q was taken for %s", in, got)
		}
	}
}

// TestServerMissesPrograms: one message names what is missing and how to get it, and nothing is touched.
func TestServerMissesPrograms(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root gets that far")
	}
	t.Setenv("PATH", t.TempDir())
	var out, errs bytes.Buffer
	dir := t.TempDir()
	m := Main{Stdout: &out, Stderr: &errs, Getenv: os.Getenv, Dir: dir, Now: time.Now}
	code := m.Run(t.Context(), []string{"server", "--data", "d", "--run", "r"})
	if code != exitFailed || !strings.Contains(errs.String(), "not found: crun, conmon, haproxy, nft, nsenter. Install with: apt install crun conmon haproxy nftables util-linux") {
		t.Errorf("ended with %d and said: %s", code, errs.String())
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}
