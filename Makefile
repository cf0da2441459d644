# Doorstep: every target sets up what it needs; `make run` and `make test` work on a machine with only Python and make.
SHELL := /bin/bash
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

# The demonstration county: one seed, 24 months to September 2026, refreshed as on the night of 6 October 2026.
HOUSEHOLDS ?= 5000
MONTHS ?= 24
SEED ?= 1
NIGHT ?= 2026-10-06

export DOORSTEP_HOME ?= $(CURDIR)/var
export DAGSTER_HOME ?= $(DOORSTEP_HOME)/dagster
export PYTHONHASHSEED ?= 0
# Importing Dagster, dbt and Great Expectations without cached bytecode takes three times as long.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: run test test-slow test-spark ui check bench format lock clean

run: $(STAMP)
	@$(BIN)/doorstep keys init
	@$(BIN)/doorstep county make --households $(HOUSEHOLDS) --months $(MONTHS) --seed $(SEED)
	@$(BIN)/doorstep refresh --night $(NIGHT)
	@$(BIN)/doorstep report

test: $(STAMP)
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

test-slow: $(STAMP)
	$(BIN)/python -m pytest -m slow -o faulthandler_timeout=2400 -n 2 --dist loadfile --no-loadscope-reorder

# Spark is half a gigabyte that only this needs, so it is installed here and not with the rest.
test-spark: $(STAMP)
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes --no-build-isolation -r requirements-spark.lock
	$(BIN)/python -m pytest -m "slow or not slow" tests/integration/test_linkage_on_spark.py

ui: $(STAMP)
	@$(BIN)/doorstep keys init
	@$(BIN)/doorstep ui

check: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/sqlfluff lint --config dbt_project/.sqlfluff dbt_project/models dbt_project/tests dbt_project/macros
	$(BIN)/lint-imports
	$(BIN)/python tests/check_docs_links.py

bench: $(STAMP)
	$(BIN)/python -m benchmarks

format: $(STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# The installer is pinned with its hashes, then installs everything else from the lock and compiles it once.
$(STAMP): requirements.lock requirements-installer.lock pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-installer.lock
	@$(BIN)/uv pip sync --quiet --python $(BIN)/python --require-hashes --compile-bytecode requirements.lock
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@

COMPILE = $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header

lock:
	@test -x $(BIN)/uv || { $(PYTHON) -m venv $(VENV) && $(BIN)/python -m pip install --quiet --require-hashes -r requirements-installer.lock; }
	$(COMPILE) --extra dev --extra postgres pyproject.toml --output-file requirements.lock
	$(COMPILE) --extra spark --constraint requirements.lock pyproject.toml --output-file requirements-spark.lock

clean:
	rm -rf var .venv build *.egg-info
