# Everything a newcomer needs: `make run`. Everything a developer needs: `make check test`.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin

.PHONY: run setup dev browser check format test test-postgres screenshots docs bench lock clean

run: $(VENV)/.installed  ## set up, fetch the default local models, serve
	@$(BIN)/polli models pull || echo "Some models could not be fetched; serving without them. make setup tries again."
	@exec $(BIN)/polli serve

setup: $(VENV)/.installed  ## everything of `run` but serving
	@$(BIN)/polli models pull

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "OpenPollen needs Python 3.11 or newer; set PYTHON=/path/to/python3.11"; exit 1; }
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: requirements.lock pyproject.toml | $(VENV)/bin/python
	@echo "Installing locked dependencies (about 200 MB, once) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

dev: $(VENV)/.installed-dev  ## the tools that check and test need

$(VENV)/.installed-dev: requirements-dev.lock pyproject.toml | $(VENV)/bin/python
	@echo "Installing locked development dependencies ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements-dev.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@ $(VENV)/.installed

check: dev  ## formatting, lint, layers, types, docs
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports
	$(BIN)/basedpyright
	$(BIN)/python tools/build_docs.py --check

format: dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

test: dev browser  ## the whole suite: real program, real engines, no network but package installs
	$(BIN)/polli models pull
	$(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadfile

browser: dev  ## Chromium for the tests of pages, where there is none
	@bash tools/browser.sh $(BIN)/playwright

test-postgres: dev  ## the parts that touch the database, on an embedded PostgreSQL
	$(BIN)/polli models pull
	$(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadfile --database postgresql tests/storage tests/accounts tests/media tests/ledger tests/api tests/cli tests/faults tests/oauth

screenshots: dev browser  ## pictures of every page, light and dark, desktop and phone, in build/screenshots
	$(BIN)/python -m tools.screenshots

docs: dev  ## writes the generated pages under docs/reference
	$(BIN)/python tools/build_docs.py

bench: dev  ## measures this build; see bench/README.md
	$(MAKE) -C bench

lock:  ## writes the lock files anew; needs uv
	bash tools/lock.sh

clean:
	rm -rf $(VENV) dist .ruff_cache .pytest_cache .hypothesis
