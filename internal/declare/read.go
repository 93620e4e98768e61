package declare

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/glint-infra/glint"
	"github.com/glint-infra/glint/internal/declare/language"
)

// Main is the file that every declaration has. More *.hcl files may stand beside it.
const Main = "glint.hcl"

// Read collects the files of the declaration in a folder: glint.hcl and every *.hcl beside it, but for what is pinned
// (*.lock.hcl), parameters (*.glintvars.hcl) and hidden files. The error wraps glint.ErrNotFound when there is no
// glint.hcl.
func Read(dir string) (map[string][]byte, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: folder %s does not exist", glint.ErrNotFound, dir)
	}
	if err != nil {
		return nil, fmt.Errorf("reading the declaration: %w", err)
	}
	files := map[string][]byte{}
	for _, e := range entries {
		if e.IsDir() || !ours(e.Name()) {
			continue
		}
		if len(files) == MaxFiles {
			return nil, fmt.Errorf("%w: folder %s has more than %d *.hcl files", glint.ErrInvalid, dir, MaxFiles)
		}
		if files[e.Name()], err = readFile(filepath.Join(dir, e.Name())); err != nil {
			return nil, err
		}
	}
	if _, ok := files[Main]; ok {
		return files, nil
	}
	if len(files) > 0 {
		return nil, fmt.Errorf("%w: no %s in %s, though there is %s: rename one of them to %s", glint.ErrNotFound, Main, dir, language.Either(keys(files)), Main)
	}
	return nil, fmt.Errorf("%w: no %s in %s: go to the folder that has one, or write one; it begins with: stack \"NAME\" {}", glint.ErrNotFound, Main, dir)
}

func ours(name string) bool {
	return strings.HasSuffix(name, ".hcl") && !strings.HasPrefix(name, ".") &&
		!strings.HasSuffix(name, ".lock.hcl") && !strings.HasSuffix(name, ".glintvars.hcl")
}

// readFile reads one byte more than allowed at most; Parse refuses the file then.
func readFile(path string) ([]byte, error) {
	info, err := os.Stat(path) // a pipe or device would keep Open waiting
	if err != nil {
		return nil, fmt.Errorf("reading the declaration: %w", err)
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%w: %s is not a regular file", glint.ErrInvalid, path)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("reading the declaration: %w", err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, MaxFile+1))
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	return b, nil
}
