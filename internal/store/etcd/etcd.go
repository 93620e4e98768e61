// Package etcd is a store that keeps what it is given in etcd, embedded in this process and without any listener.
// It decides nothing, and it does not share its folder with a second process.
//
// All keys begin with /glint/. One guard key for each stack holds the numbers on which everything turns (newest
// blueprint, newest revision, newest event); every write compares it and replaces it in one transaction. Beside it
// lie one item for each fleet, so that a step writes only what it changed, and the log: steps and events in the order
// in which they came. An item is JSON, compressed with zstd and cut into keys of at most 48 KiB. Old entries of the
// log move to hash-chained files outside etcd.
package etcd

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"

	"github.com/glint-infra/glint"
	"github.com/glint-infra/glint/internal/store"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// Config says where a store lies.
type Config struct {
	// Dir is the store's folder. It is made if it is missing; what lies in it is for its owner alone.
	Dir string
	// Quota bounds what etcd's database may take on the disk; 0: 1 GiB. A store that is full takes no write.
	Quota glint.Bytes
	// Report is called from a goroutine of the store with what its housekeeping could not do; nil: nobody is told.
	Report func(error)

	kept    int   // newest entries of each stack's log that stay in etcd
	segment int   // entries of a log that move out at a time
	tidy    int64 // writes after which it is time to tidy
	noSync  bool  // tests: do not wait for the disk
}

const (
	keptEntries    = 2000
	segmentEntries = 500
	tidyWrites     = 256
	quotaBytes     = 1 << 30
)

var errClosed = errors.New("the store is closed")

// Open opens the store in a folder, which only one process may use at a time: for a second one it returns at once, with
// an error that wraps glint.ErrInUse and names the holder. A store that a newer Glint wrote is glint.ErrTooNew.
func Open(ctx context.Context, cfg Config) (store.Store, error) {
	s, err := open(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("opening the store in %s: %w", cfg.Dir, err)
	}
	return s, nil
}

func open(ctx context.Context, cfg Config) (_ *kept, err error) {
	cfg.kept, cfg.segment = cmp.Or(cfg.kept, keptEntries), cmp.Or(cfg.segment, segmentEntries)
	cfg.tidy, cfg.Quota = cmp.Or(cfg.tidy, tidyWrites), cmp.Or(cfg.Quota, quotaBytes)
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return nil, err
	}
	lock, err := acquire(filepath.Join(cfg.Dir, "lock"))
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			lock.Close()
		}
	}()
	server, err := serve(ctx, cfg)
	if err != nil {
		return nil, err
	}
	s, err := begin(ctx, cfg, server.client, server)
	if err != nil {
		return nil, errors.Join(err, server.close())
	}
	s.release = func() error { return errors.Join(server.close(), lock.Close()) }
	return s, nil
}

// kept is the store over any etcd; only how it was opened knows which.
type kept struct {
	cfg     Config
	client  *clientv3.Client
	keeper  keeper
	codec   *codec
	old     *archive
	release func() error // gives back what open took

	ctx  context.Context // ends when the store is closed
	stop context.CancelFunc
	done sync.WaitGroup // everything under way

	mu    sync.Mutex
	known map[string]known // by stack

	writes         atomic.Int64
	bell           chan struct{} // holds one ring: time to tidy
	tidying, roomy sync.Mutex    // one at a time tidies; one at a time makes room
}

// begin starts a store on a client that works.
func begin(ctx context.Context, cfg Config, client *clientv3.Client, k keeper) (*kept, error) {
	codec, err := newCodec()
	if err != nil {
		return nil, err
	}
	s := &kept{cfg: cfg, client: client, keeper: k, codec: codec, known: map[string]known{}, bell: make(chan struct{}, 1)}
	s.old = &archive{dir: filepath.Join(cfg.Dir, "segments"), index: map[string][]link{}}
	s.ctx, s.stop = context.WithCancel(context.Background())
	if err := s.checkFormat(ctx); err != nil {
		s.stop()
		return nil, err
	}
	s.done.Go(s.housekeep)
	return s, nil
}

// Close waits for the calls that are under way, and ends the store's use.
func (s *kept) Close() error {
	s.mu.Lock()
	closed := s.ctx.Err() != nil
	s.stop()
	s.mu.Unlock()
	if closed {
		return nil
	}
	s.done.Wait()
	return s.release()
}

// enter begins a call, or says why it cannot be made. Whoever enters must leave: Close waits for it, because an etcd in
// this process does not bear to be stopped while its functions are being called.
func (s *kept) enter(ctx context.Context) (leave func(), err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ctx.Err() != nil {
		return nil, errClosed
	}
	s.done.Add(1)
	return s.done.Done, nil
}
