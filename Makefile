# Two commands do everything on a machine with Python 3.11, git and make: make demo and
# make test. Both make .venv from the pinned set first, and reuse what is there.

define HELP
make demo             simulate hospitals, train, test and write a report
                      (2 minutes on two cores; the first time 2 more, and 3 GB)
make demo-real        the same on the real images in MCDRL_DATA_ROOT
make serve CHECKPOINT=model.pth [EXAMPLES=folder]
                      serve a local web page to try a model
make install          create .venv with the pinned packages and this package

make test             run all tests; PYTEST_ARGS=tests/models for a part
make lint types       check style and imports; check types
make docs             build the documentation, site/index.html
make coverage         run the unit tests and list the lines they do not reach
make reliability      run the fault-injection tests, write docs/reliability.md
make wheel test-wheel build a wheel; test it in an empty environment
make test-openmmlab [MMCV_WHEEL=mmcv-2.1.0-*.whl]
                      run the tests on OpenMMLab's original packages
make clean            remove environments and build outputs

Your own data: docs/own_data.md
endef
export HELP

.DEFAULT_GOAL := help

PYTHON ?= python3.11
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

# The folder of the six real sites; see README. MMEngine refuses an empty value.
MCDRL_DATA_ROOT ?= $(abspath $(firstword $(wildcard data/endoscopy_sites ../shared/data/endoscopy_sites)))
ifneq ($(MCDRL_DATA_ROOT),)
export MCDRL_DATA_ROOT
endif

.PHONY: help demo demo-real test reliability test-openmmlab test-wheel wheel serve lint types coverage docs install clean

help:
	@echo "$$HELP"

install: $(READY)

$(READY): requirements/tested.txt requirements/runtime.txt requirements/lab.txt setup.py
	@echo "Installing the pinned set into $(VENV) (about two minutes)..."
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements/tested.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
# YAPF, which MMEngine imports, writes its grammar into the user's cache at its first
# import, and not in one step: of two processes that start at once one reads half of it.
	@$(BIN)/python -c 'from yapf.yapflib import yapf_api'
	@touch $@

demo: $(READY)
	$(BIN)/python -m mcdrl_lab demo

demo-real: $(READY)
	$(BIN)/python -m mcdrl_lab demo --real

test: $(READY)
	$(BIN)/python -m pytest $(PYTEST_ARGS)

# The second stack: the same pinned set, but for OpenMMLab's own packages. mmcv compiles
# its operators (half an hour on two cores) unless MMCV_WHEEL names a wheel of it.
OPENMMLAB := .venv-openmmlab
OPENMMLAB_TESTS ?= $(filter-out tests/integration/ tests/__pycache__/,$(wildcard tests/*/ tests/test_*.py)) \
	$(addprefix tests/integration/test_,one_run.py resume.py mixing.py)
MMCV_WHEEL ?=

$(OPENMMLAB)/.ready: requirements/tested.txt requirements/tested_openmmlab.txt setup.py
	$(PYTHON) -m venv $(OPENMMLAB)
	grep -v -e '^onedl-' -e '^setuptools' requirements/tested.txt > $(OPENMMLAB)/tested.txt
	$(OPENMMLAB)/bin/python -m pip install --quiet -r $(OPENMMLAB)/tested.txt \
		-r requirements/tested_openmmlab.txt wheel
	$(OPENMMLAB)/bin/python -m pip install --quiet --no-build-isolation $(or $(MMCV_WHEEL),mmcv==2.1.0)
	$(OPENMMLAB)/bin/python -m pip install --quiet --no-deps --no-build-isolation -e .
	@touch $@

test-openmmlab: $(OPENMMLAB)/.ready
	$(OPENMMLAB)/bin/python -m pytest $(or $(PYTEST_ARGS),$(OPENMMLAB_TESTS))

# The sources go into an archive first: what is missing there is missing in the wheel.
wheel: $(READY)
	rm -rf dist
	$(BIN)/python -c "from setuptools import build_meta; build_meta.build_sdist('dist')" >/dev/null
	$(BIN)/python -m pip wheel --quiet --no-deps --no-build-isolation -w dist dist/*.tar.gz
	@ls -l dist

# An environment with nothing but the wheel, what it asks for, and MIM. MIM's other
# requirements would change packages that are there already.
test-wheel: wheel
	rm -rf .venv-wheel
	$(PYTHON) -m venv .venv-wheel
	.venv-wheel/bin/python -m pip install --quiet -c requirements/tested.txt "$$(echo dist/*.whl)[mmseg,lab]"
	.venv-wheel/bin/python -m pip install --quiet 'setuptools<81' colorama tabulate requests
	.venv-wheel/bin/python -m pip install --quiet --no-deps openmim==0.3.9
	MCDRL_WHEEL_VENV=$(abspath .venv-wheel) $(BIN)/python -m pytest tests/integration/test_wheel.py

serve: $(READY)
	@test -n "$(CHECKPOINT)" || { echo 'Usage: make serve CHECKPOINT=model.pth [EXAMPLES=folder]'; exit 2; }
	$(BIN)/python -m mcdrl_lab serve "$(CHECKPOINT)" $(if $(EXAMPLES),--examples "$(EXAMPLES)") $(SERVE_ARGS)

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-logo

# Runs the tests that damage something, and writes docs/reliability.md. Run it whole:
# the page holds what this run had. PYTEST_ARGS='-n 2 --dist loadfile' for two workers.
reliability: $(READY)
	$(BIN)/python tests/reliability_report.py $(PYTEST_ARGS)

types: $(READY)
	$(BIN)/mypy

# Unit tests alone: lines that only whole runs reach are shown as missed.
coverage: $(READY)
	$(BIN)/python -m pytest --ignore=tests/integration --cov=mcdrl_mmseg --cov=mcdrl_lab --cov=mcdrl_common --cov-report=term-missing:skip-covered $(PYTEST_ARGS)

# The site, in site/index.html. It has an environment of its own: the package is read,
# and never imported.
DOCS_VENV ?= .venv-docs
$(DOCS_VENV)/.ready: requirements/docs.txt
	$(PYTHON) -m venv $(DOCS_VENV)
	$(DOCS_VENV)/bin/python -m pip install --quiet --disable-pip-version-check -r $<
	@touch $@

docs: $(DOCS_VENV)/.ready
	NO_MKDOCS_2_WARNING=1 $(DOCS_VENV)/bin/mkdocs build --strict --quiet
	@echo 'Open site/index.html, or for its search: python3 -m http.server -d site'

clean:
	rm -rf $(VENV) $(OPENMMLAB) .venv-wheel build dist *.egg-info mcdrl_mmseg/.mim
