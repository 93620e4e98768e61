# Two commands do all the set-up on a fresh Debian machine: `make demo` runs Glint, `make test` proves it.
# Go: the one on the PATH, or the one that `make setup` fetched.
GO := $(shell if command -v go >/dev/null && go env GOVERSION | grep -Eq '^go1\.(2[6-9]|[3-9][0-9])'; then command -v go; else echo /usr/local/glint-go/bin/go; fi)
VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2

.PHONY: setup setup-test build demo demo-stop test test-long sim mutate lint bench

setup: ## install what Glint needs (Debian packages, Go); says what it does
	@./scripts/setup

setup-test: ## and what only the tests need
	@./scripts/setup tests

build: ## bin/glint, and the shop of the example
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '-s -w -X main.version=$(VERSION)' -o bin/glint ./cmd/glint
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '-s -w' -o examples/shop/bin/web ./examples/shop/shop

demo: setup build ## the example shop, from nothing to serving
	@./scripts/demo

demo-stop: ## take the demo away again
	@./scripts/demo stop

lint: ## what CI holds the sources to
	@test -z "$$(gofmt -l .)" || { gofmt -l .; echo 'lint: run gofmt -w on these'; exit 1; }
	$(GO) vet ./...
	$(GO) run $(STATICCHECK) ./...

test: setup-test build lint ## everything, on the real platform; needs root
	GLINT_TALLY=$(CURDIR)/bin/requests.txt $(GO) test -timeout 40m ./...
	@cat bin/requests.txt
	bin/glint sim --worlds 2000 --seed 6000000
	@echo 'Fresh seeds. What they find is to be mended, and does not stop this run until a hundred thousand worlds have found nothing:'
	-bin/glint sim --worlds 2000 --keep-going --seed $$(date +%s)000

sim: build ## a hundred thousand worlds where everything goes wrong; about an hour
	bin/glint sim --worlds 100000 --seed $$(date +%s)000

mutate: ## put faults into the planner and the judge, and count how many the tests notice; half an hour
	$(GO) run ./internal/tools/mutate -packages ./internal/plan,./internal/check -tests ./internal/plan,./internal/check,./internal/conductor -min 90

test-long: setup-test build ## a million requests, ten minutes with a max_age of one, and a death of the server at every step; an hour
	GLINT_LONG=1 GLINT_TALLY=$(CURDIR)/bin/requests-long.txt $(GO) test -v -count=1 -timeout 3h -run 'TestScripts/^(canary|regenerate|rollback|age|hidden)$$' ./test
	GLINT_LONG=1 $(GO) test -v -count=1 -timeout 3h -run 'TestCrash' ./test
	@cat bin/requests-long.txt

bench: setup build ## figures for docs/performance.md
	bin/glint bench all
