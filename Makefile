# `make demo` and `make test` go from a bare clone to the end. The virtual environment is .venv (VENV=... for another).
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# The compiler works while pip installs what the project needs. Python compiles the modules that are imported, when they are.
NEEDS := import json, sys; it = json.load(sys.stdin); print(*it['dependencies'], *it['optional-dependencies']['dev'], sep='\n')
PIP := PATH="$(abspath $(BIN)):$$PATH" $(BIN)/python -m pip install --quiet --no-compile --constraint constraints.txt
# A file's tests run in one process, so that what they share is made once; the long ones, which come first, end first.
TESTS := $(BIN)/python -m pytest -q -n auto --dist loadfile --no-loadscope-reorder
NATIVE := $(wildcard gs_stereo/native/*.txt gs_stereo/native/*.h gs_stereo/native/*/*.cpp gs_stereo/native/*/*.h)
# Where byte code is never kept, every process of the tests compiles torch anew: 4 seconds in place of 2.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help install demo test test-all lint unit unit-all clean

help:
	@echo "make demo     install, then photos -> labelled shards on a generated scene"
	@echo "make test     install, lint, type check, import rules, quick tests"
	@echo "make test-all the same with the slow tests: kill and resume, real captures, the browser"
	@echo "make install  only the environment in $(VENV)"
	@echo "make lint | unit | unit-all | clean"

install: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml hatch_build.py constraints.txt $(NATIVE)
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) hatchling editables cmake ninja
	$(BIN)/python -m hatchling metadata | $(BIN)/python -c "$(NEEDS)" >$(VENV)/needs.txt
	$(PIP) --no-deps --no-build-isolation --editable . & native=$$!; $(PIP) --requirement $(VENV)/needs.txt && wait $$native
	touch $@

demo: install
	test -d demo/images || $(BIN)/gsstereo sample demo
	$(BIN)/gsstereo run demo --config pipelines/demo.yaml

test: install lint unit

test-all: install lint unit-all

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy -n auto
	$(BIN)/lint-imports

unit: install
	$(TESTS)

unit-all: install
	$(TESTS) -m "not cuda"

clean:
	rm -rf $(VENV) demo build gs_stereo/native/*.so
