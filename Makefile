# What people and CI call. Each goal makes its own .venv when needed; nothing outside this folder is touched.
MOVIE ?= demo
RESULTS ?= results
ARGS ?=
WORKERS ?= 2

VENV := .venv
COLAB := .venv-colab
BIN := $(VENV)/bin
NEW_ENOUGH := -c 'import sys; sys.exit(sys.version_info < (3, 11))'
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11 python; do \
	if $$p $(NEW_ENOUGH) >/dev/null 2>&1; then echo $$p; break; fi; done)
# Tests that share what is dear to make stay with one worker (tests/conftest.py), the longest begin.
TESTS = $(BIN)/python -m pytest -n $(WORKERS) --durations=20
# Every cell of every notebook, in a kernel each, one after the other in a results folder of their own.
define NBVAL
@folder=$$(mktemp -d) && trap 'rm -rf "$$folder"' EXIT && \
	echo "$(BIN)/python -m pytest --nbval-lax --nbval-current-env $(1)" && \
	WORKSHOP_HEADLESS=1 WORKSHOP_RESULTS="$$folder/results" \
		$(BIN)/python -m pytest --nbval-lax --nbval-current-env --durations=10 $(1)
endef
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --progress-bar off

# Kernels import the same modules a hundred times, which are compiled once if that may be kept.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: help run test soak environments room test-colab check notebooks gallery links bench clean
.DEFAULT_GOAL := help

help: ## show this list
	@grep -E '^[a-z-]+:.*##' Makefile | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 20

run: $(VENV)/.run ## run all lessons on the demo movie (MOVIE=, RESULTS=, ARGS=) and print the report's path
	@$(BIN)/workshop run --movie "$(MOVIE)" --results "$(RESULTS)" $(ARGS)

test: room environments ## style, notebooks in sync, all tests in two front ends and on Colab's packages
	@$(MAKE) --no-print-directory check
	$(TESTS)

soak: room environments ## what is too slow for each change: kernels killed, a bundle's rehearsal, all lessons by nbval on the demo
	$(BIN)/python -m pytest --soak -m soak --durations=10
	$(call NBVAL,notebooks/0*.ipynb)

# Both at once: the one unpacks while the other fetches.
environments: | $(VENV)/.made
	@$(MAKE) -s --no-print-directory -j2 $(VENV)/.test $(COLAB)/.made

room: | $(VENV)/.made
	@$(BIN)/python tools/disk_room.py

test-colab: $(VENV)/.test $(COLAB)/.made ## the wheel and each notebook on new machines with Colab's packages
	$(BIN)/python -m pytest tests/colab --every-lesson --durations=10

check: $(VENV)/.test ## style, spelling, and that what is built agrees with its sources
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/typos
	$(BIN)/lint-imports --no-logo --no-cache
	$(BIN)/python tools/build_notebooks.py --check
	$(BIN)/python tools/lesson_table.py --check

notebooks: $(VENV)/.test ## build the notebooks from notebooks/py, and the table of their lengths
	$(BIN)/python tools/build_notebooks.py
	$(BIN)/python tools/lesson_table.py

gallery: $(VENV)/.test ## all lessons, executed, as a website for any static host, in build/gallery/site
	@$(BIN)/python -m tools.gallery $(ARGS)

links: $(VENV)/.test ## ask every address that lessons and documents name whether it answers (needs the internet)
	@$(BIN)/python -m tools.gallery --links $(ARGS)

bench: $(VENV)/.test ## measure the whole run and each stage, with memory
	$(BIN)/python -m benchmarks $(ARGS)

clean: ## delete what runs and tests leave; the environment stays
	rm -rf results build dist .pytest_cache .ruff_cache benchmarks/out
	find . -name __pycache__ -not -path './$(VENV)/*' -not -path './$(COLAB)/*' -prune -exec rm -rf {} +

$(VENV)/.made:
	@if ! $(or $(PYTHON),false) $(NEW_ENOUGH) >/dev/null 2>&1; then \
		echo "Expected Python 3.11 or newer."; \
		echo "Found $$($(or $(PYTHON),python3) --version 2>&1 | head -n 1)."; \
		echo "To go on: install one (python.org, conda, pyenv), or name it: make PYTHON=/path/to/python3.12"; \
		exit 1; \
	fi
	@echo "Making $(VENV) with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.run: pyproject.toml | $(VENV)/.made
	@echo "Installing what the lessons need into $(VENV) (a minute or two, once)"
	@$(PIP) --editable '.[notebooks]'
	@touch $@

$(VENV)/.test: pyproject.toml | $(VENV)/.made
	@echo "Installing what the tests need into $(VENV) (a minute or two, once)"
	@$(PIP) --editable '.[test]'
	@touch $@ $(VENV)/.run

# The browser tests run in two front ends: today's from .venv, and Colab's old one from here. The tests in
# tests/colab make new Colab machines out of it.
$(COLAB)/.made: tests/colab/constraints.txt tools/colab_env.py | $(VENV)/.made
	@echo "Installing Colab's package versions into $(COLAB) (a minute or two, once)"
	@$(BIN)/python tools/colab_env.py $(COLAB)
	@touch $@
