package observe

import (
	"net/http"
	"net/http/httptest"
	"syscall"
	"testing"

	"github.com/glint-infra/glint"
)

// BenchmarkAskHTTP also reports the processor time of one question, with the server that answers it.
func BenchmarkAskHTTP(b *testing.B) {
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer s.Close()
	a, to := newAsker(&world{}), at(s.Listener.Addr().String(), glint.Probe{HTTP: &glint.HTTPProbe{Port: "http", Path: "/"}, Timeout: patient})
	benchmark(b, func() bool { return put(b, a, to).kind == good })
}

// BenchmarkAskRefused is what a starting instance costs each time.
func BenchmarkAskRefused(b *testing.B) {
	s := httptest.NewServer(nil)
	addr := s.Listener.Addr().String()
	s.Close()
	a, to := newAsker(&world{}), at(addr, glint.Probe{HTTP: &glint.HTTPProbe{Port: "http", Path: "/"}, Timeout: patient})
	benchmark(b, func() bool { return put(b, a, to).kind == bad })
}

func benchmark(b *testing.B, f func() bool) {
	before := cpu(b)
	for b.Loop() {
		if !f() {
			b.Fatal("an unexpected answer")
		}
	}
	b.ReportMetric((cpu(b)-before)/float64(b.N)*1e6, "cpu-µs/op")
}

// cpu returns seconds of processor time used by this process.
func cpu(b *testing.B) float64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return float64(u.Utime.Sec+u.Stime.Sec) + float64(u.Utime.Usec+u.Stime.Usec)/1e6
}
