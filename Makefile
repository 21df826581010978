# Two commands do everything on a machine with Python 3.11, git and make:
#   make demo    draws simulated hospitals, trains, tests and writes a report
#   make test    runs the whole test suite
#       make demo-real   trains, tests and draws on real images
#       make serve CHECKPOINT=model.pth [EXAMPLES=folder]   shows a model on a local page
# Both make .venv from the pinned set first, and reuse what is there.

PYTHON ?= python3.11
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

# The folder of the six real sites; see README. MMEngine refuses an empty value.
MCDRL_DATA_ROOT ?= $(abspath $(firstword $(wildcard data/endoscopy_sites ../shared/data/endoscopy_sites)))
ifneq ($(MCDRL_DATA_ROOT),)
export MCDRL_DATA_ROOT
endif

.PHONY: demo demo-real test serve lint install clean

install: $(READY)

$(READY): requirements/tested.txt requirements/runtime.txt setup.py
	@echo "Installing the pinned set into $(VENV) (about two minutes)..."
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements/tested.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

demo: $(READY)
	$(BIN)/python tools/demo.py

demo-real: $(READY)
	$(BIN)/python tools/demo.py --real

test: $(READY)
	$(BIN)/python -m pytest $(PYTEST_ARGS)

serve: $(READY)
	@test -n "$(CHECKPOINT)" || { echo 'Usage: make serve CHECKPOINT=model.pth [EXAMPLES=folder]'; exit 2; }
	$(BIN)/python tools/serve.py "$(CHECKPOINT)" $(if $(EXAMPLES),--examples "$(EXAMPLES)") $(SERVE_ARGS)

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

clean:
	rm -rf $(VENV) build dist *.egg-info
