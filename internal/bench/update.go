package bench

import (
	"context"
	"fmt"
	"time"

	"github.com/glint-infra/glint/internal/load"
)

// rest is how long the load goes on with nothing changing, before and after an update.
const rest = 4 * time.Second

// A phase is a stretch of time under load.
type phase struct {
	load.Report
	cpu  float64 // ms
	took float64 // ms
}

// update replaces all instances of a service by another version while requests come in.
func update(ctx context.Context, w *world, r *Report) error {
	declare := func(version string) string {
		return head + service("web", w.Instances, version, max(1, w.Instances/10))
	}
	w.Progress("update: starting %d instances", w.Instances)
	if err := w.apply(ctx, declare("1")); err != nil {
		return err
	}
	if err := pause(ctx, 2*time.Second); err != nil { // all have been asked how they are
		return err
	}
	idle, err := w.over(ctx, rest)
	if err != nil {
		return err
	}
	idleRate := float64(idle[0]+idle[1]+idle[2]) / float64(rest.Nanoseconds()) // CPU ms in a ms
	m := &updating{instances: w.Instances, idle: idleRate}
	slow := once(entry, "web.localhost", "/slow?ms=1", time.Second) == nil
	for i := range max(1, w.Runs/10) {
		w.Progress("update: %d, under load", i+1)
		before, err := w.loaded(ctx, slow, func(ctx context.Context) error { return pause(ctx, rest) })
		if err != nil {
			return err
		}
		during, err := w.loaded(ctx, slow, func(ctx context.Context) error { return w.apply(ctx, declare(fmt.Sprint(i+2))) })
		if err != nil {
			return err
		}
		after, err := w.loaded(ctx, slow, func(ctx context.Context) error { return pause(ctx, rest) })
		if err != nil {
			return err
		}
		m.note(before, during, after)
		for _, p := range []phase{before, during, after} {
			r.Failed += p.Failed
			for _, f := range p.Failures {
				r.Notes = append(r.Notes, fmt.Sprintf("update: %s request failed: %s", f.Kind, f.What))
			}
		}
	}
	if !slow {
		r.Notes = append(r.Notes, "update: no slow requests were sent: the program does not answer /slow?ms=1")
	}
	m.tell(r)
	return nil
}

// loaded sends requests until f has ended.
func (w *world) loaded(ctx context.Context, slow bool, f func(context.Context) error) (p phase, err error) {
	mix := load.Mix{Address: entry, Host: "web.localhost", Path: "/version", Slow: "/slow?ms=1000", KeepAlive: 4, OneShot: 2, Pause: 4 * time.Millisecond}
	if slow {
		mix.SlowClients = 8
	}
	sending, stop := context.WithCancel(ctx)
	defer stop()
	begun := time.Now()
	before, err := w.reading()
	if err != nil {
		return p, err
	}
	done := make(chan load.Report, 1)
	go func() { done <- load.Run(sending, mix) }()
	err = f(ctx)
	stop()
	p.Report = <-done
	if err != nil {
		return p, err
	}
	after, err := w.reading()
	for i := range 3 {
		p.cpu += float64(after[i]-before[i]) / 1e6
	}
	p.took = ms(time.Since(begun))
	return p, err
}

// updating collects what updates cost.
type updating struct {
	instances                                               int
	idle                                                    float64 // CPU ms in a ms
	took, requests, failed, cpu, p50, p99, p50rest, p99rest []float64
	worse                                                   []float64
}

func (m *updating) note(before, during, after phase) {
	atRest := before.cpu + after.cpu - m.idle*(before.took+after.took)
	perRequest := atRest / float64(max(1, before.Sent+after.Sent))
	m.cpu = append(m.cpu, (during.cpu-m.idle*during.took-perRequest*float64(during.Sent))/float64(m.instances))
	m.took = append(m.took, during.took/1000)
	m.requests = append(m.requests, float64(during.Sent))
	m.failed = append(m.failed, float64(during.Failed))
	m.p50, m.p99 = append(m.p50, ms(during.P50)), append(m.p99, ms(during.P99))
	for _, p := range []phase{before, after} {
		m.p50rest, m.p99rest = append(m.p50rest, ms(p.P50)), append(m.p99rest, ms(p.P99))
	}
	m.worse = append(m.worse, during.P99.Seconds()/((before.P99.Seconds()+after.P99.Seconds())/2))
}

func (m *updating) tell(r *Report) {
	r.add("update.time", fmt.Sprintf("%d instances to the next version, under load", m.instances), "s", 0, m.took)
	r.add("update.requests", "  requests meanwhile", "requests", 0, m.requests)
	r.add("update.failed", "  of them failed", "requests", 0, m.failed)
	r.add("update.cpu", "  CPU for each replaced instance, without idle and requests", "ms", 0, m.cpu)
	r.add("update.p50", "  quick requests meanwhile, p50", "ms", 0, m.p50)
	r.add("update.p99", "  quick requests meanwhile, p99", "ms", 0, m.p99)
	r.add("update.p50.rest", "  quick requests before and after, p50", "ms", 0, m.p50rest)
	r.add("update.p99.rest", "  quick requests before and after, p99", "ms", 0, m.p99rest)
	r.add("update.p99.ratio", "  p99 meanwhile, over before and after", "ratio", 0, m.worse)
}
