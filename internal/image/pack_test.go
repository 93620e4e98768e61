package image

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"pgregory.net/rapid"

	"github.com/glint-infra/glint"
)

// lay makes files beneath dir: "name" → content; "name/" is a folder, "name@" a symbolic link, "name*" may be executed.
func lay(t testing.TB, dir string, files map[string]string) {
	t.Helper()
	for name, content := range files {
		path := filepath.Join(dir, strings.TrimRight(name, "@*"))
		err := os.MkdirAll(filepath.Dir(path), 0o755)
		switch {
		case strings.HasSuffix(name, "/"):
			err = errors.Join(err, os.MkdirAll(path, 0o755))
		case strings.HasSuffix(name, "@"):
			err = errors.Join(err, os.Symlink(content, path))
		case strings.HasSuffix(name, "*"):
			err = errors.Join(err, os.WriteFile(path, []byte(content), 0o755))
		default:
			err = errors.Join(err, os.WriteFile(path, []byte(content), 0o644))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// listing tells a tar in one line per entry.
func listing(t testing.TB, b []byte) string {
	t.Helper()
	var lines []string
	for r := tar.NewReader(bytes.NewReader(b)); ; {
		h, err := r.Next()
		if err == io.EOF {
			return strings.Join(lines, "\n")
		}
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		if !h.ModTime.Equal(Epoch) || h.Uid != 0 || h.Gid != 0 || h.Uname != "" {
			t.Errorf("%s: %v, owner %d:%d", h.Name, h.ModTime, h.Uid, h.Gid)
		}
		line := fmt.Sprintf("%o %s", h.Mode, h.Name)
		if h.Linkname != "" {
			line += " -> " + h.Linkname
		} else if h.Typeflag == tar.TypeReg {
			line += " = " + string(content)
		}
		lines = append(lines, line)
	}
}

func TestPack(t *testing.T) {
	root := t.TempDir()
	lay(t, root, map[string]string{
		"bin/web*": "web", "bin/tool*": "tool", "bin/readme": "text", "site/index.html": "hi", "site/js/a.js": "a", "site/empty/": "",
		"site/home@": "index.html", "site/js/up@": "../index.html", "site/abs@": "/srv/index.html", "latest@": "bin/web", "weird name-é": "w",
	})
	for _, tc := range []struct {
		name   string
		copies []Copy
		wants  string
	}{
		{"a file", []Copy{{From: "bin/web", To: "/web"}}, "755 web = web"},
		{"deeper", []Copy{{From: "bin/web", To: "/opt/app/web"}}, "755 opt/\n755 opt/app/\n755 opt/app/web = web"},
		{"into a folder", []Copy{{From: "bin/readme", To: "/opt/"}}, "755 opt/\n644 opt/readme = text"},
		{"into the root", []Copy{{From: "bin/readme", To: "/"}}, "644 readme = text"},
		{"a mode", []Copy{{From: "bin/readme", To: "/key", Mode: 0o400}}, "400 key = text"},
		{"a folder", []Copy{{From: "site", To: "/srv"}}, "755 srv/\n777 srv/abs -> /srv/index.html\n755 srv/empty/\n777 srv/home -> index.html\n644 srv/index.html = hi\n755 srv/js/\n644 srv/js/a.js = a\n777 srv/js/up -> ../index.html"},
		{"a folder with a dot", []Copy{{From: "./site/js/../empty/", To: "/srv/"}}, "755 srv/"},
		{"a pattern", []Copy{{From: "bin/*o*", To: "/usr/local/bin"}}, "755 usr/\n755 usr/local/\n755 usr/local/bin/\n755 usr/local/bin/tool = tool"},
		{"a pattern of folders", []Copy{{From: "s*/js", To: "/x"}}, "755 x/\n755 x/js/\n644 x/js/a.js = a\n777 x/js/up -> ../index.html"},
		{"a link that is named is followed", []Copy{{From: "latest", To: "/web"}}, "755 web = web"},
		{"two copies", []Copy{{From: "bin/web", To: "/a/web"}, {From: "site/js/a.js", To: "/a/js/a.js"}}, "755 a/\n755 a/js/\n644 a/js/a.js = a\n755 a/web = web"},
		{"folders of their own kind", []Copy{{From: "bin/readme", To: "/tmp/x"}, {From: "bin/readme", To: "/root/x"}}, "700 root/\n644 root/x = text\n1777 tmp/\n644 tmp/x = text"},
		{"a strange name", []Copy{{From: "weird name-é", To: "/ü"}}, "644 ü = w"},
		{"nothing", nil, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var b bytes.Buffer
			packed, err := Pack(&b, root, tc.copies)
			if err != nil {
				t.Fatal(err)
			}
			if packed.DiffID != glint.DigestOf(b.Bytes()) || packed.Size != int64(b.Len()) {
				t.Errorf("%+v does not name the %d bytes", packed, b.Len())
			}
			if got := listing(t, b.Bytes()); got != tc.wants {
				t.Errorf("packed\n%s\nwant\n%s", got, tc.wants)
			}
			if _, err := readTree(bytes.NewReader(b.Bytes())); err != nil {
				t.Errorf("what was packed cannot be sealed: %v", err)
			}
		})
	}
}

func TestPackRefuses(t *testing.T) {
	root := t.TempDir()
	outside := t.TempDir()
	lay(t, outside, map[string]string{"secret": "s"})
	lay(t, root, map[string]string{"a": "a", "b": "b", "dir/x": "x", "out@": filepath.Join(outside, "secret"), "outdir@": outside,
		"up@": "../../etc/passwd", "climb/deep/link@": "../../../../x", "dangling@": "nowhere"})
	if err := unix.Mkfifo(filepath.Join(root, "fifo"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		says   string
		copies []Copy
	}{
		{`copying "gone" to "/gone" from ` + root + ": not valid: it does not exist", []Copy{{From: "gone", To: "/gone"}}},
		{"does not exist", []Copy{{From: "dangling", To: "/x"}}},
		{"nothing matches", []Copy{{From: "bin/*", To: "/bin"}}},
		{"syntax error in pattern", []Copy{{From: "[", To: "/bin"}}},
		{"beneath the declaration's folder", []Copy{{From: "../x", To: "/x"}}},
		{"beneath the declaration's folder", []Copy{{From: "/etc/passwd", To: "/x"}}},
		{"beneath the declaration's folder", []Copy{{From: "", To: "/x"}}},
		{"leads out of the declaration's folder", []Copy{{From: "out", To: "/x"}}},
		{"leads out of the declaration's folder", []Copy{{From: "outdir/secret", To: "/x"}}},
		{"leads out of the declaration's folder", []Copy{{From: "up", To: "/x"}}},
		{"leads above the image's root", []Copy{{From: "climb", To: "/"}}},
		{"absolute", []Copy{{From: "a", To: "a"}}},
		{"names the image's root", []Copy{{From: "a", To: "/x/.."}}},
		{"/x is already taken", []Copy{{From: "a", To: "/x"}, {From: "b", To: "/x"}}},
		{"/x is already taken", []Copy{{From: "a", To: "/x"}, {From: "dir", To: "/x"}}},
		{"/x is already taken", []Copy{{From: "dir", To: "/x/y"}, {From: "a", To: "/x"}}},
		{"neither a file nor a folder", []Copy{{From: "fifo", To: "/x"}}},
		{"only permissions", []Copy{{From: "a", To: "/x", Mode: fs.ModeSetuid | 0o755}}},
	} {
		var b bytes.Buffer
		_, err := Pack(&b, root, tc.copies)
		if !errors.Is(err, glint.ErrInvalid) || !strings.Contains(err.Error(), tc.says) {
			t.Errorf("%+v: %v; want %q", tc.copies, err, tc.says)
		}
		if b.Len() > 0 {
			t.Errorf("%+v: %d bytes were written before the refusal", tc.copies, b.Len())
		}
	}
}

// TestPackSameBytes: what differs between two people's checkouts of the same content must not matter.
func TestPackSameBytes(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		files := rapid.MapOfN(rapid.StringMatching(`[a-c]{1,2}(/[a-c.]{1,3}x){0,2}`), rapid.StringN(0, 20, -1), 1, 8).Draw(rt, "files")
		var packs [][]byte
		for person := range 2 {
			root := t.TempDir()
			order := rapid.Permutation(slices.Sorted(keys(files))).Draw(rt, "order")
			mask := rapid.SampledFrom([]fs.FileMode{0, 0o022, 0o077}).Draw(rt, "umask")
			for _, name := range order {
				path := filepath.Join(root, "in", name)
				mode := fs.FileMode(0o666)
				if len(files[name])%2 == 0 {
					mode = 0o777
				}
				if os.MkdirAll(filepath.Dir(path), 0o777&^mask|0o700) != nil || os.WriteFile(path, []byte(files[name]), 0o600) != nil {
					rt.Skip("one name is the folder of another")
				}
				if err := errors.Join(os.Chmod(path, mode&^mask), os.Chtimes(path, time.Time{}, time.Unix(int64(person)*1000, 0))); err != nil {
					rt.Fatal(err)
				}
			}
			copies := rapid.Permutation([]Copy{{From: "in", To: "/srv"}, {From: "in/*", To: "/opt/"}}).Draw(rt, "copies")
			var b bytes.Buffer
			if _, err := Pack(&b, root, copies); err != nil {
				rt.Fatal(err)
			}
			packs = append(packs, b.Bytes())
		}
		if !bytes.Equal(packs[0], packs[1]) {
			rt.Fatalf("two layers from one content:\n%s\n\n%s", listing(t, packs[0]), listing(t, packs[1]))
		}
	})
}

func keys(m map[string]string) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}
