package glint

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"regexp"
)

// A Digest names an immutable value by its content: "sha256:" and 64 hexadecimal digits, as in OCI.
type Digest string

var digestPattern = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)

// Valid reports whether d has the form of a digest.
func (d Digest) Valid() bool { return digestPattern.MatchString(string(d)) }

// Short returns the twelve hexadecimal digits that people see.
func (d Digest) Short() string {
	if !d.Valid() {
		return string(d)
	}
	return string(d[7:19])
}

// Hex returns the digest without its algorithm.
func (d Digest) Hex() string {
	if !d.Valid() {
		return ""
	}
	return string(d[7:])
}

// DigestOf names bytes.
func DigestOf(b []byte) Digest {
	sum := sha256.Sum256(b)
	return Digest("sha256:" + hex.EncodeToString(sum[:]))
}

// digestOf names a value by its canonical form: encoding/json with fields in their declared order and map keys sorted.
func digestOf(v any) Digest {
	b, err := json.Marshal(v)
	if err != nil {
		panic("glint: " + err.Error()) // only for a type that cannot be encoded at all
	}
	return DigestOf(b)
}
