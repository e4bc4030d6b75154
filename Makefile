# Everything runs in .venv, which is made from any Python >= 3.13: the first that fits, or the one named by PYTHON=...
SHELL := /bin/sh
.DEFAULT_GOAL := help
.SUFFIXES:

CANDIDATES := $(or $(PYTHON),python3.13 python3.14 python3 python)
VENV := .venv
PY := $(VENV)/bin/python
PIP := $(PY) -m pip --disable-pip-version-check install -qq
RUNTIME := $(VENV)/.installed-runtime
DEVELOPMENT := $(VENV)/.installed-development
AGENTS := .node/clients/.installed
# flake8-async takes a second a file: left out are files with nothing asynchronous in them, which it cannot fault, and
# tests, whose tasks end with them.
ASYNC_FILES = $(shell grep -rlE --include='*.py' '^ *(async |(import|from) (trio|anyio|asyncio))' kiro2api)
# Options for pytest: make test PYTEST_ARGS="-x -k decoder"
PYTEST_ARGS ?=

.PHONY: help
help: ## this list
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/make \1|\2/p' $(firstword $(MAKEFILE_LIST)) | while IFS='|' read -r name text; do printf '%-12s %s\n' "$$name" "$$text"; done

.PHONY: demo
demo: $(RUNTIME) ## show the proxy at work against a simulated upstream, without any account
	@$(PY) -m kiro2api demo

.PHONY: run
run: $(RUNTIME) ## serve, with the settings in the environment and in .env
	@$(PY) -m kiro2api

# How long: make soak MINUTES=60
MINUTES ?= 10
.PHONY: soak
soak: $(DEVELOPMENT) ## ten minutes of mixed traffic, and what it leaves behind
	@$(PY) benchmarks/soak.py --minutes $(MINUTES)

# The jobs below share nothing and take two cores; the longest come first, so that both are busy to the end.
JOBS = @$(MAKE) --no-print-directory --jobs=2 --output-sync=target

.PHONY: check
check: $(DEVELOPMENT) ## format, style, types and import rules
	$(JOBS) types style

.PHONY: test
test: $(DEVELOPMENT) ## check, then every test, and what they cover
	@$(PY) -m coverage erase
	$(JOBS) test-e2e test-contract test-unit types style test-property
	@$(PY) -m coverage combine --quiet
	$(PY) -m coverage report
	$(PY) -m coverage report --include='kiro2api/protocol/*' --fail-under=100

.PHONY: style
style:
	$(PY) -m ruff format --check .
	$(PY) -m ruff check .
	$(PY) -m flake8 $(ASYNC_FILES)
	$(VENV)/bin/lint-imports --no-logo

.PHONY: types
types:
	$(PY) -m mypy

.PHONY: test-unit test-contract test-e2e
test-unit test-contract test-e2e:
	$(PY) -m coverage run -m pytest -m "not slow" $(@:test-%=tests/%) $(PYTEST_ARGS)

# Not measured, which would double their time: the unit tests cover all by themselves.
.PHONY: test-property
test-property:
	$(PY) -m pytest tests/property $(PYTEST_ARGS)

.PHONY: test-slow
test-slow: $(DEVELOPMENT) ## storms of clients, heavy bodies, several processes: what takes minutes
	$(PY) -m pytest -m slow tests/e2e $(PYTEST_ARGS)

.PHONY: clients
clients: $(DEVELOPMENT) $(AGENTS) ## Claude Code, Codex and opencode, from npm, each with a task
	$(PY) -m pytest tests/clients $(PYTEST_ARGS)

.PHONY: format
format: $(DEVELOPMENT) ## put the code into shape
	$(PY) -m ruff check --fix-only .
	$(PY) -m ruff format .

.PHONY: clean
clean: ## remove all that make has made, .venv included
	rm -rf $(VENV) .node build dist .coverage .coverage.* htmlcov .hypothesis .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
	find kiro2api tests benchmarks -type d -name __pycache__ -prune -exec rm -rf {} +

# Exists as long as the interpreter behind its link does.
$(PY):
	@for candidate in $(CANDIDATES); do \
	  if "$$candidate" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 13))' >/dev/null 2>&1; then \
	    echo "making $(VENV) with $$("$$candidate" --version)"; \
	    exec "$$candidate" -m venv --clear $(VENV); \
	  fi; \
	done; \
	echo "kiro2api needs Python 3.13 or newer with its venv module (looked for: $(CANDIDATES)); install one, or name it: make PYTHON=/path/to/python" >&2; \
	exit 1

# Scripts of the packages put the programs in place. Without them the tests say that they are skipped.
$(AGENTS): tests/clients/package.json
	@mkdir -p $(@D)
	@cp $< $(@D)
	@echo "installing Claude Code, Codex and opencode into $(@D): a gigabyte"
	@if npm install --prefix $(@D) --no-package-lock --no-audit --no-fund --loglevel=error; then touch $@; fi

# pip knows dependency groups from 25.1 on.
$(RUNTIME): pyproject.toml | $(PY)
	@echo "installing kiro2api into $(VENV)"
	@$(PIP) 'pip>=25.1'
	@$(PIP) --editable .
	@touch $@

$(DEVELOPMENT): pyproject.toml | $(PY)
	@echo "installing kiro2api and the development tools into $(VENV)"
	@$(PIP) 'pip>=25.1'
	@$(PIP) --editable . --group dev
	@touch $@ $(RUNTIME)
