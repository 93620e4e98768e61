package etcd

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"

	"github.com/glint-infra/glint"
)

// stacked is a blueprint of some services with five members each.
func stacked(services int) glint.Blueprint {
	b := glint.Blueprint{Stack: "shop", Epoch: "e1"}
	for i := range services {
		name := fmt.Sprintf("web%04d", i)
		tmpl := glint.Template{Image: glint.DigestOf([]byte(name)), Command: []string{"/" + name}, Env: map[string]string{"NAME": name}}
		b.Services = append(b.Services, glint.Fleet{Name: name, Target: tmpl.Version(), Stable: tmpl.Version(), Members: scattered(5, i), Templates: map[glint.Digest]glint.Template{tmpl.Version(): tmpl}})
	}
	return b
}

func BenchmarkAdvance(b *testing.B) {
	for _, services := range []int{10, 1000} {
		b.Run(fmt.Sprint(services, " services"), func(b *testing.B) {
			s := opened(b, Config{})
			begun(b, s, "shop")
			next := stacked(services)
			next.Number = 1
			must(b, s.Advance(b.Context(), next, glint.Step{Changed: next.Services}))
			for b.Loop() {
				next.Number++
				next.Services[0].Members[0].N++
				must(b, s.Advance(b.Context(), next, glint.Step{Changed: next.Services[:1], Events: []glint.Event{{Text: "on"}}}))
			}
			reportMemory(b)
		})
	}
}

func BenchmarkHead(b *testing.B) {
	for _, services := range []int{10, 1000} {
		b.Run(fmt.Sprint(services, " services"), func(b *testing.B) {
			s := opened(b, Config{})
			begun(b, s, "shop")
			next := stacked(services)
			next.Number = 1
			must(b, s.Advance(b.Context(), next, glint.Step{}))
			for b.Loop() {
				_, err := s.Head(b.Context(), "shop")
				must(b, err)
			}
		})
	}
}

func BenchmarkOpen(b *testing.B) {
	dir := b.TempDir()
	s := opened(b, Config{Dir: dir})
	next := begun(b, s, "shop")
	for range 3000 {
		next = walked(b, s, next, "on")
	}
	must(b, s.Close())
	for b.Loop() {
		s, err := Open(b.Context(), Config{Dir: dir})
		must(b, err)
		must(b, s.Close())
	}
}

// reportMemory tells what the process holds in memory that is its own.
func reportMemory(b *testing.B) {
	runtime.GC()
	status, err := os.ReadFile("/proc/self/status")
	must(b, err)
	for line := range strings.Lines(string(status)) {
		var kib float64
		if n, _ := fmt.Sscanf(line, "RssAnon: %f", &kib); n == 1 {
			b.ReportMetric(kib/1024, "MiB-anon")
		}
	}
}
