# Works with GNU make 3.81, which macOS ships. `make` alone says what there is.
# Every target that runs something sets up .venv first; where nothing changed that takes no time.

PY := .venv/bin/python
UV_VERSION := 0.13.8

.DEFAULT_GOAL := help
TARGETS := help setup demo up test lint format lock clean

.PHONY: help
help: ## Say what can be made
	@awk -F ':.*## ' -v listed=' $(TARGETS) ' \
		'/^[a-z]+:.*## / && index(listed, " " $$1 " ") { printf "  make %-8s %s\n", $$1, $$2 }' Makefile

.PHONY: setup
setup: ## Set up .venv from requirements-dev.lock (needs Python 3.11 or newer, nothing else)
	@sh deploy/with-python.sh deploy/environment.py

.PHONY: demo
demo: setup ## Show a memory that survives a killed worker, on servers started for the demo
	@.venv/bin/afterturn demo

.PHONY: up
up: setup ## Run Postgres, Redis, a stand-in for Honcho, worker and Flower until Ctrl-C
	@.venv/bin/afterturn up

.PHONY: test
test: setup ## Run the tests, two files at a time; they start the servers that they need
	@$(PY) -m pytest -n 2 --dist loadfile $(PYTEST)

.PHONY: lint
lint: setup ## Check style, formatting, types and the directions of imports
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .
	@$(PY) -m mypy
	@$(PY) -m mypy deploy/environment.py
	@$(PY) -c 'from importlinter.cli import lint_imports_command as run; run()'

.PHONY: format
format: setup ## Format the code, and mend what ruff can mend
	@$(PY) -m ruff check --fix-only --quiet .
	@$(PY) -m ruff format .

# Two targets that are here as soon as their folders are.
ifneq ($(wildcard bench/__main__.py),)
TARGETS += bench
.PHONY: bench
bench: setup ## Measure, draw the plots, write docs/performance.md (BENCH=--short: a quick look)
	@$(PY) -m pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all: \
		--requirement requirements-bench.lock
	@-$(PY) -m bench.environment
	@$(PY) -m bench $(if $(BENCH),$(BENCH),--page --plots docs/plots --json docs/performance.json)
endif

ifneq ($(wildcard tests/faults),)
TARGETS += faults
.PHONY: faults
faults: setup ## Run the long tests that kill, freeze and cut off every part
	@AFTERTURN_FAULT_RUNS="$${AFTERTURN_FAULT_RUNS:-40}" $(PY) -m pytest tests/faults
endif

# The addresses of indexes stay out of what is written: anyone's mirror serves the same hashes.
COMPILE = env -u UV_INDEX -u UV_FIND_LINKS .venv/bin/uv --no-config --system-certs pip compile --quiet \
	--universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links \
	--custom-compile-command 'make lock'

.PHONY: lock
lock: setup ## Resolve every dependency anew into the lock files
	@$(PY) -m pip install --quiet --disable-pip-version-check 'uv==$(UV_VERSION)'
	@$(COMPILE) --upgrade --all-extras --group dev pyproject.toml --output-file requirements-dev.lock
	@$(COMPILE) --upgrade --constraint requirements-dev.lock --all-extras pyproject.toml --output-file requirements.lock
	@$(COMPILE) --upgrade --constraint requirements-dev.lock --group build --output-file requirements-build.lock
	@$(COMPILE) --upgrade --constraint requirements-dev.lock --group bench --output-file requirements-bench.lock
	@$(COMPILE) --upgrade bench/rivals/hermes.in --output-file bench/rivals/hermes.lock

.PHONY: clean
clean: ## Remove .venv, caches and built files; data and settings stay
	@rm -rf .venv .venv-hermes .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache dist build
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
