# Every target makes what it needs: on a new checkout `make train` is enough.
#
# PYTHON   the interpreter that makes .venv (3.11 to 3.13)
# EXTRAS   extras to install with tfdl [default: dev, and cuda when there is an NVIDIA GPU]

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
GPU := $(shell nvidia-smi -L 2>/dev/null | grep -c '^GPU ')
EXTRAS ?= dev$(if $(filter-out 0,$(GPU)),$(comma)cuda)
comma := ,
RUNS ?= runs/first
EXPORTED ?= exported/first
# Test files run in several processes at a time, two at least: a job of two ranks often waits for its launcher. Each
# process takes up to 4 GiB of memory.
PROCESSES := $(shell n=$$(nproc 2>/dev/null || echo 2); echo $$(( n < 2 ? 2 : n > 4 ? 4 : n )))
SIDE_BY_SIDE := --numprocesses $(PROCESSES) --dist loadfile --no-loadscope-reorder
SOURCES := setup.cfg pyproject.toml constraints.txt
INSTALLED := $(VENV)/installed-$(subst $(comma),-,$(EXTRAS)).stamp

.DEFAULT_GOAL := help
.PHONY: help setup train test test-all soak test-fast test-distributed notebooks lint clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## */|/' | column -t -s '|'

setup: $(VENV)/horovod.stamp ## make .venv with tfdl and a Horovod built for it

$(BIN)/python:
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; \
	  sys.exit(None if (3, 11) <= v <= (3, 13) else "Python %d.%d found, expected 3.11 to 3.13: make PYTHON=python3.11" % v)'
	$(PYTHON) -m venv $(VENV)

$(INSTALLED): $(BIN)/python $(SOURCES)
	@# Python compiles what it imports. Compiling all packages here would take half of the installation's time.
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile --constraint constraints.txt \
	  --config-settings editable_mode=compat --editable '.[$(EXTRAS)]'
	@touch $@

$(VENV)/horovod.stamp: $(INSTALLED)
	$(BIN)/tfdl install-horovod
	@touch $@

# The commands are printed as a user types them in an activated environment.
train: setup ## train a CNN on one rank and on two, evaluate it, export it
	@export PATH="$(CURDIR)/$(BIN):$$PATH"; set -e; \
	run() { printf '\n$$ %s\n' "$$*"; "$$@"; }; \
	run tfdl train --model cnn --output $(RUNS)-1 --overwrite; \
	run horovodrun -np 2 tfdl train --model cnn --output $(RUNS)-2 --overwrite; \
	run tfdl evaluate $(RUNS)-2; \
	run tfdl export $(RUNS)-2 $(EXPORTED)

test: setup lint ## lint, and the tests of every part, quick ones first
	$(BIN)/python -m pytest $(SIDE_BY_SIDE) -m 'not thorough' --durations 40

test-all: setup lint ## the same, and the long tests whose subject these check as well
	$(BIN)/python -m pytest $(SIDE_BY_SIDE) --durations 40

soak: setup ## the tests that take minutes each, or hours
	$(BIN)/python -m pytest tests/soak

test-fast: setup ## the quick tests
	$(BIN)/python -m pytest $(SIDE_BY_SIDE) -m 'not slow and not distributed'

test-distributed: setup ## the tests that start several ranks
	$(BIN)/python -m pytest -m distributed

notebooks: setup ## execute the notebooks and save them with their outputs
	$(BIN)/python notebooks/execute.py

lint: $(INSTALLED) ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

clean: ## remove .venv and caches; runs/ and exported/ stay
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache
