# On a fresh machine with git, Python 3.11+ and make: `make demo` shows it, `make sandbox ARGS=--help` says how to try
# things out, `make test` checks it, `make engines` checks what runs inside engines and orchestrators.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin

ENGINES := $(basename $(notdir $(wildcard requirements/*.txt)))
# With what reads buckets and all formats, so that an engine does what the functions do.
EXTRAS := --extra gcp --extra formats --extra profile
LOCK := $(BIN)/pip-compile -q --strip-extras --no-emit-index-url --no-emit-find-links --no-emit-trusted-host --no-header

.PHONY: demo sandbox test tools lint bench clean lock engines mutants sbom wheel

demo: $(VENV)/.ready
	$(BIN)/python -m sandbox.demo $(if $(KEEP),--keep)

sandbox: $(VENV)/.ready
	@$(BIN)/python -m sandbox $(ARGS)

# Two files at a time: most tests wait for processes.
test: lint tools
	$(BIN)/python -m pytest -n 2 --dist loadfile

# Tests of the page need Chromium and npm, of deploy.sh ShellCheck, of alerts promtool; else skipped. CI is to skip none.
tools:
ifeq ($(CI),true)
	@missing=$$(for tool in chromium npm shellcheck promtool:prometheus java:default-jre-headless mvn:maven; do \
	command -v $${tool%:*} >/dev/null || echo $${tool#*:}; done); \
	test -z "$$missing" || { root=$$(test "$$(id -u)" = 0 || echo sudo); set -x; \
	$$root apt-get update -qq && $$root apt-get install -qq -y --no-install-recommends $$missing; }
endif

lint: $(VENV)/.ready
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

# Measures the importer beside others: 20 minutes, Linux, two cores with nothing else to do. ARGS=--quick: a few minutes.
bench: $(VENV)/.ready
	$(BIN)/python -m bench $(ARGS)

# Each engine and orchestrator in an environment of its own, made from its lock: no two of them agree on their libraries.
# `make engine-beam` checks one. The stand-ins it talks to run in the sandbox's environment.
engines: $(ENGINES:%=engine-%)

engine-%: .venvs/%/.ready $(VENV)/.ready
	SANDBOX_PYTHON=$(CURDIR)/$(BIN)/python .venvs/$*/bin/python -m pytest tests/engines/$* $(ARGS)

.venvs/%/.ready: requirements/%.txt
	$(PYTHON) -m venv .venvs/$*
	.venvs/$*/bin/python -m pip install --quiet --disable-pip-version-check -r $<
	.venvs/$*/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	touch $@

.PRECIOUS: .venvs/%/.ready

# dist/sbom.json: all that the functions deploy with, in CycloneDX, which scanners read.
sbom: .venvs/sbom/.ready
	mkdir -p dist
	.venvs/sbom/bin/cyclonedx-py requirements requirements.txt --pyproject pyproject.toml --output-reproducible \
	    --output-format JSON --output-file dist/sbom.json

.venvs/sbom/.ready: requirements-sbom.txt
	$(PYTHON) -m venv .venvs/sbom
	.venvs/sbom/bin/python -m pip install --quiet --disable-pip-version-check -r $<
	touch $@

wheel: $(VENV)/.ready
	$(BIN)/python -m pip wheel --quiet --disable-pip-version-check --no-deps --no-build-isolation --wheel-dir dist .

# Changes importer/ at a hundred random places, one at a time, and counts what tests/unit notices: half an hour.
# ARGS='--seed 7' tries another hundred, ARGS='--only importer/core' some of one room.
mutants: .venvs/mutants/.ready
	.venvs/mutants/bin/python -m tests.mutants $(ARGS)

.venvs/mutants/.ready: requirements-dev.txt requirements-mutants.txt
	$(PYTHON) -m venv .venvs/mutants
	.venvs/mutants/bin/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt -r requirements-mutants.txt
	touch $@

# Pins everything the .in files ask for, what is deployed by its content, and an engine's extra in pyproject.toml. No registry's address is written down.
lock: $(VENV)/.ready
	$(LOCK) --generate-hashes requirements.in
	$(LOCK) requirements-dev.in
	$(LOCK) aws/requirements.in
	$(LOCK) requirements-mutants.in
	$(LOCK) requirements-sbom.in
	for engine in $(ENGINES); do \
	    $(LOCK) $(EXTRAS) --extra $$engine -o requirements/$$engine.txt pyproject.toml requirements/tests.in; done

$(VENV)/.ready: requirements.txt requirements-dev.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	touch $@

clean:
	rm -rf $(VENV) .venvs .mutants .mypy_cache .ruff_cache .pytest_cache .hypothesis .sandbox bench/results
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
