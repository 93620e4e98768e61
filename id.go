package glint

import (
	"cmp"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// An Epoch tells apart two lives of a stack of the same name. It is drawn when a stack is created and when a
// store is restored, so that a number given out before can never be mistaken for one given out after.
type Epoch string

// An ID names one instance for ever. N is never used twice within an epoch.
type ID struct {
	Stack   string
	Epoch   Epoch
	Service string
	N       int
}

// namePattern is what a stack, service, port, image, volume or policy may be called: a DNS label (RFC 1035, 2.3.1)
// short enough that service and stack together stay under the 63 bytes of a host name.
var namePattern = regexp.MustCompile(`^[a-z]([a-z0-9-]{0,28}[a-z0-9])?$`)

// MaxName is the length in bytes of the longest name.
const MaxName = 30

// ValidName reports whether s may name a stack, a service, a port, an image or a volume.
func ValidName(s string) bool { return namePattern.MatchString(s) }

var epochPattern = regexp.MustCompile(`^[a-z0-9]{1,16}$`)

// String returns what people see: shop/web.17.
func (id ID) String() string { return fmt.Sprintf("%s/%s.%d", id.Stack, id.Service, id.N) }

// Short returns the ID within its stack: web.17.
func (id ID) Short() string { return fmt.Sprintf("%s.%d", id.Service, id.N) }

// Key returns the full ID as one word that is safe in file names and host objects: shop.k3f9a2.web.17.
// Names hold no dots, so two IDs never share a key.
func (id ID) Key() string { return fmt.Sprintf("%s.%s.%s.%d", id.Stack, id.Epoch, id.Service, id.N) }

// IsZero reports whether id names nothing.
func (id ID) IsZero() bool { return id == ID{} }

// Compare orders IDs by stack, epoch, service and number.
func (id ID) Compare(other ID) int {
	if c := strings.Compare(id.Stack, other.Stack); c != 0 { // not cmp.Or: this is where a planner spends its time
		return c
	}
	if c := strings.Compare(string(id.Epoch), string(other.Epoch)); c != 0 {
		return c
	}
	if c := strings.Compare(id.Service, other.Service); c != 0 {
		return c
	}
	return cmp.Compare(id.N, other.N)
}

// ParseKey reads what Key wrote.
func ParseKey(s string) (ID, error) {
	p := strings.Split(s, ".")
	if len(p) == 4 && ValidName(p[0]) && epochPattern.MatchString(p[1]) && ValidName(p[2]) {
		if n, err := strconv.Atoi(p[3]); err == nil && n > 0 && strconv.Itoa(n) == p[3] {
			return ID{Stack: p[0], Epoch: Epoch(p[1]), Service: p[2], N: n}, nil
		}
	}
	return ID{}, fmt.Errorf("instance key %q: want STACK.EPOCH.SERVICE.N", s)
}

// MarshalText writes the key, so that IDs can be map keys in JSON.
func (id ID) MarshalText() ([]byte, error) {
	if id.IsZero() {
		return nil, nil
	}
	return []byte(id.Key()), nil
}

// UnmarshalText reads what MarshalText wrote.
func (id *ID) UnmarshalText(b []byte) error {
	if len(b) == 0 {
		*id = ID{}
		return nil
	}
	got, err := ParseKey(string(b))
	if err == nil {
		*id = got
	}
	return err
}
