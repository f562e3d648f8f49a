# On a fresh machine with git, Python 3.11+ and make: `make demo` shows it, `make sandbox ARGS=--help` says how to try
# things out, `make test` checks it.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin

.PHONY: demo sandbox test tools lint bench clean lock

demo: $(VENV)/.ready
	$(BIN)/python -m sandbox.demo $(if $(KEEP),--keep)

sandbox: $(VENV)/.ready
	@$(BIN)/python -m sandbox $(ARGS)

# Two files at a time: most tests wait for processes.
test: lint tools
	$(BIN)/python -m pytest -n 2 --dist loadfile

# Tests of the page need Chromium, one of deploy.sh needs ShellCheck; without them they are skipped. CI is to skip none.
tools:
ifeq ($(CI),true)
	@missing=$$(for tool in chromium shellcheck; do command -v $$tool >/dev/null || echo $$tool; done); \
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

# Pins everything the two .in files ask for. No registry's address is written down.
lock: $(VENV)/.ready
	$(BIN)/pip-compile -q --strip-extras --no-emit-index-url --no-emit-find-links --no-emit-trusted-host --no-header requirements.in
	$(BIN)/pip-compile -q --strip-extras --no-emit-index-url --no-emit-find-links --no-emit-trusted-host --no-header requirements-dev.in

$(VENV)/.ready: requirements.txt requirements-dev.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	touch $@

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .sandbox bench/results
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
