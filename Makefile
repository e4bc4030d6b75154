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
# flake8-async takes a second a file: the files with nothing asynchronous in them, which it cannot fault, are left out.
ASYNC_FILES = $(shell grep -rlE --include='*.py' '^ *(async |(import|from) (trio|anyio|asyncio))' kiro2api tests)
COVERED := tests/unit tests/contract tests/e2e
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

# Two at a time, as they share nothing: the type checker takes as long as all the others.
.PHONY: check
check: $(DEVELOPMENT) ## format, style, types and import rules
	@$(MAKE) --no-print-directory -j2 --output-sync=target style types

.PHONY: style
style:
	$(PY) -m ruff format --check .
	$(PY) -m ruff check .
	$(PY) -m flake8 $(ASYNC_FILES)
	$(VENV)/bin/lint-imports --no-logo

.PHONY: types
types:
	$(PY) -m mypy

# The property tests run apart, since measuring what they cover would double their time: the unit tests cover it all.
.PHONY: test
test: check ## check, then every test, and what they cover
	$(PY) -m pytest -n 2 tests/property $(PYTEST_ARGS)
	$(PY) -m coverage erase
	$(PY) -m coverage run -m pytest -n 2 $(COVERED) $(PYTEST_ARGS)
	$(PY) -m coverage combine --quiet
	$(PY) -m coverage report
	$(PY) -m coverage report --include='kiro2api/protocol/*' --fail-under=100

.PHONY: format
format: $(DEVELOPMENT) ## put the code into shape
	$(PY) -m ruff check --fix-only .
	$(PY) -m ruff format .

.PHONY: clean
clean: ## remove all that make has made, .venv included
	rm -rf $(VENV) build dist .coverage .coverage.* htmlcov .hypothesis .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
	find kiro2api tests -type d -name __pycache__ -prune -exec rm -rf {} +

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
