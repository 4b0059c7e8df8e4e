# Set-up is done by the targets themselves: each depends on the stamp of the virtual environment it needs.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
# Three tests at a time, those of a file in one process: what a file makes for its tests is made once. That is one more
# than two cores, as tests of crashes mostly wait for processes.
MANY   := --numprocesses 3 --dist loadfile --no-loadscope-reorder
# Where tests are that run beside no other: to collect all others again takes as long as some of these.
ALONE  := $(shell grep -rl --include='test_*.py' 'pytest\.mark\.alone' tests)
# Parts of these pages are generated.
PAGES  := README.md weekly_cli/README.md weekly_cli/compute/features/README.md tests/README.md tests/benchmarks/README.md

# Unset: the tests start hundreds of processes, each of which would compile all modules anew.
export PYTHONDONTWRITEBYTECODE :=

.DEFAULT_GOAL := help
.PHONY: help run test test-fast lint types pages docs bench bench-quick bench-large bench-memory bench-cluster soak lowest clean

help: ## print the targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 16

$(BIN)/python:
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed: make PYTHON=python3.12 ...") if sys.version_info < (3, 11) else 0'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	@touch $@

$(VENV)/.installed-test: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile --editable '.[test]'
	@touch $@ $(VENV)/.installed

$(VENV)/.installed-bench: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[bench]'
	@touch $@ $(VENV)/.installed

run: $(VENV)/.installed ## build the sample data's weekly features into daily_weekly/
	$(BIN)/weekly-cli build --jobs -1

test: lint ## run all tests but the soak's
	$(BIN)/python -m pytest $(MANY) -m "not soak and not alone"
	$(BIN)/python -m pytest -m "alone and not soak" $(ALONE)

test-fast: lint ## run the tests that take no time; under a minute
	$(BIN)/python -m pytest $(MANY) -m "not slow and not soak and not alone"

lint: $(VENV)/.installed-test ## check style, types and generated documentation
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(MAKE) --no-print-directory --jobs 2 --output-sync types pages

types: $(VENV)/.installed-test
	$(BIN)/mypy

pages: $(VENV)/.installed-test
	$(BIN)/cog --check $(PAGES)

docs: $(VENV)/.installed-test ## write the generated parts of the documentation
	$(BIN)/cog -r $(PAGES)

bench: $(VENV)/.installed-bench ## measure against Polars, DuckDB and others on 4,000 symbols x 10 years
	$(BIN)/python tests/benchmarks/run.py

bench-quick: $(VENV)/.installed-bench ## under a minute: fails where a ratio to Polars has lost 15 % against the record
	$(BIN)/python tests/benchmarks/quick.py

bench-large: $(VENV)/.installed-bench ## 1, 10 and 100 million rows and 40,000 files under 1 GiB; needs 20 GB of disk
	$(BIN)/python tests/benchmarks/large.py

bench-memory: $(VENV)/.installed-bench ## memory limits on data ten times as large, 24 builds; needs 20 GB of disk
	$(BIN)/python tests/benchmarks/memory.py

bench-cluster: $(VENV)/.installed-test ## a Dask cluster on this machine: empty tasks, workers, memory, 96 million rows; needs 20 GB of disk
	PYTHONPATH=tests/support $(BIN)/python tests/benchmarks/cluster.py

soak: $(VENV)/.installed-test ## the rounds that make test leaves out, and 350 random runs ended at random times
	$(BIN)/python -m pytest -m soak
	PYTHONPATH=tests/support $(BIN)/python tests/faults/soak.py

# With Python 3.11 or 3.12: later ones have no wheels of the oldest numpy and pandas.
lowest: $(BIN)/python ## run the main tests on the oldest libraries that pyproject.toml allows
	$(BIN)/python tests/support/lowest.py > .lowest.txt
	$(PYTHON) -m venv $(VENV)-lowest
	$(VENV)-lowest/bin/python -m pip install --quiet --disable-pip-version-check --constraint .lowest.txt --editable '.[test]'
	$(VENV)-lowest/bin/weekly-cli --version
	$(VENV)-lowest/bin/python -m pytest $(MANY) $$($(BIN)/python tests/support/lowest.py --tests)

clean: ## remove what the targets made
	rm -rf $(VENV) $(VENV)-lowest .lowest.txt .bench .pytest_cache .mypy_cache .ruff_cache .hypothesis
	rm -rf daily_weekly build dist *.egg-info
