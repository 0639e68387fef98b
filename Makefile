# Everything from a bare Debian, Ubuntu or macOS machine with Python 3.11 or newer.
#
#   make demo    install, train the demo shop, ask it twelve questions, chat with it
#   make test    install what the tests need (Python packages and espeak-ng), then style, types and every test
#   make check   style, types and the fast tests only
#   make fuzz    10,000 generated requests against the server's description (make test: 1,000)
#
# On Linux, PyPI's torch brings several GB of CUDA libraries. For the CPU build:
#   make demo TORCH_FLAGS="--index-url https://download.pytorch.org/whl/cpu"

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
TORCH_FLAGS ?=
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input install --quiet --constraint constraints.txt
PYTEST := $(BIN)/python -m pytest -q --numprocesses auto --dist worksteal
SHOP := examples/shop

# Child processes of tests must find compiled modules, or each compiles them again.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help install demo test check fast fuzz slow style types clean espeak-ng

help:
	@sed -n '3,6s/^# *//p' Makefile

$(VENV)/.installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Python 3.11 or newer is needed; this is " + sys.version.split()[0] + ". Try: make PYTHON=python3.11")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || { echo "No venv module. On Debian or Ubuntu: apt-get install python3-venv"; exit 1; }
	@echo "Installing into $(VENV) (some minutes the first time; torch first)"
	@$(PIP) torch $(TORCH_FLAGS)
	@$(PIP) --editable .
	@touch $@

$(VENV)/.installed-test: $(VENV)/.installed
	@$(PIP) --editable '.[test]'
	@touch $@

install: $(VENV)/.installed  ## the bot command in .venv/bin

demo: install
	@$(BIN)/bot ingest -p $(SHOP)
	@$(BIN)/bot train $(SHOP)
	@$(BIN)/bot chat $(SHOP) --script $(SHOP)/demo.yml --trace

test: $(VENV)/.installed-test espeak-ng style types fast slow

fuzz: $(VENV)/.installed-test
	@UNDERSTUDY_FUZZ=10000 $(BIN)/python -m pytest -q tests/test_schemathesis.py

check: $(VENV)/.installed-test espeak-ng style types fast

# The program that speaks in tests of voice. Root on Debian or Ubuntu, as in continuous integration, gets it.
espeak-ng:
	@if command -v espeak-ng >/dev/null; then exit 0; fi; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends espeak-ng; \
	else \
		echo "The tests of voice need espeak-ng. Debian, Ubuntu: sudo apt-get install espeak-ng. macOS: brew install espeak-ng"; \
		exit 1; \
	fi

# The core is covered by tests of its own; measuring coverage of the others would double what they cost.
fast:
	@$(PYTEST) tests/core -m "not slow" --cov=bot/core --cov-branch --cov-report=term:skip-covered --cov-fail-under=100
	@$(PYTEST) -m "not slow" --ignore tests/core --durations=5

slow:
	@$(PYTEST) -m slow --durations=10

style:
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

types:
	@$(BIN)/mypy

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage examples/*/.bot
