package store

import (
	"fmt"

	"github.com/glint-infra/glint"
)

// CheckStack refuses, with glint.ErrInvalid, what may not name a stack: names become keys and folders.
func CheckStack(name string) error {
	if !glint.ValidName(name) {
		return fmt.Errorf("stack %q: %w: want lower-case letters, digits and inner hyphens, a letter first, at most %d", name, glint.ErrInvalid, glint.MaxName)
	}
	return nil
}

// CheckBlueprint refuses, with glint.ErrInvalid, a blueprint that cannot be kept: its services must be named and sorted.
func CheckBlueprint(b glint.Blueprint) error {
	if err := CheckStack(b.Stack); err != nil {
		return err
	}
	before := ""
	for _, f := range b.Services {
		if !glint.ValidName(f.Name) || f.Name <= before {
			return fmt.Errorf("blueprint %d of %s: service %q after %q: %w: want valid names in rising order", b.Number, b.Stack, f.Name, before, glint.ErrInvalid)
		}
		before = f.Name
	}
	return nil
}

// MayEnd reports whether a stack with that head may end: it must be numbered number, be empty, and have taken up
// newest, the newest revision; otherwise somebody has just asked for something new.
func MayEnd(head glint.Blueprint, number, newest int) bool {
	if head.Number != number || head.Revision < newest {
		return false
	}
	for _, f := range head.Services {
		if len(f.Members) > 0 {
			return false
		}
	}
	return true
}
