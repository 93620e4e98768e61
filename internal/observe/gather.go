package observe

import (
	"context"
	"sync"
	"time"
)

// answerWithin is how long a platform or the balancing plane may take to answer; then it counts as silent.
const answerWithin = 10 * time.Second

// A gatherer asks one question at a time, once for all who wait for it. Nobody is given the answer to a question that was
// asked before he came: it could lack what he has just made.
type gatherer[T any] struct {
	ask    func(context.Context) (T, error)
	turn   chan struct{} // held while asking
	mu     sync.Mutex
	number int          // of the newest question
	next   *question[T] // not asked yet; may be joined
}

// A question is asked once. Its value and error are set when done is closed.
type question[T any] struct {
	number int // rises
	done   chan struct{}
	value  T
	err    error
}

func newGatherer[T any](ask func(context.Context) (T, error)) *gatherer[T] {
	return &gatherer[T]{ask: ask, turn: make(chan struct{}, 1)}
}

// start joins the next question.
func (g *gatherer[T]) start(o *Observer) *question[T] {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.next != nil {
		return g.next
	}
	q := &question[T]{number: g.number + 1, done: make(chan struct{})}
	if !o.spawn(func() { g.run(o.ctx, q) }) {
		q.err = errClosed
		close(q.done)
		return q
	}
	g.number, g.next = q.number, q
	return q
}

func (g *gatherer[T]) run(ctx context.Context, q *question[T]) {
	g.turn <- struct{}{}
	g.mu.Lock()
	g.next = nil
	g.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	q.value, q.err = g.ask(ctx)
	cancel()
	<-g.turn
	close(q.done)
}

// wait returns the answer, which may be some of it and an error, or the error of ctx.
func (q *question[T]) wait(ctx context.Context) (T, error) {
	select {
	case <-q.done:
	case <-ctx.Done():
	}
	select {
	case <-q.done: // also when ctx has just ended
		return q.value, q.err
	default:
		var nothing T
		return nothing, ctx.Err()
	}
}
