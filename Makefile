# The tasks of those who work on pgws. `make` alone lists them.

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)

# What `make run` passes on to pgws dev, for example ARGS='--data ./data'.
ARGS ?=

# Which packages and benchmarks `make bench` runs, and how often each.
PKG   ?= ./...
BENCH ?= .
COUNT ?= 1

# How long `make fuzz` runs each target.
FUZZTIME ?= 20s

# Tests keep here what a person looks at afterwards, such as screenshots.
test cover: export TEST_ARTIFACTS := $(CURDIR)/artifacts

.PHONY: help build run test lint bench compare fuzz cover clean

help: ## List these targets.
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  %-7s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

build: ## Build the static binary bin/pgws.
	CGO_ENABLED=0 go build -buildvcs=false -trimpath -ldflags '-s -w -X main.version=$(VERSION)' -o bin/pgws ./cmd/pgws

run: ## Serve with no configuration: a PostgreSQL of its own, a demo page. Installs PostgreSQL if it is missing.
	@tools/need postgresql
	@$(MAKE) --no-print-directory build
	@bin/pgws dev $(ARGS)

test: ## Check everything and run every test. Installs PostgreSQL, Chromium, Node and a C compiler if they are missing.
	@tools/need postgresql chromium cc node npm curl
	@mkdir -p $(TEST_ARTIFACTS)
	@go run ./tools/check

lint: ## Check formatting, go.mod, vet (Linux and macOS) and golangci-lint, without a test.
	@go run ./tools/check format tidy vet vet-darwin lint

bench: ## Measure: BENCH=pattern PKG=./internal/hub COUNT=10, for benchstat.
	@tools/need postgresql
	@go test -run '^$$' -bench '$(BENCH)' -benchmem -count $(COUNT) $(PKG)

compare: ## Compare the benchmarks with the last tag, or BASE=revision, by benchstat: PKG=./internal/hub COUNT=6.
	@tools/need postgresql
	@tools/compare '$(or $(BASE),$(shell git describe --tags --abbrev=0 2>/dev/null))' '$(PKG)' '$(BENCH)' '$(if $(filter file,$(origin COUNT)),6,$(COUNT))'

fuzz: ## Run each fuzz target for FUZZTIME (20s).
	@grep -ro --include='*_test.go' '^func Fuzz[A-Za-z0-9_]*' . | while IFS=: read -r file target; do \
		go test -run '^$$' -fuzz "^$${target#func }$$" -fuzztime $(FUZZTIME) "$${file%/*}" || exit 1; \
	done

cover: ## Run the tests and write where they pass to artifacts/cover.html.
	@tools/need postgresql chromium node npm
	@mkdir -p $(TEST_ARTIFACTS)
	@go test -coverpkg ./... -coverprofile $(TEST_ARTIFACTS)/cover.out ./...
	@go tool cover -html $(TEST_ARTIFACTS)/cover.out -o $(TEST_ARTIFACTS)/cover.html
	@go tool cover -func $(TEST_ARTIFACTS)/cover.out | tail -n 1

clean: ## Remove what was built and kept.
	rm -rf bin artifacts
