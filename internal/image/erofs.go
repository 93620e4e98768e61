package image

import (
	"encoding/binary"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/erofs/go-erofs"

	"github.com/glint-infra/glint"
)

// writeErofs writes the file system that the tar's tree describes. The same tree gives the same bytes.
func writeErofs(out *os.File, t *tree, data io.ReaderAt) error {
	w := erofs.Create(out, erofs.WithBuildTime(uint64(Epoch.Unix()), 0))
	if err := w.CopyFrom(&treeFS{t, data}); err != nil {
		return fmt.Errorf("writing the erofs file: %w", err)
	}
	if err := w.Close(); err != nil {
		return fmt.Errorf("writing the erofs file: %w", err)
	}
	return linkNames(out, t)
}

// treeFS shows a tree to the erofs writer. Second names of one inode are shown as empty files: see linkNames.
type treeFS struct {
	t    *tree
	data io.ReaderAt
}

func (f *treeFS) info(name string) (treeInfo, error) {
	in := f.t.find(name)
	if in == nil {
		return treeInfo{}, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	if !in.mode.IsDir() && in.first != name {
		in = &inode{mtime: Epoch.Unix(), links: 1}
	}
	return treeInfo{path.Base(name), in}, nil
}

// Open implements fs.FS.
func (f *treeFS) Open(name string) (fs.File, error) {
	info, err := f.info(name)
	return &treeFile{info, io.NewSectionReader(f.data, info.offset(), info.Size())}, err
}

// Stat implements fs.StatFS.
func (f *treeFS) Stat(name string) (fs.FileInfo, error) { return f.info(name) }

// ReadLink returns where a symbolic link leads.
func (f *treeFS) ReadLink(name string) (string, error) {
	info, err := f.info(name)
	if err != nil {
		return "", err
	}
	return info.in.link, nil
}

// ReadDir implements fs.ReadDirFS.
func (f *treeFS) ReadDir(name string) ([]fs.DirEntry, error) {
	dir := f.t.find(name)
	if dir == nil {
		return nil, &fs.PathError{Op: "readdir", Path: name, Err: fs.ErrNotExist}
	}
	var list []fs.DirEntry
	for _, child := range slices.Sorted(maps.Keys(dir.children)) {
		info, err := f.info(path.Join(name, child))
		if err != nil {
			return nil, err
		}
		list = append(list, fs.FileInfoToDirEntry(info))
	}
	return list, nil
}

type treeFile struct {
	treeInfo
	*io.SectionReader
}

func (f *treeFile) Size() int64                { return f.treeInfo.Size() }
func (f *treeFile) Stat() (fs.FileInfo, error) { return f.treeInfo, nil }
func (f *treeFile) Close() error               { return nil }

type treeInfo struct {
	name string
	in   *inode
}

func (i treeInfo) offset() int64 {
	if i.in == nil {
		return 0
	}
	return i.in.offset
}

func (i treeInfo) Name() string { return i.name }
func (i treeInfo) Size() int64 {
	if i.in == nil || i.in.mode.IsDir() {
		return 0
	}
	return i.in.size
}
func (i treeInfo) Mode() fs.FileMode  { return i.in.mode }
func (i treeInfo) ModTime() time.Time { return time.Unix(i.in.mtime, 0) }
func (i treeInfo) IsDir() bool        { return i.in.mode.IsDir() }
func (i treeInfo) Sys() any {
	return &erofs.Stat{Mode: i.in.mode, UID: i.in.uid, GID: i.in.gid, Mtime: uint64(i.in.mtime), Nlink: i.in.links,
		Rdev: i.in.rdev, Xattrs: i.in.xattrs}
}

// linkNames makes every further name of an inode lead to it. The erofs writer knows no hard links, so they stand in
// the written image as empty files; here their directory entries get the number and type of the inode that is meant.
func linkNames(f *os.File, t *tree) error {
	var further [][2]string // name, the inode's first name
	var walk func(in *inode, name string)
	walk = func(in *inode, name string) {
		if !in.mode.IsDir() {
			if in.first != name {
				further = append(further, [2]string{name, in.first})
			}
			return
		}
		for child, in := range in.children {
			walk(in, path.Join(name, child))
		}
	}
	if walk(t.root, "."); len(further) == 0 {
		return nil
	}
	img, err := erofs.Open(f)
	if err != nil {
		return fmt.Errorf("reading the written erofs file: %w", err)
	}
	for _, link := range further {
		if err := linkName(f, img, link[0], link[1]); err != nil {
			return fmt.Errorf("writing the hard link %s → %s: %w", link[0], link[1], err)
		}
	}
	return nil
}

func linkName(f *os.File, img fs.FS, name, first string) error {
	to, err := fs.Lstat(img, first)
	if err != nil {
		return err
	}
	dir, err := fs.Lstat(img, path.Dir(name))
	if err != nil {
		return err
	}
	toStat, ok1 := to.Sys().(*erofs.Stat)
	dirStat, ok2 := dir.Sys().(*erofs.Stat)
	if !ok1 || !ok2 {
		return fmt.Errorf("the erofs reader tells no inode numbers")
	}
	at, size, err := dirData(f, uint64(dirStat.Ino))
	if err != nil {
		return err
	}
	b := make([]byte, size)
	if _, err := f.ReadAt(b, at); err != nil {
		return err
	}
	entry := findDirent(b, path.Base(name))
	if entry < 0 {
		return fmt.Errorf("its directory does not list it")
	}
	binary.LittleEndian.PutUint64(b[entry:], uint64(toStat.Ino))
	b[entry+10] = direntType(to.Mode())
	_, err = f.WriteAt(b[entry:entry+direntSize], at+int64(entry))
	return err
}

// The layout of an erofs image (kernel fs/erofs/erofs_fs.h).
const (
	blockSize   = 4096
	superOffset = 1024
	metaOffset  = superOffset + 40 // __le32 meta_blkaddr
	direntSize  = 12               // __le64 nid, __le16 nameoff, u8 file_type, u8 reserved
)

// dirData returns where the content of the directory with the given inode number lies.
func dirData(f io.ReaderAt, nid uint64) (at, size int64, err error) {
	var b [32]byte
	if _, err := f.ReadAt(b[:4], metaOffset); err != nil {
		return 0, 0, err
	}
	inodeAt := int64(binary.LittleEndian.Uint32(b[:]))*blockSize + int64(nid)*32
	if _, err := f.ReadAt(b[:], inodeAt); err != nil {
		return 0, 0, err
	}
	format := binary.LittleEndian.Uint16(b[:])
	size = int64(binary.LittleEndian.Uint32(b[8:])) // a directory of more than 4 GiB does not exist
	switch layout := format >> 1 & 7; layout {
	case 0: // plain: in blocks of its own
		return int64(binary.LittleEndian.Uint32(b[16:])) * blockSize, size, nil
	case 2: // inline: behind the inode and its attributes
		at = inodeAt + 32
		if format&1 != 0 {
			at += 32
		}
		if n := binary.LittleEndian.Uint16(b[2:]); n > 0 {
			at += 12 + int64(n-1)*4
		}
		return at, size, nil
	default:
		return 0, 0, fmt.Errorf("%w: directory layout %d", glint.ErrInvalid, layout)
	}
}

// findDirent returns the offset of a name's entry in a directory's content, or -1.
func findDirent(dir []byte, name string) int {
	for block := 0; block < len(dir); block += blockSize {
		b := dir[block:min(block+blockSize, len(dir))]
		n := int(binary.LittleEndian.Uint16(b[8:])) / direntSize // names begin where entries end
		for i := range n {
			from, to := int(binary.LittleEndian.Uint16(b[i*direntSize+8:])), len(b)
			if i+1 < n {
				to = int(binary.LittleEndian.Uint16(b[(i+1)*direntSize+8:]))
			}
			if strings.TrimRight(string(b[from:to]), "\x00") == name {
				return block + i*direntSize
			}
		}
	}
	return -1
}

// direntType returns the type of a directory entry (kernel include/linux/fs_types.h).
func direntType(m fs.FileMode) byte {
	switch {
	case m.IsRegular():
		return 1
	case m&fs.ModeCharDevice != 0:
		return 3
	case m&fs.ModeNamedPipe != 0:
		return 5
	case m&fs.ModeSymlink != 0:
		return 7
	}
	return 0
}
