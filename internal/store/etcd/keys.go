package etcd

import (
	"fmt"
	"strings"

	"github.com/glint-infra/glint"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// Every item has a name of the form /glint/FAMILY/STACK or /glint/FAMILY/STACK/NAME; releases have no stack, as two
// stacks may share one. Its keys are that name and a number: /glint/fleets/shop/web/0000.
const (
	root      = "/glint/"
	formatKey = root + "format"
	guards    = root + "guards/"
	fleets    = root + "fleets/"
	shapes    = root + "shapes/" // what a blueprint holds beside its fleets and numbers
	revisions = root + "revisions/"
	releases  = root + "releases/"
	orders    = root + "orders/"
	logs      = root + "log/"
)

func chunkName(i int) string                  { return fmt.Sprintf("%04d", i) }
func chunkKey(item string, i int) string      { return item + "/" + chunkName(i) }
func guardKey(stack string) string            { return chunkKey(guards+stack, 0) }
func fleetItem(stack, service string) string  { return fleets + stack + "/" + service }
func revisionItem(stack string, n int) string { return fmt.Sprintf("%s%s/%010d", revisions, stack, n) }
func releaseItem(d glint.Digest) string       { return releases + d.Hex() }
func orderItem(stack string, id int) string   { return fmt.Sprintf("%s%s/%010d", orders, stack, id) }

// logPrefix begins the name of the entry at a position of the log.
func logPrefix(stack string, position int64) string {
	return fmt.Sprintf("%s%s/%012d/", logs, stack, position)
}

// logItem also tells the newest blueprint and the newest event up to and with the entry, so that a search need not
// read entries.
func logItem(stack string, position int64, number int, seq int64) string {
	return fmt.Sprintf("%s%d.%d", logPrefix(stack, position), number, seq)
}

// logPoint reads what logItem wrote, from the name or one of its keys.
func logPoint(key string) (number int, seq int64, err error) {
	parts := strings.Split(key, "/")
	if len(parts) < 6 {
		return 0, 0, fmt.Errorf("key %s is not of a log", key)
	}
	if _, err := fmt.Sscanf(parts[5], "%d.%d", &number, &seq); err != nil {
		return 0, 0, fmt.Errorf("key %s is not of a log: %w", key, err)
	}
	return number, seq, nil
}

// stackOf returns the stack that a key is about, or "".
func stackOf(key string) string {
	parts := strings.Split(strings.TrimPrefix(key, root), "/")
	if len(parts) < 3 || root+parts[0]+"/" == releases {
		return ""
	}
	return parts[1]
}

// under is everything whose name begins with the item's and a slash, the item's own keys included.
func under(item string) (string, clientv3.OpOption) { return item + "/", clientv3.WithPrefix() }

func getItem(item string) clientv3.Op {
	key, all := under(item)
	return clientv3.OpGet(key, all)
}

func deleteItem(item string) clientv3.Op {
	key, all := under(item)
	return clientv3.OpDelete(key, all)
}

// deleteRest removes the keys of an item from the chunk numbered from on.
func deleteRest(item string, from int) clientv3.Op {
	return clientv3.OpDelete(chunkKey(item, from), clientv3.WithRange(clientv3.GetPrefixRangeEnd(item+"/")))
}
