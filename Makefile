# Two commands on a machine that has Python (3.11 or later) and make:
#   make demo   environment, install, the main job
#   make test   environment, install with everything, linters, types, tests
# and `make test-slow` for what takes minutes: every architecture in both frameworks, or one part of it
# with PART=1/4. Of the rooms without a framework: `make test-lowest` with the lowest versions of
# packages that pyproject.toml allows, `make coverage` for how much of them the tests reach.
PYTHON ?= python3
VENV ?= .venv
EXTRAS_demo = torch
EXTRAS_test = all,ray,test,test-keras
# Workers of one thread each: as fast as threads, and steadier on a busy machine.
WORKERS ?= 2
PART ?= 1/1
PYTEST = OMP_NUM_THREADS=1 TF_NUM_INTRAOP_THREADS=1 TF_NUM_INTEROP_THREADS=1 \
	$(VENV)/bin/pytest -n $(WORKERS)
PIP_INSTALL = $(VENV)/bin/python -m pip install --quiet --disable-pip-version-check

# Of the board as git has it: what one's own runs leave in results/, as `make demo` does, is not on it.
CHECK_BOARD = board=$$(mktemp -d) && trap 'rm -rf "$$board"' EXIT && \
	if git ls-files --error-unmatch Makefile > /dev/null 2>&1; \
	then git ls-files -z results | tar -c --null -T - | tar -x -C "$$board"; \
	else cp -R results "$$board"; fi && \
	cd "$$board" && $(abspath $(VENV))/bin/python -m benchmark leaderboard --check

# Tests of the rooms without a framework, and these rooms.
ROOMS = tests/common tests/comparison tests/data tests/leaderboard tests/metrics tests/pictures \
	tests/raters tests/records tests/submissions tests/test_config.py tests/test_rescoring.py
COVERED = $(addprefix --cov=benchmark., common comparison data leaderboard metrics raters records \
	submissions)

.PHONY: demo test test-slow test-lowest coverage

demo: $(VENV)/installed-demo
	$(VENV)/bin/python -m benchmark run --arch Xception --task explainability

test: $(VENV)/installed-test
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(PYTEST) --dist loadfile
	$(PYTEST) --dist loadfile --framework keras tests/frameworks tests/plugins
	$(CHECK_BOARD)

test-slow: $(VENV)/installed-test
	$(PYTEST) --dist loadgroup -m slow --part $(PART)
	$(PYTEST) -m slow --part $(PART) --framework keras tests/frameworks tests/plugins

test-lowest:
	$(PYTHON) -m venv $(VENV)-lowest
	$(VENV)-lowest/bin/python -m pip install --quiet --disable-pip-version-check uv
	$(VENV)-lowest/bin/uv pip install --quiet --python $(VENV)-lowest/bin/python \
		--resolution lowest-direct --editable '.[test-rooms]'
	$(VENV)-lowest/bin/python -m pytest -n $(WORKERS) --dist loadfile $(ROOMS)

coverage: $(VENV)/installed-test
	$(PYTEST) --dist loadfile $(ROOMS) $(COVERED) --cov-fail-under=90

$(VENV)/installed-%: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(PIP_INSTALL) --constraint constraints.txt --editable '.[$(EXTRAS_$*)]'
	@touch $@

$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or later is needed: make PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)
