# The same verbs for everybody. `make help` lists them.
.DEFAULT_GOAL := help
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: help install demo test lint revision bench airflow-oracle clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

install: $(VENV)/installed ## a virtual environment with Piper and its development tools

$(VENV)/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev,demo]'
	$(BIN)/python -m compileall -q src # some environments forbid Python to do so itself, and every start would pay
	touch $@

demo: install ## the flight delays example on real data, then serve; EXIT=1 stops at the end
	$(BIN)/python examples/demo.py $(if $(EXIT),--exit)

test: install lint ## every test suite and lint; installs and starts the servers it needs
	$(BIN)/python -m pytest

lint: install ## style, types, layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

revision: install ## the next migration of the database, as a draft: make revision MESSAGE="pre: what it is for"
	$(BIN)/python -m tests.draft_revision "$(MESSAGE)"

bench: install ## the figures of bench/, against floor and limits, on this machine
	$(BIN)/python -m bench

airflow-oracle: install ## record anew what Airflow 3.3.2 makes of 300 small DAGs (an hour)
	$(BIN)/python -m tests.airflow_oracle.record

clean: ## remove the virtual environment and caches
	rm -rf $(VENV) .mypy_cache .ruff_cache .hypothesis
