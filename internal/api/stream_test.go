package api

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/glint-infra/glint"
	"github.com/glint-infra/glint/internal/store/mem"
)

// A sheet is a client's end of a stream that keeps what it got.
type sheet struct {
	mu   sync.Mutex
	text strings.Builder
	fail error
}

func (s *sheet) Header() http.Header { return http.Header{} }
func (s *sheet) WriteHeader(int)     {}
func (s *sheet) Flush()              {}

func (s *sheet) SetWriteDeadline(time.Time) error { return nil }

func (s *sheet) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.text.Write(b)
	return len(b), s.fail
}

func (s *sheet) take() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer s.text.Reset()
	return s.text.String()
}

// TestHeartbeat: a stream without news says that it is alive, tells what a deaf watch did not, and ends with its client.
func TestHeartbeat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := mem.New()
		s := &server{Config: Config{Store: store}}
		out := &sheet{}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan bool)
		go func() {
			s.tell(ctx, &sender{w: out, conn: http.NewResponseController(out)}, "shop", 7)
			close(done)
		}()
		synctest.Wait()
		if got := out.take(); got != "id: 7\n\n" {
			t.Errorf("it begins with %q", got)
		}
		time.Sleep(heartbeat)
		synctest.Wait()
		if got := out.take(); got != ": alive\n\n" {
			t.Errorf("after a silence: %q", got)
		}
		for range 9 { // seq 8 and 9 are news
			if err := store.Record(ctx, "shop", glint.Event{Text: "odd\n\ndata: x"}); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		var ids []int64
		err := readStream(strings.NewReader(out.take()), func(m message) error { ids = append(ids, m.id); return nil })
		if err != nil || len(ids) != 2 || ids[0] != 8 || ids[1] != 9 {
			t.Errorf("news: %v, %v", ids, err)
		}
		out.mu.Lock()
		out.fail = errors.New("the client is gone")
		out.mu.Unlock()
		time.Sleep(heartbeat)
		<-done
		cancel()
	})
}

func TestReadStream(t *testing.T) {
	const in = ": hello\n\nid: 3\ndata: a\ndata: b\n\nid: x\nevent: odd\nretry: 5\ndata:c\n\nid: 9\n\n\n\ndata: cut off"
	var got []message
	if err := readStream(strings.NewReader(in), func(m message) error { got = append(got, m); return nil }); err != nil {
		t.Fatal(err)
	}
	want := []message{{id: -1}, {3, []byte("a\nb")}, {-1, []byte("c")}, {9, nil}}
	for i := range want {
		if len(got) != len(want) || got[i].id != want[i].id || string(got[i].data) != string(want[i].data) {
			t.Fatalf("got %v, want %v", got, want)
		}
	}
	if err := readStream(io.LimitReader(endless{}, 2*maxLine), func(message) error { return nil }); err == nil {
		t.Error("a line without end was read")
	}
}

type endless struct{}

func (endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'x'
	}
	return len(p), nil
}

// FuzzReadStream: a server that went mad does not make a client fail.
func FuzzReadStream(f *testing.F) {
	f.Add("id: 1\ndata: {}\n\n")
	f.Fuzz(func(t *testing.T, s string) {
		_ = readStream(strings.NewReader(s), func(m message) error {
			if m.id < -1 || strings.HasSuffix(string(m.data), "\r\n") {
				t.Errorf("%q: %+v", s, m)
			}
			return nil
		})
	})
}
