package api

import (
	"bufio"
	"bytes"
	"io"
	"strconv"
	"strings"
	"time"
)

// heartbeat is how often a stream without news says that it is alive.
const heartbeat = 15 * time.Second

// maxLine bounds in bytes one line of a stream. An event holds the last log lines of an instance.
const maxLine = 4 << 20

// A message is one server-sent event.
type message struct {
	id    int64 // -1: none
	event string
	data  []byte
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
		case field == "event":
			m.event, some = value, true
		case field == "data":
			m.data, some = append(append(m.data, value...), '\n'), true
		}
	}
	return lines.Err()
}
