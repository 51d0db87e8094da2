# Two commands on a machine that has Python (3.11 or later) and make:
#   make demo   environment, install, the main job
#   make test   environment, install with everything, linters, types, tests
# and `make test-slow` for what takes minutes: every architecture in both frameworks.
PYTHON ?= python3
VENV ?= .venv
EXTRAS_demo = torch
EXTRAS_test = all,test,test-keras
PIP_INSTALL = $(VENV)/bin/python -m pip install --quiet --disable-pip-version-check

.PHONY: demo test test-slow

demo: $(VENV)/installed-demo
	$(VENV)/bin/python -m benchmark run --arch Xception --task explainability

test: $(VENV)/installed-test
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/pytest
	$(VENV)/bin/pytest --framework keras tests/frameworks

test-slow: $(VENV)/installed-test
	$(VENV)/bin/pytest -m slow
	$(VENV)/bin/pytest -m slow --framework keras tests/frameworks

$(VENV)/installed-%: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(PIP_INSTALL) --constraint constraints.txt --editable '.[$(EXTRAS_$*)]'
	@touch $@

$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or later is needed: make PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)
