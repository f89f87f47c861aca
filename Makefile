# Two commands for a machine that has Python, git and make:  make search   make test
PYTHON ?= python3
UV_VERSION := 0.13.9
BIN := .venv/bin
# ruff does not follow links by itself; named so, it sees each package under its import name
SOURCES := src $(addprefix src/mollitune/,analysis models schedules search) tests benchmarks examples
LOCK = $(BIN)/uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-header --quiet

CHAOS_KILLS ?= 200

.PHONY: setup search test test-all chaos peers lint types format lock clean
.DELETE_ON_ERROR:
# Where this is set, every process compiles torch and Ray anew: ten seconds instead of three.
unexport PYTHONDONTWRITEBYTECODE

setup: .venv/ready

# uv comes by pip, everything else by uv from the lock: versions and hashes, nothing else
.venv/ready: requirements.lock pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e .
	touch $@

search: setup
	$(BIN)/mollitune search examples/digits.yaml

# all that can tell whether this machine and this change are sound
test: setup
	$(BIN)/pytest -m "not slow"

# and chaos, storage outages, whole searches, clusters, browser
test-all: setup
	$(BIN)/pytest

# the driver is killed 200 times with one worker and 50 times with two; kills of other processes,
# of a node, and the other faults come on top; the object storage is away for half a minute
chaos: setup
	MOLLITUNE_CHAOS_KILLS=$(CHAOS_KILLS) MOLLITUNE_OUTAGE_SECONDS=30 \
		$(BIN)/pytest -n 0 --durations=0 tests/chaos tests/storage

# other people's models beside the locked packages, for cross-checks and benchmarks only
peers: setup
	$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements-peers.lock
	$(BIN)/pytest -m peers -n 0 -rs tests/models/test_peers.py tests/clusters/test_jobs.py

lint: setup
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/ruff format --check $(SOURCES)

format: setup
	$(BIN)/ruff format $(SOURCES)

types: setup
	$(BIN)/mypy

lock:
	$(LOCK) --extra dev --extra efficientnet -o requirements.lock
	$(LOCK) --extra peers --constraint requirements.lock -o requirements-peers.lock

clean:
	rm -rf .venv build src/*.egg-info
