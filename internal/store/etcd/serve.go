package etcd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"
	"go.etcd.io/etcd/server/v3/etcdserver/api/v3client"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

const (
	// A lone member elects itself after a random one to two times electionMs; shorter costs idle wake-ups.
	tickMs, electionMs = 50, 250

	// Beyond etcd's defaults (128; 1.5 MiB), for the step in which a thousand services begin.
	maxTxnOps       = 20_000
	maxRequestBytes = 16 << 20

	snapshotEntries = 2000 // raft entries between snapshots: what is replayed at the start
	raftEntries     = 100  // raft entries held in memory; there is no slow follower

	logBytes = 1 << 20 // a log beyond this begins anew at the next start
)

// A keeper does what a client cannot: it cares for the database of an etcd in this process.
type keeper interface {
	sizes() (file, used int64)
	defragment() error
	tighten() error
}

type server struct {
	etcd   *embed.Etcd
	client *clientv3.Client
	dir    string
	log    *os.File
}

// serve starts an etcd of one member that listens to nobody: the client calls its functions.
func serve(ctx context.Context, cfg Config) (*server, error) {
	s := &server{dir: filepath.Join(cfg.Dir, "etcd")}
	log, err := openLog(filepath.Join(cfg.Dir, "etcd.log"))
	if err != nil {
		return nil, err
	}
	s.log = log
	if s.etcd, err = embed.StartEtcd(s.config(cfg)); err != nil {
		log.Close()
		return nil, err
	}
	select {
	case <-s.etcd.Server.ReadyNotify():
	case <-s.etcd.Server.StopNotify():
		err = fmt.Errorf("etcd stopped while it was starting; see %s", log.Name())
	case <-ctx.Done():
		err = ctx.Err()
	}
	if err != nil {
		s.etcd.Close()
		log.Close()
		return nil, err
	}
	s.client = v3client.New(s.etcd.Server)
	if err := s.tighten(); err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

func (s *server) config(cfg Config) *embed.Config {
	c := embed.NewConfig()
	c.Name, c.Dir = "glint", s.dir
	nobody := url.URL{Scheme: "unix", Host: "glint:0"} // a member must have an address; nothing listens there
	c.ListenPeerUrls, c.ListenClientUrls = nil, nil
	c.AdvertisePeerUrls, c.AdvertiseClientUrls = []url.URL{nobody}, []url.URL{nobody}
	c.InitialCluster = "glint=" + nobody.String()
	c.TickMs, c.ElectionMs = tickMs, electionMs
	c.MaxTxnOps, c.MaxRequestBytes = maxTxnOps, maxRequestBytes
	c.SnapshotCount, c.SnapshotCatchUpEntries = snapshotEntries, raftEntries
	c.MaxSnapFiles, c.MaxWalFiles = 2, 2
	c.QuotaBackendBytes = int64(cfg.Quota)
	c.UnsafeNoFsync = cfg.noSync
	core := zapcore.NewCore(zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig()), s.log, zap.ErrorLevel)
	c.ZapLoggerBuilder = embed.NewZapLoggerBuilder(zap.New(core, zap.WithFatalHook(fatal{cfg.Dir}), zap.ErrorOutput(zapcore.AddSync(io.Discard))))
	return c
}

func openLog(path string) (*os.File, error) {
	flags := os.O_CREATE | os.O_WRONLY | os.O_APPEND
	if info, err := os.Stat(path); err == nil && info.Size() > logBytes {
		flags |= os.O_TRUNC
	}
	return os.OpenFile(path, flags, 0o600)
}

// fatal speaks before etcd ends the process, as it does when its disk fails: going on would risk what was acknowledged.
type fatal struct{ dir string }

func (f fatal) OnWrite(e *zapcore.CheckedEntry, fields []zapcore.Field) {
	said := zapcore.NewMapObjectEncoder()
	for _, field := range fields {
		field.AddTo(said)
	}
	fmt.Fprintf(os.Stderr, "glint: the store in %s cannot go on: %s: %v. Nothing that runs is touched; see that the disk is well and has room, then start again.\n", f.dir, e.Message, said.Fields["error"])
	os.Exit(1)
}

func (s *server) close() error {
	s.client.Close() // tells only that it has been closed
	s.etcd.Close()
	return s.log.Close()
}

func (s *server) sizes() (file, used int64) {
	b := s.etcd.Server.Backend()
	return b.Size(), b.SizeInUse()
}

func (s *server) defragment() error { return s.etcd.Server.Defragment() }

// tighten takes from others what etcd let them read: it writes its snapshots as the umask says.
func (s *server) tighten() error {
	return filepath.WalkDir(s.dir, func(path string, d os.DirEntry, err error) error {
		if os.IsNotExist(err) {
			return nil // etcd removes old files meanwhile
		}
		if err != nil {
			return err
		}
		mode := os.FileMode(0o600)
		if d.IsDir() {
			mode = 0o700
		}
		if err := os.Chmod(path, mode); !os.IsNotExist(err) {
			return err
		}
		return nil
	})
}
