# The commands of the project. `make` lists them.

STATICCHECK = honnef.co/go/tools/cmd/staticcheck@v0.8.2

# Other systems the program must build for, besides the one make runs on.
SYSTEMS = linux darwin windows

# A module of its own, so that nothing it needs is needed by the server.
REPORT = docs/report

# The version that the transcripts were recorded from, as beanstalkd -v says it.
REFERENCE = beanstalkd 1.12

ARGS =
BENCH = .
BENCHTIME = 100ms
BENCHFLAGS = -short
FUZZTIME = 30s
REPORTFLAGS =

.NOTPARALLEL:
.PHONY: help run build test race fuzz lint compat bench bench-report check reference

help: ## Show this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1	\2/p' $(firstword $(MAKEFILE_LIST)) | \
		while IFS='	' read -r target text; do printf '  make %-12s %s\n' "$$target" "$$text"; done

run: build ## Build and start the server on port 11300; ARGS='-p 11301' for other options
	./spoked $(ARGS)

build: ## Build ./spoked, static
	CGO_ENABLED=0 go build -trimpath -o spoked ./cmd/spoked

# The tools that tests look for on PATH are found in the tests themselves.
# -count=1 because the integration tests start a server that the cache of test
# results does not know they depend on.
test: ## Run all tests; those that need a tool that is not on PATH are skipped
	@grep -rhos --include='*_test.go' 'LookPath("[^"]*")' . | cut -d'"' -f2 | sort -u | \
		while read -r tool; do command -v "$$tool" >/dev/null || \
			echo "note: $$tool is not on PATH; the tests that compare with it or need it are skipped"; done
	@go test -count=1 ./...
	@go -C $(REPORT) test -count=1 ./...

# One package after the other: the integration tests watch the time, and the race
# detector takes a lot of it.
race: ## Run all tests under the race detector (needs a C compiler)
	CGO_ENABLED=1 go test -race -count=1 -p 1 ./...

fuzz: ## Fuzz every target in the tree for FUZZTIME=30s each
	@set -e; \
	for file in $$(grep -rl --include='*_test.go' '^func Fuzz' .); do \
		for target in $$(sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\)(.*/\1/p' "$$file"); do \
			echo "$$target in $$(dirname "$$file") for $(FUZZTIME)"; \
			go test -run='^$$' -fuzz="^$$target\$$" -fuzztime=$(FUZZTIME) -fuzzminimizetime=10x "$$(dirname "$$file")"; \
		done; \
	done

lint: ## Check formatting and go.mod, run vet and build for every system, run staticcheck
	@files=$$(gofmt -s -l .); if [ -n "$$files" ]; then echo "gofmt -s -w would change:"; echo "$$files"; exit 1; fi
	@set -e; for system in $(SYSTEMS); do \
		echo "go vet and go build for $$system"; \
		CGO_ENABLED=0 GOOS=$$system go vet ./...; \
		CGO_ENABLED=0 GOOS=$$system go build ./...; \
	done
	@go mod tidy -diff >/dev/null || { echo "go mod tidy would change go.mod or go.sum"; exit 1; }
	go run $(STATICCHECK) ./...
	@echo "the same for $(REPORT)"
	@cd $(REPORT) && go vet ./... && go run $(STATICCHECK) ./...
	@go -C $(REPORT) mod tidy -diff >/dev/null || { echo "go mod tidy would change go.mod or go.sum in $(REPORT)"; exit 1; }

compat: reference ## Play the transcripts against a real beanstalkd and against spoked
	go test -count=1 -v -run='Transcripts|Beanstalkd' ./integration ./internal/cli

bench: ## Run the benchmarks, and compare with a real beanstalkd; BENCH=regexp, BENCHTIME=1s, BENCHFLAGS= for the long ones too
	go test -run='^$$' -bench='$(BENCH)' -benchtime=$(BENCHTIME) -benchmem $(BENCHFLAGS) ./proto ./wheel ./queue
	go test -run='^$$' -bench='$(BENCH)' -benchtime=1x -timeout=30m ./integration

bench-report: build ## Measure, beside beanstalkd if it is on PATH, and draw docs/images, in ten minutes; REPORTFLAGS=-quick in one or two
	go -C $(REPORT) run . run $(REPORTFLAGS)
	go -C $(REPORT) run . render

check: lint race compat test ## Do everything that CI does

# Not in the list: is the beanstalkd here that the transcripts are about?
reference:
	@command -v beanstalkd >/dev/null || { \
		echo "beanstalkd is not on PATH, so there is nothing to compare with; on Debian: apt-get install beanstalkd" >&2; exit 1; }
	@found=$$(beanstalkd -v); [ "$$found" = "$(REFERENCE)" ] || { \
		echo "the transcripts are about $(REFERENCE), and on PATH is $$found" >&2; exit 1; }
