package main

import (
	"bufio"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
)

// choose picks what is tried: what -run matches and -again lists, and of that a sample. What is skipped comes with it.
func choose(pkgs []*pkg, o options) ([]*mutant, error) {
	again, err := survivors(o.again)
	if err != nil {
		return nil, err
	}
	var all, left []*mutant
	for _, p := range pkgs {
		for _, m := range p.mutants {
			switch {
			case !o.run.MatchString(m.file.name + ":" + m.fn):
			case m.fate == skipped:
				left = append(left, m)
			case again == nil || again[m.key()]:
				all = append(all, m)
			}
		}
	}
	if o.sample > 0 && o.sample < len(all) {
		rand.New(rand.NewPCG(o.seed, 0)).Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		all = all[:o.sample]
	}
	all = append(all, left...)
	slices.SortFunc(all, func(a, b *mutant) int { return cmp.Compare(a.id, b.id) })
	return all, nil
}

// survivors reads from an earlier report what survived; nil when there is none.
func survivors(path string) (map[string]bool, error) {
	if path == "" {
		return nil, nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var r report
	if err := json.Unmarshal(text, &r); err != nil {
		return nil, fmt.Errorf("reading %s, which should be made with -o json: %w", path, err)
	}
	keys := map[string]bool{}
	for _, m := range r.Mutants {
		keys[m.Key] = m.Fate == survived || m.Fate == notReached
	}
	return keys, nil
}

// readKnown reads a file of survivors: by key, the reason why each may live. No file is an empty one.
func readKnown(path string) (map[string]string, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	known := map[string]string{}
	lines := bufio.NewScanner(f)
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		key, reason, ok := parseKnown(line)
		if !ok {
			return nil, fmt.Errorf(`%s:%d: want: package function kind "what" ordinal: reason`, path, n)
		}
		known[key] = reason
	}
	return known, lines.Err()
}

// parseKnown splits a line behind its key: what was changed is quoted, and may hold anything.
func parseKnown(line string) (key, reason string, ok bool) {
	before, quoted, _ := strings.Cut(line, `"`)
	what, err := strconv.QuotedPrefix(`"` + quoted)
	if err != nil || len(strings.Fields(before)) != 3 {
		return "", "", false
	}
	ordinal, reason, ok := strings.Cut(line[len(before)+len(what):], ":")
	reason = strings.TrimSpace(reason)
	return strings.Join(strings.Fields(before), " ") + " " + what + " " + strings.TrimSpace(ordinal), reason, ok && reason != ""
}
