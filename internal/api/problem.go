package api

import (
	"net/http"

	"github.com/danielgtaylor/huma/v2"
)

// A Problem is how a refusal travels: RFC 9457, with a code for programs.
type Problem struct {
	Title  string             `json:"title"`
	Status int                `json:"status"`
	Detail string             `json:"detail" doc:"for people: what, where, and how to mend it"`
	Code   string             `json:"code" doc:"for programs; never changes its meaning"`
	Errors []huma.ErrorDetail `json:"errors,omitempty" doc:"one for each thing to mend"`
}

// codeOf is the code of a refusal of which only the status is known.
func codeOf(status int) string {
	switch status {
	case http.StatusNotFound:
		return CodeNotFound
	case http.StatusConflict:
		return CodeConflict
	case http.StatusRequestEntityTooLarge:
		return CodeTooLarge
	case http.StatusNotImplemented:
		return CodeUnsupported
	}
	if status >= 400 && status < 500 {
		return CodeInvalid
	}
	return CodeInternal
}
