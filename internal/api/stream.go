package api

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
)

// heartbeat is how often a stream without news says that it is alive.
const heartbeat = 15 * time.Second

// maxLine bounds in bytes one line of a stream. An event holds the last log lines of an instance.
const maxLine = 4 << 20

// A message is one server-sent event.
type message struct {
	id   int64 // -1: none
	data []byte
}

// readStream reads server-sent events (HTML standard, 9.2.6) until the stream ends or each returns an error. A comment
// is told as a message without anything in it.
func readStream(r io.Reader, each func(message) error) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 0, 64<<10), maxLine)
	m, some := message{id: -1}, false
	for lines.Scan() {
		line := lines.Text()
		field, value, _ := strings.Cut(line, ":")
		value = strings.TrimPrefix(value, " ")
		switch {
		case line == "" && some:
			m.data = bytes.TrimSuffix(m.data, []byte("\n"))
			if err := each(m); err != nil {
				return err
			}
			m, some = message{id: -1}, false
		case field == "" && line != "":
			if err := each(message{id: -1}); err != nil {
				return err
			}
		case field == "id":
			if id, err := strconv.ParseInt(value, 10, 64); err == nil && id >= 0 {
				m.id = id
			}
			some = true
		case field == "data":
			m.data, some = append(append(m.data, value...), '\n'), true
		}
	}
	return lines.Err()
}

// A sender writes server-sent events. The first error ends it.
type sender struct {
	w    io.Writer
	conn *http.ResponseController
	err  error
}

func newSender(c huma.Context) *sender {
	_, w := humago.Unwrap(c)
	return &sender{w: w, conn: http.NewResponseController(w)}
}

// send tells v; id -1 means none.
func (s *sender) send(id int64, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		s.err = errors.Join(s.err, err)
		return
	}
	head := ""
	if id >= 0 {
		head = fmt.Sprintf("id: %d\n", id)
	}
	s.write(fmt.Appendf(nil, "%sdata: %s\n\n", head, b))
}

// mark says after which event the stream begins, without telling one (HTML standard, 9.2.6: no data, no event).
func (s *sender) mark(id int64) { s.write(fmt.Appendf(nil, "id: %d\n\n", id)) }

// beat says that the stream is alive.
func (s *sender) beat() { s.write([]byte(": alive\n\n")) }

func (s *sender) write(b []byte) {
	if s.err != nil {
		return
	}
	if s.err = s.conn.SetWriteDeadline(time.Now().Add(patience)); s.err != nil {
		return
	}
	if _, s.err = s.w.Write(b); s.err == nil {
		s.err = s.conn.Flush()
	}
}
