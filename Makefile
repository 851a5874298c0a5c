# A fresh machine needs only `make serve` and `make test`.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# What is imported is compiled then. All of it would take half a minute.
PIP_INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile --constraint constraints.txt

.PHONY: help serve book test test-clients test-qwen test-ray parity check format docs docs-serve bench soak clean

help:  ## List the targets.
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 22

serve: $(VENV)/.serve  ## Install, fetch the voices once, and serve on port 8000 (ARGS="--port 9000" to change).
	@$(BIN)/vivavoce models pull kokoro
	@$(BIN)/vivavoce serve $(ARGS)

book: $(VENV)/.serve  ## Make an audiobook without a server (ARGS="novel.epub -o novel.mp3").
	@$(BIN)/vivavoce models pull kokoro
	@$(BIN)/vivavoce book $(ARGS)

test: $(VENV)/.dev  ## Install and run every test that needs no torch (ARGS="-m 'not slow'" for the quick ones).
	@$(BIN)/vivavoce models pull kokoro
	$(BIN)/python -m pytest $(ARGS)

test-clients: $(VENV)/.dev $(VENV)-clients/.installed  ## Let pipecat, LiveKit and the SDKs of others use the server (a gigabyte, once).
	$(BIN)/python -m tests.clients $(VENV)-clients
	VENV_CLIENTS=$(abspath $(VENV))-clients $(BIN)/python -m pytest tests/books/write/test_readers.py

test-qwen: $(VENV)/.qwen  ## Install torch and run the tests of Qwen3-TTS, on small random checkpoints.
	$(BIN)/python -m pytest tests/models/qwen3_tts tests/models/qwen3_tts_server $(ARGS)

test-ray: $(VENV)/.ray  ## Install Ray and run the tests of models in a cluster, on two replicas here.
	$(BIN)/python -m pytest tests/remote/cluster $(ARGS)

parity: $(VENV)/.qwen  ## Compare Qwen3-TTS with the published package, in its own environment (gigabytes, once).
	$(BIN)/python -m scripts.parity

check: $(VENV)/.dev  ## Format, lint, types, import rules, generated docs.
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/python scripts/generate_docs.py --check

format: $(VENV)/.dev  ## Format the code and write the generated docs.
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	$(BIN)/python scripts/generate_docs.py

docs: $(VENV)/.docs  ## Build the documentation into site/.
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

docs-serve: $(VENV)/.docs  ## Serve the documentation on port 8001.
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs serve --dev-addr localhost:8001

bench: $(VENV)/.dev  ## Measure the server on this machine.
	$(BIN)/python benchmarks/server.py $(ARGS)

soak: $(VENV)/.dev  ## Test the server for an hour: load, overload, disconnects, signals (ARGS="--trial kill").
	$(BIN)/python benchmarks/soak.py $(ARGS)

clean:  ## Remove the virtual environment and the files of tools.
	rm -rf $(VENV) $(VENV)-clients .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache site

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "vivavoce needs Python 3.11 or newer; name one: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.serve: pyproject.toml constraints.txt | $(BIN)/python
	@echo "installing vivavoce with its voices into $(VENV) (once, about a minute) …"
	$(PIP_INSTALL) --editable '.[books,kokoro,lan,provenance]'
	@touch $@

$(VENV)/.dev: pyproject.toml constraints.txt | $(BIN)/python
	@echo "installing vivavoce with its voices and tools into $(VENV) (once, a minute or two) …"
	$(PIP_INSTALL) --editable '.[align,books,kokoro,lan,otel,provenance,ui,dev]'
	@touch $@ $(VENV)/.serve

$(VENV)-clients/.installed: tests/clients/requirements.txt tests/clients/package.json
	$(PYTHON) -m venv $(VENV)-clients
	$(VENV)-clients/bin/python -m pip install --quiet --disable-pip-version-check --requirement tests/clients/requirements.txt
	@cp tests/clients/package.json $(VENV)-clients
	@if command -v npm > /dev/null; then PUPPETEER_SKIP_DOWNLOAD=1 ELECTRON_SKIP_BINARY_DOWNLOAD=1 npm install --silent --no-fund --no-audit --prefix $(VENV)-clients; fi
	@touch $@

$(VENV)/.qwen: pyproject.toml constraints.txt | $(BIN)/python
	@echo "installing vivavoce with Qwen3-TTS's packages into $(VENV) (once, some minutes) …"
	$(PIP_INSTALL) --editable '.[align,books,kokoro,lan,otel,provenance,qwen,triton,ui,dev]'
	@touch $@ $(VENV)/.dev $(VENV)/.serve

$(VENV)/.ray: pyproject.toml constraints.txt | $(BIN)/python
	@echo "installing vivavoce with Ray into $(VENV) (once, a minute) …"
	$(PIP_INSTALL) --editable '.[books,kokoro,ray,ui,dev]'
	@touch $@ $(VENV)/.dev $(VENV)/.serve

$(VENV)/.docs: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP_INSTALL) --editable '.[docs]'
	@touch $@
