package glint

import "errors"

// What callers branch on. Wrap these with what was being done.
var (
	ErrNotFound = errors.New("not found")
	ErrConflict = errors.New("somebody else was first")  // read again, decide again
	ErrInUse    = errors.New("in use by somebody else")  // the message names who
	ErrInvalid  = errors.New("not valid")                // the message says what, where and how to mend it
	ErrTooNew   = errors.New("written by a newer Glint") // upgrade this one
)
