package image

import (
	"archive/tar"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/glint-infra/glint"
)

// Epoch is the time of every file that Glint seals, so that the same inputs give the same bytes on any day:
// 1980-01-01, the earliest that zip, FAT and make take for a real time.
var Epoch = time.Unix(315532800, 0).UTC()

// A Copy takes files of the declaration's folder into an image.
type Copy struct {
	From string      `json:"from"`           // beneath the folder: a file, a folder (its content is copied) or a pattern of path.Match
	To   string      `json:"to"`             // absolute; ending in "/", or for a pattern: the folder to copy into
	Mode fs.FileMode `json:"mode,omitempty"` // permissions of the files; 0: 0755 for what may be executed, else 0644
}

// Packed names a layer.
type Packed struct {
	DiffID glint.Digest // of the uncompressed tar
	Size   int64        // of the tar in bytes
}

// Pack writes one uncompressed tar layer with all that copies ask for from the folder root. The same content gives the
// same bytes, whoever packs it where, when and in which order: sorted, owned by root, Epoch, modes by the executable bit.
// It needs no privileges. Errors name the path in question and wrap glint.ErrInvalid when the declaration is at fault.
func Pack(w io.Writer, root string, copies []Copy) (Packed, error) {
	dir, err := os.OpenRoot(root)
	if err != nil {
		return Packed{}, fmt.Errorf("packing %s: %w", root, err)
	}
	defer dir.Close()
	p := packer{dir: dir, entries: map[string]entry{}}
	for _, c := range copies {
		if err := p.take(c); err != nil {
			return Packed{}, fmt.Errorf("copying %q to %q from %s: %w", c.From, c.To, root, err)
		}
	}
	h := sha256.New()
	n := &counter{}
	if err := p.write(io.MultiWriter(w, h, n)); err != nil {
		return Packed{}, fmt.Errorf("packing %s: %w", root, err)
	}
	return Packed{DiffID: glint.Digest("sha256:" + hex.EncodeToString(h.Sum(nil))), Size: n.n}, nil
}

type counter struct{ n int64 }

func (c *counter) Write(p []byte) (int, error) {
	c.n += int64(len(p))
	return len(p), nil
}

// An entry is what will stand at one path of the layer.
type entry struct {
	from string // path beneath root; empty for a folder that nobody named
	typ  byte   // of package tar
	mode int64
	size int64
	link string
}

type packer struct {
	dir     *os.Root
	entries map[string]entry // by path in the image, without the leading slash
}

// take adds what one copy block asks for.
func (p *packer) take(c Copy) error {
	if !path.IsAbs(c.To) {
		return fmt.Errorf("%w: \"to\" must be an absolute path", glint.ErrInvalid)
	}
	if c.Mode&^fs.ModePerm != 0 {
		return fmt.Errorf("%w: mode %o: only permissions, 0 to 0777, can be given", glint.ErrInvalid, c.Mode)
	}
	from := path.Clean(filepath.ToSlash(c.From))
	if c.From == "" || !fs.ValidPath(from) {
		return fmt.Errorf("%w: \"from\" must lie beneath the declaration's folder", glint.ErrInvalid)
	}
	to := strings.TrimPrefix(path.Clean(c.To), "/")
	if strings.ContainsAny(from, "*?[") {
		return p.takeMatches(from, to, c)
	}
	info, err := p.dir.Stat(from)
	if err != nil {
		return missing(err)
	}
	if info.IsDir() {
		return p.takeFolder(from, to, c)
	}
	if strings.HasSuffix(c.To, "/") {
		to = path.Join(to, path.Base(from))
	}
	return p.takeFile(from, to, info, c)
}

// missing says of what does not exist that it does not, and where links lead out of the folder.
func missing(err error) error {
	var pe *fs.PathError
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: it does not exist; was it built?", glint.ErrInvalid)
	}
	if errors.As(err, &pe) && strings.Contains(pe.Err.Error(), "escapes") {
		return fmt.Errorf("%w: %s leads out of the declaration's folder", glint.ErrInvalid, pe.Path)
	}
	return err
}

func (p *packer) takeMatches(pattern, to string, c Copy) error {
	names, err := fs.Glob(p.dir.FS(), pattern)
	if err != nil {
		return fmt.Errorf("%w: %w", glint.ErrInvalid, err)
	}
	if len(names) == 0 {
		return fmt.Errorf("%w: nothing matches; was it built?", glint.ErrInvalid)
	}
	for _, name := range names {
		info, err := p.dir.Stat(name)
		if err != nil {
			return missing(err)
		}
		in := path.Join(to, path.Base(name))
		if info.IsDir() {
			err = p.takeFolder(name, in, c)
		} else {
			err = p.takeFile(name, in, info, c)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (p *packer) takeFolder(from, to string, c Copy) error {
	return fs.WalkDir(p.dir.FS(), from, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return missing(err)
		}
		in := path.Join(to, strings.TrimPrefix(strings.TrimPrefix(name, from), "/"))
		if from == "." {
			in = path.Join(to, name)
		}
		if d.IsDir() {
			return p.put(in, entry{typ: tar.TypeDir, mode: folderMode(in)})
		}
		info, err := d.Info()
		if err != nil {
			return missing(err)
		}
		if d.Type()&fs.ModeSymlink != 0 {
			return p.takeLink(name, in)
		}
		return p.takeFile(name, in, info, c)
	})
}

func (p *packer) takeFile(from, to string, info fs.FileInfo, c Copy) error {
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%w: %s is neither a file nor a folder nor a symbolic link (%s)", glint.ErrInvalid, from, info.Mode())
	}
	mode := int64(0o644)
	if info.Mode()&0o111 != 0 {
		mode = 0o755
	}
	if c.Mode != 0 {
		mode = int64(c.Mode)
	}
	return p.put(to, entry{from: from, typ: tar.TypeReg, mode: mode, size: info.Size()})
}

// takeLink keeps a link as it is written, unless it climbs above the image's root: then it would mean something else.
func (p *packer) takeLink(from, to string) error {
	link, err := p.dir.Readlink(from)
	if err != nil {
		return missing(err)
	}
	link = filepath.ToSlash(link)
	if depth(path.Dir(to)) < climbs(link) {
		return fmt.Errorf("%w: the symbolic link %s → %s leads above the image's root", glint.ErrInvalid, from, link)
	}
	return p.put(to, entry{typ: tar.TypeSymlink, mode: 0o777, link: link})
}

func depth(dir string) int {
	if dir == "." {
		return 0
	}
	return strings.Count(dir, "/") + 1
}

// climbs counts the folders that a relative link goes up before it goes down.
func climbs(link string) int {
	if path.IsAbs(link) {
		return 0
	}
	deepest, at := 0, 0
	for part := range strings.SplitSeq(link, "/") {
		switch part {
		case "", ".":
		case "..":
			at--
		default:
			at++
		}
		deepest = max(deepest, -at)
	}
	return deepest
}

// folderMode gives folders that every distribution has with other permissions than 0755 those, because the topmost
// layer that holds a folder decides.
func folderMode(in string) int64 {
	switch in {
	case "tmp", "var/tmp":
		return 0o1777
	case "root":
		return 0o700
	}
	return 0o755
}

// put claims a path of the image, and the folders above it.
func (p *packer) put(to string, e entry) error {
	to = strings.TrimPrefix(to, "/")
	if to == "." || to == "" {
		if e.typ == tar.TypeDir {
			return nil // the root itself: not ours to change
		}
		return fmt.Errorf("%w: \"to\" names the image's root; end it with \"/\" to copy into it, or add a name", glint.ErrInvalid)
	}
	if old, taken := p.entries[to]; taken && (old.typ != tar.TypeDir || e.typ != tar.TypeDir) {
		return fmt.Errorf("%w: /%s is already taken by another copy", glint.ErrInvalid, to)
	}
	p.entries[to] = e
	if up := path.Dir(to); up != "." {
		return p.put(up, entry{typ: tar.TypeDir, mode: folderMode(up)})
	}
	return nil
}

func (p *packer) write(w io.Writer) error {
	tw := tar.NewWriter(w)
	names := make([]string, 0, len(p.entries))
	for name := range p.entries {
		names = append(names, name)
	}
	slices.SortFunc(names, byPath)
	for _, name := range names {
		if err := p.writeEntry(tw, name, p.entries[name]); err != nil {
			return err
		}
	}
	return tw.Close()
}

// byPath orders a folder's content right after the folder.
func byPath(a, b string) int {
	return cmp.Compare(strings.ReplaceAll(a, "/", "\x00"), strings.ReplaceAll(b, "/", "\x00"))
}

func (p *packer) writeEntry(tw *tar.Writer, name string, e entry) error {
	h := &tar.Header{Name: name, Typeflag: e.typ, Mode: e.mode, Size: e.size, Linkname: e.link, ModTime: Epoch}
	if e.typ == tar.TypeDir {
		h.Name += "/"
	}
	if err := tw.WriteHeader(h); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if e.typ != tar.TypeReg {
		return nil
	}
	f, err := p.dir.Open(e.from)
	if err != nil {
		return fmt.Errorf("%s: %w", e.from, missing(err))
	}
	defer f.Close()
	n, err := io.Copy(tw, io.LimitReader(f, e.size+1))
	if errors.Is(err, tar.ErrWriteTooLong) || err == nil && n != e.size {
		return fmt.Errorf("%s changed while it was read; try again", e.from)
	}
	return err
}
