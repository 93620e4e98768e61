package image

import (
	"archive/tar"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/glint-infra/glint"
	"github.com/glint-infra/glint/internal/artifact"
)

// suites of Debian that can be built.
var suites = []string{"bookworm"}

// baseFormat is the version of the rules by which packages become a layer. A change makes every base anew.
const baseFormat = 1

// A base is the layer that a set of packages became.
type base struct {
	DiffID   glint.Digest `json:"diff_id"`
	Packages []string     `json:"packages"` // name=version, sorted
	Asked    []string     `json:"asked"`    // the recipe's packages
	Suite    string       `json:"suite"`
	Built    time.Time    `json:"built"`
}

// debian returns the base layer of a Debian suite with packages. It is made when it is not here yet, or with refresh.
func (b *Builder) debian(ctx context.Context, suite string, packages []string, refresh bool, say func(string, ...any)) (base, error) {
	text, err := json.Marshal([]any{baseFormat, runtime.GOARCH, suite, packages})
	if err != nil {
		return base{}, err
	}
	key := glint.DigestOf(text)
	var old base
	err = b.read("bases", key, &old)
	if err != nil && !errors.Is(err, glint.ErrNotFound) {
		return base{}, err
	}
	if known := err == nil && b.Artifacts.Has(old.DiffID); known && !refresh {
		say("base debian:%s with %d packages is here already", suite, len(old.Packages))
		return old, nil
	}
	made := base{Suite: suite, Asked: packages, Built: time.Now().UTC()}
	say("base debian:%s: fetching and installing %s", suite, strings.Join(append([]string{"the essential packages"}, packages...), ", "))
	if made.DiffID, made.Packages, err = b.bootstrap(ctx, suite, packages, say); err != nil {
		return base{}, fmt.Errorf("making the base debian:%s: %w", suite, err)
	}
	for _, change := range changes(old.Packages, made.Packages) {
		say("base debian:%s: %s", suite, change)
	}
	return made, b.write("bases", key, made)
}

// changes says which packages two bases differ in; nothing when there was none before.
func changes(old, made []string) []string {
	if len(old) == 0 {
		return nil
	}
	var list []string
	for _, p := range made {
		if !slices.Contains(old, p) {
			list = append(list, "now "+p)
		}
	}
	for _, p := range old {
		if !slices.Contains(made, p) {
			list = append(list, "no longer "+p)
		}
	}
	return list
}

// bootstrap lets mmdebstrap install packages into a folder of its own, and stores what came of it as a layer. The host's
// packages, services and mounts are never touched; when it ends, for whatever reason, nothing of it runs or is mounted.
func (b *Builder) bootstrap(ctx context.Context, suite string, packages []string, say func(string, ...any)) (glint.Digest, []string, error) {
	tool, err := exec.LookPath("mmdebstrap")
	if err != nil {
		return "", nil, fmt.Errorf("mmdebstrap is needed to install Debian packages and is not here: apt install mmdebstrap")
	}
	dir, err := os.MkdirTemp(b.temp(), "build-")
	if err != nil {
		return "", nil, artifact.Explain(err, b.Dir, 0)
	}
	defer clean(dir)
	if err := os.WriteFile(filepath.Join(dir, "apt.conf"), []byte(hostAptSettings(ctx)), 0o600); err != nil {
		return "", nil, artifact.Explain(err, b.Dir, 0)
	}
	job := job{
		argv: []string{tool, "--mode=root", "--format=tar", "--variant=essential", "--aptopt=" + filepath.Join(dir, "apt.conf"),
			// Links /bin, /sbin and /lib as Debian's installer does; without this, usrmerge is installed, and all of perl with it.
			"--hook-dir=/usr/share/mmdebstrap/hooks/merged-usr",
			"--include=" + strings.Join(append([]string{"usr-is-merged"}, packages...), ","), suite, "-", "-"},
		env:   environment(dir),
		dir:   dir,
		stdin: strings.Join(b.sources(ctx, suite), "\n") + "\n", // not an argument: a mirror's URL may hold a password
		line: func(line string) {
			if text, ok := steps[line]; ok {
				say("base debian:%s: %s", suite, text)
			}
		},
	}
	var installed []string
	d, err := b.store(ctx, func(w io.Writer) error {
		return job.run(ctx, func(r io.Reader) (err error) {
			installed, err = normalise(tar.NewWriter(w), tar.NewReader(r))
			return err
		})
	})
	var failed *failure
	if errors.As(err, &failed) {
		err = b.explain(failed, suite)
	}
	return d, installed, err
}

// steps are what mmdebstrap 1.3 says that a person who waits wants to know.
var steps = map[string]string{
	"I: running apt-get update...":                          "reading the lists of packages",
	"I: downloading packages with apt...":                   "downloading",
	"I: extracting archives...":                             "unpacking",
	"I: installing essential packages...":                   "installing the essential packages",
	"I: installing remaining packages inside the chroot...": "installing the others",
	"I: creating tarball...":                                "writing the layer",
}

// store keeps what write writes as a blob, once write has returned without an error.
func (b *Builder) store(ctx context.Context, write func(io.Writer) error) (glint.Digest, error) {
	r, w := io.Pipe()
	done := make(chan struct{})
	go func() {
		defer close(done)
		w.CloseWithError(write(w))
	}()
	d, _, err := b.Artifacts.Add(ctx, r)
	r.CloseWithError(errUnwanted)
	<-done
	return d, err
}

// errUnwanted tells a writer that nobody takes what it writes.
var errUnwanted = errors.New("the layer cannot be stored")

func environment(dir string) []string {
	env := []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/nonexistent", "LC_ALL=C.UTF-8", "TMPDIR=" + dir,
		"DEBIAN_FRONTEND=noninteractive", fmt.Sprintf("SOURCE_DATE_EPOCH=%d", Epoch.Unix())}
	for _, name := range []string{"http_proxy", "https_proxy", "no_proxy"} {
		if v := os.Getenv(name); v != "" {
			env = append(env, name+"="+v)
		}
	}
	return env
}

// fetching is what of the host's apt configuration matters for fetching: proxies, time limits, checks of dates.
var fetching = regexp.MustCompile(`(?m)^Acquire::(https?::|ForceIPv|Check-|Max-FutureTime|Retries).*;$`)

// hostAptSettings returns how the host's apt fetches. Without apt, mmdebstrap will say what is missing.
func hostAptSettings(ctx context.Context) string {
	out, _ := exec.CommandContext(ctx, "apt-config", "dump").Output()
	settings := append([]string{`Acquire::Retries "3";`, `Acquire::http::Timeout "30";`, `Acquire::https::Timeout "30";`},
		fetching.FindAllString(string(out), -1)...)
	return strings.Join(settings, "\n") + "\n"
}

const keyring = "/usr/share/keyrings/debian-archive-keyring.gpg" // of the package debian-archive-keyring

// sources returns the lines that tell apt where the suite, its updates and its security updates are.
func (b *Builder) sources(ctx context.Context, suite string) []string {
	option := ""
	if _, err := os.Stat(keyring); err == nil {
		option = "[signed-by=" + keyring + "] "
	}
	line := func(uri, suite string) string { return "deb " + option + uri + " " + suite + " main" }
	if b.Mirror != "" {
		mirror := strings.TrimRight(b.Mirror, "/")
		return []string{line(mirror, suite), line(mirror, suite+"-updates"), line(mirror+"-security", suite+"-security")}
	}
	var lines []string
	out, _ := exec.CommandContext(ctx, "apt-get", "indextargets", "--format", "$(REPO_URI) $(RELEASE) $(COMPONENT)", "Created-By: Packages").Output()
	for l := range strings.Lines(string(out)) {
		f := strings.Fields(l)
		if len(f) != 3 || f[2] != "main" || !slices.Contains([]string{suite, suite + "-updates", suite + "-security"}, f[1]) || !isDebian(f[0]) {
			continue
		}
		if s := line(f[0], f[1]); !slices.Contains(lines, s) {
			lines = append(lines, s)
		}
	}
	if slices.ContainsFunc(lines, func(l string) bool { return strings.Contains(l, " "+suite+" ") }) {
		return lines
	}
	return []string{line("http://deb.debian.org/debian", suite), line("http://deb.debian.org/debian", suite+"-updates"),
		line("http://deb.debian.org/debian-security", suite+"-security")}
}

// isDebian tells Debian's own archives from others that use its suites' names.
func isDebian(uri string) bool {
	u, err := url.Parse(uri)
	return err == nil && slices.Contains([]string{"debian", "debian-security"}, path.Base(strings.TrimRight(u.Path, "/")))
}

// A failure is what mmdebstrap said before it ended.
type failure struct {
	err  error
	tail []string // the last lines of standard error
}

func (f *failure) Error() string { return f.err.Error() }

// What apt and dpkg say (apt 2.6, messages of apt-pkg/ and methods/).
var (
	noPackage  = regexp.MustCompile(`E: (?:Unable to locate package (\S+)|Package '(\S+)' has no installation candidate|Couldn't find any package by (?:glob|regex) '(\S+)'|Version '(?:\S+)' for '(\S+)' was not found)`)
	noNetwork  = regexp.MustCompile(`(Could not resolve '[^']*'|Temporary failure resolving '[^']*'|Could not connect to \S+|Cannot initiate the connection to \S+|Network is unreachable|Connection (?:refused|timed out|failed)|Unable to connect to \S+)`)
	noSpace    = regexp.MustCompile(`No space left on device|You don't have enough free space|Disk quota exceeded`)
	noKey      = regexp.MustCompile(`NO_PUBKEY|is not signed|signatures? (?:were|was) invalid|signatures couldn't be verified`)
	unresolved = regexp.MustCompile(`unmet dependencies|held broken packages|Conflicts:`)
	secret     = regexp.MustCompile(`://[^/@\s]+@`)
)

// explain says why mmdebstrap failed and how to mend it.
func (b *Builder) explain(f *failure, suite string) error {
	said := strings.Join(f.tail, "\n")
	if m := noSpace.FindString(said); m != "" {
		return artifact.Explain(unix.ENOSPC, b.Dir, 0)
	}
	var gone []string
	for _, m := range noPackage.FindAllStringSubmatch(said, -1) {
		if name := strings.Join(m[1:], ""); !slices.Contains(gone, name) {
			gone = append(gone, name)
		}
	}
	if len(gone) > 0 {
		return fmt.Errorf("%w: Debian %s (main) has no package %s; look for the right name with `apt-cache search`", glint.ErrInvalid, suite, strings.Join(gone, ", "))
	}
	if m := noNetwork.FindString(said); m != "" {
		return fmt.Errorf("%w (%s); is the network there, and does `apt-get update` work on this host?", ErrUnreachable, m)
	}
	if noKey.MatchString(said) {
		return fmt.Errorf("the mirror's signature cannot be checked: apt install debian-archive-keyring\n%s", errorsOf(f.tail))
	}
	if unresolved.MatchString(said) {
		return fmt.Errorf("%w: the packages do not fit together\n%s", glint.ErrInvalid, errorsOf(f.tail))
	}
	return fmt.Errorf("mmdebstrap: %w\n%s", f.err, errorsOf(f.tail))
}

// errorsOf returns the lines that tell of errors, or the last lines when none does.
func errorsOf(tail []string) string {
	var list []string
	for _, l := range tail {
		if strings.HasPrefix(l, "E: ") || strings.HasPrefix(l, "dpkg: ") || strings.HasPrefix(l, "  ") {
			list = append(list, l)
		}
	}
	if len(list) == 0 {
		list = tail[max(0, len(tail)-5):]
	}
	return strings.Join(list, "\n")
}
