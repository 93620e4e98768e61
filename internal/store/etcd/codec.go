package etcd

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/glint-infra/glint"
	"github.com/klauspost/compress/zstd"
	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
)

const (
	// format is the version of everything this package writes: the first byte of every item, and of every segment.
	format = 1

	chunkBytes = 48 << 10  // of an item, in one key; the rule is no key over 64 KiB
	itemBytes  = 256 << 20 // of an item, uncompressed: the limit against a poisoned one
)

// A codec turns values into items: a byte of format, the number of keys, and JSON compressed with zstd.
type codec struct {
	enc *zstd.Encoder
	dec *zstd.Decoder
}

func newCodec() (*codec, error) {
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(1<<20), zstd.WithLowerEncoderMem(true))
	if err != nil {
		return nil, fmt.Errorf("making the encoder: %w", err)
	}
	dec, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(itemBytes))
	if err != nil {
		return nil, fmt.Errorf("making the decoder: %w", err)
	}
	return &codec{enc, dec}, nil
}

// puts writes an item into as many keys as it needs.
func (c *codec) puts(item string, plain []byte) []clientv3.Op {
	data := c.enc.EncodeAll(plain, nil)
	n := (len(data) + chunkBytes - 1) / chunkBytes
	head := binary.AppendUvarint([]byte{format}, uint64(n))
	var ops []clientv3.Op
	for i := range n {
		value := data[i*chunkBytes : min(len(data), (i+1)*chunkBytes)]
		if i == 0 {
			value = append(head, value...)
		}
		ops = append(ops, clientv3.OpPut(chunkKey(item, i), string(value)))
	}
	return ops
}

func (c *codec) put(item string, v any) ([]clientv3.Op, error) {
	plain, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("encoding %s: %w", item, err)
	}
	return c.puts(item, plain), nil
}

// An item is one value under its name, whole again.
type item struct {
	name   string
	plain  []byte
	chunks int
}

func (i item) into(v any) error {
	if err := json.Unmarshal(i.plain, v); err != nil {
		return fmt.Errorf("decoding %s: %w", i.name, err)
	}
	return nil
}

// items puts keys, in their order, together again. An item cut short by a page's end is an error.
func (c *codec) items(kvs []*mvccpb.KeyValue) ([]item, error) {
	var all []item
	for i := 0; i < len(kvs); {
		name, ok := strings.CutSuffix(string(kvs[i].Key), "/"+chunkName(0))
		if !ok {
			return nil, fmt.Errorf("key %s: the beginning of its item is missing", kvs[i].Key)
		}
		n, data, err := header(kvs[i].Value)
		if err != nil {
			return nil, fmt.Errorf("reading %s: %w", name, err)
		}
		for k := 1; k < n; k++ {
			if i+k >= len(kvs) || string(kvs[i+k].Key) != chunkKey(name, k) {
				return nil, fmt.Errorf("reading %s: part %d of %d is missing", name, k+1, n)
			}
			data = append(slices.Clip(data), kvs[i+k].Value...)
		}
		plain, err := c.dec.DecodeAll(data, nil)
		if err != nil {
			return nil, fmt.Errorf("reading %s: %w", name, err)
		}
		all = append(all, item{name, plain, n})
		i += n
	}
	return all, nil
}

// header reads the beginning of an item: its format and its number of keys.
func header(value []byte) (int, []byte, error) {
	if len(value) == 0 {
		return 0, nil, errors.New("it is empty")
	}
	if value[0] > format {
		return 0, nil, tooNew(int(value[0]))
	}
	n, size := binary.Uvarint(value[1:])
	if size <= 0 || n == 0 || n > itemBytes/chunkBytes {
		return 0, nil, errors.New("its number of parts is not valid")
	}
	return int(n), value[1+size:], nil
}

func tooNew(found int) error {
	return fmt.Errorf("it has format %d, this Glint knows %d: %w; use the newer one, or restore a backup made before it", found, format, glint.ErrTooNew)
}
