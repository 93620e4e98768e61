package etcd

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"github.com/glint-infra/glint"
	"github.com/klauspost/compress/zstd"
)

// A segment is a file of entries that have left etcd: this header in one line of JSON, then the entries, one a line,
// compressed with zstd. Its digest is that of the whole file; since the header holds the digest of the segment before,
// and the guard key that of the newest, nothing in the history can be changed without its being seen.
type segment struct {
	Format int          `json:"format"`
	Stack  string       `json:"stack"`
	From   int64        `json:"from"` // positions, both with
	To     int64        `json:"to"`
	Number int          `json:"number"`           // the newest blueprint up to and with To
	Seq    int64        `json:"seq"`              // the newest event likewise
	Before glint.Digest `json:"before,omitempty"` // empty: it is the first
}

// A link is a segment of which the chain has been followed.
type link struct {
	segment
	digest glint.Digest
}

// An archive is the folder of segments: STACK/FROM-TO.zst.
type archive struct {
	dir   string
	mu    sync.Mutex
	index map[string][]link // by stack, oldest first
}

func (a *archive) path(stack string, from, to int64) string {
	return filepath.Join(a.dir, stack, fmt.Sprintf("%012d-%012d.zst", from, to))
}

// write writes a segment, whole and on the disk or not at all, and returns its digest. Writing it again is harmless:
// as long as no guard names it, it is not part of the history.
func (a *archive) write(s segment, entries func(emit func(plain []byte) error) error) (glint.Digest, error) {
	s.Format = format
	path := a.path(s.Stack, s.From, s.To)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return "", err
	}
	f, err := os.OpenFile(path+".new", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return "", err
	}
	defer os.Remove(f.Name()) // gone already when all went well
	sum := sha256.New()
	err = fill(io.MultiWriter(f, sum), s, entries)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return "", err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return "", err
	}
	return glint.Digest("sha256:" + hex.EncodeToString(sum.Sum(nil))), errors.Join(syncDir(filepath.Dir(path)), syncDir(a.dir))
}

func fill(w io.Writer, s segment, entries func(emit func([]byte) error) error) error {
	if err := json.NewEncoder(w).Encode(s); err != nil {
		return err
	}
	z, err := zstd.NewWriter(w, zstd.WithEncoderConcurrency(1), zstd.WithLowerEncoderMem(true))
	if err != nil {
		return err
	}
	err = entries(func(plain []byte) error {
		_, err := z.Write(append(plain, '\n'))
		return err
	})
	return errors.Join(err, z.Close())
}

func syncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// open reads a segment and compares it with its digest.
func (a *archive) open(path string, want glint.Digest) (segment, []byte, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return segment{}, nil, fmt.Errorf("a part of the history is missing: %w", err)
	}
	if got := glint.DigestOf(b); got != want {
		return segment{}, nil, fmt.Errorf("a part of the history has been changed: %s is %s, and was %s when it was written", path, got, want)
	}
	line, body, _ := bytes.Cut(b, []byte("\n"))
	var s segment
	if err := json.Unmarshal(line, &s); err != nil {
		return segment{}, nil, fmt.Errorf("reading %s: %w", path, err)
	}
	if s.Format != format {
		return segment{}, nil, fmt.Errorf("reading %s: %w", path, tooNew(s.Format))
	}
	return s, body, nil
}

// chain follows the segments of a stack from the newest back to the first, as far as they are not known yet. The
// newest ends before position next.
func (a *archive) chain(stack string, newest glint.Digest, next int64) ([]link, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	known := a.index[stack]
	var found []link
	for digest := newest; digest != ""; {
		if i := slices.IndexFunc(known, func(l link) bool { return l.digest == digest }); i >= 0 {
			slices.Reverse(found)
			a.index[stack] = append(slices.Clone(known[:i+1]), found...)
			return a.index[stack], nil
		}
		s, err := a.find(stack, digest, next-1)
		if err != nil {
			return nil, err
		}
		found = append(found, link{s, digest})
		digest, next = s.Before, s.From
	}
	slices.Reverse(found)
	a.index[stack] = found
	return found, nil
}

// find returns the segment of that digest, which ends with entry to. A crash can have left another file that ends there.
func (a *archive) find(stack string, digest glint.Digest, to int64) (segment, error) {
	paths, err := filepath.Glob(filepath.Join(a.dir, stack, fmt.Sprintf("*-%012d.zst", to)))
	if err == nil && len(paths) == 0 {
		err = fmt.Errorf("a part of the history is missing: no segment of %s in %s ends with entry %d", stack, a.dir, to)
	}
	for _, path := range paths {
		s, _, oerr := a.open(path, digest)
		if oerr == nil && s.Stack == stack && s.To == to {
			return s, nil
		}
		err = errors.Join(err, oerr)
	}
	return segment{}, err
}

// entries hands out the entries that lie in segments, from the first that may be beyond, until take wants no more; it
// returns whether it still does.
func (a *archive) entries(stack string, newest glint.Digest, next int64, beyond func(number int, seq int64) bool, take func(entry) bool) (bool, error) {
	links, err := a.chain(stack, newest, next)
	if err != nil {
		return false, err
	}
	for _, l := range links {
		if !beyond(l.Number, l.Seq) {
			continue
		}
		_, body, err := a.open(a.path(stack, l.From, l.To), l.digest)
		if err != nil {
			return false, err
		}
		more, err := each(body, take)
		if err != nil {
			err = fmt.Errorf("reading the history of %s from entry %d to %d: %w", stack, l.From, l.To, err)
		}
		if err != nil || !more {
			return false, err
		}
	}
	return true, nil
}

// each hands out the entries of a segment's body.
func each(body []byte, take func(entry) bool) (bool, error) {
	z, err := zstd.NewReader(bytes.NewReader(body), zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(itemBytes))
	if err != nil {
		return false, err
	}
	defer z.Close()
	for lines := json.NewDecoder(bufio.NewReader(z)); ; {
		var e entry
		if err := lines.Decode(&e); errors.Is(err, io.EOF) {
			return true, nil
		} else if err != nil {
			return false, err
		}
		if !take(e) {
			return false, nil
		}
	}
}
