# The menu.  `make` alone prints it.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.set-up
PYTEST := $(BIN)/python -m pytest --durations=15
# What decides, against its naive twin: these run in all three modes.
CORE := tests/core tests/concurrency tests/test_flows.py
# In the other two modes without what only composes: tools, campaigns, other processes.
MODES := $(CORE) $(addprefix tests/replay/test_,replay.py snapshot.py shadow.py)
# The journal on simulated disks, every change of its files, and what else needs no clock.
FILES := $(addprefix tests/faults/test_,simulated.py format.py malformed.py bad_snapshots.py) \
	$(addprefix tests/tools/test_,compile.py explain.py cli.py config.py) \
	tests/golden tests/test_tidy.py tests/test_imports.py
.PHONY: help setup run test check format bench compile lock clean \
	test-core test-replay test-checked test-pure test-files test-rest test-beside plantings flows docs \
	faults faults-simulated faults-format faults-rings faults-kills faults-stops faults-injection \
	faults-power faults-ends faults-replayer faults-bounds faults-random

help:  ## print this menu
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 16

setup: $(STAMP)  ## make .venv with the locked dependencies; does nothing when it is done

$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and \
		"Python 3.11 or newer is needed, this is " + sys.version.split()[0] + "; set PYTHON=")'
	@echo "setting up $(VENV) (once)"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes \
		-r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps \
		--no-build-isolation --no-index -e .
	@touch $@

run: setup  ## start the exchange with demo instruments on 127.0.0.1:8080; Ctrl-C stops it
	@exec $(BIN)/outcry up --dev

check: setup  ## format, lint, types, import rules, house rules: under 30 s
	@$(BIN)/ruff format --check --quiet . || (echo "run: make format"; exit 1)
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy
	@$(BIN)/lint-imports | sed -n '/^Contracts:/p;/BROKEN/,$$p'
	@$(BIN)/python -m tools.tidy

format: setup  ## bring every file into form
	@$(BIN)/ruff check --fix --quiet . ; $(BIN)/ruff format --quiet .

# Two at once of what only computes.  What starts processes and looks at clocks has the machine to
# itself, but for what fills the time in which it waits, at the lowest priority.
test: setup  ## everything that CI runs
	@$(MAKE) --no-print-directory --jobs=2 --output-sync=target \
		check test-checked test-core test-replay
	@$(MAKE) --no-print-directory --jobs=2 --output-sync=target test-rest test-beside

test-core: compile  ## the core as it runs
	$(PYTEST) $(CORE)

test-replay: compile  ## what reads a journal: replay, snapshots, backup, repair, upgrade
	$(PYTEST) tests/replay

test-checked: setup  ## the core with bounds and invariants checked
	@OUTCRY_JIT=checked $(BIN)/outcry compile
	OUTCRY_JIT=checked $(PYTEST) -m "not slow" $(MODES)

test-pure: setup  ## the core in plain Python, on small samples
	NUMBA_DISABLE_JIT=1 $(PYTEST) -m "not slow" $(MODES)

test-files: compile  ## 2,000 histories on a disk that forgets; bits and bytes of files changed
	$(PYTEST) $(FILES)

test-rest: compile  ## adapters, tools, whole exchanges, benchmarks for a moment
	$(PYTEST) tests $(addprefix --ignore=,$(CORE) tests/replay $(FILES))

test-beside:
	@nice -n 19 $(MAKE) --no-print-directory test-files
	@nice -n 19 $(MAKE) --no-print-directory test-pure

plantings: setup  ## break the code on purpose, and see a test catch it (long)
	$(BIN)/python -m tests.plantings.run

faults-simulated: compile  ## 200,000 histories of a journal on a disk that forgets (over an hour; HISTORIES=N)
	$(BIN)/python -m tests.faults.simulated --histories $(or $(HISTORIES),200000)

faults-format: compile  ## every bit and byte of small journals, snapshots, archives changed (half an hour)
	OUTCRY_FORMAT=full $(PYTEST) -s tests/faults/test_format.py tests/faults/test_bad_snapshots.py
	OUTCRY_FORMAT=full FOLLOW_EXAMPLES=2000 $(PYTEST) tests/core/archive

# How much make faults-rings does: events per way between two processes; commands and events of
# the other tests with two; which stores and which cases of the model (empty: as in CI).
OUTCRY_TORN_EVENTS ?= 100000000
OUTCRY_RING_EVENTS ?= 10000000
OUTCRY_RING_STEPS ?= full
OUTCRY_RING_MODEL ?= full
OUTCRY_SEEDS ?= 1

faults-rings: compile  ## the rings: every interleaving, every store, 10^8 events (long)
	OUTCRY_SEEDS=$(OUTCRY_SEEDS) NUMBA_DISABLE_JIT=1 $(PYTEST) tests/concurrency/test_programs.py
	OUTCRY_TORN_EVENTS=$(OUTCRY_TORN_EVENTS) OUTCRY_RING_EVENTS=$(OUTCRY_RING_EVENTS) \
		OUTCRY_RING_STEPS=$(OUTCRY_RING_STEPS) OUTCRY_RING_MODEL=$(OUTCRY_RING_MODEL) \
		OUTCRY_SEEDS=$(OUTCRY_SEEDS) \
		$(PYTEST) -s tests/concurrency tests/core/test_ring_hostile.py

flows: compile  ## engine and twin over the order flows in OUTCRY_FLOWS=DIR, against their sidecars
	@test -d "$(OUTCRY_FLOWS)" || (echo "OUTCRY_FLOWS: expected a folder of .flow files"; exit 1)
	OUTCRY_FLOWS=$(OUTCRY_FLOWS) $(PYTEST) tests/test_flows.py tests/test_benchmarks_smoke.py

bench: compile  ## all benchmarks, small; results and report in results/; flows in OUTCRY_FLOWS=DIR
	@for name in ring journal resume pipeline stages "kernel --no-risk" kernel \
		"kernel --by-kind --no-risk" "kernel --all" "kernel --scaling --no-risk" managed peers; do \
		echo "$$name"; $(BIN)/outcry bench $$name --save results; echo; done
	@echo micro; $(BIN)/outcry bench micro --save results --against results/stored
	@$(BIN)/outcry bench report results

# What breaks, whole: hours.
faults: faults-simulated faults-format faults-rings faults-kills faults-stops faults-injection faults-power faults-ends faults-replayer faults-bounds faults-random  ## everything that breaks (hours)

faults-kills: compile  ## 500 SIGKILLs of any process of an exchange under load
	$(BIN)/python -m tests.faults.kills --count 500

faults-stops: compile  ## each process stands still for 30 s, in sync and in relaxed
	$(BIN)/python -m tests.faults.stops --count 2 --seconds 30

faults-injection: compile  ## every system call of a start, rotation, recovery fails (strace)
	$(BIN)/python -m tests.faults.injection

faults-power: compile  ## 200 power cuts under load (root, loop devices)
	$(BIN)/python -m tests.faults.power --count 200

faults-ends: compile  ## disks that are full, read-only, frozen; limits of a process (root)
	$(BIN)/python -m tests.faults.space --count 40

faults-replayer: compile  ## every system call of the replayer fails (strace), 100 SIGKILLs of it
	$(BIN)/python -m tests.faults.shadowed --kills 100

faults-bounds: compile  ## every number at every bound; a million orders, accounts; 100,000 stops (minutes)
	OUTCRY_BOUNDS=full $(PYTEST) $(addprefix tests/core/engine/test_bounds,.py _named.py _sizes.py)

faults-random: compile  ## 20 million random commands, engine and twin side by side (hours; COMMANDS=N SEED=N)
	$(BIN)/python -m tests.core.engine.lives --commands $(or $(COMMANDS),20000000) \
		--seed $(or $(SEED),1)

docs: setup  ## bring the tables of docs/ up to the code
	@$(BIN)/python -m tools.documents

compile: setup  ## compile the kernels, with progress; does nothing when it is done
	@$(BIN)/outcry compile

lock: setup  ## resolve requirements*.in into requirements.lock again (needs uv)
	uv pip compile requirements-dev.in --universal --python-version 3.11 --generate-hashes \
		--no-emit-index-url --no-emit-find-links --no-header --quiet -o requirements.lock

clean:  ## remove what can be made again; never data
	@rm -rf $(VENV) build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis \
		.import_linter_cache .benchmarks
	@find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +
