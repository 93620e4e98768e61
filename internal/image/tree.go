package image

import (
	"archive/tar"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/glint-infra/glint"
)

// Bounds of a layer. Linux allows no longer names and paths (limits.h) and no larger attributes (XATTR_SIZE_MAX).
const (
	maxEntries = 1 << 20 // files of one layer; 300 MB of memory while it is read
	maxName    = 255     // bytes
	maxPath    = 4096    // bytes
	maxXattrs  = 1 << 15 // bytes of all attributes of one file; an erofs inode holds more
)

// An inode is a file, a folder or what else a layer holds. Several names may lead to one.
type inode struct {
	mode     fs.FileMode
	uid, gid uint32
	mtime    int64 // seconds
	size     int64
	offset   int64 // of the content, in the tar
	link     string
	rdev     uint32
	xattrs   map[string]string
	links    int               // names that lead here
	first    string            // the first of them
	children map[string]*inode // of a folder
}

// A tree is a layer as it will be seen, read from a tar without unpacking it.
type tree struct {
	root    *inode
	entries int
}

// readTree reads the names of an uncompressed tar. Nothing of it can lead out of the tree: parents are folders of the
// same layer, never links. OCI whiteouts become overlayfs whiteouts. Errors wrap glint.ErrInvalid.
func readTree(r io.ReadSeeker) (*tree, error) {
	t := &tree{root: newFolder(0o755)}
	tr := tar.NewReader(r)
	for {
		h, err := tr.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("%w: reading the layer: %w", glint.ErrInvalid, err)
		}
		at, err := r.Seek(0, io.SeekCurrent) // package tar reads no further than the header
		if err != nil {
			return nil, err
		}
		if err := t.add(h, at); err != nil {
			return nil, fmt.Errorf("%w: layer entry %.200q: %w", glint.ErrInvalid, h.Name, err)
		}
	}
	t.count(t.root, ".")
	return t, nil
}

func newFolder(mode fs.FileMode) *inode {
	return &inode{mode: fs.ModeDir | mode, mtime: Epoch.Unix(), children: map[string]*inode{}}
}

func (t *tree) add(h *tar.Header, at int64) error {
	if h.Typeflag == tar.TypeXGlobalHeader {
		return nil
	}
	if t.entries++; t.entries > maxEntries {
		return fmt.Errorf("more than %d entries", maxEntries)
	}
	name, err := cleanName(h.Name)
	if err != nil {
		return err
	}
	in, err := t.inode(h, at)
	if err != nil {
		return err
	}
	if name == "." {
		if !in.mode.IsDir() {
			return fmt.Errorf("the root is not a folder")
		}
		in.children = t.root.children
		t.root = in
		return nil
	}
	parent, err := t.parent(name)
	if err != nil {
		return err
	}
	return put(parent, path.Base(name), in)
}

// cleanName returns a path relative to the layer's root, in which no part leads upwards.
func cleanName(name string) (string, error) {
	if len(name) > maxPath || strings.ContainsRune(name, 0) {
		return "", fmt.Errorf("the path is longer than %d bytes or contains a NUL", maxPath)
	}
	for part := range strings.SplitSeq(name, "/") {
		if part == ".." {
			return "", fmt.Errorf("the path leads upwards")
		}
		if len(part) > maxName {
			return "", fmt.Errorf("a name is longer than %d bytes", maxName)
		}
	}
	return path.Clean(strings.TrimLeft(name, "/")), nil
}

// inode returns what a header describes; of a hard link, what it leads to.
func (t *tree) inode(h *tar.Header, at int64) (*inode, error) {
	if h.Uid < 0 || h.Gid < 0 || int64(h.Uid) > 1<<32-2 || int64(h.Gid) > 1<<32-2 {
		return nil, fmt.Errorf("owner %d:%d is not an owner", h.Uid, h.Gid)
	}
	in := &inode{mode: h.FileInfo().Mode(), uid: uint32(h.Uid), gid: uint32(h.Gid), mtime: max(h.ModTime.Unix(), 0)}
	switch h.Typeflag {
	case tar.TypeReg:
		in.size, in.offset = h.Size, at
	case tar.TypeDir:
		in.children = map[string]*inode{}
	case tar.TypeSymlink:
		if h.Linkname == "" || len(h.Linkname) >= maxPath {
			return nil, fmt.Errorf("a symbolic link to nowhere, or longer than %d bytes", maxPath)
		}
		in.link, in.size = h.Linkname, int64(len(h.Linkname))
	case tar.TypeFifo:
	case tar.TypeLink:
		return t.linked(h.Linkname)
	case tar.TypeChar, tar.TypeBlock:
		return nil, fmt.Errorf("is a device; the runtime provides those")
	default:
		return nil, fmt.Errorf("has the type %q, which a layer cannot hold", h.Typeflag)
	}
	return in, in.readRecords(h.PAXRecords)
}

// readRecords takes the attributes that mean the same on every host, and leaves out labels that the packing host gave.
func (in *inode) readRecords(records map[string]string) error {
	total := 0
	for key, value := range records {
		if strings.HasPrefix(key, "GNU.sparse.") {
			return fmt.Errorf("is sparse; pack it whole")
		}
		name, isXattr := strings.CutPrefix(key, "SCHILY.xattr.")
		if !isXattr || name == "security.selinux" || name == "security.ima" || name == "security.evm" {
			continue
		}
		if name != "security.capability" && !strings.HasPrefix(name, "user.") {
			return fmt.Errorf("has the attribute %.100q, which is not for layers", name)
		}
		if total += len(name) + len(value); total > maxXattrs || len(name) > maxName {
			return fmt.Errorf("has attributes of more than %d bytes", maxXattrs)
		}
		if in.xattrs == nil {
			in.xattrs = map[string]string{}
		}
		in.xattrs[name] = value
	}
	return nil
}

func (t *tree) linked(target string) (*inode, error) {
	name, err := cleanName(target)
	if err != nil {
		return nil, fmt.Errorf("hard link: %w", err)
	}
	in := t.find(name)
	if in == nil || in.mode.IsDir() {
		return nil, fmt.Errorf("is a hard link to %.200q, which is not a file of this layer", target)
	}
	return in, nil
}

// find returns what stands at a clean path, or nil.
func (t *tree) find(name string) *inode {
	at := t.root
	if name == "." {
		return at
	}
	for part := range strings.SplitSeq(name, "/") {
		if at = at.children[part]; at == nil {
			return nil
		}
	}
	return at
}

// parent returns the folder above a clean path, made when nobody has described it.
func (t *tree) parent(name string) (*inode, error) {
	at := t.root
	parts := strings.Split(name, "/")
	for _, part := range parts[:len(parts)-1] {
		next := at.children[part]
		if next == nil {
			if t.entries++; t.entries > maxEntries {
				return nil, fmt.Errorf("more than %d entries", maxEntries)
			}
			next = newFolder(0o755)
			at.children[part] = next
		}
		if !next.mode.IsDir() {
			return nil, fmt.Errorf("lies beneath %q, which is not a folder", part)
		}
		at = next
	}
	return at, nil
}

// Whiteouts say what a layer hides of those beneath it (image-spec v1.1, layer.md; kernel overlayfs.rst).
const (
	whiteout       = ".wh."
	opaqueWhiteout = ".wh..wh..opq"
	opaqueXattr    = "trusted.overlay.opaque"
)

// put gives in a name. The last of several entries for one name counts; a folder keeps what it holds.
func put(dir *inode, name string, in *inode) error {
	if name == opaqueWhiteout {
		if dir.xattrs == nil {
			dir.xattrs = map[string]string{}
		}
		dir.xattrs[opaqueXattr] = "y"
		return nil
	}
	if hidden, ok := strings.CutPrefix(name, whiteout); ok {
		if hidden == "" || hidden == "." || hidden == ".." || strings.HasPrefix(hidden, whiteout) {
			return fmt.Errorf("is a whiteout of nothing")
		}
		name, in = hidden, &inode{mode: fs.ModeDevice | fs.ModeCharDevice, mtime: Epoch.Unix()}
	}
	if old := dir.children[name]; old != nil && old.mode.IsDir() && in.mode.IsDir() {
		in.children = old.children
		if v, ok := old.xattrs[opaqueXattr]; ok {
			if in.xattrs == nil {
				in.xattrs = map[string]string{}
			}
			in.xattrs[opaqueXattr] = v
		}
	}
	dir.children[name] = in
	return nil
}

// count finds how many names lead to each inode, and which of them comes first.
func (t *tree) count(in *inode, name string) {
	if in.links++; in.links == 1 {
		in.first = name
	}
	if !in.mode.IsDir() {
		return
	}
	in.links = 2 // "." and its name; each folder in it adds a ".."
	for _, child := range slices.Sorted(maps.Keys(in.children)) {
		t.count(in.children[child], path.Join(name, child))
		if in.children[child].mode.IsDir() {
			in.links++
		}
	}
}
