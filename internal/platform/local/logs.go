package local

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/glint-infra/glint"
)

// A line is one line of a log: conmon writes "TIME STREAM F TEXT", and P instead of F when more of the line follows.
type line struct {
	at     time.Time
	stream string // "out" or "err"
	text   string
}

func (l line) String() string {
	return l.at.UTC().Format(time.RFC3339Nano) + " " + l.stream + " " + l.text + "\n"
}

// A joiner makes whole lines of what conmon wrote.
type joiner struct{ part map[string]string }

// add takes one raw line, without its end, and returns a line when it is complete.
func (j *joiner) add(raw string) (line, bool) {
	f := strings.SplitN(raw, " ", 4)
	if len(f) != 4 {
		return line{}, false
	}
	at, err := time.Parse(time.RFC3339Nano, f[0])
	stream, known := strings.CutPrefix(f[1], "std")
	if err != nil || !known {
		return line{}, false
	}
	text := j.part[stream] + f[3]
	if f[2] == "P" && len(text) < maxLine {
		j.part[stream] = text
		return line{}, false
	}
	delete(j.part, stream)
	return line{at, stream, text}, true
}

// maxLine is where a line without end is cut, in bytes.
const maxLine = 64 << 10

// readLines returns the whole lines of a log from an offset on, and the offset behind the last raw one.
func readLines(f io.Reader, j *joiner) (lines []line, read int64) {
	in := bufio.NewReader(f)
	for {
		raw, err := in.ReadBytes('\n')
		if err != nil {
			return lines, read
		}
		read += int64(len(raw))
		if l, ok := j.add(string(bytes.TrimSuffix(raw, []byte("\n")))); ok {
			lines = append(lines, l)
		}
	}
}

func logPath(dir string) string { return filepath.Join(dir, "log") }

// tail returns the texts of the last lines of an instance's log.
func tail(dir string, n int) []string {
	f, err := os.Open(logPath(dir))
	if err != nil {
		return nil
	}
	defer f.Close()
	const enough = 256 << 10 // bytes for the last few lines
	if size, err := f.Seek(0, io.SeekEnd); err == nil {
		_, _ = f.Seek(max(0, size-enough), io.SeekStart) // a line that is cut here has no time and is left out
	}
	lines, _ := readLines(f, &joiner{map[string]string{}})
	var texts []string
	for _, l := range lines[max(0, len(lines)-n):] {
		texts = append(texts, l.text)
	}
	return texts
}

// Logs returns what the instance wrote, at most the newest LogSize bytes of it.
func (p *Platform) Logs(ctx context.Context, id glint.ID, last int, follow bool) (io.ReadCloser, error) {
	p.mu.Lock()
	in := p.lives[id]
	p.mu.Unlock()
	if in == nil {
		return nil, fmt.Errorf("logs of %s: %w", id, glint.ErrNotFound)
	}
	if _, known := in.record(); !known {
		return nil, fmt.Errorf("logs of %s: %w", id, glint.ErrNotFound)
	}
	r, w := io.Pipe()
	ctx, cancel := context.WithCancel(ctx)
	t := &logTail{in: in, last: last, join: joiner{map[string]string{}}}
	go func() { w.CloseWithError(t.copy(ctx, w, follow)) }()
	return logReader{r, cancel}, nil
}

type logReader struct {
	*io.PipeReader
	cancel context.CancelFunc
}

func (r logReader) Close() error {
	r.cancel()
	return r.PipeReader.Close()
}

// A logTail reads a log that may still grow and may be begun anew.
type logTail struct {
	in   *life
	last int // lines wanted of what is there at first; negative: all
	at   int64
	file os.FileInfo
	join joiner
}

// lookAgain is how often a followed log is looked at.
const lookAgain = 100 * time.Millisecond

func (t *logTail) copy(ctx context.Context, w io.Writer, follow bool) error {
	tick := time.NewTicker(lookAgain)
	defer tick.Stop()
	for first := true; ; first = false {
		_, known := t.in.record()
		lines := t.more()
		if first && t.last >= 0 {
			lines = lines[max(0, len(lines)-t.last):]
		}
		for _, l := range lines {
			if _, err := io.WriteString(w, l.String()); err != nil {
				return err
			}
		}
		if !follow || !known {
			return nil
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// more reads what was added. conmon begins a new file when the log is full.
func (t *logTail) more() []line {
	f, err := os.Open(logPath(t.in.dir))
	if err != nil {
		return nil
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil
	}
	if t.file != nil && !os.SameFile(t.file, info) || info.Size() < t.at {
		t.at = 0
	}
	t.file = info
	if _, err := f.Seek(t.at, io.SeekStart); err != nil {
		return nil
	}
	lines, read := readLines(f, &t.join)
	t.at += read
	return lines
}
