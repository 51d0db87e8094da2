# Two commands on a machine that has Python (3.11 or later) and make:
#   make demo   environment, install, the main job
#   make test   environment, install with everything, linters, types, tests
# and `make test-slow` for what takes minutes: every architecture in both frameworks, or one part of it
# with PART=1/4.
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

.PHONY: demo test test-slow

demo: $(VENV)/installed-demo
	$(VENV)/bin/python -m benchmark run --arch Xception --task explainability

test: $(VENV)/installed-test
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(PYTEST) --dist loadfile
	$(PYTEST) --dist loadfile --framework keras tests/frameworks

test-slow: $(VENV)/installed-test
	$(PYTEST) --dist loadgroup -m slow --part $(PART)
	$(PYTEST) -m slow --part $(PART) --framework keras tests/frameworks

$(VENV)/installed-%: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(PIP_INSTALL) --constraint constraints.txt --editable '.[$(EXTRAS_$*)]'
	@touch $@

$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or later is needed: make PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)
