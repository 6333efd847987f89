# Every target makes the environment that it needs; nothing has to be installed by hand.

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --quiet --quiet --disable-pip-version-check
JOBS ?= 2

# The first interpreter that is new enough and can make environments.
CAN := import sys, venv, ensurepip; print("yes" if sys.version_info >= (3, 11) else "")
PYTHON ?= $(firstword $(foreach p,python3.13 python3.12 python3.11 python3,$(if $(shell $(p) -c '$(CAN)' 2>/dev/null),$(p))))

.PHONY: demo test dev lint types onnx wheel-test matrix bench fuzz clean

demo: $(VENV)/.run  ## make the environment, then run one model on one simulated chip
	$(BIN)/emu run resnet50 --device systolic --fusion global

test: $(VENV)/.dev  ## make the environment, then run the tests
	$(BIN)/python -m pytest -q -n $(JOBS)

# pyright reads the folders of the flow as emu.* through a folder of links.
dev: $(VENV)/.dev  ## make the environment with the tools of a developer
	@rm -rf .stage && mkdir -p .stage/emu
	@ln -s $(foreach f,$(filter-out %/__pycache__,$(wildcard emu/*)),../../$(f)) .stage/emu/
	@ln -s $(foreach f,ir kernels devices models,../../$(f)) .stage/emu/

lint: $(VENV)/.dev  ## check style and format
	$(BIN)/ruff check
	$(BIN)/ruff format --check

types: dev  ## check types
	$(BIN)/pyright --pythonpath $(BIN)/python

onnx: $(VENV)/.dev  ## run all of ONNX's tests of backends on three devices
	$(BIN)/python -m benches.onnx_tests

wheel-test: $(VENV)/.dev  ## run the tests on the built wheel, in a folder without the checkout
	rm -rf build && $(PIP) wheel --no-deps --wheel-dir build/wheel .
	@set -e; away=$$(mktemp -d); trap 'rm -rf "$$away"' EXIT; \
	cp -R tests pyproject.toml build/wheel/*.whl "$$away"; cd "$$away"; \
	echo "testing $$(echo *.whl) in a fresh environment"; \
	"$(CURDIR)/$(BIN)/python" -m venv venv; \
	venv/bin/python -m pip install --quiet --quiet --disable-pip-version-check "$$(echo *.whl)[test]"; \
	venv/bin/python -m pytest -q -n $(JOBS) -m "not checkout"

matrix: $(VENV)/.run  ## check the values of every model, device and fusion scope
	$(BIN)/python benches/matrix.py

bench: $(VENV)/.dev  ## time emu itself
	$(BIN)/python -m pytest -q benches

fuzz: $(VENV)/.dev  ## damage models for ten minutes and see that no file escapes
	$(BIN)/python -m benches.fuzz_models --seconds 600

clean:  ## remove everything that make has made
	rm -rf $(VENV) .stage build emu.egg-info

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "emu needs Python 3.11 or newer with its venv module; none was found as" \
	  "python3.13, python3.12, python3.11 or python3. Say: make PYTHON=/path/to/python" >&2; exit 2; }
	@$(PYTHON) -c '$(CAN)' | grep -q yes || { echo "$(PYTHON) is not Python 3.11 or newer with its venv module" >&2; exit 2; }
	@echo "making $(VENV) with $(PYTHON); this happens once and takes a minute or two"
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); exit 1; }

$(VENV)/.run: pyproject.toml | $(BIN)/python
	@$(PIP) install -e .
	@touch $@

$(VENV)/.dev: pyproject.toml | $(BIN)/python
	@$(PIP) install -e '.[dev]'
	@touch $@ $(VENV)/.run
