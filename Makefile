# The house's commands. `make run` and `make test` install what they need and ask nothing.

SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
CARGO ?= cargo
export DEV_FOLDER := $(CURDIR)/.dev

.PHONY: help run build ui test lint bench sanitize aarch64 outside clean

help: ## What can be made
	@grep -hE '^[a-z0-9]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

run: build ## Install what is missing, build, start `davy quickstart` and print its address
	@exec target/release/davy quickstart $(ARGS)

build: ui ## The binary, with the page in it
	@echo "davy: building the binary (ten to twenty minutes the first time)"
	@$(CARGO) build --release --package davy $$([ -t 2 ] || echo --quiet)

ui: ## The browser app
	@ops/dev/need node cc
	@ops/dev/build-ui

test: ui ## Install what the tests need, start it in a scratch folder, run every test, stop it
	@ops/dev/need node cc go chromium python
	@ops/dev/test

lint: ## Format, clippy, licences, unused dependencies, the page's types
	@ops/dev/need node cc deny
	@ops/dev/lint

bench: ui ## The tables of BENCHMARKS.md, as ratios within one run
	@ops/dev/need cc go
	@ops/dev/bench

sanitize: ## The profiler's stress test under AddressSanitizer and valgrind; SANITIZE_SECONDS each
	@ops/dev/need cc valgrind
	@ops/dev/sanitize

aarch64: ## The profiler's tests, compiled for aarch64 and run in an emulator
	@ops/dev/need aarch64
	@ops/dev/aarch64

outside: build ## A service of 20 lines that knows only the profiler's crates, seen by member in a running Davy
	@ops/dev/outside target/release/davy

clean: ## Everything that was built or started here
	@rm -rf target ui/dist ui/node_modules .dev
