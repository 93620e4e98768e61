package observe

import (
	"context"
	"hash/fnv"
	"sync"
	"time"

	"github.com/glint-infra/glint"
)

// How soon an instance is asked again that has not been ready yet. The wait grows by a quarter with each answer that is
// not good, so that an instance is noticed within a quarter of the time that it took to start. A command costs too much
// to begin that fast.
const (
	firstWait        = 5 * time.Millisecond
	firstWaitCommand = 50 * time.Millisecond
)

// A target is whom to ask, and what.
type target struct {
	id       glint.ID
	address  string // an IP address, without port
	template glint.Template
	probe    glint.Probe
}

// A prober asks one instance until it is stopped.
type prober struct {
	stop context.CancelFunc // returns at once; the prober ends soon
	mu   sync.Mutex
	judge
}

func (p *prober) health() glint.Health {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.judge.health
}

// startProber begins to ask t. seen: it has been ready before, in an earlier life of the server. The caller holds o.mu.
func (o *Observer) startProber(t target, seen bool) *prober {
	ctx, stop := context.WithCancel(o.ctx)
	p := &prober{stop: stop, judge: newJudge(t.probe, seen)}
	o.wg.Go(func() { o.keepAsking(ctx, p, t) })
	return p
}

func (o *Observer) keepAsking(ctx context.Context, p *prober, t target) {
	interval, wait := jitter(t.id, t.probe.Interval.D()), firstWait
	if t.probe.Exec != nil {
		wait = firstWaitCommand
	}
	for {
		a, err := o.askOnce(ctx, t)
		if err != nil {
			return
		}
		p.mu.Lock()
		news := p.hear(time.Now(), a)
		was := p.was
		p.mu.Unlock()
		if news {
			o.hint(t.id.Stack)
		}
		if was {
			wait = interval
		}
		if !sleep(ctx, min(wait, interval)) {
			return
		}
		if a.kind != good {
			wait = min(wait*5/4, interval)
		}
	}
}

// askOnce asks when a slot is free. The error says that the prober was stopped.
func (o *Observer) askOnce(ctx context.Context, t target) (answer, error) {
	if t.probe.Exec != nil {
		if !acquire(ctx, o.commands) {
			return answer{}, ctx.Err()
		}
		defer func() { <-o.commands }()
	}
	if !acquire(ctx, o.slots) {
		return answer{}, ctx.Err()
	}
	defer func() { <-o.slots }()
	within, cancel := context.WithTimeout(ctx, t.probe.Timeout.D())
	defer cancel()
	a := o.ask(within, t)
	return a, ctx.Err()
}

func acquire(ctx context.Context, slots chan struct{}) bool {
	select {
	case slots <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}

func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// jitter moves d by up to 5 % either way, always by the same for one ID: instances that started together must not be
// asked together for ever.
func jitter(id glint.ID, d time.Duration) time.Duration {
	h := fnv.New32a()
	h.Write([]byte(id.Key()))
	return d/1000*950 + d/1000*time.Duration(h.Sum32()%101)
}
