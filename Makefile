# Everything a newcomer needs: make demo, make test. `make check test` is what CI runs.

# The first interpreter that runs, is new enough and can make a virtual environment.
PYTHON ?= $(shell for python in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$python -c 'import ensurepip, sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && break; done)
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test test-long check format clean

demo: $(VENV)/installed
	$(BIN)/mediafm demo -o demo

test: $(VENV)/installed
	OMP_NUM_THREADS=1 $(BIN)/pytest -m "not long" --numprocesses auto --maxprocesses 8 --dist loadfile

test-long: $(VENV)/installed
	$(BIN)/pytest -m long

check: $(VENV)/installed
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/installed
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

clean:
	rm -rf $(VENV) demo .pytest_cache .mypy_cache .ruff_cache .import_linter_cache

$(VENV)/installed: pyproject.toml
	@test -n "$(PYTHON)" || { echo "mediafm needs Python 3.11 or newer with its venv module; name one: make PYTHON=…"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable . --group dev
	touch $@
