# `make setup && make demo` is all that a newcomer needs; `make help` lists the rest.
SHELL := /bin/bash
PYTHON ?= python3
TORCH := torch==2.13.0
VENV := .venv
BIN := $(VENV)/bin
# The stamp's name holds the lock's hash: a changed lock installs again, an unchanged one takes no time.
LOCK_HASH := $(shell cat requirements.lock pyproject.toml | cksum | cut -d' ' -f1)
STAMP := $(VENV)/.installed-$(LOCK_HASH)
PIP := $(BIN)/python -m pip --disable-pip-version-check -qq
PYTEST := $(BIN)/python -m pytest
# Two workers by default; PYTEST_WORKERS=0 runs in one process.
PYTEST_WORKERS ?= 2

.PHONY: help setup demo test test-all bench lint format types lock clean

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

setup: $(STAMP)  ## create .venv and install the locked dependencies and glossator itself

# 1. everything that is pinned by hash; 2. torch, whose build differs by platform and which therefore cannot be;
# its own dependencies are already there from 1; 3. the project, editable, built by the locked backend.
$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(None if sys.version_info >= (3, 11) else "glossator needs Python 3.11 or newer, found " + sys.version.split()[0] + "; set PYTHON=/path/to/python3.11")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "setup: the locked dependencies"
	@$(PIP) install --require-hashes --no-deps -r requirements.lock
	@echo "setup: $(TORCH), the largest download"
	@$(PIP) install $(TORCH)
	@echo "setup: glossator"
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@rm -f $(VENV)/.installed-*
	@touch $@
	@echo "setup: done; $(BIN)/glossator --help"

demo: setup  ## explain 64 neurons of one layer of a real language model
	@$(BIN)/glossator run --subject smollm2-135m --site mlp.12 --units 64 --tokens 65536 --out studies/demo

test: setup  ## the fast tests
	@OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(PYTEST) -n $(PYTEST_WORKERS) --dist worksteal

test-all: setup  ## every test, the slow ones and the speed measurements too
	@$(PYTEST) -m ""

bench: setup  ## every benchmark whose JSON is not yet in studies/bench, for hours; BENCH_FLAGS=--quick in minutes each
	@mkdir -p studies/bench; failed=""; \
	for name in $$($(BIN)/glossator bench --json | $(BIN)/python -c 'import json, sys; print(*json.load(sys.stdin))'); do \
		found=studies/bench/$$name.json; \
		if [ ! -s $$found ]; then \
			echo "bench: $$name"; \
			if $(BIN)/glossator bench $$name --json $(BENCH_FLAGS) > $$found.part; then mv $$found.part $$found; \
			else rm -f $$found.part; failed="$$failed $$name"; fi; \
		fi; \
	done; \
	if [ -n "$$failed" ]; then echo "bench: failed:$$failed" >&2; exit 1; fi

lint: setup  ## ruff: errors and formatting; import-linter: layers and circles
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/lint-imports --no-cache --no-logo

format: setup  ## ruff: mend what can be mended
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

types: setup  ## mypy
	@$(BIN)/python -m mypy

lock:  ## write requirements.lock anew from pyproject.toml (LOCK_FLAGS=--upgrade for newer versions)
	@test -x .venv-lock/bin/pip-compile || { $(PYTHON) -m venv .venv-lock && .venv-lock/bin/python -m pip install --quiet pip-tools; }
	@.venv-lock/bin/python scripts/lock.py $(TORCH) $(LOCK_FLAGS)

clean:  ## remove caches and builds; .venv and studies stay
	@rm -rf build dist .pytest_cache .ruff_cache .mypy_cache .hypothesis
	@find src tests scripts benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +
