package local

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"

	"github.com/moby/profiles/seccomp"
	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// bpfAnnotation hands crun a compiled filter, so that it need not compile one (crun(1)).
const bpfAnnotation = "run.oci.seccomp_bpf_data"

// A filter is the system calls that instances may make: the profile that all engines use, for a process without
// capabilities, and for this machine's own way of calling only. libseccomp compiles it, once: crun keeps what it
// compiled for the first instance, and all later ones are started with that.
type filter struct {
	profile *specs.LinuxSeccomp
	path    string // of the compiled filter; its name says what it was made from
	known   bool   // this crun takes compiled filters

	mu       sync.Mutex
	compiled string // base64
}

var nativeArch = map[string]specs.Arch{"amd64": specs.ArchX86_64, "arm64": specs.ArchAARCH64, "riscv64": specs.ArchRISCV64, "s390x": specs.ArchS390X, "ppc64le": specs.ArchPPC64LE}

func newFilter(runDir, crunVersion string) (*filter, error) {
	profile, err := seccomp.GetDefaultProfile(&specs.Spec{Process: &specs.Process{Capabilities: &specs.LinuxCapabilities{}}})
	if err != nil {
		return nil, fmt.Errorf("making the system call filter: %w", err)
	}
	native, ok := nativeArch[runtime.GOARCH]
	if !ok {
		return nil, fmt.Errorf("making the system call filter: no profile for %s", runtime.GOARCH)
	}
	profile.Architectures = []specs.Arch{native} // 32-bit and x32 calls end the program
	b, err := json.Marshal(profile)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(fmt.Append(b, crunVersion))
	f := &filter{profile: profile, path: filepath.Join(runDir, "filter-"+hex.EncodeToString(sum[:12])), known: takesCompiled(crunVersion)}
	if raw, err := os.ReadFile(f.path); err == nil {
		f.compiled = base64.StdEncoding.EncodeToString(raw)
	} else if !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("reading the compiled system call filter: %w", err)
	}
	return f, nil
}

// takesCompiled reports whether that crun has the annotation, with the layout of its state that is relied on: tried with
// 1.8 and assumed to stay within 1.x.
func takesCompiled(version string) bool {
	major, rest, _ := strings.Cut(version, ".")
	minor, _, _ := strings.Cut(rest, ".")
	n, err := strconv.Atoi(minor)
	return err == nil && major == "1" && n >= 8
}

// apply puts the filter into a specification.
func (f *filter) apply(s *specs.Spec) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.compiled == "" {
		s.Linux.Seccomp = f.profile
		return
	}
	s.Linux.Seccomp = &specs.LinuxSeccomp{DefaultAction: specs.ActErrno}
	s.Annotations = map[string]string{bpfAnnotation: f.compiled}
}

// learn keeps what crun compiled for a container that was made with the plain profile.
func (f *filter) learn(s *specs.Spec, stateDir string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.known || f.compiled != "" || s.Linux.Seccomp != f.profile {
		return nil
	}
	raw, err := os.ReadFile(filepath.Join(stateDir, "seccomp.bpf"))
	if errors.Is(err, os.ErrNotExist) {
		f.known = false
		return nil
	}
	if err == nil && (len(raw) == 0 || len(raw)%8 != 0) { // struct sock_filter
		err = fmt.Errorf("%d bytes are no filter", len(raw))
	}
	if err == nil {
		err = writeFile(f.path, raw)
	}
	if err != nil {
		return fmt.Errorf("keeping the compiled system call filter: %w", err)
	}
	f.compiled = base64.StdEncoding.EncodeToString(raw)
	return nil
}
