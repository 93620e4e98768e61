package conductor

import (
	"bufio"
	"context"
	"io"
	"strings"
	"time"

	"github.com/glint-infra/glint"
	"github.com/glint-infra/glint/internal/platform"
)

const (
	wordsLines = 10              // as many as a platform keeps of one that died
	wordsBytes = 64 << 10        // of all of them
	wordsTime  = 2 * time.Second // a platform that keeps one waiting for logs must not hold a decision up
	wordsMost  = 20              // instances in one turn: the first few tell as much as a thousand
)

// lastWords adds to the events of instances that are sent off alive because they do not do their work what they wrote last.
// Of those that died their platform has told it already, and of those that are destroyed nobody can.
func (c *Conductor) lastWords(ctx context.Context, b glint.Blueprint, events []glint.Event) {
	logger, ok := c.cfg.Platform.(platform.Logger)
	if !ok {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, wordsTime)
	defer cancel()
	asked := 0
	for i := range events {
		e := &events[i]
		f, _ := b.Fleet(e.ID.Service)
		m, _ := f.Member(e.ID.N)
		if e.Kind != glint.EventLeave || e.Reason != glint.Unhealthy || e.Tail != nil || !m.Ending.IsZero() || asked >= wordsMost {
			continue
		}
		asked++
		e.Tail = said(ctx, logger, e.ID)
	}
}

// said reads the last lines of an instance; none when they cannot be had.
func said(ctx context.Context, logger platform.Logger, id glint.ID) (lines []string) {
	r, err := logger.Logs(ctx, id, wordsLines, false)
	if err != nil {
		return nil
	}
	defer r.Close()
	for scan := bufio.NewScanner(io.LimitReader(r, wordsBytes)); scan.Scan(); {
		if p := strings.SplitN(scan.Text(), " ", 3); len(p) == 3 { // TIME STREAM TEXT
			lines = append(lines, p[2])
		}
	}
	return lines
}
