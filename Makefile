# All of this needs only make and Python >= 3.11; every package goes into .venv.
#
#   make demo      train on handwritten digits and draw the learning curve
#   make quick     lint, types and the tests that take no time; 80 seconds, while you work
#   make test      lint, types and all tests but the long sweeps; six minutes on two cores
#   make test-all  the rest: the sweeps, the kernel tests in other modes of Numba, the wheel, the site; ten minutes
#   make ecosystem  the tests with Dask, Ray, MPI, Arrow, Optuna and MLflow, which it installs; also in `make test-all`
#   make docs      the site, into docs/_build/html; `make docs-serve` shows it at http://127.0.0.1:8000
#   make browser   tests of the site and of the playground in Chromium, if it is installed
#   make bench     the benchmarks, fastnn beside plain NumPy
#   make compare   fastnn and its installed peers interleaved in one process; `make peers` installs them
#   make bounds    the whole suite with Numba's bounds checks; ten minutes
#   make fuzz      2,000 random networks between guard zones and between forbidden pages
#   make memcheck  random networks under valgrind, which must be installed
#   make soak      the longest tests: ten million steps, threads for minutes, 50 cold starts; half an hour
#   make release-check  the distribution in dist/, with compiled kernels in the wheel, and a bill of materials
#   make mutants   seeded faults in the kernels, each of which the tests must notice; kernels are compiled again for each
#   make clean     delete all that make has made, .venv included

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/$(if $(filter Windows_NT,$(OS)),Scripts,bin)
# One process a CPU, each with the tests of one half of the files; who is done first takes over from the others.
PYTEST := $(BIN)/python -m pytest -n auto --dist worksteal
# What pytest makes of the tests' sources is kept, and so is fastnn's bytecode, which hundreds of processes import.
export PYTHONDONTWRITEBYTECODE :=
PIP_INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check

# Each kind of run has cache folders of its own: code compiled with one setting must not serve another.
run_with_cache = NUMBA_CACHE_DIR='$(CURDIR)/.cache/$(1)/numba' FASTNN_CACHE_DIR='$(CURDIR)/.cache/$(1)/fastnn'

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
# The steps of `test` and `test-all` share .venv and .cache, so they run one after another, under `make -j` too.
.NOTPARALLEL:
.PHONY: help venv demo quick test test-all lint types unit sweeps nojit boundscheck wheel release-check
.PHONY: docs docs-serve browser ecosystem bounds fuzz memcheck soak mutants bench peers compare clean

help:
	@sed -n 's/^#   //p' Makefile

# The demo needs few packages, so they are installed first and alone.
$(VENV)/demo.stamp: pyproject.toml
	@echo "Installing fastnn into $(VENV); the first time takes a minute."
	$(PYTHON) -m venv $(VENV)
	$(PIP_INSTALL) --editable '.[plot]'
	@touch $@

$(VENV)/dev.stamp: $(VENV)/demo.stamp
	@echo "Installing the development tools into $(VENV)."
	$(PIP_INSTALL) --editable '.[dev,plot]'
	@touch $@

$(VENV)/peers.stamp: $(VENV)/dev.stamp
	@echo "Installing the other frameworks of the comparison into $(VENV)."
	$(PIP_INSTALL) --editable '.[bench]'
	@touch $@

$(VENV)/docs.stamp: $(VENV)/dev.stamp
	@echo "Installing what builds the site into $(VENV)."
	$(PIP_INSTALL) --editable '.[docs]'
	@touch $@

# Last of `test-all`, so that the other tests run with what pip chooses for them alone.
$(VENV)/ecosystem.stamp: $(VENV)/dev.stamp
	@echo "Installing the libraries that fastnn works with into $(VENV)."
	$(PIP_INSTALL) --editable '.[ecosystem]'
	@touch $@

# numba's cache sees a change in a function's own file only, so any newer kernel source empties it.
.cache/stamp: $(wildcard kernels/*.py kernels/*/*.py)
	@rm -rf .cache
	@mkdir -p .cache
	@touch $@

# All kernels, by several processes and once, where the tests would compile many of them twice at the same time.
.cache/warm: $(VENV)/dev.stamp .cache/stamp
	$(call run_with_cache,plain) $(BIN)/python -m fastnn warmup --dtype float32 --dtype float64
	@touch $@

venv: $(VENV)/dev.stamp

demo: $(VENV)/demo.stamp
	$(BIN)/python examples/digits.py
	@$(BIN)/python -m fastnn info

# The kernels' own tests compile each of them; without compilation they take seconds.
quick: lint types nojit .cache/warm
	$(call run_with_cache,plain) $(PYTEST) -m 'not slow and not sweep and not ecosystem and not browser' --ignore=tests/kernels

test: lint types unit

test-all: sweeps nojit boundscheck wheel browser ecosystem

lint: $(VENV)/dev.stamp
	$(BIN)/python -m ruff check .
	$(BIN)/python -m ruff format --check .

types: $(VENV)/dev.stamp
	$(BIN)/python -m mypy

unit: .cache/warm
	$(call run_with_cache,plain) $(PYTEST) -m 'not sweep and not ecosystem and not browser'

sweeps: .cache/warm
	$(call run_with_cache,plain) $(PYTEST) -m sweep

# One process: each of these tests starts its own workers.
ecosystem: $(VENV)/ecosystem.stamp .cache/warm
	$(call run_with_cache,plain) $(BIN)/python -m pytest -m ecosystem tests

nojit: $(VENV)/dev.stamp .cache/stamp
	NUMBA_DISABLE_JIT=1 $(call run_with_cache,nojit) $(PYTEST) tests/kernels

boundscheck: $(VENV)/dev.stamp .cache/stamp
	NUMBA_BOUNDSCHECK=1 $(call run_with_cache,boundscheck) $(PYTEST) tests/kernels

bounds: $(VENV)/dev.stamp .cache/stamp
	NUMBA_BOUNDSCHECK=1 $(call run_with_cache,boundscheck) $(PYTEST) -m 'not ecosystem and not browser'

# Another SEED draws other networks.
SEED ?= 0
fuzz: $(VENV)/dev.stamp .cache/stamp
	FASTNN_GUARD=1 $(call run_with_cache,plain) $(BIN)/python -m tests.guarantees.fuzz --count 2000 --seed $(SEED)

memcheck: $(VENV)/dev.stamp
	$(BIN)/python tools/memcheck.py

mutants: $(VENV)/dev.stamp
	$(BIN)/python -m tests.guarantees.mutants

soak: $(VENV)/dev.stamp .cache/stamp
	$(call run_with_cache,plain) $(BIN)/python -m tests.guarantees.soak

wheel: $(VENV)/dev.stamp
	$(BIN)/python tools/check_wheel.py

release-check: $(VENV)/dev.stamp
	$(BIN)/python tools/check_wheel.py --release

# A warning is an error; pages of public names, examples and lessons are made anew.
docs: $(VENV)/docs.stamp .cache/stamp
	rm -rf docs/api/generated docs/gallery docs/learn docs/_build/html
	$(call run_with_cache,plain) $(BIN)/python -m sphinx -W --keep-going -q -b html docs docs/_build/html
	@echo "docs/_build/html/index.html"

# Chromium comes from the system: `apt-get install chromium`.
browser: docs
	$(call run_with_cache,plain) $(BIN)/python -m pytest -m browser tests

docs-serve: docs
	$(BIN)/python docs/_serve.py

bench: $(VENV)/dev.stamp
	env -u OPENBLAS_CORETYPE $(BIN)/python -m pytest bench --benchmark-only

peers: $(VENV)/peers.stamp

compare: $(VENV)/dev.stamp
	$(BIN)/python -m bench.compare

clean:
	rm -rf $(VENV) docs/_build docs/api/generated docs/gallery docs/learn .cache .nox .benchmarks .hypothesis .mypy_cache .pytest_cache .ruff_cache build dist *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
