package api

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
)

// A Problem is how a refusal travels: RFC 9457, with a code for programs.
type Problem struct {
	Title  string      `json:"title"`
	Status int         `json:"status"`
	Detail string      `json:"detail" doc:"for people: what, where, and how to mend it"`
	Code   string      `json:"code" doc:"for programs; never changes its meaning"`
	Errors []Objection `json:"errors,omitempty" doc:"one for each thing to mend"`
}

// An Objection is one thing to mend.
type Objection struct {
	Message  string `json:"message"`
	Location string `json:"location,omitempty" doc:"where in the request"`
}

// Error returns what people read.
func (p *Problem) Error() string { return p.Detail }

// GetStatus is the status that huma answers with.
func (p *Problem) GetStatus() int { return p.Status }

// ContentType marks the answer as a problem (RFC 9457, 3).
func (p *Problem) ContentType(string) string { return "application/problem+json" }

// huma makes its own refusals, of requests that do not fit their description, through this variable.
func init() {
	huma.NewError = func(status int, detail string, errs ...error) huma.StatusError {
		p := &Problem{Title: http.StatusText(status), Status: status, Detail: detail, Code: codeOf(status)}
		for _, err := range errs {
			if d, ok := err.(huma.ErrorDetailer); ok {
				p.Errors = append(p.Errors, Objection{Message: d.ErrorDetail().Message, Location: d.ErrorDetail().Location})
			} else if err != nil {
				p.Errors = append(p.Errors, Objection{Message: err.Error()})
			}
		}
		return p
	}
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

// refuse makes an error of a code that stands for one status.
func refuse(status int, code, format string, args ...any) *Error {
	return &Error{Status: status, Code: code, Message: fmt.Sprintf(format, args...)}
}

// classify finds code and status of any error.
func classify(err error) *Error {
	if e := (*Error)(nil); errors.As(err, &e) {
		return e
	}
	for _, k := range kinds {
		if errors.Is(err, k.err) {
			return &Error{Status: k.status, Code: k.code, Message: err.Error()}
		}
	}
	return &Error{Status: http.StatusInternalServerError, Code: CodeInternal, Message: err.Error()}
}

// problem is what huma answers an error with.
func problem(err error) error {
	if err == nil {
		return nil
	}
	e := classify(err)
	if e.Status == http.StatusInternalServerError {
		slog.Error("answering a request", "error", err)
	}
	p := &Problem{Title: http.StatusText(e.Status), Status: e.Status, Detail: e.Message, Code: e.Code}
	for _, item := range e.Items {
		p.Errors = append(p.Errors, Objection{Message: item})
	}
	return p
}
