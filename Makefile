# Everything below sets itself up: .venv is made, and made anew when requirements.txt changes.
# PYTHON=... names the Python to make it with; TESTS=... gives pytest a part of the suite to run; SECONDS=... is how long
# each target is fuzzed.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help demo test lint bench fuzz dev lock environment test_servers

RUN := .venv/bin
IS_ROOT := $(shell [ "$$(id -u)" = 0 ] && echo yes)
BUILD_TOOLS := hatchling editables # pip asks for neither by itself when it builds without isolation
# make bench LANE_SIZES="--full --million" takes a quarter of an hour; PEER_PYTHON names a Python that has the peer installed.
BENCHMARKS := ct_pipeline_tests/benchmarks
STAGE_BENCHMARKS := normalize.py contact_files.py profile_pulls.py ledger_writes.py domain_lookup.py reply_reading.py \
	judging.py planning.py gibberish.py
LANE_SIZES ?=
PEER_PYTHON ?= $(RUN)/python
FUZZ_SECONDS := $(or $(SECONDS),300)
TESTS ?=
PYTEST_OPTIONS := $(if $(CI),-p ct_pipeline_tests.ci_no_skips) $(if $(IS_ROOT),,--ignore=ct_pipeline_tests/real_servers)

export DAGSTER_DISABLE_TELEMETRY := 1
# pyright brings its own Node.js; without these it would use the machine's, and ask the network for news of itself.
export PYRIGHT_PYTHON_GLOBAL_NODE := off
export PYRIGHT_PYTHON_IGNORE_WARNINGS := 1

help:  ## say what each target does
	@sed -nE 's/^([a-z]+):.*## (.*)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 16

demo: environment  ## verify a small internet on this machine and compare every verdict with the truth
	$(RUN)/ct-pipeline demo

test: environment test_servers  ## run the whole test suite, against real mail servers and a real database
	$(RUN)/python -m $(if $(TESTS),pytest,ct_pipeline_tests.side_by_side) $(PYTEST_OPTIONS) $(TESTS)

lint: environment  ## check style, format and types
	$(RUN)/ruff check .
	$(RUN)/ruff format --check .
	$(RUN)/pyright

bench: environment  ## measure every stage, the SMTP engine alone and in whole lanes, and a peer beside it
	@$(RUN)/python $(BENCHMARKS)/figures.py
	@for run in $(STAGE_BENCHMARKS) engine.py "lane.py $(LANE_SIZES)" "peers_side_by_side.py --peer-python $(PEER_PYTHON)"; do \
		printf '\n== %s\n' "$$run"; $(RUN)/python $(BENCHMARKS)/$$run; \
	done

fuzz: environment  ## try the reading of replies with made-up ones, SECONDS=... for each target
	for target in reply_reading reply_meaning retry_hints dialogue; do \
		echo "== $$target"; $(RUN)/python -m ct_pipeline_tests.fuzz.$$target $(FUZZ_SECONDS); \
	done

dev: environment  ## start the database, Dagster's daemon and its UI in one command
	$(RUN)/ct-pipeline dev

lock:  ## choose the newest versions that pyproject.toml allows; needs uv
	printf '%s\n' $(BUILD_TOOLS) | uv pip compile --quiet --upgrade --universal --group dev --no-strip-extras \
		--generate-hashes --custom-compile-command "make lock" pyproject.toml - --output-file requirements.txt

environment: .venv/locked_environment

.venv/locked_environment: requirements.txt pyproject.toml .ci/create_environment
	@.ci/create_environment
	@touch $@

test_servers:
ifneq ($(IS_ROOT),yes)
	@echo "Not root: ct_pipeline_tests/real_servers is left out, since only root can start mail servers."
	@echo "Other tests want NSD and Chromium: sudo .ci/install_servers"
else ifeq ($(shell command -v apt-get),)
	@echo "No apt-get: Postfix, Exim, OpenSMTPD, NSD and Chromium are yours to install; .ci/install_servers says where."
else
	@.ci/install_servers
endif
