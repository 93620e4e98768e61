// Package toy has one place for each kind of fault.
package toy

import "time"

// A flag is a truth with a name of its own.
type flag bool

// A level has a type of its own.
type level int8

const (
	limit       = 3
	low   level = 1
	pause       = 5 * time.Minute
)

var table = [...]int{0: 7, 2: 9}

// clamp is the same for n == limit whether it says > or >=.
func clamp(n int) int {
	if n > limit {
		n = limit
	}
	return n
}

// drain never ends when n-- is dropped.
func drain(n int) int {
	for n > 0 {
		n--
	}
	return n
}

// before cannot be given a plain truth.
func before(a, b int) flag { return a < b }

func nobodyCalls(ok bool) bool { return !ok }

func first(rows []int) int {
	room := make([]int, 0, 9)
	room = append(room, rows...)
	return room[0] + table[1]
}

func both(a, b bool) bool {
	switch {
	case a && b:
		return true
	}
	return false
}

func wait(l level) time.Duration {
	if l == low {
		return pause
	}
	return 2 * time.Second
}

func odd(ns []int) (sum int) {
	for _, n := range ns {
		if n%2 == 0 {
			continue
		}
		sum += n
	}
	defer func() { sum++ }()
	return sum
}

func countdown() (n int) {
	for i := 3; i > 0; i-- {
		n++
	}
	for range limit {
		n++
	}
	return n
}
