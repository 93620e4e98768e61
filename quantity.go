package glint

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// A Duration is a length of time that is written with its unit, as in "30s" or "1h30m".
type Duration time.Duration

// D returns the duration as the standard library knows it.
func (d Duration) D() time.Duration { return time.Duration(d) }

// String writes the shortest form: 1h, not 1h0m0s.
func (d Duration) String() string {
	s := time.Duration(d).String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// MarshalText writes the duration with its unit.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads a duration with its unit.
func (d *Duration) UnmarshalText(b []byte) error {
	got, err := ParseDuration(string(b))
	if err == nil {
		*d = got
	}
	return err
}

// ParseDuration reads a duration with its unit: ns, us, ms, s, m, h, and d for days of 24 hours.
func ParseDuration(s string) (Duration, error) {
	if days, ok := strings.CutSuffix(s, "d"); ok {
		if n, err := strconv.ParseFloat(days, 64); err == nil && n >= 0 && n <= 36500 {
			return Duration(n * 24 * float64(time.Hour)), nil
		}
	}
	d, err := time.ParseDuration(s)
	if err != nil || d < 0 || s == "0" {
		return 0, fmt.Errorf("%q is not a duration; want a number and a unit, such as \"30s\" or \"1h\"", s)
	}
	return Duration(d), nil
}

// Bytes is a size that is written with its unit, as in "64MiB".
type Bytes int64

var byteUnits = []struct {
	name string
	size int64
}{{"TiB", 1 << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"TB", 1e12}, {"GB", 1e9}, {"MB", 1e6}, {"kB", 1e3}, {"B", 1}}

// String writes the size with the largest binary unit that divides it.
func (b Bytes) String() string {
	for _, u := range byteUnits[:4] {
		if b != 0 && int64(b)%u.size == 0 {
			return strconv.FormatInt(int64(b)/u.size, 10) + u.name
		}
	}
	return strconv.FormatInt(int64(b), 10) + "B"
}

// MarshalText writes the size with its unit.
func (b Bytes) MarshalText() ([]byte, error) { return []byte(b.String()), nil }

// UnmarshalText reads a size with its unit.
func (b *Bytes) UnmarshalText(t []byte) error {
	got, err := ParseBytes(string(t))
	if err == nil {
		*b = got
	}
	return err
}

// ParseBytes reads a size with its unit: KiB MiB GiB TiB (powers of 1024), kB MB GB TB (powers of 1000) or B.
func ParseBytes(s string) (Bytes, error) {
	for _, u := range byteUnits {
		num, ok := strings.CutSuffix(s, u.name)
		if !ok {
			continue
		}
		n, err := strconv.ParseFloat(num, 64)
		if err != nil || n < 0 || n*float64(u.size) > math.MaxInt64/2 || strings.TrimLeft(num, "0123456789.") != "" {
			break
		}
		return Bytes(n * float64(u.size)), nil
	}
	return 0, fmt.Errorf("%q is not a size; want a number and a unit, such as \"64MiB\"", s)
}

// CPU is processing power in thousandths of a core, written "250m" or "2".
type CPU int64

// String writes whole cores plain and the rest in thousandths.
func (c CPU) String() string {
	if c%1000 == 0 {
		return strconv.FormatInt(int64(c)/1000, 10)
	}
	return strconv.FormatInt(int64(c), 10) + "m"
}

// MarshalText writes the amount as String does.
func (c CPU) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// UnmarshalText reads an amount of CPU.
func (c *CPU) UnmarshalText(b []byte) error {
	got, err := ParseCPU(string(b))
	if err == nil {
		*c = got
	}
	return err
}

// ParseCPU reads "250m" (thousandths of a core) or "1.5" (cores).
func ParseCPU(s string) (CPU, error) {
	num, scale := s, 1000.0
	if m, ok := strings.CutSuffix(s, "m"); ok {
		num, scale = m, 1
	}
	n, err := strconv.ParseFloat(num, 64)
	if err != nil || n < 0 || n > 1e6 || strings.TrimLeft(num, "0123456789.") != "" {
		return 0, fmt.Errorf("%q is not an amount of CPU; want \"250m\" (thousandths of a core) or \"2\" (cores)", s)
	}
	return CPU(math.Round(n * scale)), nil
}
