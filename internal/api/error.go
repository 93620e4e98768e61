package api

import (
	"errors"
	"net/http"
	"strings"

	"github.com/glint-infra/glint"
)

// The codes of errors. They are part of the interface and never change their meaning.
const (
	CodeNotFound    = "not_found"   // 404: there is no such thing; the message says what there is
	CodeConflict    = "conflict"    // 409: somebody else was first; look, and ask again
	CodeInUse       = "in_use"      // 409: somebody else holds it; the message says who
	CodeRejected    = "rejected"    // 409: this release failed before; only a person's word (retry) tries it again
	CodeUnchanged   = "unchanged"   // 409: that is what runs already
	CodeNotNow      = "not_now"     // 409: there is nothing for it to act on; the message says why, and what would help
	CodeInvalid     = "invalid"     // 400, 422: the request is not understood
	CodeRefused     = "refused"     // 422: understood, and refused; one item for each objection
	CodeTooNew      = "too_new"     // 422: written by a newer Glint
	CodeTooLarge    = "too_large"   // 413
	CodeUnsupported = "unsupported" // 501: this server cannot do it
	CodeInternal    = "internal"    // 500
	CodeUnreachable = "unreachable" // nobody answers; said by the client
	CodeDenied      = "denied"      // the socket may not be used; said by the client
)

// An Error is what came back instead of an answer. errors.Is finds the glint sentinel that its code stands for.
type Error struct {
	Status  int      // of HTTP; 0: there was no answer
	Code    string   // one of the codes
	Message string   // for people
	Items   []string // objections, one for each thing to mend
	cause   error    // why there was no answer
}

// Error returns the message, and each item on a line of its own.
func (e *Error) Error() string {
	return strings.Join(append([]string{e.Message}, e.Items...), "\n  ")
}

// Unwrap returns what callers branch on.
func (e *Error) Unwrap() error {
	if e.cause != nil {
		return e.cause
	}
	return sentinel(e.Code)
}

// kinds joins sentinels, codes and statuses. The first one that fits is taken.
var kinds = []struct {
	err    error
	code   string
	status int
}{
	{glint.ErrNotFound, CodeNotFound, http.StatusNotFound},
	{glint.ErrConflict, CodeConflict, http.StatusConflict},
	{glint.ErrInUse, CodeInUse, http.StatusConflict},
	{glint.ErrTooNew, CodeTooNew, http.StatusUnprocessableEntity},
	{glint.ErrInvalid, CodeInvalid, http.StatusUnprocessableEntity},
	{glint.ErrInvalid, CodeRefused, http.StatusUnprocessableEntity},
	{glint.ErrInvalid, CodeTooLarge, http.StatusRequestEntityTooLarge},
	{errors.ErrUnsupported, CodeUnsupported, http.StatusNotImplemented},
}

func sentinel(code string) error {
	for _, k := range kinds {
		if k.code == code {
			return k.err
		}
	}
	return nil
}
