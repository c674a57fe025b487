# Two commands on a bare machine: `make run` serves, `make test` passes. Everything else is listed by `make help`.
PYTHON ?= python3
VENV := .venv
CLOCK ?= 30
TOGETHER := -n 3 --dist loadfile --no-loadscope-reorder
BIN := $(VENV)/bin
# pip installs from outside and is thrown away: what a Python brings (pip, setuptools) is old, and has known faults.
PIP = tool=$$(mktemp -d) && trap 'rm -rf "$$tool"' EXIT && $(PYTHON) -m venv "$$tool" && "$$tool/bin/python" -m pip \
  --python $(BIN)/python --disable-pip-version-check install --quiet --require-hashes --no-deps

.DEFAULT_GOAL := help
ISSUER := tests/oauth/node_modules/.installed
.PHONY: help install dev parquet issuer run stack quick test proofs faults live soak lint fmt dashboards bench instructions lock clean

help: ## list the targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | sort | expand -t 14

# .installed is written last. Without it, or with an older one than the lock, .venv is made anew: half an environment
# never counts, and a package that the lock has no more is gone.
$(VENV)/.installed: requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.11 ...")'
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo '$(PYTHON) cannot make a virtual environment: apt install python3-venv (Debian, Ubuntu)' >&2; exit 1; }
	@rm -rf $(VENV)
	$(PYTHON) -m venv --without-pip $(VENV)
	@$(PIP) -r requirements.lock
	@touch $@

$(VENV)/.installed-dev: requirements-dev.lock $(VENV)/.installed
	@$(PIP) -r requirements-dev.lock
	@touch $@

install: $(VENV)/.installed ## build .venv from the hashed lock (what `run` needs)

dev: $(VENV)/.installed-dev ## the same plus what tests, linters and benchmarks need

$(ISSUER): tests/oauth/package-lock.json
	cd tests/oauth && npm ci --silent
	@touch $@

issuer: $(ISSUER) ## the OAuth server that two test files run (needs node 20 and npm; else they are skipped)

parquet: install ## add what `export --format parquet` needs to .venv
	@$(PIP) -r requirements-parquet.lock

run: install ## serve on 127.0.0.1:8000 (public) and 127.0.0.1:8001 (operator)
	@exec $(BIN)/python -m service run

stack: install ## the same with Prometheus, Alertmanager and a stand-in for your pager, without Docker (needs both installed)
	@exec $(BIN)/python -m stack

quick: dev ## all tests that start no process: what to run all day (a minute)
	$(BIN)/python -m pytest -q -m "not processes and not slow and not proof" --ignore tests/system --ignore tests/load -p no:schemathesis $(TOGETHER)

test: dev ## the suite (6 minutes)
	$(BIN)/python -m pytest -m "not alone and not faults and not live and not proof" $(TOGETHER)
	$(BIN)/python -m pytest -m "alone and not proof"

proofs: dev ## what breaks and takes its time, in the form that CI runs: disks, processes, databases, alerts, access (25 minutes)
	$(BIN)/python -m pytest -m "proof and not alone" $(TOGETHER)
	$(BIN)/python -m pytest -m "proof and alone"

faults: dev ## every fault of disk, process, network and database, under load (10 minutes; short forms)
	$(BIN)/python -m pytest -m faults $(TOGETHER)

live: dev ## real Prometheus and Alertmanager are told of every fault, on a clock CLOCK (30) times shorter (10 minutes)
	POSTBACK_CLOCK=$(CLOCK) $(BIN)/python -m pytest -n 2 --dist loadfile -m live

soak: dev ## the long proofs: 100 kills, 20 power cuts, 30 s of overload, 100,000 generated inputs and messages, an hour of the model, every fault live
	POSTBACK_SOAK=1 $(BIN)/python -m pytest tests/web tests/system -x

lint: dev ## ruff, mypy strict, import-linter, and whether `make dashboards` would change anything
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m dashboards.build --check
	$(BIN)/python -m deploy.rules --check
	$(BIN)/python -m service.operator.openapi --check

fmt: dev ## let ruff format and mend
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

dashboards: dev ## write what is generated: dashboards/generated, the table in docs/metrics.md, Kubernetes' copy of the alerts, docs/openapi*.json
	$(BIN)/python -m dashboards.build
	$(BIN)/python -m service.telemetry.metrics docs/metrics.md
	$(BIN)/python -m deploy.rules
	$(BIN)/python -m service.operator.openapi

bench: dev ## paired benchmarks against the peers in tests/load (needs wrk; with valgrind, instructions beside the rates)
	$(BIN)/python -m tests.load.bench

instructions: dev ## what a postback costs, counted by valgrind; fails when it became 5 % dearer (2 minutes)
	$(BIN)/python -m tests.load.instructions

lock: ## pin every dependency again (needs uv)
	uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links \
	  --no-header --no-annotate $(UPGRADE) pyproject.toml -o requirements.lock
	uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links \
	  --no-header --no-annotate $(UPGRADE) --extra parquet -c requirements.lock pyproject.toml -o requirements-parquet.lock
	uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links \
	  --no-header --no-annotate $(UPGRADE) --group dev --extra parquet -c requirements-parquet.lock pyproject.toml \
	  -o requirements-dev.lock

clean: ## remove the environment and caches (never data/)
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis build
