# `make evidence` and `make test` need nothing but Python 3.11 or newer and make: they create .venv themselves.
PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3 python; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check -q
SOURCES := ipt_evidence tests scripts benchmarks
NOTEBOOKS := $(wildcard notebooks/*.ipynb notebooks/course/*.ipynb)
WORKERS ?= 2

.PHONY: evidence test browser lint style types units notebooks docs data clean help

help:
	@echo "make evidence   pooled effects by condition, forest plots and a page, into build/"
	@echo "make test       lint, types, tests, notebooks"
	@echo "make browser    the explorer in a real Chromium"
	@echo "make lint       ruff and mypy only"
	@echo "make notebooks  run the notebooks and keep their outputs"
	@echo "make docs       the documentation, into build/docs/"
	@echo "make data       rebuild data/ from data/curated/"
	@echo "make clean      remove build/ and .venv/"

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed; set PYTHON=/path/to/python" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.runtime: $(BIN)/python pyproject.toml constraints.txt
	$(PIP) install -c constraints.txt -e .
	@touch $@

$(VENV)/.dev: $(BIN)/python pyproject.toml constraints.txt
	$(PIP) install -c constraints.txt -e '.[dev]'
	@touch $@ $(VENV)/.runtime $(VENV)/.docs

$(VENV)/.docs: $(BIN)/python pyproject.toml constraints.txt
	$(PIP) install -c constraints.txt -e '.[docs]'
	@touch $@ $(VENV)/.runtime

evidence: $(VENV)/.runtime
	$(BIN)/ipt-evidence evidence --output build

lint: style types

style: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.dev
	$(BIN)/mypy

# Types are checked beside the tests: without its cache mypy alone would keep one core busy for more than a minute.
test: style
	@$(MAKE) --no-print-directory -j 2 types units

# Each worker has a core to itself: no threads within it. Bytecode is kept, or each of them would compile every file.
units: $(VENV)/.dev
	PYTHONDONTWRITEBYTECODE= OPENBLAS_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) --dist worksteal \
		--ignore=tests/browser tests ipt_evidence

browser: $(VENV)/.dev
	$(BIN)/python -m pytest tests/browser

notebooks: $(VENV)/.dev
	$(BIN)/jupyter nbconvert --to notebook --execute --inplace $(NOTEBOOKS)
	$(BIN)/python scripts/clean_notebooks.py $(NOTEBOOKS)

docs: $(VENV)/.docs
	$(BIN)/sphinx-build -b html -d build/docs-cache -j auto -W --keep-going -q docs build/docs
	@echo "open build/docs/index.html"

data: $(VENV)/.dev
	$(BIN)/python scripts/build_data.py

clean:
	rm -rf build dist $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis
	rm -rf docs/_generated docs/reference/names docs/notebooks/course docs/notebooks/*.ipynb
