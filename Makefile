# `make run` and `make test` install what they need and ask no questions.

SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
CARGO ?= cargo
export DEV_FOLDER := $(CURDIR)/.dev

# The release artefacts: davy (stripped), davy.symbols and davy.debug.
DIST := target/dist

.PHONY: help run build ui test lint msrv targets bench sanitize fuzz sim aarch64 cgroup2 outside clean

help: ## List the targets
	@grep -hE '^[a-z0-9]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

run: build ## Install what is missing, build, start `davy quickstart` and print its address
	@exec $(DIST)/davy quickstart $(ARGS)

build: ui ## Build davy (stripped, with the page in it), davy.symbols and davy.debug in target/dist, and print their sizes
	@ops/dev/need cc
	@[ -e target/release/davy ] || echo "davy: first build: ten to twenty minutes on two cores"
	@$(CARGO) build --release --package davy $$([ -t 2 ] || echo --quiet)
	@ops/dev/package target/release/davy $(DIST)

ui: ## Build the browser app
	@ops/dev/need node cc
	@ops/dev/build-ui

test: ui ## Run every test, with the servers that they need; list the tests that could not run here
	@ops/dev/need node cc go chromium python
	@ops/dev/test

lint: ## Check formatting, clippy, unused dependencies, licences, duplicates, rustdoc and the page's types
	@ops/dev/need node cc deny shear
	@ops/dev/lint

msrv: ## Compile with the oldest supported Rust versions
	@ops/dev/need cc python
	@ops/dev/msrv

targets: ## Compile the profiler for the systems on which it is not tested here (macOS, musl)
	@ops/dev/need cc
	@ops/dev/targets

weight: ## Measure what the profiler's default features add to an independent program, and check the bounds
	@ops/dev/need cc
	@ops/dev/weight default

bench: build ## Print the tables of BENCHMARKS.md, as ratios within one run
	@ops/dev/need cc go
	@ops/dev/bench

sanitize: ## Run the profiler's stress test under AddressSanitizer and valgrind, SANITIZE_SECONDS each
	@ops/dev/need cc valgrind
	@ops/dev/sanitize

fuzz: ## Fuzz the decoders of untrusted input, TIME seconds for each of TARGETS (default: 60 s, all)
	@ops/dev/need cc fuzz
	@ops/dev/fuzz

sim: ## Simulate HISTORIES histories of the archive on a faulty object store, from SEED on (default: 10,000 from 1)
	@ops/dev/need cc
	@ops/dev/sim

aarch64: ## Run the profiler's tests, compiled for aarch64, in an emulator
	@ops/dev/need aarch64
	@ops/dev/aarch64

cgroup2: ui ## Run the tests of cgroups and containers in a virtual machine that has all controllers in cgroup v2
	@ops/dev/need node cc cgroup2 runc nextest
	@ops/dev/cgroup2

outside: build ## Check that a 20-line service with only the profiler's crates shows up by member in Davy
	@ops/dev/outside $(DIST)/davy

clean: ## Remove everything that was built or installed here
	@rm -rf target ui/dist ui/node_modules .dev
