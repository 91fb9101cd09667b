# `make demo` and `make test` go from a bare clone to the end. The virtual environment is .venv (VENV=... for another).
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
NATIVE := $(wildcard gs_stereo/native/*.txt gs_stereo/native/*.h gs_stereo/native/*/*.cpp gs_stereo/native/*/*.h)

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
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[dev]"
	touch $@

demo: install
	test -d demo/images || $(BIN)/gsstereo sample demo
	$(BIN)/gsstereo run demo --config pipelines/demo.yaml

test: install lint unit

test-all: install lint unit-all

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

unit: install
	$(BIN)/python -m pytest -q -n auto

unit-all: install
	$(BIN)/python -m pytest -q -n auto -m "not cuda"

clean:
	rm -rf $(VENV) demo build gs_stereo/native/*.so
